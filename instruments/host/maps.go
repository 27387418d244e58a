package host

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/symbols"
	"ri/values"
)

// The program's hash can't be called, so a key is found by looking at all. The first look makes an
// index that serves until the next look at the target.

type mapIdentity struct {
	word uint64 // the map itself, whatever variable holds it
	kind *symbols.Type
}

// mapIndex finds elements by key.
type mapIndex struct {
	texts map[bool]bool          // whether there are keys that are texts, and whether such that are tokens
	elems map[any][]values.Entry // more than one where keys of several types are written alike
	err   error                  // where reading the map broke off; what came before is in elems
}

// mapElement looks a key up. The error is values.ErrNotFound if the map doesn't have it.
func (h *Host) mapElement(L *lua.LState, r *ref, m values.Value, key lua.LValue) (values.Value, step, error) {
	goKey, text, err := h.mapKey(m.Type, key)
	if err != nil {
		return m, step{}, &pathError{r.path(), err}
	}
	s := textStep("[" + text + "]")
	if _, composed := goKey.(values.Value); composed {
		e, err := m.Lookup(goKey)
		if err != nil && !errors.Is(err, values.ErrNotFound) {
			err = &pathError{childPath(r, s), err}
		}
		return e, s, err
	}
	index, err := h.indexMap(L, m)
	if err != nil {
		return m, s, &pathError{r.path(), err}
	}
	var found []values.Entry
	switch k := goKey.(type) {
	case typedPointer:
		for _, e := range index.elems[k.word] {
			if dynamic, err := dynamicKey(e.Key); err == nil && sameType(dynamic.Type, k.pointer) {
				found = append(found, e)
			}
		}
	case int64:
		found = index.elems[k]
		if float := float64(k); m.Type.Key().Kind == reflect.Interface {
			found = append(found[:len(found):len(found)], index.elems[float]...)
		}
	default:
		found = index.elems[goKey]
	}
	if len(found) > 0 {
		e, err := values.Choose(found, goKey, m.Type)
		if err != nil {
			err = &pathError{childPath(r, s), err}
		}
		return e.Value, s, err
	}
	if index.err != nil {
		return m, s, &pathError{r.path(), index.err} // it may be in the rest
	}
	if text, ok := goKey.(string); ok && index.texts[!values.IsToken(text)] {
		return m, s, &pathError{childPath(r, s), values.NewTokenError("looking a text up in a map")}
	}
	return m, s, values.ErrNotFound
}

func (h *Host) indexMap(L *lua.LState, m values.Value) (*mapIndex, error) {
	word, err := m.Word()
	if err != nil {
		return nil, err
	}
	id := mapIdentity{word, m.Type}
	if index := h.maps[id]; index != nil {
		return index, nil
	}
	index := &mapIndex{elems: map[any][]values.Entry{}, texts: map[bool]bool{}}
	for e, err := range m.Entries() {
		if err != nil {
			index.err = err
			break
		}
		h.check(L)
		if k, ok := plainKey(e.Key); ok {
			index.elems[k] = append(index.elems[k], e)
			if text, ok := k.(string); ok {
				index.texts[values.IsToken(text)] = true
			}
		}
	}
	h.maps[id] = index
	return index, nil
}

// plainKey gives a map's key as a Go value that can be compared.
func plainKey(k values.Value) (any, bool) {
	k, err := dynamicKey(k)
	if err != nil {
		return nil, false
	}
	switch classOf(k.Type) {
	case classBool:
		v, err := k.Bool()
		return v, err == nil
	case classInt:
		v, err := k.Int()
		return v, err == nil
	case classUint:
		v, err := k.Uint()
		if v <= math.MaxInt64 {
			return int64(v), err == nil
		}
		return v, err == nil
	case classFloat:
		v, err := k.Float()
		return v, err == nil
	case classString:
		v, full, err := k.Text(maxText)
		return v, err == nil && full <= maxText
	case classPointer, classHandle, classUnsafe:
		v, err := k.Word()
		return pointerKey(v), err == nil
	}
	return nil, false
}

// dynamicKey is what is in a key that is an interface.
func dynamicKey(k values.Value) (values.Value, error) {
	if k.Type.Kind == reflect.Interface {
		return k.Elem()
	}
	return k, nil
}

// pointerKey is a pointer as a map's key; typedPointer one whose type is known.
type (
	pointerKey   uint64
	typedPointer struct {
		word    pointerKey
		pointer *symbols.Type
	}
)

// sameType tells types apart by name: one that only interfaces hold has another description than one that is declared.
func sameType(a, b *symbols.Type) bool { return a == b || a.Name == b.Name }

func wrongKey(m *symbols.Type, what string) error {
	return fmt.Errorf("a %s has keys of type %s, not %s", m.Name, m.Key().Name, what)
}

// mapKey turns a Lua value into a key of the map's type, and its text.
func (h *Host) mapKey(t *symbols.Type, key lua.LValue) (any, string, error) {
	kt := t.Key()
	if kt == nil {
		return nil, "", fmt.Errorf("a %s has no keys", t.Name)
	}
	want := classOf(kt)
	if r, ok := refOf(key); ok {
		if want != classInterface && !sameType(r.binding.goType, kt) {
			return nil, "", wrongKey(t, h.describe(key))
		}
		return refKey(r)
	}
	if p, ok := placeOf(key); ok { // a number or string with its type
		if want != classInterface && !sameType(p.value.Type, kt) {
			return nil, "", wrongKey(t, h.describe(key))
		}
		return p.value, p.path, nil
	}
	v, text, ok := scalarKey(want, key)
	if !ok {
		return nil, "", wrongKey(t, h.describe(key))
	}
	return v, text, nil
}

// refKey is a Go value as a map's key.
func refKey(r *ref) (any, string, error) {
	switch r.binding.class {
	case classPointer:
		return typedPointer{pointerKey(r.addr), r.binding.goType}, r.path(), nil
	case classHandle:
		word, err := r.value().Word()
		return typedPointer{pointerKey(word), r.binding.goType}, r.path(), err
	}
	return r.value(), r.path(), nil
}

// scalarKey is a value of Lua's own as a key of a class, if it is one.
func scalarKey(want class, key lua.LValue) (v any, text string, ok bool) {
	dynamic := want == classInterface
	switch k := key.(type) {
	case lua.LBool:
		return bool(k), k.String(), dynamic || want == classBool
	case lua.LString:
		return string(k), strconv.Quote(string(k)), dynamic || want == classString
	case lua.LNumber:
		whole, integral := lang.WholeNumber(k)
		switch {
		case integral && (dynamic || want == classInt || want == classUint):
			return whole, numberText(k), true
		case dynamic || want == classFloat:
			return float64(k), numberText(k), true
		case integral && want == classUnsafe:
			return pointerKey(whole), numberText(k), true
		}
	case *lua.LUserData:
		if e, exact := exactOf(k); exact {
			return e.goValue(), e.String(), dynamic || want == classInt || want == classUint
		}
	}
	return nil, "", false
}

// Keys of maps that Lua has no value for: structs and arrays are written as tables, {name = "a", id = 1} or {1, 2}; nil
// is ri.null.

func (h *Host) composed(key lua.LValue) bool {
	_, table := key.(*lua.LTable)
	return table || key == lua.LValue(h.null)
}

// composedElement finds the element of a map whose key is what a table says.
func (h *Host) composedElement(r *ref, m values.Value, key lua.LValue) (values.Value, step, error) {
	s := textStep("[" + h.dumpLua(key, values.DumpOptions{}, 0) + "]")
	if m.Type.Key() == nil {
		return m, s, &pathError{r.path(), fmt.Errorf("a %s has no keys", m.Type.Name)}
	}
	literal, err := h.literal(m.Type.Key(), key)
	if err != nil {
		return m, s, &pathError{r.path(), err}
	}
	e, err := m.Lookup(literal)
	if err != nil && !errors.Is(err, values.ErrNotFound) {
		err = &pathError{childPath(r, s), err}
	}
	return e, s, err
}

// literal is a Lua value as a value of a Go type that values can compare with.
func (h *Host) literal(t *symbols.Type, v lua.LValue) (any, error) {
	wrong := func() (any, error) { return nil, fmt.Errorf("%s is no %s", h.describe(v), t.Name) }
	if v == lua.LNil || v == lua.LValue(h.null) {
		switch t.Kind {
		case reflect.Pointer, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
			return values.Nil{}, nil
		}
		return wrong()
	}
	if table, ok := v.(*lua.LTable); ok {
		return h.tableLiteral(t, table)
	}
	if r, ok := refOf(v); ok {
		if r.binding.class == classPointer {
			return values.Pointer(r.addr), nil
		}
		return r.value(), nil
	}
	if e, ok := exactOf(v); ok {
		return e.goValue(), nil
	}
	switch v := v.(type) {
	case lua.LString:
		if t.Kind == reflect.String || t.Kind == reflect.Interface {
			return string(v), nil
		}
	case lua.LBool:
		if t.Kind == reflect.Bool || t.Kind == reflect.Interface {
			return bool(v), nil
		}
	case lua.LNumber:
		if number := numberLiteral(t.Kind, v); number != nil {
			return number, nil
		}
	}
	return wrong()
}

// numberLiteral is a number of Lua as one of a kind of Go; nil if it is none.
func numberLiteral(kind reflect.Kind, v lua.LNumber) any {
	whole, integral := lang.WholeNumber(v)
	if integral && !(whole == 0 && math.Signbit(float64(v))) {
		if kind >= reflect.Int && kind <= reflect.Float64 || kind == reflect.Interface {
			return whole
		}
		return nil
	}
	switch kind {
	case reflect.Float32:
		return float64(float32(v))
	case reflect.Float64, reflect.Interface:
		return float64(v)
	}
	return nil
}

func (h *Host) tableLiteral(t *symbols.Type, table *lua.LTable) (any, error) {
	if t.Kind != reflect.Struct && t.Kind != reflect.Array {
		return nil, fmt.Errorf("a table is a struct or an array, not a %s", t.Name)
	}
	literal := values.NewLiteral(t)
	for k, v := table.Next(lua.LNil); k != lua.LNil; k, v = table.Next(k) {
		i, part, err := -1, (*symbols.Type)(nil), error(nil)
		switch k := k.(type) {
		case lua.LString:
			i, part, err = literal.Field(string(k))
		case lua.LNumber:
			i = int(k) - 1
			part, err = literal.Part(i)
		default:
			err = fmt.Errorf("%s is no field of %s", h.describe(k), t.Name)
		}
		if errors.Is(err, values.ErrNoField) {
			err = noField(t, k.String())
		}
		if err != nil {
			return nil, err
		}
		value, err := h.literal(part, v)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", lang.LuaText(k), t.Name, err)
		}
		literal.Set(i, value)
	}
	return literal, nil
}
