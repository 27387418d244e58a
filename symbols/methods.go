package symbols

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Implementation is a method of a type that implements an interface.
type Implementation struct {
	Type  string // as its descriptor has it: "*server.client"
	Entry uint64 // link-time address of the function; it may be one that the compiler made to call the method
}

// Offsets in internal/abi's types, the same in Go 1.20 to 1.27: UncommonType: Mcount 4, Moff 8; Method, of 16 bytes:
// Name 0, Mtyp 4, Ifn 8, Tfn 12; InterfaceType: Methods 56, of Imethod, 8 bytes: Name 0, Typ 4. Type: PtrToThis 44.
const (
	uncommonSize     = 16
	methodSize       = 16
	interfaceMethods = 56
	imethodSize      = 8
	descriptorPtr    = 44
	maxMethods       = 1 << 12

	// The type's offset, as that of its code, of a method that the linker has dropped (cmd/link: R_METHODOFF). Its name
	// stays.
	droppedMethod = 1<<32 - 1
)

// Implementations finds the methods by which a program's types implement a method of an interface, by the types'
// descriptors: as the runtime does, by names and types of all methods of the interface. A method that the linker has
// dropped, since nothing calls it through an interface, isn't found; of others that it has dropped the type isn't
// known. Errors: ErrNotFound with what isn't there.
func (f *File) Implementations(iface, method string) ([]Implementation, error) {
	types := f.methodTypes()
	desc, err := types.iface(iface)
	if err != nil {
		return nil, err
	}
	wanted := f.interfaceMethods(desc)
	at := slices.IndexFunc(wanted, func(m methodName) bool { return m.name == method })
	if at < 0 {
		var has []string
		for _, m := range wanted {
			has = append(has, m.name)
		}
		return nil, say(ErrNotFound, "interface %s has no method %s; it has: %s", iface, method, strings.Join(has, ", "))
	}
	var out []Implementation
	for _, t := range types.list {
		entry, ok := t.implements(wanted, at)
		if entry += f.textBase(); ok {
			out = append(out, Implementation{t.name, entry})
		}
	}
	return out, nil
}

// textBase is where code begins that descriptors refer to (moduledata.text).
func (f *File) textBase() uint64 {
	if f.pcln == nil {
		return 0
	}
	return f.pcln.textStart
}

// methodName is a method of an interface, or of a type: its name, with the package of one that isn't exported, and the
// offset of its type.
type methodName struct {
	name, pkg string
	typ       uint32
}

type typeMethod struct {
	methodName
	entry uint64 // from where code begins
}

// methodType is a type that has methods.
type methodType struct {
	name    string
	methods []typeMethod
}

// implements gives the code of the at-th of wanted methods, if the type has all of them.
func (t *methodType) implements(wanted []methodName, at int) (entry uint64, ok bool) {
	for i, w := range wanted {
		j := slices.IndexFunc(t.methods, func(m typeMethod) bool {
			return m.name == w.name && m.pkg == w.pkg && (m.typ == w.typ || m.typ == droppedMethod)
		})
		if j < 0 {
			return 0, false
		}
		if i == at {
			entry, ok = t.methods[j].entry, t.methods[j].typ != droppedMethod
		}
	}
	return entry, ok
}

// methodTypes are a program's types with methods, and its interfaces.
type methodTypes struct {
	file       *File
	list       []methodType
	interfaces map[string][]uint64 // descriptors, by the names that these have
}

type methodTypesKey struct{}

func (f *File) methodTypes() *methodTypes {
	return f.Keep(methodTypesKey{}, func() any {
		m := &methodTypes{file: f, interfaces: map[string][]uint64{}}
		if f.typesBase == 0 {
			return m
		}
		r := descriptorReader{file: f, types: m, seen: map[uint64]bool{}, mapSize: f.mapDescriptor()}
		for _, p := range f.index.runtimeTypes {
			r.add(f.typesBase + p.key)
		}
		if f.module != 0 {
			f.eachDescriptor(r.add)
			f.eachItab(func(tab uint64) {
				for _, at := range []uint64{tab, tab + 8} { // internal/abi.ITab: Inter, Type
					if desc, ok := f.word(at); ok {
						r.add(desc)
					}
				}
			})
		}
		return m
	}).(*methodTypes)
}

// mapDescriptor is the size of a map's descriptor; 0 if it isn't known.
func (f *File) mapDescriptor() uint64 {
	for _, name := range []string{"internal/abi.MapType", "internal/abi.SwissMapType", "internal/abi.OldMapType",
		"runtime.maptype"} {
		if t := f.ownType(name); t != nil && t.Kind == reflect.Struct && t.Size > descriptorSize && t.Size < 1<<10 {
			return uint64(t.Size)
		}
	}
	return 0
}

// iface finds an interface's descriptor by its name, full or short.
func (m *methodTypes) iface(name string) (uint64, error) {
	f := m.file
	if t, err := f.Type(name); err == nil {
		if t.Kind != reflect.Interface {
			return 0, say(ErrNotFound, "%s is no interface", name)
		}
		if off := t.RuntimeOffset(); off != 0 && f.typesBase != 0 {
			return f.typesBase + off, nil
		}
		name = t.ShortName()
	}
	switch all := m.interfaces[normal(name)]; len(all) {
	case 0:
		return 0, say(ErrNotFound, "the program has no interface %s that anything is converted to", name)
	case 1:
		return all[0], nil
	default:
		return 0, say(ErrAmbiguous, "%d interfaces are called %s, of different packages", len(all), name)
	}
}

// descriptorReader collects types from their descriptors.
type descriptorReader struct {
	file    *File
	types   *methodTypes
	seen    map[uint64]bool
	mapSize uint64
}

// add takes a type, and what it points to or what points to it.
func (r *descriptorReader) add(desc uint64) {
	todo := []uint64{desc}
	for len(todo) > 0 && len(r.seen) < maxTypeLinks {
		desc, todo = todo[len(todo)-1], todo[:len(todo)-1]
		var b [descriptorSize + 8]byte
		if r.seen[desc] || !r.file.image.copy(b[:], desc) {
			continue
		}
		r.seen[desc] = true
		kind := reflect.Kind(b[descriptorKind] & 0x1f)
		if kind == reflect.Invalid || kind > reflect.UnsafePointer {
			continue
		}
		if to := binary.LittleEndian.Uint32(b[descriptorPtr:]); to != 0 {
			todo = append(todo, r.file.typesBase+uint64(to))
		}
		if elem, ok := r.file.word(desc + descriptorSize); ok && kind == reflect.Pointer {
			todo = append(todo, elem)
		}
		switch {
		case kind == reflect.Interface:
			if name, ok := r.file.descriptorName(b[:]); ok {
				r.types.interfaces[normal(name)] = append(r.types.interfaces[normal(name)], desc)
			}
		case b[descriptorFlags]&flagUncommon != 0:
			r.methods(desc, kind, b[:])
		}
	}
}

// methods reads the methods of a type.
func (r *descriptorReader) methods(desc uint64, kind reflect.Kind, b []byte) {
	f := r.file
	size := uint64(descriptorSize)
	switch kind { // internal/abi: PtrType, FuncType, SliceType, ArrayType, ChanType, StructType
	case reflect.Pointer, reflect.Func, reflect.Slice:
		size += 8
	case reflect.Chan:
		size += 16
	case reflect.Array:
		size += 24
	case reflect.Struct:
		size += 32
	case reflect.Map:
		if size = r.mapSize; size == 0 {
			return
		}
	}
	var u [uncommonSize]byte
	if !f.image.copy(u[:], desc+size) {
		return
	}
	n := int(binary.LittleEndian.Uint16(u[4:]))
	if n == 0 || n > maxMethods {
		return
	}
	table := make([]byte, n*methodSize)
	if !f.image.copy(table, desc+size+uint64(binary.LittleEndian.Uint32(u[8:]))) {
		return
	}
	t := methodType{}
	if t.name, _ = f.descriptorName(b); t.name == "" {
		t.name = fmt.Sprintf("?(type descriptor %#x)", desc)
	}
	pkg, _, _ := f.abiName(f.typesBase + uint64(binary.LittleEndian.Uint32(u[:])))
	for ; len(table) > 0; table = table[methodSize:] {
		t.methods = append(t.methods, typeMethod{f.methodName(table, pkg),
			uint64(binary.LittleEndian.Uint32(table[12:]))})
	}
	r.types.list = append(r.types.list, t)
}

// interfaceMethods reads the methods of an interface.
func (f *File) interfaceMethods(desc uint64) (out []methodName) {
	pkg := ""
	if at, ok := f.word(desc + descriptorSize); ok {
		pkg, _, _ = f.abiName(at)
	}
	at, ok := f.word(desc + interfaceMethods)
	n, ok2 := f.word(desc + interfaceMethods + 8)
	if !ok || !ok2 || n > maxMethods {
		return nil
	}
	table := make([]byte, n*imethodSize)
	if !f.image.copy(table, at) {
		return nil
	}
	for ; len(table) > 0; table = table[imethodSize:] {
		out = append(out, f.methodName(table, pkg))
	}
	return out
}

// methodName reads name and type of a method that has them in front. pkg is the package of one whose name lacks it.
func (f *File) methodName(b []byte, pkg string) methodName {
	name, exported, own := f.abiName(f.typesBase + uint64(binary.LittleEndian.Uint32(b)))
	m := methodName{name: name, typ: binary.LittleEndian.Uint32(b[4:])}
	if !exported {
		if m.pkg = pkg; own != "" {
			m.pkg = own
		}
	}
	return m
}

// abiName reads an internal/abi.Name: a byte of flags, the length as a varint, the text, a tag of the same form, the
// offset of the package's name. pkg is "" where it has none.
func (f *File) abiName(at uint64) (name string, exported bool, pkg string) {
	const hasExported, hasTag, hasPkg = 1 << 0, 1 << 1, 1 << 2
	var flags [1]byte
	if !f.image.copy(flags[:], at) {
		return "", false, ""
	}
	name, at = f.abiText(at + 1)
	if flags[0]&hasTag != 0 {
		_, at = f.abiText(at)
	}
	var off [4]byte
	if flags[0]&hasPkg != 0 && f.image.copy(off[:], at) {
		pkg, _ = f.abiText(f.typesBase + uint64(binary.LittleEndian.Uint32(off[:])) + 1)
	}
	return name, flags[0]&hasExported != 0, pkg
}

// abiText reads a text with its length in front, and gives where it ends.
func (f *File) abiText(at uint64) (text string, end uint64) {
	var head [3]byte
	if !f.image.copy(head[:], at) {
		return "", at
	}
	n, width := binary.Uvarint(head[:])
	if width <= 0 || n > 1<<14 {
		return "", at
	}
	b := make([]byte, n)
	if end = at + uint64(width) + n; !f.image.copy(b, at+uint64(width)) {
		return "", end
	}
	return string(b), end
}

// InterfaceMethods lists the methods of an interface, as its descriptor has them. Errors: ErrNotFound.
func (f *File) InterfaceMethods(iface string) (names []string, err error) {
	desc, err := f.methodTypes().iface(iface)
	if err != nil {
		return nil, err
	}
	for _, m := range f.interfaceMethods(desc) {
		names = append(names, m.name)
	}
	return names, nil
}
