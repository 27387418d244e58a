package compile_test

import (
	"bytes"
	"encoding/binary"
	"math"

	"ri/attach"
	"ri/probe"
)

// machine does what the kernel does with a plan, as package probe says it, on memory that can be read.
type machine struct {
	mem       attach.Memory
	registers map[int]uint64
	cfa       uint64
	pieces    []probe.Piece
	entry     *machine
	since     uint64
}

// state is a third outcome besides true and false.
type state = probe.State

func (m *machine) load(addr uint64, n int) ([]byte, state) {
	b := make([]byte, n)
	if _, err := m.mem.ReadMemory(b, addr); err != nil {
		return nil, probe.Unreadable
	}
	return b, probe.Captured
}

func (m *machine) base(b probe.Base) (uint64, state) {
	switch b.Kind {
	case probe.Constant:
		return b.Word, probe.Captured
	case probe.Register:
		return m.registers[b.N], probe.Captured
	case probe.CFA:
		return m.cfa, probe.Captured
	case probe.EntryRegister:
		return m.entry.registers[b.N], probe.Captured
	case probe.EntryItem:
		b.Kind = probe.Item
		return m.entry.base(b)
	case probe.Element:
		return m.element(b.Elem)
	}
	p := m.pieces[b.N]
	if p.State != probe.Captured && p.State != probe.Truncated || b.Off+8 > int64(len(p.Data)) {
		return 0, probe.Unwanted
	}
	return binary.LittleEndian.Uint64(p.Data[b.Off:]), probe.Captured
}

func (m *machine) element(e *probe.Elem) (uint64, state) {
	header, st := m.word(e.Map)
	if st != probe.Captured || header == 0 {
		return 0, max(st, probe.NilOnTheWay)
	}
	word := func(addr uint64, off int64) uint64 {
		b, got := m.load(addr+uint64(off), 8)
		if got != probe.Captured {
			st = got
			return 0
		}
		return binary.LittleEndian.Uint64(b)
	}
	group, groups := word(header, e.Directory), uint64(1)
	if group == 0 {
		return 0, probe.NilOnTheWay
	}
	if tables := word(header, e.Tables); tables == 1 {
		table := word(group, 0)
		group, groups = word(table, e.Groups), word(table, e.Mask)+1
	} else if tables > 1 {
		return 0, probe.Unreadable
	}
	for i := range min(groups, probe.MaxGroups) {
		for slot := range int64(probe.GroupSlots) {
			at := group + i*uint64(e.Group)
			if word(at, e.Control)>>(8*slot)&0x80 != 0 {
				continue
			}
			place := at + uint64(e.Keys.First+slot*e.Keys.Stride)
			size := len(e.Key)
			if e.Text {
				if word(place, 8) != uint64(size) {
					continue
				}
				place = word(place, 0)
			}
			if key, got := m.load(place, size); got == probe.Captured && bytes.Equal(key, e.Key) && st == probe.Captured {
				return at + uint64(e.Elems.First+slot*e.Elems.Stride), probe.Captured
			}
		}
	}
	if groups > probe.MaxGroups || st != probe.Captured {
		return 0, probe.Unreadable
	}
	return 0, probe.NilOnTheWay
}

func (m *machine) path(p probe.Path) (uint64, state) {
	w, st := m.base(p.Base)
	if st != probe.Captured {
		return 0, st
	}
	for _, step := range p.Steps {
		if w == 0 {
			return 0, probe.NilOnTheWay
		}
		b, st := m.load(w+uint64(step), 8)
		if st != probe.Captured {
			return 0, st
		}
		w = binary.LittleEndian.Uint64(b)
	}
	if w == 0 {
		return 0, probe.NilOnTheWay
	}
	return w + uint64(p.Last), probe.Captured
}

func (m *machine) word(w probe.Word) (uint64, state) {
	var v uint64
	if w.InPlace {
		base, st := m.base(w.Path.Base)
		if st != probe.Captured {
			return 0, st
		}
		v = base >> w.Shift
	} else {
		at, st := m.path(w.Path)
		if st != probe.Captured {
			return 0, st
		}
		b, st := m.load(at, int(w.Size))
		if st != probe.Captured {
			return 0, st
		}
		v = binary.LittleEndian.Uint64(append(b, make([]byte, 8)...))
	}
	shift := 64 - 8*uint(w.Size)
	if w.Signed {
		return uint64(int64(v<<shift) >> shift), probe.Captured
	}
	return v << shift >> shift, probe.Captured
}

// outcome of a condition: true, false, or not decided.
type outcome int

const (
	no outcome = iota
	undecided
	yes
)

func of(b bool) outcome {
	if b {
		return yes
	}
	return no
}

func (m *machine) decide(c probe.Condition) outcome {
	switch c := c.(type) {
	case nil:
		return yes
	case probe.And:
		out := yes
		for _, part := range c {
			out = min(out, m.decide(part))
		}
		return out
	case probe.Or:
		out := no
		for _, part := range c {
			out = max(out, m.decide(part))
		}
		return out
	case probe.Not:
		return yes - m.decide(c.Of)
	case probe.Compare:
		return m.compare(c)
	case probe.Text:
		return m.text(c)
	case probe.Since:
		return of(holds(c.Op, cmpOf(m.since, c.Right, false)))
	}
	panic("no such condition")
}

func cmpOf(a, b uint64, signed bool) int {
	less := a < b
	if signed {
		less = int64(a) < int64(b)
	}
	if a == b {
		return 0
	} else if less {
		return -1
	}
	return 1
}

func holds(op probe.Op, c int) bool {
	return [...]bool{probe.Equal: c == 0, probe.NotEqual: c != 0, probe.Less: c < 0, probe.LessEqual: c <= 0,
		probe.Greater: c > 0, probe.GreaterEqual: c >= 0}[op]
}

func (m *machine) compare(c probe.Compare) outcome {
	left, st := m.word(c.Left)
	if st != probe.Captured {
		return undecided
	}
	right := c.Right
	if c.With != nil {
		if right, st = m.word(*c.With); st != probe.Captured {
			return undecided
		}
	}
	if c.Float {
		a, b := math.Float64frombits(left), math.Float64frombits(right)
		if c.Left.Size == 4 {
			a, b = float64(math.Float32frombits(uint32(left))), float64(math.Float32frombits(uint32(right)))
		}
		return of([...]bool{probe.Equal: a == b, probe.NotEqual: a != b, probe.Less: a < b, probe.LessEqual: a <= b,
			probe.Greater: a > b, probe.GreaterEqual: a >= b}[c.Op])
	}
	return of(holds(c.Op, cmpOf(left, right, c.Left.Signed)))
}

func (m *machine) text(t probe.Text) outcome {
	length, st := m.word(t.Len)
	if st != probe.Captured {
		return undecided
	}
	data, st := m.word(t.Data)
	if st != probe.Captured {
		return undecided
	}
	if length < uint64(len(t.Literal)) || t.Op == probe.Is && length != uint64(len(t.Literal)) {
		return no
	}
	n := uint64(len(t.Literal))
	switch t.Op {
	case probe.HasSuffix:
		data += length - n
	case probe.Contains:
		n = min(length, uint64(t.Within))
	}
	b, st := m.load(data, int(n))
	switch {
	case st != probe.Captured:
		return undecided
	case bytes.Contains(b, t.Literal):
		return yes
	case t.Op == probe.Contains && length > n:
		return undecided
	}
	return no
}

func (m *machine) capture(reads []probe.Read) {
	for _, r := range reads {
		m.pieces = append(m.pieces, m.read(r))
	}
}

func (m *machine) read(r probe.Read) probe.Piece {
	for _, guard := range r.When {
		if m.compare(guard) != yes {
			return probe.Piece{State: probe.Unwanted}
		}
	}
	size, want := uint64(r.Size), uint64(r.Size)
	if r.Count != nil {
		count, st := m.word(*r.Count)
		if st != probe.Captured {
			return probe.Piece{State: st}
		}
		if int64(count) < 0 {
			count = 0
		}
		want = count * uint64(r.Each)
		size = min(size, want)
	}
	if size == 0 {
		return probe.Piece{State: probe.Captured}
	}
	at, st := m.path(r.At)
	if st != probe.Captured {
		return probe.Piece{State: st}
	}
	b, st := m.load(at, int(size))
	p := probe.Piece{State: st, Addr: at, Want: want, Data: b}
	if st == probe.Captured && want > size {
		p.State = probe.Truncated
	}
	return p
}
