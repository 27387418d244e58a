package dwarf

import "ri/symbols/sparse"

// How an attribute's value is written: a number of so many bytes, and what it stands for (DWARF 5, section 7.5.6).
// Forms that GNU added for a second file are read over.
type form struct {
	number number
	class  class
}

// number is how a number is written.
type number uint8

const (
	none number = iota
	one
	two
	three
	four
	eight
	unsigned // LEB128
	signed   // LEB128
	offset   // into a section, of 4 or 8 bytes
)

// class is what a form's number stands for.
type class uint8

const (
	unknown      class = iota
	constant           // itself
	flag               // 1
	implicit           // the value that the abbreviation has
	address            // itself
	block              // how many bytes follow
	bytes16            // 16 bytes follow
	text               // a text follows
	textAt             // where a text is in .debug_str
	lineTextAt         // where a text is in .debug_line_str
	textIndex          // the number of a text in .debug_str_offsets
	addressIndex       // the number of an address in .debug_addr
	reference          // where an entry is in the unit
	referenceAll       // where an entry is in .debug_info
	sectionAt          // where something is in the section for it
	locationList       // the number of a list in .debug_loclists
	rangeList          // the number of a list in .debug_rnglists
	indirect           // the form itself
	elsewhere          // something in another file
)

var forms = [...]form{
	0x01: {eight, address},
	0x03: {two, block}, 0x04: {four, block}, 0x0a: {one, block}, 0x09: {unsigned, block}, 0x18: {unsigned, block},
	0x0b: {one, constant}, 0x0c: {one, constant}, 0x05: {two, constant}, 0x06: {four, constant},
	0x07: {eight, constant}, 0x0d: {signed, constant}, 0x0f: {unsigned, constant},
	0x1e: {none, bytes16}, 0x21: {none, implicit}, 0x19: {none, flag},
	0x08: {none, text}, 0x0e: {offset, textAt}, 0x1f: {offset, lineTextAt},
	0x25: {one, textIndex}, 0x26: {two, textIndex}, 0x27: {three, textIndex}, 0x28: {four, textIndex},
	0x1a: {unsigned, textIndex},
	0x29: {one, addressIndex}, 0x2a: {two, addressIndex}, 0x2b: {three, addressIndex}, 0x2c: {four, addressIndex},
	0x1b: {unsigned, addressIndex},
	0x11: {one, reference}, 0x12: {two, reference}, 0x13: {four, reference}, 0x14: {eight, reference},
	0x15: {unsigned, reference}, 0x10: {offset, referenceAll},
	0x16: {unsigned, indirect}, 0x17: {offset, sectionAt}, 0x22: {unsigned, locationList}, 0x23: {unsigned, rangeList},
	0x1c: {four, elsewhere}, 0x1d: {offset, elsewhere}, 0x20: {eight, elsewhere},
}

const (
	formIndirect = 0x16
	formImplicit = 0x21
	formGNURef   = 0x1f20
	formGNUText  = 0x1f21
)

// formOf finds a form by its number; its class is unknown where the standard has none of it.
func formOf(n uint16) form {
	switch {
	case int(n) < len(forms):
		return forms[n]
	case n == formGNURef || n == formGNUText:
		return form{offset, elsewhere}
	}
	return form{}
}

// value is an attribute's value in one of its classes.
type value struct {
	u     uint64
	block []byte
	isOff bool // an offset in a section
	isAdr bool // an address
}

// number reads a number as it is written.
func (b *buf) number(n number, u *Unit) uint64 {
	switch n {
	case one:
		return uint64(b.u8())
	case two:
		return uint64(b.u16())
	case three:
		if p := b.take(3); p != nil {
			return uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16
		}
	case four:
		return uint64(b.u32())
	case eight:
		return b.u64()
	case unsigned:
		return b.uleb()
	case signed:
		return uint64(b.sleb())
	case offset:
		return b.offset(u)
	}
	return 0
}

// offset reads an offset in a section.
func (b *buf) offset(u *Unit) uint64 {
	if u.DWARF64 {
		return b.u64()
	}
	return uint64(b.u32())
}

// attribute reads the value of one attribute.
func (d *Data) attribute(b *buf, u *Unit, s attrSpec) (v value) {
	f := formOf(s.form)
	n := b.number(f.number, u)
	switch f.class {
	case constant:
		v.u, v.isOff = n, s.form == 0x06 && u.Version < 4 // DWARF 3: data4 may be an offset in a section
	case flag:
		v.u = 1
	case implicit:
		v.u = uint64(s.implicit)
	case address:
		v.u, v.isAdr = n, true
	case addressIndex:
		v.u, v.isAdr = d.addrx(u, n), true
	case reference:
		v.u = u.Start + n
	case referenceAll:
		v.u = n
	case sectionAt:
		v.u, v.isOff = n, true
	case locationList:
		v.u, v.isOff = listx(d.loclists.bytes(), u.Loclists, u, n), true
	case rangeList:
		v.u, v.isOff = listx(d.rnglists.bytes(), u.Rnglists, u, n), true
	case indirect:
		if n == formIndirect || n == formImplicit {
			b.bad = true
			return v
		}
		return d.attribute(b, u, attrSpec{s.attr, uint16(n), 0})
	default:
		v.block = d.textOf(b, u, f.class, n)
	}
	return v
}

// textOf reads a text or a block of bytes. A block that is empty isn't nil.
func (d *Data) textOf(b *buf, u *Unit, c class, n uint64) []byte {
	switch c {
	case block:
		if p := b.take(n); p != nil {
			return p
		}
		return []byte{}
	case bytes16:
		return b.take(16)
	case text:
		return b.cstring()
	case textAt:
		return cstringAt(d.str.bytes(), n)
	case lineTextAt:
		return cstringAt(d.lineStr.bytes(), n)
	case textIndex:
		return cstringAt(d.str.bytes(), offsetAt(d.strOffsets.bytes(), u.StrOffsets+n*u.offsetSize(), u))
	case unknown:
		b.bad = true
	}
	return nil
}

// skipAttribute moves past the value of one attribute.
func (b *buf) skipAttribute(d *Data, u *Unit, s attrSpec) {
	f := formOf(s.form)
	switch f.class {
	case unknown, indirect:
		d.attribute(b, u, s)
		return
	case text:
		b.cstring()
		return
	case bytes16:
		b.off += 16
		return
	}
	n := uint64(0)
	switch f.number {
	case one, two, three, four:
		if f.class == block {
			n = b.number(f.number, u)
		} else {
			b.off += uint64(f.number)
		}
	case eight:
		b.off += 8
	case offset:
		b.off += u.offsetSize()
	case unsigned, signed:
		n = b.uleb()
	}
	if f.class == block {
		b.take(n)
	}
}

func (d *Data) addrx(u *Unit, i uint64) uint64 {
	off := u.Addr + i*8
	b := at(d.addr.bytes(), off)
	addr := b.u64()
	d.addr.bytes().Note(off, b.pos())
	return addr
}

func listx(data *sparse.Bytes, base uint64, u *Unit, i uint64) uint64 {
	return base + offsetAt(data, base+i*u.offsetSize(), u)
}

// offsetAt reads an offset that stands in a section.
func offsetAt(data *sparse.Bytes, off uint64, u *Unit) uint64 {
	b := at(data, off)
	v := b.offset(u)
	data.Note(off, b.pos())
	return v
}
