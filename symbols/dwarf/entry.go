package dwarf

import (
	"fmt"

	"ri/symbols/sparse"
)

// DWARF tags, attributes and forms that Go's compiler and linker write (DWARF 5
// standard, sections 7.5.3-7.5.6; Go's own attributes: cmd/internal/dwarf/dwarf_defs.go).
const (
	TagArrayType         = 0x01
	TagFormalParameter   = 0x05
	TagLexicalBlock      = 0x0b
	TagMember            = 0x0d
	TagPointerType       = 0x0f
	TagCompileUnit       = 0x11
	TagStructType        = 0x13
	TagSubroutineType    = 0x15
	TagTypedef           = 0x16
	TagInlinedSubroutine = 0x1d
	TagSubrangeType      = 0x21
	TagBaseType          = 0x24
	TagConstant          = 0x27
	TagSubprogram        = 0x2e
	TagVariable          = 0x34
	TagUnspecifiedType   = 0x3b

	atLocation           = 0x02
	atName               = 0x03
	atByteSize           = 0x0b
	atLowpc              = 0x11
	atHighpc             = 0x12
	atLanguage           = 0x13
	atConstValue         = 0x1c
	atUpperBound         = 0x2f
	atAbstractOrigin     = 0x31
	atCount              = 0x37
	atDataMemberLocation = 0x38
	atDeclLine           = 0x3b
	atEncoding           = 0x3e
	atType               = 0x49
	atVariableParameter  = 0x4b
	atRanges             = 0x55
	atStrOffsetsBase     = 0x72
	atAddrBase           = 0x73
	atRnglistsBase       = 0x74
	atLoclistsBase       = 0x8c
	atGoKind             = 0x2900
	atGoKey              = 0x2901
	atGoElem             = 0x2902
	atGoEmbeddedField    = 0x2903
	atGoRuntimeType      = 0x2904
	atGoPackageName      = 0x2905
	atGoDictIndex        = 0x2906
	atGoClosureOffset    = 0x2907

	langGo = 0x16
)

type attrSpec struct {
	attr, form uint16
	implicit   int64
}

type abbrev struct {
	tag      uint16
	children bool
	attrs    []attrSpec
}

// Entry is one entry of .debug_info with the attributes that ri uses. Zero means absent, except where a has-flag says.
type Entry struct {
	Off, Next   uint64 // its offset; that of the entry after it (its first child, if it has any)
	Tag         uint16 // 0: it ends a list of children
	Children    bool
	Name        []byte
	Type        uint64 // offset of the type's entry
	Origin      uint64
	LowPC       uint64
	HighPC      uint64 // absolute
	Ranges      uint64
	Size        int64
	Encoding    uint8
	DeclLine    int64
	Offset      int64 // of a member
	Count       int64 // of an array's elements
	Const       int64
	Location    []byte // location expression
	LocList     uint64 // offset in .debug_loc or .debug_loclists
	HasLocList  bool
	HasConst    bool
	HasLowPC    bool
	HasRanges   bool
	Result      bool // a result parameter
	PackageName []byte

	// Go's own.
	Kind          uint8
	Key           uint64
	Elem          uint64
	RuntimeType   uint64
	ClosureOffset int64
	DictIndex     int64
	HasClosure    bool
	HasDict       bool
	Embedded      bool

	language     uint64
	highIsOffset bool
}

func parseAbbrevs(data *sparse.Bytes, off uint64) ([]abbrev, error) {
	b := at(data, off)
	var table []abbrev
	for {
		code := b.uleb()
		if b.bad {
			return nil, fmt.Errorf(".debug_abbrev at %#x: %w", off, ErrMalformed)
		}
		if code == 0 {
			data.Note(off, b.pos())
			return table, nil
		}
		if code > 1<<16 {
			return nil, fmt.Errorf(".debug_abbrev at %#x: code %d: %w", off, code, ErrMalformed)
		}
		a := abbrev{tag: uint16(b.uleb()), children: b.u8() != 0}
		for {
			at, form := b.uleb(), b.uleb()
			var implicit int64
			if form == formImplicit {
				implicit = b.sleb()
			}
			if b.bad {
				return nil, fmt.Errorf(".debug_abbrev at %#x: %w", off, ErrMalformed)
			}
			if at == 0 && form == 0 {
				break
			}
			a.attrs = append(a.attrs, attrSpec{uint16(at), uint16(form), implicit})
		}
		for uint64(len(table)) <= code {
			table = append(table, abbrev{})
		}
		table[code] = a
	}
}

// Read reads the entry at an offset. Errors: ErrMalformed, ErrHole.
func (d *Data) Read(u *Unit, off uint64, e *Entry) error {
	if off < u.First || off >= u.End {
		return fmt.Errorf(".debug_info entry %#x lies outside its unit: %w", off, ErrMalformed)
	}
	b := d.entries(u, off)
	*e = Entry{Off: off}
	if len(b.data) == 0 {
		return fmt.Errorf(".debug_info entry %#x: %w", off, ErrHole)
	}
	a, err := u.abbreviation(&b)
	if a == nil {
		e.Next = b.pos()
		d.info.Note(off, e.Next)
		return err
	}
	e.Tag, e.Children = a.tag, a.children
	for _, s := range a.attrs {
		v := d.attribute(&b, u, s)
		if !e.set(s.attr, v) && !e.setGo(s.attr, v) && a.tag == TagCompileUnit {
			u.setBase(s.attr, v.u)
		}
	}
	if e.highIsOffset {
		e.HighPC += e.LowPC
	}
	e.Next = b.pos()
	d.info.Note(off, e.Next)
	if b.bad {
		return fmt.Errorf(".debug_info entry %#x: %w", off, ErrMalformed)
	}
	return nil
}

// entries begins to read entries of a unit.
func (d *Data) entries(u *Unit, off uint64) buf {
	b := at(&d.info, off)
	if u.End > b.base {
		b.data = b.data[:min(u.End-b.base, uint64(len(b.data)))]
	}
	return b
}

// abbreviation reads which one an entry has, nil for one that ends a list of children.
func (u *Unit) abbreviation(b *buf) (*abbrev, error) {
	off := b.pos()
	code := b.uleb()
	switch {
	case code == 0 && b.bad:
		return nil, fmt.Errorf(".debug_info entry %#x: %w", off, ErrMalformed)
	case code == 0:
		return nil, nil
	case code >= uint64(len(u.abbrevs)) || u.abbrevs[code].tag == 0:
		return nil, fmt.Errorf(".debug_info entry %#x: no abbreviation %d: %w", off, code, ErrMalformed)
	}
	return &u.abbrevs[code], nil
}

// set takes an attribute of the standard; false if it isn't one that ri uses.
func (e *Entry) set(attr uint16, v value) bool {
	switch attr {
	case atName:
		e.Name = v.block
	case atType:
		e.Type = v.u
	case atAbstractOrigin:
		e.Origin = v.u
	case atLowpc:
		e.LowPC, e.HasLowPC = v.u, true
	case atHighpc:
		e.HighPC, e.highIsOffset = v.u, !v.isAdr
	case atRanges:
		e.Ranges, e.HasRanges = v.u, true
	case atByteSize:
		e.Size = int64(v.u)
	case atEncoding:
		e.Encoding = uint8(v.u)
	case atDataMemberLocation:
		e.Offset = int64(v.u)
	case atCount:
		e.Count = int64(v.u)
	case atUpperBound:
		e.Count = int64(v.u) + 1
	case atConstValue:
		e.Const, e.HasConst = int64(v.u), v.block == nil
	case atDeclLine:
		e.DeclLine = int64(v.u)
	case atVariableParameter:
		e.Result = v.u != 0
	case atLanguage:
		e.language = v.u
	case atLocation:
		if v.isOff {
			e.LocList, e.HasLocList = v.u, true
		} else {
			e.Location = v.block
		}
	default:
		return false
	}
	return true
}

// setGo takes an attribute of Go's own; false if it isn't one.
func (e *Entry) setGo(attr uint16, v value) bool {
	switch attr {
	case atGoKind:
		e.Kind = uint8(v.u)
	case atGoKey:
		e.Key = v.u
	case atGoElem:
		e.Elem = v.u
	case atGoEmbeddedField:
		e.Embedded = v.u != 0
	case atGoRuntimeType:
		e.RuntimeType = v.u
	case atGoPackageName:
		e.PackageName = v.block
	case atGoDictIndex:
		e.DictIndex, e.HasDict = int64(v.u), true
	case atGoClosureOffset:
		e.ClosureOffset, e.HasClosure = int64(v.u), true
	default:
		return false
	}
	return true
}

// setBase takes where a unit's parts of other sections begin.
func (u *Unit) setBase(attr uint16, base uint64) {
	switch attr {
	case atAddrBase:
		u.Addr = base
	case atStrOffsetsBase:
		u.StrOffsets = base
	case atRnglistsBase:
		u.Rnglists = base
	case atLoclistsBase:
		u.Loclists = base
	}
}

// skip steps over one entry without keeping anything; depth changes by what it returns.
func (d *Data) skip(b *buf, u *Unit) (depth int, err error) {
	off := b.pos()
	a, err := u.abbreviation(b)
	if a == nil {
		return -1, err
	}
	for _, s := range a.attrs {
		b.skipAttribute(d, u, s)
	}
	if b.bad || b.pos() > u.End {
		return 0, fmt.Errorf(".debug_info entry %#x: %w", off, ErrMalformed)
	}
	if a.children {
		return 1, nil
	}
	return 0, nil
}

// Skip moves past the children of an entry, and what ends their list, from the offset of the first child. Errors:
// ErrMalformed.
func (d *Data) Skip(u *Unit, off uint64) (uint64, error) {
	b := d.entries(u, off)
	for depth := 1; depth > 0; {
		delta, err := d.skip(&b, u)
		if err != nil {
			return 0, err
		}
		depth += delta
	}
	d.info.Note(off, b.pos())
	return b.pos(), nil
}
