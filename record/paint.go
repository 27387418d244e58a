package record

import (
	"cmp"
	"reflect"
	"slices"

	"ri/record/format"
	"ri/record/redact"
	"ri/symbols"
)

// Memory is what a painter reads: the copy that was looked at.
type Memory struct {
	// Read gives n bytes at an address, false if they aren't all there. It must not note them as read.
	Read func(addr uint64, n int) ([]byte, bool)
	// Constant tells whether bytes are the program's own, that nobody can have changed.
	Constant func(addr uint64, n int) bool
	// Mapped tells whether the process has memory at an address, n bytes of it.
	Mapped func(addr, n uint64) bool
	// Variable gives the name of the package variable at an address, "" if there is none.
	Variable func(addr uint64) string
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

// painter turns what was looked at into what is written.
type painter struct {
	mem    Memory
	policy *redact.Policy
	tokens *redact.Tokens
	out    *output

	plans   map[*symbols.Type]*plan
	checks  map[*symbols.Type]*checks
	plan    *plan               // the one that was asked for last
	known   map[[16]byte]uint64 // digest of a text -> address of its token
	large   map[digestOf]uint64 // the same of large texts, by where they lie
	next    uint64              // where the next token comes
	pending *runs               // tokens
	kept    []extent            // contents that are kept
	keptAs  map[string]*keptPlaces
	common  map[extent]struct{} // constants that are kept
	denied  []extent            // contents that are not
	counts  Counts
	look    int  // 1 is the first
	over    bool // what is left is not written: it can't be, or isn't wanted any more
	// dry: nothing is written. All is read that is read to write it, so that the copy that comes has it.
	dry bool
}

type extent struct {
	addr uint64
	n    int
}

// maxInPlace is the longest byte array that becomes a token where it lies; longer ones are buffers.
const maxInPlace = 4096

func newPainter(mem Memory, policy *redact.Policy, tokens *redact.Tokens, out *output) *painter {
	return &painter{mem: mem, policy: policy, tokens: tokens, out: out, plans: map[*symbols.Type]*plan{},
		checks: map[*symbols.Type]*checks{}, known: map[[16]byte]uint64{}, large: map[digestOf]uint64{},
		keptAs: map[string]*keptPlaces{}, common: map[extent]struct{}{}, next: mem.Tokens, pending: &runs{name: format.TokenBlock, out: out}}
}

// maxArray is the longest array that is believed of what is no variable, in bytes. The runtime, and others, take
// pointers for such of arrays of any length, (*[1 << 16]scase)(p)[:n], and what lies behind is something else.
const maxArray = 64 << 10

// view tells whether something was looked at as an array only to take a slice of it.
func (p *painter) view(t typedAt) bool {
	return t.typ.Kind == reflect.Array && t.typ.Size >= maxArray && p.mem.Variable(t.addr) == ""
}

// paint writes all that was looked at: what it is, and then the memory, so that of a file that was cut short all is
// known of the memory that is there. before is called between the two, when all layouts are known; it may write blocks.
func (p *painter) paint(s *Sight, look int, before func() error) error {
	p.look, p.kept, p.denied, p.over = look, nil, nil, false
	clear(p.common)
	clear(p.large)
	single, wrong := p.apart(s.single())
	for _, t := range wrong {
		p.wrong(s, p.of(t), t.addr)
	}
	types := typesOf{painter: p, byPlan: map[*plan]*typedText{}}
	things := int64(0)
	s.all(single, p.view, func(t typedAt) {
		if things++; things%(1<<14) == 0 {
			p.step(things, 0, "texts of what was looked at, of things")
		}
		if p.over {
			return
		}
		plan := p.of(t)
		types.add(t, plan)
		p.texts(s, plan, t.addr, t.typ)
	})
	types.close()
	p.pending.flush()
	p.writeKept()
	if err := p.out.wait(); err != nil {
		return err
	}
	if err := before(); err != nil {
		return err
	}
	p.kept = sorted(append(p.kept, s.bits...))
	p.denied = sorted(p.denied)
	b := newBrush(p, s)
	s.all(single, p.view, b.take)
	b.close()
	return p.out.wait()
}

// touch reads what paint would read.
func (p *painter) touch(s *Sight) error {
	p.dry, p.over = true, false
	single, wrong := p.apart(s.single())
	for _, t := range wrong {
		p.wrong(s, p.of(t), t.addr)
	}
	things := int64(0)
	s.all(single, p.view, func(t typedAt) {
		if things++; things%(1<<14) == 0 {
			p.step(things, 0, "texts of what was looked at, of things")
		}
		if p.over {
			return
		}
		plan := p.of(t)
		p.texts(s, plan, t.addr, t.typ)
		p.pieces(s, plan, t.addr, uint64(t.typ.Size))
	})
	return p.out.failed()
}

// pieces reads those of a thing that lie in several pages, of which not all may have been read. All others lie in pages
// that were, or aren't wanted.
func (p *painter) pieces(s *Sight, plan *plan, addr, size uint64) {
	if addr/pageSize == (addr+size-1)/pageSize {
		return
	}
	for i := range plan.pieces {
		piece := &plan.pieces[i]
		at, n := addr+uint64(piece.Offset), uint64(piece.Size)
		switch {
		case piece.Elem != nil:
			for k := range uint64(piece.Count) {
				p.pieces(s, plan.elems[piece.Elem], at+k*n, n)
			}
		case at/pageSize != (at+n-1)/pageSize && piece.Form != redact.Padding && s.touched(at, n):
			p.mem.Read(at, int(n))
		}
	}
}

// step says how far it is, and finds out whether to go on.
func (p *painter) step(done, total int64, what string) {
	if p.mem.Step != nil {
		if err := p.mem.Step(done, total, what); err != nil {
			p.out.fail(err)
		}
	}
	p.over = p.over || p.out.failed() != nil
}

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
