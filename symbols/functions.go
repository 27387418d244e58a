package symbols

import (
	"encoding/binary"
	"slices"
	"strings"
)

// FuncInfo is what the function table has of a function as a whole.
type FuncInfo struct {
	Name       string // full
	Entry, End uint64 // link-time addresses; padding is included
	File       string
	Line       int   // of its declaration
	Args       int64 // bytes that arguments and results take on the stack, room to spill included; -1 if not known
	Assembler  bool
	Wrapper    bool // made by the compiler, not in the source
	TopFrame   bool // a stack ends here
	System     bool // it runs on a system stack, or changes stacks: SP and the goroutine are not what they seem
}

const (
	flagSPWrite = 2 // internal/abi.FuncFlagSPWrite
	flagAsm     = 4 // internal/abi.FuncFlagAsm
)

// FuncInfo tells of the function at a link-time pc; ok is false outside Go code.
func (f *File) FuncInfo(pc uint64) (info FuncInfo, ok bool) {
	if f.pcln == nil || f.pcln.nfunc == 0 {
		return info, false
	}
	if i, found := f.pcln.find(pc); found {
		return f.funcInfo(i)
	}
	return info, false
}

func (f *File) funcInfo(i int) (info FuncInfo, ok bool) {
	t := f.pcln
	fn, ok := t.head(i)
	if !ok {
		return info, false
	}
	entry := t.entry(i)
	wrapper := t.wrapper()
	info = FuncInfo{Name: fn.name(), Entry: entry, End: t.entry(i + 1), Args: int64(int32(fn.word(2))),
		File: fn.file(int(t.value(fn.word(5), entry, entry))), Line: int(t.value(fn.word(6), entry, entry)),
		Assembler: fn.flag()&flagAsm != 0, Wrapper: wrapper != 0 && fn.id() == wrapper,
		TopFrame: fn.flag()&flagTopFrame != 0, System: fn.flag()&flagSPWrite != 0}
	if t.hasStart {
		info.Line = fn.startLine()
	}
	if info.Args < 0 {
		info.Args = -1
	}
	return info, true
}

// FuncEntry is a function's name and link-time entry.
type FuncEntry struct {
	Name  string
	Entry uint64
}

// FuncEntries lists all functions in order of address. The slice must not be changed.
func (f *File) FuncEntries() []FuncEntry {
	if f.pcln == nil {
		return nil
	}
	return f.Keep(funcEntriesKey{}, func() any {
		list := make([]FuncEntry, 0, f.pcln.nfunc)
		for i := range f.pcln.nfunc {
			if fn, ok := f.pcln.head(i); ok {
				list = append(list, FuncEntry{fn.name(), f.pcln.entry(i)})
			}
		}
		return list
	}).([]FuncEntry)
}

type funcEntriesKey struct{}

// InlinedCall is a call that was inlined in a function.
type InlinedCall struct {
	Func   string // full name of what was called
	Parent int    // the call that it was inlined in, by its index; -1: the function itself
	// Mark is the link-time address of an instruction that has the line of the call. It need not be in front of the
	// call's own instructions, except where it is a NOP, which the compiler made for it.
	Mark    uint64
	Wrapper bool
	Line    int // of its function's declaration
}

// InlinedRange is a range of instructions of one call.
type InlinedRange struct {
	Start, End uint64 // link-time
	Call       int    // the innermost, by its index; -1: the function itself
}

// maxInlined bounds the calls that were inlined in one function.
const maxInlined = 1 << 16

// Inlined gives the calls that were inlined in the function at a link-time pc, and whose its instructions are
// (runtime.inlinedCall, PCDATA_InlTreeIndex; Go 1.20 to 1.27). Both are nil where there are none.
func (f *File) Inlined(pc uint64) (calls []InlinedCall, ranges []InlinedRange) {
	t := f.pcln
	if t == nil || t.nfunc == 0 {
		return nil, nil
	}
	i, ok := t.find(pc)
	if !ok {
		return nil, nil
	}
	fn, ok := t.head(i)
	if !ok {
		return nil, nil
	}
	index, tree, ok := f.inlineTree(fn)
	if !ok {
		return nil, nil
	}
	entry, end, most := t.entry(i), t.entry(i+1), int32(-1)
	at := entry
	t.eachRange(index, func(val int32, length uint64) bool {
		next := min(at+length, end)
		if val < -1 || val >= maxInlined {
			return false
		}
		ranges = append(ranges, InlinedRange{at, next, int(val)})
		most, at = max(most, val), next
		return at < end
	})
	// A call of which no instruction is left is in the tree if another was inlined in it, but is none's parent by its
	// index: parents have smaller ones, as the compiler numbers them from the outside.
	wrapper := t.wrapper()
	for n := int32(0); n <= most; n++ {
		call, ok := f.inlinedCall(tree, n)
		if !ok {
			return nil, nil
		}
		parent := t.value(index, entry, entry+call.parent)
		if parent >= n {
			parent = -1 // malformed: so that nobody goes round in circles
		}
		calls = append(calls, InlinedCall{Func: call.name, Parent: int(parent), Mark: entry + call.parent,
			Wrapper: wrapper != 0 && call.id == wrapper, Line: call.line})
	}
	return calls, ranges
}

// inlineTree finds a function's tree of inlined calls, and the table that has the index by PC.
func (f *File) inlineTree(fn goFunc) (index, tree uint32, ok bool) {
	index, ok = fn.pcdata(pcdataInlTree)
	tree, ok2 := fn.funcdata(funcInlTree)
	return index, tree, ok && ok2 && f.goFunc != 0
}

// eachRange calls back with each value that a table of pctab has, and for how many bytes of code, until that says no.
func (t *pclntab) eachRange(off uint32, found func(val int32, length uint64) bool) {
	rest, val := t.data.From(t.pc+uint64(off)), int32(-1)
	for first := true; ; first = false {
		step, n := binary.Uvarint(rest)
		if n <= 0 || (uint32(step) == 0 && !first) {
			return
		}
		length, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			return
		}
		rest = rest[n+m:]
		if delta := uint32(step); delta&1 != 0 {
			val += int32(^(delta >> 1))
		} else {
			val += int32(delta >> 1)
		}
		if !found(val, length) {
			return
		}
	}
}

// inlinings says in which functions a function's calls were inlined.
type inlinings struct {
	names []string            // sorted
	in    map[string][]uint64 // by name: entries, in order
}

type inliningsKey struct{}

// inlinings passes over all functions once.
func (f *File) inlinings() *inlinings {
	return f.Keep(inliningsKey{}, func() any {
		x := &inlinings{in: map[string][]uint64{}}
		t := f.pcln
		if t == nil || t.nfunc == 0 {
			return x
		}
		byName := map[uint32][]uint64{} // by the name's place: a name has one, mostly
		b := make([]byte, t.treeEntry())
		name := map[int]int{inlTreeEntry: 4, oldTreeEntry: 12}[len(b)]
		for i := range t.nfunc {
			fn, ok := t.head(i)
			if !ok {
				continue
			}
			index, tree, ok := f.inlineTree(fn)
			if !ok {
				continue
			}
			most, entry := int32(-1), t.entry(i)
			t.each(index, func(val int32) { most = max(most, val) })
			for n := int32(0); n <= most && n < maxInlined; n++ {
				if !f.image.copy(b, f.goFunc+uint64(tree)+uint64(n)*uint64(len(b))) {
					break
				}
				off := binary.LittleEndian.Uint32(b[name:])
				if in := byName[off]; len(in) == 0 || in[len(in)-1] != entry {
					byName[off] = append(in, entry)
				}
			}
		}
		for off, in := range byName {
			if name := unescape(string(t.text(t.funcName, off))); name != "" {
				x.in[name] = append(x.in[name], in...)
			}
		}
		for name, in := range x.in {
			slices.Sort(in)
			x.in[name] = slices.Compact(in)
			x.names = append(x.names, name)
		}
		slices.SortFunc(x.names, strings.Compare)
		return x
	}).(*inlinings)
}

// InlinedNames lists the full names of all functions of which calls were inlined, sorted. The slice must not be
// changed.
func (f *File) InlinedNames() []string { return f.inlinings().names }

// InlinedIn gives the link-time entries of the functions in which calls of a function, by its full name, were inlined.
// The slice must not be changed.
func (f *File) InlinedIn(name string) []uint64 { return f.inlinings().in[name] }
