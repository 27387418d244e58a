package record

import (
	"cmp"
	"slices"

	"ri/record/redact"
	"ri/symbols"
)

// Memory is what a painter reads: the copy that was looked at.
type Memory struct {
	// Read gives n bytes at an address, false if they aren't all there. It must not note them as read. As all of Memory it
	// is called by several goroutines; Step is by one at a time.
	Read func(addr uint64, n int) ([]byte, bool)
	// Part gives the beginning of a text that isn't all there, nil if nothing is; a Part that is nil gives none.
	Part func(addr uint64, n int) []byte
	// Next gives what there is first of n bytes, and where; nil if nothing is. Where Next is nil, all is there or nothing.
	Next func(addr uint64, n int) (uint64, []byte)
	// Constant tells whether bytes are the program's own, that nobody can have changed.
	Constant func(addr uint64, n int) bool
	// Mapped tells whether the process has memory at an address, n bytes of it.
	Mapped func(addr, n uint64) bool
	// Variable gives the name of the package variable at an address, "" if there is none.
	Variable func(addr uint64) string
	// Own tells whether an address is one of the executable's, its variables included.
	Own func(addr uint64) bool
	// Code tells whether an address is one of the program's functions.
	Code func(addr uint64) bool
	// Tokens is an address from which on the process has no memory.
	Tokens uint64
	// Step is told how far the writing is; an error ends it.
	Step func(done, total int64, what string) error
}

// Counts is what became of what was looked at.
type Counts struct {
	Kept     int64 `json:"kept_bytes"`
	Denied   int64 `json:"denied_bytes"`
	Tokens   int64 `json:"tokens"`        // distinct texts that are not kept
	Replaced int64 `json:"token_bytes"`   // of them
	Unknown  int64 `json:"unknown_bytes"` // that were read, and no type is known of
}

// painter turns what was looked at into what is written. First all headers are gone through: what they lead to is
// replaced, kept or denied. Then memory is painted. Both are done by several goroutines, each of which has its own
// stretch of addresses; what they find is put together in order of address, so that the same memory makes the same
// file.
type painter struct {
	mem    Memory
	policy *redact.Policy
	tokens *redact.Tokens
	out    *output

	plans  map[*symbols.Type]*plan
	named  map[namedType]*plan // of variables
	checks map[*symbols.Type]*checks
	plan   *plan // the one that was asked for last
	contents
	kept   []extent // contents that are kept
	keptAs map[string]*keptPlaces
	denied []extent // contents that are not
	counts Counts
	look   int // 1 is the first
}

type extent struct {
	addr uint64
	n    int
}

// text reads a text, or what there is of it.
func (m *Memory) text(addr uint64, n int) ([]byte, bool) {
	if b, ok := m.Read(addr, n); ok || m.Part == nil {
		return b, ok
	}
	b := m.Part(addr, n)
	return b, len(b) > 0
}

// maxInPlace is the longest byte array that becomes a token where it lies; longer ones are buffers.
const maxInPlace = 4096

func newPainter(mem Memory, policy *redact.Policy, tokens *redact.Tokens, out *output) *painter {
	return &painter{mem: mem, policy: policy, tokens: tokens, out: out, plans: map[*symbols.Type]*plan{},
		named:  map[namedType]*plan{},
		checks: map[*symbols.Type]*checks{}, keptAs: map[string]*keptPlaces{}, contents: newContents(mem.Tokens)}
}

// view tells whether something was looked at as an array only to take a slice of it.
func (p *painter) view(t typedAt) bool {
	return t.typ.Boundless() && p.mem.Variable(t.addr) == ""
}

// things are several of one type, one behind the other, and how they are written.
type things struct {
	rank
	plan *plan
}

// at is where one of them lies.
func (r *rank) at(i uint32) uint64 { return r.addr + uint64(i)*uint64(r.step) }

// paint writes all that was looked at: what it is, and then the memory, so that of a file that was cut short all is
// known of the memory that is there. before is called between the two, when all layouts are known; it may write blocks.
func (p *painter) paint(s *Sight, look int, before func() error) error {
	p.look, p.kept, p.denied = look, nil, nil
	p.contents.begin()
	single, wrong := p.apart(s, s.single())
	p.follow(s, single, wrong)
	if err := p.out.wait(); err != nil {
		return err
	}
	p.contents.settle()
	if err := before(); err != nil {
		return err
	}
	p.kept = sorted(append(p.kept, s.bits...))
	p.denied = sorted(p.denied)
	p.spread(s, single)
	return p.out.wait()
}

// touch reads what paint would read, and writes nothing.
func (p *painter) touch(s *Sight) error {
	single, wrong := p.apart(s, s.single())
	g := &gatherer{painter: p, glance: glance{sight: s}, dry: true}
	for _, t := range wrong {
		g.wrong(p.of(t.typ, t.addr), t.addr)
	}
	done := int64(0)
	s.all(single, p.view, func(r rank) {
		for i := range r.n {
			if done++; done%(1<<14) == 0 {
				p.step(done, 0, "texts of what was looked at, of things")
			}
			if p.over() {
				return
			}
			plan := p.of(r.typ, r.addr)
			g.texts(plan, r.at(i), r.typ)
			g.across(plan, r.at(i), uint64(r.typ.Size))
		}
	})
	return p.out.failed()
}

// step says how far it is, and finds out whether to go on.
func (p *painter) step(done, total int64, what string) {
	if p.mem.Step != nil {
		if err := p.mem.Step(done, total, what); err != nil {
			p.out.fail(err)
		}
	}
}

// over tells that what is left is not written: it can't be, or isn't wanted any more.
func (p *painter) over() bool { return p.out.failed() != nil }

func (e extent) end() uint64 { return e.addr + uint64(e.n) }

// sorted sorts extents and joins those that overlap, so that none begins before one that ends later.
func sorted(list []extent) []extent {
	slices.SortFunc(list, func(a, b extent) int { return cmp.Compare(a.addr, b.addr) })
	out := list[:0]
	for _, e := range list {
		if n := len(out); n > 0 && e.addr < out[n-1].end() {
			out[n-1].n = int(max(out[n-1].end(), e.end()) - out[n-1].addr)
			continue
		}
		out = append(out, e)
	}
	return out
}

// gather appends an extent. Before the list grows it is sorted, and what is there twice is joined: a million headers
// may lead to one text.
func gather(list []extent, e extent) []extent {
	if len(list) == cap(list) && len(list) >= 1<<12 {
		if list = sorted(list); len(list) > cap(list)/2 {
			list = slices.Grow(list, len(list))
		}
	}
	return append(list, e)
}
