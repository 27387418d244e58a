package compile

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"

	"ri/probe"
	"ri/symbols"
)

// spot is a typed place that the kernel can get at: a variable's pieces, or what a path leads to.
type spot struct {
	t      *symbols.Type
	pieces []Piece // of what lies in registers and stack slots; else nil, and path is the address
	path   probe.Path
	entry  bool            // its registers are those of the entry, and it is asked for at the return
	guards []probe.Compare // what must hold for it to be there
	orZero *probe.Word     // where this word is 0 there is nothing, and the number is 0: the length of a nil map
	owner  *symbols.Type   // of a field: the struct that has it, nil of all else
	inside int64           // where in the struct it lies
}

// spotOf is where an argument is.
func spotOf(a *Argument, entry bool) (spot, error) {
	if a.Err != nil {
		return spot{}, a.Err
	}
	if a.At != nil {
		return spot{t: a.Type, path: *a.At, guards: a.When}, nil
	}
	s := spot{t: a.Type, entry: entry}.of(a.Pieces)
	if a.Pointer {
		return s.behind(0, a.Type)
	}
	return s, nil
}

// of is the spot at pieces: a path if they lie side by side in memory.
func (s spot) of(pieces []Piece) spot {
	s.pieces, s.path = pieces, probe.Path{}
	if s.pieces == nil {
		s.pieces = []Piece{}
	}
	if len(pieces) == 0 {
		return s
	}
	first, next := pieces[0], pieces[0].Off
	for _, p := range pieces {
		if p.Kind != OnStack && p.Kind != Behind || p.Kind != first.Kind || p.Register != first.Register || p.Off != next {
			return s
		}
		next += p.Size
	}
	s.pieces, s.path = nil, s.memory(first)
	return s
}

// memory is the path to a piece that lies in memory.
func (s spot) memory(p Piece) probe.Path {
	if p.Kind == Behind {
		return probe.Path{Base: s.register(p.Register), Last: p.Off}
	}
	return probe.Path{Base: probe.Base{Kind: probe.CFA}, Last: p.Off}
}

// part is what lies at an offset of the spot.
func (s spot) part(off int64, t *symbols.Type) spot {
	out := s
	out.t, out.owner = t, nil
	if s.pieces == nil {
		out.path.Last += off
		return out
	}
	return out.of(cutPieces(s.pieces, off, t.Size))
}

// cutPieces gives the pieces of the bytes from off on. It isn't nil.
func cutPieces(pieces []Piece, off, size int64) []Piece {
	out := []Piece{}
	at := int64(0)
	for _, p := range pieces {
		from, to := max(off, at), min(off+size, at+p.Size)
		if from < to {
			cut := p
			cut.Size = to - from
			switch p.Kind {
			case InRegister:
				cut.Shift += uint8(8 * (from - at))
			case OnStack, Behind, inItem:
				cut.Off += from - at
			case Fixed:
				cut.Data = p.Data[from-at : to-at]
			}
			out = append(out, cut)
		}
		at += p.Size
	}
	return out
}

// isVariable tells whether the spot is a package variable, or a part of one.
func (s spot) isVariable() bool {
	return s.pieces == nil && s.path.Base.Kind == probe.Constant && len(s.path.Steps) == 0
}

// register is the base of a register's word.
func (s spot) register(n int) probe.Base {
	if s.entry {
		return probe.Base{Kind: probe.EntryRegister, N: n}
	}
	return probe.Base{Kind: probe.Register, N: n}
}

// word is a number at an offset of the spot.
func (s spot) word(off, size int64, signed bool) (probe.Word, error) {
	w := probe.Word{Size: uint8(size), Signed: signed}
	if s.pieces == nil {
		w.Path = s.path
		w.Path.Last += off
		return w, nil
	}
	cut := cutPieces(s.pieces, off, size)
	if len(cut) != 1 || cut[0].Size != size {
		for _, p := range cut {
			if p.Err != nil {
				return w, p.Err
			}
		}
		return w, fmt.Errorf("it lies in more than one piece: %w", ErrCannot)
	}
	switch p := cut[0]; p.Kind {
	case Gone:
		return w, p.Err
	case InRegister:
		if int64(p.Shift)+8*size > 64 {
			return w, fmt.Errorf("it is larger than the register that it is said to be in: %w", ErrCannot)
		}
		w.Path.Base, w.InPlace, w.Shift = s.register(p.Register), true, p.Shift
	case Fixed:
		var b [8]byte
		copy(b[:], p.Data)
		w.Path.Base, w.InPlace = probe.Base{Kind: probe.Constant, Word: binary.LittleEndian.Uint64(b[:])}, true
	case inItem:
		w.Path.Base, w.InPlace = probe.Base{Kind: probe.Item, N: p.Register, Off: p.Off}, true
	default:
		w.Path = s.memory(p)
	}
	return w, nil
}

// behind is what the pointer at an offset of the spot leads to.
func (s spot) behind(off int64, t *symbols.Type) (spot, error) {
	w, err := s.word(off, 8, false)
	if err != nil {
		return spot{}, err
	}
	return spot{t: t, path: follow(w), entry: s.entry, guards: s.guards}, nil
}

// follow is the path to what a word points to.
func follow(w probe.Word) probe.Path {
	if w.InPlace {
		return probe.Path{Base: w.Path.Base}
	}
	return probe.Path{Base: w.Path.Base, Steps: append(slices.Clone(w.Path.Steps), w.Path.Last)}
}

// guarded is the spot where more must hold.
func (s spot) guarded(more ...probe.Compare) spot {
	s.guards = append(slices.Clip(s.guards), more...)
	return s
}

// field is a field by its name, through pointers and embedded structs as Go goes.
func (s spot) field(name string) (spot, error) {
	for range 16 {
		if s.t.Kind != reflect.Pointer || s.t.Elem() == nil {
			break
		}
		var err error
		if s, err = s.behind(0, s.t.Elem()); err != nil {
			return spot{}, err
		}
	}
	p, err := s.t.FieldByName(name)
	if err != nil {
		return spot{}, err
	}
	owner := s.t
	for _, step := range p.Steps {
		if s, err = s.behind(step.Offset, s.t); err != nil {
			return spot{}, err
		}
		owner = pointedAt(owner, step.Offset)
	}
	out := s.part(p.Offset, p.Field.Type)
	out.owner, out.inside = owner, p.Offset
	return out, nil
}

// pointedAt is what the pointer at an offset of a struct points to; nil where there is none.
func pointedAt(t *symbols.Type, off int64) *symbols.Type {
	for t != nil && t.Kind == reflect.Struct {
		fields := t.Fields()
		i := slices.IndexFunc(fields, func(f symbols.Field) bool {
			return off >= f.Offset && off < f.Offset+f.Type.Size
		})
		if i < 0 {
			return nil
		}
		t, off = fields[i].Type, off-fields[i].Offset
	}
	if t == nil || t.Kind != reflect.Pointer || off != 0 {
		return nil
	}
	return t.Elem()
}
