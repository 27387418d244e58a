package record

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"

	"ri/record/format"
	"ri/record/redact"
	"ri/symbols"
)

// maxConstant is the longest constant text that is kept whole.
const maxConstant = 4096

// maxText bounds a text that is replaced or kept, in bytes; of a longer one nothing is kept.
const maxText = 16 << 20

// texts goes through the headers of a thing: what they lead to is replaced, kept or denied.
func (p *painter) texts(s *Sight, plan *plan, addr uint64, t *symbols.Type) {
	for i := range plan.headers {
		piece := &plan.headers[i]
		at := addr + uint64(piece.Offset)
		if piece.Elem != nil {
			inner := plan.elems[piece.Elem]
			for k := range piece.Count {
				p.texts(s, inner, at+uint64(k*piece.Size), t)
			}
			continue
		}
		switch {
		case !s.touched(at, uint64(piece.Size)):
		case piece.Form != redact.Slice:
			p.text(s, piece, at, t)
		default:
			if b, ok := p.mem.Read(at, 24); ok {
				p.deny(s, word(b, 0), word(b, 16)*uint64(max(piece.Unit, 1)))
			}
		}
	}
}

// maxWrong bounds what a header denies that lies in a thing which can't be of its type, in bytes. A longer one is none.
const maxWrong = 64 << 10

// wrong has a thing that can't be of its type deny what it leads to. Its own words are of no type: only addresses are
// kept.
func (p *painter) wrong(s *Sight, plan *plan, addr uint64) {
	for i := range plan.headers {
		piece := &plan.headers[i]
		at := addr + uint64(piece.Offset)
		if piece.Elem != nil {
			for k := range piece.Count {
				p.wrong(s, plan.elems[piece.Elem], at+uint64(k*piece.Size))
			}
			continue
		}
		b, ok := p.mem.Read(at, int(piece.Size))
		if !ok || len(b) < 16 {
			continue
		}
		n, room := word(b, 8), word(b, 8)
		if len(b) >= 24 {
			room = word(b, 16)
		}
		if unit := uint64(max(piece.Unit, 1)); n <= room && room <= maxWrong/unit {
			p.deny(s, word(b, 0), room*unit)
		}
	}
}

func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// deny notes contents that are not kept. A header of which no memory is was none: dead words of a stack, freed memory.
// Of memory that nobody looked at nothing is written, unless a rule keeps a text that lies there.
func (p *painter) deny(s *Sight, addr, n uint64) {
	switch {
	case p.dry:
	case p.mem.Constant(addr, 1): // a header that leads there, and says that it is no constant, is a guess
	case n == 0 || n >= 1<<40 || addr+n <= addr || !p.mem.Mapped(addr, n):
	case len(p.policy.Rules) == 0 && n <= maxText && !s.touched(addr, n):
	default:
		p.denied = gather(p.denied, extent{addr, int(n)})
	}
}

func (p *painter) text(s *Sight, piece *redact.Piece, at uint64, t *symbols.Type) {
	header, ok := p.mem.Read(at, 16)
	if !ok {
		return
	}
	addr, n := word(header, 0), word(header, 8)
	if n == 0 || addr == 0 {
		return
	}
	room := n // a slice's capacity belongs to it, too
	if piece.Form == redact.Bytes {
		if b, ok := p.mem.Read(at+16, 8); ok {
			room = max(n, word(b, 0))
		}
	}
	if n > maxText {
		p.deny(s, addr, room)
		return
	}
	content, ok := p.mem.Read(addr, int(n))
	switch {
	case p.dry:
	case !ok:
		p.deny(s, addr, room) // nobody looked at it
	case piece.Action == redact.Keep,
		piece.Action == redact.Token && !piece.Secret && p.mem.Constant(addr, int(n)):
		if piece.Action == redact.Keep || n <= maxConstant { // tables of the linker are longer, and read by parts
			p.keep(extent{addr, int(n)}, piece, t)
		}
	default:
		if p.mem.Constant(addr, int(n)) { // of a secret's name
			p.denied = gather(p.denied, extent{addr, int(n)})
		}
		p.deny(s, addr, room)
		if piece.Action != redact.Drop {
			p.replace(addr, content, piece.Action)
		}
	}
}

// keep notes a text that is kept, and why.
func (p *painter) keep(e extent, piece *redact.Piece, t *symbols.Type) {
	field := ""
	constant := piece.Action != redact.Keep
	if constant {
		if _, ok := p.common[e]; ok {
			return
		}
		p.common[e] = struct{}{}
	} else if field = t.Name; piece.Field != "" {
		field += "." + piece.Field
	}
	p.kept = gather(p.kept, e)
	k := p.keptAs[field]
	if k == nil {
		k = &keptPlaces{constant: constant}
		p.keptAs[field] = k
	}
	if len(k.fresh) == cap(k.fresh) {
		k.tidy()
	}
	k.fresh = append(k.fresh, [2]uint64{e.addr, uint64(e.n)})
}

// digestOf is a text by where it lies.
type digestOf struct {
	extent
	action redact.Action
}

// largeText is from when on it is remembered where a text lies that has a token: to digest it takes long.
const largeText = 4096

// replaced is where what stands for a text lies; false if nothing does.
func (p *painter) replaced(addr uint64, n int, action redact.Action) (uint64, bool) {
	if n >= largeText {
		to, ok := p.large[digestOf{extent{addr, n}, action}]
		return to, ok
	}
	content, ok := p.mem.Read(addr, n)
	if !ok {
		return 0, false
	}
	to, ok := p.known[digest(content, action)]
	return to, ok
}

func digest(content []byte, action redact.Action) [16]byte {
	var b [256]byte
	if b[0] = byte(action); len(content) < len(b) {
		sum := sha256.Sum256(b[:1+copy(b[1:], content)])
		return [16]byte(sum[:16])
	}
	h := sha256.New()
	h.Write(b[:1])
	h.Write(content)
	return [16]byte(h.Sum(b[:0])[:16])
}

// replace gives a text something that stands for it.
func (p *painter) replace(addr uint64, content []byte, action redact.Action) {
	place := digestOf{extent{addr, len(content)}, action}
	if len(content) >= largeText && p.large[place] != 0 {
		return
	}
	key := digest(content, action)
	to, ok := p.known[key]
	if !ok {
		token := []byte(nil)
		if action == redact.Mask {
			token = bytes.Repeat([]byte{'*'}, len(content))
		} else {
			token = p.tokens.Of(content)
		}
		to = p.next
		p.known[key] = to
		p.pending.add(to, len(token), format.Tokens, token)
		p.next += uint64(len(token)+15) &^ 15
		p.counts.Tokens++
		p.counts.Replaced += int64(len(token))
	}
	if len(content) >= largeText {
		p.large[place] = to
	}
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
