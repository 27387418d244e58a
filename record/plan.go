package record

import (
	"ri/record/redact"
	"ri/symbols"
)

// plan is a layout, prepared for the millions of things that have it.
type plan struct {
	layout  *redact.Layout
	pieces  []part // as the layout's; neighbours that are kept as they are have become one
	headers []part // those that lead to texts, or to what is not kept; arrays of what has such
	// pointers are those that are kept, and what headers begin with; arrays of what has such.
	pointers []part
	runtime  bool // a structure of the runtime, which is read whole, and has no texts of the program
}

// part is a piece, and of an array how each of its elements is.
type part struct {
	redact.Piece
	elem *plan
}

// namedType is a variable's type, and its name.
type namedType struct {
	typ  *symbols.Type
	name string
}

// of gives the plan of a thing.
func (p *painter) of(t *symbols.Type, addr uint64) *plan {
	if name := p.mem.Variable(addr); name != "" {
		known := p.named[namedType{t, name}]
		if known == nil {
			known = planOf(p.policy.Of(t, name))
			p.named[namedType{t, name}] = known
		}
		return known
	}
	if p.plan != nil && p.plan.layout.Type == t {
		return p.plan
	}
	plan := p.plans[t]
	if plan == nil {
		plan = planOf(p.policy.Of(t, ""))
		p.plans[t] = plan
	}
	p.plan = plan
	return plan
}

// maxJoined bounds pieces that are painted as one, in bytes.
const maxJoined = 256

func planOf(l *redact.Layout) *plan {
	out := &plan{layout: l}
	out.runtime = redact.OfRuntime(l.Type) && !isPointer(l.Type.Kind)
	for _, piece := range l.Pieces {
		if piece.Elem != nil {
			elem := planOf(piece.Elem)
			out.pieces = append(out.pieces, part{piece, elem})
			if len(elem.headers) > 0 {
				out.headers = append(out.headers, part{piece, elem})
			}
			if len(elem.pointers) > 0 {
				out.pointers = append(out.pointers, part{piece, elem})
			}
			continue
		}
		if isPointer(piece.Kind) || piece.Form == redact.Text || piece.Form == redact.Bytes || piece.Form == redact.Slice {
			for off := int64(0); off+8 <= piece.Size; off += 8 {
				out.pointers = append(out.pointers, part{Piece: redact.Piece{Offset: piece.Offset + off, Size: 8}})
				if piece.Form != redact.Plain {
					break // a length comes next
				}
			}
		}
		if piece.Form == redact.Text || piece.Form == redact.Bytes ||
			piece.Form == redact.Slice && piece.Action != redact.Keep {
			out.headers = append(out.headers, part{Piece: piece})
		}
		if piece.Form == redact.Slice { // the header itself is kept
			piece.Form, piece.Action = redact.Plain, redact.Keep
		}
		if k := len(out.pieces) - 1; k >= 0 && joins(&out.pieces[k].Piece, &piece) {
			out.pieces[k].Size += piece.Size
			continue
		}
		out.pieces = append(out.pieces, part{Piece: piece})
	}
	return out
}

// joins tells whether two pieces are painted as one.
func joins(a, b *redact.Piece) bool {
	plain := func(p *redact.Piece) bool { return p.Elem == nil && p.Form == redact.Plain && p.Action == redact.Keep }
	return plain(a) && plain(b) && a.Offset+a.Size == b.Offset && a.Size+b.Size <= maxJoined
}
