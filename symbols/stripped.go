package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"ri/symbols/layouts"
)

// A program without debug information says of its runtime all the same:
//
//    - where its parts lie, in the module's description, which the linker wrote for the runtime itself;
//    - which release built it, whose types and layouts are in a table (package layouts);
//    - where the runtime's variables lie, in the runtime's code.
//
// Nothing here is proved but by the file. Whoever reads memory by it checks first that what lies there can be
// (values.Space).

// runtimeSymbols are the runtime's own types and variables of a File without DWARF.
type runtimeSymbols struct {
	table *layouts.Table
	types map[string]*Type // by full name
	short map[string]*Type // by short name; nil where it is ambiguous
	list  []*Type
	vars  map[string]Var
	names []string // of variables, sorted
}

// RuntimeOnly tells whether the file lacks debug information, and the types and variables of its runtime are known
// nonetheless.
func (f *File) RuntimeOnly() bool { return f.runtime != nil }

// NoRuntime is why the runtime of a file without debug information isn't known either; nil where it is, or need not be.
func (f *File) NoRuntime() error { return f.noRuntime }

// RuntimeTable names the release whose layouts are taken for a stripped program's runtime: "go1.26.8". "" where none
// is.
func (f *File) RuntimeTable() string {
	if f.runtime == nil {
		return ""
	}
	return f.runtime.table.Go
}

// moduleField are offsets in runtime.moduledata that all releases from Go 1.20 on have: runtime/symtab.go.
const (
	modulePCHeader  = 0
	moduleFuncNames = 8
	moduleText      = 176
)

// word reads a word of the file's data as the program sees it before it runs: with the relocations of a
// position-independent one.
func (f *File) word(addr uint64) (uint64, bool) {
	if w, ok := f.relocated()[addr]; ok {
		return w, true
	}
	var b [8]byte
	if !f.image.copy(b[:], addr) {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

// relocated are the words that a loader fills in by adding its bias (R_X86_64_RELATIVE).
func (f *File) relocated() map[uint64]uint64 {
	f.relocsOnce.Do(func() {
		if !f.image.PIE {
			return
		}
		s, data := f.section(".rela.dyn")
		if s == nil {
			_, data = f.section(".rela")
		}
		f.relocs = make(map[uint64]uint64, len(data)/24)
		for ; len(data) >= 24; data = data[24:] { // Elf64_Rela: r_offset, r_info, r_addend
			if elf.R_X86_64(binary.LittleEndian.Uint64(data[8:])&0xffffffff) == elf.R_X86_64_RELATIVE {
				f.relocs[binary.LittleEndian.Uint64(data)] = binary.LittleEndian.Uint64(data[16:])
			}
		}
	})
	return f.relocs
}

// findModule finds runtime.firstmoduledata in a file that doesn't name it. It is data that begins with the function
// table's address, followed by the slice of function names in that table. 0 if there is none, or more than one.
func (f *File) findModule(table *elf.Section) uint64 {
	if table == nil {
		return 0
	}
	head := make([]byte, 72)
	if !f.image.copy(head, table.Addr) {
		return 0
	}
	names := table.Addr + binary.LittleEndian.Uint64(head[32:])
	var found []uint64
	try := func(addr uint64) {
		if w, ok := f.word(addr + moduleFuncNames); ok && w == names {
			found = append(found, addr)
		}
	}
	for addr, to := range f.relocated() {
		if to == table.Addr {
			try(addr)
		}
	}
	if len(found) == 0 {
		var want [8]byte
		binary.LittleEndian.PutUint64(want[:], table.Addr)
		for _, s := range f.elf.Sections {
			if s.Type != elf.SHT_PROGBITS || s.Flags&elf.SHF_ALLOC == 0 || s.Flags&elf.SHF_EXECINSTR != 0 ||
				s == table || s.Size > maxSection || s.Name == ".rodata" {
				continue
			}
			data, err := s.Data()
			if err != nil {
				continue
			}
			for at := 0; ; at += 8 {
				i := bytes.Index(data[at:], want[:])
				if i < 0 {
					break
				}
				if at += i; (s.Addr+uint64(at))%8 == 0 {
					try(s.Addr + uint64(at))
				}
				at = at &^ 7
			}
		}
	}
	if len(found) != 1 {
		return 0
	}
	return found[0]
}

// readModule takes from the module's description what the linker's symbols would have said.
func (f *File) readModule(t *layouts.Table) {
	if f.module == 0 {
		return
	}
	if text, ok := f.word(f.module + moduleText); ok && text != 0 && f.textStart == 0 {
		f.textStart = text
	}
	if t == nil {
		return
	}
	for i := range t.Types {
		if t.Types[i].Name != "runtime.moduledata" {
			continue
		}
		for _, fd := range t.Types[i].Fields {
			to := map[string]*uint64{"types": &f.typesBase, "gofunc": &f.goFunc}[fd.Name]
			if to == nil || *to != 0 {
				continue
			}
			if w, ok := f.word(f.module + uint64(fd.Offset)); ok {
				*to = w
			}
		}
	}
}

// loadRuntime makes the runtime's types and variables known to a file without debug information. A table that is not of
// the program's own release must fit its code.
func (f *File) loadRuntime(t *layouts.Table, own bool) error {
	if f.pcln == nil {
		return f.pclnErr
	}
	r := f.runtimeTypes(t)
	entries := f.runtimeFuncs(t.Funcs)
	could := 0
	for i := range t.Vars {
		v := &t.Vars[i]
		if v.Type <= 0 || v.Type > len(r.list) {
			continue
		}
		addr, total, ok := f.variable(v, entries)
		if total >= 2 {
			could++
		}
		if v.Name == "runtime.firstmoduledata" && f.module != 0 {
			addr, ok = f.module, true
		}
		if ok {
			r.add(Var{Name: v.Name, Addr: addr, Type: r.list[v.Type-1]})
		}
	}
	sort.Strings(r.names)
	if found := len(r.vars); !own && float64(found) < layouts.Fits*float64(could) {
		return fmt.Errorf("it was built by %s, and ri knows the runtime's layouts of Go %s; those of %s don't fit, "+
			"as only %d of %d variables are where they would be",
			f.build.GoVersion, layouts.KnownReleases(), t.Go, found, could)
	}
	if _, ok := r.vars["runtime.allgs"]; !ok {
		return fmt.Errorf("the runtime's code is not that of %s, by which its variables would be found (built with "+
			"profile-guided optimisation, -race or other compiler flags?)", t.Go)
	}
	f.runtime = r
	return nil
}

// runtimeTypes makes a table's types known, and no variables.
func (f *File) runtimeTypes(t *layouts.Table) *runtimeSymbols {
	r := &runtimeSymbols{table: t, types: map[string]*Type{}, short: map[string]*Type{}, vars: map[string]Var{}}
	r.list = f.tableTypes(t)
	for _, typ := range r.list {
		if typ.Kind == reflect.Invalid || r.types[typ.Name] != nil {
			continue
		}
		r.types[typ.Name] = typ
		short := f.index.short(typ.Name)
		if _, taken := r.short[short]; taken {
			r.short[short] = nil
		} else {
			r.short[short] = typ
		}
	}
	return r
}

func (r *runtimeSymbols) add(v Var) {
	if _, have := r.vars[v.Name]; !have {
		r.names = append(r.names, v.Name)
	}
	r.vars[v.Name] = v
}

// runtimeFuncs finds functions by number: their entries and ends; zero where the program has none.
func (f *File) runtimeFuncs(names []string) [][2]uint64 {
	numbers := make(map[string]int, len(names))
	for i, name := range names {
		numbers[name] = i
	}
	all := make([][2]uint64, len(names))
	for i := range f.pcln.nfunc {
		fn, ok := f.pcln.head(i)
		if !ok {
			continue
		}
		raw := f.pcln.text(f.pcln.funcName, fn.word(1))
		if !bytes.HasPrefix(raw, []byte("runtime.")) && !bytes.HasPrefix(raw, []byte("internal/runtime/")) {
			continue
		}
		if n, ok := numbers[string(raw)]; ok {
			all[n] = [2]uint64{f.pcln.entry(i), f.pcln.entry(i + 1)}
		}
	}
	return all
}

// variable derives a variable's address from the places in the code that refer to it. Most of those that are there must
// agree, two at least, and it must lie in data. total is how many places the program has.
func (f *File) variable(v *layouts.Var, entries [][2]uint64) (addr uint64, total int, ok bool) {
	votes := map[uint64]int{}
	for _, r := range v.Refs {
		if r[0] < 0 || r[0] >= int64(len(entries)) || entries[r[0]][0] == 0 {
			continue
		}
		entry, end := entries[r[0]][0], entries[r[0]][1]
		at := entry + uint64(r[1])
		var code [16]byte
		if r[1] < 0 || at >= end || !f.image.copy(code[:], at) {
			continue
		}
		total++
		if target, _, ok := f.arch.Reference(code[:], at); ok {
			votes[target-uint64(r[2])]++
		}
	}
	var best uint64
	for addr, n := range votes {
		if n > votes[best] {
			best = addr
		}
	}
	n := votes[best]
	return best, total, n >= 2 && 2*n > total && f.inData(best)
}

// runtimeVar is Var for a file of which only the runtime is known.
func (f *File) runtimeVar(name string) (Var, error) {
	if f.runtime != nil {
		if v, ok := f.runtime.vars[name]; ok {
			return v, nil
		}
		if runtimeName(name) {
			return Var{}, say(ErrNotFound, "no variable %s is known of the runtime of a stripped %s program", name,
				f.runtime.table.Go)
		}
	}
	return Var{}, fmt.Errorf("variable %s: %w", name, f.noDWARF)
}

// runtimeType is Type for a file of which only the runtime is known.
func (f *File) runtimeType(name string) (*Type, error) {
	if f.runtime != nil {
		if t := f.runtime.types[name]; t != nil {
			return t, nil
		}
		if t := f.runtime.short[name]; t != nil {
			return t, nil
		}
		switch {
		case strings.HasPrefix(name, "*"):
			if elem, err := f.runtimeType(name[1:]); err == nil {
				return f.PointerTo(elem), nil
			}
		case strings.HasPrefix(name, "[]"):
			if elem, err := f.runtimeType(name[2:]); err == nil {
				return f.SliceOf(elem), nil
			}
		}
		if kind, size := basicKind(name); size > 0 {
			return f.composed(name, func() *Type { return &Type{Kind: kind, Size: size} }), nil
		}
		if t := f.ofShape(name); t != nil {
			return t, nil
		}
		if _, ok := f.Descriptor(name); ok {
			return nil, say(ErrNoDWARF, "type %s is described in the program's memory only", name)
		}
		if runtimeName(name) {
			return nil, say(ErrNotFound, "no type %s is known of the runtime of a stripped %s program", name,
				f.runtime.table.Go)
		}
	}
	if f.travelled != nil {
		return nil, fmt.Errorf("type %s may only not have been recorded: %w", name,
			errors.Join(f.noDWARF, ErrNotRecorded))
	}
	return nil, fmt.Errorf("type %s: %w", name, f.noDWARF)
}

func runtimeName(name string) bool {
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/")
}

// basicKind gives the kind and size of a predeclared type by its name.
func basicKind(name string) (reflect.Kind, int64) {
	for kind := reflect.Bool; kind <= reflect.Complex128; kind++ {
		if kind.String() == name {
			size := map[reflect.Kind]int64{reflect.Bool: 1, reflect.Int8: 1, reflect.Uint8: 1, reflect.Int16: 2,
				reflect.Uint16: 2, reflect.Int32: 4, reflect.Uint32: 4,
				reflect.Float32: 4, reflect.Complex128: 16}[kind]
			if size == 0 {
				size = 8
			}
			return kind, size
		}
	}
	return reflect.Invalid, 0
}

// typeNames lists the known types' names, sorted.
func (r *runtimeSymbols) typeNames() []string {
	names := make([]string, 0, len(r.types))
	for name := range r.types {
		if !isLinkers(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// tableTypes makes a table's types for a file.
func (f *File) tableTypes(t *layouts.Table) []*Type {
	all := make([]*Type, len(t.Types))
	for i := range t.Types {
		lt := &t.Types[i]
		all[i] = f.NewType(lt.Name, reflect.Kind(lt.Kind), lt.Size)
	}
	at := func(n int) *Type {
		if n <= 0 || n > len(all) {
			return nil
		}
		return all[n-1]
	}
	for i := range t.Types {
		lt := &t.Types[i]
		p := Parts{Elem: at(lt.Elem), Key: at(lt.Key), Repr: at(lt.Repr), Len: lt.Len}
		for _, fd := range lt.Fields {
			if ft := at(fd.Type); ft != nil {
				p.Fields = append(p.Fields, Field{Name: fd.Name, Offset: fd.Offset, Type: ft, Embedded: fd.Embedded})
			}
		}
		all[i].Complete(p)
		for _, c := range lt.Constants {
			all[i].consts = append(all[i].consts, constant{c.Name, c.Value})
		}
	}
	return all
}
