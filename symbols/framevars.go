package symbols

import (
	"sort"

	"ri/symbols/dwarf"
)

// FuncVars are the arguments, results and locals of one function, with those of the calls inlined in it.
type FuncVars struct {
	file  *File
	unit  *dwarf.Unit
	scope scope
	lacks error // see Lacks
	room  int   // how much more its entries may refer to: ranges, and bytes of names
}

// scope is a function, a lexical block or an inlined call.
type scope struct {
	inlined  bool
	origin   uint64        // of an inlined call: the entry of the function that was called
	ranges   []dwarf.Range // empty: the whole function
	vars     []FrameVar
	children []scope
}

// FrameVar is one variable of a function.
type FrameVar struct {
	Name          string
	Type          *Type
	Argument      bool
	Result        bool
	Line          int   // of its declaration
	ClosureOffset int64 // of a captured variable in the closure's object (Go 1.23 and later); -1 for others

	loc     []byte
	locList uint64
	hasList bool
}

// FuncVars gives the variables of the function at a link-time pc; nil if DWARF has none.
func (f *File) FuncVars(pc uint64) *FuncVars {
	fn := f.functionAt(pc)
	if fn == nil {
		return f.unrecordedVars(pc)
	}
	off := fn.off
	f.mu.Lock()
	v, ok := f.vars[off]
	f.mu.Unlock()
	if ok {
		return v
	}
	v = f.readFuncVars(off)
	f.mu.Lock()
	f.vars[off] = v
	f.mu.Unlock()
	return v
}

// functionAt finds the function that debug information has at a pc; nil if it has none.
func (f *File) functionAt(pc uint64) *function {
	fs := f.index.functions
	i := sort.Search(len(fs), func(i int) bool { return fs[i].highPC > pc })
	if i == len(fs) || pc < fs[i].lowPC {
		return nil
	}
	return &fs[i]
}

// Lacks is ErrNotRecorded of variables that didn't travel with a file that came without its executable; else nil. Then
// there seem to be none.
func (v *FuncVars) Lacks() error {
	if v == nil {
		return nil
	}
	return v.lacks
}

func (f *File) readFuncVars(off uint64) *FuncVars {
	u := f.dwarf.At(off)
	var e dwarf.Entry
	if u == nil || f.dwarf.Read(u, off, &e) != nil {
		return nil
	}
	v := &FuncVars{file: f, unit: u, room: maxFuncVars}
	if e.Children {
		v.readScope(e.Next, &v.scope, 0)
	}
	return v
}

// maxFuncVars bounds what a function's entries refer to elsewhere, in bytes: lists and names that may be the same.
const maxFuncVars = 1 << 24

// readScope reads the children that start at off; it returns the offset past their null entry, 0 on malformed data.
func (v *FuncVars) readScope(off uint64, s *scope, depth int) uint64 {
	f, u := v.file, v.unit
	var e dwarf.Entry
	for {
		if depth > 200 || v.room < 0 || f.dwarf.Read(u, off, &e) != nil {
			return 0
		}
		switch e.Tag {
		case 0:
			return e.Next
		case dwarf.TagFormalParameter, dwarf.TagVariable:
			if fv, ok := f.frameVar(&e); ok {
				s.vars = append(s.vars, fv)
				v.room -= len(fv.Name)
			}
		case dwarf.TagLexicalBlock, dwarf.TagInlinedSubroutine:
			child := scope{inlined: e.Tag == dwarf.TagInlinedSubroutine, origin: e.Origin}
			switch {
			case e.HasRanges:
				child.ranges = f.dwarf.Ranges(u, e.Ranges)
				v.room -= 16 * len(child.ranges)
			case e.HasLowPC && e.HighPC > e.LowPC:
				child.ranges = []dwarf.Range{{Low: e.LowPC, High: e.HighPC}}
			}
			next := e.Next
			if e.Children {
				if next = v.readScope(e.Next, &child, depth+1); next == 0 {
					return 0
				}
			}
			if len(child.ranges) > 0 {
				s.children = append(s.children, child)
			}
			off = next
			continue
		}
		off = e.Next
		if e.Children {
			next, err := f.dwarf.Skip(u, e.Next)
			if err != nil {
				return 0
			}
			off = next
		}
	}
}

func (f *File) frameVar(e *dwarf.Entry) (FrameVar, bool) {
	fv := FrameVar{Name: string(e.Name), Argument: e.Tag == dwarf.TagFormalParameter, Result: e.Result,
		Line: int(e.DeclLine), ClosureOffset: -1,
		loc: e.Location, locList: e.LocList, hasList: e.HasLocList}
	if e.HasClosure {
		fv.ClosureOffset = e.ClosureOffset
	}
	typ := e.Type
	if e.Origin != 0 {
		var o dwarf.Entry
		u := f.dwarf.At(e.Origin)
		if u == nil || f.dwarf.Read(u, e.Origin, &o) != nil {
			return fv, false
		}
		fv.Name, fv.Result, typ = string(o.Name), o.Result, o.Type
		if fv.Line == 0 {
			fv.Line = int(o.DeclLine)
		}
	}
	if typ == 0 || fv.Name == "" {
		return fv, false
	}
	fv.Type = f.typeAt(typ)
	return fv, true
}

// At gives the variables in scope at pc. depth says of which call: 0 is the function itself, 1 a call that was inlined
// in it. Variables that are nowhere at pc are given too: see Location.
func (v *FuncVars) At(pc uint64, depth int) []FrameVar {
	if v == nil {
		return nil
	}
	s := &v.scope
	var out []FrameVar
	if depth == 0 {
		out = append(out, s.vars...)
	}
	for {
		child := s.childAt(pc)
		if child == nil {
			return out
		}
		if child.inlined {
			if depth == 0 {
				return out
			}
			depth--
		}
		if depth == 0 {
			out = append(out, child.vars...)
		}
		s = child
	}
}

func (s *scope) childAt(pc uint64) *scope {
	for i := range s.children {
		for _, r := range s.children[i].ranges {
			if pc >= r.Low && pc < r.High {
				return &s.children[i]
			}
		}
	}
	return nil
}

// Declared gives the arguments and results of an inlined call as its function declares them, without where they are: At
// lacks those that were optimised away. pc and depth are those of At; depth 0 has none.
func (v *FuncVars) Declared(pc uint64, depth int) (out []FrameVar) {
	if v == nil || depth == 0 {
		return nil
	}
	s := &v.scope
	for depth > 0 {
		if s = s.childAt(pc); s == nil {
			return nil
		}
		if s.inlined {
			depth--
		}
	}
	f := v.file
	u := f.dwarf.At(s.origin)
	var e dwarf.Entry
	if u == nil || f.dwarf.Read(u, s.origin, &e) != nil || !e.Children {
		return nil
	}
	for off := e.Next; len(out) < maxParameters && f.dwarf.Read(u, off, &e) == nil && e.Tag != 0; off = e.Next {
		if e.Tag == dwarf.TagFormalParameter {
			if fv, ok := f.frameVar(&e); ok {
				out = append(out, fv)
			}
		}
		if e.Children {
			next, err := f.dwarf.Skip(u, e.Next)
			if err != nil {
				break
			}
			e.Next = next
		}
	}
	return out
}

// maxParameters bounds those of one function.
const maxParameters = 1 << 10

// All gives the variables of the function itself, blocks included, wherever their scope is.
func (v *FuncVars) All() []FrameVar {
	if v == nil {
		return nil
	}
	var out []FrameVar
	var add func(s *scope)
	add = func(s *scope) {
		out = append(out, s.vars...)
		for i := range s.children {
			if !s.children[i].inlined {
				add(&s.children[i])
			}
		}
	}
	add(&v.scope)
	return out
}

// Listed tells whether debug information says of each place apart where the variable is. Where it says it once, for the
// whole function, that holds from when the function has put it there: not at its entry.
func (fv *FrameVar) Listed() bool { return fv.hasList }

// Location gives the DWARF location expression of a variable at pc; nil if it is nowhere there.
func (v *FuncVars) Location(fv *FrameVar, pc uint64) []byte {
	if !fv.hasList || v.unit == nil {
		return fv.loc
	}
	return v.file.dwarf.Location(v.unit, fv.locList, pc)
}
