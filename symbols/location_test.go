package symbols

import "testing"

// FuzzLocation reads location lists, range lists and static addresses of both DWARF versions out of garbage.
func FuzzLocation(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0x1000), true)
	f.Add([]byte{4, 0, 16, 1, 0x9c, 0}, uint64(0), uint64(4), true)
	f.Add([]byte{1, 0, 4, 0, 16, 2, 0x91, 8, 5, 1, 0x9c, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0}, uint64(0), uint64(20), true)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint64(0), uint64(4), false)
	f.Add([]byte{7, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 255, 255, 255, 255, 255}, uint64(1), uint64(4), true)
	f.Fuzz(func(t *testing.T, data []byte, off, pc uint64, five bool) {
		raw := &section{data: data}
		d := &dwarfData{loc: raw, loclists: raw, ranges: raw, rnglists: raw, addr: raw, str: raw, strOffsets: raw, info: data, abbrev: data}
		u := &unit{version: 4, lowPC: 0x1000, end: uint64(len(data))}
		if five {
			u.version = 5
		}
		d.findLoc(u, off, pc)
		d.findLoclist(u, off, pc)
		if n := len(d.pcRanges(u, off)); n > len(data) {
			t.Errorf("%d ranges in %d bytes", n, len(data))
		}
		d.staticAddress(u, data)
		d.listx(data, off, u, pc)
		d.strx(u, pc)
		if table, err := parseAbbrevs(data, off); err == nil {
			u.abbrevs = table
			var e die
			for at := uint64(0); at < u.end && d.entry(u, at, &e) == nil && e.next > at; at = e.next {
			}
		}
		d.readUnits()
	})
}
