package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
)

// maxText bounds a string that a field access makes into a Lua string; ri.text reads longer ones in part.
const maxText = 1 << 20

// class is how values of a type are shown in Lua.
type class uint8

const (
	classOpaque    class = iota // not described; a value with no way in
	classStruct                 // a value: v.field
	classArray                  // a value: v[i]
	classSlice                  // a value: v[i], #v
	classMap                    // a value: v[key], #v
	classPointer                // nil, or a value that follows
	classHandle                 // func, chan: nil, or a value
	classUnsafe                 // unsafe.Pointer: nil, or an integer
	classInterface              // what is in it
	classBool
	classInt
	classUint
	classFloat
	classComplex
	classString
	classAtomic // of sync/atomic: what is in it
)

// binding is a Go type compiled for access from Lua.
type binding struct {
	host   *Host
	goType *symbols.Type
	class  class
	meta   *lua.LTable

	elem   *binding             // pointer, array, slice: of the element, once asked for
	fields map[string]*accessor // struct and pointer to struct, as they are asked for

	inner       *binding // atomic: of what is in it
	innerOffset uint64
}

// accessor is a field compiled to offsets.
type accessor struct {
	name   string
	steps  []symbols.Step
	offset uint64
	to     *binding
}

// bind compiles a type, once.
func (h *Host) bind(t *symbols.Type) *binding {
	if b := h.bindings[t]; b != nil {
		return b
	}
	b := &binding{host: h, goType: t, class: classOf(t)}
	h.bindings[t] = b
	if b.class == classStruct {
		b.bindAtomic()
	}
	b.meta = h.valueMeta(b)
	return b
}

func classOf(t *symbols.Type) class {
	switch t.Kind {
	case reflect.Bool:
		return classBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return classInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return classUint
	case reflect.Float32, reflect.Float64:
		return classFloat
	case reflect.Complex64, reflect.Complex128:
		return classComplex
	case reflect.String:
		return classString
	case reflect.Pointer:
		return classPointer
	case reflect.UnsafePointer:
		return classUnsafe
	case reflect.Func, reflect.Chan:
		return classHandle
	case reflect.Interface:
		return classInterface
	case reflect.Struct:
		return classStruct
	case reflect.Array:
		return classArray
	case reflect.Slice:
		return classSlice
	case reflect.Map:
		return classMap
	}
	return classOpaque
}

// bindAtomic makes a type of sync/atomic, or the runtime's own, read as what is in it.
func (b *binding) bindAtomic() {
	if inner, offset, ok := b.host.space.Atomic(b.goType); ok {
		b.class, b.inner, b.innerOffset = classAtomic, b.host.bind(inner), uint64(offset)
	}
}

// pointee is the binding itself, of a pointer what it points to.
func (b *binding) pointee() *binding {
	if b.class == classPointer {
		return b.element()
	}
	return b
}

// element is the binding of what a pointer, array or slice is of.
func (b *binding) element() *binding {
	if b.elem == nil {
		b.elem = b.host.opaque
		if e := b.goType.Elem(); e != nil {
			b.elem = b.host.bind(e)
		}
	}
	return b.elem
}

// structure is the struct whose fields v.name means: of the value, or of what it points to; or nil.
func (b *binding) structure() *symbols.Type {
	t := b.goType
	if b.class == classPointer {
		t = t.Elem()
	}
	if t == nil || t.Kind != reflect.Struct {
		return nil
	}
	return t
}

// field compiles the access to a field.
func (b *binding) field(name string) (*accessor, error) {
	if a := b.fields[name]; a != nil {
		return a, nil
	}
	t := b.structure()
	if t == nil {
		return nil, fmt.Errorf("%s has no fields", b.goType.Name)
	}
	path, err := t.FieldByName(name)
	if err != nil {
		if errors.Is(err, symbols.ErrAmbiguous) {
			return nil, err
		}
		return nil, noField(t, name)
	}
	a := &accessor{name: name, steps: path.Steps, offset: uint64(path.Offset), to: b.host.bind(path.Field.Type)}
	if b.fields == nil {
		b.fields = map[string]*accessor{}
	}
	b.fields[name] = a
	return a, nil
}

// noField guesses what was meant.
func noField(t *symbols.Type, name string) error {
	var names []string
	for _, f := range t.Fields() {
		names = append(names, f.Name)
	}
	shown := names
	more := ""
	if len(shown) > 12 {
		shown, more = shown[:12], ", ..."
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: no field %q in %s; it has none", values.ErrNoField, name, t.Name)
	}
	return &fieldError{fmt.Sprintf("no field %q in %s%s; it has %s%s", name, t.Name, rows.DidYouMean(name, names),
		strings.Join(shown, ", "), more)}
}

// fieldError: there is no such field.
type fieldError struct{ text string }

func (e *fieldError) Error() string { return e.text }
func (e *fieldError) Unwrap() error { return values.ErrNoField }

// address is where the field of the struct at addr is.
func (a *accessor) address(h *Host, addr uint64) (uint64, error) {
	for _, s := range a.steps {
		addr += uint64(s.Offset)
		if s.Deref {
			next, err := h.space.Uint64(addr)
			if err != nil {
				return 0, err
			}
			if next == 0 {
				return 0, fmt.Errorf("an embedded pointer on the way to %s is nil", a.name)
			}
			addr = next
		}
	}
	return addr + a.offset, nil
}

// load reads the value of type b at addr; parent and step say how it was reached.
func (h *Host) load(b *binding, addr uint64, parent *ref, s step) (lua.LValue, error) {
	h.loads++
	h.space.Saw(addr, b.goType)
	switch b.class {
	case classPointer, classHandle, classUnsafe:
		word, err := h.space.Uint64(addr)
		switch {
		case err != nil || word == 0:
			return lua.LNil, err
		case b.class == classUnsafe:
			return h.uint64Value(word), nil
		case b.class == classHandle:
			return h.object(b, addr, parent, s), nil
		}
		h.space.Saw(word, b.goType.Elem())
		return h.object(b, word, parent, s), nil
	case classStruct, classArray, classSlice, classMap, classComplex, classOpaque:
		return h.object(b, addr, parent, s), nil
	case classInt, classUint, classFloat:
		return h.loadNumber(b, addr)
	case classBool:
		data, err := h.space.Slice(addr, 1)
		if err != nil {
			return lua.LNil, err
		}
		return lua.LBool(data[0] != 0), nil
	case classString:
		return h.loadString(addr)
	case classAtomic:
		return h.load(b.inner, addr+b.innerOffset, parent, s)
	case classInterface:
		v, err := h.space.At(addr, b.goType).Elem()
		if errors.Is(err, values.ErrNil) {
			return lua.LNil, nil
		}
		if err != nil {
			return lua.LNil, err
		}
		return h.fromValue(v, parent, s)
	}
	return lua.LNil, fmt.Errorf("a %s can't be read", b.goType.Name)
}

func (h *Host) loadNumber(b *binding, addr uint64) (lua.LValue, error) {
	size := b.goType.Size
	bits, err := h.space.Number(addr, size)
	switch {
	case err != nil:
		return lua.LNil, err
	case b.class == classInt:
		return h.int64Value(int64(values.IntScalar.Widen(bits, size))), nil
	case b.class == classUint:
		return h.uint64Value(bits), nil
	}
	return lua.LNumber(math.Float64frombits(values.FloatScalar.Widen(bits, size))), nil
}

// stringHeader reads where a string's (or slice's) bytes are and how many.
func (h *Host) stringHeader(addr uint64) (data uint64, length int, err error) {
	header, err := h.space.Slice(addr, 16)
	if err != nil {
		return 0, 0, err
	}
	data = binary.LittleEndian.Uint64(header)
	n := binary.LittleEndian.Uint64(header[8:])
	if n > 1<<47 || n > 0 && data == 0 {
		return 0, 0, fmt.Errorf("%w: data 0x%x, length %d", values.ErrCorrupt, data, int64(n))
	}
	return data, int(n), nil
}

func (h *Host) loadString(addr uint64) (lua.LValue, error) {
	data, length, err := h.stringHeader(addr)
	if err != nil {
		return lua.LNil, err
	}
	if length == 0 {
		return lua.LString(""), nil
	}
	if length > maxText {
		return lua.LNil, fmt.Errorf("a string of %d bytes: ri.text(ri.ref(v, field), max) reads a part", length)
	}
	text, err := h.space.Slice(data, length)
	if err != nil {
		return lua.LNil, err
	}
	return lua.LString(h.space.Known(data, text)), nil
}

// fromValue makes a Lua value of a Go value.
func (h *Host) fromValue(v values.Value, parent *ref, s step) (lua.LValue, error) {
	return h.load(h.bind(v.Type), v.Addr, parent, s)
}
