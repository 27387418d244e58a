package symbols

import "reflect"

// Parts are what a type is made of, for a type that DWARF lacks.
type Parts struct {
	Elem, Key *Type
	Repr      *Type // see Type.Repr
	Len       int64
	Fields    []Field
}

// NewType makes a type that DWARF lacks and a runtime type descriptor tells of: the linker drops from
// DWARF types that only interfaces hold. It isn't unique, unlike all others; whoever makes it keeps it.
func (f *File) NewType(name string, kind reflect.Kind, size int64) *Type {
	return &Type{Name: name, Kind: kind, Size: size, file: f, dictIndex: -1}
}

// Complete gives a type from NewType its parts, once, before others see it. They may lead back to it.
func (t *Type) Complete(p Parts) {
	t.elemType, t.keyType, t.reprType, t.length, t.fields = p.Elem, p.Key, p.Repr, p.Len, p.Fields
}

// Described tells whether DWARF describes the type, or what it is composed of.
func (t *Type) Described() bool {
	switch {
	case t.off != 0:
		return true
	case t.elemType != nil && t.file.isMade(t):
		return t.elemType.Described()
	}
	return false
}

func (f *File) isMade(t *Type) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made[t.Name] == t
}
