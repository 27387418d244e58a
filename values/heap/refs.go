package heap

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"sort"

	"ri/symbols"
	"ri/values"
)

// maxRefs is how many places are told, and how many of each holder.
const maxRefs = 64

// Ref is a place that holds a pointer to an object: in a package variable, or in another object.
type Ref struct {
	Holder string // the variable's name, the object's type, or the function whose closure it is; with import paths
	Field  string // what selects the place in it: ".jobs", ".shards[3].quit"
	// Types are the structs that the place is in, the outermost first: of a context embedded in a struct of the program's
	// both are there.
	Types    []string
	Variable bool
	Closure  bool
}

// Refs tells where pointers to the object at an address are, those in frames left out. The first call takes as long as
// Users' does. What is told is not all where more than 64 places are.
func (h *Heap) Refs(addr uint64) (out []Ref, err error) {
	sp, slot := h.find(addr)
	if sp == nil {
		return nil, fmt.Errorf("%#x lies in no object of the heap: %w", addr, values.ErrNotFound)
	}
	e, err := h.reverse()
	if err != nil {
		return nil, err
	}
	object := sp.first + slot
	low, high := h.extent(object + 1)
	at := sort.Search(len(e.roots), func(i int) bool { return e.roots[i].object >= object })
	for ; at < len(e.roots) && e.roots[at].object == object && len(out) < maxRefs; at++ {
		switch r := &h.roots[e.roots[at].root&^rootFlag]; r.kind {
		case rootVar:
			v := &h.vars[r.index]
			out = append(out, h.refsAt(v.Type, v.Addr, low, high, v.Name)...)
		case rootStatic: // what a composite literal at package level made
			if s := h.shapes[r.shape]; s.form == formOne && s.typ != nil {
				out = append(out, h.refsAt(s.typ, r.addr, low, high, "")...)
			}
		}
	}
	last := object
	for _, from := range e.from[e.first[object]:e.first[object+1]] {
		if len(out) >= maxRefs {
			break
		}
		if from != last {
			out = append(out, h.refsInObject(from, low, high)...)
		}
		last = from
	}
	return out, nil
}

// refsAt finds them in what lies outside of the heap: a variable, or with no name what one points to.
func (h *Heap) refsAt(t *symbols.Type, addr, low, high uint64, variable string) (out []Ref) {
	data, err := h.s.Slice(addr, int(min(t.Size, 1<<20)))
	if err != nil {
		return nil
	}
	eachWord(data, low, high, func(off uint64) {
		ref := Ref{Holder: variable, Field: values.Selector(t, int64(off), nil), Types: h.typesAt(t, int64(off)),
			Variable: variable != ""}
		if !ref.Variable {
			ref.Holder = t.Name
		}
		out = append(out, ref)
	})
	return out
}

func (h *Heap) refsInObject(from uint32, low, high uint64) (out []Ref) {
	sp := h.spanOf(from)
	id := h.types[from] >> 2
	s := h.shapes[id]
	base := sp.base(from)
	landing := base + sp.header()
	eachWord(sp.contents(sp.offset(from)), low, high, func(off uint64) {
		if base+off < landing {
			return
		}
		in := base + off - landing
		switch {
		case s.form == formClosure:
			ref := Ref{Field: h.selector(id, base, off, landing), Closure: true}
			if info, ok := h.s.PC(s.pc); ok {
				ref.Holder = info.Func
			}
			out = append(out, ref)
		case s.form == formOne && s.typ != nil && s.size > 0 && in < s.size:
			out = append(out, Ref{Holder: s.typ.Name, Field: values.Selector(s.typ, int64(in), nil),
				Types: h.typesAt(s.typ, int64(in))})
		case s.typ != nil && s.repeated && s.size > 0: // which type a row's elements are tells who has it
			out = append(out, Ref{Holder: s.name, Types: h.typesAt(s.typ, int64(in%s.size))})
		default:
			out = append(out, Ref{Holder: s.name})
		}
	})
	return out
}

// eachWord calls back for each word that points between two addresses, as many as are told.
func eachWord(data []byte, low, high uint64, yield func(off uint64)) {
	for at, n := 0, 0; at+8 <= len(data) && n < maxRefs; at += 8 {
		if word := binary.LittleEndian.Uint64(data[at:]); word >= low && word < high {
			yield(uint64(at))
			n++
		}
	}
}

// typesAt names the structs that an offset of a type is in, the outermost first.
func (h *Heap) typesAt(t *symbols.Type, off int64) (out []string) {
	values.Descend(t, off, func(part *symbols.Type, _ string) bool {
		if part.Kind == reflect.Struct {
			out = append(out, part.Name)
		}
		return true
	})
	return out
}
