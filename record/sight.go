package record

import (
	"cmp"
	"math/bits"
	"reflect"
	"slices"

	"ri/attach"
	"ri/symbols"
)

// Sight is what was looked at. It is not safe for concurrent use.
type Sight struct {
	typed []numbered // what was looked at as a type; some more than once
	types []*symbols.Type
	ids   map[*symbols.Type]uint32 // of types
	walks []walk                   // the heap's objects
	words map[uint64]*wordsOfPage  // by page number
	bits  []extent
	// where functions return to, by page: parts of no value
	returns map[uint64]*wordsOfPage

	page  uint64 // the one that was looked up last
	found *wordsOfPage
}

type typedAt struct {
	addr uint64
	typ  *symbols.Type
}

// numbered is what was looked at as the type with a number.
type numbered struct {
	addr uint64
	id   uint32
}

const wordsInPage = attach.PageSize / 8

// wordsOfPage has a bit for each word of which something was read.
type wordsOfPage [wordsInPage / 64]uint64

// NewSight makes an empty one.
func NewSight() *Sight {
	return &Sight{ids: map[*symbols.Type]uint32{}, words: map[uint64]*wordsOfPage{},
		returns: map[uint64]*wordsOfPage{}}
}

// rank is values of one type, one behind the other: a heap has millions of values, and thousands of ranks.
type rank struct {
	addr uint64
	typ  *symbols.Type
	n    uint32
	step uint32 // from one to the next, in bytes
}

// walk has the ranks that one walk of the heap found, in order of address: in pieces, so that none is copied to grow.
type walk [][]rank

const walkPiece = 1 << 12

func (w walk) last() *rank {
	piece := w[len(w)-1]
	return &piece[len(piece)-1]
}

func (r *rank) last() uint64 { return r.addr + uint64(r.n-1)*uint64(r.step) }

// static is a sight that has what another one saw of the program's own variables and constants. What was made of them
// once isn't read again: names of states, layouts.
func (s *Sight) static(start, end uint64) *Sight {
	out := NewSight()
	if s == nil {
		return out
	}
	for _, t := range s.typed {
		if t.addr >= start && t.addr < end {
			out.Typed(t.addr, s.types[t.id])
		}
	}
	for page, words := range s.words {
		if at := page * attach.PageSize; at >= start && at < end {
			out.words[page] = words
		}
	}
	return out
}

// Words hears that bytes were read of which some are pointers; with Typed, Touched and Bits it is a values.Witness.
func (s *Sight) Words(addr uint64, n int) { s.Read(addr, n) }

// Bits hears that bits of the runtime's own were read, which are kept; nothing else of their pages is for it.
func (s *Sight) Bits(addr uint64, n int) {
	if n > 0 {
		s.bits = append(s.bits, extent{addr, n})
	}
}

// Return hears that a word is a return address.
func (s *Sight) Return(addr uint64) {
	if addr%8 != 0 {
		return
	}
	page, word := addr/attach.PageSize, addr%attach.PageSize/8
	words := s.returns[page]
	if words == nil {
		words = new(wordsOfPage)
		s.returns[page] = words
	}
	words[word/64] |= 1 << (word % 64)
}

// returnsWithin tells whether one of the words of a stretch is a return address.
func (s *Sight) returnsWithin(addr uint64, n int64) bool {
	end := addr + uint64(n)
	among := func(page uint64, words *wordsOfPage) bool {
		for i, left := range words {
			for ; left != 0; left &= left - 1 {
				if at := page*attach.PageSize + uint64(i*64+bits.TrailingZeros64(left))*8; at+8 > addr && at < end {
					return true
				}
			}
		}
		return false
	}
	if pages := uint64(n) / attach.PageSize; pages > uint64(len(s.returns)) {
		for page, words := range s.returns {
			if among(page, words) {
				return true
			}
		}
		return false
	}
	for page := addr / attach.PageSize; page <= (end-1)/attach.PageSize; page++ {
		if words := s.returns[page]; words != nil && among(page, words) {
			return true
		}
	}
	return false
}

// Touched hears that bytes were read of what is told as a type.
func (s *Sight) Touched(addr uint64, n int) {
	if n <= 0 {
		return
	}
	for page := addr / attach.PageSize; page <= (addr+uint64(n)-1)/attach.PageSize; page++ {
		s.ofPage(page)
	}
}

// ofPage gives the words of a page, of which something was read.
func (s *Sight) ofPage(page uint64) *wordsOfPage {
	if s.found != nil && s.page == page {
		return s.found
	}
	words := s.words[page]
	if words == nil {
		words = new(wordsOfPage)
		s.words[page] = words
	}
	s.page, s.found = page, words
	return words
}

// Objects hears of n values of a type side by side, which a walk of the heap found. A walk goes by address.
func (s *Sight) Objects(addr uint64, t *symbols.Type, n uint64) {
	if t.Size <= 0 || t.Size > 1<<30 || n == 0 || n > 1<<31 || addr+n*uint64(t.Size) < addr {
		return
	}
	w := len(s.walks) - 1
	if w < 0 || addr <= s.walks[w].last().last() { // another walk
		s.walks = append(s.walks, walk{append(make([]rank, 0, walkPiece), rank{addr, t, uint32(n), uint32(t.Size)})})
		return
	}
	if r := s.walks[w].last(); r.typ == t && n == 1 && r.n < 1<<31 {
		switch step := addr - r.last(); {
		case r.n == 1 && step <= 1<<20:
			r.step = uint32(step)
			fallthrough
		case step == uint64(r.step):
			r.n++
			return
		}
	}
	k := len(s.walks[w]) - 1
	if len(s.walks[w][k]) == walkPiece {
		s.walks[w], k = append(s.walks[w], make([]rank, 0, walkPiece)), k+1
	}
	s.walks[w][k] = append(s.walks[w][k], rank{addr, t, uint32(n), uint32(t.Size)})
}

// Typed hears that memory was looked at as a type.
func (s *Sight) Typed(addr uint64, t *symbols.Type) {
	if t.Size <= 0 || addr+uint64(t.Size) <= addr {
		return
	}
	var id uint32
	if k := len(s.typed) - 1; k >= 0 && s.types[s.typed[k].id] == t {
		if id = s.typed[k].id; s.typed[k].addr == addr {
			return
		}
	} else if known, ok := s.ids[t]; ok {
		id = known
	} else {
		id = uint32(len(s.types))
		s.types, s.ids[t] = append(s.types, t), id
	}
	// Before the list grows, what is there twice is left out: a script may look at one thing a million times.
	if k := len(s.typed); k == cap(s.typed) && k >= 1<<12 {
		if s.tidy(); len(s.typed) > k/2 {
			s.typed = slices.Grow(s.typed, len(s.typed))
		}
	}
	s.typed = append(s.typed, numbered{addr, id})
}

// tidy has each thing once, by address.
func (s *Sight) tidy() {
	slices.SortFunc(s.typed, func(a, b numbered) int {
		if a.addr != b.addr {
			return cmp.Compare(a.addr, b.addr)
		}
		return cmp.Or(byPlace(typedAt{a.addr, s.types[a.id]}, typedAt{b.addr, s.types[b.id]}), cmp.Compare(a.id, b.id))
	})
	s.typed = slices.Compact(s.typed)
}

// Read hears that bytes were read; it is a witness of an attach.Cache.
func (s *Sight) Read(addr uint64, n int) {
	if n <= 0 {
		return
	}
	for word, last := addr/8, (addr+uint64(n)-1)/8; word <= last; {
		page := word / wordsInPage
		bits := s.ofPage(page)
		for ; word <= last && word/wordsInPage == page; word++ {
			bits[word%wordsInPage/64] |= 1 << (word % 64)
		}
	}
}

// glance is a Sight that is only asked. Each goroutine has its own.
type glance struct {
	sight *Sight
	page  uint64       // the one that was looked up last
	words *wordsOfPage // of it; nil: none was
}

// has tells whether something of a page was read.
func (g *glance) has(page uint64) bool {
	if g.words != nil && g.page == page {
		return true
	}
	words := g.sight.words[page]
	if words != nil {
		g.page, g.words = page, words
	}
	return words != nil
}

// touched tells whether something of the pages was read that bytes lie in.
func (g *glance) touched(addr, n uint64) bool {
	for page := addr / attach.PageSize; page <= (addr+n-1)/attach.PageSize; page++ {
		if g.has(page) {
			return true
		}
	}
	return false
}

// single lists what was looked at as a type, but for the heap's objects, by address.
func (s *Sight) single() []typedAt {
	s.tidy()
	out := make([]typedAt, len(s.typed))
	for i, t := range s.typed {
		out[i] = typedAt{t.addr, s.types[t.id]}
	}
	return out
}

// byPlace orders by address: the whole before its parts, a struct before what is all of it.
func byPlace(a, b typedAt) int {
	return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(b.typ.Size, a.typ.Size), cmp.Compare(b.typ.Kind, a.typ.Kind))
}

// all calls f for what was looked at as a type, by address: the wholes, without what lies in them. A field is what its
// struct says of it, which knows its name. What leave is true of is left out. single is the list of that name.
//
// Things that come as a rank don't overlap, and lie before all that comes later.
func (s *Sight) all(single []typedAt, leave func(typedAt) bool, f func(rank)) {
	merge := merger{leave: leave, f: f}
	from := make([]cursor, 0, len(s.walks)+1)
	from = append(from, cursor{list: single})
	for _, w := range s.walks {
		from = append(from, cursor{ranks: w[0], walk: w[1:]})
	}
	for {
		first, next := -1, uint64(1<<64-1) // next: where the others go on
		for i := range from {
			switch c := &from[i]; {
			case !c.more():
			case first < 0:
				first = i
			case byPlace(c.at(), from[first].at()) < 0:
				first, next = i, from[first].at().addr
			default:
				next = min(next, c.at().addr)
			}
		}
		if first < 0 {
			return
		}
		from[first].upTo(next, merge.take)
	}
}

// cursor goes through a list of single things, or through a walk.
type cursor struct {
	list  []typedAt
	ranks []rank
	walk  walk   // behind the ranks
	in    uint32 // so many of the first rank are done
}

func (c *cursor) more() bool { return len(c.list)+len(c.ranks) > 0 }

func (c *cursor) at() typedAt {
	if len(c.list) > 0 {
		return c.list[0]
	}
	r := &c.ranks[0]
	return typedAt{r.addr + uint64(c.in)*uint64(r.step), r.typ}
}

// upTo gives what lies below an address, and one thing in any case.
func (c *cursor) upTo(next uint64, f func(rank)) {
	for once := true; c.more() && (once || c.at().addr < next); once = false {
		at := c.at()
		if len(c.list) > 0 {
			f(rank{at.addr, at.typ, 1, uint32(at.typ.Size)})
			c.list = c.list[1:]
			continue
		}
		r := &c.ranks[0]
		n := uint64(1)
		if at.addr < next && r.step > 0 {
			n = min((next-1-at.addr)/uint64(r.step)+1, uint64(r.n-c.in))
		}
		f(rank{at.addr, at.typ, uint32(n), r.step})
		if c.in += uint32(n); c.in == r.n {
			if c.ranks, c.in = c.ranks[1:], 0; len(c.ranks) == 0 && len(c.walk) > 0 {
				c.ranks, c.walk = c.walk[0], c.walk[1:]
			}
		}
	}
}

// merger leaves out what lies inside of what came before.
type merger struct {
	end   uint64
	last  typedAt
	leave func(typedAt) bool
	f     func(rank)
}

func (m *merger) take(r rank) {
	for r.n > 0 {
		if r.addr >= m.end && int64(r.step) >= r.typ.Size && !m.leave(typedAt{r.addr, r.typ}) && r.addr != m.last.addr {
			m.last = typedAt{r.last(), r.typ}
			m.end = m.last.addr + uint64(r.typ.Size)
			m.f(r)
			return
		}
		m.one(typedAt{r.addr, r.typ})
		r.addr, r.n = r.addr+uint64(r.step), r.n-1
	}
}

func (m *merger) one(t typedAt) {
	if m.leave(t) {
		return
	}
	end := t.addr + uint64(t.typ.Size)
	inside := end <= m.end
	m.end = max(m.end, end)
	// A pointer is one whatever the whole says, which may be a guess: memory that was something else before.
	if inside && !isPointer(t.typ.Kind) || t == m.last {
		return
	}
	m.last = t
	m.f(rank{t.addr, t.typ, 1, uint32(t.typ.Size)})
}

func isPointer(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		return true
	}
	return false
}
