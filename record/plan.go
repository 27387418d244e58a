package record

import "ri/record/redact"

// plan is a layout, prepared for the millions of things that have it.
type plan struct {
	layout  *redact.Layout
	pieces  []redact.Piece // as the layout's; neighbours that are kept as they are have become one
	headers []redact.Piece // those that lead to texts, or to what is not kept; arrays of what has such
	elems   map[*redact.Layout]*plan
	runtime bool // a structure of the runtime, which is read whole, and has no texts of the program
}

// of gives the plan of a thing.
func (p *painter) of(t typedAt) *plan {
	if name := p.mem.Variable(t.addr); name != "" {
		return planOf(p.policy.Of(t.typ, name))
	}
	if p.plan != nil && p.plan.layout.Type == t.typ {
		return p.plan
	}
	plan := p.plans[t.typ]
	if plan == nil {
		plan = planOf(p.policy.Of(t.typ, ""))
		p.plans[t.typ] = plan
	}
	p.plan = plan
	return plan
}

// maxJoined bounds pieces that are painted as one, in bytes.
const maxJoined = 256

func planOf(l *redact.Layout) *plan {
	out := &plan{layout: l, elems: map[*redact.Layout]*plan{}}
	out.runtime = redact.OfRuntime(l.Type) && !isPointer(l.Type.Kind)
	for _, piece := range l.Pieces {
		if piece.Elem != nil {
			elem := planOf(piece.Elem)
			out.elems[piece.Elem] = elem
			out.pieces = append(out.pieces, piece)
			if len(elem.headers) > 0 {
				out.headers = append(out.headers, piece)
			}
			continue
		}
		if piece.Form == redact.Text || piece.Form == redact.Bytes ||
			piece.Form == redact.Slice && piece.Action != redact.Keep {
			out.headers = append(out.headers, piece)
		}
		if piece.Form == redact.Slice { // the header itself is kept
			piece.Form, piece.Action = redact.Plain, redact.Keep
		}
		if k := len(out.pieces) - 1; k >= 0 && joins(&out.pieces[k], &piece) {
			out.pieces[k].Size += piece.Size
			continue
		}
		out.pieces = append(out.pieces, piece)
	}
	return out
}

// joins tells whether two pieces are painted as one.
func joins(a, b *redact.Piece) bool {
	plain := func(p *redact.Piece) bool { return p.Elem == nil && p.Form == redact.Plain && p.Action == redact.Keep }
	return plain(a) && plain(b) && a.Offset+a.Size == b.Offset && a.Size+b.Size <= maxJoined
}
