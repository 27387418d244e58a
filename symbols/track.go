package symbols

import (
	"debug/elf"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ri/symbols/sparse"
)

// uses is what was asked of a File by name or address and isn't kept anyway: types that were laid out, functions by PC
// and their variables are.
type uses struct {
	mu        sync.Mutex
	types     map[uint64]bool // entries of types that were asked for by name
	vars      map[uint64]bool // entries
	funcs     map[uint64]bool // link-time entries
	described map[uint64]bool // entries of types that were asked for by descriptor
	absent    map[string]bool // names that the program has neither type, variable nor function of

	// The rest is noted since Track.
	tracking     atomic.Bool
	before       map[uint64]bool // entries of types of which no more than what they are had been asked then
	allVars      bool
	stackMaps    map[uint64]bool // of functions, by entry
	dictionaries map[string]bool // by what they are kept under
	descriptors  map[string]bool // names
	symbols      map[elf.Symbol]bool
	static       sparse.Notes
}

// Track notes from now on all that is asked of the file, for Portable. Names, types, PCs and functions' variables are
// kept anyway. What was read before of code, stack maps, dictionaries and constants doesn't travel, nor do all
// variables, if all were only asked for before.
func (f *File) Track() {
	u := f.uses
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.tracking.Load() {
		return
	}
	for off, t := range f.types {
		u.before[off] = !t.laid.Load()
	}
	u.tracking.Store(true)
}

func newUses() *uses {
	return &uses{before: map[uint64]bool{}, types: map[uint64]bool{}, described: map[uint64]bool{},
		vars: map[uint64]bool{}, funcs: map[uint64]bool{}, stackMaps: map[uint64]bool{},
		dictionaries: map[string]bool{}, descriptors: map[string]bool{},
		symbols: map[elf.Symbol]bool{}, absent: map[string]bool{}}
}

// track is note, where somebody tracks.
func track[K comparable](u *uses, set func(*uses) map[K]bool, key K) {
	if u.tracking.Load() {
		note(u, set, key)
	}
}

// note adds to one of the sets.
func note[K comparable](u *uses, set func(*uses) map[K]bool, key K) {
	u.mu.Lock()
	set(u)[key] = true
	u.mu.Unlock()
}

func usedTypes(u *uses) map[uint64]bool        { return u.types }
func usedDescribed(u *uses) map[uint64]bool    { return u.described }
func usedVars(u *uses) map[uint64]bool         { return u.vars }
func usedFuncs(u *uses) map[uint64]bool        { return u.funcs }
func usedStackMaps(u *uses) map[uint64]bool    { return u.stackMaps }
func usedDictionaries(u *uses) map[string]bool { return u.dictionaries }
func usedDescriptors(u *uses) map[string]bool  { return u.descriptors }
func usedSymbols(u *uses) map[elf.Symbol]bool  { return u.symbols }

func (u *uses) useAllVars() {
	u.mu.Lock()
	u.allVars = true
	u.mu.Unlock()
}

func (u *uses) everyVar() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.allVars
}

// list gives a set's members, in no order.
func (u *uses) list(set func(*uses) map[uint64]bool) []uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(set(u)))
}

// isAbsent notes that the program has nothing of a name. Names of the standard library only: others may be what a user
// typed, which is nobody else's business.
func (f *File) isAbsent(name string) {
	u := f.uses
	if len(name) > 200 {
		return
	}
	pkg := name
	if i := strings.IndexByte(name[strings.LastIndexByte(name, '/')+1:], '.'); i >= 0 {
		pkg = name[:strings.LastIndexByte(name, '/')+1+i]
	}
	pkg = strings.TrimLeft(pkg, "*[]")
	first, _, _ := strings.Cut(pkg, "/")
	if !slices.Contains(standardPackages, first) {
		return
	}
	u.mu.Lock()
	u.absent[name] = true
	u.mu.Unlock()
}

// standardPackages are those whose names ri itself looks for in every program.
var standardPackages = []string{"runtime", "internal", "sync", "net", "time", "context", "reflect", "os", "io", "bytes",
	"strings", "container", "database", "math", "crypto", "bufio", "errors", "fmt", "log"}
