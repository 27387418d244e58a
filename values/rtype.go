package values

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/symbols"
)

// Offsets in internal/abi.Type, the same in Go 1.20 to 1.27 (before 1.21 it was runtime._type): Size_ 0, PtrBytes 8,
// Hash 16, TFlag 20, Align_ 21, FieldAlign_ 22, Kind_ 23, Equal 24, GCData 32, Str 40, PtrToThis 44; 48 in all, then
// the kind's own.
const (
	rtypeTFlag = 20
	rtypeKind  = 23
	rtypeStr   = 40
	rtypeSize  = 48

	tflagExtraStar = 1 << 1 // the name begins with a star that isn't the type's
	directBit      = 1 << 5 // abi.KindDirectIface in Kind_; from Go 1.26 on abi.TFlagDirectIface in TFlag
)

// What follows the common part, by kind (internal/abi: PtrType, SliceType, ArrayType, ChanType, MapType, StructType,
// InterfaceType).
const (
	rtypeElem    = 48 // of pointer, slice, array and chan; a map's key
	rtypeMapElem = 56
	rtypeGroup   = 64 // of a map: its group (from Go 1.24 on) or bucket
	rtypeLen     = 64 // of an array
	rtypeFields  = 56 // of a struct: a slice of abi.StructField {Name, Typ, Offset}; of an interface: its methods

	structFieldSize = 24
	nameEmbedded    = 1 << 3 // in the flags of an abi.Name

	maxMadeTypes  = 10_000 // made for one value
	maxMadeFields = 1 << 16
)

// RuntimeType gives the type that a runtime type descriptor at a runtime address describes. What DWARF
// lacks (types that only interfaces hold, or that only reflection made) is made from the descriptor.
func (s *Space) RuntimeType(desc uint64) (*symbols.Type, error) {
	made := 0
	return s.runtimeType(desc, &made)
}

func (s *Space) runtimeType(desc uint64, made *int) (t *symbols.Type, err error) {
	if t := s.types[desc]; t != nil {
		return t, nil
	}
	if base := s.file.TypesBase(); base != 0 {
		if t, ok := s.file.RuntimeType(desc - s.bias - base); ok {
			s.types[desc] = t
			return t, nil
		}
	}
	b, err := s.Slice(desc, rtypeSize)
	if err != nil {
		return nil, fmt.Errorf("type descriptor: %w", err)
	}
	size := int64(binary.LittleEndian.Uint64(b))
	kind := reflect.Kind(b[rtypeKind] & 0x1f)
	if kind == reflect.Invalid || kind > reflect.UnsafePointer || size < 0 || size > MaxBytes {
		return nil, fmt.Errorf("no type descriptor at %#x: %w", desc, ErrCorrupt)
	}
	if *made++; *made > maxMadeTypes {
		return nil, fmt.Errorf("type descriptor at %#x: more than %d types hang together: %w", desc, maxMadeTypes, ErrCorrupt)
	}
	name := s.descriptorName(desc, b)
	// By name only where that is unmistakable: a descriptor's name lacks the import path.
	if t, err := s.file.Type(name); err == nil && t.Kind == kind && t.Size == size && t.RuntimeOffset() == 0 {
		s.types[desc] = t
		return t, nil
	}
	t = s.file.NewType(name, kind, size)
	s.types[desc] = t // before its parts, which may lead back to it
	parts, err := s.parts(desc, t, made)
	if err != nil {
		delete(s.types, desc)
		return nil, fmt.Errorf("type descriptor of %s: %w", name, err)
	}
	if kind == reflect.Pointer && parts.Elem.Described() {
		t = s.file.PointerTo(parts.Elem)
		s.types[desc] = t
		return t, nil
	}
	t.Complete(parts)
	return t, nil
}

// descriptorName is the name that a descriptor, whose bytes are b, gives its type.
func (s *Space) descriptorName(desc uint64, b []byte) string {
	str := int32(binary.LittleEndian.Uint32(b[rtypeStr:]))
	if base := s.typesBase(desc); base != 0 && str > 0 {
		if name, _, ok := s.rtypeName(base + uint64(str)); ok {
			if b[rtypeTFlag]&tflagExtraStar != 0 {
				name = strings.TrimPrefix(name, "*")
			}
			return name
		}
	}
	return fmt.Sprintf("?(type descriptor %#x)", desc)
}

// parts reads what a type consists of from its descriptor.
func (s *Space) parts(desc uint64, t *symbols.Type, made *int) (p symbols.Parts, err error) {
	at := func(off uint64) *symbols.Type { // nil after an error
		if err == nil {
			var addr uint64
			if addr, err = s.Uint64(desc + off); err == nil {
				var part *symbols.Type
				part, err = s.runtimeType(addr, made)
				return part
			}
		}
		return nil
	}
	switch t.Kind {
	case reflect.Pointer, reflect.Slice:
		p.Elem = at(rtypeElem)
	case reflect.Chan:
		p.Elem = at(rtypeElem)
		if head, err := s.file.Type("runtime.hchan"); err == nil {
			p.Repr = s.file.PointerTo(head)
		}
	case reflect.Array:
		if p.Elem = at(rtypeElem); err == nil {
			p.Len, err = s.arrayLen(desc, t, p.Elem)
		}
	case reflect.Map:
		p.Key, p.Elem = at(rtypeElem), at(rtypeMapElem)
		if err != nil {
			return p, err
		}
		// Another type of the same key and element has the same structure behind it.
		if twin, err := s.file.Type("map[" + p.Key.Name + "]" + p.Elem.Name); err == nil {
			p.Repr = twin.Repr()
		}
		if p.Repr == nil {
			p.Repr = s.mapRepr(desc, t, made)
		}
	case reflect.Interface:
		repr := "runtime.iface"
		if n, err := s.Uint64(desc + rtypeFields + 8); err == nil && n == 0 {
			repr = "runtime.eface"
		}
		p.Repr, err = s.file.Type(repr)
	case reflect.Struct:
		p.Fields, err = s.rtypeFields(desc, t, made)
	}
	return p, err
}

// arrayLen is the length of an array type t, as far as it agrees with its size.
func (s *Space) arrayLen(desc uint64, t, elem *symbols.Type) (int64, error) {
	word, err := s.Uint64(desc + rtypeLen)
	n := int64(word)
	if err == nil && (n < 0 || elem.Size > 0 && n != t.Size/elem.Size) {
		err = fmt.Errorf("%d elements of %d bytes in %d: %w", n, elem.Size, t.Size, ErrCorrupt)
	}
	return n, err
}

// mapRepr makes the runtime's structure behind a map type of which there is no other description: that of all maps,
// with the group or bucket that the descriptor names in its place. nil if it can't.
func (s *Space) mapRepr(desc uint64, t *symbols.Type, made *int) *symbols.Type {
	addr, err := s.Uint64(desc + rtypeGroup)
	if err != nil {
		return nil
	}
	group, err := s.runtimeType(addr, made)
	if err != nil || group.Kind != reflect.Struct {
		return nil
	}
	pointer := func(to *symbols.Type) *symbols.Type {
		p := s.file.NewType("*"+to.Name, reflect.Pointer, 8)
		p.Complete(symbols.Parts{Elem: to})
		return p
	}
	// with makes a struct like another but for the types and names of some fields.
	with := func(like *symbols.Type, types map[string]*symbols.Type, names map[string]string) *symbols.Type {
		fields := slices.Clone(like.Fields())
		for i := range fields {
			if ft := types[fields[i].Name]; ft != nil {
				fields[i].Type = ft
			}
			if name := names[fields[i].Name]; name != "" {
				fields[i].Name = name
			}
		}
		out := s.file.NewType(like.Name+"<"+t.Name+">", reflect.Struct, like.Size)
		out.Complete(symbols.Parts{Fields: fields})
		return out
	}
	if head, err := s.file.Type("internal/runtime/maps.Map"); err == nil {
		table, err := s.file.Type("internal/runtime/maps.table")
		if err != nil {
			return nil
		}
		groups, err := table.FieldByName("groups")
		if err != nil {
			return nil
		}
		reference := with(groups.Field.Type, map[string]*symbols.Type{"data": pointer(group)}, nil)
		table = with(table, map[string]*symbols.Type{"groups": reference}, nil)
		return pointer(with(head, map[string]*symbols.Type{"dirPtr": pointer(pointer(table))}, nil))
	}
	head, err := s.file.Type("runtime.hmap")
	if err != nil {
		return nil
	}
	// cmd/compile's names for the fields of a bucket, and the linker's for the same in DWARF.
	bucket := with(group, nil, map[string]string{"topbits": "tophash", "elems": "values"})
	return pointer(with(head, map[string]*symbols.Type{"buckets": pointer(bucket), "oldbuckets": pointer(bucket)}, nil))
}

func (s *Space) rtypeFields(desc uint64, t *symbols.Type, made *int) ([]symbols.Field, error) {
	data, err := s.Uint64(desc + rtypeFields)
	if err != nil {
		return nil, err
	}
	n, err := s.Uint64(desc + rtypeFields + 8)
	if err != nil {
		return nil, err
	}
	if n > maxMadeFields {
		return nil, fmt.Errorf("%d fields: %w", n, ErrCorrupt)
	}
	var fields []symbols.Field
	for i := range n {
		b, err := s.Slice(data+structFieldSize*i, structFieldSize)
		if err != nil {
			return nil, err
		}
		nameAt, typeAt, off := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]),
			int64(binary.LittleEndian.Uint64(b[16:]))
		name, flags, ok := s.rtypeName(nameAt)
		if !ok {
			return nil, fmt.Errorf("name of field %d: %w", i, ErrCorrupt)
		}
		ft, err := s.runtimeType(typeAt, made)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		if off < 0 || off > t.Size || ft.Size > t.Size-off {
			return nil, fmt.Errorf("field %s of %d bytes at %d of %d: %w", name, ft.Size, off, t.Size, ErrCorrupt)
		}
		fields = append(fields, symbols.Field{Name: name, Offset: off, Type: ft, Embedded: flags&nameEmbedded != 0})
	}
	return fields, nil
}

// rtypeName reads an internal/abi.Name: a byte of flags, the length as a varint, the text.
func (s *Space) rtypeName(addr uint64) (name string, flags byte, ok bool) {
	b, err := s.Slice(addr, 4)
	if err != nil {
		return "", 0, false
	}
	flags = b[0]
	n, width := binary.Uvarint(b[1:])
	if width <= 0 || n == 0 || n > 1<<14 {
		return "", 0, false
	}
	text, err := s.Slice(addr+1+uint64(width), int(n))
	if err != nil {
		return "", 0, false
	}
	return string(text), flags, true
}

// StoredDirectly tells whether an interface's data word is the value of this type itself. The descriptor
// says so, in a bit that moved from Kind_ to TFlag with Go 1.26 (found by the constant's presence).
func (s *Space) StoredDirectly(desc uint64, t *symbols.Type) (bool, error) {
	switch t.Kind {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func:
		return true, nil
	case reflect.Struct, reflect.Array:
	default:
		return false, nil
	}
	if t.Size != 8 {
		return false, nil
	}
	if s.directTag == nil {
		inTag := false
		if flags, err := s.file.Type("internal/abi.TFlag"); err == nil {
			_, inTag = flags.ConstantValue("TFlagDirectIface")
		}
		s.directTag = &inTag
	}
	at := uint64(rtypeKind)
	if *s.directTag {
		at = rtypeTFlag
	}
	b, err := s.Slice(desc+at, 1)
	if err != nil {
		return false, err
	}
	return b[0]&directBit != 0, nil
}
