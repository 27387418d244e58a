package symbols

import (
	"debug/elf"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"ri/arch"
	"ri/symbols/dwarf"
	"ri/symbols/layouts"
	"ri/symbols/sparse"
)

var (
	// ErrNotRecorded: the file came without its executable, and this wasn't asked for when it was made.
	ErrNotRecorded = errors.New("not recorded")
	// ErrPortable: what OpenPortable was given is none that Portable made.
	ErrPortable = errors.New("malformed symbols")

	// errUnrecorded is of names: whether the program has one isn't known.
	errUnrecorded = errors.Join(ErrNotRecorded, ErrNotFound)
)

// recordIt is what to do about ErrNotRecorded.
const recordIt = "record with --symbols-whole, or name the instrument that needs it when recording"

// travelled is what only a File has that came without its executable.
type travelled struct {
	whole   bool
	fields  atomic.Int64 // of all types that were laid out
	buildID string
	lender  string
	absent  []string // sorted
	noVars  []uint64 // sorted
}

// IsPortable tells whether the file came without its executable. Then it has what was asked for when it was made, and
// lists no more than that; what it hasn't is ErrNotRecorded.
func (f *File) IsPortable() bool { return f.travelled != nil }

// notRecorded is an error where the file came without its executable, else nil.
func (f *File) notRecorded(format string, args ...any) error {
	if f.travelled == nil {
		return nil
	}
	return say(ErrNotRecorded, "%s not recorded; %s", fmt.Sprintf(format, args...), recordIt)
}

// knownAbsent tells whether a name was looked for in the executable, and wasn't there.
func (t *travelled) knownAbsent(name string) bool {
	_, absent := slices.BinarySearch(t.absent, name)
	return absent || t.whole
}

// OpenPortable makes of what Portable gave a file that answers as the executable did. Nothing in it is believed.
// Errors: ErrPortable with what is wrong, errors.ErrUnsupported for a version or processor that ri doesn't know.
func OpenPortable(p *Portable) (*File, error) {
	h := &p.Header
	bad := func(what string, err error) (*File, error) {
		return nil, fmt.Errorf("symbols of %s: %s: %w", h.Name, what, errors.Join(err, ErrPortable))
	}
	if h.Version != portableVersion {
		return nil, fmt.Errorf("symbols of version %d; ri reads version %d: %w", h.Version, portableVersion,
			errors.ErrUnsupported)
	}
	processor, known := arch.Of(h.Machine)
	if !known {
		return nil, fmt.Errorf("symbols for machine %d: %w", h.Machine, errors.ErrUnsupported)
	}
	f := &File{name: filepath.Base(h.Name), arch: processor, image: h.Image.bare(), uses: newUses(),
		build: h.build(), types: map[uint64]*Type{}, made: map[string]*Type{}, vars: map[uint64]*FuncVars{},
		travelled: &travelled{whole: h.Whole, buildID: h.BuildID,
			absent: slices.Sorted(slices.Values(h.Absent)), noVars: slices.Sorted(slices.Values(h.NoVars))}}
	f.setBase(&h.base)
	parts := joined(p.Parts)
	var err error
	if f.image.static, err = sparse.Decode(parts["static"]); err != nil {
		return bad("static", err)
	}
	table, err := sparse.Decode(parts["pclntab"])
	if err != nil {
		return bad("pclntab", err)
	}
	if f.pcln, err = parsePclntab(f, table); err != nil {
		return bad("pclntab", err)
	}
	if err := f.pcln.travelled(parts["functab"], h.Wrapper); err != nil {
		return bad("functab", err)
	}
	for _, s := range h.Symbols {
		f.symbols = append(f.symbols, elf.Symbol{Name: s.Name, Value: s.Addr, Size: s.Size, Info: byte(elf.STT_FUNC)})
	}
	f.dicts = h.Dictionaries
	f.dictOnce.Do(func() {})
	if h.NoDWARF != "" {
		f.withoutDWARF(h)
		return f, nil
	}
	for _, s := range h.Shifts {
		f.shifts = append(f.shifts, shift{s.Name, s.Start, s.End, s.By})
	}
	f.travelled.lender = filepath.Base(h.Lender)
	sections := map[string]sparse.Bytes{}
	for _, name := range dwarf.Sections {
		if sections[name], err = sparse.Decode(parts[name]); err != nil {
			return bad(name, err)
		}
	}
	if f.dwarf, err = dwarf.FromParts(sections, h.Units); err != nil {
		return bad("units", err)
	}
	f.index = indexOf(h.Packages, parts)
	for name, t := range f.index.tables() {
		if !t.apart() {
			return bad(name, nil)
		}
	}
	return f, nil
}

// withoutDWARF puts together what is known of the runtime of a stripped program.
func (f *File) withoutDWARF(h *PortableHeader) {
	f.noDWARF = fmt.Errorf("%s: %w", f.name, ErrNoDWARF)
	f.index = &index{packages: h.Packages}
	f.descriptors = h.Descriptors
	f.descriptorsOnce.Do(func() {})
	if h.Runtime == nil {
		f.noRuntime = fmt.Errorf("the runtime's layouts weren't known when it was recorded")
		return
	}
	t, _, err := layouts.Read(h.Release)
	if err != nil {
		f.noRuntime = err
		return
	}
	r := f.runtimeTypes(t)
	for _, v := range t.Vars {
		if addr, ok := h.Runtime[v.Name]; ok && v.Type > 0 && v.Type <= len(r.list) {
			r.add(Var{Name: v.Name, Addr: addr, Type: r.list[v.Type-1]})
		}
	}
	slices.Sort(r.names)
	f.runtime = r
}

// build is what travelled of the build info.
func (h *PortableHeader) build() *debug.BuildInfo {
	b := &debug.BuildInfo{GoVersion: h.Release, Path: h.Path,
		Main: debug.Module{Path: h.Program.Path, Version: h.Program.Version}}
	for _, m := range h.Modules {
		one := &debug.Module{Path: m.Path, Version: m.Version}
		if m.Replaced != "" {
			one.Replace = &debug.Module{Path: m.Replaced}
		}
		b.Deps = append(b.Deps, one)
	}
	for _, s := range h.Settings {
		b.Settings = append(b.Settings, debug.BuildSetting{Key: s[0], Value: s[1]})
	}
	return b
}

// joined puts parts together that were larger than MaxPart.
func joined(parts map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, data := range parts {
		for i := 1; ; i++ {
			more, ok := parts[partName(name, i)]
			if !ok {
				break
			}
			data = append(slices.Clip(data), more...)
		}
		out[name] = data
	}
	return out
}

// Limits of what travelled, which may be made to say one thing often: bytes of functions' names, fields of types.
const (
	maxTravelled       = 1 << 26
	maxTravelledFields = 1 << 22
)

// gapInTable stands in the table of functions that travelled for those that didn't.
const gapInTable = ^uint32(0)

// travelled takes the table of functions as packing wrote it: as the linker's, with gaps.
func (t *pclntab) travelled(functab []byte, wrapper uint8) error {
	if len(functab)%8 != 4 || len(functab) < 12 {
		return fmt.Errorf("%d bytes of functions", len(functab))
	}
	t.functab, t.nfunc = functab, len(functab)/8
	if t.textStart > 1<<62 {
		return fmt.Errorf("code at %#x", t.textStart)
	}
	names := 0
	for i := range t.nfunc {
		if t.entry(i) > t.entry(i+1) {
			return fmt.Errorf("function %d ends before it begins", i)
		}
		if fn, ok := t.head(i); ok {
			names += len(t.text(t.funcName, fn.word(1)))
		}
	}
	if names > maxTravelled {
		return fmt.Errorf("%d bytes of names", names)
	}
	t.wrapperID = wrapper
	t.wrapperOnce.Do(func() {})
	return nil
}

// unrecordedVars is what FuncVars gives where the variables of a function didn't travel; nil where there are none.
func (f *File) unrecordedVars(pc uint64) *FuncVars {
	if f.travelled == nil || !f.HasDWARF() {
		return nil
	}
	i, isGo := f.pcln.find(pc)
	if !isGo {
		return nil
	}
	if _, none := slices.BinarySearch(f.travelled.noVars, f.pcln.entry(i)); none {
		return nil
	}
	return &FuncVars{file: f, lacks: f.notRecorded("the variables of the function at %#x were", pc)}
}

// unrecordedPC is what a file without its executable says of Go code whose function didn't travel.
func (f *File) unrecordedPC(i int, pc uint64) *PCInfo {
	err := f.notRecorded("the function at %#x was", pc)
	if err == nil {
		return nil
	}
	return &PCInfo{Func: unrecordedFunc, Entry: f.pcln.entry(i), End: f.pcln.entry(i + 1), FrameSize: -1, Err: err,
		Lines: []Line{{Func: unrecordedFunc, File: "?"}}}
}

const unrecordedFunc = "?(function not recorded)"
