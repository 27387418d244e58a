package redact

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/secrets"
	"ri/symbols"
)

// Form is what a piece of a type is.
type Form uint8

const (
	Plain    Form = iota // a number or a pointer
	Text                 // a string's header: a pointer and a length; what it leads to is a text
	Bytes                // a []byte's header: a pointer, a length and a capacity
	Slice                // another slice's header; Action is what to do with its elements, if they are numbers
	Contents             // the bytes of a text themselves: a byte array
	Padding              // between fields, and what is told of nobody: written as zeros
	Control              // what a map notes of its slots, a byte each: their hashes are taken out
)

// Piece is one piece of a type, or many of the same form.
type Piece struct {
	Offset, Size int64 // bytes
	Form         Form
	// Action is what to do with the piece; of a header what to do with the text that it leads to, since headers are kept.
	Action Action
	Field  string // path of the field in the type, for counts and lists; "" of a type that isn't a struct
	Secret bool   // it has a secret's name, and no rule keeps it: not even a constant is kept there
	// Kind is that of the field; of an array of numbers that is one piece, of its elements. Invalid where it isn't known.
	Kind reflect.Kind
	Unit int64 // of a Slice, the size of an element in bytes

	// Of an array of what isn't Plain throughout: so many, Size apart.
	Count int64
	Elem  *Layout
}

// Layout is what a type's bytes are. What no piece covers is padding, and is not kept.
type Layout struct {
	Type   *symbols.Type
	Pieces []Piece
}

// Of compiles the layout of a type for a variable of that name, "" of anything else. Layouts are not kept here.
func (p *Policy) Of(t *symbols.Type, variable string) *Layout {
	c := compiler{p: p, out: &Layout{Type: t}}
	secret := variable != "" && secrets.Name(variable[strings.LastIndexByte(variable, '.')+1:])
	// A letter by itself, of no variable and no struct, is an element of something: of a channel, or of what a pointer
	// leads to.
	element := variable == "" && t.Size <= 4 && t.Kind != reflect.Bool && t.Numbers()
	c.add(t, 0, place{variable: variable, secret: secret, element: element}, 0)
	return c.out
}

// place is where in a type the compiler is.
type place struct {
	variable string
	// within are the structs by value around it, from the outermost, each with the path from there.
	within []nesting
	secret bool // a name of a secret stands above it
	// element: of an array or a slice.
	element bool
}

type nesting struct {
	typ, pkg string
	path     []string
}

func (at place) field() string {
	if len(at.within) == 0 {
		return ""
	}
	return strings.Join(at.within[0].path, ".")
}

func (at place) inside(t *symbols.Type) place {
	at.within = append(slices.Clip(at.within), nesting{typ: t.Name, pkg: PackageOf(t.Name)})
	return at
}

func (at place) step(name string) place {
	within := make([]nesting, len(at.within))
	for i, n := range at.within {
		n.path = append(slices.Clip(n.path), name)
		within[i] = n
	}
	at.within, at.element = within, false
	return at
}

// maxDepth bounds how deep structs by value are gone into; debug information that is deeper is broken.
const maxDepth = 64

type compiler struct {
	p   *Policy
	out *Layout
}

func (c *compiler) add(t *symbols.Type, off int64, at place, depth int) {
	if depth > maxDepth || t == nil || t.Size <= 0 {
		return
	}
	switch t.Kind {
	case reflect.Struct:
		c.structure(t, off, at, depth)
	case reflect.Array:
		c.array(t, off, at, depth)
	case reflect.String:
		c.piece(Piece{Offset: off, Size: t.Size, Form: Text}, Token, t, at)
	case reflect.Slice:
		c.slice(t, off, at)
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		c.piece(Piece{Offset: off, Size: t.Size}, Keep, t, at.header())
	case reflect.Bool:
		c.piece(Piece{Offset: off, Size: t.Size}, Keep, t, at)
	case reflect.Invalid:
		c.out.Pieces = append(c.out.Pieces, Piece{Offset: off, Size: t.Size, Action: Drop, Field: at.field()})
	default:
		if namesSecret(at, t) {
			at.secret = true
		}
		action := Keep
		if c.p.DenyNumbers && !ofRuntime(at, t) && !runtimeVariable(at) {
			action = Drop
		}
		c.piece(Piece{Offset: off, Size: t.Size}, action, t, at)
	}
}

func (c *compiler) slice(t *symbols.Type, off int64, at place) {
	elem := t.Elem()
	switch {
	case elem == nil:
	case elem.Kind == reflect.Uint8:
		c.piece(Piece{Offset: off, Size: t.Size, Form: Bytes}, Token, t, at)
		return
	case elem.Numbers() && !ofRuntime(at, t):
		p := Piece{Offset: off, Size: t.Size, Form: Slice, Unit: elem.Size}
		c.piece(p, Drop, t, at)
		return
	}
	c.piece(Piece{Offset: off, Size: t.Size, Form: Slice}, Keep, t, at.header())
}

// header is the place of a pointer: what it leads to is elsewhere, with a name of its own.
func (at place) header() place {
	at.secret, at.element = false, false
	return at
}

func (c *compiler) structure(t *symbols.Type, off int64, at place, depth int) {
	if pkg := PackageOf(t.Name); pkg == "sync" || pkg == "internal/sync" {
		at.secret = false // whatever a lock or a pool is called, its counts are no secret: regexp.onePassPool
	}
	in := at.inside(t)
	if c.slots(t, off) {
		return
	}
	if denied(PackageOf(t.Name)) || slices.Contains(deniedTypes, t.Name) {
		if ofRuntime(at, t) && len(at.within) > 0 { // structures of the runtime are read whole
			c.padding(off, off+t.Size)
			return
		}
		c.allButLocks(t, off, at, depth)
		return
	}
	end := int64(0)
	parts := piecesIn(in, t)
	for i, f := range t.Fields() {
		next := in.step(f.Name)
		next.element = at.element && t.Numbers() || parts[i] // a struct around one number
		if !ofRuntime(in, t) && secrets.Name(f.Name) {
			next.secret = true
		}
		c.padding(off+end, off+f.Offset)
		end = max(end, f.Offset+f.Type.Size)
		if isHash(in, t, f) {
			c.piece(Piece{Offset: off + f.Offset, Size: f.Type.Size}, Drop, f.Type, next)
			continue
		}
		c.add(f.Type, off+f.Offset, next, depth+1)
	}
	c.padding(off+end, off+t.Size)
}

// allButLocks drops a structure; whether its locks are held is no secret.
func (c *compiler) allButLocks(t *symbols.Type, off int64, at place, depth int) {
	begin := off
	drop := func(end int64) {
		if end > begin {
			c.out.Pieces = append(c.out.Pieces, Piece{Offset: begin, Size: end - begin, Action: Drop, Field: at.field()})
		}
	}
	for _, f := range t.Fields() {
		pkg := PackageOf(f.Type.Name) // not sync/atomic: that is a number
		lock := f.Type.Kind == reflect.Struct && (pkg == "sync" || pkg == "internal/sync")
		inner := f.Type.Kind == reflect.Struct && denied(PackageOf(f.Type.Name))
		if (lock || inner) && off+f.Offset >= begin {
			drop(off + f.Offset)
			inside := at.inside(t).step(f.Name) // rules about what is around it hold for a lock, too
			inside.secret = false
			c.add(f.Type, off+f.Offset, inside, depth+1)
			begin = off + f.Offset + f.Type.Size
		}
	}
	drop(off + t.Size)
}

// padding is what lies between two fields.
func (c *compiler) padding(from, to int64) {
	if to > from {
		c.out.Pieces = append(c.out.Pieces, Piece{Offset: from, Size: to - from, Form: Padding})
	}
}

// slots are the structures in which maps keep their entries; what is in them has its own names. Their hashes and seeds
// are taken out: a short secret could be found by them. internal/runtime/maps (Go 1.24 on), runtime/map.go before.
func (c *compiler) slots(t *symbols.Type, off int64) bool {
	switch {
	// The linker describes the header for each type of map (cmd/link/internal/ld/dwarf.go).
	case t.Name == "internal/runtime/maps.Map", t.Name == "runtime.hmap", strings.HasPrefix(t.Name, "map<"),
		strings.HasPrefix(t.Name, "hash<"):
		end := int64(0)
		for _, f := range t.Fields() {
			form := Plain
			if f.Name == "seed" || f.Name == "hash0" {
				form = Padding
			}
			c.padding(off+end, off+f.Offset)
			end = f.Offset + f.Type.Size
			c.out.Pieces = append(c.out.Pieces, Piece{Offset: off + f.Offset, Size: f.Type.Size, Form: form, Field: f.Name,
				Kind: f.Type.Kind})
		}
		return true
	case strings.HasPrefix(t.Name, "noalg.map.group["), strings.HasPrefix(t.Name, "map.group["),
		strings.HasPrefix(t.Name, "noalg.map.bucket["), strings.HasPrefix(t.Name, "map.bucket["),
		strings.HasPrefix(t.Name, "bucket<"), strings.HasPrefix(t.Name, "bucket["):
	default:
		return false
	}
	for _, f := range t.Fields() {
		at := off + f.Offset
		if f.Name == "ctrl" || f.Name == "tophash" {
			c.out.Pieces = append(c.out.Pieces, Piece{Offset: at, Size: f.Type.Size, Form: Control, Field: f.Name})
			continue
		}
		if f.Type.Kind != reflect.Array || f.Type.Elem() == nil { // a bucket's overflow
			c.add(f.Type, at, place{}, 0)
			continue
		}
		elem := f.Type.Elem()
		for i := range min(f.Type.Len(), slotsOfGroup) {
			c.slot(elem, at+i*elem.Size, elementOf(t, f.Name))
		}
	}
	return true
}

const slotsOfGroup = 8

// slot is a key, an element, or both side by side in a struct without a name.
func (c *compiler) slot(t *symbols.Type, off int64, letter bool) {
	if t.Kind == reflect.Struct && symbols.IsUnnamed(t.Name) {
		for _, f := range t.Fields() {
			c.add(f.Type, off+f.Offset, place{element: elementOf(t, f.Name)}, 0)
		}
		return
	}
	c.add(t, off, place{element: letter}, 0)
}

func (c *compiler) array(t *symbols.Type, off int64, at place, depth int) {
	elem := t.Elem()
	if elem == nil || elem.Size <= 0 || t.Len() <= 0 || t.Len() > t.Size/elem.Size {
		return
	}
	if elem.Kind == reflect.Uint8 {
		c.piece(Piece{Offset: off, Size: t.Size, Form: Contents}, Token, t, at)
		return
	}
	if t.Len() == 1 { // as Go's own wrappers around one value
		c.add(elem, off, at, depth+1)
		return
	}
	in := at
	in.element = true
	one := compiler{p: c.p, out: &Layout{Type: elem}}
	one.add(elem, 0, in, depth+1)
	if len(one.out.Pieces) == 1 && one.out.Pieces[0].Form == Plain && one.out.Pieces[0].Size == elem.Size &&
		one.out.Pieces[0].Elem == nil {
		whole := one.out.Pieces[0]
		whole.Offset, whole.Size = off, t.Len()*elem.Size
		c.out.Pieces = append(c.out.Pieces, whole)
		return
	}
	c.out.Pieces = append(c.out.Pieces, Piece{Offset: off, Size: elem.Size, Count: t.Len(), Elem: one.out,
		Field: at.field()})
}

// piece adds a piece. action is what is done with it where no rule says anything, and no name.
func (c *compiler) piece(p Piece, action Action, t *symbols.Type, at place) {
	p.Action, p.Field, p.Kind = c.action(p.Form, action, t, at), at.field(), t.Kind
	p.Secret = at.secret && p.Action != Keep
	c.out.Pieces = append(c.out.Pieces, p)
}

func (c *compiler) action(form Form, action Action, t *symbols.Type, at place) Action {
	strict := action
	switch {
	case form != Plain: // what it leads to is denied already
	case at.secret && t.Kind != reflect.Bool, at.element && isScalar(t.Kind) && !ofRuntime(at, t):
		strict = Drop
	}
	places := at.within
	if len(places) == 0 || at.variable != "" {
		places = append([]nesting{{typ: t.Name, pkg: PackageOf(t.Name)}}, places...)
	}
	for _, n := range places {
		a, named, ok := c.p.rule(what{n.typ, n.pkg, n.path, at.variable})
		if !ok {
			continue
		}
		if at.secret && !named {
			return max(a, strict, action)
		}
		return a
	}
	return strict
}

func isScalar(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Complex128
}

// PackageOf is the import path in a type's full name, "" of a type without one.
func PackageOf(name string) string {
	name = strings.TrimLeft(name, "*[]")
	if i := strings.IndexAny(name, "[{( "); i >= 0 {
		name = name[:i]
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return ""
}

// deniedPackages are those whose every structure is a secret: keys, their schedules, states of generators.
var deniedPackages = []string{"crypto", "math/big", "math/rand", "internal/chacha8rand", "hash", "golang.org/x/crypto",
	"vendor/golang.org/x/crypto",
	"github.com/golang-jwt", "filippo.io", "github.com/cloudflare/circl"}

// deniedTypes are numbers that are somebody's address: netip.Addr has one.
var deniedTypes = []string{"net/netip.uint128"}

func denied(pkg string) bool { return isOf(pkg, deniedPackages) }

// runtimePackages keep numbers in arrays that are the runtime's own counts and states, and their fields' names are no
// names of secrets.
var runtimePackages = []string{"runtime", "internal/runtime", "internal/abi", "internal/sync", "internal/poll", "sync",
	"time"}

func ofRuntime(at place, t *symbols.Type) bool {
	for _, n := range slices.Backward(at.within) {
		if !anybodys(n.typ, n.pkg) {
			return isOf(n.pkg, runtimePackages)
		}
	}
	return len(at.within) == 0 && !anybodys(t.Name, PackageOf(t.Name)) && isOf(PackageOf(t.Name), runtimePackages)
}

// anybodys tells types of Go's own whose numbers are those of who uses them: what is around them says whose they are.
func anybodys(name, pkg string) bool {
	return pkg == "sync/atomic" || name == "time.Time" || strings.Contains(name, "[") && pkg == "internal/sync"
}

// runtimeVariable tells whether a number is a package variable of the runtime's, such as runtime.gomaxprocs: one like
// those in its structures.
func runtimeVariable(at place) bool {
	return len(at.within) == 0 && isOf(PackageOf(at.variable), runtimePackages)
}

// OfRuntime tells whether a type is the runtime's own.
func OfRuntime(t *symbols.Type) bool { return isOf(PackageOf(t.Name), runtimePackages) }

func isOf(pkg string, list []string) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		return pkg == p || strings.HasPrefix(pkg, p) && pkg[len(p)] == '/'
	})
}

// String lists the pieces, for tests and for the curious.
func (l *Layout) String() string {
	var b strings.Builder
	for _, p := range l.Pieces {
		form := [...]string{"plain", "text", "bytes", "slice", "contents", "padding", "control"}[p.Form]
		if p.Elem != nil {
			fmt.Fprintf(&b, "%d: %s %d x {%s}\n", p.Offset, p.Field, p.Count,
				strings.ReplaceAll(strings.TrimSpace(p.Elem.String()), "\n", "; "))
			continue
		}
		fmt.Fprintf(&b, "%d+%d: %s %s %s\n", p.Offset, p.Size, p.Field, form, p.Action)
	}
	return b.String()
}
