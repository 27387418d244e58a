package symbols

import (
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
)

// A stripped program keeps descriptors of the types that its own code may ask for at run time. Those are the pointers,
// slices, maps, channels, functions and arrays that reflection may look up, and what implements an interface. Up to Go
// 1.26 runtime.moduledata lists them (typelinks, itablinks). Since Go 1.27 they lie one behind the other where types
// begin (typedesclen bytes), as itabs do behind all types (itaboffset, itabsize).
//
// Only their names are read here. What they consist of is read from memory, as that of any other descriptor
// (values.Space.RuntimeType).

// Offsets in internal/abi.Type, the same in Go 1.20 to 1.27: TFlag 20, Kind_ 23, Str 40. The element of a pointer's
// type comes behind the 48 bytes.
const (
	descriptorFlags = 20
	descriptorKind  = 23
	descriptorName  = 40
	descriptorSize  = 48

	flagUncommon  = 1 << 0 // abi.TFlagUncommon
	flagExtraStar = 1 << 1 // abi.TFlagExtraStar
	maxTypeLinks  = 1 << 22
)

// Descriptor finds the descriptor of a type of a stripped program, and gives its link-time address. The name is that
// which Go prints at run time, package name and type: "server.Client". ok is false where there is none.
func (f *File) Descriptor(name string) (addr uint64, ok bool) {
	f.readDescriptors()
	name = normal(name)
	if addr, ok = f.descriptors[name]; ok {
		note(f.uses, usedDescriptors, name)
	}
	return addr, ok
}

// KnowsType is an error, as that of Type, where neither debug information nor a descriptor tells of a type.
func (f *File) KnowsType(name string) error {
	_, err := f.Type(name)
	if err == nil || f.runtime == nil {
		return err
	}
	for elem := name; ; {
		if _, ok := f.Descriptor(elem); ok {
			return nil
		}
		if len(elem) > 1 && elem[0] == '*' {
			elem = elem[1:]
		} else if strings.HasPrefix(elem, "[]") {
			elem = elem[2:]
		} else {
			return err
		}
	}
}

// readDescriptors collects names of types, once.
func (f *File) readDescriptors() {
	f.descriptorsOnce.Do(func() {
		f.descriptors = map[string]uint64{}
		if f.runtime == nil || f.module == 0 || f.typesBase == 0 || f.runtime.types["runtime.moduledata"] == nil {
			return
		}
		f.eachDescriptor(f.addDescriptor)
		f.eachItab(func(tab uint64) {
			for _, at := range []uint64{tab, tab + 8} { // internal/abi.ITab: Inter, Type
				if desc, ok := f.word(at); ok {
					f.addDescriptor(desc)
				}
			}
		})
	})
}

// ownType is a type of the runtime, by debug information or by the table of the release; nil if there is none.
func (f *File) ownType(name string) *Type {
	if f.runtime != nil {
		return f.runtime.types[name]
	}
	if t, err := f.Type(name); err == nil {
		return t
	}
	return nil
}

// moduleWord reads the n-th word of a field of runtime.moduledata; ok is false where the release has no such field.
func (f *File) moduleWord(field string, n uint64) (w uint64, ok bool) {
	t := f.ownType("runtime.moduledata")
	if t == nil {
		return 0, false
	}
	p, err := t.FieldByName(field)
	if err != nil {
		return 0, false
	}
	return f.word(f.module + uint64(p.Offset) + 8*n)
}

// eachDescriptor calls back with the link-time address of each descriptor that reflection may look up.
func (f *File) eachDescriptor(found func(desc uint64)) {
	if length, ok := f.moduleWord("typedesclen", 0); ok {
		if sizes, ok := f.descriptorSizes(); ok {
			// The linker begins a word later, and so does runtime.moduleTypelinks.
			f.eachBehind(f.typesBase+8, f.typesBase+length, sizes.descriptor, found)
		}
		return
	}
	links, _ := f.moduleWord("typelinks", 0)
	n, _ := f.moduleWord("typelinks", 1)
	for i := range min(n, maxTypeLinks) {
		var b [4]byte
		if !f.image.copy(b[:], links+4*i) {
			return
		}
		found(f.typesBase + uint64(binary.LittleEndian.Uint32(b[:])))
	}
}

// eachItab calls back with the link-time address of each itab that the linker made.
func (f *File) eachItab(found func(tab uint64)) {
	if offset, ok := f.moduleWord("itaboffset", 0); ok {
		if sizes, ok := f.descriptorSizes(); ok {
			length, _ := f.moduleWord("itabsize", 0)
			start := f.typesBase + offset
			f.eachBehind(start, start+length, sizes.table, found)
		}
		return
	}
	tabs, _ := f.moduleWord("itablinks", 0)
	n, _ := f.moduleWord("itablinks", 1)
	for i := range min(n, maxTypeLinks) {
		tab, ok := f.word(tabs + 8*i)
		if !ok {
			return
		}
		found(tab)
	}
}

// eachBehind goes through things that lie one behind the other, at whole words. It ends where the size of one isn't
// known.
func (f *File) eachBehind(at, end uint64, size func(f *File, at uint64) (uint64, bool), found func(at uint64)) {
	for n := 0; at < end && n < maxTypeLinks; n++ {
		bytes, ok := size(f, at)
		if !ok {
			return
		}
		found(at)
		at += (bytes + 7) &^ 7
	}
}

// addDescriptor notes a type and, of a pointer, what it points to.
func (f *File) addDescriptor(addr uint64) {
	for range 4 {
		var b [descriptorSize + 8]byte
		if !f.image.copy(b[:], addr) {
			return
		}
		name, ok := f.descriptorName(b[:])
		if !ok {
			return
		}
		name = normal(name)
		if _, known := f.descriptors[name]; known {
			return
		}
		f.descriptors[name] = addr
		if reflect.Kind(b[descriptorKind]&0x1f) != reflect.Pointer {
			return
		}
		elem, ok := f.word(addr + descriptorSize)
		if !ok {
			return
		}
		addr = elem
	}
}

// descriptorName reads a type's name, an internal/abi.Name: a byte of flags, the length as a varint, the text.
func (f *File) descriptorName(desc []byte) (string, bool) {
	at := f.typesBase + uint64(binary.LittleEndian.Uint32(desc[descriptorName:]))
	var head [4]byte
	if !f.image.copy(head[:], at) {
		return "", false
	}
	n, width := binary.Uvarint(head[1:])
	if width <= 0 || n == 0 || n > 1<<14 {
		return "", false
	}
	text := make([]byte, n)
	if !f.image.copy(text, at+1+uint64(width)) {
		return "", false
	}
	name := string(text)
	if desc[descriptorFlags]&flagExtraStar != 0 {
		name = strings.TrimPrefix(name, "*")
	}
	return name, true
}

// descriptorNames lists the names, sorted.
func (f *File) descriptorNames() []string {
	f.readDescriptors()
	names := make([]string, 0, len(f.descriptors))
	for name := range f.descriptors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
