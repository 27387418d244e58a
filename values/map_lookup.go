package values

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/symbols"
)

// Lookup gives a map's element by key: a bool, int64, uint64, float64, string, or a Value of the key's type. The
// program's hash can't be called, so it scans: keep an index of your own for many look-ups. An interface key is matched by its dynamic
// value, see Choose. ErrNotFound if there is none.
func (v Value) Lookup(key any) (Value, error) {
	e, err := v.lookup(key)
	if err == nil {
		v.noteEntry(e)
	}
	return e.Value, err
}

func (v Value) lookup(key any) (e Entry, err error) {
	v.s.Untraced(func() { e, err = v.scan(key) })
	return e, err
}

func (v Value) scan(key any) (Entry, error) {
	var found []Entry
	for e, err := range v.Entries() {
		if err != nil {
			return Entry{}, err
		}
		ok, err := e.Key.Equals(key)
		if err != nil {
			return Entry{}, err
		}
		if !ok {
			continue
		}
		if v.Type.Key().Kind != reflect.Interface {
			return e, nil
		}
		found = append(found, e)
	}
	chosen, err := Choose(found, key, v.Type)
	for _, e := range found {
		if err == nil && e.Value.Addr == chosen.Addr {
			return e, nil
		}
	}
	return Entry{}, err
}

// Choose takes the entry that a key means from those of a map that equal it: where the map's keys are interfaces, 1 may be an int, an int64 and a
// float64. It means what Go would take the constant for, int, float64 or string; if there is no such key, there must be one only.
func Choose(found []Entry, key any, m *symbols.Type) (Value, error) {
	switch len(found) {
	case 0:
		return Value{}, fmt.Errorf("no key %v in %s: %w", key, m.Name, ErrNotFound)
	case 1:
		return found[0].Value, nil
	}
	standard := ""
	switch key.(type) {
	case int64, uint64:
		standard = "int"
	case float64:
		standard = "float64"
	case string:
		standard = "string"
	case bool:
		standard = "bool"
	}
	var kinds []string
	for _, e := range found {
		k := e.Key
		if inner, err := k.Elem(); k.Type.Kind == reflect.Interface && err == nil {
			k = inner
		}
		if k.Type.Name == standard {
			return e.Value, nil
		}
		kinds = append(kinds, fmt.Sprintf("%s %v", k.Type.Name, key))
	}
	slices.Sort(kinds)
	return Value{}, fmt.Errorf("ambiguous: %s has the keys %s: %w", m.Name, strings.Join(kinds, ", "), symbols.ErrAmbiguous)
}

// Equals compares with a Go bool, int64, uint64, float64, string, Value, *Literal, Pointer or Nil; numbers by value, whatever their kinds.
func (v Value) Equals(key any) (bool, error) {
	if _, ok := key.(Nil); ok {
		if v.Type.Kind == reflect.Interface {
			return v.isNilInterface()
		}
		return v.equalsWord(0)
	}
	if v.Type.Kind == reflect.Interface {
		if other, ok := key.(Value); !ok || other.Type != v.Type {
			inner, err := v.Elem()
			if errors.Is(err, ErrNil) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			return inner.Equals(key)
		}
	}
	switch k := key.(type) {
	case Value:
		return v.Same(k)
	case *Literal:
		return v.equalsLiteral(k)
	case Pointer:
		return v.equalsWord(uint64(k))
	case bool:
		if v.Type.Kind != reflect.Bool {
			return false, nil
		}
		b, err := v.Bool()
		return b == k, err
	case string:
		if v.Type.Kind != reflect.String {
			return false, nil
		}
		text, full, err := v.Text(len(k) + 1)
		return full == len(k) && text == k, err
	}
	switch kind := v.Type.Kind; {
	case kind >= reflect.Int && kind <= reflect.Int64:
		n, err := v.Int()
		switch k := key.(type) {
		case int64:
			return n == k, err
		case uint64:
			return n >= 0 && uint64(n) == k, err
		case float64:
			return float64(n) == k && int64(k) == n, err
		}
	case kind >= reflect.Uint && kind <= reflect.Uintptr:
		n, err := v.Uint()
		switch k := key.(type) {
		case int64:
			return k >= 0 && n == uint64(k), err
		case uint64:
			return n == k, err
		case float64:
			return k >= 0 && float64(n) == k, err
		}
	case kind == reflect.Float32 || kind == reflect.Float64:
		n, err := v.Float()
		switch k := key.(type) {
		case int64:
			return n == float64(k), err
		case uint64:
			return n == float64(k), err
		case float64:
			return n == k, err
		}
	}
	return false, nil
}
