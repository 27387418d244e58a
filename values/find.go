package values

import (
	"errors"
	"fmt"
	"reflect"

	"ri/symbols"
)

// Found is where a value of the type asked for lives.
type Found struct {
	Value     Value  // of the type asked for, not a pointer to it
	Where     string // "main.store", "goroutine 12: server.(*Server).AcceptLoop: s"
	Goroutine int64  // 0 for package variables
	OnStack   bool   // it lies on that goroutine's stack: a variable there may be dead, and its words anything

	via *link
	g   uint64 // the runtime.g in whose frames it was found, as it stands there; 0: elsewhere
}

// link is a pointer that was followed: the word at slot was word.
type link struct {
	parent     *link
	slot, word uint64
}

// holds tells whether all pointers on the way to what was found still lead there.
func (l *link) holds(s *Space) bool {
	for ; l != nil; l = l.parent {
		if w, err := s.Uint64(l.slot); err != nil || w != l.word {
			return false
		}
	}
	return true
}

// findKey names a search whose result a Space remembers.
type findKey struct {
	want *symbols.Type
	opt  FindOptions
}

// FindOptions bounds Find.
type FindOptions struct {
	Depth int // pointers followed from a variable where none holds the type itself; 0 means 3, negative none
	Limit int // values found; 0 means 1000

	First bool // the first is enough: the search ends with it
	// All looks on through fields also where a variable holds one. Of an earlier search with the same options what is
	// still there is believed.
	All bool

	// Remember believes an earlier search with the same options: what that found, and is still found where it was, is all
	// that there is. First does so too. Only where some of it is gone the search is made again.
	Remember bool
}

// whole has all bounds filled in.
func (o FindOptions) whole() FindOptions {
	if o.Depth == 0 {
		o.Depth = 3
	}
	if o.Limit <= 0 {
		o.Limit = 1000
	}
	if o.First {
		o.Limit = 1
	}
	return o
}

// Bounds of the search through fields.
const (
	findVisits = 200_000 // structs looked into
	findElems  = 16      // elements looked at of each slice, array and map
)

// Find looks for values of type t, pointers to it and interfaces that hold either, in package variables, in the
// arguments and locals of all goroutines' frames, and in what closures there captured; each address once. Only where
// that finds nothing does it look on through fields (FindOptions.All: always). truncated tells that a bound ended the
// search.
func (s *Space) Find(t *symbols.Type, opt FindOptions) (found []Found, truncated bool, err error) {
	opt = opt.whole()
	key := findKey{t, opt}
	before, again := s.searches[key]
	if s.witness != nil { // who asks a recording has to search, and needs what was searched
		before, again = nil, false
	}
	if opt.First || opt.Remember {
		if f := newFinder(s, t, opt); f.recall(before) {
			return f.found, false, nil
		}
	}
	f := newFinder(s, t, opt)
	f.keepRoots = opt.Depth > 0
	f.packageVars()
	if !f.done() {
		err = f.frames()
	}
	enough := func() bool { return len(f.found) > 0 && !opt.All }
	searched := true
	if !enough() && opt.Depth > 0 {
		// The search through fields touches much. One that was made before (in the rehearsal of a stop) is believed
		// where each pointer on the way still holds.
		for _, b := range before {
			if b.g == 0 && b.via.holds(s) {
				f.add(b.Value, b.Where, b.Goroutine, b.via)
			}
		}
		believed := opt.All && again && (len(f.found) > 0 || len(before) == 0)
		if searched = !enough() && !believed; searched {
			f.throughFields(opt.Depth)
		}
	}
	if searched {
		s.searches[key] = f.found
	}
	return f.found, f.truncated && !opt.First, err
}

// findDepth is how far find(T, "where") looks.
const findDepth = 6

// FindAt finds the value that Find finds at a certain place. What an earlier search of this Space found is believed if
// its pointers still lead there.
func (s *Space) FindAt(t *symbols.Type, where string) (Found, error) {
	for key, before := range s.searches {
		for _, b := range before {
			if key.want != t || b.Where != where {
				continue
			}
			f := newFinder(s, t, FindOptions{Limit: len(before)})
			f.recall([]Found{b})
			for _, again := range f.found {
				if again.Value.Addr == b.Value.Addr && (again.Where == where || b.g == 0) {
					return again, nil
				}
			}
		}
	}
	var err error
	for _, opt := range []FindOptions{{}, {All: true, Depth: findDepth}} {
		var found []Found
		found, _, err = s.Find(t, opt)
		for _, f := range found {
			if f.Where == where {
				return f, nil
			}
		}
	}
	return Found{}, fmt.Errorf("no %s is at %q any more (ri find %s shows where there are some): %w", t.Name, where,
		t.Name, errors.Join(err, ErrNotOne))
}

func newFinder(s *Space, t *symbols.Type, opt FindOptions) *finder {
	return &finder{s: s, want: t, limit: opt.Limit, first: opt.First, seen: map[uint64]bool{},
		visited: map[place]bool{}, stacks: map[int64][2]uint64{}, dull: map[int32]bool{},
		inScope: map[framePlace][]frameCandidate{}}
}

// recall finds again what was found before; it tells whether all of it is still there. In frames it is looked for anew,
// in the frames of that goroutine: a word that is left on a stack proves nothing.
func (f *finder) recall(before []Found) bool {
	looked := map[uint64]bool{}
	for _, b := range before {
		switch {
		case b.g == 0:
			if b.via.holds(f.s) {
				f.add(b.Value, b.Where, b.Goroutine, b.via)
			}
		case !looked[b.g]:
			looked[b.g] = true
			g, err := f.s.GoroutineAt(b.g)
			if err == nil && g != nil && g.ID == b.Goroutine {
				f.framesOf(g)
			}
		}
		if !f.seen[b.Value.Addr] {
			return false
		}
	}
	return len(before) > 0
}

// done tells whether enough was found.
func (f *finder) done() bool { return f.truncated || f.first && len(f.found) > 0 }

type place struct {
	addr uint64
	typ  *symbols.Type
}

type root struct {
	value     Value
	where     string
	goroutine int64
	via       *link
}

// follow notes that the word at slot was followed.
func (f *finder) follow(via *link, slot uint64) *link {
	word, err := f.s.Uint64(slot)
	if err != nil {
		return via
	}
	return &link{via, slot, word}
}

type finder struct {
	s         *Space
	want      *symbols.Type
	limit     int
	first     bool
	inFrames  uint64 // the runtime.g whose frames are looked at
	found     []Found
	truncated bool
	seen      map[uint64]bool
	visited   map[place]bool
	stacks    map[int64][2]uint64 // by goroutine
	dull      map[int32]bool      // stacks, as they are remembered, without a variable that is worth a look
	inScope   map[framePlace][]frameCandidate
	keepRoots bool
	roots     []root // where the search through fields begins
}

// wanted tells whether a variable of type t can hold what is sought without going through fields.
func (f *finder) wanted(t *symbols.Type) bool {
	switch t.Kind {
	case reflect.Interface, reflect.Func:
		return true
	case reflect.Pointer:
		return t.Elem() != nil && (t.Elem() == f.want || f.wantedPointee(t.Elem()))
	}
	return t == f.want || t.DictIndex() >= 0
}

func (f *finder) wantedPointee(t *symbols.Type) bool {
	return t.Kind == reflect.Pointer && t.Elem() == f.want
}

func (f *finder) add(v Value, where string, goroutine int64, via *link) {
	if f.seen[v.Addr] {
		return
	}
	if len(f.found) >= f.limit {
		f.truncated = true
		return
	}
	// No value lies in the code: that is a return address, taken for a pointer on a stack in motion.
	if _, code := f.s.PC(v.Addr); code {
		return
	}
	// An address that can't be read is none of its values.
	if _, err := f.s.Slice(v.Addr, int(min(max(v.Type.Size, 1), 8))); err != nil {
		return
	}
	f.seen[v.Addr] = true
	stack := f.stacks[goroutine]
	f.found = append(f.found, Found{v, where, goroutine, v.Addr >= stack[0] && v.Addr < stack[1], via, f.inFrames})
}

// direct adds v if it is, points to, or holds the type sought; it tells whether it was.
func (f *finder) direct(v Value, where string, goroutine int64, via *link) bool {
	for range 4 {
		if v.Type == f.want {
			f.add(v, where, goroutine, via)
			return true
		}
		switch v.Type.Kind {
		case reflect.Pointer, reflect.Interface:
			next, err := v.Elem()
			if err != nil {
				return false
			}
			via = f.follow(via, pointerSlot(v))
			v = next
		case reflect.Func:
			fn, err := v.Func()
			if err != nil {
				return false
			}
			hit := false
			for _, c := range fn.Captured {
				if c.Value.Type.Kind != reflect.Func && f.direct(c.Value, where+"."+c.Name, goroutine, f.follow(via, v.Addr)) {
					hit = true
				}
			}
			return hit
		default:
			return false
		}
	}
	return false
}

func (f *finder) packageVars() {
	for _, v := range f.s.file.AllVars() {
		if f.done() {
			return
		}
		if v.Type.Kind != reflect.Invalid {
			f.root(f.s.At(v.Addr+f.s.bias, v.Type), v.Name, 0)
		}
	}
}

func (f *finder) root(v Value, where string, goroutine int64) {
	if f.wanted(v.Type) && f.direct(v, where, goroutine, nil) {
		return
	}
	if f.keepRoots && hasPointers(v.Type) {
		f.roots = append(f.roots, root{v, where, goroutine, nil})
	}
}

// hasPointers tells whether the search can go on from a value of this type.
func hasPointers(t *symbols.Type) bool {
	switch t.Kind {
	case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Slice, reflect.Map, reflect.Array, reflect.Func:
		return true
	}
	return false
}

func (f *finder) frames() error {
	for g, err := range f.s.Goroutines() {
		if g == nil {
			return err
		}
		f.framesOf(g)
		if f.done() {
			return nil
		}
	}
	return nil
}

// pointerSlot is where the pointer of a pointer or interface stands.
func pointerSlot(v Value) uint64 {
	if v.Type.Kind == reflect.Interface {
		return v.Addr + 8
	}
	return v.Addr
}

// throughFields searches breadth first, one pointer a level, so that what is nearest to a variable comes first.
func (f *finder) throughFields(depth int) {
	level := f.roots
	visits := 0
	for range depth + 1 {
		var next []root
		for _, r := range level {
			if visits++; visits > findVisits || f.truncated || f.done() {
				f.truncated = true
				return
			}
			f.contents(r, &next, 0)
		}
		level = next
	}
}

// mayLeadOn tells whether parts of type t are worth a look.
func (f *finder) mayLeadOn(t *symbols.Type) bool { return t != nil && (hasPointers(t) || t == f.want) }

// contents looks at what lies in a value itself and collects what it points to.
func (f *finder) contents(r root, next *[]root, nested int) {
	v := r.value
	if nested > 8 || f.visited[place{v.Addr, v.Type}] {
		return
	}
	f.visited[place{v.Addr, v.Type}] = true
	if v.Type.Kind != reflect.Struct && v.Type.Kind != reflect.Array {
		r.via = f.follow(r.via, pointerSlot(v))
	}
	part := func(p Value, name string) { f.part(root{p, r.where + name, r.goroutine, r.via}, next, nested+1) }
	switch v.Type.Kind {
	case reflect.Pointer, reflect.Interface:
		if inner, err := v.Elem(); err == nil && !(inner.IsValid() && inner.Type.Boundless()) {
			r.value = inner
			f.contents(r, next, nested+1)
		}
	case reflect.Func:
		fn, _ := v.Func()
		for _, c := range fn.Captured {
			part(c.Value, "."+c.Name)
		}
	case reflect.Struct:
		for _, field := range v.Type.Fields() {
			if f.mayLeadOn(field.Type) {
				part(f.s.At(v.Addr+uint64(field.Offset), field.Type), "."+field.Name)
			}
		}
	case reflect.Slice, reflect.Array, reflect.Map:
		if f.mayLeadOn(v.Type.Elem()) {
			elements(v, part)
		}
	}
}

// part looks at a part of a value, or keeps it for the next level.
func (f *finder) part(r root, next *[]root, nested int) {
	t := r.value.Type
	switch {
	case t == f.want:
		f.add(r.value, r.where, r.goroutine, r.via)
	case f.wanted(t) && f.direct(r.value, r.where, r.goroutine, r.via):
	case t.Kind == reflect.Struct || t.Kind == reflect.Array:
		f.contents(r, next, nested)
	case hasPointers(t):
		*next = append(*next, r)
	}
}

// elements looks at the first elements of a slice, array or map.
func elements(v Value, part func(p Value, name string)) {
	if v.Type.Kind == reflect.Map {
		n := 0
		for e, err := range v.Entries() {
			if n++; err != nil || n > findElems {
				return
			}
			part(e.Value, "["+e.Key.Dump(DumpOptions{OneLine: true, Depth: 1, Bytes: 32})+"]")
		}
		return
	}
	n, _ := v.Len()
	for i := range min(n, findElems) {
		if e, err := v.Index(i); err == nil {
			part(e, fmt.Sprintf("[%d]", i))
		}
	}
}
