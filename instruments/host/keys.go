package host

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	lua "github.com/yuin/gopher-lua"

	"ri/symbols"
	"ri/values"
)

// Keys of maps that Lua has no value for: structs and arrays are written as tables, {name = "a", id = 1} or {1, 2}; nil is ri.null.

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
		whole, integral := wholeNumber(v)
		if integral && !(whole == 0 && math.Signbit(float64(v))) {
			if t.Kind >= reflect.Int && t.Kind <= reflect.Float64 || t.Kind == reflect.Interface {
				return whole, nil
			}
		} else if t.Kind == reflect.Float32 {
			return float64(float32(v)), nil
		} else if t.Kind == reflect.Float64 || t.Kind == reflect.Interface {
			return float64(v), nil
		}
	}
	return wrong()
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
			return nil, fmt.Errorf("%s of %s: %w", luaText(k), t.Name, err)
		}
		literal.Set(i, value)
	}
	return literal, nil
}
