package values

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"ri/symbols"
)

// Offsets in internal/abi.Type, the same in Go 1.20 to 1.26 (before 1.21 it was runtime._type): Size_ 0, PtrBytes 8,
// Hash 16, TFlag 20, Align_ 21, FieldAlign_ 22, Kind_ 23, Equal 24, GCData 32, Str 40, PtrToThis 44; 48 in all, then the kind's own.
const (
	rtypeTFlag = 20
	rtypeKind  = 23
	rtypeStr   = 40
	rtypeSize  = 48

	tflagExtraStar = 1 << 1 // the name begins with a star that isn't the type's
	directBit      = 1 << 5 // abi.KindDirectIface in Kind_; from Go 1.26 on abi.TFlagDirectIface in TFlag
)

// RuntimeType gives the type that a runtime type descriptor at a runtime address describes. What DWARF
// lacks (types that only reflection made, or that the linker dropped) is made from the descriptor: name, kind and size, and
// for a pointer what it points to.
func (s *Space) RuntimeType(desc uint64) (*symbols.Type, error) {
	if t := s.types[desc]; t != nil {
		return t, nil
	}
	t, err := s.runtimeType(desc, 0)
	if err != nil {
		return nil, err
	}
	s.types[desc] = t
	return t, nil
}

func (s *Space) runtimeType(desc uint64, depth int) (*symbols.Type, error) {
	base := s.file.TypesBase()
	if base != 0 {
		if t, ok := s.file.RuntimeType(desc - s.bias - base); ok {
			return t, nil
		}
	}
	b, err := s.Slice(desc, rtypeSize)
	if err != nil {
		return nil, fmt.Errorf("type descriptor: %w", err)
	}
	size := int64(binary.LittleEndian.Uint64(b))
	kind := reflect.Kind(b[rtypeKind] & 0x1f)
	tflag := b[rtypeTFlag]
	str := int32(binary.LittleEndian.Uint32(b[rtypeStr:]))
	if kind == reflect.Invalid || kind > reflect.UnsafePointer || size < 0 || size > maxBytes {
		return nil, fmt.Errorf("no type descriptor at %#x: %w", desc, ErrCorrupt)
	}
	if kind == reflect.Pointer && depth < 4 {
		if elem, err := s.Uint64(desc + rtypeSize); err == nil {
			if t, err := s.runtimeType(elem, depth+1); err == nil {
				return s.file.PointerTo(t), nil
			}
		}
	}
	name := fmt.Sprintf("?(type descriptor %#x)", desc)
	if base != 0 && str > 0 {
		if n, ok := s.rtypeName(base + s.bias + uint64(str)); ok {
			name = n
			if tflag&tflagExtraStar != 0 && name[0] == '*' {
				name = name[1:]
			}
		}
	}
	if t, err := s.file.Type(name); err == nil && t.Kind == kind && t.Size == size {
		return t, nil
	}
	return s.file.Undescribed(name, kind, size), nil
}

// rtypeName reads an internal/abi.Name: a byte of flags, the length as a varint, the text.
func (s *Space) rtypeName(addr uint64) (string, bool) {
	b, err := s.Slice(addr, 6)
	if err != nil {
		return "", false
	}
	n, width := binary.Uvarint(b[1:])
	if width <= 0 || n == 0 || n > 1<<14 {
		return "", false
	}
	text, err := s.Slice(addr+1+uint64(width), int(n))
	if err != nil {
		return "", false
	}
	return string(text), true
}

// storedDirectly tells whether an interface's data word is the value of this type itself. The descriptor
// says so, in a bit that moved from Kind_ to TFlag with Go 1.26 (found by the constant's presence).
func (s *Space) storedDirectly(desc uint64, t *symbols.Type) (bool, error) {
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
