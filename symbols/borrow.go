package symbols

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A stripped program can be read by the names of an unstripped build of the same source. The two are not the same file.
// Go records -ldflags in the build info, which is longer in one of them, so data lies elsewhere, usually by 32 bytes.
// The linker's own description of the module (moduledata) says in both where. That it holds is proved, or the names are
// not taken:
//
//    - Both were built by the same release. In what the build info says of the build, only flags of the linker and
//      paths differ.
//    - The function tables have the same functions at the same addresses, with the same lines, frames and inlined
//      calls.
//    - Each data section has the same size in both.
//    - Each type with a descriptor has the same size, kind and hash at its place in both. The hash is made of the
//      type's full name.
//    - Each instruction of a sample that refers to data refers to the same place in both, but for the section's shift.
//      The sample is taken all over the program.

// errOtherProgram says that an executable is no unstripped build of the program.
var errOtherProgram = errors.New("not an unstripped build of this program")

// shift says by how much the addresses [start, end) of the lender lie elsewhere in the program.
type shift struct {
	name       string
	start, end uint64
	by         uint64
}

// sampledReferences is how many references to data are compared at least, of a program that has so many.
const sampledReferences = 20_000

// Borrow takes variables, types and frames from an executable with debug information, if it can be proved that it was
// built of the same source. f must have none of its own, and must not be in use yet. Errors: errOtherProgram with the
// first thing that differs; ErrNoDWARF if the lender has none either.
func (f *File) Borrow(lender *File) error {
	if f.travelled != nil || lender.travelled != nil {
		return fmt.Errorf("%s: what is recorded has the symbols that it was recorded with: %w", f.name,
			errOtherProgram)
	}
	if !lender.HasDWARF() {
		return fmt.Errorf("%s can't lend its names: %w", lender.name, lender.noDWARF)
	}
	differ := func(format string, args ...any) error {
		return fmt.Errorf("%s is %w: %s", lender.name, errOtherProgram, fmt.Sprintf(format, args...))
	}
	if err := f.sameBuild(lender, differ); err != nil {
		return err
	}
	if err := f.sameFunctions(lender, differ); err != nil {
		return err
	}
	shifts, err := f.moduleShifts(lender, differ)
	if err != nil {
		return err
	}
	if err := f.sameTypes(lender, differ); err != nil {
		return err
	}
	if err := f.sameReferences(lender, shifts, differ); err != nil {
		return err
	}
	f.lender, f.shifts = lender, shifts
	f.dwarf, f.index, f.noDWARF = lender.dwarf, lender.index, nil
	f.runtime = nil
	return nil
}

// mayDiffer are build settings that don't change what the compiler makes.
var mayDiffer = []string{"-ldflags", "-trimpath", "-buildvcs", "-o", "-p", "-v", "-x"}

func (f *File) sameBuild(lender *File, differ func(string, ...any) error) error {
	a, b := f.build, lender.build
	if a.GoVersion != b.GoVersion {
		return differ("it was built by %s, the program by %s", b.GoVersion, a.GoVersion)
	}
	if a.Path != b.Path {
		return differ("it is %s, the program is %s", b.Path, a.Path)
	}
	settings := map[string]string{}
	for _, s := range b.Settings {
		settings[s.Key] = s.Value
	}
	for _, s := range a.Settings {
		other, known := settings[s.Key]
		delete(settings, s.Key)
		if other != s.Value && !slices.Contains(mayDiffer, s.Key) && len(s.Key) < 40 &&
			s.Key[:min(3, len(s.Key))] != "vcs" && (known || s.Key != "DefaultGODEBUG") {
			return differ("it was built with %s=%q, the program with %q", s.Key, other, s.Value)
		}
	}
	if f.image.PIE != lender.image.PIE {
		return differ("one of them is position-independent (-buildmode=pie), the other is not")
	}
	versions := map[string]string{}
	for _, m := range lender.Modules() {
		versions[m[0]] = m[1] + " " + m[2]
	}
	for _, m := range f.Modules() {
		if v, ok := versions[m[0]]; ok && v != m[1]+" "+m[2] {
			return differ("it has module %s %s, the program %s", m[0], v, m[1])
		}
	}
	return nil
}

// sameFunctions compares the function tables: names, addresses, and the tables of lines, frame sizes and inlined calls
// by PC.
func (f *File) sameFunctions(lender *File, differ func(string, ...any) error) error {
	a, b := f.pcln, lender.pcln
	if a == nil || b == nil {
		return errors.Join(f.pclnErr, lender.pclnErr)
	}
	if a.nfunc != b.nfunc {
		return differ("it has %d functions, the program has %d", b.nfunc, a.nfunc)
	}
	if a.textStart != b.textStart {
		return differ("its code begins at %#x, the program's at %#x", b.textStart, a.textStart)
	}
	for i := range a.nfunc {
		fa, ok := a.head(i)
		fb, ok2 := b.head(i)
		if !ok || !ok2 || a.entry(i) != b.entry(i) || fa.name() != fb.name() {
			return differ("function %d is %s at %#x in it, and %s at %#x in the program", i, fb.name(), b.entry(i),
				fa.name(), a.entry(i))
		}
	}
	if a.entry(a.nfunc) != b.entry(b.nfunc) {
		return differ("the function table ends at %#x in it, and at %#x in the program", b.entry(b.nfunc),
			a.entry(a.nfunc))
	}
	if !bytes.Equal(a.pctab(), b.pctab()) {
		return differ("the lines of its functions are others, so it was built of another source")
	}
	return nil
}

// moduleSections are the parts of a program's data by the fields of moduledata that say where they begin and end.
var moduleSections = [][2]string{{"noptrdata", "enoptrdata"}, {"data", "edata"}, {"bss", "ebss"},
	{"noptrbss", "enoptrbss"}}

// moduleShifts reads from both modules' descriptions where their data lies.
func (f *File) moduleShifts(lender *File, differ func(string, ...any) error) ([]shift, error) {
	layout, err := lender.Type("runtime.moduledata")
	if err != nil {
		return nil, err
	}
	if f.module == 0 || lender.module == 0 {
		return nil, differ("the description of its data (moduledata) was not found in both")
	}
	var shifts []shift
	read := func(file *File, field string) (uint64, error) {
		p, err := layout.FieldByName(field)
		if err != nil {
			return 0, err
		}
		w, ok := file.word(file.module + uint64(p.Offset))
		if !ok {
			return 0, differ("moduledata.%s can't be read", field)
		}
		return w, nil
	}
	for _, names := range moduleSections {
		var at [4]uint64
		for i, field := range names {
			for j, file := range []*File{f, lender} {
				if at[2*j+i], err = read(file, field); err != nil {
					return nil, err
				}
			}
		}
		if at[1]-at[0] != at[3]-at[2] || at[1] < at[0] {
			return nil, differ("its section %s has %d bytes, the program's has %d (other -ldflags=-X, or another "+
				"source?)", names[0], at[3]-at[2], at[1]-at[0])
		}
		shifts = append(shifts, shift{names[0], at[2], at[3], at[0] - at[2]})
	}
	// Since Go 1.26 the description itself lies in a section of its own (.go.module). It was found in both files by
	// what it says.
	if size := uint64(layout.Size); size > 0 {
		shifts = append(shifts, shift{"module", lender.module, lender.module + size, f.module - lender.module})
	}
	if f.typesBase, err = read(f, "types"); err != nil {
		return nil, err
	}
	if f.goFunc, err = read(f, "gofunc"); err != nil {
		return nil, err
	}
	return shifts, nil
}

// fromLender moves an address of the lender to where the program has the same. ok is false outside of the sections that
// were compared.
func fromLender(shifts []shift, addr uint64) (uint64, bool) {
	for _, s := range shifts {
		if addr >= s.start && addr < s.end {
			return addr + s.by, true
		}
	}
	return addr, false
}

// borrows tells whether its debug information is another's.
func (f *File) borrows() bool { return f.lender != nil || len(f.shifts) > 0 }

func (f *File) lenderName() string {
	switch {
	case f.lender != nil:
		return f.lender.name
	case f.travelled != nil:
		return f.travelled.lender
	}
	return ""
}

// Placed is where the program has what debug information says to lie at an address.
func (f *File) Placed(addr uint64) (uint64, bool) {
	if !f.borrows() {
		return addr, true
	}
	return fromLender(f.shifts, addr)
}

// sameTypes compares type descriptors: Size_, PtrBytes, Hash, flags, alignment and kind are the first 24 bytes and hold
// no addresses.
func (f *File) sameTypes(lender *File, differ func(string, ...any) error) error {
	compared := 0
	for _, pair := range lender.index.runtimeTypes {
		var a, b [24]byte
		if pair.key == 0 || !lender.image.copy(b[:], lender.typesBase+pair.key) {
			continue
		}
		if !f.image.copy(a[:], f.typesBase+pair.key) || a != b {
			return differ("type %s is another in the program", lender.typeAt(pair.value).Name)
		}
		compared++
	}
	if compared == 0 {
		return differ("there is no type to compare")
	}
	return nil
}

// sameReferences compares what code refers to, function by function.
func (f *File) sameReferences(lender *File, shifts []shift, differ func(string, ...any) error) error {
	t := f.pcln
	step := 1
	// about one reference in 40 bytes of code
	for size := t.entry(t.nfunc) - t.entry(0); size/uint64(step) > 40*sampledReferences; {
		step++
	}
	compared := 0
	for i := 0; i < t.nfunc; i += step {
		a, entry := f.Code(t.entry(i))
		b, _ := lender.Code(t.entry(i))
		if len(a) != len(b) {
			return differ("the code of a function at %#x is another in the program", entry)
		}
		for at := 0; at < len(a); {
			ta, na, oka := f.arch.Reference(a[at:], entry+uint64(at))
			tb, nb, okb := f.arch.Reference(b[at:], entry+uint64(at))
			if na != nb || oka != okb {
				return differ("the code at %#x is another in the program", entry+uint64(at))
			}
			if oka {
				if want, known := fromLender(shifts, tb); known {
					if want != ta {
						return differ("the code at %#x refers to %#x, which would lie at %#x", entry+uint64(at), ta,
							want)
					}
					compared++
				}
			} else if !bytes.Equal(a[at:at+na], b[at:at+nb]) && !isAbsolute(shifts, a[at:at+na], b[at:at+nb]) {
				return differ("the code at %#x is another in the program", entry+uint64(at))
			}
			at += max(na, 1)
		}
	}
	if compared < 2 {
		return differ("no code was found that refers to its data")
	}
	return nil
}

// isAbsolute tells whether two instructions differ in their last four bytes only, which are the absolute address of the
// same data.
func isAbsolute(shifts []shift, a, b []byte) bool {
	n := len(a) - 4
	if n < 1 || !bytes.Equal(a[:n], b[:n]) {
		return false
	}
	want, known := fromLender(shifts, uint64(binary.LittleEndian.Uint32(b[n:])))
	return known && want == uint64(binary.LittleEndian.Uint32(a[n:]))
}
