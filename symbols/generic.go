package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
)

// shapeMark stands in front of a type argument in the name of what the compiler made for all arguments of one shape
// (cmd/compile/internal/noder: shapify).
const shapeMark = "go.shape."

// ofShape gives an instance of a generic type that the program describes by its shape only: "pkg.entry[int,string]"
// where there is "pkg.entry[go.shape.int,go.shape.string]". So it is from Go 1.27 on with types that no variable has.
// It can be only where each argument is its own underlying type; nil otherwise.
func (f *File) ofShape(name string) *Type {
	if !strings.Contains(name, "[") {
		return nil
	}
	f.shapesOnce.Do(func() {
		f.shapes = map[string]string{}
		for _, full := range f.TypeNames() {
			if strings.Contains(full, shapeMark) {
				f.shapes[strings.ReplaceAll(full, shapeMark, "")] = full
			}
		}
	})
	full, ok := f.shapes[name]
	if !ok {
		return nil
	}
	shape, err := f.Type(full)
	if err != nil || shape.Kind != reflect.Struct {
		return nil
	}
	return f.composed(name, func() *Type { return &Type{Kind: shape.Kind, Size: shape.Size, shape: shape} })
}

// fieldsOfShape are those of the shape, with the arguments' own types.
func (t *Type) fieldsOfShape() []Field {
	fields := slices.Clone(t.shape.Fields())
	for i := range fields {
		ft := fields[i].Type
		if own, err := t.file.Type(strings.ReplaceAll(ft.Name, shapeMark, "")); err == nil && own.Kind == ft.Kind &&
			own.Size == ft.Size {
			fields[i].Type = own
		}
	}
	return fields
}

// Dictionaries gives the link-time addresses of the dictionaries that a generic function, or a method of a generic
// type, may be called with. There is one for each instantiation in the program, whatever its shape. DictIndex counts
// their entries.
func (f *File) Dictionaries(function string) []uint64 {
	f.dictOnce.Do(f.readDictionaries)
	name := genericBase(function)
	track(f.uses, usedDictionaries, name)
	return f.dicts[name]
}

// genericBase cuts a name down to what the dictionary is made for: "main.(*Box[go.shape.int]).Get" to its type
// "main.Box". A generic method (Go 1.27) has type arguments of its own and thus a dictionary of its own, so
// "main.(*Box[go.shape.int]).Map[go.shape.string].func1" becomes "main.Box.Map". A name without type arguments gives
// "".
func genericBase(name string) string {
	var base strings.Builder
	depth, groups, end := 0, 0, 0
	for _, c := range []byte(name) {
		switch c {
		case '[':
			if depth++; depth == 1 && groups < 2 {
				groups++
				end = base.Len()
			}
		case ']':
			depth--
		default:
			if depth == 0 && groups < 2 {
				base.WriteByte(c)
			}
		}
	}
	return unescape(strings.NewReplacer("(*", "", ")", "").Replace(base.String()[:end]))
}

func (f *File) readDictionaries() {
	f.dicts = map[string][]uint64{}
	if f.borrows() {
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
	f.eachSized(func(name []byte, addr, _ uint64) { yield(name, addr) })
}

// eachSized is eachSymbol with sizes in bytes.
func (f *File) eachSized(yield func(name []byte, addr, size uint64)) {
	if f.debug == nil {
		return
	}
	symtab := f.debug.SectionByType(elf.SHT_SYMTAB)
	if symtab == nil || int(symtab.Link) >= len(f.debug.Sections) {
		return
	}
	syms, err := symtab.Data()
	if err != nil {
		return
	}
	strs, err := f.debug.Sections[symtab.Link].Data()
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
			yield(name[:end], binary.LittleEndian.Uint64(syms[8:]), binary.LittleEndian.Uint64(syms[16:]))
		}
	}
}
