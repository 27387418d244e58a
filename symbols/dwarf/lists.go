package dwarf

import "encoding/binary"

// Range is a range of link-time PCs, the end excluded.
type Range struct{ Low, High uint64 }

// Location gives the location expression that a list has for a pc; nil if it has none.
func (d *Data) Location(u *Unit, list, pc uint64) []byte {
	if u.Version >= 5 {
		return d.findLoclist(u, list, pc)
	}
	return d.findLoc(u, list, pc)
}

// findLoc searches a DWARF 4 location list (section 2.6.2 of that standard).
func (d *Data) findLoc(u *Unit, off, pc uint64) []byte {
	b := at(d.loc.bytes(), off)
	defer func() { d.loc.bytes().Note(off, b.pos()) }()
	base := u.LowPC
	for {
		low, high := b.u64(), b.u64()
		if b.bad || (low == 0 && high == 0) {
			return nil
		}
		if low == ^uint64(0) {
			base = high
			continue
		}
		expr := b.take(uint64(b.u16()))
		if pc >= base+low && pc < base+high {
			return expr
		}
	}
}

// listEntry reads the bounds of one entry of a DWARF 5 location or range list (sections 7.7.3 and 7.25). The kinds that
// both have differ in number only behind offset_pair.
func (d *Data) listEntry(b *buf, u *Unit, kind uint8, base *uint64) (r Range, isRange bool) {
	switch kind {
	case 1: // base_addressx
		*base = d.addrx(u, b.uleb())
		return
	case 2: // startx_endx
		r.Low = d.addrx(u, b.uleb())
		r.High = d.addrx(u, b.uleb())
	case 3: // startx_length
		r.Low = d.addrx(u, b.uleb())
		r.High = r.Low + b.uleb()
	case 4: // offset_pair
		r.Low = *base + b.uleb()
		r.High = *base + b.uleb()
	case 6: // base_address
		*base = b.u64()
		return
	case 7: // start_end
		r.Low = b.u64()
		r.High = b.u64()
	case 8: // start_length
		r.Low = b.u64()
		r.High = r.Low + b.uleb()
	default:
		b.bad = true
		return
	}
	return r, true
}

func (d *Data) findLoclist(u *Unit, off, pc uint64) []byte {
	b := at(d.loclists.bytes(), off)
	defer func() { d.loclists.bytes().Note(off, b.pos()) }()
	base := u.LowPC
	for {
		kind := b.u8()
		if b.bad || kind == 0 {
			return nil
		}
		var r Range
		isRange := true
		if kind == 5 { // default_location
			r = Range{0, ^uint64(0)}
		} else {
			r, isRange = d.listEntry(&b, u, kind, &base)
		}
		if !isRange {
			continue
		}
		expr := b.take(b.uleb())
		if pc >= r.Low && pc < r.High && !b.bad {
			return expr
		}
	}
}

// Ranges reads the ranges of a scope: .debug_ranges before DWARF 5, .debug_rnglists since.
func (d *Data) Ranges(u *Unit, off uint64) []Range {
	var out []Range
	base := u.LowPC
	if u.Version < 5 {
		b := at(d.ranges.bytes(), off)
		defer func() { d.ranges.bytes().Note(off, b.pos()) }()
		for {
			low, high := b.u64(), b.u64()
			if b.bad || (low == 0 && high == 0) {
				return out
			}
			if low == ^uint64(0) {
				base = high
				continue
			}
			out = append(out, Range{base + low, base + high})
		}
	}
	b := at(d.rnglists.bytes(), off)
	defer func() { d.rnglists.bytes().Note(off, b.pos()) }()
	for {
		kind := b.u8()
		if b.bad || kind == 0 {
			return out
		}
		if kind >= 5 { // no default_location here: 5 base_address, 6 start_end, 7 start_length
			kind++
		}
		if r, isRange := d.listEntry(&b, u, kind, &base); isRange && !b.bad {
			out = append(out, r)
		}
	}
}

// StaticAddress evaluates the location of a package variable.
func (d *Data) StaticAddress(u *Unit, loc []byte) (uint64, bool) {
	if len(loc) == 0 {
		return 0, false
	}
	b := buf{data: loc, off: 1}
	switch loc[0] {
	case 0x03: // DW_OP_addr
		if len(loc) != 9 {
			return 0, false
		}
		return binary.LittleEndian.Uint64(loc[1:]), true
	case 0xa1: // DW_OP_addrx
		addr := d.addrx(u, b.uleb())
		return addr, !b.bad && addr != 0
	}
	return 0, false
}
