package record

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"ri/record/redact"
	"ri/symbols"
)

// maxConstant is the longest constant text that is kept whole.
const maxConstant = 4096

// maxText bounds a text that is replaced or kept, in bytes; of a longer one nothing is kept.
const maxText = 16 << 20

// gatherer goes through the headers of things: what they lead to is replaced, kept or denied. Each goroutine has its
// own.
type gatherer struct {
	*painter
	glance
	to *gathered
	// dry: nothing is noted. All is read that is read to write a recording, so that the copy that comes has it.
	dry    bool
	recent [256]extent // constants that were noted
}

// gathered is what was found of a batch of things.
type gathered struct {
	denied   []extent
	kept     []keptText
	replaced []replacedText
}

type keptText struct {
	extent
	piece *redact.Piece
	typ   *symbols.Type
	sum   textSum // of a constant
}

// replacedText is a text that something stands for, and the header that leads there.
type replacedText struct {
	at, addr uint64
	n        uint32
	mask     bool
	sum      textSum
}

// batchThings is how many things are gone through in one go.
const batchThings = 4096

// batch is a batch of things, and what was found of them.
type batch struct {
	things []things
	n      int
	gathered
}

func (b *batch) reset() {
	b.things, b.n = b.things[:0], 0
	b.denied, b.kept, b.replaced = b.denied[:0], b.kept[:0], b.replaced[:0]
}

// follow goes through the headers of all things.
func (p *painter) follow(s *Sight, single, wrong []typedAt) {
	first := batch{}
	for g := (&gatherer{painter: p, glance: glance{sight: s}, to: &first.gathered}); len(wrong) > 0; wrong = wrong[1:] {
		g.wrong(p.of(wrong[0].typ, wrong[0].addr), wrong[0].addr)
	}
	p.note(&first.gathered)
	types := typesOf{painter: p, byPlan: map[*plan]*typedText{}}
	spare := sync.Pool{New: func() any { return &batch{} }}
	lines := newLine(func() func(*batch) { return (&gatherer{painter: p, glance: glance{sight: s}}).do }, func(b *batch) {
		for _, t := range b.things {
			types.add(t)
		}
		p.note(&b.gathered)
		b.reset()
		spare.Put(b)
	}, p.out.fail)
	b, done := spare.Get().(*batch), int64(0)
	s.all(single, p.view, func(r rank) {
		plan := p.of(r.typ, r.addr)
		for r.n > 0 && !p.over() {
			t := things{r, plan}
			t.n = min(r.n, uint32(batchThings-b.n))
			b.things, b.n = append(b.things, t), b.n+int(t.n)
			r.addr, r.n = r.at(t.n), r.n-t.n
			if b.n == batchThings {
				lines.add(b)
				b, done = spare.Get().(*batch), done+batchThings
				p.step(done, 0, "texts of what was looked at, of things")
			}
		}
	})
	lines.add(b)
	lines.close()
	types.close()
	p.flushTokens()
	p.writeKept()
}

// do goes through a batch.
func (g *gatherer) do(b *batch) {
	if g.over() {
		return
	}
	g.to = &b.gathered
	for i := range b.things {
		t := &b.things[i]
		for k := range t.n {
			g.texts(t.plan, t.at(k), t.typ)
		}
	}
}

// texts goes through the headers of a thing.
func (g *gatherer) texts(plan *plan, addr uint64, t *symbols.Type) {
	for i := range plan.headers {
		piece := &plan.headers[i]
		at := addr + uint64(piece.Offset)
		if piece.elem != nil {
			for k := range piece.Count {
				g.texts(piece.elem, at+uint64(k*piece.Size), t)
			}
			continue
		}
		switch {
		case !g.touched(at, uint64(piece.Size)):
		case piece.Form != redact.Slice:
			g.text(&piece.Piece, at, t)
		default:
			if b, ok := g.mem.Read(at, 24); ok {
				g.deny(word(b, 0), word(b, 16)*uint64(max(piece.Unit, 1)))
			}
		}
	}
}

// across reads the pieces of a thing that lie in several pages, of which not all may have been read. All others lie in
// pages that were, or aren't wanted.
func (g *gatherer) across(plan *plan, addr, size uint64) {
	if addr/pageSize == (addr+size-1)/pageSize {
		return
	}
	for i := range plan.pieces {
		piece := &plan.pieces[i]
		at, n := addr+uint64(piece.Offset), uint64(piece.Size)
		switch {
		case piece.elem != nil:
			for k := range uint64(piece.Count) {
				g.across(piece.elem, at+k*n, n)
			}
		case at/pageSize != (at+n-1)/pageSize && piece.Form != redact.Padding && g.touched(at, n):
			g.mem.Read(at, int(n))
		}
	}
}

// maxWrong bounds what a header denies that lies in a thing which can't be of its type, in bytes. A longer one is none.
const maxWrong = 64 << 10

// wrong has a thing that can't be of its type deny what it leads to. Its own words are of no type: only addresses are
// kept.
func (g *gatherer) wrong(plan *plan, addr uint64) {
	for i := range plan.headers {
		piece := &plan.headers[i]
		at := addr + uint64(piece.Offset)
		if piece.elem != nil {
			for k := range piece.Count {
				g.wrong(piece.elem, at+uint64(k*piece.Size))
			}
			continue
		}
		b, ok := g.mem.Read(at, int(piece.Size))
		if !ok || len(b) < 16 {
			continue
		}
		n, room := word(b, 8), word(b, 8)
		if len(b) >= 24 {
			room = word(b, 16)
		}
		if unit := uint64(max(piece.Unit, 1)); n <= room && room <= maxWrong/unit {
			g.deny(word(b, 0), room*unit)
		}
	}
}

func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// deny notes contents that are not kept. A header of which no memory is was none: dead words of a stack, freed memory.
// Of memory that nobody looked at nothing is written, unless a rule keeps a text that lies there.
func (g *gatherer) deny(addr, n uint64) {
	switch {
	case g.dry:
	case g.mem.Constant(addr, 1): // a header that leads there, and says that it is no constant, is a guess
	case n == 0 || n >= 1<<40 || addr+n <= addr || !g.mem.Mapped(addr, n):
	case len(g.policy.Rules) == 0 && n <= maxText && !g.touched(addr, n):
	default:
		g.to.denied = append(g.to.denied, extent{addr, int(n)})
	}
}

func (g *gatherer) text(piece *redact.Piece, at uint64, t *symbols.Type) {
	header, ok := g.mem.Read(at, 16)
	if !ok {
		return
	}
	addr, n := word(header, 0), word(header, 8)
	if n == 0 || addr == 0 {
		return
	}
	room := n // a slice's capacity belongs to it, too
	if piece.Form == redact.Bytes {
		if b, ok := g.mem.Read(at+16, 8); ok {
			room = max(n, word(b, 0))
		}
	}
	if n > maxText {
		g.deny(addr, room)
		return
	}
	e := extent{addr, int(n)}
	constant := g.mem.Constant(addr, int(n))
	common := constant && piece.Action == redact.Token && !piece.Secret
	recent := &g.recent[(addr>>3^addr>>11^n)%uint64(len(g.recent))]
	if common && *recent == e {
		return
	}
	content, ok := g.mem.text(addr, int(n))
	if ok && len(content) < e.n { // its beginning is there
		e.n, n = len(content), uint64(len(content))
	}
	switch {
	case g.dry:
	case !ok:
		g.deny(addr, room) // nobody looked at it
	case piece.Action == redact.Keep:
		g.to.kept = append(g.to.kept, keptText{extent: e, piece: piece, typ: t})
	case common:
		if n <= maxConstant { // tables of the linker are longer, and read by parts
			g.to.kept = append(g.to.kept, keptText{e, piece, t, g.sum(e, content, false)})
		}
		*recent = e
	default:
		if constant { // of a secret's name
			g.to.denied = append(g.to.denied, e)
		}
		g.deny(addr, room)
		if mask := piece.Action == redact.Mask; piece.Action != redact.Drop {
			g.to.replaced = append(g.to.replaced, replacedText{at, addr, uint32(n), mask, g.sum(e, content, mask)})
		}
	}
}

// note takes what was found of a batch.
func (p *painter) note(b *gathered) {
	for i := range b.kept {
		p.keep(&b.kept[i])
	}
	for _, e := range b.denied {
		p.denied = gather(p.denied, e)
	}
	for i := range b.replaced {
		p.replace(&b.replaced[i])
	}
}

// keep notes a text that is kept, and why.
func (p *painter) keep(t *keptText) {
	field := ""
	constant := t.piece.Action != redact.Keep
	if constant {
		if _, ok := p.constants[t.extent]; ok {
			return
		}
		p.constants[t.extent] = t.sum
	} else if field = t.typ.Name; t.piece.Field != "" {
		field += "." + t.piece.Field
	}
	p.kept = gather(p.kept, t.extent)
	k := p.keptAs[field]
	if k == nil {
		k = &keptPlaces{constant: constant}
		p.keptAs[field] = k
	}
	if len(k.fresh) == cap(k.fresh) {
		k.tidy()
	}
	k.fresh = append(k.fresh, [2]uint64{t.addr, uint64(t.n)})
}

// keptPlaces are the places of the texts of one field.
type keptPlaces struct {
	constant bool
	fresh    [][2]uint64 // of this look
	written  [][2]uint64 // in order
}

func comparePlaces(a, b [2]uint64) int {
	return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(b[1], a[1]))
}

// tidy has each place once, in order of address.
func (k *keptPlaces) tidy() {
	slices.SortFunc(k.fresh, comparePlaces)
	k.fresh = slices.Compact(k.fresh)
}

// rest gives the places that were not written yet, and takes them for written.
func (k *keptPlaces) rest() [][2]uint64 {
	k.tidy()
	out := slices.DeleteFunc(k.fresh, func(place [2]uint64) bool {
		_, ok := slices.BinarySearchFunc(k.written, place, comparePlaces)
		return ok
	})
	k.fresh, k.written = nil, append(k.written, out...)
	slices.SortFunc(k.written, comparePlaces)
	return out
}

// keptInBlock is how many places one block has, about.
const keptInBlock = 1 << 18

// writeKept writes which texts are kept, and by which field, as far as that wasn't written at an earlier look.
func (p *painter) writeKept() {
	var list []Kept
	held := 0
	flush := func() {
		text, err := json.Marshal(list)
		if err != nil {
			p.out.fail(err)
			return
		}
		list, held = nil, 0
		p.out.block(job{name: keptBlock, data: text})
	}
	for _, field := range slices.Sorted(maps.Keys(p.keptAs)) {
		k := p.keptAs[field]
		for places := range slices.Chunk(k.rest(), keptInBlock) {
			list = append(list, Kept{Field: field, Constant: k.constant, Places: places})
			if held += len(places); held >= keptInBlock {
				flush()
			}
		}
	}
	if len(list) > 0 || p.look == 1 {
		flush()
	}
}
