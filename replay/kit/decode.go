package kit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// riTypes is what the library's own source gives names to: a recording's names only choose among them.
type riTypes struct {
	types map[string]reflect.Type                   // by full name, without the star of a pointer
	fakes map[reflect.Type]func(*riReplay, int) any // of interfaces whose methods were recorded
	vars  map[string]any                            // package variables that hold errors
}

// riDecoder makes values of an event's JSON.
type riDecoder struct {
	replay *riReplay
	paths  map[string]reflect.Value // pointers, by where they were written
	absent []string                 // what was not recorded, and why
	at     riPlace                  // where what is read stands
	hidden []string                 // rules that would have kept what is not in clear

	contexts map[string]context.Context // by where they were written
	cancels  []func()                   // of these
}

func (d *riDecoder) missing(path, why string) { d.absent = append(d.absent, path+": "+why) }

// riSpecial is what an object with dollars says; ok is false of any other.
func riSpecial(raw json.RawMessage) (m map[string]json.RawMessage, ok bool) {
	if len(raw) < 3 || raw[0] != '{' || raw[1] != '"' || raw[2] != '$' {
		return nil, false
	}
	return m, json.Unmarshal(raw, &m) == nil
}

func riText(m map[string]json.RawMessage, key string) (s string, ok bool) {
	raw, ok := m[key]
	return s, ok && json.Unmarshal(raw, &s) == nil
}

// riBytes is the text or bytes of a value: as it was, or what stands for it.
func riBytes(raw json.RawMessage) (b []byte, token, ok bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return []byte(s), false, true
	}
	m, ok := riSpecial(raw)
	if !ok {
		return nil, false, false
	}
	if s, ok := riText(m, "$token"); ok {
		return []byte(s), true, true
	}
	for _, key := range []string{"$token64", "$bytes", "$text64"} {
		if s, ok := riText(m, key); ok {
			b, err := base64.StdEncoding.DecodeString(s)
			return b, key == "$token64", err == nil
		}
	}
	if s, ok := riText(m, "$mask"); ok {
		n, err := strconv.Atoi(s)
		return []byte(strings.Repeat("*", max(min(n, 1<<20), 0))), true, err == nil
	}
	return nil, false, false
}

// into puts a value into to, which can be set.
func (d *riDecoder) into(to reflect.Value, raw json.RawMessage, path string) error {
	if len(raw) == 0 || string(raw) == "null" {
		to.SetZero()
		return nil
	}
	m, special := riSpecial(raw)
	if special {
		if why, ok := riText(m, "$missing"); ok {
			d.missing(path, why)
			if to.Kind() == reflect.Func {
				to.Set(d.replay.unknownFunction(path, to.Type()))
			}
			if strings.HasSuffix(why, "left out by the policy") {
				d.hides()
			}
			return nil
		}
		if ref, ok := riText(m, "$ref"); ok && d.contexts[ref] == nil {
			p, ok := d.paths[ref]
			if !ok || !p.Type().AssignableTo(to.Type()) {
				return fmt.Errorf("%s: it refers to %q, which is no such pointer", path, ref)
			}
			to.Set(p)
			return nil
		}
		if raw, ok := m["$on"]; ok && to.Kind() != reflect.Interface {
			return d.on(to, raw, path)
		}
	}
	switch to.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64,
		reflect.Complex64, reflect.Complex128:
		return d.scalar(to, raw, m, path)
	case reflect.String:
		b, token, ok := riBytes(raw)
		if !ok {
			return fmt.Errorf("%s: no text", path)
		}
		if token {
			d.hides()
		}
		to.SetString(string(b))
		return nil
	case reflect.Struct:
		return d.structure(to, raw, m, path)
	case reflect.Pointer:
		p := reflect.New(to.Type().Elem())
		d.paths[path] = p
		to.Set(p)
		d.at = d.at.within(p.Type().Elem())
		return d.into(p.Elem(), raw, path)
	case reflect.Interface:
		if to.Type() == reflect.TypeFor[context.Context]() && m["$on"] == nil {
			to.Set(reflect.ValueOf(d.context(raw, path, 0)))
			return nil
		}
		return d.boxed(to, raw, m, path)
	case reflect.Slice, reflect.Array:
		return d.list(to, raw, path)
	case reflect.Map:
		return d.table(to, m, path)
	case reflect.Chan:
		to.Set(d.replay.channel(to.Type(), string(m["$chan"])))
		return nil
	}
	if name, ok := riText(m, "$func"); ok && to.Kind() == reflect.Func {
		to.Set(d.replay.function(name, to.Type()))
		return nil
	}
	d.missing(path, "a "+to.Kind().String())
	return nil
}

func (d *riDecoder) scalar(to reflect.Value, raw json.RawMessage, m map[string]json.RawMessage, path string) error {
	text := string(raw)
	if s, ok := riText(m, "$float"); ok {
		text = s
	}
	var err error
	switch k := to.Kind(); {
	case k == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		to.SetBool(b)
	case to.CanUint() && (text == "true" || text == "false"): // an atomic.Bool
		to.SetUint(uint64(len("false") - len(text)))
	case to.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		to.SetInt(n)
	case to.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, 64)
		to.SetUint(n)
	case to.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		to.SetFloat(f)
	default:
		var parts [2]float64
		err = json.Unmarshal(m["$complex"], &parts)
		to.SetComplex(complex(parts[0], parts[1]))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (d *riDecoder) structure(to reflect.Value, raw json.RawMessage, m map[string]json.RawMessage, path string) error {
	if s, ok := riText(m, "$time"); ok {
		when, err := time.Parse(time.RFC3339Nano, s)
		if err == nil && to.Type() == reflect.TypeFor[time.Time]() {
			to.Set(reflect.ValueOf(when))
		}
		return err
	}
	switch pkg := to.Type().PkgPath(); {
	case to.Type() == reflect.TypeFor[sync.Map]():
		d.missing(path, "a sync.Map")
		return nil
	case pkg == "sync/atomic" || pkg == "internal/runtime/atomic":
		// What is atomic is written as what it holds.
		if v := to.FieldByName("v"); v.IsValid() {
			return d.into(reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem(), raw, path)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("%s: no structure: %w", path, err)
	}
	for i := range to.NumField() {
		f := to.Type().Field(i)
		value, ok := fields[f.Name]
		if !ok || f.Name == "_" {
			continue
		}
		field := to.Field(i)
		if !field.CanSet() { // not exported; the test is in the library's own package, and may
			field = reflect.NewAt(f.Type, unsafe.Pointer(field.UnsafeAddr())).Elem()
		}
		if to.Type().Name() != "" {
			d.at = riPlace{typ: riTypeName(to.Type()), field: f.Name}
		}
		if err := d.into(field, value, path+"."+f.Name); err != nil {
			return err
		}
	}
	return nil
}

func (d *riDecoder) list(to reflect.Value, raw json.RawMessage, path string) error {
	if to.Type().Elem().Kind() == reflect.Uint8 {
		b, token, ok := riBytes(raw)
		if !ok {
			return fmt.Errorf("%s: no bytes", path)
		}
		if token {
			d.hides()
		}
		if to.Kind() == reflect.Array {
			for i := range min(len(b), to.Len()) { // a byte may be of a type with a name
				to.Index(i).SetUint(uint64(b[i]))
			}
			return nil
		}
		to.SetBytes(b)
		return nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return fmt.Errorf("%s: no list: %w", path, err)
	}
	if n := len(items); n > 0 {
		if m, ok := riSpecial(items[n-1]); ok {
			if why, ok := riText(m, "$missing"); ok {
				d.missing(path, why)
				items = items[:n-1]
			}
		}
	}
	if to.Kind() == reflect.Slice {
		to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	}
	if to.Kind() == reflect.Slice {
		d.at = d.at.within(to.Type().Elem())
	}
	at := d.at
	for i, item := range items[:min(len(items), to.Len())] {
		d.at = at
		if err := d.into(to.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *riDecoder) table(to reflect.Value, m map[string]json.RawMessage, path string) error {
	var entries [][2]json.RawMessage
	var all []json.RawMessage
	if err := json.Unmarshal(m["$map"], &all); err != nil {
		return fmt.Errorf("%s: no map: %w", path, err)
	}
	for _, one := range all {
		var entry [2]json.RawMessage
		if json.Unmarshal(one, &entry) != nil || entry[0] == nil {
			d.missing(path, "some entries")
			continue
		}
		entries = append(entries, entry)
	}
	to.Set(reflect.MakeMap(to.Type()))
	for i, e := range entries {
		key, value := reflect.New(to.Type().Key()).Elem(), reflect.New(to.Type().Elem()).Elem()
		d.at = d.at.within(key.Type())
		if err := d.into(key, e[0], fmt.Sprintf("%s.$map[%d][0]", path, i)); err != nil {
			return err
		}
		d.at = d.at.within(value.Type())
		if err := d.into(value, e[1], fmt.Sprintf("%s.$map[%d][1]", path, i)); err != nil {
			return err
		}
		if !key.Comparable() {
			return fmt.Errorf("%s: a key that can't be one", path)
		}
		to.SetMapIndex(key, value)
	}
	return nil
}

// on puts a receiver of the boundary.
func (d *riDecoder) on(to reflect.Value, raw json.RawMessage, path string) error {
	var id int
	if err := json.Unmarshal(raw, &id); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r, err := d.replay.receiver(id, to.Type())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	to.Set(r)
	return nil
}

// boxed puts what an interface holds.
func (d *riDecoder) boxed(to reflect.Value, raw json.RawMessage, m map[string]json.RawMessage, path string) error {
	if name, ok := riText(m, "$var"); ok {
		if v, ok := d.replay.types.vars[name]; ok && v != nil && reflect.TypeOf(v).AssignableTo(to.Type()) {
			to.Set(reflect.ValueOf(v))
			return nil
		}
	}
	if on, ok := m["$on"]; ok {
		var id int
		if err := json.Unmarshal(on, &id); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		d.replay.mu.Lock()
		r, ok := d.replay.receivers[id]
		d.replay.mu.Unlock()
		if ok && r.Type().AssignableTo(to.Type()) {
			to.Set(r)
			return nil
		}
		dynamic, _ := riText(m, "$type")
		if fake := d.replay.fake(to.Type(), dynamic); fake != nil {
			to.Set(reflect.ValueOf(fake(d.replay, id)))
			return nil
		}
	}
	name, ok := riText(m, "$type")
	if !ok {
		return fmt.Errorf("%s: what it holds has no type", path)
	}
	if t, ok := d.replay.types.typeOf(name); ok && t.AssignableTo(to.Type()) {
		v := reflect.New(t).Elem()
		d.at = d.at.within(t)
		if err := d.into(v, m["value"], path); err != nil {
			return err
		}
		to.Set(v)
		return nil
	}
	if to.Type() == reflect.TypeFor[error]() {
		to.Set(reflect.ValueOf(d.err(name, m["value"], path)))
		return nil
	}
	if fake, ok := d.replay.types.fakes[to.Type()]; ok {
		to.Set(reflect.ValueOf(fake(d.replay, 0))) // nothing of it was recorded: it does nothing
		return nil
	}
	d.missing(path, "the library's source has no type "+name)
	return nil
}

// fake is what stands in for an interface that held a type: of those interfaces through which that type was called, and
// which have what this one has, the one with most methods. So a library that asks for more than a field says finds it.
func (r *riReplay) fake(iface reflect.Type, dynamic string) (best func(*riReplay, int) any) {
	best, most := r.types.fakes[iface], -1
	for t, fake := range r.types.fakes {
		if t.Implements(iface) && t.NumMethod() > most && (t == iface || r.rec.through[dynamic+" "+riTypeName(t)]) {
			best, most = fake, t.NumMethod()
		}
	}
	return best
}

// typeOf is a type by its full name; a star in front makes it a pointer's.
func (t *riTypes) typeOf(name string) (reflect.Type, bool) {
	if inner, ok := strings.CutPrefix(name, "*"); ok {
		elem, ok := t.typeOf(inner)
		if !ok {
			return nil, false
		}
		return reflect.PointerTo(elem), true
	}
	if basic, ok := riBasic[name]; ok {
		return basic, true
	}
	found, ok := t.types[name]
	return found, ok
}

var riBasic = map[string]reflect.Type{"bool": reflect.TypeFor[bool](), "string": reflect.TypeFor[string](),
	"int": reflect.TypeFor[int](), "int8": reflect.TypeFor[int8](), "int16": reflect.TypeFor[int16](),
	"int32": reflect.TypeFor[int32](), "int64": reflect.TypeFor[int64](), "uint": reflect.TypeFor[uint](),
	"uint8": reflect.TypeFor[uint8](), "uint16": reflect.TypeFor[uint16](), "uint32": reflect.TypeFor[uint32](),
	"uint64": reflect.TypeFor[uint64](), "uintptr": reflect.TypeFor[uintptr](), "float32": reflect.TypeFor[float32](),
	"float64": reflect.TypeFor[float64](), "[]uint8": reflect.TypeFor[[]byte](), "[]string": reflect.TypeFor[[]string](),
	"[]int": reflect.TypeFor[[]int](), "[]interface {}": reflect.TypeFor[[]any](), "error": reflect.TypeFor[error](),
	"time.Time": reflect.TypeFor[time.Time](), "time.Duration": reflect.TypeFor[time.Duration](),
	"map[string]string":       reflect.TypeFor[map[string]string](),
	"map[string]interface {}": reflect.TypeFor[map[string]any]()}

// riError is an error of a type that only its own package can make.
type riError struct {
	kind, text string
	inner      error
}

func (e *riError) Error() string { return e.text }
func (e *riError) Unwrap() error { return e.inner }

// err makes an error of a type that isn't the library's: with its text, and what it wraps.
func (d *riDecoder) err(kind string, value json.RawMessage, path string) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(value, &fields) != nil {
		fields = nil
	}
	e := &riError{kind: kind, text: "an error of type " + kind}
	for _, name := range []string{"s", "msg", "Msg", "Err"} {
		if b, _, ok := riBytes(fields[name]); ok {
			e.text = string(b)
			break
		}
	}
	for _, name := range []string{"err", "Err"} {
		if raw, ok := fields[name]; ok && len(raw) > 0 && raw[0] == '{' {
			to := reflect.New(reflect.TypeFor[error]()).Elem()
			if d.into(to, raw, path+"."+name) == nil && !to.IsNil() {
				e.inner, _ = to.Interface().(error)
			}
		}
	}
	if kind == "*errors.errorString" {
		return errors.New(e.text)
	}
	return e
}
