package symbols

import "encoding/binary"

// buf reads little-endian data and remembers running out.
type buf struct {
	data []byte
	off  uint64
	bad  bool
}

func (b *buf) take(n uint64) []byte {
	if b.bad || n > uint64(len(b.data)) || b.off > uint64(len(b.data))-n {
		b.bad = true
		return nil
	}
	p := b.data[b.off : b.off+n]
	b.off += n
	return p
}

func (b *buf) u8() uint8 {
	if b.off >= uint64(len(b.data)) {
		b.bad = true
		return 0
	}
	v := b.data[b.off]
	b.off++
	return v
}

func (b *buf) u16() uint16 {
	if p := b.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (b *buf) u32() uint32 {
	if p := b.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (b *buf) u64() uint64 {
	if p := b.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (b *buf) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		c := b.u8()
		if b.bad {
			return 0
		}
		if shift < 64 {
			v |= uint64(c&0x7f) << shift
		}
		if c&0x80 == 0 {
			return v
		}
	}
}

func (b *buf) sleb() int64 {
	var v int64
	for shift := uint(0); ; {
		c := b.u8()
		if b.bad {
			return 0
		}
		if shift < 64 {
			v |= int64(c&0x7f) << shift
		}
		shift += 7
		if c&0x80 == 0 {
			if c&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v
		}
	}
}

func (b *buf) cstring() []byte {
	for i := b.off; i < uint64(len(b.data)); i++ {
		if b.data[i] == 0 {
			s := b.data[b.off:i]
			b.off = i + 1
			return s
		}
	}
	b.bad = true
	return nil
}

// value is an attribute's value in one of its classes.
type value struct {
	u     uint64
	block []byte
	isOff bool // form sec_offset (or loclistx, rnglistx already resolved)
	isRef bool
	isAdr bool
}

func (d *dwarfData) form(b *buf, u *unit, s attrSpec) (v value) {
	switch s.form {
	case 0x01: // addr
		v.u, v.isAdr = b.u64(), true
	case 0x03: // block2
		v.block = b.take(uint64(b.u16()))
	case 0x04: // block4
		v.block = b.take(uint64(b.u32()))
	case 0x05: // data2
		v.u = uint64(b.u16())
	case 0x06: // data4
		v.u = uint64(b.u32())
		v.isOff = u.version < 4 // DWARF 3: data4 may be a section offset
	case 0x07: // data8
		v.u = b.u64()
	case 0x08: // string
		v.block = b.cstring()
	case 0x09, 0x18: // block, exprloc
		v.block = b.take(b.uleb())
		if v.block == nil {
			v.block = []byte{}
		}
	case 0x0a: // block1
		v.block = b.take(uint64(b.u8()))
		if v.block == nil {
			v.block = []byte{}
		}
	case 0x0b, 0x0c: // data1, flag
		v.u = uint64(b.u8())
	case 0x0d: // sdata
		v.u = uint64(b.sleb())
	case 0x0e: // strp
		v.block = cstringAt(d.str.bytes(), d.offset(b, u))
	case 0x0f: // udata
		v.u = b.uleb()
	case 0x10: // ref_addr
		v.u, v.isRef = d.offset(b, u), true
	case 0x11:
		v.u, v.isRef = u.start+uint64(b.u8()), true
	case 0x12:
		v.u, v.isRef = u.start+uint64(b.u16()), true
	case 0x13:
		v.u, v.isRef = u.start+uint64(b.u32()), true
	case 0x14:
		v.u, v.isRef = u.start+b.u64(), true
	case 0x15:
		v.u, v.isRef = u.start+b.uleb(), true
	case 0x16: // indirect
		f := b.uleb()
		if f == 0x16 || f == 0x21 {
			b.bad = true
			return
		}
		return d.form(b, u, attrSpec{s.attr, uint16(f), 0})
	case 0x17: // sec_offset
		v.u, v.isOff = d.offset(b, u), true
	case 0x19: // flag_present
		v.u = 1
	case 0x1a: // strx
		v.block = d.strx(u, b.uleb())
	case 0x1b: // addrx
		v.u, v.isAdr = d.addrx(u, b.uleb()), true
	case 0x1c: // ref_sup4
		b.take(4)
	case 0x1d: // strp_sup
		d.offset(b, u)
	case 0x1e: // data16
		v.block = b.take(16)
	case 0x1f: // line_strp
		v.block = cstringAt(d.lineStr.bytes(), d.offset(b, u))
	case 0x20: // ref_sig8
		b.take(8)
	case 0x21: // implicit_const
		v.u = uint64(s.implicit)
	case 0x22: // loclistx
		v.u, v.isOff = d.listx(d.loclists.bytes(), u.loclistsBase, u, b.uleb()), true
	case 0x23: // rnglistx
		v.u, v.isOff = d.listx(d.rnglists.bytes(), u.rnglistsBase, u, b.uleb()), true
	case 0x25:
		v.block = d.strx(u, uint64(b.u8()))
	case 0x26:
		v.block = d.strx(u, uint64(b.u16()))
	case 0x27:
		p := b.take(3)
		if p != nil {
			v.block = d.strx(u, uint64(p[0])|uint64(p[1])<<8|uint64(p[2])<<16)
		}
	case 0x28:
		v.block = d.strx(u, uint64(b.u32()))
	case 0x29:
		v.u, v.isAdr = d.addrx(u, uint64(b.u8())), true
	case 0x2a:
		v.u, v.isAdr = d.addrx(u, uint64(b.u16())), true
	case 0x2b:
		p := b.take(3)
		if p != nil {
			v.u, v.isAdr = d.addrx(u, uint64(p[0])|uint64(p[1])<<8|uint64(p[2])<<16), true
		}
	case 0x2c:
		v.u, v.isAdr = d.addrx(u, uint64(b.u32())), true
	case 0x1f20, 0x1f21: // GNU_ref_alt, GNU_strp_alt
		d.offset(b, u)
	default:
		b.bad = true
	}
	return v
}

func (d *dwarfData) offset(b *buf, u *unit) uint64 {
	if u.dwarf64 {
		return b.u64()
	}
	return uint64(b.u32())
}

func (d *dwarfData) addrx(u *unit, i uint64) uint64 {
	b := buf{data: d.addr.bytes(), off: u.addrBase + i*8}
	return b.u64()
}

func (d *dwarfData) strx(u *unit, i uint64) []byte {
	size := uint64(4)
	if u.dwarf64 {
		size = 8
	}
	b := buf{data: d.strOffsets.bytes(), off: u.strOffsetsBase + i*size}
	return cstringAt(d.str.bytes(), d.offset(&b, u))
}

func (d *dwarfData) listx(data []byte, base uint64, u *unit, i uint64) uint64 {
	size := uint64(4)
	if u.dwarf64 {
		size = 8
	}
	b := buf{data: data, off: base + i*size}
	return base + d.offset(&b, u)
}

func cstringAt(data []byte, off uint64) []byte {
	b := buf{data: data, off: off}
	return b.cstring()
}
