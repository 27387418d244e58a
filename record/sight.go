package record

import (
	"cmp"
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
	walks [][]rank                 // the heap's objects, a list for each walk, each in order of address
	words map[uint64]*wordsOfPage  // by page number
	bits  []extent

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
	return &Sight{ids: map[*symbols.Type]uint32{}, words: map[uint64]*wordsOfPage{}}
}

// rank is values of one type, one behind the other: a heap has millions of values, and thousands of ranks.
type rank struct {
	addr uint64
	typ  *symbols.Type
	n    uint32
	step uint32 // from one to the next, in bytes
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
	if w < 0 || len(s.walks[w]) == 0 || addr <= s.walks[w][len(s.walks[w])-1].last() {
		s.walks, w = append(s.walks, nil), w+1 // another walk
	}
	list := s.walks[w]
	if k := len(list) - 1; k >= 0 && list[k].typ == t && n == 1 && list[k].n < 1<<31 {
		switch r, step := &list[k], addr-list[k].last(); {
		case r.n == 1 && step <= 1<<20:
			r.step = uint32(step)
			fallthrough
		case step == uint64(r.step):
			r.n++
			return
		}
	}
	s.walks[w] = append(list, rank{addr, t, uint32(n), uint32(t.Size)})
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

// has tells whether something of a page was read.
func (s *Sight) has(page uint64) bool {
	if s.found != nil && s.page == page {
		return true
	}
	words := s.words[page]
	if words != nil {
		s.page, s.found = page, words
	}
	return words != nil
}

// touched tells whether something of the pages was read that bytes lie in.
func (s *Sight) touched(addr, n uint64) bool {
	for page := addr / attach.PageSize; page <= (addr+n-1)/attach.PageSize; page++ {
		if s.has(page) {
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
func (s *Sight) all(single []typedAt, leave func(typedAt) bool, f func(typedAt)) {
	merge := merger{leave: leave, f: f}
	from := make([]cursor, 0, len(s.walks)+1)
	from = append(from, cursor{list: single})
	for _, w := range s.walks {
		from = append(from, cursor{ranks: w})
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

// cursor goes through a list of single things, or through ranks.
type cursor struct {
	list  []typedAt
	ranks []rank
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
func (c *cursor) upTo(next uint64, f func(typedAt)) {
	for once := true; c.more() && (once || c.at().addr < next); once = false {
		f(c.at())
		if len(c.list) > 0 {
			c.list = c.list[1:]
		} else if c.in++; c.in == c.ranks[0].n {
			c.ranks, c.in = c.ranks[1:], 0
		}
	}
}

// merger leaves out what lies inside of what came before.
type merger struct {
	end   uint64
	last  typedAt
	leave func(typedAt) bool
	f     func(typedAt)
}

func (m *merger) take(t typedAt) {
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
	m.f(t)
}

func isPointer(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		return true
	}
	return false
}
