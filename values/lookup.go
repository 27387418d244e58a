package values

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/symbols"
)

// Literal is a struct or array that isn't in the target: what a map's key is compared with. Parts that weren't set are
// zero.
type Literal struct {
	Type  *symbols.Type
	parts map[int]any // as Equals takes them
}

// Nil is nil for Equals; Pointer is a pointer's, channel's or function's word.
type (
	Nil     struct{}
	Pointer uint64
)

// NewLiteral makes the zero value of a struct or array type.
func NewLiteral(t *symbols.Type) *Literal { return &Literal{t, map[int]any{}} }

// Field finds a field's number and type.
func (l *Literal) Field(name string) (int, *symbols.Type, error) {
	if l.Type.Kind == reflect.Struct {
		for i, f := range l.Type.Fields() {
			if f.Name == name {
				return i, f.Type, nil
			}
		}
	}
	return -1, nil, fmt.Errorf("no field %q in %s: %w", name, l.Type.Name, ErrNoField)
}

// Part gives the type of the part with a number.
func (l *Literal) Part(i int) (*symbols.Type, error) {
	switch {
	case l.Type.Kind == reflect.Struct && i >= 0 && i < len(l.Type.Fields()):
		return l.Type.Fields()[i].Type, nil
	case l.Type.Kind == reflect.Array && i >= 0 && int64(i) < l.Type.Len() && l.Type.Elem() != nil:
		return l.Type.Elem(), nil
	}
	return nil, fmt.Errorf("%s has no part %d: %w", l.Type.Name, i+1, ErrRange)
}

// Set gives a part its value, of a kind that Equals takes.
func (l *Literal) Set(i int, v any) { l.parts[i] = v }

// equalsLiteral compares part by part.
func (v Value) equalsLiteral(l *Literal) (bool, error) {
	if v.Type != l.Type && v.Type.Name != l.Type.Name {
		return false, nil
	}
	return v.eachPart(func(i int, part Value) (bool, error) {
		if want, ok := l.parts[i]; ok {
			return part.Equals(want)
		}
		return part.isZero()
	})
}

// eachPart asks for each field or element until one says no.
func (v Value) eachPart(ask func(i int, part Value) (bool, error)) (bool, error) {
	if err := v.Type.Lacks(); err != nil {
		return false, err
	}
	if v.Type.Kind == reflect.Struct {
		for i, f := range v.Type.Fields() {
			if f.Name == "_" {
				continue
			}
			if ok, err := ask(i, v.s.At(v.Addr+uint64(f.Offset), f.Type)); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	n, err := v.Len()
	if err != nil {
		return false, err
	}
	for i := range n {
		part, err := v.Index(i)
		if err != nil {
			return false, err
		}
		if ok, err := ask(i, part); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (v Value) isZero() (bool, error) {
	switch k := v.Type.Kind; k {
	case reflect.Struct, reflect.Array:
		return v.eachPart(func(_ int, part Value) (bool, error) { return part.isZero() })
	case reflect.String:
		n, err := v.Len()
		return n == 0, err
	case reflect.Float32, reflect.Float64:
		f, err := v.Float()
		return f == 0, err
	case reflect.Complex64, reflect.Complex128:
		c, err := v.Complex()
		return c == 0, err
	}
	data, err := v.s.Slice(v.Addr, int(min(v.Type.Size, 16)))
	for _, b := range data {
		if b != 0 {
			return false, err
		}
	}
	return err == nil, err
}

// Lookup gives a map's element by key: a bool, int64, uint64, float64, string, or a Value of the key's type. The
// program's hash can't be called, so it scans: keep an index of your own for many look-ups. An interface key is matched
// by its dynamic value, see Choose. ErrNotFound if there is none.
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
		if found = append(found, e); v.Type.Key().Kind != reflect.Interface {
			break
		}
	}
	return Choose(found, key, v.Type)
}

// Choose takes the entry that a key means from those of a map that equal it: where the map's keys are interfaces, 1 may
// be an int, an int64 and a float64. It means what Go would take the constant for, int, float64 or string; if there is
// no such key, there must be one only.
func Choose(found []Entry, key any, m *symbols.Type) (Entry, error) {
	switch len(found) {
	case 0:
		return Entry{}, fmt.Errorf("no key %v in %s: %w", key, m.Name, ErrNotFound)
	case 1:
		return found[0], nil
	}
	standard := fmt.Sprintf("%T", key)
	if standard == "int64" || standard == "uint64" {
		standard = "int"
	}
	var kinds []string
	for _, e := range found {
		k := e.Key
		if inner, err := k.Elem(); k.Type.Kind == reflect.Interface && err == nil {
			k = inner
		}
		if k.Type.Name == standard {
			return e, nil
		}
		kinds = append(kinds, fmt.Sprintf("%s %v", k.Type.Name, key))
	}
	slices.Sort(kinds)
	return Entry{}, fmt.Errorf("ambiguous: %s has the keys %s: %w", m.Name, strings.Join(kinds, ", "),
		symbols.ErrAmbiguous)
}

// Equals compares with a Go bool, int64, uint64, float64, string, Value, *Literal, Pointer or Nil; numbers by value,
// whatever their kinds.
func (v Value) Equals(key any) (bool, error) {
	if other, ok := key.(Value); ok && other.Type == v.Type {
		return v.Same(other)
	}
	if v.Type.Kind == reflect.Interface {
		inner, some, err := v.content()
		if _, wantsNil := key.(Nil); wantsNil || !some {
			return wantsNil && !some && err == nil, err
		}
		return inner.Equals(key)
	}
	switch k := key.(type) {
	case *Literal:
		return v.equalsLiteral(k)
	case string:
		if v.Type.Kind != reflect.String {
			return false, nil
		}
		text, full, err := v.Text(len(k) + 1)
		if err != nil || k == "" || full == 0 || IsToken(text) == IsToken(k) {
			return text == k && (full == len(k) || IsToken(k)), err
		}
		return false, NewTokenError("comparing a text with another")
	}
	return v.equalsScalar(key)
}

func (v Value) equalsScalar(key any) (bool, error) {
	want, ok := ScalarOf(key)
	if kind := ScalarKindOf(v.Type.Kind); !ok || kind != want.Kind && !(kind.Number() && want.Kind.Number()) {
		return false, nil
	}
	have, err := v.Scalar()
	if err != nil || have.Kind == IntScalar && want.Kind == FloatScalar && int64(want.Float()) != have.Int() {
		return false, err // beyond 2^53 several integers are the same float
	}
	order, ok := have.Compare(&want)
	return ok && order == 0, nil
}
