package symbols

import (
	"cmp"
	"debug/elf"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ri/symbols/dwarf"
	"ri/symbols/sparse"
)

// What instruments asked of an executable can travel: to where the executable isn't, in a recording. What travels are
// the bytes that the readers of this package read for it, and nothing else, so that the same readers answer from them.
//
//    - Types: of each that was laid out or named, and of variables of functions, all fields, with all that lies in it
//      by value and behind embedded pointers, and the same of what its pointers, slices and maps lead to. Of what these
//      lead to in turn, name, kind and size; fields if it was laid out too. Named constants of all of them.
//    - Variables that were named, or all, if all were asked for.
//    - Functions by a PC in them, or by name: lines, inlined calls and frame sizes for every PC in them; their
//      variables and stack maps, if one of these was asked for.
//    - Machine code that was followed.
//
// No constants of the program are among it (see LinkerStrings), and of what the build info says only buildSettings.

// PortableOptions says how much travels.
type PortableOptions struct {
	Whole bool // all types, variables, functions and code, asked for or not
	// Hide gives what stands for the value of a setting of the build that doesn't travel; nil: it is left out.
	Hide func(value string) string
}

// Portable is what travels of a File.
type Portable struct {
	Header PortableHeader
	// Parts have names of up to 32 letters, dots, spaces and digits. None is larger than MaxPart.
	Parts map[string][]byte
}

// MaxPart bounds a part, in bytes. What is larger has its rest in parts of the same name with "+1", "+2", ... behind.
const MaxPart = 32 << 20

// PortableHeader says of a File what isn't bytes. All addresses are link-time.
type PortableHeader struct {
	Version  int // of the form of header and parts
	Name     string
	Whole    bool
	Machine  elf.Machine
	Image    image
	Release  string // of Go
	Program  PortableModule
	Path     string // import path of package main
	Modules  []PortableModule
	Settings [][2]string // of the build: see buildSettings
	BuildID  string
	NoDWARF  string // why it has no debug information; "" if it has
	Wrapper  uint8  // what marks functions that the compiler made
	Absent   []string
	NoVars   []uint64 // entries of functions that no debug information has variables of
	base

	Runtime      map[string]uint64 // variables of the runtime of a program without debug information
	Descriptors  map[string]uint64
	Dictionaries map[string][]uint64
	Symbols      []PortableSymbol
	Lender       string // whose debug information it is, of a stripped program
	Shifts       []PortableShift
}

// PortableModule is a module of the build.
type PortableModule struct{ Path, Version, Replaced string }

// PortableSymbol is a function that isn't Go's.
type PortableSymbol struct {
	Name       string
	Addr, Size uint64
}

// PortableShift is by how much addresses of the lender lie elsewhere.
type PortableShift struct {
	Name           string
	Start, End, By uint64
}

// base is what a cache and what travels both say of a file.
type base struct {
	Text     uint64
	Types    uint64
	GoFunc   uint64
	Module   uint64
	Packages map[string]string
	Units    []dwarf.UnitHeader
}

const portableVersion = 1

// buildSettings are the settings of the build that travel. Others may tell of the machine that built it, or of secrets
// (-ldflags, CGO_CFLAGS, vcs.url).
var buildSettings = []string{"-buildmode", "-compiler", "-race", "-msan", "-asan", "-cover", "-tags", "-trimpath",
	"CGO_ENABLED", "GOARCH", "GOOS", "GOAMD64", "GOEXPERIMENT", "GOFIPS140", "DefaultGODEBUG",
	"vcs", "vcs.revision", "vcs.time", "vcs.modified"}

// Portable gives what travels of the file: by the options, or what was asked of it since Track. It reads that again, so
// it takes time, and is for when the work is done.
func (f *File) Portable(opt PortableOptions) (p *Portable, err error) {
	gently(func() { p, err = f.portable(opt) })
	return p, err
}

func (f *File) portable(opt PortableOptions) (*Portable, error) {
	if f.pcln == nil {
		return nil, fmt.Errorf("%s can't be read elsewhere: %w", f.name, f.pclnErr)
	}
	if f.travelled != nil && !f.travelled.whole {
		opt.Whole = false // there is no more than what travelled
	}
	p := &packing{file: f, noting: f.noting(), funcs: map[int]bool{}, full: map[*Type]bool{}, head: map[*Type]bool{},
		dictionaries: map[string][]uint64{}, whole: opt.Whole}
	p.functions()
	if f.HasDWARF() {
		p.debugInformation()
	}
	out := &Portable{Header: f.portableHeader(opt), Parts: map[string][]byte{}}
	h := &out.Header
	h.Whole, h.Wrapper, h.Dictionaries = opt.Whole, p.noting.pcln.wrapper(), p.dictionaries
	parts := map[string][]byte{"functab": p.functab(), "static": p.static()}
	parts["pclntab"] = p.section(&p.noting.pcln.data)
	if f.HasDWARF() {
		h.Units, h.NoVars = p.units(), p.withoutVars()
		p.debugSections(parts, h.Units)
		p.index(parts)
	}
	for name, data := range parts {
		for i := 0; len(data) > MaxPart; i++ {
			out.Parts[partName(name, i)], data = data[:MaxPart], data[MaxPart:]
			name := partName(name, i+1)
			parts[name] = data
		}
	}
	for name, data := range parts {
		if len(data) > 0 && len(data) <= MaxPart && out.Parts[name] == nil {
			out.Parts[name] = data
		}
	}
	return out, nil
}

func partName(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s+%d", name, i)
}

// portableHeader is what the file says of itself.
func (f *File) portableHeader(opt PortableOptions) PortableHeader {
	h := PortableHeader{Version: portableVersion, Name: filepath.Base(f.name), Machine: f.arch.Machine,
		Image: f.image.bare(), Release: f.build.GoVersion, Path: f.build.Path, BuildID: f.BuildID(), base: f.base()}
	h.Program = PortableModule{Path: f.build.Main.Path, Version: f.build.Main.Version}
	for _, m := range f.build.Deps {
		one := PortableModule{Path: m.Path, Version: m.Version}
		if r := m.Replace; r != nil {
			one.Replaced = strings.TrimSpace(r.Path + " " + r.Version)
			if r.Version == "" { // a folder of the machine that built it
				one.Replaced = "(a folder)"
			}
		}
		h.Modules = append(h.Modules, one)
	}
	for _, s := range f.build.Settings {
		switch {
		case slices.Contains(buildSettings, s.Key) || s.Value == "":
			h.Settings = append(h.Settings, [2]string{s.Key, s.Value})
		case opt.Hide != nil && len(s.Key) < 40:
			h.Settings = append(h.Settings, [2]string{s.Key, opt.Hide(s.Value)})
		}
	}
	if f.noDWARF != nil {
		h.NoDWARF = "it has no debug information"
	}
	if f.runtime != nil {
		h.Runtime = map[string]uint64{}
		for name, v := range f.runtime.vars {
			h.Runtime[name] = v.Addr
		}
	}
	for _, s := range f.shifts {
		h.Shifts = append(h.Shifts, PortableShift{s.name, s.start, s.end, s.by})
	}
	if f.borrows() {
		h.Lender = filepath.Base(f.lenderName())
	}
	f.portableUses(&h, f.uses)
	return h
}

// portableUses takes what was asked for one by one.
func (f *File) portableUses(h *PortableHeader, u *uses) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h.Absent = slices.Sorted(maps.Keys(u.absent))
	for name := range u.descriptors {
		if addr, ok := f.descriptors[name]; ok {
			if h.Descriptors == nil {
				h.Descriptors = map[string]uint64{}
			}
			h.Descriptors[name] = addr
		}
	}
	for s := range u.symbols {
		h.Symbols = append(h.Symbols, PortableSymbol{s.Name, s.Value, s.Size})
	}
	slices.SortFunc(h.Symbols, func(a, b PortableSymbol) int {
		return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Name, b.Name))
	})
}

// packing reads once more what travels, by a File whose sections note what is read of them.
type packing struct {
	file, noting *File
	whole        bool
	funcs        map[int]bool // of the function table
	full, head   map[*Type]bool
	dictionaries map[string][]uint64
}

// noting is the same file with nothing kept, and notes.
func (f *File) noting() *File {
	n := &File{name: f.name, elf: f.elf, debug: f.debug, arch: f.arch, image: f.image, build: f.build, noDWARF: f.noDWARF,
		index: f.index, textStart: f.textStart, typesBase: f.typesBase, goFunc: f.goFunc, module: f.module,
		lender: f.lender, shifts: f.shifts, travelled: f.travelled, uses: newUses(),
		types: map[uint64]*Type{}, made: map[string]*Type{}, vars: map[uint64]*FuncVars{}}
	n.image.static = f.image.static.Noting()
	if f.dwarf != nil {
		n.dwarf = f.dwarf.Noting()
	}
	t := f.pcln
	n.pcln = &pclntab{data: t.data.Noting(), nfunc: t.nfunc, textStart: t.textStart, funcName: t.funcName, cu: t.cu,
		files: t.files, pc: t.pc, funcs: t.funcs, functab: t.functab, headSize: t.headSize, hasStart: t.hasStart}
	n.pcln.wrapperID = t.wrapper() // not looked for again, so not noted
	n.pcln.wrapperOnce.Do(func() {})
	n.pcln.data.Note(0, pclnHead)
	return n
}

// functions reads those that were asked for, or all.
func (p *packing) functions() {
	t, u := p.noting.pcln, p.file.uses
	if p.whole {
		for i := range t.nfunc {
			p.funcs[i] = true
		}
	}
	use := func(pc uint64) {
		if i, ok := t.find(pc); ok {
			p.funcs[i] = true
		}
	}
	p.file.pcln.cache.Range(func(pc, info any) bool {
		if info.(*PCInfo) != nil {
			use(pc.(uint64))
		}
		return true
	})
	for _, entry := range u.list(usedFuncs) {
		use(entry)
	}
	maps := map[int]bool{}
	for _, entry := range u.list(usedStackMaps) {
		if i, ok := t.find(entry); ok {
			p.funcs[i], maps[i] = true, true
		}
	}
	for i := range p.funcs {
		p.function(i, maps[i] || p.whole)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for name := range u.dictionaries {
		p.dictionary(name)
	}
}

// dictionary takes the dictionaries kept under a name, if there are any.
func (p *packing) dictionary(name string) {
	p.file.dictOnce.Do(p.file.readDictionaries)
	if all := p.file.dicts[name]; name != "" && all != nil {
		p.dictionaries[name] = all
	}
}

// function reads all that the table has of one function.
func (p *packing) function(i int, stackMaps bool) {
	f, t := p.noting, p.noting.pcln
	fn, ok := t.head(i)
	if !ok {
		delete(p.funcs, i)
		return
	}
	p.dictionary(genericBase(fn.name()))
	t.each(fn.word(4), func(int32) {})
	t.each(fn.word(6), func(int32) {})
	t.each(fn.word(5), func(n int32) { fn.file(int(n)) })
	if index, ok := fn.pcdata(pcdataInlTree); ok {
		tree, ok := fn.funcdata(funcInlTree)
		most := int32(-1)
		t.each(index, func(n int32) { most = max(most, n) })
		for n := int32(0); ok && n <= most; n++ {
			if call, ok := f.inlinedCall(tree, n); ok {
				p.dictionary(genericBase(call.name))
			}
		}
	}
	if index, ok := fn.pcdata(pcdataStackMap); ok && stackMaps {
		seen := map[int32]bool{}
		t.each(index, func(n int32) {
			if n >= 0 && !seen[n] {
				seen[n] = true
				f.stackMap(fn, n)
			}
		})
	}
	if stackMaps {
		f.stackMap(fn, 0)
	}
}

// functab writes the functions that travel, and between them, that there are others.
func (p *packing) functab() []byte {
	t := p.noting.pcln
	var out []byte
	gap := false
	for i := range t.nfunc {
		at := t.functab[8*i : 8*i+8]
		switch {
		case p.funcs[i]:
			out, gap = append(out, at...), false
		case !gap:
			out, gap = append(append(out, at[:4]...), 0xff, 0xff, 0xff, 0xff), true
		}
	}
	return append(out, t.functab[8*t.nfunc:8*t.nfunc+4]...)
}

// static writes what was read of the program's own bytes.
func (p *packing) static() []byte {
	ranges := append(p.noting.image.static.Noted(), p.file.uses.static.Ranges()...)
	if t := p.noting.pcln; p.whole {
		ranges = append(ranges, sparse.Range{Start: t.entry(0), End: t.entry(t.nfunc)})
	}
	if have := p.file.image.static.Ranges(); p.file.travelled != nil {
		if p.whole {
			ranges = have
		}
		ranges = sparse.Merge(ranges)
		ranges = sparse.Without(ranges, sparse.Without(ranges, have))
	}
	ranges = sparse.Without(sparse.Merge(ranges), p.file.LinkerStrings())
	return sparse.Encode(ranges, func(r sparse.Range) []byte {
		if r.End-r.Start > maxSection {
			return nil
		}
		data := make([]byte, r.End-r.Start)
		if !p.file.image.copy(data, r.Start) {
			return nil
		}
		return data
	})
}

// section writes what was read of a section, or all.
func (p *packing) section(b *sparse.Bytes) []byte {
	if p.whole {
		return sparse.Encode(b.Ranges(), b.Slice)
	}
	return sparse.Encode(b.Noted(), b.Slice)
}
