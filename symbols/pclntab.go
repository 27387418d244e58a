package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"ri/symbols/sparse"
)

// pclntab is Go's function table: functions, lines, inlining and stack frame sizes by PC. Present in
// stripped executables too. Layout: runtime/symtab.go (pcHeader, _func), Go 1.18 and 1.20 to 1.27.
type pclntab struct {
	data      sparse.Bytes
	nfunc     int
	textStart uint64
	// Where in data its parts begin.
	funcName uint64 // funcnametab
	cu       uint64 // cutab
	files    uint64 // filetab
	pc       uint64 // pctab
	funcs    uint64 // pclntable: functab, then the _funcs
	functab  []byte
	headSize uint64 // of _func, without pcdata and funcdata
	hasStart bool   // _func has startLine

	wrapperID   uint8 // runtime.funcID of compiler-made functions, 0 if unknown: see findWrapperID
	wrapperOnce sync.Once

	cache  sync.Map // pc -> *PCInfo
	once   sync.Once
	byName map[string]int
}

// PCInfo is what the function table knows of one PC.
type PCInfo struct {
	Func      string // full name
	Entry     uint64 // link-time address of the function
	End       uint64
	FrameSize int64  // bytes from SP to the return address at this PC; -1 if not known
	Lines     []Line // innermost first; more than one where calls were inlined
	TopFrame  bool   // a stack ends here: runtime.goexit, runtime.mstart, ...
	Err       error  // ErrNotRecorded: it is Go code, and nothing more is known
}

const (
	flagTopFrame   = 1 // internal/abi.FuncFlagTopFrame
	pcdataInlTree  = 2 // internal/abi.PCDATA_InlTreeIndex
	funcInlTree    = 3 // internal/abi.FUNCDATA_InlTree
	inlTreeEntry   = 16
	oldTreeEntry   = 20 // before Go 1.20
	maxInlineDepth = 256
)

func newPclntab(f *File, s *elf.Section) (*pclntab, error) {
	if s == nil {
		return nil, say(ErrNotFound, "%s has no .gopclntab section", f.name)
	}
	data, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("%s: section .gopclntab: %w", f.name, err)
	}
	return parsePclntab(f, sparse.Whole(data))
}

// pclnHead is how long the table's header is, in bytes.
const pclnHead = 72

func parsePclntab(f *File, all sparse.Bytes) (*pclntab, error) {
	bad := func(why string) error { return fmt.Errorf("%s: function table: %s", f.name, why) }
	t := &pclntab{data: all}
	data := all.From(0)
	if len(data) < pclnHead {
		return nil, bad("too short")
	}
	switch magic := binary.LittleEndian.Uint32(data); magic {
	case 0xfffffff1:
		t.headSize, t.hasStart = 44, true
	case 0xfffffff0:
		t.headSize = 40
	default:
		return nil, bad(fmt.Sprintf("magic %#x is none that ri knows (Go 1.18 to 1.27)", magic))
	}
	if data[7] != 8 {
		return nil, bad(fmt.Sprintf("pointer size %d", data[7]))
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(data[8+8*i:]) }
	nfunc := word(0)
	t.textStart = word(2)
	if f.textStart != 0 {
		t.textStart = f.textStart // the header's is 0 from Go 1.26 on, and unrelocated in a PIE
	} else if t.textStart == 0 && f.elf != nil {
		if text := f.elf.Section(".text"); text != nil {
			t.textStart = text.Addr
		}
	}
	t.funcName, t.cu, t.files, t.pc, t.funcs = word(3), word(4), word(5), word(6), word(7)
	if f.travelled != nil {
		return t, nil // the functions come apart: see pclntab.travelled
	}
	t.functab = all.From(t.funcs)
	if nfunc == 0 || nfunc > uint64(len(t.functab))/8 || uint64(len(t.functab)) < nfunc*8+4 {
		return nil, bad(fmt.Sprintf("%d functions do not fit", nfunc))
	}
	t.nfunc = int(nfunc)
	return t, nil
}

func (t *pclntab) entry(i int) uint64 {
	return t.textStart + uint64(binary.LittleEndian.Uint32(t.functab[8*i:]))
}

// pctab are the tables by PC, which end where the functions begin.
func (t *pclntab) pctab() []byte { return t.data.Slice(sparse.Range{Start: t.pc, End: t.funcs}) }

// maxName bounds a function's or file's name, in bytes, and maxNames the names of the calls at one PC: they may all be
// the same long one.
const (
	maxName  = 1 << 16
	maxNames = 1 << 20
)

// text reads a text of funcnametab or filetab; "" if there is none.
func (t *pclntab) text(table uint64, off uint32) []byte {
	at := table + uint64(off)
	rest := t.data.From(at)
	text := cstringAt(rest[:min(len(rest), maxName)], 0)
	if text != nil {
		t.data.Note(at, at+uint64(len(text))+1)
	}
	return text
}

// find gives the index of the function that holds pc.
func (t *pclntab) find(pc uint64) (int, bool) {
	if pc < t.entry(0) || pc >= t.entry(t.nfunc) {
		return 0, false
	}
	return sort.Search(t.nfunc, func(i int) bool { return t.entry(i+1) > pc }), true
}

// head is the _func of the i-th function.
func (t *pclntab) head(i int) (goFunc, bool) {
	off := binary.LittleEndian.Uint32(t.functab[8*i+4:])
	if off == gapInTable {
		return goFunc{}, false
	}
	at := t.funcs + uint64(off)
	fn := goFunc{t: t, rest: t.data.From(at)}
	if uint64(len(fn.rest)) < t.headSize {
		return goFunc{}, false
	}
	t.data.Note(at, min(at+t.headSize+4*(fn.npcdata()+fn.nfuncdata()), at+uint64(len(fn.rest))))
	return fn, true
}

// goFunc reads one runtime._func.
type goFunc struct {
	t    *pclntab
	rest []byte
}

func (g goFunc) word(i int) uint32 { return binary.LittleEndian.Uint32(g.rest[4*i:]) }
func (g goFunc) name() string      { return unescape(string(g.t.text(g.t.funcName, g.word(1)))) }
func (g goFunc) id() uint8         { return g.rest[g.t.headSize-4] }
func (g goFunc) flag() uint8       { return g.rest[g.t.headSize-3] }
func (g goFunc) nfuncdata() uint64 { return uint64(g.rest[g.t.headSize-1]) }
func (g goFunc) npcdata() uint64   { return uint64(g.word(7)) }
func (g goFunc) startLine() int    { return int(int32(g.word(9))) }
func (g goFunc) file(n int) string {
	var b [4]byte
	if n < 0 || !g.t.data.Copy(b[:], g.t.cu+(uint64(g.word(8))+uint64(uint32(n)))*4) {
		return "?"
	}
	off := binary.LittleEndian.Uint32(b[:])
	if off == ^uint32(0) {
		return "?"
	}
	return string(g.t.text(g.t.files, off))
}

func (g goFunc) pcdata(i uint64) (uint32, bool) {
	at := g.t.headSize + 4*i
	if i >= g.npcdata() || at+4 > uint64(len(g.rest)) {
		return 0, false
	}
	v := binary.LittleEndian.Uint32(g.rest[at:])
	return v, v != 0
}

func (g goFunc) funcdata(i uint64) (uint32, bool) {
	at := g.t.headSize + 4*(g.npcdata()+i)
	if i >= g.nfuncdata() || at+4 > uint64(len(g.rest)) {
		return 0, false
	}
	v := binary.LittleEndian.Uint32(g.rest[at:])
	return v, v != ^uint32(0)
}

// value decodes the table at off of pctab at pc (runtime.pcvalue): pairs of a zigzag delta of the
// value and a delta of the PC.
func (t *pclntab) value(off uint32, entry, pc uint64) int32 {
	begin := t.pc + uint64(off)
	rest := t.data.From(begin)
	whole := len(rest)
	defer func() { t.data.Note(begin, begin+uint64(whole-len(rest))) }()
	val, at := int32(-1), entry
	for first := true; ; first = false {
		step, n := binary.Uvarint(rest)
		if n <= 0 || (uint32(step) == 0 && !first) {
			rest = rest[max(n, 0):]
			return -1
		}
		length, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			return -1
		}
		rest = rest[n+m:]
		if delta := uint32(step); delta&1 != 0 {
			val += int32(^(delta >> 1))
		} else {
			val += int32(delta >> 1)
		}
		if at += length; pc < at {
			return val
		}
	}
}

// cstringAt gives the text at an offset, up to the byte 0 that ends it; nil if there is none.
func cstringAt(data []byte, off uint64) []byte {
	if off >= uint64(len(data)) {
		return nil
	}
	if end := bytes.IndexByte(data[off:], 0); end >= 0 {
		return data[off : off+uint64(end)]
	}
	return nil
}

// wrapper gives the number by which this program's release marks functions that the compiler made (abi.FuncIDWrapper).
// It moves from release to release. Functions for equality are made in every program, so the number is that of the
// first function whose file is "<autogenerated>".
func (t *pclntab) wrapper() uint8 {
	t.wrapperOnce.Do(func() {
		for i := range t.nfunc {
			if fn, ok := t.head(i); ok && fn.id() != 0 &&
				fn.file(int(t.value(fn.word(5), t.entry(i), t.entry(i)))) == "<autogenerated>" {
				t.wrapperID = fn.id()
				return
			}
		}
	})
	return t.wrapperID
}

// GoCode is where Go's own code lies, at link time: all functions of the table. Both are 0 without one.
func (f *File) GoCode() (start, end uint64) {
	if f.pcln == nil {
		return 0, 0
	}
	return f.pcln.entry(0), f.pcln.entry(f.pcln.nfunc)
}

// PC tells what the function table knows of a link-time pc; ok is false outside Go code.
// For a return address pass the address less one to get the line of the call; FrameSize is that at pc itself.
func (f *File) PC(pc uint64) (info *PCInfo, ok bool) {
	t := f.pcln
	if t == nil {
		return nil, false
	}
	if v, ok := t.cache.Load(pc); ok {
		info := v.(*PCInfo)
		return info, info != nil
	}
	info = f.readPC(pc)
	t.cache.Store(pc, info)
	return info, info != nil
}

func (f *File) readPC(pc uint64) *PCInfo {
	t := f.pcln
	i, ok := t.find(pc)
	if !ok {
		return nil
	}
	fn, ok := t.head(i)
	if !ok {
		return f.unrecordedPC(i, pc)
	}
	entry := t.entry(i)
	info := &PCInfo{Func: fn.name(), Entry: entry, End: t.entry(i + 1), FrameSize: -1,
		TopFrame: fn.flag()&flagTopFrame != 0}
	if sp := fn.word(4); sp != 0 {
		info.FrameSize = int64(t.value(sp, entry, pc))
	}
	file := fn.file(int(t.value(fn.word(5), entry, pc)))
	line := int(t.value(fn.word(6), entry, pc))
	info.Lines = f.inlined(fn, entry, pc, file, line, info.Func)
	return info
}

// inlined expands the calls that were inlined at pc, innermost first (runtime/symtabinl.go; entries of 16
// bytes since Go 1.20).
func (f *File) inlined(fn goFunc, entry, pc uint64, file string, line int, outer string) []Line {
	wrapper := f.pcln.wrapper()
	isWrapper := fn.id() == wrapper && wrapper != 0
	whole := []Line{{Func: outer, File: file, Line: line, Wrapper: isWrapper}}
	index, ok := fn.pcdata(pcdataInlTree)
	tree, ok2 := fn.funcdata(funcInlTree)
	if !ok || !ok2 || f.goFunc == 0 {
		return whole
	}
	var lines []Line
	at, size := pc, 0
	for range maxInlineDepth {
		n := f.pcln.value(index, entry, at)
		if n < 0 {
			return append(lines, Line{Func: outer, File: file, Line: line, Wrapper: isWrapper})
		}
		call, ok := f.inlinedCall(tree, n)
		if size += len(call.name) + len(file); !ok || size > maxNames {
			return whole
		}
		lines = append(lines, Line{Func: call.name, File: file, Line: line,
			Wrapper: call.id == wrapper && wrapper != 0})
		at = entry + call.parent
		file = fn.file(int(f.pcln.value(fn.word(5), entry, at)))
		line = int(f.pcln.value(fn.word(6), entry, at))
	}
	return whole
}

// inlinedCall is an entry of the tree of inlined calls.
type inlinedCall struct {
	id     uint8
	name   string
	parent uint64 // where it is inlined, from the function's entry
	line   int    // of the function's declaration
}

// treeEntry is the size of a runtime.inlinedCall.
func (t *pclntab) treeEntry() int {
	if t.hasStart {
		return inlTreeEntry
	}
	return oldTreeEntry
}

// inlinedCall reads the n-th entry of a function's tree (runtime.inlinedCall).
func (f *File) inlinedCall(tree uint32, n int32) (c inlinedCall, ok bool) {
	b := make([]byte, f.pcln.treeEntry())
	if !f.image.copy(b, f.goFunc+uint64(tree)+uint64(n)*uint64(len(b))) {
		return c, false
	}
	if len(b) == oldTreeEntry { // parent int16, funcID, pad, file, line, func_, parentPc: no line of the declaration
		return inlinedCall{b[2], unescape(string(f.pcln.text(f.pcln.funcName, binary.LittleEndian.Uint32(b[12:])))),
			uint64(binary.LittleEndian.Uint32(b[16:])), 0}, true
	}
	return inlinedCall{b[0], unescape(string(f.pcln.text(f.pcln.funcName, binary.LittleEndian.Uint32(b[4:])))),
		uint64(binary.LittleEndian.Uint32(b[8:])), int(int32(binary.LittleEndian.Uint32(b[12:])))}, true
}

// each calls back with each value that a table of pctab has.
func (t *pclntab) each(off uint32, found func(val int32)) {
	begin := t.pc + uint64(off)
	rest := t.data.From(begin)
	whole, val := len(rest), int32(-1)
	for first := true; ; first = false {
		step, n := binary.Uvarint(rest)
		if n <= 0 || (uint32(step) == 0 && !first) {
			rest = rest[max(n, 0):]
			break
		}
		_, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			break
		}
		rest = rest[n+m:]
		if delta := uint32(step); delta&1 != 0 {
			val += int32(^(delta >> 1))
		} else {
			val += int32(delta >> 1)
		}
		found(val)
	}
	t.data.Note(begin, begin+uint64(whole-len(rest)))
}

// Func finds a function by its full name or by its short one ("server.(*Client).processMsg"):
// where it is in the source, and its link-time entry.
func (f *File) Func(name string) (Line, uint64, error) {
	t := f.pcln
	if t == nil {
		return Line{}, 0, fmt.Errorf("function %s: %w", name, f.pclnErr)
	}
	t.once.Do(func() {
		t.byName = make(map[string]int, 2*t.nfunc)
		for i := range t.nfunc {
			fn, ok := t.head(i)
			if !ok {
				continue
			}
			full := fn.name()
			t.byName[full] = i
			if short := f.index.short(full); short != full {
				if _, taken := t.byName[short]; !taken {
					t.byName[short] = i
				}
			}
		}
	})
	i, ok := t.byName[name]
	if !ok {
		return Line{}, 0, f.notFound("function", name, func() []string {
			return slices.DeleteFunc(f.Funcs(), func(fn string) bool { return strings.HasPrefix(fn, "type:") })
		})
	}
	fn, _ := t.head(i)
	entry := t.entry(i)
	note(f.uses, usedFuncs, entry)
	line := int(t.value(fn.word(6), entry, entry))
	if t.hasStart {
		line = fn.startLine()
	}
	return Line{Func: fn.name(), File: fn.file(int(t.value(fn.word(5), entry, entry))), Line: line}, entry, nil
}

// Funcs lists the full names of all functions, in order of address.
func (f *File) Funcs() []string {
	if f.pcln == nil {
		return nil
	}
	var out []string
	for i := range f.pcln.nfunc {
		if fn, ok := f.pcln.head(i); ok {
			out = append(out, fn.name())
		}
	}
	return out
}
