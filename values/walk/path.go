package walk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"ri/symbols"
	"ri/values"
)

// Path is a part of a walk's elements, compiled to offsets: "size", "next.size", of a map "key" and "value.owner". Pointers and
// interfaces on the way are followed as Go follows them.
type Path struct {
	Type *symbols.Type // of the part; nil where an interface on the way decides that for each element

	s      *values.Space
	name   string // as it was written
	ofKey  bool
	steps  []int64 // load the pointer at this offset and go on from there
	offset int64   // after the last step
	class  ScalarKind
	size   int64

	warmth byte // what warm has read, so that it is read

	rest  []string // interface: what to read of the dynamic value
	known map[*symbols.Type]*Path
}

// maxPointers bounds how many pointers and interfaces one part leads through.
const maxPointers = 16

// maxPathText bounds strings that are compared or grouped by, in bytes.
const maxPathText = 1 << 20

// ScalarKind is what a Scalar holds.
type ScalarKind uint8

const (
	NoScalar ScalarKind = iota // a nil pointer or interface was on the way, or the part is a nil interface
	IntScalar
	UintScalar
	FloatScalar
	BoolScalar
	TextScalar
	WordScalar // a pointer, channel, map, func: its address, 0 if nil
)

// Scalar is one value that was read.
type Scalar struct {
	Kind ScalarKind
	Bits uint64        // of an integer, float64, bool or address
	Text []byte        // of a string; not to be written, and not to be kept
	Type *symbols.Type // Go type
}

func (s *Scalar) Int() int64     { return int64(s.Bits) }
func (s *Scalar) Float() float64 { return math.Float64frombits(s.Bits) }

// Path compiles a part of the walk's elements. "" is the element itself, of a map its value.
func (w *Walk) Path(name string) (*Path, error) {
	names := strings.Split(name, ".")
	if name == "" {
		names = nil
	}
	start, ofKey := w.Elem, false
	if w.Key != nil && len(names) > 0 {
		switch names[0] {
		case "key":
			start, ofKey = w.Key, true
		case "value":
		default:
			return nil, fmt.Errorf("%q of a %s: what is asked of a map begins with key or value, as in \"value.%s\": %w", name, w.from.Type.Name, name, values.ErrExpr)
		}
		names = names[1:]
	}
	p, err := compile(w.s, start, names...)
	if err != nil {
		return nil, err
	}
	p.name, p.ofKey = name, ofKey
	return p, nil
}

// compile finds the way from a type to a part.
func compile(s *values.Space, t *symbols.Type, names ...string) (*Path, error) {
	if len(names) == 1 {
		names = strings.Split(names[0], ".")
	}
	p := &Path{s: s, name: strings.Join(names, ".")}
	for i, name := range names {
		for n := 0; ; n++ {
			if inner, offset, ok := s.Atomic(t); ok {
				p.offset, t = p.offset+offset, inner
				continue
			}
			if t.Kind != reflect.Pointer || n == maxPointers {
				break
			}
			elem := t.Elem()
			if elem == nil {
				return nil, s.At(0, t).Lacks("known element type")
			}
			p.steps, p.offset, t = append(p.steps, p.offset), 0, elem
		}
		if t.Kind == reflect.Interface {
			return p.dynamic(t, names[i:])
		}
		field, err := t.FieldByName(name)
		if err != nil {
			return nil, err
		}
		for _, step := range field.Steps {
			p.steps, p.offset = append(p.steps, p.offset+step.Offset), 0
		}
		p.offset, t = p.offset+field.Offset, field.Field.Type
	}
	if inner, offset, ok := s.Atomic(t); ok {
		p.offset, t = p.offset+offset, inner
	}
	if t.Kind == reflect.Interface {
		return p.dynamic(t, nil)
	}
	p.Type, p.size, p.class = t, t.Size, scalarKind(t.Kind)
	return p, nil
}

func (p *Path) dynamic(t *symbols.Type, rest []string) (*Path, error) {
	p.rest, p.known, p.size = rest, map[*symbols.Type]*Path{}, t.Size
	p.known[nil] = &Path{Type: t} // the interface's own
	return p, nil
}

func scalarKind(k reflect.Kind) ScalarKind {
	switch k {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return IntScalar
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return UintScalar
	case reflect.Float32, reflect.Float64:
		return FloatScalar
	case reflect.Bool:
		return BoolScalar
	case reflect.String:
		return TextScalar
	case reflect.Pointer, reflect.UnsafePointer, reflect.Chan, reflect.Map, reflect.Func:
		return WordScalar
	}
	return NoScalar
}

// want refuses a part that isn't one of these kinds, where that is known beforehand.
func (p *Path) want(what string, kinds ...ScalarKind) error {
	if p.Type == nil || slices.Contains(kinds, p.class) {
		return nil
	}
	name := p.name
	if name == "" {
		name = "an element"
	}
	return fmt.Errorf("%s has type %s, %s: %w", name, p.Type.Name, what, values.ErrKind)
}

// place is where the part of the element at addr lies; not ok: a pointer on the way is nil.
func (p *Path) place(addr uint64) (at uint64, ok bool, err error) {
	for _, step := range p.steps {
		if addr, err = p.s.Uint64(addr + uint64(step)); err != nil || addr == 0 {
			return 0, false, err
		}
	}
	return addr + uint64(p.offset), true, nil
}

// at puts the element before an error.
func (p *Path) at(i int, key, elem uint64, err error) error {
	return &ElementError{Index: i, Key: key, Addr: elem, Path: p.name, Err: err}
}

// read reads the part of an element.
func (p *Path) read(i int, key, elem uint64, out *Scalar) error {
	addr := elem
	if p.ofKey {
		addr = key
	}
	if err := p.readFrom(addr, out, 0); err != nil {
		return p.at(i, key, elem, err)
	}
	return nil
}

func (p *Path) readFrom(addr uint64, out *Scalar, depth int) error {
	at := addr + uint64(p.offset)
	if len(p.steps) > 0 {
		var ok bool
		var err error
		if at, ok, err = p.place(addr); !ok {
			out.Kind = NoScalar
			return err
		}
	}
	if p.Type == nil {
		return p.readDynamic(at, out, depth)
	}
	out.Kind, out.Type = p.class, p.Type
	switch p.class {
	case TextScalar:
		return p.readText(at, out)
	case NoScalar:
		return p.want("which is no single value: name a field of it")
	}
	bits, err := p.s.Number(at, p.size)
	if err != nil {
		return err
	}
	switch p.class {
	case IntScalar:
		shift := 64 - 8*uint(p.size)
		bits = uint64(int64(bits<<shift) >> shift)
	case FloatScalar:
		if p.size == 4 {
			bits = math.Float64bits(float64(math.Float32frombits(uint32(bits))))
		}
	case BoolScalar:
		if bits != 0 {
			bits = 1
		}
	}
	out.Bits = bits
	return nil
}

func (p *Path) readText(at uint64, out *Scalar) error {
	header, err := p.s.Slice(at, 16)
	if err != nil {
		return err
	}
	data, n := binary.LittleEndian.Uint64(header), binary.LittleEndian.Uint64(header[8:])
	switch {
	case n == 0:
		out.Text = nil
		return nil
	case n > values.MaxBytes || data == 0:
		return fmt.Errorf("string with data %#x, length %d: %w", data, int64(n), values.ErrCorrupt)
	case n > maxPathText:
		return fmt.Errorf("a string of %d bytes, more than %d: %w", n, maxPathText, values.ErrRange)
	}
	out.Text, err = p.s.Slice(data, int(n))
	return err
}

// readDynamic reads of what is in the interface at an address. A value that doesn't have the part is an error.
func (p *Path) readDynamic(at uint64, out *Scalar, depth int) error {
	v, err := p.s.At(at, p.known[nil].Type).Elem()
	if errors.Is(err, values.ErrNil) {
		out.Kind = NoScalar
		return nil
	}
	if err != nil {
		return err
	}
	if depth == maxPointers {
		return fmt.Errorf("more than %d interfaces in each other: %w", depth, values.ErrCorrupt)
	}
	inner := p.known[v.Type]
	if inner == nil {
		if inner, err = compile(p.s, v.Type, p.rest...); err != nil {
			return err
		}
		inner.name = p.name
		p.known[v.Type] = inner
	}
	return inner.readFrom(v.Addr, out, depth+1)
}
