package symbols_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"os"
	"slices"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

// tiny is an executable with its debug sections as they are, so that what is broken in them reaches the parser.
func tiny(t testing.TB, version string, flags ...string) []byte {
	t.Helper()
	v := testprogram.Variant{Name: "dwarf" + version,
		Flags: append([]string{"-ldflags=-compressdwarf=false"}, flags...)}
	if version == "4" {
		v.Env = []string{"GOEXPERIMENT=nodwarf5"}
	}
	data, err := os.ReadFile(testprogram.Build(t, "testdata/tiny", v))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// breakable are the sections that symbols reads; 0 is the file's own headers.
var breakable = []string{"", ".debug_info", ".debug_abbrev", ".gopclntab", ".debug_loclists", ".debug_loc",
	".debug_rnglists", ".debug_ranges",
	".debug_addr", ".debug_str_offsets", ".symtab", ".strtab", ".go.buildinfo", ".note.go.buildid", ".rodata",
	".shstrtab"}

// broken copies an executable and writes changes into it: a section, an offset in 1/65536 of it, and eight bytes.
func broken(exe, changes []byte) []byte {
	out := bytes.Clone(exe)
	f, err := elf.NewFile(bytes.NewReader(exe))
	if err != nil {
		return out
	}
	for n := 0; len(changes) >= 12 && n < 64; n++ {
		start, size := uint64(0), uint64(4096)
		if name := breakable[int(changes[0])%len(breakable)]; name != "" {
			if s := f.Section(name); s != nil {
				start, size = s.Offset, s.FileSize
			}
		}
		at := start + size*uint64(binary.LittleEndian.Uint16(changes[1:]))>>16 + uint64(changes[3]%16)
		copy(out[min(at, uint64(len(out))):], changes[4:12])
		changes = changes[12:]
	}
	return out
}

func FuzzOpen(f *testing.F) {
	five, four := tiny(f, "5"), tiny(f, "4")
	f.Add(false, []byte{})
	f.Add(true, []byte{})
	for section := range breakable {
		for _, at := range []byte{0, 64, 250} {
			for _, with := range []string{"\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x00\x00\x00",
				"\x7f\x80\x80\x80\x80\x80\x80\x80"} {
				change := append([]byte{byte(section), 0, at, at % 3}, with...)
				f.Add(section%2 == 0, change)
			}
		}
	}
	f.Fuzz(func(t *testing.T, dwarf4 bool, changes []byte) {
		exe := five
		if dwarf4 {
			exe = four
		}
		file, err := symbols.Open(bytes.NewReader(broken(exe, changes)), "broken")
		if err != nil {
			return
		}
		use(file)
	})
}

// use asks a file for all that it has; nothing of it may panic or take forever.
func use(f *symbols.File) {
	f.BuildID()
	for _, name := range f.Vars() {
		f.Var(name)
	}
	for i, name := range f.TypeNames() {
		t, err := f.Type(name)
		if err != nil || i%4 != 0 {
			continue
		}
		t.ShortName()
		t.Constants()
		for _, fd := range t.Fields() {
			t.FieldByName(fd.Name)
		}
		t.FieldByName("no such field")
		if e := t.Elem(); e != nil {
			e.Fields()
		}
		t.Key()
		t.Repr()
	}
	for i, name := range f.Funcs() {
		if i%16 != 0 && name != "main.lookup" {
			continue
		}
		_, entry, err := f.Func(name)
		if err != nil {
			continue
		}
		vars := f.FuncVars(entry)
		for pc := entry; pc < entry+64; pc += 7 {
			f.PC(pc)
			for depth := range 3 {
				for _, v := range vars.At(pc, depth) {
					vars.Location(&v, pc)
				}
			}
		}
		f.Dictionaries(name)
	}
}

// FuzzPortable opens what travelled of a program with changes in its parts and header, and asks all of it.
func FuzzPortable(f *testing.F) {
	var all []*symbols.Portable
	for _, v := range []testprogram.Variant{{Name: "default"}, {Name: "stripped", Flags: []string{"-ldflags=-s -w"}}} {
		for _, whole := range []bool{false, true} {
			file := opened(f, testprogram.Build(f, "testdata/tiny", v))
			file.Track()
			asked{types: []string{"main.pair[string,int]", "runtime.g"}, vars: []string{"main.table", "runtime.allgs"},
				funcs: []string{"main.main", "main.lookup", "runtime.mallocgc"}}.answers(file)
			p, err := file.Portable(symbols.PortableOptions{Whole: whole})
			if err != nil {
				f.Fatal(err)
			}
			if whole {
				delete(p.Parts, "static") // as large as the rest, and only bytes
			}
			all = append(all, p)
		}
	}
	names := slices.Sorted(maps.Keys(all[0].Parts))
	for i := range len(names) + 2 {
		for _, at := range []byte{0, 1, 128} {
			for _, with := range []string{"\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
				f.Add(byte(i), append([]byte{byte(i), 0, at, at % 3}, with...))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		from := all[int(which)%len(all)]
		p := &symbols.Portable{Header: from.Header, Parts: maps.Clone(from.Parts)}
		p.Header.Units = slices.Clone(from.Header.Units)
		for n := 0; len(changes) >= 12 && n < 64; n++ {
			name := ""
			if i := int(changes[0]); i < len(names) {
				name = names[i]
			}
			at, word := uint64(binary.LittleEndian.Uint16(changes[1:])), changes[4:12]
			if part := p.Parts[name]; len(part) > 0 {
				part = bytes.Clone(part)
				copy(part[min(uint64(len(part))*at>>16+uint64(changes[3]%16), uint64(len(part))):], word)
				p.Parts[name] = part
			} else {
				changeHeader(&p.Header, int(at), binary.LittleEndian.Uint64(word))
			}
			changes = changes[12:]
		}
		file, err := symbols.OpenPortable(p)
		if err != nil {
			return
		}
		use(file)
		file.Track()
		use(file)
		if again, err := file.Portable(symbols.PortableOptions{Whole: which&0x80 != 0}); err == nil {
			symbols.OpenPortable(again)
		}
	})
}

// changeHeader gives one of the header's numbers another value.
func changeHeader(h *symbols.PortableHeader, n int, to uint64) {
	numbers := []*uint64{&h.Text, &h.Types, &h.GoFunc, &h.Module}
	for i := range h.Units {
		u := &h.Units[i]
		numbers = append(numbers, &u.Start, &u.First, &u.End, &u.Abbrev, &u.Addr, &u.StrOffsets, &u.Rnglists,
			&u.Loclists, &u.LowPC)
	}
	*numbers[n%len(numbers)] = to
}
