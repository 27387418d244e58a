package values

import (
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
			if err == nil {
				f.root(value, "goroutine "+strconv.FormatInt(g.ID, 10)+v.where, g.ID)
			}
		}
	}
	return any
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
				list = append(list, frameCandidate{v, of, escaped, ": " + f.s.file.ShortName(fr.Func) + ": " + name})
			}
		}
		f.inScope[place] = list
	}
	return list
}
