package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Dictionaries gives the link-time addresses of the dictionaries that a generic function, or a method of a generic type, may be
// called with: one for each instantiation in the program, whatever its shape. Their entries are what DictIndex counts.
func (f *File) Dictionaries(function string) []uint64 {
	f.dictOnce.Do(f.readDictionaries)
	return f.dicts[genericBase(function)]
}

// genericBase cuts a name down to package and generic function or type: "main.(*Box[go.shape.int]).Get" to "main.Box".
func genericBase(name string) string {
	base, _, ok := strings.Cut(name, "[")
	if !ok {
		return ""
	}
	return unescape(strings.Replace(base, "(*", "", 1))
}

func (f *File) readDictionaries() {
	f.dicts = map[string][]uint64{}
	if f.lender != nil {
		return // they lie among constants, of which it isn't known where the program has them
	}
	mark := []byte("..dict.")
	f.eachSymbol(func(name []byte, addr uint64) {
		if end := bytes.IndexByte(name, '['); end > 0 && bytes.Contains(name[:end], mark) {
			base := genericBase(strings.Replace(string(name), "..dict.", ".", 1))
			f.dicts[base] = append(f.dicts[base], addr)
		}
	})
}

// eachSymbol calls back with each name and address in .symtab.
func (f *File) eachSymbol(yield func(name []byte, addr uint64)) {
	symtab := f.elf.SectionByType(elf.SHT_SYMTAB)
	if symtab == nil || int(symtab.Link) >= len(f.elf.Sections) {
		return
	}
	syms, err := symtab.Data()
	if err != nil {
		return
	}
	strs, err := f.elf.Sections[symtab.Link].Data()
	if err != nil {
		return
	}
	for ; len(syms) >= 24; syms = syms[24:] {
		off := uint64(binary.LittleEndian.Uint32(syms))
		if off >= uint64(len(strs)) {
			continue
		}
		name := strs[off:]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			yield(name[:end], binary.LittleEndian.Uint64(syms[8:]))
		}
	}
}
