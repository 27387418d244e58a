package symbols

import (
	"cmp"
	"debug/elf"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// dwarfData holds the debug sections, decompressed when they are first needed, and the units found in them.
type dwarfData struct {
	info, abbrev                    []byte
	str, lineStr, strOffsets, addr  *section
	loc, loclists, ranges, rnglists *section
	units                           []*unit // in order of offset
}

// section is a debug section that is read when it is first asked for; many runs need few of them.
type section struct {
	once sync.Once
	elf  *elf.Section // nil: the file has none
	data []byte
}

func (s *section) bytes() []byte {
	if s == nil {
		return nil
	}
	s.once.Do(func() {
		if s.elf != nil {
			s.data, _ = s.elf.Data() // what is missing shows as malformed where it is used
		}
	})
	return s.data
}

// maxSection bounds what a section may claim to decompress to, in bytes.
const maxSection = 4 << 30

// index is what one pass over .debug_info learns: where things are, by name.
type index struct {
	types        names             // Go name -> entry
	vars         names             // full name -> entry
	runtimeTypes []pair            // offset from runtime.types -> entry
	constants    []pair            // entry of a named type -> entry of a constant
	functions    []function        // concrete functions by lowPC
	packages     map[string]string // import path -> package name

	once       sync.Once
	shortTypes names // short name -> number in types
	shortVars  names
}

// pair and function are laid out as they stand in the cache file.
type pair struct{ key, value uint64 }

type function struct{ lowPC, highPC, off uint64 }

// find gives the first pair with a key.
func find(pairs []pair, key uint64) int {
	return sort.Search(len(pairs), func(i int) bool { return pairs[i].key >= key })
}

// loadDWARF reads the debug sections that every run needs, side by side, and the unit headers.
func loadDWARF(ef *elf.File) (*dwarfData, error) {
	d := &dwarfData{}
	if ef.Section(".debug_info") == nil || ef.Section(".debug_abbrev") == nil {
		if ef.Section(".zdebug_info") != nil {
			return nil, fmt.Errorf("debug information in the .zdebug format of Go 1.18 and older, which ri does not read: %w", ErrNoDWARF)
		}
		return nil, ErrNoDWARF
	}
	for name, s := range d.sections() {
		*s = &section{elf: ef.Section(name)}
		if found := (*s).elf; found != nil && found.Size > maxSection {
			return nil, fmt.Errorf("section %s claims %d bytes: %w", name, found.Size, errDWARF)
		}
	}
	for name, dst := range map[string]*[]byte{".debug_info": &d.info, ".debug_abbrev": &d.abbrev} {
		s := ef.Section(name)
		if s.Size > maxSection {
			return nil, fmt.Errorf("section %s claims %d bytes: %w", name, s.Size, errDWARF)
		}
		data, err := s.Data()
		if err != nil {
			return nil, fmt.Errorf("section %s: %w", name, err)
		}
		*dst = data
	}
	return d, d.readUnits()
}

// sections names the debug sections that are read late.
func (d *dwarfData) sections() map[string]**section {
	return map[string]**section{
		".debug_str": &d.str, ".debug_line_str": &d.lineStr, ".debug_str_offsets": &d.strOffsets, ".debug_addr": &d.addr,
		".debug_loc": &d.loc, ".debug_loclists": &d.loclists, ".debug_ranges": &d.ranges, ".debug_rnglists": &d.rnglists,
	}
}

// readUnits reads the unit headers and their first entries.
func (d *dwarfData) readUnits() error {
	tables := map[uint64][]abbrev{}
	for off := uint64(0); off < uint64(len(d.info)); {
		b := buf{data: d.info, off: off}
		u := &unit{start: off, addrSize: 8}
		length := uint64(b.u32())
		if length == 0xffffffff {
			u.dwarf64 = true
			length = b.u64()
		}
		if b.bad || length > uint64(len(d.info))-b.off || length < 7 {
			return fmt.Errorf(".debug_info unit at %#x: length %d: %w", off, length, errDWARF)
		}
		u.end = b.off + length
		off = u.end
		u.version = b.u16()
		var abbrevOff uint64
		switch {
		case u.version >= 2 && u.version <= 4:
			abbrevOff = d.offset(&b, u)
			u.addrSize = b.u8()
		case u.version == 5:
			kind := b.u8()
			u.addrSize = b.u8()
			abbrevOff = d.offset(&b, u)
			if kind != 1 && kind != 3 { // not DW_UT_compile or DW_UT_partial
				continue
			}
		default:
			return fmt.Errorf(".debug_info unit at %#x: DWARF version %d: %w", u.start, u.version, errDWARF)
		}
		if b.bad || u.addrSize != 8 {
			return fmt.Errorf(".debug_info unit at %#x: address size %d: %w", u.start, u.addrSize, errDWARF)
		}
		u.first = b.off
		table, ok := tables[abbrevOff]
		if !ok {
			var err error
			if table, err = parseAbbrevs(d.abbrev, abbrevOff); err != nil {
				return err
			}
			tables[abbrevOff] = table
		}
		u.abbrevs, u.abbrevOff = table, abbrevOff
		if u.first >= u.end {
			continue
		}
		var e die
		// Twice: the bases that the first entry declares apply to its own attributes.
		for range 2 {
			if err := d.entry(u, u.first, &e); err != nil {
				return err
			}
		}
		u.isGo = e.lang == langGo
		u.lowPC = e.lowPC
		u.path = unescape(string(e.name))
		u.pkg = string(e.pkgName)
		d.units = append(d.units, u)
	}
	return nil
}

// unitAt finds the unit that holds an offset of .debug_info.
func (d *dwarfData) unitAt(off uint64) *unit {
	i := sort.Search(len(d.units), func(i int) bool { return d.units[i].end > off })
	if i == len(d.units) || off < d.units[i].first {
		return nil
	}
	return d.units[i]
}

// gathered is what one worker finds.
type gathered struct {
	types, vars             []named
	runtimeTypes, constants []pair
	functions               []function
}

// buildIndex passes over the top level of every Go unit, units shared out over the processors.
func (d *dwarfData) buildIndex() (*index, error) {
	workers := min(runtime.GOMAXPROCS(0), 4)
	parts := make([]gathered, workers)
	errs := make([]error, workers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			gently(func() {
				for n := next.Add(1) - 1; n < int64(len(d.units)) && errs[i] == nil; n = next.Add(1) - 1 {
					if u := d.units[n]; u.isGo {
						errs[i] = d.indexUnit(u, &parts[i])
					}
				}
			})
		})
	}
	wg.Wait()
	var all gathered
	for i, p := range parts {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all.types = append(all.types, p.types...)
		all.vars = append(all.vars, p.vars...)
		all.runtimeTypes = append(all.runtimeTypes, p.runtimeTypes...)
		all.constants = append(all.constants, p.constants...)
		all.functions = append(all.functions, p.functions...)
	}
	x := &index{runtimeTypes: all.runtimeTypes, constants: all.constants, functions: all.functions, packages: map[string]string{}}
	for _, u := range d.units {
		if u.isGo && u.pkg != "" {
			x.packages[u.path] = u.pkg
		}
	}
	wg.Go(func() {
		gently(func() { x.sortAll(all.vars) })
	})
	x.types = newNames(all.types, true)
	wg.Wait()
	return x, nil
}

// sortAll sorts what isn't types.
func (x *index) sortAll(vars []named) {
	x.vars = newNames(vars, true)
	for _, pairs := range [][]pair{x.runtimeTypes, x.constants} {
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value)) })
	}
	slices.SortFunc(x.functions, func(a, b function) int { return cmp.Compare(a.lowPC, b.lowPC) })
}

func (d *dwarfData) indexUnit(u *unit, x *gathered) error {
	var e die
	if err := d.entry(u, u.first, &e); err != nil {
		return err
	}
	if !e.children {
		return nil
	}
	for off := e.next; off < u.end; off = e.next {
		if err := d.entry(u, off, &e); err != nil {
			return err
		}
		switch e.tag {
		case 0:
			return nil
		case tagVariable:
			if len(e.name) > 0 && len(e.loc) > 0 {
				x.vars = append(x.vars, named{name: unescape(string(e.name)), value: off})
			}
		case tagConstant:
			if e.hasConst && e.typ != 0 {
				x.constants = append(x.constants, pair{e.typ, off})
			}
		case tagSubprogram:
			if e.hasLowPC && e.highPC > e.lowPC {
				x.functions = append(x.functions, function{e.lowPC, e.highPC, off})
			}
		case tagTypedef, tagStructType, tagPointerType, tagArrayType, tagBaseType, tagSubroutineType:
			if len(e.name) > 0 {
				// A typedef without a kind only gives its target's name again.
				x.types = append(x.types, named{name: unescape(string(e.name)), value: off, second: e.goKind == 0})
			}
			if e.runtimeType != 0 {
				x.runtimeTypes = append(x.runtimeTypes, pair{e.runtimeType, off})
			}
		}
		if e.children {
			next, err := d.skipChildren(u, e.next)
			if err != nil {
				return err
			}
			e.next = next
		}
	}
	return nil
}

// unescape undoes the linker's %xx escapes of dots and other characters in an import path's last element
// (cmd/internal/objabi.PathToPrefix). Go 1.27 escapes names of closures twice ("yaml%252ev3"); no import path has a percent sign.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	s = strings.ReplaceAll(s, "%25", "%")
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi >= 0 && lo >= 0 {
				out.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
