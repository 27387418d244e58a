package heap

import (
	"cmp"
	"context"
	"fmt"
	"sort"

	"ri/attach"
	"ri/symbols"
	"ri/values"
)

// Heap is what the program's objects were at one look: which are alive, of which type they are, and what leads to them.
//
// It is made as the collector does it: from the roots (package variables, goroutines' stacks, finalizers) through the
// pointers that the program itself has noted for its collector. What is reached is alive; what the allocator merely
// hasn't taken back is not. Types come the same way: a variable's type says what its pointers lead to, and so on;
// interfaces and the allocator's own notes say the type themselves. What no typed pointer leads to is called untyped,
// and is followed all the same.
//
// Where more may be kept alive than the collector would keep: the frame in which a running goroutine was stopped, and
// one that a signal interrupted, have no exact map, so every word that looks like a pointer to an object counts, as do
// registers; and objects of more than 512 bytes whose noted type can't be read are gone through word by word. Small
// values without pointers that the runtime packs into slots of 16 bytes count as one object.
//
// A Heap keeps a few bytes for each slot of the heap (about 9, and 1 bit), and the target's memory where it can't be
// read in place. It is not safe for concurrent use, and valid as long as the view that it was made from.
type Heap struct {
	s       *values.Space
	ctx     context.Context
	tell    func(done, total int64, what string)
	sparse  attach.Sparse  // a recording: what words are pointers is there; nil: it is none
	witness values.Witness // nil: nobody listens
	direct  func(addr uint64, n int) []byte
	whole   bool // what direct doesn't give, the program never touched

	table      table
	spans      []span   // by address
	slots      uint32   // of all spans
	hints      []uint32 // for each 64 slots the span that the first one lies in
	firstArena uint64
	arenas     []*[arenaPages]uint32 // number of the span, plus one, of each page
	bitmaps    map[uint64]uint64     // addresses of arenas' pointer bitmaps, before Go 1.22

	marks   []uint64 // one bit a slot: alive
	types   []uint32 // of each slot: shape and strength
	parents []uint32 // of each slot: what first led to it
	live    int64
	done    int64

	typedWork, untypedWork queue
	collect                func(object, parent uint32) // instead of marking: is told each pointer
	fill                   []uint32
	edges                  *edges
	warmth                 byte  // what warm has read, so that it is read
	conservative           int64 // bytes that were gone through word by word

	shapes    []*shape
	shapeIDs  map[shapeKey]uint32
	text      uint32
	channel   uint32 // of a runtime.hchan
	pointered map[*symbols.Type]bool
	dynamics  map[uint64]dynamic
	itabs     map[uint64]uint64
	headers   map[headerKey]uint32
	closures  map[uint64]uint32
	// staticFuncs are the func values outside of the heap: of functions that capture nothing.
	staticFuncs map[uint64]bool

	roots    []heapRoot
	vars     []symbols.Var        // by address
	timer    uint32               // the shape of a runtime.timer
	timerIn  uint32               // of what one lies in
	timerAt  uint64               // where there
	statics  map[staticKey]uint32 // what first led there
	shared   map[uint64]bool      // static addresses to which something else leads, too
	dataLow  uint64               // bounds of the data sections
	dataHigh uint64

	staticDepth int
	modules     []moduleRange
	goroutines  []*values.Goroutine
	plans       map[planKey]*framePlan
	waits       []Waiting
	maskedBits  []uint64 // one bit a slot: it holds words that are not followed
	untraced    map[uint64]bool
	finalized   []uint32 // objects with finalizers that nothing else leads to
	problems    map[string]*problem
	keyless     bool // paths have no keys of maps
}

// problem is what could not be read, and how often.
type problem struct {
	count int64
	first error
}

// Progress is told how far the making of a Heap is.
type Progress func(done, total int64, what string)

// Build looks at the whole heap. It takes about a second for four million objects, most of it in waiting for memory.
// progress may be nil. The error is ctx's cause if that ended it, or says which of the runtime's structures is missing;
// broken spans and stacks are left out, see Problems.
func Build(ctx context.Context, s *values.Space, progress Progress) (*Heap, error) {
	if !s.File().HasDWARF() && !s.File().RuntimeOnly() {
		return nil, fmt.Errorf("the heap's types can't be told: %w", s.File().NoDWARF())
	}
	h := &Heap{
		s: s, ctx: ctx, tell: progress, bitmaps: map[uint64]uint64{},
		shapeIDs: map[shapeKey]uint32{}, pointered: map[*symbols.Type]bool{}, dynamics: map[uint64]dynamic{},
		itabs:   map[uint64]uint64{},
		headers: map[headerKey]uint32{}, closures: map[uint64]uint32{}, staticFuncs: map[uint64]bool{},
		plans: map[planKey]*framePlan{}, problems: map[string]*problem{},
		untraced: map[uint64]bool{}, statics: map[staticKey]uint32{}, shared: map[uint64]bool{},
	}
	if d, ok := s.Mem().Beneath().(attach.Director); ok {
		h.direct = d.Direct
		view, ok := d.(attach.View)
		h.whole = ok && view.Coverage().Whole
	}
	if h.sparse, _ = s.Mem().Beneath().(attach.Sparse); h.sparse != nil {
		if !h.whole {
			return nil, fmt.Errorf("the heap is not in the recording, which has what its instruments read; all that is "+
				"reachable is recorded by ri record --heap: %w", attach.ErrNotRecorded)
		}
		h.direct = nil
	}
	h.witness = s.Witness()
	h.shapes = []*shape{{name: "(untyped)", compiled: true}}
	h.text = h.shapeOf(shapeKey{form: formText})
	if head, err := s.Type("runtime.hchan"); err == nil {
		h.channel = h.one(head)
	}
	h.readTimers()
	h.roots = []heapRoot{{}}
	for _, step := range []func() error{h.readTable, h.readSpans, h.loadSpans, h.mark} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("heap: %w", err)
		}
	}
	h.tellAll()
	return h, nil
}

// readTimers finds out where the runtime's pointers to timers lead: into a larger object, of a timer of package time.
// runtime.timeTimer since Go 1.23 (runtime/time.go), time.Timer's r before (time/sleep.go, Go 1.20 to 1.22).
func (h *Heap) readTimers() {
	inner, err := h.s.Type("runtime.timer")
	if err != nil {
		return
	}
	for _, outer := range [][2]string{{"runtime.timeTimer", "timer"}, {"time.Timer", "r"}} {
		t, err := h.s.Type(outer[0])
		if err != nil {
			continue
		}
		for _, f := range t.Fields() {
			if f.Name == outer[1] {
				h.timer, h.timerIn, h.timerAt = h.one(inner), h.one(t), uint64(f.Offset)
				return
			}
		}
	}
}

// mark marks all that is alive.
func (h *Heap) mark() error {
	h.marks = make([]uint64, h.slots/64+1)
	h.types = make([]uint32, h.slots)
	h.parents = make([]uint32, h.slots)
	if err := h.readWaits(); err != nil {
		return err
	}
	for _, step := range []func() error{h.markVars, h.markStacks, h.markRest, h.wake, h.markBlocked} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// step says how far the work is, and whether it is to end.
func (h *Heap) step(what string, done, total int64) error {
	if h.tell != nil {
		h.tell(done, total, what)
	}
	return context.Cause(h.ctx)
}

// lost notes what could not be read.
func (h *Heap) lost(what string, err error) {
	p := h.problems[what]
	if p == nil {
		p = &problem{first: err}
		h.problems[what] = p
	}
	p.count++
}

// Problems tells what could not be read, in sentences.
func (h *Heap) Problems() []string {
	var out []string
	for what, p := range h.problems {
		out = append(out, fmt.Sprintf("%d %s; the first: %v", p.count, what, p.first))
	}
	sort.Strings(out)
	return out
}

// bytes gives n bytes of memory that the program may write to, in place where that can be.
func (h *Heap) bytes(addr uint64, n int) ([]byte, error) {
	if n < 0 || n > values.MaxBytes {
		return nil, fmt.Errorf("%d bytes at %#x: %w", n, addr, values.ErrCorrupt)
	}
	if h.sparse != nil {
		return h.holes(addr, uint64(n))
	}
	if h.direct != nil {
		if b := h.direct(addr, n); len(b) == n {
			return b, nil
		}
	}
	if n <= 1<<20 && !h.whole {
		return h.s.Slice(addr, n)
	}
	return h.wholeBytes(addr, uint64(n))
}

// Bounds of what is copied where memory can't be read in place.
const (
	copyPiece = 16 << 20
	maxHole   = 256 << 20 // so much that isn't there in one piece ends an object
)

// wholeBytes gives n bytes; pages that aren't there (never touched, or not in the core) are zero. What ends in nothing
// is cut off: a length that is wrong must not cost memory here.
func (h *Heap) wholeBytes(addr, n uint64) ([]byte, error) {
	if n > values.MaxBytes {
		return nil, fmt.Errorf("%d bytes at %#x: %w", n, addr, values.ErrCorrupt)
	}
	if h.sparse != nil {
		return h.holes(addr, n)
	}
	if h.direct != nil {
		if b := h.direct(addr, int(n)); len(b) == int(n) {
			return b, nil
		}
	}
	data := make([]byte, min(n, copyPiece))
	there, warned := uint64(0), false // behind the last page that is there
	for at := uint64(0); at < n; {
		if err := context.Cause(h.ctx); err != nil {
			return nil, err
		}
		if at >= uint64(len(data)) {
			data = append(data, make([]byte, min(n-uint64(len(data)), copyPiece))...)
		}
		got, err := h.piece(data[at:], addr+at)
		if at += uint64(got); got > 0 {
			there = at
		}
		if err == nil {
			continue
		}
		if !isAbsent(err) {
			return nil, err
		}
		if !warned && !h.whole {
			warned = true
			h.lost("pieces of the heap of which pages aren't there", err)
		}
		at = (addr+at+attach.PageSize)&^(attach.PageSize-1) - addr
		if at-there > maxHole {
			return data[:min(there, uint64(len(data)))], nil
		}
	}
	return data, nil
}

// piece reads what is there at an address, and says where that ends. Of a copy that has all memory, what it doesn't
// have was never touched: to read it would be to look at the running program.
func (h *Heap) piece(p []byte, addr uint64) (int, error) {
	if !h.whole {
		return h.s.Mem().Beneath().ReadMemory(p, addr)
	}
	n := 0
	for n < len(p) {
		step := min(len(p)-n, int(attach.PageSize-(addr+uint64(n))%attach.PageSize))
		b := h.direct(addr+uint64(n), step)
		if len(b) != step {
			return n, &attach.AddressError{Addr: addr + uint64(n)}
		}
		n += copy(p[n:], b)
	}
	return n, nil
}

// Type is the live objects of one type.
type Type struct {
	Type     string
	Count    int64
	Bytes    int64 // of their slots: what the allocator gave for them
	Untyped  bool  // nothing says what they are; Type has the size of their slots
	Pointers int64 // of untyped objects: words that hold pointers
}

// Types gives the live objects by type, the largest sum of bytes first.
func (h *Heap) Types() []Type {
	counts, bytes := make([]int64, len(h.shapes)), make([]int64, len(h.shapes))
	untyped := map[uint64]*Type{}
	h.eachLive(func(sp *span, object uint32) bool {
		id := h.types[object] >> 2
		if id != 0 {
			counts[id]++
			bytes[id] += int64(sp.size)
			return true
		}
		u := untyped[sp.size]
		if u == nil {
			u = &Type{Type: h.describe(0, sp.size), Untyped: true}
			untyped[sp.size] = u
		}
		u.Count++
		u.Bytes += int64(sp.size)
		if sp.kind == spanBits {
			for bits := h.pointerBits(sp, sp.offset(object)); bits != 0; bits &= bits - 1 {
				u.Pointers++
			}
		}
		return true
	})
	byName := map[string]*Type{}
	for id, n := range counts {
		if n == 0 {
			continue
		}
		name := h.shapes[id].name
		t := byName[name]
		if t == nil {
			t = &Type{Type: name}
			byName[name] = t
		}
		t.Count += n
		t.Bytes += bytes[id]
	}
	for _, t := range untyped {
		byName[t.Type] = t
	}
	return sorted(byName, func(a, b *Type) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
}

// eachLive calls back for each live object until it says no.
func (h *Heap) eachLive(yield func(sp *span, object uint32) bool) {
	for i := range h.spans {
		sp := &h.spans[i]
		for slot := uint32(0); slot < sp.count; slot++ {
			object := sp.first + slot
			word := h.marks[object/64] >> (object % 64)
			if word == 0 {
				slot += 63 - object%64
				continue
			}
			if word&1 != 0 && !yield(sp, object) {
				return
			}
		}
	}
}

// Object is one object.
type Object struct {
	Base, Size uint64 // of its slot
	Type       string
	Live       bool
	Exact      bool // the type is sure; else it is that of something inside, or not known
}

// Object tells which object an address lies in; ok is false outside the heap.
func (h *Heap) Object(addr uint64) (o Object, ok bool) {
	sp, slot := h.find(addr)
	if sp == nil {
		return o, false
	}
	object := sp.first + slot
	o = Object{Base: sp.start + uint64(slot)*sp.size, Size: sp.size, Live: h.isLive(object),
		Exact: h.types[object]&3 >= strengthExact}
	o.Type = h.describe(h.types[object]>>2, sp.size)
	return o, true
}

func (h *Heap) isLive(object uint32) bool { return h.marks[object/64]>>(object%64)&1 != 0 }

// Stats are a heap's figures.
type Stats struct {
	Spans, Slots int64
	SpanBytes    int64 // of spans that objects live in
	Live         int64 // objects
	LiveBytes    int64
	TypedBytes   int64 // of live objects whose type is known
	GuessedBytes int64 // gone through word by word, for want of a type
}

// Live is how many objects are alive.
func (h *Heap) Live() int64 { return h.live }

// Stats gives the figures.
func (h *Heap) Stats() Stats {
	st := Stats{Spans: int64(len(h.spans)), Slots: int64(h.slots), Live: h.live, GuessedBytes: h.conservative}
	for i := range h.spans {
		st.SpanBytes += int64(h.spans[i].end - h.spans[i].start)
	}
	h.eachLive(func(sp *span, object uint32) bool {
		st.LiveBytes += int64(sp.size)
		if h.types[object]>>2 != 0 {
			st.TypedBytes += int64(sp.size)
		}
		return true
	})
	return st
}
