package symbols

import (
	"encoding/binary"
	"sort"
)

// FuncVars are the arguments, results and locals of one function, with those of the calls inlined in it.
type FuncVars struct {
	file  *File
	unit  *unit
	scope scope
}

// scope is a function, a lexical block or an inlined call.
type scope struct {
	inlined  bool
	ranges   []pcRange // empty: the whole function
	vars     []FrameVar
	children []scope
}

type pcRange struct{ low, high uint64 }

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

// Vars gives the variables of the function at a link-time pc; nil if DWARF has none.
func (f *File) FuncVars(pc uint64) *FuncVars {
	fs := f.index.functions
	i := sort.Search(len(fs), func(i int) bool { return fs[i].highPC > pc })
	if i == len(fs) || pc < fs[i].lowPC {
		return nil
	}
	off := fs[i].off
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

func (f *File) readFuncVars(off uint64) *FuncVars {
	u := f.dwarf.unitAt(off)
	var e die
	if u == nil || f.dwarf.entry(u, off, &e) != nil {
		return nil
	}
	v := &FuncVars{file: f, unit: u}
	if e.children {
		f.readScope(u, e.next, &v.scope, 0)
	}
	return v
}

// readScope reads the children that start at off; it returns the offset past their null entry, 0 on malformed data.
func (f *File) readScope(u *unit, off uint64, s *scope, depth int) uint64 {
	var e die
	for {
		if depth > 200 || f.dwarf.entry(u, off, &e) != nil {
			return 0
		}
		switch e.tag {
		case 0:
			return e.next
		case tagFormalParameter, tagVariable:
			if fv, ok := f.frameVar(&e); ok {
				s.vars = append(s.vars, fv)
			}
		case tagLexicalBlock, tagInlinedSubroutine:
			child := scope{inlined: e.tag == tagInlinedSubroutine}
			switch {
			case e.hasRanges:
				child.ranges = f.dwarf.pcRanges(u, e.ranges)
			case e.hasLowPC && e.highPC > e.lowPC:
				child.ranges = []pcRange{{e.lowPC, e.highPC}}
			}
			next := e.next
			if e.children {
				if next = f.readScope(u, e.next, &child, depth+1); next == 0 {
					return 0
				}
			}
			if len(child.ranges) > 0 {
				s.children = append(s.children, child)
			}
			off = next
			continue
		}
		off = e.next
		if e.children {
			next, err := f.dwarf.skipChildren(u, e.next)
			if err != nil {
				return 0
			}
			off = next
		}
	}
}

func (f *File) frameVar(e *die) (FrameVar, bool) {
	fv := FrameVar{Name: string(e.name), Argument: e.tag == tagFormalParameter, Result: e.result, Line: int(e.declLine), ClosureOffset: -1,
		loc: e.loc, locList: e.locList, hasList: e.hasLocList}
	if e.hasClosure {
		fv.ClosureOffset = e.closureOff
	}
	typ := e.typ
	if e.origin != 0 {
		var o die
		u := f.dwarf.unitAt(e.origin)
		if u == nil || f.dwarf.entry(u, e.origin, &o) != nil {
			return fv, false
		}
		fv.Name, fv.Result, typ = string(o.name), o.result, o.typ
		if fv.Line == 0 {
			fv.Line = int(o.declLine)
		}
	}
	if typ == 0 || fv.Name == "" {
		return fv, false
	}
	fv.Type = f.typeAt(typ)
	return fv, true
}

// At gives the variables in scope at pc, of the call that is depth inlined calls
// down from the function itself (0); locations that are empty at pc are kept: see Location.
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
			if pc >= r.low && pc < r.high {
				return &s.children[i]
			}
		}
	}
	return nil
}

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

// Location gives the DWARF location expression of a variable at pc; nil if it is nowhere there.
func (v *FuncVars) Location(fv *FrameVar, pc uint64) []byte {
	if !fv.hasList {
		return fv.loc
	}
	d := v.file.dwarf
	if v.unit.version >= 5 {
		return d.findLoclist(v.unit, fv.locList, pc)
	}
	return d.findLoc(v.unit, fv.locList, pc)
}

// findLoc searches a DWARF 4 location list (section 2.6.2 of that standard).
func (d *dwarfData) findLoc(u *unit, off, pc uint64) []byte {
	b := buf{data: d.loc.bytes(), off: off}
	base := u.lowPC
	for {
		low, high := b.u64(), b.u64()
		if b.bad || (low == 0 && high == 0) {
			return nil
		}
		if low == ^uint64(0) {
			base = high
			continue
		}
		expr := b.take(uint64(b.u16()))
		if pc >= base+low && pc < base+high {
			return expr
		}
	}
}

// listEntry reads the bounds of one entry of a DWARF 5 location or range list (sections 7.7.3 and 7.25);
// the kinds that both have differ in number only behind offset_pair.
func (d *dwarfData) listEntry(b *buf, u *unit, kind uint8, base *uint64) (r pcRange, isRange bool) {
	switch kind {
	case 1: // base_addressx
		*base = d.addrx(u, b.uleb())
		return
	case 2: // startx_endx
		r.low = d.addrx(u, b.uleb())
		r.high = d.addrx(u, b.uleb())
	case 3: // startx_length
		r.low = d.addrx(u, b.uleb())
		r.high = r.low + b.uleb()
	case 4: // offset_pair
		r.low = *base + b.uleb()
		r.high = *base + b.uleb()
	case 6: // base_address
		*base = b.u64()
		return
	case 7: // start_end
		r.low = b.u64()
		r.high = b.u64()
	case 8: // start_length
		r.low = b.u64()
		r.high = r.low + b.uleb()
	default:
		b.bad = true
		return
	}
	return r, true
}

func (d *dwarfData) findLoclist(u *unit, off, pc uint64) []byte {
	b := buf{data: d.loclists.bytes(), off: off}
	base := u.lowPC
	for {
		kind := b.u8()
		if b.bad || kind == 0 {
			return nil
		}
		var r pcRange
		isRange := true
		if kind == 5 { // default_location
			r = pcRange{0, ^uint64(0)}
		} else {
			r, isRange = d.listEntry(&b, u, kind, &base)
		}
		if !isRange {
			continue
		}
		expr := b.take(b.uleb())
		if pc >= r.low && pc < r.high && !b.bad {
			return expr
		}
	}
}

// pcRanges reads the ranges of a scope: .debug_ranges before DWARF 5, .debug_rnglists since.
func (d *dwarfData) pcRanges(u *unit, off uint64) []pcRange {
	var out []pcRange
	base := u.lowPC
	if u.version < 5 {
		b := buf{data: d.ranges.bytes(), off: off}
		for {
			low, high := b.u64(), b.u64()
			if b.bad || (low == 0 && high == 0) {
				return out
			}
			if low == ^uint64(0) {
				base = high
				continue
			}
			out = append(out, pcRange{base + low, base + high})
		}
	}
	b := buf{data: d.rnglists.bytes(), off: off}
	for {
		kind := b.u8()
		if b.bad || kind == 0 {
			return out
		}
		if kind >= 5 { // no default_location here: 5 base_address, 6 start_end, 7 start_length
			kind++
		}
		if r, isRange := d.listEntry(&b, u, kind, &base); isRange && !b.bad {
			out = append(out, r)
		}
	}
}

// staticAddress evaluates the location of a package variable.
func (d *dwarfData) staticAddress(u *unit, loc []byte) (uint64, bool) {
	if len(loc) == 0 {
		return 0, false
	}
	b := buf{data: loc, off: 1}
	switch loc[0] {
	case 0x03: // DW_OP_addr
		if len(loc) != 9 {
			return 0, false
		}
		return binary.LittleEndian.Uint64(loc[1:]), true
	case 0xa1: // DW_OP_addrx
		addr := d.addrx(u, b.uleb())
		return addr, !b.bad && addr != 0
	}
	return 0, false
}
