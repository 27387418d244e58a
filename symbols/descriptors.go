package symbols

import (
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
)

// A stripped program keeps descriptors of the types that its own code may ask for at run time: those of which there are pointers, slices, maps,
// channels, functions and arrays that reflection may look up (moduledata.typelinks), and those that implement an interface (itablinks). Only their
// names are read here; what they consist of is read from memory, as that of any other descriptor (values.Space.RuntimeType).

// Offsets in internal/abi.Type, the same in Go 1.20 to 1.26: TFlag 20, Kind_ 23, Str 40; behind the 48 bytes of a pointer's type comes its element.
const (
	descriptorFlags = 20
	descriptorKind  = 23
	descriptorName  = 40
	descriptorSize  = 48

	flagExtraStar = 1 << 1 // abi.TFlagExtraStar
	maxTypeLinks  = 1 << 22
)

// Descriptor gives the link-time address of the descriptor of a type of a stripped program by its name as Go prints it at run time: package name and type,
// "server.Client". ok is false where there is none.
func (f *File) Descriptor(name string) (addr uint64, ok bool) {
	f.readDescriptors()
	addr, ok = f.descriptors[normal(name)]
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
		if f.runtime == nil || f.module == 0 || f.typesBase == 0 {
			return
		}
		module := f.runtime.types["runtime.moduledata"]
		if module == nil {
			return
		}
		slice := func(name string) (data, n uint64) {
			p, err := module.FieldByName(name)
			if err != nil {
				return 0, 0
			}
			at := f.module + uint64(p.Offset)
			data, _ = f.word(at)
			n, _ = f.word(at + 8)
			return data, min(n, maxTypeLinks)
		}
		links, n := slice("typelinks")
		for i := range n {
			var b [4]byte
			if !f.readStatic(b[:], links+4*i) {
				break
			}
			f.addDescriptor(f.typesBase + uint64(binary.LittleEndian.Uint32(b[:])))
		}
		tabs, n := slice("itablinks")
		for i := range n {
			tab, ok := f.word(tabs + 8*i)
			if !ok {
				break
			}
			for _, at := range []uint64{tab, tab + 8} { // runtime.itab: the interface, the type
				if desc, ok := f.word(at); ok {
					f.addDescriptor(desc)
				}
			}
		}
	})
}

// addDescriptor notes a type and, of a pointer, what it points to.
func (f *File) addDescriptor(addr uint64) {
	for range 4 {
		var b [descriptorSize + 8]byte
		if !f.readStatic(b[:], addr) {
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
	if !f.readStatic(head[:], at) {
		return "", false
	}
	n, width := binary.Uvarint(head[1:])
	if width <= 0 || n == 0 || n > 1<<14 {
		return "", false
	}
	text := make([]byte, n)
	if !f.readStatic(text, at+1+uint64(width)) {
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
