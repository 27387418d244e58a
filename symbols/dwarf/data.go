package dwarf

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"sort"
	"sync"

	"ri/symbols/sparse"
)

// Errors that callers test for.
var (
	// ErrNone: there is no debug information, or only in a format that isn't read.
	ErrNone = errors.New("no DWARF debug information")
	// ErrMalformed is what malformed debug information ends in.
	ErrMalformed = errors.New("malformed DWARF")
	// ErrHole is what reading ends in where FromParts was given no bytes.
	ErrHole = errors.New("debug information that isn't there")
)

// Data holds the debug sections, decompressed when they are first needed, and the units found in them. It is safe for
// concurrent use.
type Data struct {
	info, abbrev                    sparse.Bytes
	str, lineStr, strOffsets, addr  *section
	loc, loclists, ranges, rnglists *section
	Units                           []*Unit // in order of offset
}

// UnitHeader is a compilation unit without its abbreviations: where it is, and where its parts of other sections begin.
type UnitHeader struct {
	Start, First, End uint64 // in .debug_info: of the header, of the first entry, past the last
	Abbrev            uint64 // in .debug_abbrev
	Version           uint16
	DWARF64           bool

	Addr, StrOffsets, Rnglists, Loclists uint64
	LowPC                                uint64
	Path, Pkg                            string // import path as the linker escapes it, package name
}

// Unit is a compilation unit.
type Unit struct {
	UnitHeader
	IsGo    bool
	abbrevs []abbrev // by code; Go's codes are dense
}

func (u *Unit) offsetSize() uint64 {
	if u.DWARF64 {
		return 8
	}
	return 4
}

// section is a debug section that is read when it is first asked for; many runs need few of them.
type section struct {
	once sync.Once
	elf  *elf.Section // nil: the file has none
	of   *section     // whose bytes are noted: see Noting
	data sparse.Bytes
}

func (s *section) bytes() *sparse.Bytes {
	if s == nil {
		return &sparse.Bytes{}
	}
	s.once.Do(func() {
		switch {
		case s.elf != nil:
			data, _ := s.elf.Data() // what is missing shows as malformed where it is used
			s.data = sparse.Whole(data)
		case s.of != nil:
			s.data = s.of.bytes().Noting()
		}
	})
	return &s.data
}

// maxSection bounds what a section may claim to decompress to, in bytes.
const maxSection = 4 << 30

// Load reads the debug sections that every run needs, and the unit headers. Errors: ErrNone, ErrMalformed.
func Load(ef *elf.File) (*Data, error) {
	d := &Data{}
	if ef.Section(".debug_info") == nil || ef.Section(".debug_abbrev") == nil {
		if ef.Section(".zdebug_info") != nil {
			return nil, fmt.Errorf("debug information in the .zdebug format of Go 1.18 and older, which ri does not "+
				"read: %w", ErrNone)
		}
		return nil, ErrNone
	}
	for name, s := range d.sections() {
		*s = &section{elf: ef.Section(name)}
		if found := (*s).elf; found != nil && found.Size > maxSection {
			return nil, fmt.Errorf("section %s claims %d bytes: %w", name, found.Size, ErrMalformed)
		}
	}
	for name, dst := range map[string]*sparse.Bytes{".debug_info": &d.info, ".debug_abbrev": &d.abbrev} {
		s := ef.Section(name)
		if s.Size > maxSection {
			return nil, fmt.Errorf("section %s claims %d bytes: %w", name, s.Size, ErrMalformed)
		}
		data, err := s.Data()
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", name, err)
		}
		*dst = sparse.Whole(data)
	}
	return d, d.readUnits()
}

// Sections are the names of all sections that Parts gives.
var Sections = []string{".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets",
	".debug_addr", ".debug_loc", ".debug_loclists", ".debug_ranges", ".debug_rnglists"}

// Has tells whether the entry at an offset is there, or at least its first byte.
func (d *Data) Has(off uint64) bool {
	data, _ := d.info.Window(off)
	return data != nil && d.At(off) != nil
}

// UsesTexts tells whether entries of Go's units have texts in .debug_str or .debug_line_str. Go's own linker writes
// none there.
func (d *Data) UsesTexts() bool {
	for _, u := range d.Units {
		for i := range u.abbrevs {
			for _, s := range u.abbrevs[i].attrs {
				switch c := formOf(s.form).class; {
				case u.IsGo && (c == textAt || c == lineTextAt || c == textIndex || c == indirect):
					return true
				}
			}
		}
	}
	return false
}

// sections names the debug sections that are read late.
func (d *Data) sections() map[string]**section {
	return map[string]**section{
		".debug_str": &d.str, ".debug_line_str": &d.lineStr, ".debug_str_offsets": &d.strOffsets,
		".debug_addr": &d.addr, ".debug_loc": &d.loc, ".debug_loclists": &d.loclists,
		".debug_ranges": &d.ranges, ".debug_rnglists": &d.rnglists,
	}
}

// Parts gives the contents of all sections by name, decompressed.
func (d *Data) Parts() map[string]*sparse.Bytes {
	parts := map[string]*sparse.Bytes{".debug_info": &d.info, ".debug_abbrev": &d.abbrev}
	for name, s := range d.sections() {
		parts[name] = (*s).bytes()
	}
	return parts
}

// Noting gives the same data with notes of what is read from now on: Parts tell by Noted. What was read to find the
// units isn't among it.
func (d *Data) Noting() *Data {
	noting := &Data{info: d.info.Noting(), abbrev: d.abbrev.Noting(), Units: d.Units}
	of := d.sections()
	for name, s := range noting.sections() {
		*s = &section{of: *of[name]}
	}
	return noting
}

// maxFromParts bounds the abbreviations of what is put together of parts, with their attributes. Go's linker writes one
// table of a hundred.
const maxFromParts = 1 << 20

// FromParts puts together what Parts gave, with the headers of Go's units. Of the sections only ranges need be there:
// what reads elsewhere is malformed. Errors: ErrMalformed.
func FromParts(parts map[string]sparse.Bytes, units []UnitHeader) (*Data, error) {
	d := &Data{info: parts[".debug_info"], abbrev: parts[".debug_abbrev"]}
	for name, s := range d.sections() {
		*s = &section{data: parts[name]}
	}
	abbrevs := d.tables(maxFromParts)
	end := uint64(0)
	for _, header := range units {
		if header.Start > header.First || header.First > header.End || header.Start < end {
			return nil, fmt.Errorf(".debug_info unit at %#x: %w", header.Start, ErrMalformed)
		}
		end = header.End
		table, err := abbrevs(header.Abbrev)
		if err != nil {
			return nil, err
		}
		d.Units = append(d.Units, &Unit{UnitHeader: header, IsGo: true, abbrevs: table})
	}
	return d, nil
}

// tables gives the abbreviations at an offset, read once. What all of them may be is bounded, by the number of
// abbreviations and attributes.
func (d *Data) tables(most int) func(off uint64) ([]abbrev, error) {
	known := map[uint64][]abbrev{}
	return func(off uint64) ([]abbrev, error) {
		table, ok := known[off]
		if !ok {
			var err error
			if table, err = parseAbbrevs(&d.abbrev, off); err != nil {
				return nil, err
			}
			for i := range table {
				most -= 1 + len(table[i].attrs)
			}
			if most < 0 {
				return nil, fmt.Errorf(".debug_abbrev: too many tables: %w", ErrMalformed)
			}
			known[off] = table
		}
		return table, nil
	}
}

// readUnits reads the unit headers and their first entries.
func (d *Data) readUnits() error {
	abbrevs := d.tables(math.MaxInt)
	for off := uint64(0); off < d.info.End(); {
		u, err := d.readHeader(off)
		if err != nil {
			return err
		}
		off = u.End
		if u.First == 0 || u.First >= u.End {
			continue
		}
		if u.abbrevs, err = abbrevs(u.Abbrev); err != nil {
			return err
		}
		var e Entry
		// Twice: the bases that the first entry declares apply to its own attributes.
		for range 2 {
			if err := d.Read(u, u.First, &e); err != nil {
				return err
			}
		}
		u.IsGo, u.LowPC, u.Path, u.Pkg = e.language == langGo, e.LowPC, string(e.Name), string(e.PackageName)
		d.Units = append(d.Units, u)
	}
	return nil
}

// readHeader reads the header of the unit at an offset. Its First is 0 where its entries are none that ri reads.
func (d *Data) readHeader(off uint64) (*Unit, error) {
	b := at(&d.info, off)
	u := &Unit{UnitHeader: UnitHeader{Start: off}}
	length := uint64(b.u32())
	if length == 0xffffffff {
		u.DWARF64 = true
		length = b.u64()
	}
	if b.bad || length > uint64(len(b.data))-b.off || length < 7 {
		return nil, fmt.Errorf(".debug_info unit at %#x: length %d: %w", off, length, ErrMalformed)
	}
	u.End = b.off + length
	u.Version = b.u16()
	addrSize := uint8(0)
	switch {
	case u.Version >= 2 && u.Version <= 4:
		u.Abbrev = b.offset(u)
		addrSize = b.u8()
	case u.Version == 5:
		kind := b.u8()
		addrSize = b.u8()
		u.Abbrev = b.offset(u)
		if kind != 1 && kind != 3 { // not DW_UT_compile or DW_UT_partial
			return u, nil
		}
	default:
		return nil, fmt.Errorf(".debug_info unit at %#x: DWARF version %d: %w", off, u.Version, ErrMalformed)
	}
	if b.bad || addrSize != 8 {
		return nil, fmt.Errorf(".debug_info unit at %#x: address size %d: %w", off, addrSize, ErrMalformed)
	}
	u.First = b.off
	return u, nil
}

// Abbreviations reads those of a unit again, so that they are noted.
func (d *Data) Abbreviations(u *Unit) error {
	_, err := parseAbbrevs(&d.abbrev, u.Abbrev)
	return err
}

// At finds the unit that holds an offset of .debug_info; nil if none does.
func (d *Data) At(off uint64) *Unit {
	i := sort.Search(len(d.Units), func(i int) bool { return d.Units[i].End > off })
	if i == len(d.Units) || off < d.Units[i].First {
		return nil
	}
	return d.Units[i]
}
