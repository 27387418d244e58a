package values

import (
	"errors"
	"fmt"
	"reflect"

	"ri/symbols"
)

// Literal is a struct or array that isn't in the target: what a map's key is compared with. Parts that weren't set are zero.
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
	same := func(i int, part Value) (bool, error) {
		if want, ok := l.parts[i]; ok {
			return part.Equals(want)
		}
		return part.isZero()
	}
	return v.eachPart(same)
}

// eachPart asks for each field or element until one says no.
func (v Value) eachPart(ask func(i int, part Value) (bool, error)) (bool, error) {
	if v.Type.Kind == reflect.Struct {
		for i, f := range v.Type.Fields() {
			if f.Name == "_" {
				continue
			}
			if ok, err := ask(i, v.s.At(v.Addr+uint64(f.Offset), f.Type)); !ok {
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
		if ok, err := ask(i, part); !ok {
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

// equalsWord compares pointers and their like.
func (v Value) equalsWord(word uint64) (bool, error) {
	switch v.Type.Kind {
	case reflect.Pointer, reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Map:
		w, err := v.Word()
		return w == word, err
	}
	return false, nil
}

// isNilInterface tells a nil interface from one that can't be read.
func (v Value) isNilInterface() (bool, error) {
	_, err := v.Elem()
	if errors.Is(err, ErrNil) {
		return true, nil
	}
	return false, err
}
