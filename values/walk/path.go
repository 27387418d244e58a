package walk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/symbols"
	"ri/values"
)

// path is a part of a walk's elements, compiled to offsets: "size", "next.size", of a map "key" and "value.owner".
// Pointers and interfaces on the way are followed as Go follows them.
type path struct {
	typ *symbols.Type // of the part; nil where an interface on the way decides that for each element

	s      *values.Space
	name   string // as it was written
	ofKey  bool
	of     *symbols.Type
	steps  []int64         // load the pointer at this offset and go on from there
	leads  []*symbols.Type // what each leads to; nil where that isn't known
	offset int64           // after the last step
	class  values.ScalarKind
	size   int64

	warmth byte // what warm has read, so that it is read

	rest  []string // interface: what to read of the dynamic value
	known map[*symbols.Type]*path
}

// maxPointers bounds how many pointers and interfaces one part leads through.
const maxPointers = 16

// maxPathText bounds strings that are compared or grouped by, in bytes.
const maxPathText = 1 << 20

// path compiles a part of the walk's elements. "" is the element itself, of a map its value.
func (w *Walk) path(name string) (*path, error) {
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
			return nil, fmt.Errorf("%q of a %s: what is asked of a map begins with key or value, as in \"value.%s\": %w",
				name, w.from.Type.Name, name, values.ErrExpr)
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
func compile(s *values.Space, t *symbols.Type, names ...string) (*path, error) {
	if len(names) == 1 {
		names = strings.Split(names[0], ".")
	}
	p := &path{s: s, name: strings.Join(names, "."), of: t}
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
			p.steps, p.leads = append(p.steps, p.offset), append(p.leads, elem)
			p.offset, t = 0, elem
		}
		if t.Kind == reflect.Interface {
			return p.dynamic(t, names[i:])
		}
		field, err := t.FieldByName(name)
		if err != nil {
			return nil, err
		}
		for _, step := range field.Steps {
			p.steps, p.offset, p.leads = append(p.steps, p.offset+step.Offset), 0, append(p.leads, nil)
		}
		p.offset, t = p.offset+field.Offset, field.Field.Type
	}
	if inner, offset, ok := s.Atomic(t); ok {
		p.offset, t = p.offset+offset, inner
	}
	if t.Kind == reflect.Interface {
		return p.dynamic(t, nil)
	}
	p.typ, p.size, p.class = t, t.Size, values.ScalarKindOf(t.Kind)
	return p, nil
}

func (p *path) dynamic(t *symbols.Type, rest []string) (*path, error) {
	p.rest, p.known, p.size = rest, map[*symbols.Type]*path{}, t.Size
	p.known[nil] = &path{typ: t} // the interface's own
	return p, nil
}

// want refuses a part that isn't one of these kinds, where that is known beforehand.
func (p *path) want(what string, kinds ...values.ScalarKind) error {
	if p.typ == nil || slices.Contains(kinds, p.class) {
		return nil
	}
	name := p.name
	if name == "" {
		name = "an element"
	}
	return fmt.Errorf("%s has type %s, %s: %w", name, p.typ.Name, what, values.ErrKind)
}

// notSingle refuses what has parts.
const notSingle = "which is no single value: name a field of it"

// pathTo is path for one of these kinds.
func (w *Walk) pathTo(name, what string, kinds ...values.ScalarKind) (*path, error) {
	p, err := w.path(name)
	if err == nil {
		err = p.want(what, kinds...)
	}
	return p, err
}

// place is where the part of the element at addr lies; not ok: a pointer on the way is nil.
func (p *path) place(addr uint64) (at uint64, ok bool, err error) {
	for i, step := range p.steps {
		if addr, err = p.s.Uint64(addr + uint64(step)); err != nil || addr == 0 {
			return 0, false, err
		}
		p.s.Saw(addr, p.leads[i])
	}
	return addr + uint64(p.offset), true, nil
}

// at puts the element before an error.
func (p *path) at(i int, key, elem uint64, err error) error {
	return &ElementError{Index: i, Key: key, Addr: elem, Path: p.name, Err: err}
}

// read reads the part of an element.
func (p *path) read(i int, key, elem uint64, out *values.Scalar) error {
	addr := elem
	if p.ofKey {
		addr = key
	}
	if err := p.readFrom(addr, out, 0); err != nil {
		return p.at(i, key, elem, err)
	}
	return nil
}

func (p *path) readFrom(addr uint64, out *values.Scalar, depth int) error {
	at := addr + uint64(p.offset)
	p.s.Saw(addr, p.of)
	if len(p.steps) > 0 {
		var ok bool
		var err error
		if at, ok, err = p.place(addr); !ok {
			out.Kind = values.NoScalar
			return err
		}
	}
	if p.typ == nil {
		return p.readDynamic(at, out, depth)
	}
	out.Kind, out.Type = p.class, p.typ
	switch p.class {
	case values.TextScalar:
		return p.readText(at, out)
	case values.NoScalar:
		return p.want(notSingle)
	}
	bits, err := p.s.Number(at, p.size)
	out.Bits = p.class.Widen(bits, p.size)
	return err
}

func (p *path) readText(at uint64, out *values.Scalar) error {
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
	text, err := p.s.Slice(data, int(n))
	if err == nil {
		out.Text = p.s.Known(data, text)
	}
	return err
}

// readDynamic reads of what is in the interface at an address. A value that doesn't have the part is an error.
func (p *path) readDynamic(at uint64, out *values.Scalar, depth int) error {
	v, err := p.s.At(at, p.known[nil].typ).Elem()
	if errors.Is(err, values.ErrNil) {
		out.Kind = values.NoScalar
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
