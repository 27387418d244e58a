package symbols

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"

	"ri/arch"

	"ri/symbols/dwarf"
	"ri/symbols/layouts"
	"ri/symbols/sparse"
)

// File is an executable's own account of itself. Open makes one; all methods are safe
// for concurrent use.
type File struct {
	name        string
	elf         *elf.File // nil of one that travelled
	debug       *elf.File // has the symbol table and debug information: elf, or a separate file (see Wanted)
	image       image
	arch        *arch.Arch
	build       *debug.BuildInfo
	noDWARF     error
	dwarf       *dwarf.Data
	index       *index
	textStart   uint64 // link-time runtime.text
	typesBase   uint64 // link-time runtime.types; runtime type offsets count from it
	goFunc      uint64 // link-time go:func.*
	module      uint64 // link-time runtime.firstmoduledata, 0 if unknown
	pcln        *pclntab
	pclnErr     error
	symbolsOnce sync.Once
	symbols     []elf.Symbol // see LinkerSymbol
	varsOnce    sync.Once
	allVars     []Var
	dictOnce    sync.Once
	dicts       map[string][]uint64 // see Dictionaries
	shapesOnce  sync.Once
	uses        *uses
	travelled   *travelled        // nil of what has its executable
	shapes      map[string]string // full names by what they are without the marks of shapes: see ofShape

	cached                 bool
	cachePath, cacheDigest string // where Save writes; "" if there is nothing to save

	runtime           *runtimeSymbols // of a file without DWARF: see RuntimeOnly
	noRuntime         error
	lender            *File // whose names are used: see Borrow
	shifts            []shift
	descriptorsOnce   sync.Once
	descriptors       map[string]uint64 // see Descriptor
	relocsOnce        sync.Once
	linkerStringsOnce sync.Once
	linkerStrings     []sparse.Range
	relocs            map[uint64]uint64

	mu    sync.Mutex
	types map[uint64]*Type // by .debug_info offset
	made  map[string]*Type // composed types that DWARF lacks, by name
	vars  map[uint64]*FuncVars
	kept  sync.Map // see Keep
}

// Open reads the executable r; name is for messages only. It fails with ErrNotGo if r is no ELF file made by Go. A file
// without DWARF opens too (see NoDWARF). Its threads give way to those of other programs.
func Open(r io.ReaderAt, name string) (f *File, err error) {
	gently(func() { f, err = open(r, nil, name, nil) })
	return f, err
}

// open takes the symbol table and debug information from a separate file, if one is given, and what a cache has from
// there, if one is given.
func open(r io.ReaderAt, separate *elf.File, name string, c *cache) (*File, error) {
	ef, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("%s is no ELF executable (%v): %w", name, err, ErrNotGo)
	}
	debugFile := separate
	if debugFile == nil {
		debugFile = ef
	}
	f := &File{name: name, elf: ef, debug: debugFile, image: imageOf(ef), uses: newUses(),
		types: map[uint64]*Type{}, made: map[string]*Type{}, vars: map[uint64]*FuncVars{}}
	f.build, err = buildinfo.Read(r)
	table := pclntabSection(ef)
	if err != nil && table == nil {
		return nil, fmt.Errorf("%s has neither Go build info nor a Go function table: %w", name, ErrNotGo)
	}
	var known bool
	if f.arch, known = arch.Of(ef.Machine); !known {
		return nil, fmt.Errorf("%s is built for %s; ri reads linux/amd64: %w", name,
			strings.TrimPrefix(ef.Machine.String(), "EM_"), errors.ErrUnsupported)
	}
	if f.build == nil {
		f.build = &debug.BuildInfo{}
	}
	if c != nil {
		f.cached = true
		f.setBase(&c.header.base)
		f.pcln, f.pclnErr = parsePclntab(f, sparse.Whole(c.parts["pclntab"]))
		if f.dwarf, f.noDWARF = dwarf.FromParts(c.debug(), c.header.Units); f.noDWARF == nil {
			f.index = c.index()
		}
		return f, nil
	}
	f.linkerSymbols()
	// Decompressing debug information takes longest: begin with it.
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		gently(func() {
			if f.dwarf, f.noDWARF = dwarf.Load(debugFile); f.noDWARF == nil {
				f.index, f.noDWARF = buildIndex(f.dwarf)
			}
		})
	}()
	var runtime *layouts.Table
	own := false
	if debugFile.Section(".debug_info") == nil {
		runtime, own, f.noRuntime = layouts.Read(f.build.GoVersion)
		if f.module == 0 {
			f.module = f.findModule(table)
		}
		f.readModule(runtime)
	}
	f.pcln, f.pclnErr = newPclntab(f, table)
	<-loaded
	if f.noDWARF != nil {
		f.noDWARF = fmt.Errorf("%s: %w", name, f.noDWARF)
		f.index = &index{}
		if runtime != nil {
			f.noRuntime = f.loadRuntime(runtime, own)
		}
	}
	return f, nil
}

// Keep gives what make made of the file under a key, the same each time: what others compile from a file lives as long
// as it.
func (f *File) Keep(key any, make func() any) any {
	if have, ok := f.kept.Load(key); ok {
		return have
	}
	have, _ := f.kept.LoadOrStore(key, make())
	return have
}

// HasDWARF tells whether variables and types can be named.
func (f *File) HasDWARF() bool { return f.noDWARF == nil }

// NoDWARF is why they can't: ErrNoDWARF, or what is wrong with the sections; nil if they can.
func (f *File) NoDWARF() error { return f.noDWARF }

// Explain adds to why variables and types can't be named, if they can't, what can be done about it. It is for who has
// just opened the file.
func (f *File) Explain(what string) {
	if f.noDWARF != nil {
		f.noDWARF = fmt.Errorf("%w; %s", f.noDWARF, what)
	}
}

// Arch is the processor that it is built for.
func (f *File) Arch() *arch.Arch { return f.arch }

// Name is what Open was given.
func (f *File) Name() string { return f.name }

// TypesBase is the link-time address that runtime type offsets count from, 0 if unknown.
func (f *File) TypesBase() uint64 { return f.typesBase }

// GoVersion is the release that built the file, such as "go1.26.1"; "" if not recorded.
func (f *File) GoVersion() string { return f.build.GoVersion }

// MainModule gives the main module's path and version.
func (f *File) MainModule() (path, version string) {
	if f.build.Main.Path == "" {
		return f.build.Path, ""
	}
	return f.build.Main.Path, f.build.Main.Version
}

// BuildSettings are the recorded build settings (-ldflags, CGO_ENABLED, vcs.revision, ...).
func (f *File) BuildSettings() [][2]string {
	var out [][2]string
	for _, s := range f.build.Settings {
		out = append(out, [2]string{s.Key, s.Value})
	}
	return out
}

// Modules lists the dependencies: path, version, and "path version" of what replaces it.
func (f *File) Modules() [][3]string {
	var out [][3]string
	for _, m := range f.build.Deps {
		replaced := ""
		if m.Replace != nil {
			replaced = strings.TrimSpace(m.Replace.Path + " " + m.Replace.Version)
		}
		out = append(out, [3]string{m.Path, m.Version, replaced})
	}
	return out
}

// linkerSymbols picks the few linker symbols that ri needs out of .symtab.
func (f *File) linkerSymbols() {
	want := map[string]*uint64{
		"runtime.text": &f.textStart, "runtime.types": &f.typesBase, "go:func.*": &f.goFunc, "go.func.*": &f.goFunc,
		"runtime.firstmoduledata": &f.module, "type:*": nil,
	}
	f.eachSymbol(func(name []byte, addr uint64) {
		// All wanted names begin with "runtime." or "go"; look no closer at the rest.
		if len(name) < 9 || len(name) > 32 || (name[0] != 'r' && name[0] != 'g') {
			return
		}
		if p := want[string(name)]; p != nil && *p == 0 {
			*p = addr
		}
	})
}

func pclntabSection(ef *elf.File) *elf.Section {
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s := ef.Section(name); s != nil {
			return s
		}
	}
	return nil
}
