package values

import (
	"encoding/binary"
	"fmt"
	"time"

	"ri/attach"
)

// This file reads the stacks of single parked goroutines apart from the page cache. A hundred thousand goroutines that
// wait have a page of stack each, of which somebody wants two words.

// apart is the stack that is read apart. It is the part in use of one that a StackMemo remembers.
type apart struct {
	low, size uint64 // size 0: there is none
	of        *Goroutine
	leaf      int32
	known     *stackWords
	direct    attach.Memory // live; nil: what isn't known is read through the cache
	base      uint64        // of piece
	piece     []byte
	room      [1024]byte
}

// stackWords are the words of a stack that somebody has read.
type stackWords struct {
	hi    uint64 // the stack's end when they were read: stacks are moved
	words []stackWord
}

type stackWord struct {
	below uint32 // the stack's end, in bytes
	value uint64
}

// stackReads is what a StackMemo remembers for who reads stacks apart.
type stackReads struct {
	index  map[uint64]int32  // of parked, by the goroutine's address; once asked for
	words  []stackWords      // of each of parked
	shapes map[int32][]Frame // by leaf: see shape
}

// OnStack calls look, and meanwhile has the goroutine's stack read apart from the page cache, if it parks and Stacks
// has remembered it in this look. What is read of the stack in a live view is remembered as the stack is, for a copy of
// the memory that is taken later. See [StackMemo] for when a memory is believed.
func (s *Space) OnStack(g *Goroutine, look func()) {
	if s.apart.of == nil && s.beApart(g) {
		defer func() {
			a := &s.apart
			a.low, a.size, a.of, a.known, a.direct, a.piece = 0, 0, nil, nil, nil, nil
		}()
	}
	look()
}

// beApart prepares for what is read of a goroutine's stack; false if that isn't remembered.
func (s *Space) beApart(g *Goroutine) bool {
	m := s.remembered
	if m == nil || g.status != statusWaiting || s.witness != nil {
		return false
	}
	i, ok := m.find(g.Addr)
	if !ok {
		return false
	}
	p := &m.parked[i]
	if *p != (parked{addr: g.Addr, pc: g.PC, depth: g.StackHi - g.SP, id: g.ID, leaf: p.leaf, seq: g.seq}) {
		return false
	}
	a := &s.apart
	a.of, a.leaf, a.low, a.size = g, p.leaf, g.SP, p.depth
	a.known = &m.words[i]
	if view, ok := s.mem.Beneath().(attach.View); ok && view.Kind() == attach.Live {
		a.direct = view
	}
	if a.known.hi != g.StackHi {
		if a.direct == nil { // it was moved, and words may point into it
			a.size, a.known = 0, nil
		} else {
			*a.known = stackWords{hi: g.StackHi}
		}
	}
	return true
}

// find gives a goroutine's index among the remembered ones.
func (m *StackMemo) find(addr uint64) (int32, bool) {
	if m.index == nil && len(m.parked) > 0 {
		m.index = make(map[uint64]int32, len(m.parked))
		for i := range m.parked {
			if m.parked[i].addr != 0 {
				m.index[m.parked[i].addr] = int32(i)
			}
		}
		m.words = make([]stackWords, len(m.parked))
	}
	i, ok := m.index[addr]
	return i, ok
}

// apartWord reads a word of the stack that is read apart.
func (s *Space) apartWord(addr uint64) (uint64, error) {
	a := &s.apart
	left := a.low + a.size - addr
	if left < 8 || addr%8 != 0 {
		return s.mem.Uint64(addr)
	}
	below := uint32(left)
	for i := range a.known.words {
		if w := &a.known.words[i]; w.below == below {
			return w.value, nil
		}
	}
	if a.direct == nil {
		return s.mem.Uint64(addr)
	}
	if off := addr - a.base; a.piece == nil || off >= uint64(len(a.piece)) || uint64(len(a.piece))-off < 8 {
		a.base = addr
		if a.piece == nil && addr-a.low <= uint64(len(a.room))-8 {
			a.base = a.low
		}
		n, _ := a.direct.ReadMemory(a.room[:min(uint64(len(a.room)), a.low+a.size-a.base)], a.base)
		if a.piece = a.room[:n]; uint64(n) < addr-a.base+8 {
			a.piece = nil
			return s.mem.Uint64(addr)
		}
	}
	value := binary.LittleEndian.Uint64(a.piece[addr-a.base:])
	a.known.words = append(a.known.words, stackWord{below, value})
	return value, nil
}

// apartSlice is Slice within the stack that is read apart.
func (s *Space) apartSlice(addr uint64, n int) ([]byte, error) {
	first := addr &^ 7
	end := (addr + uint64(n) + 7) &^ 7
	if n <= 0 || n > len(s.apart.room) || first < s.apart.low || end > s.apart.low+s.apart.size {
		return s.mem.Slice(addr, n)
	}
	out := make([]byte, 0, end-first)
	for at := first; at < end; at += 8 {
		w, err := s.apartWord(at)
		if err != nil {
			return nil, err
		}
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out[addr-first:][:n:n], nil
}

// shape gives the frames of a remembered stack, with the distances of their CFAs from the goroutine's SP; nil if they
// are not all of the stack's.
func (m *StackMemo) shape(s *Space, leaf int32) []Frame {
	if frames, ok := m.shapes[leaf]; ok {
		return frames
	}
	var frames []Frame
	if leaf >= 0 && m.nodes[leaf].top {
		var path []*stackNode
		for at := leaf; at >= 0; at = m.nodes[at].parent {
			path = append(path, &m.nodes[at])
		}
		cfa := uint64(0)
		for i := len(path) - 1; i >= 0; i-- {
			cfa += uint64(path[i].size)
			for _, f := range s.FramesAt(path[i].pc, path[i].exact) {
				f.CFA = cfa
				frames = append(frames, f)
			}
		}
	}
	if m.shapes == nil {
		m.shapes = map[int32][]Frame{}
	}
	m.shapes[leaf] = frames
	return frames
}

// knownStack gives the stack of a goroutine that is read apart, as a number that all with the same functions have.
func (s *Space) knownStack(g *Goroutine) (leaf int32, ok bool) {
	if s.apart.of != g || s.remembered.shape(s, s.apart.leaf) == nil {
		return 0, false
	}
	return s.apart.leaf, true
}

// unwindApart is Unwind of a stack whose shape is known; false if it isn't.
func (g *Goroutine) unwindApart(limit int) (frames []Frame, err error, ok bool) {
	s := g.s
	leaf, ok := s.knownStack(g)
	if !ok {
		return nil, nil, false
	}
	shape := s.remembered.shape(s, leaf)
	functions := 0
	for i := range shape {
		if shape[i].Inlined {
			continue
		}
		if functions++; functions == limit && i+1 < len(shape) {
			shape = shape[:i+1]
			err = fmt.Errorf("goroutine %d: stack deeper than the limit of %d functions: %w", g.ID, limit, ErrRange)
			break
		}
	}
	frames = make([]Frame, len(shape))
	copy(frames, shape)
	for i := range frames {
		frames[i].CFA += g.SP
	}
	return frames, err, true
}

// moment is when memory was as it is seen: now, where it is seen live.
func (s *Space) moment() time.Time {
	if view, ok := s.mem.Beneath().(attach.View); ok && view.Kind() != attach.Live && !s.viewed.IsZero() {
		return s.viewed
	}
	return time.Now()
}

// keepAfter is how old what is remembered is before KeepStacks looks again.
const keepAfter = memoryLasts / 4

// KeepStacks has what Stacks remembered in this look believed for longer: in a live view, after some seconds, it looks
// which goroutines have run, and forgets those. Whoever looks for long calls it now and then, often.
func (s *Space) KeepStacks() {
	m := s.remembered
	if m == nil || !m.known || time.Since(m.seen) < keepAfter || time.Since(m.seen) > memoryLasts {
		return
	}
	reader, ok := s.mem.Beneath().(attach.RangeReader)
	if view, is := reader.(attach.View); !ok || !is || view.Kind() != attach.Live {
		return
	}
	g := &grouping{s: s, l: s.gs, opt: StackOptions{Limit: m.limit}, memo: m, direct: reader}
	began := time.Now()
	if g.forgetTheBusy() == nil {
		m.seen = began
	}
}
