package record

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"ri/record/format"
	"ri/record/redact"
	"ri/symbols"
)

// maxConstant is the longest constant text that is kept whole.
const maxConstant = 4096

// maxText bounds a text that is replaced or kept, in bytes; of a longer one nothing is kept.
const maxText = 16 << 20

// texts goes through all headers: what they lead to is replaced, kept or denied.
func (p *painter) texts(s *Sight, seen []typedAt) {
	for _, t := range seen {
		each(p.layout(t), t.addr, func(piece redact.Piece, at uint64) {
			if !s.touched(at, uint64(piece.Size)) {
				return
			}
			switch piece.Form {
			case redact.Text, redact.Bytes:
				p.text(piece, at, t.typ)
			case redact.Slice:
				if piece.Action != redact.Keep {
					if b, ok := p.mem.Read(at, 24); ok {
						p.deny(word(b, 0), word(b, 16)*uint64(max(piece.Unit, 1)))
					}
				}
			}
		})
	}
}

func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// deny notes contents that are not kept. A header of which no memory is was none: dead words of a stack, freed memory.
func (p *painter) deny(addr, n uint64) {
	if n > 0 && n < 1<<40 && addr+n > addr && p.mem.Mapped(addr, n) {
		p.denied = append(p.denied, extent{addr, int(n)})
	}
}

func (p *painter) text(piece redact.Piece, at uint64, t *symbols.Type) {
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
		p.deny(addr, room)
		return
	}
	content, ok := p.mem.Read(addr, int(n))
	switch {
	case !ok:
		p.deny(addr, room) // nobody looked at it
	case piece.Action == redact.Keep,
		piece.Action == redact.Token && !piece.Secret && p.mem.Constant(addr, int(n)):
		if piece.Action == redact.Keep || n <= maxConstant { // tables of the linker are longer, and read by parts
			p.keep(extent{addr, int(n)}, piece, t)
		}
	default:
		p.deny(addr, room)
		if piece.Action != redact.Drop {
			p.replace(content, piece.Action)
		}
	}
}

// keep notes a text that is kept, and why.
func (p *painter) keep(e extent, piece redact.Piece, t *symbols.Type) {
	p.kept = append(p.kept, e)
	field := t.Name
	if piece.Field != "" {
		field += "." + piece.Field
	}
	constant := piece.Action != redact.Keep
	if constant {
		field = ""
	}
	k := p.keptAs[field]
	if k == nil {
		k = &Kept{Field: field, Constant: constant}
		p.keptAs[field] = k
	}
	k.Places = append(k.Places, [2]uint64{e.addr, uint64(e.n)})
}

// replaced is where what stands for a text lies; false if nothing does.
func (p *painter) replaced(content []byte, action redact.Action) (uint64, bool) {
	addr, ok := p.known[digest(content, action)]
	return addr, ok
}

func digest(content []byte, action redact.Action) [16]byte {
	h := sha256.New()
	h.Write([]byte{byte(action)})
	h.Write(content)
	return [16]byte(h.Sum(nil)[:16])
}

// replace gives a text something that stands for it.
func (p *painter) replace(content []byte, action redact.Action) {
	key := digest(content, action)
	if _, ok := p.known[key]; ok {
		return
	}
	token := []byte(nil)
	if action == redact.Mask {
		token = make([]byte, len(content))
		for i := range token {
			token[i] = '*'
		}
	} else {
		token = p.tokens.Of(content)
	}
	p.known[key] = p.next
	p.pending = append(p.pending, format.Memory{Addr: p.next, Size: len(token), Kind: format.Tokens, Data: token})
	p.next += uint64(len(token)+15) &^ 15
	p.held += len(token)
	p.counts.Tokens++
	p.counts.Replaced += int64(len(token))
	if p.held > blockBytes {
		p.flushTokens()
	}
}

func (p *painter) flushTokens() {
	if p.err == nil && len(p.pending) > 0 {
		p.err = p.emit(format.TokenBlock, p.pending)
	}
	p.pending, p.held = nil, 0
}

// keptList has each place once.
func (p *painter) keptList() {
	for _, k := range p.keptAs {
		slices.SortFunc(k.Places, func(a, b [2]uint64) int {
			return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(b[1], a[1]))
		})
		k.Places = slices.Compact(k.Places)
	}
}
