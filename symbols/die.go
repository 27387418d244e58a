package symbols

import (
	"errors"
	"fmt"
)

// DWARF tags, attributes and forms that Go's compiler and linker write (DWARF 5
// standard, sections 7.5.3-7.5.6; Go's own attributes: cmd/internal/dwarf/dwarf_defs.go).
const (
	tagArrayType         = 0x01
	tagFormalParameter   = 0x05
	tagLexicalBlock      = 0x0b
	tagMember            = 0x0d
	tagPointerType       = 0x0f
	tagCompileUnit       = 0x11
	tagStructType        = 0x13
	tagSubroutineType    = 0x15
	tagTypedef           = 0x16
	tagInlinedSubroutine = 0x1d
	tagSubrangeType      = 0x21
	tagBaseType          = 0x24
	tagConstant          = 0x27
	tagSubprogram        = 0x2e
	tagVariable          = 0x34
	tagUnspecifiedType   = 0x3b

	atLocation           = 0x02
	atName               = 0x03
	atByteSize           = 0x0b
	atLowpc              = 0x11
	atHighpc             = 0x12
	atLanguage           = 0x13
	atConstValue         = 0x1c
	atInline             = 0x20
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

// errDWARF is what a malformed .debug_info or .debug_abbrev ends in.
var errDWARF = errors.New("malformed DWARF")

type attrSpec struct {
	attr, form uint16
	implicit   int64
}

type abbrev struct {
	tag      uint16
	children bool
	attrs    []attrSpec
}

// unit is one compilation unit of .debug_info.
type unit struct {
	start, first, end uint64 // offsets in .debug_info: header, first entry, past the last
	version           uint16
	addrSize          uint8
	dwarf64           bool
	abbrevOff         uint64
	abbrevs           []abbrev // by code; Go's codes are dense
	addrBase          uint64
	strOffsetsBase    uint64
	rnglistsBase      uint64
	loclistsBase      uint64
	lowPC             uint64
	isGo              bool
	path, pkg         string // import path, package name
}

// die is one entry with the attributes that ri uses. Zero means absent, except where a has-flag says.
type die struct {
	off, next   uint64 // its offset; that of the entry after it (its first child, if it has any)
	tag         uint16
	children    bool
	name        []byte
	typ         uint64 // offset of the type's entry
	origin      uint64
	lowPC       uint64
	highPC      uint64 // absolute
	ranges      uint64
	size        int64
	encoding    uint8
	goKind      uint8
	goKey       uint64
	goElem      uint64
	runtimeType uint64
	offset      int64 // data member location
	count       int64
	constVal    int64
	closureOff  int64
	dictIndex   int64
	loc         []byte // location expression
	locList     uint64 // offset in .debug_loc or .debug_loclists
	declLine    int64
	hasLoc      bool
	hasLocList  bool
	hasConst    bool
	hasCount    bool
	hasLowPC    bool
	hasHighPC   bool
	hasRanges   bool
	hasClosure  bool
	hasDict     bool
	embedded    bool
	inline      bool
	result      bool // a result parameter
	lang        uint64
	pkgName     []byte
}

func parseAbbrevs(data []byte, off uint64) ([]abbrev, error) {
	if off > uint64(len(data)) {
		return nil, errDWARF
	}
	b := buf{data: data, off: off}
	var table []abbrev
	for {
		code := b.uleb()
		if b.bad {
			return nil, fmt.Errorf(".debug_abbrev at %#x: %w", off, errDWARF)
		}
		if code == 0 {
			return table, nil
		}
		if code > 1<<16 {
			return nil, fmt.Errorf(".debug_abbrev at %#x: code %d: %w", off, code, errDWARF)
		}
		a := abbrev{tag: uint16(b.uleb()), children: b.u8() != 0}
		for {
			at, form := b.uleb(), b.uleb()
			var implicit int64
			if form == 0x21 {
				implicit = b.sleb()
			}
			if b.bad {
				return nil, fmt.Errorf(".debug_abbrev at %#x: %w", off, errDWARF)
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

// entry reads the entry at off. A null entry has tag 0.
func (d *dwarfData) entry(u *unit, off uint64, e *die) error {
	if off < u.first || off >= u.end {
		return fmt.Errorf(".debug_info entry %#x lies outside its unit: %w", off, errDWARF)
	}
	b := buf{data: d.info[:u.end], off: off}
	code := b.uleb()
	*e = die{off: off}
	if code == 0 {
		e.next = b.off
		return nil
	}
	if code >= uint64(len(u.abbrevs)) || u.abbrevs[code].tag == 0 {
		return fmt.Errorf(".debug_info entry %#x: no abbreviation %d: %w", off, code, errDWARF)
	}
	a := &u.abbrevs[code]
	e.tag, e.children = a.tag, a.children
	highIsOffset := false
	for _, s := range a.attrs {
		v := d.form(&b, u, s)
		switch s.attr {
		case atName:
			e.name = v.block
		case atType:
			e.typ = v.u
		case atAbstractOrigin:
			e.origin = v.u
		case atLowpc:
			e.lowPC, e.hasLowPC = v.u, true
		case atHighpc:
			e.highPC, e.hasHighPC = v.u, true
			highIsOffset = !v.isAdr
		case atRanges:
			e.ranges, e.hasRanges = v.u, true
		case atByteSize:
			e.size = int64(v.u)
		case atEncoding:
			e.encoding = uint8(v.u)
		case atGoKind:
			e.goKind = uint8(v.u)
		case atGoKey:
			e.goKey = v.u
		case atGoElem:
			e.goElem = v.u
		case atGoEmbeddedField:
			e.embedded = v.u != 0
		case atGoRuntimeType:
			e.runtimeType = v.u
		case atGoPackageName:
			e.pkgName = v.block
		case atGoDictIndex:
			e.dictIndex, e.hasDict = int64(v.u), true
		case atGoClosureOffset:
			e.closureOff, e.hasClosure = int64(v.u), true
		case atDataMemberLocation:
			e.offset = int64(v.u)
		case atCount:
			e.count, e.hasCount = int64(v.u), true
		case atUpperBound:
			e.count, e.hasCount = int64(v.u)+1, true
		case atConstValue:
			e.constVal, e.hasConst = int64(v.u), v.block == nil
		case atDeclLine:
			e.declLine = int64(v.u)
		case atVariableParameter:
			e.result = v.u != 0
		case atInline:
			e.inline = v.u != 0
		case atLanguage:
			e.lang = v.u
		case atLocation:
			if v.isOff {
				e.locList, e.hasLocList = v.u, true
			} else {
				e.loc, e.hasLoc = v.block, true
			}
		case atAddrBase:
			u.setBase(a.tag, &u.addrBase, v.u)
		case atStrOffsetsBase:
			u.setBase(a.tag, &u.strOffsetsBase, v.u)
		case atRnglistsBase:
			u.setBase(a.tag, &u.rnglistsBase, v.u)
		case atLoclistsBase:
			u.setBase(a.tag, &u.loclistsBase, v.u)
		}
	}
	if highIsOffset {
		e.highPC += e.lowPC
	}
	e.next = b.off
	if b.bad {
		return fmt.Errorf(".debug_info entry %#x: %w", off, errDWARF)
	}
	return nil
}

func (u *unit) setBase(tag uint16, base *uint64, v uint64) {
	if tag == tagCompileUnit {
		*base = v
	}
}

// skip steps over one entry without keeping anything; depth changes by what it returns.
func (d *dwarfData) skip(b *buf, u *unit) (depth int, err error) {
	off := b.off
	code := b.uleb()
	if code == 0 {
		if b.bad {
			return 0, fmt.Errorf(".debug_info entry %#x: %w", off, errDWARF)
		}
		return -1, nil
	}
	if code >= uint64(len(u.abbrevs)) || u.abbrevs[code].tag == 0 {
		return 0, fmt.Errorf(".debug_info entry %#x: no abbreviation %d: %w", off, code, errDWARF)
	}
	a := &u.abbrevs[code]
	for _, s := range a.attrs {
		switch s.form {
		case 0x0b, 0x0c, 0x11, 0x25, 0x29:
			b.off++
		case 0x05, 0x12:
			b.off += 2
		case 0x06, 0x13:
			b.off += 4
		case 0x10, 0x17, 0x0e, 0x1f:
			if u.dwarf64 {
				b.off += 8
			} else {
				b.off += 4
			}
		case 0x01, 0x07, 0x14:
			b.off += 8
		case 0x19, 0x21:
		case 0x08:
			b.cstring()
		case 0x0d, 0x0f, 0x15, 0x1b, 0x1a, 0x22, 0x23:
			b.uleb()
		case 0x0a:
			b.take(uint64(b.u8()))
		default:
			d.form(b, u, s)
		}
	}
	if b.bad || b.off > u.end {
		return 0, fmt.Errorf(".debug_info entry %#x: %w", off, errDWARF)
	}
	if a.children {
		return 1, nil
	}
	return 0, nil
}

// skipChildren moves past the children (and their null entry) of an entry whose first child is at off.
func (d *dwarfData) skipChildren(u *unit, off uint64) (uint64, error) {
	b := buf{data: d.info[:u.end], off: off}
	for depth := 1; depth > 0; {
		delta, err := d.skip(&b, u)
		if err != nil {
			return 0, err
		}
		depth += delta
	}
	return b.off, nil
}
