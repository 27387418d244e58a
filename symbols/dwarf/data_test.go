package dwarf

import (
	"testing"

	"ri/symbols/sparse"
)

// FuzzLocation reads location lists, range lists and static addresses of both DWARF versions out of garbage.
func FuzzLocation(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0x1000), true)
	f.Add([]byte{4, 0, 16, 1, 0x9c, 0}, uint64(0), uint64(4), true)
	f.Add([]byte{1, 0, 4, 0, 16, 2, 0x91, 8, 5, 1, 0x9c, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0}, uint64(0), uint64(20), true)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0}, uint64(0), uint64(4), false)
	f.Add([]byte{7, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 255, 255, 255, 255,
		255}, uint64(1), uint64(4), true)
	f.Fuzz(func(t *testing.T, data []byte, off, pc uint64, five bool) {
		bytes := sparse.Whole(data)
		raw := &section{data: bytes}
		d := &Data{loc: raw, loclists: raw, ranges: raw, rnglists: raw, addr: raw, str: raw, strOffsets: raw,
			info: bytes, abbrev: bytes}
		u := &Unit{UnitHeader: UnitHeader{Version: 4, LowPC: 0x1000, End: uint64(len(data))}}
		if five {
			u.Version = 5
		}
		d.findLoc(u, off, pc)
		d.findLoclist(u, off, pc)
		if n := len(d.Ranges(u, off)); n > len(data) {
			t.Errorf("%d ranges in %d bytes", n, len(data))
		}
		d.StaticAddress(u, data)
		listx(&bytes, off, u, pc)
		for class := range elsewhere + 1 {
			d.textOf(&buf{data: data}, u, class, pc)
		}
		if table, err := parseAbbrevs(&bytes, off); err == nil {
			u.abbrevs = table
			var e Entry
			for at := uint64(0); at < u.End && d.Read(u, at, &e) == nil && e.Next > at; at = e.Next {
			}
			d.Skip(u, 0)
		}
		d.readUnits()
	})
}
