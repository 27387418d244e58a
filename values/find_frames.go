package values

import (
	"slices"
	"strconv"

	"ri/symbols"
)

// framesOf looks at the variables in the frames of a goroutine.
func (f *finder) framesOf(g *Goroutine) {
	f.inFrames = g.Addr
	defer func() { f.inFrames = 0 }()
	f.s.OnStack(g, func() {
		leaf, known := f.s.knownStack(g)
		if known && f.dull[leaf] {
			return
		}
		if !f.framesHere(g) && known {
			f.dull[leaf] = true
		}
	})
}

// framesHere is framesOf. It tells whether the frames have variables that are worth a look.
func (f *finder) framesHere(g *Goroutine) (any bool) {
	stack, _ := g.Unwind(0) // a broken stack's good frames count too, and so do wrappers: they hold receivers
	for i := range stack {
		fr := &stack[i]
		list := f.variables(fr)
		for k := range list {
			v := &list[k]
			if !any {
				any, f.stacks[g.ID] = true, [2]uint64{g.StackLo, g.StackHi}
			}
			value, err := g.frameValue(fr, v.of, &v.FrameVar)
			if err == nil && v.escaped {
				value, err = value.Elem()
			}
			where := "goroutine " + strconv.FormatInt(g.ID, 10) + v.where
			switch {
			case err != nil:
			case !v.dead:
				f.root(value, where, g.ID)
			case f.wanted(value.Type):
				f.direct(value, where, g.ID, nil)
			}
		}
	}
	return any
}

// dead tells whether a variable is known to lie in memory in which the collector follows nothing: the code won't use it
// any more.
func (s *Space) dead(fr *Frame, of *symbols.FuncVars, v *symbols.FrameVar) bool {
	info, ok := s.PC(fr.PC)
	if !ok || fr.Regs != nil || info.FrameSize < 0 {
		return false // its registers are known, and may hold it
	}
	m, ok := s.file.StackMap(fr.At - s.bias)
	if !ok || m == nil {
		return false
	}
	end := int32(s.arch.LocalsEnd(info.FrameSize))
	low, high, live := end-int32(8*m.LocalWords), int32(8*m.ArgWords), m.Live(end)
	follows := func(off int64) bool {
		return off < int64(low) || off >= int64(high) || slices.Contains(live, int32(off)) ||
			slices.ContainsFunc(m.Objects, func(o symbols.StackObject) bool {
				from := int64(o.From(end))
				return off >= from && off < from+int64(o.Size)
			})
	}
	for _, at := range []uint64{fr.At, fr.PC} {
		pieces, err := s.locate(of.Location(v, at-s.bias), v.Type.Size, placeCFA, nil)
		if err != nil {
			continue
		}
		for _, p := range pieces {
			if p.kind != pieceMemory {
				return false
			}
			for off := int64(p.word) - placeCFA; off < int64(p.word)-placeCFA+p.size; off += 8 {
				if follows(off) {
					return false
				}
			}
		}
		return len(pieces) > 0
	}
	return false
}

// framePlace is where a function, or a call that was inlined into it, is.
type framePlace struct {
	at    uint64
	depth int
}

// frameCandidate is a variable of a frame whose type is worth a look.
type frameCandidate struct {
	symbols.FrameVar
	of      *symbols.FuncVars
	escaped bool   // the frame has its address
	dead    bool   // the code has no more use for it: what it led to may be freed, and something else by now
	where   string // ": server.(*Server).AcceptLoop: s"
}

// variables are those in scope in a frame whose types are worth a look. Very many goroutines are in few places.
func (f *finder) variables(fr *Frame) []frameCandidate {
	place := framePlace{fr.At, fr.depth}
	list, ok := f.inScope[place]
	if !ok {
		of := f.s.file.FuncVars(fr.At - f.s.bias)
		for _, v := range of.At(fr.At-f.s.bias, fr.depth) {
			t := v.Type
			name, escaped := cutEscaped(v)
			if !escaped {
				name = v.Name
			} else if t.Elem() != nil {
				t = t.Elem()
			}
			if f.wanted(t) || f.keepRoots && hasPointers(t) {
				list = append(list, frameCandidate{v, of, escaped, f.s.dead(fr, of, &v),
					": " + f.s.file.ShortName(fr.Func) + ": " + name})
			}
		}
		f.inScope[place] = list
	}
	return list
}
