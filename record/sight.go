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
	typed map[typedAt]struct{}
	words map[uint64]*wordsOfPage // by page number
	bits  []extent
}

type typedAt struct {
	addr uint64
	typ  *symbols.Type
}

const wordsInPage = attach.PageSize / 8

// wordsOfPage has a bit for each word of which something was read.
type wordsOfPage [wordsInPage / 64]uint64

// NewSight makes an empty one.
func NewSight() *Sight {
	return &Sight{typed: map[typedAt]struct{}{}, words: map[uint64]*wordsOfPage{}}
}

// static is a sight that has what another one saw of the program's own variables and constants. What was made of them
// once isn't read again: names of states, layouts.
func (s *Sight) static(start, end uint64) *Sight {
	out := NewSight()
	if s == nil {
		return out
	}
	for t := range s.typed {
		if t.addr >= start && t.addr < end {
			out.typed[t] = struct{}{}
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

// Bits hears that bits of the runtime's own were read, which are kept.
func (s *Sight) Bits(addr uint64, n int) {
	if n > 0 {
		s.Touched(addr, n)
		s.bits = append(s.bits, extent{addr, n})
	}
}

// Touched hears that bytes were read of what is told as a type.
func (s *Sight) Touched(addr uint64, n int) {
	if n <= 0 {
		return
	}
	for page := addr / attach.PageSize; page <= (addr+uint64(n)-1)/attach.PageSize; page++ {
		if s.words[page] == nil {
			s.words[page] = new(wordsOfPage)
		}
	}
}

// Typed hears that memory was looked at as a type.
func (s *Sight) Typed(addr uint64, t *symbols.Type) {
	if t.Size > 0 && addr+uint64(t.Size) > addr {
		s.typed[typedAt{addr, t}] = struct{}{}
	}
}

// Read hears that bytes were read; it is a witness of an attach.Cache.
func (s *Sight) Read(addr uint64, n int) {
	if n <= 0 {
		return
	}
	for word, last := addr/8, (addr+uint64(n)-1)/8; word <= last; {
		page := word / wordsInPage
		bits := s.words[page]
		if bits == nil {
			bits = new(wordsOfPage)
			s.words[page] = bits
		}
		for ; word <= last && word/wordsInPage == page; word++ {
			bits[word%wordsInPage/64] |= 1 << (word % 64)
		}
	}
}

// has tells whether something of a page was read.
func (s *Sight) has(page uint64) bool { return s.words[page] != nil }

// touched tells whether something of the pages was read that bytes lie in.
func (s *Sight) touched(addr, n uint64) bool {
	for page := addr / attach.PageSize; page <= (addr+n-1)/attach.PageSize; page++ {
		if s.has(page) {
			return true
		}
	}
	return false
}

// pages lists the pages of which something was read.
func (s *Sight) pages() []uint64 {
	out := make([]uint64, 0, len(s.words))
	for page := range s.words {
		out = append(out, page)
	}
	slices.Sort(out)
	return out
}

// all lists what was looked at as a type, by address: the wholes, without what lies in them. A field is what its struct
// says of it, which knows its name. What leave is true of is left out.
func (s *Sight) all(leave func(typedAt) bool) []typedAt {
	out := make([]typedAt, 0, len(s.typed))
	for t := range s.typed {
		if !leave(t) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b typedAt) int {
		switch {
		case a.addr != b.addr && a.addr < b.addr:
			return -1
		case a.addr != b.addr:
			return 1
		}
		if a.typ.Size != b.typ.Size {
			return cmp.Compare(b.typ.Size, a.typ.Size) // the whole before its parts
		}
		return cmp.Compare(b.typ.Kind, a.typ.Kind) // a struct before what is all of it
	})
	end := uint64(0)
	return slices.DeleteFunc(out, func(t typedAt) bool {
		last := t.addr + uint64(t.typ.Size)
		inside := last <= end
		end = max(end, last)
		// A pointer is one whatever the whole says, which may be a guess: memory that was something else before.
		return inside && !isPointer(t.typ.Kind)
	})
}

func isPointer(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		return true
	}
	return false
}
