package symbols

import (
	"encoding/binary"
	"reflect"
)

// descriptorSizes says how long descriptors and itabs are, which lie one behind the other since Go 1.27. A descriptor
// consists of what its kind has, then what a type with methods has (internal/abi.UncommonType), then what is listed:
// fields, methods, parameters (internal/abi.Type.DescriptorSize, Go 1.27). All numbers come from debug information,
// or from the table of the release.
type descriptorSizes struct {
	kinds    map[reflect.Kind]uint64 // size of what a kind has; of all others the common part
	common   uint64
	uncommon uint64 // size of UncommonType
	methods  uint64 // offset of its count of methods, each of
	method   uint64 // so many bytes

	lists map[reflect.Kind]list // what is counted in the descriptor and listed behind it

	itab, inter uint64 // size of an itab with one method, offset of its interface
	function    uint64 // offset of the first method's code, 0 where the type lacks the interface's methods
}

// list is a count in a descriptor: n elements of the given size follow. Where the count is of two parts, in and out
// have it.
type list struct {
	count   []uint64 // offsets
	bytes   int      // of a count: 8 or 2
	element uint64
}

// descriptorSizes takes the sizes from the program's own types; ok is false if it lacks one.
func (f *File) descriptorSizes() (s descriptorSizes, ok bool) {
	ok = true
	size := func(name string) uint64 {
		t := f.ownType("internal/abi." + name)
		if t == nil {
			ok = false
			return 0
		}
		return uint64(t.Size)
	}
	offset := func(name, field string) uint64 {
		if t := f.ownType("internal/abi." + name); t != nil {
			if p, err := t.FieldByName(field); err == nil {
				return uint64(p.Offset)
			}
		}
		ok = false
		return 0
	}
	s = descriptorSizes{
		kinds: map[reflect.Kind]uint64{
			reflect.Array: size("ArrayType"), reflect.Chan: size("ChanType"), reflect.Func: size("FuncType"),
			reflect.Map: size("MapType"), reflect.Pointer: size("PtrType"), reflect.Slice: size("SliceType"),
			reflect.Interface: size("InterfaceType"), reflect.Struct: size("StructType"),
		},
		common: size("Type"), uncommon: size("UncommonType"),
		methods: offset("UncommonType", "Mcount"), method: size("Method"),
		lists: map[reflect.Kind]list{
			reflect.Struct:    {[]uint64{offset("StructType", "Fields") + 8}, 8, size("StructField")},
			reflect.Interface: {[]uint64{offset("InterfaceType", "Methods") + 8}, 8, size("Imethod")},
			reflect.Func:      {[]uint64{offset("FuncType", "InCount"), offset("FuncType", "OutCount")}, 2, 8},
		},
		itab: size("ITab"), inter: offset("ITab", "Inter"), function: offset("ITab", "Fun"),
	}
	return s, ok
}

// descriptor is the length of the descriptor at a link-time address, in bytes.
func (s descriptorSizes) descriptor(f *File, at uint64) (uint64, bool) {
	var b [descriptorSize]byte
	if !f.image.copy(b[:], at) {
		return 0, false
	}
	kind := reflect.Kind(b[descriptorKind] & 0x1f)
	if kind == reflect.Invalid || kind > reflect.UnsafePointer {
		return 0, false
	}
	bytes := s.common
	if own, ok := s.kinds[kind]; ok {
		bytes = own
	}
	if b[descriptorFlags]&flagUncommon != 0 {
		n, ok := f.count(at+bytes+s.methods, 2)
		if !ok {
			return 0, false
		}
		bytes += s.uncommon + n*s.method
	}
	l := s.lists[kind]
	for _, off := range l.count {
		n, ok := f.count(at+off, l.bytes)
		if !ok {
			return 0, false
		}
		bytes += n * l.element
	}
	return bytes, true
}

// table is the length of the itab at a link-time address: its last field has the code of each method of the interface.
func (s descriptorSizes) table(f *File, at uint64) (uint64, bool) {
	first, ok := f.word(at + s.function)
	if !ok || first == 0 {
		return s.itab, ok
	}
	inter, ok := f.word(at + s.inter)
	if !ok {
		return 0, false
	}
	n, ok := f.count(inter+s.lists[reflect.Interface].count[0], 8)
	if !ok || n == 0 {
		return 0, false
	}
	return s.itab + (n-1)*8, true
}

// count reads a number of 2 or 8 bytes that says how many elements there are. The top bit of two bytes says that a
// function is variadic.
func (f *File) count(at uint64, bytes int) (uint64, bool) {
	var b [8]byte
	if !f.image.copy(b[:bytes], at) {
		return 0, false
	}
	n := binary.LittleEndian.Uint64(b[:])
	if bytes == 2 {
		n &= 1<<15 - 1
	}
	return n, n < maxTypeLinks
}
