package host

import (
	"encoding/binary"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/secrets"
	"ri/values"
)

// Functions that read what is in a value: text, bytes, functions, channels, times.

// maxBytes bounds one read of ri.bytes and ri.memory.
const maxBytes = 16 << 20

// read asks the value or place that is the first argument for something.
func read[T any](h *Host, L *lua.LState, ask func(values.Value) (T, error)) T {
	v, path := h.target(L, 1)
	out, err := ask(v)
	if err != nil {
		h.raise(L, &pathError{path, err})
	}
	return out
}

func (h *Host) riText(L *lua.LState) int {
	most := L.OptInt(2, maxText)
	if most < 0 || most > maxBytes {
		L.ArgError(2, fmt.Sprintf("from 0 to %d bytes", maxBytes))
	}
	if s, ok := L.Get(1).(lua.LString); ok {
		L.Push(s[:min(most, len(s))])
		L.Push(lua.LNumber(len(s)))
		return 2
	}
	v, path := h.target(L, 1)
	text, full, err := v.Text(most)
	if err != nil {
		h.raise(L, &pathError{path, err})
	}
	L.Push(lua.LString(text))
	L.Push(lua.LNumber(full))
	return 2
}

// riBytes gives bytes [from, to) of a []byte, [N]byte or string.
func (h *Host) riBytes(L *lua.LState) int {
	from := L.OptInt(2, 0)
	if s, ok := L.Get(1).(lua.LString); ok {
		from, to := h.byteRange(L, from, len(s))
		L.Push(s[from:to])
		return 1
	}
	from, to := h.byteRange(L, from, read(h, L, values.Value.Len))
	L.Push(lua.LString(read(h, L, func(v values.Value) ([]byte, error) {
		part, err := v.Slice(from, to)
		if err != nil {
			return nil, err
		}
		data, _, err := part.Bytes(to - from)
		return data, err
	})))
	return 1
}

func (h *Host) byteRange(L *lua.LState, from, full int) (int, int) {
	to := L.OptInt(3, full)
	if from < 0 || to < from || to > full {
		L.RaiseError("ri.bytes: from %d to %d of %d bytes", from, to, full)
	}
	if to-from > maxBytes {
		L.RaiseError("ri.bytes: %d bytes are more than %d: read them in parts, ri.bytes(v, from, to)", to-from, maxBytes)
	}
	return from, to
}

func (h *Host) riMemory(L *lua.LState) int {
	addr, n := h.uint64Arg(L, 1), L.CheckInt(2)
	if n < 0 || n > maxBytes {
		L.ArgError(2, fmt.Sprintf("from 0 to %d bytes", maxBytes))
	}
	data, err := h.space.Slice(addr, n)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.memory: %w", err))
	}
	L.Push(lua.LString(data))
	return 1
}

func (h *Host) riFunc(L *lua.LState) int {
	f := read(h, L, func(v values.Value) (values.Function, error) {
		f, err := v.Func()
		if err == nil {
			err = f.Lacks
		}
		return f, err
	})
	captured := h.lua.NewTable()
	for _, c := range f.Captured {
		value, err := h.fromValue(c.Value, nil, textStep(c.Name))
		if err != nil {
			continue // garbage; the rest may be good
		}
		captured.RawSetString(c.Name, value)
	}
	L.Push(h.table("name", f.Func, "file", f.File, "line", f.Line.Line, "pc", f.PC, "captured", captured))
	return 1
}

func (h *Host) riChan(L *lua.LState) int {
	c := read(h, L, values.Value.Chan)
	elem := h.opaque.goType.Name
	if c.Elem != nil {
		elem = c.Elem.Name
	}
	L.Push(h.table("len", c.Len, "cap", c.Cap, "closed", c.Closed, "addr", c.Addr, "elem", elem))
	return 1
}

func (h *Host) riTime(L *lua.LState) int {
	t := read(h, L, values.Value.Time)
	L.Push(h.table("unix", h.int64Value(t.Unix()), "nsec", t.Nanosecond(), "text", t.Format(time.RFC3339Nano), "zero",
		t.IsZero()))
	return 1
}

func (h *Host) riAge(L *lua.LState) int {
	t := read(h, L, values.Value.Time)
	if t.IsZero() {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(h.opt.Now().Sub(t).Seconds()))
	return 1
}

// riDuration is nanoseconds as Go prints them.
func (h *Host) riDuration(L *lua.LState) int {
	f, ok := float(L.CheckAny(1))
	if !ok {
		L.ArgError(1, "nanoseconds expected, got "+h.describe(L.Get(1)))
	}
	if i, ok := integer(L.Get(1)); ok && i.IsInt64() {
		L.Push(lua.LString(time.Duration(i.Int64()).String()))
		return 1
	}
	L.Push(lua.LString(time.Duration(f).String()))
	return 1
}

func (h *Host) riReal(L *lua.LState) int {
	L.Push(lua.LNumber(real(read(h, L, values.Value.Complex))))
	return 1
}

func (h *Host) riImag(L *lua.LState) int {
	L.Push(lua.LNumber(imag(read(h, L, values.Value.Complex))))
	return 1
}

// riPairs gives an iterator over what a value holds.
func (h *Host) riPairs(L *lua.LState) int {
	switch v := L.Get(1).(type) {
	case *lua.LNilType: // as Go ranges over nil
		L.Push(h.function(func(L *lua.LState) int { return 0 }))
		return 1
	case *lua.LTable:
		L.Push(h.lua.GetGlobal("next"))
		L.Push(v)
		return 2
	}
	if p, ok := placeOf(L.Get(1)); ok {
		L.Replace(1, h.start(L, p.value, p.path))
	}
	r, ok := refOf(L.Get(1))
	if !ok {
		L.ArgError(1, "a Go value expected, got "+h.describe(L.Get(1)))
	}
	b := r.binding.pointee()
	var next func(L *lua.LState) int
	var err error
	switch b.class {
	case classArray, classSlice:
		next, err = h.sequence(r, b)
	case classMap:
		next, err = h.entries(L, r)
	case classHandle:
		next, err = h.queue(r)
	default:
		walker, werr := h.walker(L, b)
		if werr == nil && walker != nil {
			L.Push(walker)
			L.Push(L.Get(1))
			L.Call(1, 3)
			return 3
		}
		err = werr
		if err == nil {
			err = fmt.Errorf("a %s has nothing to go through: ri.pairs takes arrays, slices, maps, channels%s",
				r.binding.goType.Name, h.walkerNames())
		}
	}
	if err != nil {
		h.raise(L, &pathError{r.path(), err})
	}
	L.Push(h.function(next))
	return 1
}

// sequence goes through an array or slice.
func (h *Host) sequence(r *ref, b *binding) (func(L *lua.LState) int, error) {
	elem := b.element()
	v := r.value()
	base, n := v.Addr, 0
	if b.class == classArray {
		n = int(b.goType.Len())
	} else {
		header, err := h.space.Slice(v.Addr, 24)
		if err != nil {
			return nil, err
		}
		base = binary.LittleEndian.Uint64(header)
		length, capacity := binary.LittleEndian.Uint64(header[8:]), binary.LittleEndian.Uint64(header[16:])
		if length > capacity || length > 1<<47 || length > 0 && base == 0 {
			return nil, fmt.Errorf("%w: data 0x%x, length %d, capacity %d", values.ErrCorrupt, base, int64(length),
				int64(capacity))
		}
		n = int(length)
	}
	size := uint64(elem.goType.Size)
	return h.indexed(r, n, func(i int) (lua.LValue, error) {
		return h.load(elem, base+uint64(i)*size, r, indexStep(i))
	}), nil
}

// indexed counts through n elements.
func (h *Host) indexed(r *ref, n int, element func(i int) (lua.LValue, error)) func(L *lua.LState) int {
	i := 0
	return func(L *lua.LState) int {
		if i >= n {
			return 0
		}
		value, err := element(i)
		if err != nil {
			h.raise(L, &pathError{childPath(r, indexStep(i)), err})
		}
		L.Push(lua.LNumber(i))
		L.Push(value)
		i++
		return 2
	}
}

// queue goes through what waits in a channel's buffer.
func (h *Host) queue(r *ref) (func(L *lua.LState) int, error) {
	v := r.value()
	n, err := v.Len()
	return h.indexed(r, n, func(i int) (lua.LValue, error) {
		e, err := v.Index(i)
		if err != nil {
			return lua.LNil, err
		}
		return h.fromValue(e, r, indexStep(i))
	}), err
}

// entries goes through a map: its entries are noted at the start, in the order of the map's memory.
func (h *Host) entries(L *lua.LState, r *ref) (func(L *lua.LState) int, error) {
	m := r.value()
	var list []mapEntry
	if n, err := m.Len(); err == nil {
		list = make([]mapEntry, 0, min(n, 1<<16)) // its count may be garbage
	}
	broken := m.EntryAddresses(func(key, elem uint64) bool {
		h.check(L)
		list = append(list, mapEntry{key, elem})
		return true
	})
	if m.Type.Key() == nil || m.Type.Elem() == nil {
		return nil, fmt.Errorf("a %s has no keys", m.Type.Name)
	}
	keys, elems := h.bind(m.Type.Key()), h.bind(m.Type.Elem())
	i := 0
	return func(L *lua.LState) int {
		if i >= len(list) {
			if broken != nil {
				h.raise(L, &pathError{r.path(), fmt.Errorf("after %d entries: %w", i, broken)})
			}
			return 0
		}
		if i%warmAhead == 0 {
			h.warm(keys, elems, list[i:min(i+warmAhead, len(list))])
		}
		e := list[i]
		i++
		key, err := h.load(keys, e.key, r, entryKeyStep)
		var value lua.LValue
		if err == nil {
			value, err = h.load(elems, e.value, r, entryStep)
		}
		if err != nil {
			h.raise(L, &pathError{fmt.Sprintf("%s: entry %d", r.path(), i-1), err})
		}
		L.Push(h.orNull(key))
		L.Push(value)
		return 2
	}, nil
}

// Steps to what an iteration over a map gives: no text is made for each key.
var (
	entryKeyStep = textStep("[key]")
	entryStep    = textStep("[...]")
)

// mapEntry is where a map's key and element lie.
type mapEntry struct{ key, value uint64 }

// warmAhead is how many entries of a map are made warm at a time.
const warmAhead = 64

// warm has the processor fetch what the next entries lead to: in a map's order each lies somewhere else, and one after
// the other the processor would wait for each.
func (h *Host) warm(keys, elems *binding, list []mapEntry) {
	sum := byte(0)
	fetch := func(b *binding, addr uint64) {
		switch b.class {
		case classString, classPointer:
		case classInterface:
			addr += 8
		default:
			return
		}
		if word, err := h.space.Uint64(addr); err == nil && word != 0 {
			sum ^= h.space.Mem().Warm(word)
		}
	}
	for _, e := range list {
		fetch(keys, e.key)
	}
	for _, e := range list {
		fetch(elems, e.value)
	}
	h.warmth ^= sum
}

// riMasked gives what may be shown of a value by its name, or of a list of arguments, and how much was masked.
func (h *Host) riMasked(L *lua.LState) int {
	if list, ok := L.Get(1).(*lua.LTable); ok {
		var args []string
		for i := 1; i <= list.Len(); i++ {
			text := lua.LVAsString(list.RawGetInt(i))
			if isToken(lua.LString(text)) {
				text = "" // as random as a key, and no secret
			}
			args = append(args, text)
		}
		shown, n := secrets.Arguments(args)
		out := h.lua.CreateTable(len(shown), 0)
		for i, text := range shown {
			if given := list.RawGetInt(i + 1); isToken(given) {
				out.Append(given)
				continue
			}
			out.Append(lua.LString(text))
		}
		L.Push(out)
		L.Push(lua.LNumber(n))
		return 2
	}
	if isToken(L.Get(2)) {
		L.Push(L.Get(2))
		L.Push(lua.LNumber(0))
		return 2
	}
	shown, n := secrets.Value(L.CheckString(1), L.CheckString(2))
	L.Push(lua.LString(shown))
	L.Push(lua.LNumber(n))
	return 2
}
