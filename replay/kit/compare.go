package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// riCompare compares a value with what was recorded.
type riCompare struct {
	replay  *riReplay
	skipped int  // parts that can't be compared: not recorded, or made of replaced texts
	note    bool // of a log: how long something took isn't compared either
}

// differs says where a value is another than was recorded; "" where it is the same.
func (c *riCompare) differs(got reflect.Value, raw json.RawMessage, path string) string {
	for got.IsValid() && got.Kind() == reflect.Interface && !got.IsNil() {
		return c.boxed(got.Elem(), raw, path)
	}
	isNil := !got.IsValid()
	if !isNil {
		switch got.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Chan, reflect.Func, reflect.Interface:
			isNil = got.IsNil()
		}
	}
	m, special := riSpecial(raw)
	if special {
		if id, ok := m["$chan"]; ok && !isNil && got.Kind() == reflect.Chan {
			c.replay.bind(string(id), riOpen(got))
			return ""
		}
		for _, key := range []string{"$missing", "$ref", "$time", "$mask"} {
			if _, ok := m[key]; ok {
				c.skipped++
				return ""
			}
		}
		if on, ok := m["$on"]; ok {
			return c.on(got, on, path)
		}
		if _, ok := m["$type"]; ok && !isNil { // an argument that is an interface comes as what that holds
			return c.boxed(got, raw, path)
		}
	}
	if c.note && !isNil && got.Type() == reflect.TypeFor[time.Duration]() {
		c.skipped++
		return ""
	}
	if !isNil && got.Kind() == reflect.Struct && got.Type().PkgPath() == "sync/atomic" {
		if v := got.FieldByName("v"); v.IsValid() { // what is atomic is written as what it holds
			return c.differs(v, raw, path)
		}
	}
	null := len(raw) == 0 || string(raw) == "null"
	switch {
	case null && isNil:
		return ""
	case null || isNil:
		return c.say(path, raw, got)
	}
	switch got.Kind() {
	case reflect.String:
		return c.text([]byte(got.String()), raw, path, got)
	case reflect.Struct:
		return c.structure(got, raw, path)
	case reflect.Pointer:
		return c.differs(got.Elem(), raw, path)
	case reflect.Slice, reflect.Array:
		return c.list(got, raw, path)
	case reflect.Map:
		return c.table(got, m, path)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		c.skipped++
		return ""
	}
	return c.scalar(got, raw, m, path)
}

// say is a difference in words.
func (c *riCompare) say(path string, raw json.RawMessage, got reflect.Value) string {
	return fmt.Sprintf("%s: expected %s, got %s", path, riShort(string(raw)), riShort(riShow(got)))
}

func riShort(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

// riShow writes a value without calling its methods.
func riShow(v reflect.Value) string {
	if !v.IsValid() {
		return "nil"
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Chan, reflect.Func, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return fmt.Sprintf("%q", v.Bytes())
	}
	if v.Kind() == reflect.Pointer {
		return "&" + riShow(v.Elem())
	}
	return fmt.Sprintf("%+v", v)
}

func (c *riCompare) text(got []byte, raw json.RawMessage, path string, v reflect.Value) string {
	want, token, ok := riBytes(raw)
	switch {
	case !ok:
		return c.say(path, raw, v)
	case bytes.Equal(got, want):
		return ""
	case token && len(got) == len(want):
		c.skipped++ // it was made of texts that are replaced here
		return ""
	}
	return c.say(path, raw, v)
}

func (c *riCompare) scalar(got reflect.Value, raw json.RawMessage, m map[string]json.RawMessage, path string) string {
	text := string(raw)
	if s, ok := riText(m, "$float"); ok {
		text = s
	}
	same := false
	switch {
	case got.Kind() == reflect.Bool:
		same = strconv.FormatBool(got.Bool()) == text
	case got.CanInt():
		same = strconv.FormatInt(got.Int(), 10) == text
	case got.CanUint() && (text == "true" || text == "false"): // an atomic.Bool
		same = (got.Uint() != 0) == (text == "true")
	case got.CanUint():
		same = strconv.FormatUint(got.Uint(), 10) == text
	case got.CanFloat():
		f, err := strconv.ParseFloat(text, 64)
		same = err == nil && (f == got.Float() || math.IsNaN(f) && math.IsNaN(got.Float()))
	case got.CanComplex():
		var parts [2]float64
		same = json.Unmarshal(m["$complex"], &parts) == nil && complex(parts[0], parts[1]) == got.Complex()
	}
	if same {
		return ""
	}
	return c.say(path, raw, got)
}

func (c *riCompare) structure(got reflect.Value, raw json.RawMessage, path string) string {
	if got.Type() == reflect.TypeFor[time.Time]() {
		c.skipped++
		return ""
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return c.say(path, raw, got)
	}
	for i := range got.NumField() {
		f := got.Type().Field(i)
		want, ok := fields[f.Name]
		if !ok || f.Name == "sizeCache" && got.NumField() > 1 && got.Type().Field(0).Type.Name() == "MessageState" {
			// A message of protobuf notes its size whenever somebody asks for it.
			continue
		}
		if why := c.differs(got.Field(i), want, path+"."+f.Name); why != "" {
			return why
		}
	}
	return ""
}

func (c *riCompare) list(got reflect.Value, raw json.RawMessage, path string) string {
	if got.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, got.Len())
		for i := range b { // a byte may be of a type with a name
			b[i] = byte(got.Index(i).Uint())
		}
		return c.text(b, raw, path, got)
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return c.say(path, raw, got)
	}
	for i, item := range items {
		if m, ok := riSpecial(item); ok && m["$missing"] != nil && i == len(items)-1 {
			c.skipped++
			return ""
		}
		if i >= got.Len() {
			break
		}
		if why := c.differs(got.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); why != "" {
			return why
		}
	}
	if len(items) != got.Len() {
		return fmt.Sprintf("%s: expected %d elements, got %d", path, len(items), got.Len())
	}
	return ""
}

func (c *riCompare) table(got reflect.Value, m map[string]json.RawMessage, path string) string {
	var all []json.RawMessage
	if json.Unmarshal(m["$map"], &all) != nil {
		return path + ": expected another kind of value"
	}
	if len(all) != got.Len() {
		return fmt.Sprintf("%s: expected %d entries, got %d", path, len(all), got.Len())
	}
	for i, one := range all {
		var entry [2]json.RawMessage
		if json.Unmarshal(one, &entry) != nil || entry[0] == nil {
			c.skipped++
			continue
		}
		key := reflect.New(got.Type().Key()).Elem()
		d := c.replay.decoder()
		if d.into(key, entry[0], path) != nil || len(d.absent) > 0 {
			c.skipped++
			continue
		}
		value := got.MapIndex(key)
		if !value.IsValid() {
			return fmt.Sprintf("%s: expected an entry for %s, got none", path, riShort(string(entry[0])))
		}
		if why := c.differs(value, entry[1], fmt.Sprintf("%s.$map[%d]", path, i)); why != "" {
			return why
		}
	}
	return ""
}

// boxed compares what an interface holds.
func (c *riCompare) boxed(got reflect.Value, raw json.RawMessage, path string) string {
	m, special := riSpecial(raw)
	if special && (m["$missing"] != nil || m["$ref"] != nil) {
		c.skipped++
		return ""
	}
	if on, ok := m["$on"]; ok {
		return c.on(got, on, path)
	}
	if name, ok := riText(m, "$var"); ok {
		if v, ok := c.replay.types.vars[name]; ok && v != nil {
			want := reflect.ValueOf(v)
			if got.Type() == want.Type() && (got.Kind() == reflect.Pointer && got.Pointer() == want.Pointer() ||
				got.Kind() != reflect.Pointer && got.Comparable() && got.Equal(want)) {
				return ""
			}
			return c.say(path, raw, got)
		}
		c.skipped++
		return ""
	}
	name, ok := riText(m, "$type")
	if !ok {
		return c.say(path, raw, got)
	}
	if got.Type() == reflect.TypeFor[*riError]() {
		if got.Elem().Field(0).String() != name {
			return c.say(path, raw, got)
		}
		return ""
	}
	if strings.HasPrefix(strings.TrimPrefix(name, "*"), "context.") {
		c.skipped++ // what stands in for it may have less
		return ""
	}
	if have := riTypeName(got.Type()); have != name {
		return fmt.Sprintf("%s: expected a %s, got a %s", path, riShort(name), have)
	}
	return c.differs(got, m["value"], path)
}

// on compares with a receiver: one that is not known yet is known from here on.
func (c *riCompare) on(got reflect.Value, raw json.RawMessage, path string) string {
	var id int
	if json.Unmarshal(raw, &id) != nil {
		return path + ": expected a receiver"
	}
	if !got.IsValid() || got.Kind() == reflect.Pointer && got.IsNil() {
		return path + ": expected a receiver, got nil"
	}
	got = riOpen(got)
	c.replay.mu.Lock()
	_, ok := c.replay.receivers[id]
	c.replay.mu.Unlock()
	if ok {
		return ""
	}
	if setup := c.replay.setup[riTypeName(got.Type())]; setup != nil {
		got = reflect.ValueOf(setup(got.Interface()))
	}
	c.replay.mu.Lock()
	defer c.replay.mu.Unlock()
	c.replay.receivers[id] = got
	return ""
}

// riOpen is a pointer or channel that may lie in a field without an exported name, as one that can be used.
func riOpen(v reflect.Value) reflect.Value {
	if v.CanInterface() || v.Kind() != reflect.Pointer && v.Kind() != reflect.Chan {
		return v
	}
	word := v.UnsafePointer()
	return reflect.NewAt(v.Type(), unsafe.Pointer(&word)).Elem()
}

// riTypeName is a type's full name, as a recording has it.
func riTypeName(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer && t.Name() == "":
		return "*" + riTypeName(t.Elem())
	case t.Name() != "" && t.PkgPath() != "":
		return t.PkgPath() + "." + t.Name()
	}
	return t.String()
}
