package symbols

import (
	"debug/elf"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
)

// dwarfData holds the debug sections, decompressed, and the units found in them.
type dwarfData struct {
	info, abbrev, str, lineStr, strOffsets, addr []byte
	loc, loclists, ranges, rnglists              []byte
	units                                        []*unit // in order of offset
}

// index is what one pass over .debug_info learns: where things are, by name.
type index struct {
	types        map[string]uint64   // Go name -> entry
	vars         map[string]uint64   // full name -> entry
	runtimeTypes map[uint64]uint64   // offset from runtime.types -> entry
	constants    map[uint64][]uint64 // entry of a named type -> entries of constants
	functions    []function          // concrete functions by lowPC
	origins      map[string]uint64   // functions by name -> entry (abstract or concrete)
	packages     map[string]string   // import path -> package name

	once      sync.Once
	typeNames []string
	varNames  []string
	shortType map[string][]string // short name -> full names
	shortVar  map[string][]string
}

type function struct {
	lowPC, highPC uint64
	off           uint64
}

func emptyIndex() *index {
	return &index{types: map[string]uint64{}, vars: map[string]uint64{}, runtimeTypes: map[uint64]uint64{},
		constants: map[uint64][]uint64{}, origins: map[string]uint64{}, packages: map[string]string{}}
}

// loadDWARF reads the debug sections (the large ones in parallel) and the unit headers.
func loadDWARF(ef *elf.File) (*dwarfData, error) {
	d := &dwarfData{}
	if ef.Section(".debug_info") == nil || ef.Section(".debug_abbrev") == nil {
		if ef.Section(".zdebug_info") != nil {
			return nil, fmt.Errorf("debug information in the .zdebug format of Go 1.18 and older, which ri does not read: %w", ErrNoDWARF)
		}
		return nil, ErrNoDWARF
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for name, dst := range map[string]*[]byte{
		".debug_info": &d.info, ".debug_abbrev": &d.abbrev, ".debug_str": &d.str, ".debug_line_str": &d.lineStr,
		".debug_str_offsets": &d.strOffsets, ".debug_addr": &d.addr, ".debug_loc": &d.loc, ".debug_loclists": &d.loclists,
		".debug_ranges": &d.ranges, ".debug_rnglists": &d.rnglists,
	} {
		s := ef.Section(name)
		if s == nil {
			continue
		}
		if s.Size > 4<<30 {
			return nil, fmt.Errorf("section %s claims %d bytes: %w", name, s.Size, errDWARF)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			data, err := s.Data()
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = fmt.Errorf("section %s: %w", name, err)
			}
			*dst = data
		}()
	}
	wg.Wait()
	if failed != nil {
		return nil, failed
	}
	return d, d.readUnits()
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
		u.abbrevs = table
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

// buildIndex passes over the top level of every Go unit, units shared out over the processors.
func (d *dwarfData) buildIndex() (*index, error) {
	workers := min(runtime.GOMAXPROCS(0), 4)
	parts := make([]*index, workers)
	errs := make([]error, workers)
	next := make(chan *unit)
	var wg sync.WaitGroup
	for i := range workers {
		parts[i] = emptyIndex()
		wg.Add(1)
		go func() {
			defer wg.Done()
			for u := range next {
				if errs[i] == nil {
					errs[i] = d.indexUnit(u, parts[i])
				}
			}
		}()
	}
	for _, u := range d.units {
		if u.isGo {
			next <- u
		}
	}
	close(next)
	wg.Wait()
	whole := parts[0]
	for i, p := range parts {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if i == 0 {
			continue
		}
		merge(whole.types, p.types)
		merge(whole.vars, p.vars)
		merge(whole.runtimeTypes, p.runtimeTypes)
		merge(whole.origins, p.origins)
		merge(whole.packages, p.packages)
		for k, v := range p.constants {
			whole.constants[k] = append(whole.constants[k], v...)
		}
		whole.functions = append(whole.functions, p.functions...)
	}
	for _, c := range whole.constants {
		slices.Sort(c)
	}
	slices.SortFunc(whole.functions, func(a, b function) int {
		if a.lowPC < b.lowPC {
			return -1
		}
		return 1
	})
	return whole, nil
}

// merge keeps the lower offset where both have a name, so that the result doesn't depend on the order of work.
func merge[K comparable, V uint64 | string](dst, src map[K]V) {
	for k, v := range src {
		if old, ok := dst[k]; !ok || v < old {
			dst[k] = v
		}
	}
}

func (d *dwarfData) indexUnit(u *unit, x *index) error {
	var e die
	if err := d.entry(u, u.first, &e); err != nil {
		return err
	}
	if u.pkg != "" {
		x.packages[u.path] = u.pkg
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
				x.vars[unescape(string(e.name))] = off
			}
		case tagConstant:
			if e.hasConst && e.typ != 0 {
				x.constants[e.typ] = append(x.constants[e.typ], off)
			}
		case tagSubprogram:
			if e.hasLowPC && e.highPC > e.lowPC {
				x.functions = append(x.functions, function{e.lowPC, e.highPC, off})
			}
			if len(e.name) > 0 {
				x.origins[unescape(string(e.name))] = off
			}
		case tagTypedef, tagStructType, tagPointerType, tagArrayType, tagBaseType, tagSubroutineType:
			if len(e.name) > 0 {
				name := unescape(string(e.name))
				// A typedef without a kind only gives its target's name again.
				if _, ok := x.types[name]; !ok || e.goKind != 0 {
					x.types[name] = off
				}
			}
			if e.runtimeType != 0 {
				x.runtimeTypes[e.runtimeType] = off
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
// (cmd/internal/objabi.PathToPrefix).
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
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
