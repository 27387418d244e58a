package values

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"ri/attach"
	"ri/symbols"
)

// maxIndirections bounds how many pointers and interfaces one selector follows.
const maxIndirections = 16

// Field gives the field name of a struct, or of the struct that v leads to through pointers and
// interfaces; promoted fields as Go finds them.
func (v Value) Field(name string) (Value, error) {
	if !v.IsValid() {
		return Value{}, v.Lacks("field " + name)
	}
	v, err := v.Struct()
	if err != nil {
		if errors.Is(err, ErrKind) {
			return Value{}, fmt.Errorf("no field %q: %w", name, err)
		}
		return Value{}, err
	}
	path, err := v.Type.FieldByName(name)
	if err != nil {
		return Value{}, err
	}
	return v.follow(path)
}

// Struct follows pointers and interfaces to the struct that v leads to.
func (v Value) Struct() (Value, error) {
	for range maxIndirections {
		switch v.Type.Kind {
		case reflect.Struct:
			return v, nil
		case reflect.Pointer, reflect.Interface:
			next, err := v.Elem()
			if err != nil {
				return Value{}, err
			}
			v = next
		default:
			return Value{}, v.Lacks("fields")
		}
	}
	return Value{}, fmt.Errorf("%s leads through more than %d pointers: %w", v, maxIndirections, ErrCorrupt)
}

// follow walks a compiled field path from a struct's address.
func (v Value) follow(p symbols.Path) (Value, error) {
	addr := v.Addr
	for _, step := range p.Steps {
		v.s.through(addr + uint64(step.Offset))
		next, err := v.s.Uint64(addr + uint64(step.Offset))
		if err != nil {
			return Value{}, err
		}
		if next == 0 {
			return Value{}, fmt.Errorf("field %s of %s is promoted through an embedded pointer that is nil: %w",
				p.Field.Name, v.Type.Name, ErrNil)
		}
		addr = next
	}
	return v.s.At(addr+uint64(p.Offset), p.Field.Type), nil
}

// Selector gives the fields and indexes that lead to an offset of a type: ".shards[3].mu". It goes no further into a
// type at which it is told to stop; stop may be nil.
func Selector(t *symbols.Type, off int64, stop func(*symbols.Type) bool) string {
	var b strings.Builder
	Descend(t, off, func(t *symbols.Type, selector string) bool {
		b.WriteString(selector)
		return stop == nil || !stop(t)
	})
	return b.String()
}

// Descend enters a type, then the field or element of it that has an offset, and so on, until enter says no. selector
// leads from the one before: ".shards", "[3]".
func Descend(t *symbols.Type, off int64, enter func(t *symbols.Type, selector string) bool) {
	selector := ""
	for n := 0; n < 64 && t != nil && enter(t, selector); n++ {
		var part *symbols.Type
		if e := t.Elem(); t.Kind == reflect.Array && e != nil && e.Size > 0 {
			selector, off, part = fmt.Sprintf("[%d]", off/e.Size), off%e.Size, e
		}
		if t.Kind == reflect.Struct {
			for _, f := range t.Fields() {
				if off >= f.Offset && off < f.Offset+f.Type.Size {
					selector, off, part = "."+f.Name, off-f.Offset, f.Type
					break
				}
			}
		}
		t = part
	}
}

// Index gives the i-th element of an array, slice, string (a byte), pointer to an array, or of what is queued in a
// channel.
func (v Value) Index(i int) (Value, error) {
	if !v.IsValid() {
		return Value{}, v.Lacks("elements")
	}
	switch v.Type.Kind {
	case reflect.Pointer:
		if e := v.Type.Elem(); e == nil || e.Kind != reflect.Array {
			return Value{}, v.Lacks("elements")
		}
		array, err := v.Elem()
		if err != nil {
			return Value{}, err
		}
		return array.Index(i)
	case reflect.Chan:
		return v.queued(i)
	case reflect.Array, reflect.Slice, reflect.String:
	default:
		return Value{}, v.Lacks("elements")
	}
	data, n := v.Addr, v.Type.Len()
	elem := v.Type.Elem()
	if v.Type.Kind != reflect.Array {
		var err error
		if data, n, _, err = v.sliceHeader(); err != nil {
			return Value{}, err
		}
		v.s.through(v.Addr)
	}
	if v.Type.Kind == reflect.String {
		if v.s.trace != nil {
			v.s.trace.Text = true
		}
		elem, _ = v.s.file.Type("uint8")
	}
	if elem == nil {
		return Value{}, v.Lacks("elements")
	}
	if i < 0 || int64(i) >= n {
		return Value{}, fmt.Errorf("index %d with length %d: %w", i, n, ErrRange)
	}
	return v.s.At(data+uint64(int64(i)*elem.Size), elem), nil
}

// Elem gives what a pointer points to, or an interface's dynamic value. It fails with ErrNil if there is none.
func (v Value) Elem() (Value, error) {
	if !v.IsValid() {
		return Value{}, v.Lacks("element")
	}
	switch v.Type.Kind {
	case reflect.Pointer:
		elem := v.Type.Elem()
		if elem == nil {
			return Value{}, v.Lacks("known element type")
		}
		v.s.through(v.Addr)
		addr, err := v.s.Uint64(v.Addr)
		if err != nil {
			return Value{}, err
		}
		if addr == 0 {
			return Value{}, fmt.Errorf("nil %s: %w", v.Type.Name, ErrNil)
		}
		return v.s.At(addr, elem), nil
	case reflect.Interface:
		return v.dynamic()
	}
	return Value{}, v.Lacks("element")
}

// dynamic gives the value in an interface: at the data word where the runtime stores it directly
// (pointers and what has the shape of one), else where the data word points. Layout: runtime.iface, runtime.eface, and
// internal/abi.ITab, whose second word is the type, in all of Go 1.20 to 1.27.
func (v Value) dynamic() (Value, error) {
	b, err := v.bytes(16)
	if err != nil {
		return Value{}, err
	}
	word, data := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if word == 0 {
		return Value{}, fmt.Errorf("nil %s: %w", v.Type.Name, ErrNil)
	}
	if repr := v.Type.Repr(); repr == nil || repr.Name != "runtime.eface" {
		if word, err = v.s.Uint64(word + 8); err != nil {
			return Value{}, fmt.Errorf("itab of a %s: %w", v.Type.Name, err)
		}
	}
	t, err := v.s.RuntimeType(word)
	if err != nil {
		return Value{}, err
	}
	if t.Kind == reflect.Interface {
		// No interface holds an interface: following it could go on for ever.
		return Value{}, fmt.Errorf("%s says that it holds an interface, %s: %w", v, t.Name, ErrCorrupt)
	}
	direct, err := v.s.StoredDirectly(word, t)
	if err != nil {
		return Value{}, err
	}
	if direct {
		v.s.Note(v.Addr, 8)
		return v.s.At(v.Addr+8, t), nil
	}
	v.s.through(v.Addr + 8)
	v.s.Note(v.Addr, 8)
	if v.s.trace != nil {
		v.s.trace.Box = true
	}
	if data == 0 && t.Size > 0 {
		return Value{}, fmt.Errorf("interface holds a %s but no data: %w", t.Name, ErrCorrupt)
	}
	return v.s.At(data, t), nil
}

// Same tells whether two values are equal as far as their bytes tell: same type, same contents for scalars and
// strings, same address for pointers, and so on through structs, arrays and interfaces. Used for map keys.
func (v Value) Same(w Value) (bool, error) { return v.same(w, 0) }

func (v Value) same(w Value, depth int) (bool, error) {
	if v.Type != w.Type || depth > 32 {
		return false, nil
	}
	switch v.Type.Kind {
	case reflect.String:
		return v.sameText(w)
	case reflect.Interface:
		a, some, err := v.content()
		if err != nil {
			return false, err
		}
		b, other, err := w.content()
		if err != nil || !some || !other {
			return err == nil && some == other, err
		}
		return a.same(b, depth+1)
	case reflect.Struct, reflect.Array:
		return v.eachPart(func(_ int, part Value) (bool, error) {
			return part.same(w.s.At(w.Addr+part.Addr-v.Addr, part.Type), depth+1)
		})
	case reflect.Float32, reflect.Float64:
		a, err := v.Float()
		if err != nil {
			return false, err
		}
		b, err := w.Float()
		return a == b, err
	}
	a, err := v.bytes(v.Type.Size)
	if err != nil {
		return false, err
	}
	first := string(a)
	b, err := w.bytes(w.Type.Size)
	return err == nil && first == string(b), err
}

// content is what an interface holds; some is false for nil.
func (v Value) content() (inner Value, some bool, err error) {
	inner, err = v.Elem()
	if errors.Is(err, ErrNil) {
		return inner, false, nil
	}
	return inner, err == nil, err
}

// sameText compares strings piece by piece, whatever their length.
func (v Value) sameText(w Value) (bool, error) {
	a, n, _, err := v.sliceHeader()
	if err != nil {
		return false, err
	}
	b, m, _, err := w.sliceHeader()
	if err != nil || n != m {
		return false, err
	}
	const piece = 1 << 20
	for at := int64(0); at < n && a != b; at += piece {
		size := int(min(n-at, piece))
		x, err := v.s.Slice(a+uint64(at), size)
		if err != nil {
			return false, err
		}
		first := string(x)
		y, err := w.s.Slice(b+uint64(at), size)
		if err != nil || first != string(y) {
			return false, err
		}
	}
	return true, nil
}

// Slice gives v[low:high] of a string, slice or array; bounds are those of the length.
func (v Value) Slice(low, high int) (Value, error) {
	length, err := v.Len()
	if err != nil {
		return Value{}, err
	}
	return v.SliceWithin(low, high, length)
}

// SliceWithin gives v[low:high] where high may go up to a bound: a slice's capacity, as Go lets it.
func (v Value) SliceWithin(low, high, bound int) (Value, error) {
	data, t, size := v.Addr, v.Type, int64(1)
	switch v.Type.Kind {
	case reflect.Array:
		t = v.s.file.SliceOf(v.Type.Elem())
		size = v.Type.Elem().Size
	case reflect.Slice, reflect.String:
		var err error
		if data, _, _, err = v.sliceHeader(); err != nil {
			return Value{}, err
		}
		if v.Type.Kind == reflect.Slice && v.Type.Elem() != nil {
			size = v.Type.Elem().Size
		}
	default:
		return Value{}, v.Lacks("slices")
	}
	if low < 0 || high < low || high > bound {
		return Value{}, fmt.Errorf("bounds %d:%d with length %d: %w", low, high, bound, ErrRange)
	}
	header := binary.LittleEndian.AppendUint64(nil, data+uint64(int64(low)*size))
	header = binary.LittleEndian.AppendUint64(header, uint64(high-low))
	if t.Kind == reflect.Slice {
		header = binary.LittleEndian.AppendUint64(header, uint64(high-low))
	}
	return v.s.Local(header, t), nil
}

// Channel is the state of a channel.
type Channel struct {
	Len, Cap int
	Closed   bool
	Addr     uint64 // of the runtime.hchan
	Elem     *symbols.Type
	Buffer   uint64 // address of its elements: a ring
	First    uint64 // index in it of the next to be received
}

// Chan reads the state of a channel; a nil channel is the zero Channel.
func (v Value) Chan() (Channel, error) {
	if !v.IsValid() || v.Type.Kind != reflect.Chan {
		return Channel{}, v.Lacks("channel state")
	}
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return Channel{Elem: v.Type.Elem()}, err
	}
	c, err := v.s.ChannelAt(word)
	if err != nil {
		return Channel{}, fmt.Errorf("%s: %w", v.Type.Name, err)
	}
	c.Elem = v.Type.Elem()
	return c, nil
}

// ChannelAt reads the channel whose runtime.hchan is at an address. It doesn't know the elements' type. What can't be
// one is ErrCorrupt, and nobody is told that there is one: a variable that the code no longer keeps may lead to memory
// that is something else by now.
func (s *Space) ChannelAt(addr uint64) (Channel, error) {
	l := &s.Layouts().Channel
	if err := l.Err(); err != nil {
		return Channel{}, err
	}
	b, err := s.Slice(addr, int(l.Size))
	if err != nil {
		return Channel{}, err
	}
	closed := l.Closed.Uint(b)
	c := Channel{Addr: addr, Len: int(l.Count.Uint(b)), Cap: int(l.Capacity.Uint(b)), Closed: closed != 0,
		Buffer: l.Buffer.Uint(b), First: l.First.Uint(b)}
	if c.Len < 0 || c.Cap < 0 || c.Len > c.Cap || int64(c.Cap) > MaxBytes || c.Cap > 0 && c.First >= uint64(c.Cap) ||
		closed > 1 {
		return Channel{}, fmt.Errorf("a channel at %#x: %d elements queued of %d, next %d, closed %d: %w", addr, c.Len,
			c.Cap, c.First, closed, ErrCorrupt)
	}
	if l.ElemType.Known() && l.ElemSize.Known() {
		desc := l.ElemType.Uint(b)
		size, err := s.Uint64(desc) // abi.Type.Size_ (internal/abi/type.go, Go 1.20 to 1.27)
		switch {
		case err == nil && size == l.ElemSize.Uint(b), errors.Is(err, attach.ErrNotRecorded):
		case err != nil && !attach.IsNotMapped(err):
			return Channel{}, err
		default:
			return Channel{}, fmt.Errorf("a channel at %#x: its elements have %d bytes, and not as many as their type at "+
				"%#x: %w", addr, l.ElemSize.Uint(b), desc, ErrCorrupt)
		}
	}
	s.Saw(addr, l.Type)
	return c, nil
}

// queued gives the i-th element in a channel's buffer, in the order in which they will be received.
func (v Value) queued(i int) (Value, error) {
	c, err := v.Chan()
	if err != nil {
		return Value{}, err
	}
	if i < 0 || i >= c.Len {
		return Value{}, fmt.Errorf("index %d with %d elements queued: %w", i, c.Len, ErrRange)
	}
	if c.Elem == nil {
		return Value{}, v.Lacks("known element type")
	}
	if v.s.trace != nil {
		v.s.trace.Queue = true
	}
	slot := (c.First + uint64(i)) % uint64(c.Cap)
	return v.s.At(c.Buffer+slot*uint64(c.Elem.Size), c.Elem), nil
}
