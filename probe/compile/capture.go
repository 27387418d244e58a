package compile

import (
	"reflect"
	"slices"
	"strings"

	"ri/probe"
	"ri/symbols"
)

// Limits bound what a hit takes along of what is shown. What is zero has a default.
type Limits struct {
	Depth int // levels of pointers, structs and containers, as values.DumpOptions counts them; 2
	Text  int // bytes of a text; 128
	Elems int // elements of a slice or array; 8
	Bytes int // of a hit; 4096
}

func (l Limits) withDefaults() Limits {
	set := func(p *int, def, most int) {
		if *p <= 0 {
			*p = def
		}
		*p = min(*p, most)
	}
	set(&l.Depth, 2, 16)
	set(&l.Text, 128, probe.MaxEvent)
	set(&l.Elems, 8, 1024)
	set(&l.Bytes, 4096, probe.MaxEvent)
	return l
}

const (
	minOne = 1024 // bytes of one structure, or of a slice's first elements, where a hit has few bytes
	maxBox = 64   // bytes of what an interface holds, taken along whatever its type is
)

// capture lists the reads of what is shown, breadth first: what a variable is comes before what it leads to. Its walk
// is that of values.Dump, so that it leads to what is printed.
type capture struct {
	*Scope
	limits Limits
	reads  []probe.Read
	used   int        // bytes reserved so far
	queue  [][]func() // what is taken along next, by how far it is from a root
	level  int        // of what is taken along now
	over   int        // reads that found no room
	cut    int64      // the size of the largest structure of which only the first bytes are taken along
	left   int        // types that an interface may hold, whose contents found none
	bare   bool       // roots are taken along without what they lead to
	late   int64      // how many steps later what roots lead to is taken along
	keep   bool       // there are roots of which what they lead to comes late
}

// one is how many bytes of one structure, or of a slice's first elements, are taken along.
func (c *capture) one() int64 { return int64(max(minOne, c.limits.Bytes/4)) }

// first is as much of a structure as is taken along.
func (c *capture) first(size int64) int64 {
	if size > c.one() {
		c.cut = max(c.cut, size)
	}
	return min(size, c.one())
}

// shown is a value that hits take along.
type shown struct {
	name  string
	t     *symbols.Type
	spot  spot
	reads []int // of a spot in memory one, else one a piece; -1: none
	err   error // why there is nothing at this site
}

// root takes along a value's own bytes, and has what it leads to be taken along later.
func (c *capture) root(name string, s spot) shown {
	out := shown{name: name, t: s.t, spot: s}
	if s.pieces == nil {
		item, ok := c.read(s.path, max(s.t.Size, 0), s.guards)
		if !ok {
			item = -1
		}
		out.reads = []int{item}
		switch {
		case !ok || c.bare:
		case c.late > 0 && s.t.Kind == reflect.Pointer && s.t.Elem() != nil:
			c.keep = true
			c.behind(c.inside(s, item, s.t, 0))
		default:
			c.later(c.late, func() { c.value(c.inside(s, item, s.t, 0), c.limits.Depth) })
		}
		return out
	}
	for _, p := range s.pieces {
		item := -1
		if p.Kind == OnStack || p.Kind == Behind {
			if i, ok := c.read(s.memory(p), p.Size, s.guards); ok {
				item = i
			}
		}
		out.reads = append(out.reads, item)
	}
	switch {
	case c.bare:
	case c.late > 0 && s.t.Kind == reflect.Pointer && s.t.Elem() != nil:
		c.keep = true
		c.behind(s)
	default:
		c.later(c.late, func() { c.value(s, c.limits.Depth) })
	}
	return out
}

// behind takes along what a root points to, and late what that leads to.
func (c *capture) behind(s spot) {
	elem, late := s.t.Elem(), c.late
	at, err := s.behind(0, elem)
	if err != nil {
		return
	}
	c.later(0, func() {
		if item, ok := c.read(at.path, c.first(elem.Size), s.guards); ok {
			c.later(late, func() { c.value(c.inside(s, item, elem, 0), c.limits.Depth-1) })
		}
	})
}

// finish takes along what all roots lead to.
func (c *capture) finish() []probe.Read {
	for c.level = 0; c.level < len(c.queue); c.level++ {
		for i := 0; i < len(c.queue[c.level]); i++ { // it grows
			c.queue[c.level][i]()
		}
	}
	return c.reads
}

// later has f be done after what is nearer to a root: one step further on, and so many places down a list, so that the
// first elements of all lists come before the last ones of any.
func (c *capture) later(down int64, f func()) {
	at := c.level + 1 + int(down)
	for len(c.queue) <= at {
		c.queue = append(c.queue, nil)
	}
	c.queue[at] = append(c.queue[at], f)
}

// read reserves a read of size bytes.
func (c *capture) read(at probe.Path, size int64, guards []probe.Compare) (item int, ok bool) {
	return c.some(at, size, nil, 0, guards)
}

// some is read of as many elements as there are.
func (c *capture) some(at probe.Path, size int64, count *probe.Word, each int64, guards []probe.Compare) (item int,
	ok bool) {
	bytes, reads := c.limits.Bytes, probe.MaxReads
	if c.keep && c.level > 1 && c.level < last {
		bytes, reads = bytes-bytes/4, reads-reads/4 // the others are for what comes late
	}
	if size <= 0 || int64(c.used)+size > int64(bytes) || len(c.reads) >= reads {
		c.over++
		return -1, false
	}
	c.used += int(size)
	c.reads = append(c.reads, probe.Read{At: at, Size: uint32(size), Count: count, Each: uint32(each), When: guards})
	return len(c.reads) - 1, true
}

// inside is what lies at an offset of what a read captures, under the guards of s.
func (c *capture) inside(s spot, item int, t *symbols.Type, off int64) spot {
	return spot{t: t, pieces: []Piece{{Kind: inItem, Register: item, Off: off, Size: max(t.Size, 0)}}, guards: s.guards}
}

// beyond tells whether a value lies, or begins, behind what its read has room for.
func (c *capture) beyond(s spot) bool {
	for _, p := range s.pieces {
		if p.Kind == inItem && p.Off+p.Size > int64(c.reads[p.Register].Size) {
			return true
		}
	}
	return false
}

// value takes along what a value leads to.
func (c *capture) value(s spot, depth int) {
	if s.t == nil || s.t.Size <= 0 {
		return
	}
	switch s.t.Kind {
	case reflect.Struct:
		c.structure(s, depth)
		return
	case reflect.Array:
		if e := s.t.Elem(); depth > 0 && e != nil && leads(e) {
			for i := range min(s.t.Len(), int64(c.limits.Elems)) {
				c.value(s.part(i*e.Size, e), depth-1)
			}
		}
		return
	}
	if c.beyond(s) {
		return
	}
	switch s.t.Kind {
	case reflect.String:
		c.text(s)
	case reflect.Slice:
		c.slice(s, depth)
	case reflect.Pointer:
		if e := s.t.Elem(); depth > 1 && e != nil {
			c.pointer(s, e, depth-1)
		}
	case reflect.Interface:
		c.boxed(s, depth)
	case reflect.Map:
		c.table(s, depth)
	case reflect.Chan:
		if l := &c.Space.Layouts().Channel; l.Err() == nil {
			c.head(s, l.Structure.Size)
		}
	case reflect.Func:
		c.head(s, 8)
	}
}

// leads tells whether values of a type may lead to others.
func leads(t *symbols.Type) bool {
	switch t.Kind {
	case reflect.Struct:
		for _, f := range t.Fields() {
			if leads(f.Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return t.Elem() != nil && leads(t.Elem())
	}
	return pointerKind(t.Kind) || t.Kind == reflect.String || t.Kind == reflect.Slice || t.Kind == reflect.Interface
}

// opaque are types of the standard library that are printed by what they mean, from their own bytes.
var opaque = map[string]bool{"time.Time": true, "sync.Mutex": true, "internal/sync.Mutex": true, "sync.RWMutex": true,
	"sync.WaitGroup": true, "sync.Once": true, "sync.Map": true,
	messageState: true}

// messageState is the first field of each message of protobuf that protoc-gen-go made (v1.20 to v1.36).
const messageState = "google.golang.org/protobuf/internal/impl.MessageState"

func (c *capture) structure(s spot, depth int) {
	if inner, off, ok := c.Space.Atomic(s.t); ok {
		c.value(s.part(off, inner), depth)
		return
	}
	if depth <= 0 || opaque[s.t.Name] {
		return
	}
	fields := s.t.Fields()
	message := len(fields) > 0 && fields[0].Type.Name == messageState
	for _, f := range fields {
		// What a message of protobuf doesn't know is hardly ever there, and would take room away from what is.
		if leads(f.Type) && !(message && f.Name == "unknownFields") {
			c.value(s.part(f.Offset, f.Type), depth-1)
		}
	}
}

// head takes along the first bytes of what a word points to.
func (c *capture) head(s spot, size int64) {
	at, err := s.behind(0, s.t)
	if err != nil {
		return
	}
	c.later(0, func() { c.read(at.path, size, s.guards) })
}

func (c *capture) pointer(s spot, elem *symbols.Type, depth int) {
	at, err := s.behind(0, elem)
	if err != nil {
		return
	}
	c.later(0, func() {
		if item, ok := c.read(at.path, c.first(elem.Size), s.guards); ok {
			c.value(c.inside(s, item, elem, 0), depth)
		}
	})
}

// What is far from a root, and there is more of it the farther it is, has less room.
const (
	nearLevels = 2
	farText    = 128 // bytes; or a share of the hit's
	farShare   = 32
)

func (c *capture) text(s spot) {
	most := c.limits.Text
	if c.level > nearLevels {
		most = min(most, max(farText, c.limits.Bytes/farShare))
	}
	c.elements(s, 1, int64(most), func(int) {})
}

// elements takes along the first elements of a string or slice.
func (c *capture) elements(s spot, each, most int64, then func(item int)) {
	at, err := s.behind(0, s.t)
	if err != nil {
		return
	}
	count, err := s.word(8, 8, true)
	if err != nil || each <= 0 {
		return
	}
	c.later(0, func() {
		if item, ok := c.some(at.path, each*most, &count, each, s.guards); ok {
			then(item)
		}
	})
}

func (c *capture) slice(s spot, depth int) {
	e := s.t.Elem()
	switch {
	case e == nil || e.Size <= 0:
	case e.Kind == reflect.Uint8:
		c.text(s)
	case depth > 0:
		n := max(min(int64(c.limits.Elems), c.one()/e.Size), 1)
		c.elements(s, e.Size, n, func(item int) {
			count, err := s.word(8, 8, true)
			if err != nil || !leads(e) {
				return
			}
			for i := range n {
				there := probe.Compare{Left: count, Op: probe.Greater, Right: uint64(i)}
				c.later(i, func() { c.value(c.inside(s.guarded(there), item, e, i*e.Size), depth-1) })
			}
		})
	}
}

// boxed takes along what an interface holds: some bytes whatever it is, and more of the types that are usual there.
func (c *capture) boxed(s spot, depth int) {
	first, err := s.word(0, 8, false)
	if err != nil {
		return
	}
	data, err := s.behind(8, s.t)
	if err != nil {
		return
	}
	some := s.guarded(probe.Compare{Left: first, Op: probe.NotEqual})
	c.later(0, func() {
		if isTab(s.t) {
			item, ok := c.read(follow(first), 16, some.guards)
			if !ok {
				return
			}
			first = probe.Word{Path: probe.Path{Base: probe.Base{Kind: probe.Item, N: item, Off: 8}}, InPlace: true, Size: 8}
		}
		item, ok := c.read(data.path, maxBox, some.guards)
		if !ok {
			return
		}
		take := c.held(some, first, data, item, depth)
		often, others := c.mayHold(s.t)
		for _, t := range often {
			take(t)
		}
		for i, t := range others {
			c.later(lastly+int64(i), func() {
				if c.used > c.limits.Bytes*3/4 || len(c.reads) > maxBoxed {
					c.left++
					return
				}
				take(t)
			})
		}
	})
}

// What an interface may hold besides what is usual is taken along where all else has found room, and as long as there
// are few reads: each costs time even where it is another type's.
const (
	lastly   = 64
	last     = 4 * lastly // behind all that others may hold
	maxBoxed = 96
)

// held takes along what an interface's contents, of which the item has the first bytes, lead to if they are of a type;
// of a larger type the other bytes, too.
func (c *capture) held(s spot, word probe.Word, data spot, item, depth int) func(*symbols.Type) {
	return func(t *symbols.Type) {
		desc, err := c.descriptor(t)
		if err != nil {
			return
		}
		is := s.guarded(probe.Compare{Left: word, Op: probe.Equal, Right: desc})
		to, at, deep := t, item, depth
		if t.Kind == reflect.Pointer && t.Elem() != nil {
			to, deep = t.Elem(), depth-1
		} else if direct, err := c.Space.StoredDirectly(desc, t); err != nil || direct {
			return
		}
		if to.Size > maxBox {
			if whole, ok := c.read(data.path, c.first(to.Size), is.guards); ok {
				at = whole
			}
		}
		if t == to || deep > 0 {
			c.value(c.inside(is, at, to, 0), deep)
		}
	}
}

// usual are types that interfaces hold in many programs, errors foremost.
var usual = []string{"string", "*errors.errorString", "*fmt.wrapError", "*io/fs.PathError", "*net.OpError"}

// mayHold gives the types that an interface may hold and that lead to more: the usual ones, and the others that the
// program converts to it, those of the function's own package first.
func (c *capture) mayHold(iface *symbols.Type) (often, others []*symbols.Type) {
	all := c.Space.File().Holders(iface)
	for _, name := range usual {
		t, err := c.Space.File().Type(name)
		if err == nil && (len(all) == 0 || slices.Contains(all, t)) {
			often = append(often, t)
		}
	}
	own := func(t *symbols.Type) bool {
		name := strings.TrimLeft(t.Name, "*[]")
		return c.Package != "" && strings.HasPrefix(name, c.Package+".")
	}
	for _, mine := range []bool{true, false} {
		for _, t := range all {
			to := t
			if t.Kind == reflect.Pointer && t.Elem() != nil {
				to = t.Elem()
			}
			if own(t) == mine && (leads(to) || to.Size > maxBox) && !slices.Contains(often, t) {
				others = append(others, t)
			}
		}
	}
	return often, others
}

// table takes along a map's header, and the entries of a small one.
func (c *capture) table(s spot, depth int) {
	l, err := c.Space.MapLayout(s.t)
	if err != nil {
		return
	}
	at, err := s.behind(0, s.t)
	if err != nil {
		return
	}
	c.later(0, func() {
		head, ok := c.read(at.path, l.Structure.Size, s.guards)
		if !ok || depth <= 0 {
			return
		}
		header := c.inside(s, head, l.Structure.Type, 0)
		few, group, size := l.Tables, l.Directory, l.Slots.Size
		if !l.Swiss {
			few, group, size = l.Bits, l.Buckets, l.Bucket.Size
		}
		// The number of tables, or of bits of the number of buckets, is 0 where there is one group or bucket.
		word, err := header.word(few.Offset, few.Size, false)
		if err != nil {
			return
		}
		entries, err := header.behind(group.Offset, s.t)
		if err != nil {
			return
		}
		// Of no entries there may be no group either.
		there, err := header.word(group.Offset, 8, false)
		if err != nil {
			return
		}
		small := s.guarded(probe.Compare{Left: word, Op: probe.Equal}, probe.Compare{Left: there, Op: probe.NotEqual})
		if item, ok := c.read(entries.path, min(size, 2*c.one()), small.guards); ok {
			c.slots(small, item, depth-1)
		}
	})
}
