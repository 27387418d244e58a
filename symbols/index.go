package symbols

import (
	"cmp"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"ri/symbols/dwarf"
)

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

// gathered is what one worker finds.
type gathered struct {
	types, vars             []named
	runtimeTypes, constants []pair
	functions               []function
}

// buildIndex passes over the top level of every Go unit, units shared out over the processors.
func buildIndex(d *dwarf.Data) (*index, error) {
	workers := min(runtime.GOMAXPROCS(0), 4)
	parts := make([]gathered, workers)
	errs := make([]error, workers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			gently(func() {
				for n := next.Add(1) - 1; n < int64(len(d.Units)) && errs[i] == nil; n = next.Add(1) - 1 {
					if u := d.Units[n]; u.IsGo {
						errs[i] = parts[i].unit(d, u)
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
	x := &index{runtimeTypes: all.runtimeTypes, constants: all.constants, functions: all.functions,
		packages: map[string]string{}}
	for _, u := range d.Units {
		if u.IsGo && u.Pkg != "" {
			x.packages[unescape(u.Path)] = u.Pkg
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
		slices.SortFunc(pairs, func(a, b pair) int {
			return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value))
		})
	}
	slices.SortFunc(x.functions, func(a, b function) int { return cmp.Compare(a.lowPC, b.lowPC) })
}

func (x *gathered) unit(d *dwarf.Data, u *dwarf.Unit) error {
	var e dwarf.Entry
	if err := d.Read(u, u.First, &e); err != nil {
		return err
	}
	if !e.Children {
		return nil
	}
	for off := e.Next; off < u.End; off = e.Next {
		if err := d.Read(u, off, &e); err != nil {
			return err
		}
		switch e.Tag {
		case 0:
			return nil
		case dwarf.TagVariable:
			if len(e.Name) > 0 && len(e.Location) > 0 {
				x.vars = append(x.vars, named{name: unescape(string(e.Name)), value: off})
			}
		case dwarf.TagConstant:
			if e.HasConst && e.Type != 0 {
				x.constants = append(x.constants, pair{e.Type, off})
			}
		case dwarf.TagSubprogram:
			if e.HasLowPC && e.HighPC > e.LowPC {
				x.functions = append(x.functions, function{e.LowPC, e.HighPC, off})
			}
		case dwarf.TagTypedef, dwarf.TagStructType, dwarf.TagPointerType, dwarf.TagArrayType, dwarf.TagBaseType,
			dwarf.TagSubroutineType:
			if len(e.Name) > 0 {
				// A typedef without a kind only gives its target's name again.
				x.types = append(x.types, named{name: unescape(string(e.Name)), value: off, second: e.Kind == 0})
			}
			if e.RuntimeType != 0 {
				x.runtimeTypes = append(x.runtimeTypes, pair{e.RuntimeType, off})
			}
		}
		if e.Children {
			next, err := d.Skip(u, e.Next)
			if err != nil {
				return err
			}
			e.Next = next
		}
	}
	return nil
}

// unescape undoes the linker's %xx escapes of dots and other characters in an import path's last element
// (cmd/internal/objabi.PathToPrefix). Go 1.27 escapes names of closures twice ("yaml%252ev3"); no import path has a
// percent sign.
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
