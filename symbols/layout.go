package symbols

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"ri/symbols/dwarf"
)

// typeAt gives the type whose entry is at off, the same *Type each time. What DWARF
// doesn't describe, or describes wrongly, is a type of kind Invalid whose name says why.
func (f *File) typeAt(off uint64) *Type {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.typeAtLocked(off, 0)
}

func (f *File) typeAtLocked(off uint64, depth int) *Type {
	if t := f.types[off]; t != nil {
		return t
	}
	t := f.readType(off, depth)
	f.types[off] = t
	return t
}

func (f *File) readType(off uint64, depth int) *Type {
	invalid := func(format string, args ...any) *Type {
		return &Type{Name: "?(" + fmt.Sprintf(format, args...) + ")", file: f, off: off, dictIndex: -1}
	}
	u := f.dwarf.At(off)
	var e dwarf.Entry
	switch err := error(nil); {
	case f.travelled != nil && !f.dwarf.Has(off):
		t := invalid("a type that was not recorded, .debug_info %#x", off)
		t.lacks = f.notRecorded("the type at .debug_info %#x was", off)
		return t
	case u == nil:
		return invalid("no type at .debug_info %#x", off)
	default:
		if err = f.dwarf.Read(u, off, &e); err != nil {
			return invalid("%v", err)
		}
	}
	t := &Type{Name: unescape(string(e.Name)), Kind: reflect.Kind(e.Kind & 0x1f), Size: e.Size, file: f, off: off,
		runtimeType: e.RuntimeType, elem: e.Elem, key: e.Key, dictIndex: -1}
	switch e.Tag {
	case dwarf.TagTypedef:
		if depth > 16 {
			return invalid("typedef chain at .debug_info %#x", off)
		}
		return f.typedef(t, &e, depth+1)
	case dwarf.TagPointerType:
		t.Size, t.elem = 8, e.Type
		t.Kind = reflect.Pointer
		if t.Name == "unsafe.Pointer" {
			t.Kind = reflect.UnsafePointer
		}
	case dwarf.TagStructType:
		if t.Kind == reflect.Invalid {
			t.Kind = reflect.Struct
		}
	case dwarf.TagArrayType:
		t.Kind, t.elem = reflect.Array, e.Type
		t.length = f.arrayLen(u, &e)
	case dwarf.TagSubroutineType:
		t.Kind, t.Size = reflect.Func, 8
	case dwarf.TagBaseType:
		if t.Kind == reflect.Invalid {
			t.Kind = baseKind(e.Encoding, e.Size)
		}
	case dwarf.TagUnspecifiedType:
	default:
		return invalid("entry with tag %#x at .debug_info %#x is no type", e.Tag, off)
	}
	return t
}

// typedef completes a type that is a name for another one.
func (f *File) typedef(t *Type, e *dwarf.Entry, depth int) *Type {
	switch t.Kind {
	case reflect.Invalid: // another name for the entry that it refers to
		target := f.typeAtLocked(e.Type, depth)
		if e.HasDict {
			// A type parameter of a generic function: the shape is known, the type is in the dictionary.
			return &Type{Name: target.Name, Kind: target.Kind, Size: target.Size, file: f, off: target.off,
				elem: target.elem, key: target.key, repr: target.repr, length: target.length,
				elemType: target.elemType, dictIndex: e.DictIndex}
		}
		return target
	case reflect.Map, reflect.Chan, reflect.Func, reflect.Pointer:
		t.Size, t.repr = 8, e.Type
	case reflect.Interface:
		t.Size, t.repr = 16, e.Type
	default:
		t.repr = e.Type
		if under := f.typeAtLocked(e.Type, depth); t.Size == 0 {
			t.Size = under.Size
		}
	}
	return t
}

// baseKind is for base types without Go's own kind attribute.
func baseKind(encoding uint8, size int64) reflect.Kind {
	sized := map[int64][3]reflect.Kind{1: {reflect.Int8, reflect.Uint8}, 2: {reflect.Int16, reflect.Uint16},
		4: {reflect.Int32, reflect.Uint32, reflect.Float32}, 8: {reflect.Int64, reflect.Uint64, reflect.Float64}}[size]
	switch encoding { // DWARF 5, section 7.8
	case 2:
		return reflect.Bool
	case 3:
		if size == 8 {
			return reflect.Complex64
		}
		return reflect.Complex128
	case 4:
		return sized[2]
	case 5, 6:
		return sized[0]
	case 7, 8:
		return sized[1]
	}
	return reflect.Invalid
}

func (f *File) arrayLen(u *dwarf.Unit, array *dwarf.Entry) int64 {
	if !array.Children {
		return 0
	}
	var e dwarf.Entry
	if f.dwarf.Read(u, array.Next, &e) != nil || e.Tag != dwarf.TagSubrangeType {
		return 0
	}
	return e.Count
}

// Elem is the element type of a pointer, slice, array, channel or map (its values); else nil.
func (t *Type) Elem() *Type {
	if t.elemType != nil {
		return t.elemType
	}
	if t.elem == 0 {
		return nil
	}
	switch t.Kind {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan, reflect.Map:
		return t.file.typeAt(t.elem)
	}
	return nil
}

// Key is a map's key type; else nil.
func (t *Type) Key() *Type {
	if t.keyType != nil {
		return t.keyType
	}
	if t.Kind != reflect.Map || t.key == 0 {
		return nil
	}
	return t.file.typeAt(t.key)
}

// Len is an array's length; else 0.
func (t *Type) Len() int64 { return t.length }

// Repr is the runtime's own type behind a map, a channel or an interface; nil for all others. Behind a map it is a
// pointer to a struct such as internal/runtime/maps.Map or runtime.hmap. Behind a channel it is a pointer to a struct
// such as runtime.hchan. Behind an interface it is runtime.iface or runtime.eface.
func (t *Type) Repr() *Type {
	if t.reprType != nil {
		return t.reprType
	}
	if t.repr == 0 {
		return nil
	}
	return t.file.typeAt(t.repr)
}

// DictIndex is, for a variable's type that stands for a type parameter, its index in the function's dictionary; -1
// otherwise.
func (t *Type) DictIndex() int64 { return t.dictIndex }

// RuntimeOffset is the offset of the type's descriptor from runtime.types; 0 if it has none.
func (t *Type) RuntimeOffset() uint64 { return t.runtimeType }

// Fields gives a struct's fields in source order; nil for other kinds.
func (t *Type) Fields() []Field {
	switch t.Kind {
	case reflect.Struct, reflect.String, reflect.Slice:
	default:
		return nil
	}
	t.once.Do(t.readFields)
	return t.fields
}

// Lacks is ErrNotRecorded of a type whose fields, or which itself, didn't travel with a file that came without its
// executable; else nil. Its Fields are none then, though it may have some.
func (t *Type) Lacks() error {
	t.Fields()
	return t.lacks
}

func (t *Type) readFields() {
	t.laid.Store(true)
	if t.shape != nil {
		t.lacks = t.shape.Lacks()
		t.fields = t.fieldsOfShape()
		return
	}
	if t.off == 0 {
		return
	}
	d := t.file.dwarf
	u := d.At(t.off)
	if u == nil {
		return
	}
	var e dwarf.Entry
	if d.Read(u, t.off, &e) != nil || !e.Children {
		return
	}
	for {
		if err := d.Read(u, e.Next, &e); err != nil || e.Tag == 0 {
			travelled := t.file.travelled
			if travelled != nil && (err != nil || travelled.fields.Add(int64(len(t.fields))) > maxTravelledFields) {
				t.fields, t.lacks = nil, t.file.notRecorded("the fields of %s were", t.Name)
			}
			return
		}
		if e.Tag == dwarf.TagMember {
			t.fields = append(t.fields, Field{Name: string(e.Name), Offset: e.Offset, Type: t.file.typeAt(e.Type),
				Embedded: e.Embedded})
		}
		if e.Children {
			next, err := d.Skip(u, e.Next)
			if err != nil {
				return
			}
			e.Next = next
		}
	}
}

type pathResult struct {
	path Path
	err  error
}

// FieldByName compiles the access to a field, promoted ones too, by Go's rule: the
// shallowest wins, two at the same depth are ambiguous. The struct may be t itself or
// what the pointer t points to.
func (t *Type) FieldByName(name string) (Path, error) {
	if t.Kind == reflect.Pointer && t.Elem() != nil {
		t = t.Elem()
	}
	if r, ok := t.paths.Load(name); ok {
		return r.(pathResult).path, r.(pathResult).err
	}
	path, err := t.findField(name)
	t.paths.Store(name, pathResult{path, err})
	return path, err
}

func (t *Type) findField(name string) (Path, error) {
	if err := t.Lacks(); err != nil {
		return Path{}, err
	}
	if t.Kind != reflect.Struct {
		return Path{}, say(ErrNotFound, "%s is a %s and has no fields", t.Name, t.Kind)
	}
	type candidate struct {
		typ   *Type
		path  Path
		twice bool // embedded more than once at its depth, so that its fields are ambiguous
	}
	level := []candidate{{typ: t}}
	seen := map[*Type]bool{t: true}
	for len(level) > 0 {
		var found []Path
		var next []candidate
		entered := map[*Type]int{} // at this depth: index in next
		for _, c := range level {
			for _, fd := range c.typ.Fields() {
				path := Path{Steps: c.path.Steps, Offset: c.path.Offset + fd.Offset, Field: fd}
				if fd.Name == name {
					found = append(found, path)
					if c.twice {
						found = append(found, path)
					}
				}
				if !fd.Embedded {
					continue
				}
				inner := fd.Type
				if inner.Kind == reflect.Pointer && inner.Elem() != nil {
					inner = inner.Elem()
					path.Steps = append(append([]Step(nil), path.Steps...), Step{Offset: path.Offset, Deref: true})
					path.Offset = 0
				}
				if inner.Kind != reflect.Struct {
					continue
				}
				if i, ok := entered[inner]; ok {
					next[i].twice = true
				} else if !seen[inner] {
					seen[inner] = true
					entered[inner] = len(next)
					next = append(next, candidate{inner, path, c.twice})
				}
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return Path{}, say(ErrAmbiguous, "field %q of %s stands in %d embedded structs at the same depth; name "+
				"the embedded field first", name, t.Name, len(found))
		}
		level = next
	}
	return Path{}, t.noField(name)
}

// Without takes a field from the type, as if the program's release of Go didn't have it, and gives what puts it back.
// It is for tests of what is said then: nobody else may use the type meanwhile.
func (t *Type) Without(field string) (restore func()) {
	all := t.Fields()
	t.fields = slices.DeleteFunc(slices.Clone(all), func(f Field) bool { return f.Name == field })
	t.paths.Clear()
	return func() {
		t.fields = all
		t.paths.Clear()
	}
}

func (t *Type) noField(name string) error {
	var names []string
	for _, fd := range t.Fields() {
		names = append(names, fd.Name)
	}
	has := "it has no fields"
	if len(names) > 0 {
		shown := names
		if near := Near(name, names, 3); len(near) > 0 {
			return say(ErrNotFound, "no field %q in %s; did you mean %s?", name, t.Name, strings.Join(near, ", "))
		}
		if len(shown) > 12 {
			shown = append(append([]string(nil), shown[:12]...), fmt.Sprintf("and %d more", len(names)-12))
		}
		has = "it has " + strings.Join(shown, ", ")
	}
	return say(ErrNotFound, "no field %q in %s; %s", name, t.Name, has)
}

// String is the type's full name.
func (t *Type) String() string { return t.Name }

// Constant gives the name of the constant that was declared with exactly this type
// and has value v. Where several do, it is the one declared first.
func (t *Type) Constant(v int64) (string, bool) {
	for _, c := range t.constants() {
		if c.value == v {
			return c.name, true
		}
	}
	return "", false
}

// Constants lists the names of the constants declared with this type that the compiler kept, by value.
func (t *Type) Constants() []string {
	all := t.constants()
	sort.SliceStable(all, func(i, j int) bool { return all[i].value < all[j].value })
	var out []string
	for _, c := range all {
		out = append(out, c.name)
	}
	return out
}

// ConstantValue is Constant's opposite; name may lack the package.
func (t *Type) ConstantValue(name string) (int64, bool) {
	for _, c := range t.constants() {
		if c.name == name || c.name[strings.LastIndexByte(c.name, '.')+1:] == name {
			return c.value, true
		}
	}
	return 0, false
}

type constant struct {
	name  string
	value int64
}

func (t *Type) constants() []constant {
	if t.consts != nil {
		return t.consts
	}
	if t.file == nil || t.off == 0 || t.elemType != nil {
		return nil
	}
	switch t.Kind {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	default:
		return nil
	}
	if !strings.Contains(t.Name, ".") {
		return nil // a predeclared type: constants of type int belong to nobody
	}
	var out []constant
	pairs := t.file.index.constants
	for i := find(pairs, t.off); i < len(pairs) && pairs[i].key == t.off; i++ {
		off := pairs[i].value
		var e dwarf.Entry
		if u := t.file.dwarf.At(off); u != nil && t.file.dwarf.Read(u, off, &e) == nil {
			out = append(out, constant{unescape(string(e.Name)), e.Const})
		}
	}
	return out
}
