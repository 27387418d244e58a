package heap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"ri/symbols"
	"ri/values"
)

// This file answers who keeps objects: by the first way to each (Retainers), and by all ways to one (Users).

// Instances gives the addresses of up to limit live objects of a type, as Types names it.
func (h *Heap) Instances(name string, limit int) []uint64 {
	ids, size := h.shapesNamed(name)
	var out []uint64
	h.eachLive(func(sp *span, object uint32) bool {
		if id := h.types[object] >> 2; ids[id] && (id != 0 || sp.size == size) {
			if len(out) >= limit {
				return false
			}
			out = append(out, sp.base(object)+sp.header())
		}
		return true
	})
	return out
}

// shapesNamed gives the shapes of a name, full or with import paths cut; for untyped objects 0, and the size of their
// slots.
func (h *Heap) shapesNamed(name string) (ids map[uint32]bool, size uint64) {
	ids = map[uint32]bool{}
	if _, err := fmt.Sscanf(name, "(untyped, slots of %d bytes)", &size); err == nil {
		ids[0] = true
		return ids, size
	}
	for id, s := range h.shapes {
		if id > 0 && (s.name == name || h.s.File().ShortName(s.name) == name) {
			ids[uint32(id)] = true
		}
	}
	return ids, 0
}

// TypeNamed tells whether there are objects of a type; if not, near names of those that there are.
func (h *Heap) TypeNamed(name string) (ok bool, near []string) {
	if ids, _ := h.shapesNamed(name); len(ids) > 0 {
		return true, nil
	}
	var names []string
	for _, s := range h.shapes[1:] {
		names = append(names, h.s.File().ShortName(s.name))
	}
	return false, symbols.Near(name, names, 3)
}

// Retainer is a group of objects of one type that are kept in the same way.
type Retainer struct {
	Count, Bytes int64
	// type of the object that keeps them, past the stores of slices and maps; "" if the root does itself
	Holder    string
	Root      string       // what that hangs off: a package variable, or a function whose frames hold it
	CreatedBy symbols.Line // of goroutines that hold it: the go statement
	Goroutine int64        // one of them
	Example   uint64       // one of the objects
}

type retainerKey struct {
	holder uint32
	root   string
}

// Retainers tells who keeps the objects of a type: by the object that the first way to each leads through, and by the
// root. The largest group first.
func (h *Heap) Retainers(name string) ([]Retainer, error) {
	ids, size := h.shapesNamed(name)
	rootOf := make([]uint32, h.slots)
	names := map[uint32]string{}
	groups := map[retainerKey]*Retainer{}
	var ended error
	n := int64(0)
	h.eachLive(func(sp *span, object uint32) bool {
		id := h.types[object] >> 2
		if !ids[id] || id == 0 && sp.size != size {
			return true
		}
		if n++; n%(1<<14) == 0 {
			if ended = h.step("objects", n, 0); ended != nil {
				return false
			}
		}
		root := h.rootOf(object, rootOf)
		label, ok := names[root]
		if !ok {
			label = h.rootLabel(root)
			names[root] = label
		}
		key := retainerKey{h.holder(object, ids), label}
		r := groups[key]
		if r == nil {
			r = &Retainer{Root: label, Example: sp.base(object) + sp.header()}
			if key.holder != 0 {
				r.Holder = h.shapes[key.holder].name
			}
			if root&rootFlag != 0 {
				if at := &h.roots[root&^rootFlag]; at.goroutine != 0 {
					r.Goroutine, r.CreatedBy = at.goroutine, h.goroutines[at.index].CreatedBy
				}
			}
			groups[key] = r
		}
		r.Count++
		r.Bytes += int64(sp.size)
		return true
	})
	return sorted(groups, func(a, b *Retainer) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Root+a.Holder, b.Root+b.Holder))
	}), ended
}

// rootOf gives the root at the end of an object's chain. known remembers those of the objects on the way.
func (h *Heap) rootOf(object uint32, known []uint32) uint32 {
	var way []uint32
	ref := object + 1
	for len(way) < maxPathSteps && ref != noParent && ref&rootFlag == 0 {
		if r := known[ref-1]; r != 0 {
			ref = r
			break
		}
		way = append(way, ref-1)
		ref = h.parents[ref-1]
	}
	for n := 0; ref&rootFlag != 0 && n < 1000; n++ { // what is static hangs off something
		parent := h.roots[ref&^rootFlag].parent
		if parent == noParent {
			break
		}
		ref = parent
		for ; ref != noParent && ref&rootFlag == 0; ref = h.parents[ref-1] {
		}
	}
	for _, o := range way {
		known[o] = ref
	}
	return ref
}

// rootLabel names a root for groups: goroutines that do the same are one.
func (h *Heap) rootLabel(ref uint32) string {
	if ref&rootFlag == 0 {
		return "?"
	}
	r := &h.roots[ref&^rootFlag]
	switch r.kind {
	case rootFrame:
		if frames := h.s.FramesAt(r.pc, r.exact); len(frames) > 0 {
			return "goroutines in " + h.s.File().ShortName(frames[len(frames)-1].Func)
		}
		return "goroutines"
	case rootRegisters:
		return "registers of goroutines"
	case rootData:
		return "package data"
	case rootFinalizer:
		return "finalizers and cleanups"
	case rootGoroutine:
		return "goroutines that wait for it"
	}
	return h.rootName(r)
}

// holder finds the object that keeps another, past the stores of slices and maps and past objects of the same types.
func (h *Heap) holder(object uint32, same map[uint32]bool) uint32 {
	for n, ref := 0, h.parents[object]; n < 1000 && ref != noParent && ref&rootFlag == 0; n, ref = n+1, h.parents[ref-1] {
		id := h.types[ref-1] >> 2
		if same[id] || id == 0 {
			continue
		}
		switch h.shapes[id].form {
		case formOne, formClosure, formChan:
			return id
		}
	}
	return 0
}

// Users is what leads to an object, by whatever way.
type Users struct {
	Variables  []string // package variables
	Goroutines []User
	Other      []string // finalizers and the like
	Truncated  bool     // too much leads there for all of it to be gone through
}

// User is a goroutine from whose stack a way leads to an object.
type User struct {
	Goroutine *values.Goroutine
	Waits     bool // for a channel, lock, WaitGroup or Cond
	Never     bool // and nothing can wake it
}

// edges are all pointers between objects and from roots to objects, turned round.
type edges struct {
	first []uint32 // of each object: index in from
	from  []uint32
	roots []rootEdge // by object
}

type rootEdge struct {
	object uint32
	root   uint32
}

// reverse turns all pointers round, once.
func (h *Heap) reverse() (*edges, error) {
	if h.edges != nil {
		return h.edges, nil
	}
	e := &edges{first: make([]uint32, h.slots+1)}
	count := true
	total := int64(0)
	var last uint32
	defer func() { h.collect = nil }()
	h.collect = func(object, parent uint32) {
		if parent&rootFlag != 0 {
			if count {
				e.roots = append(e.roots, rootEdge{object, parent})
			}
			return
		}
		if object == last { // a row of pointers to the same
			return
		}
		last = object
		if count {
			e.first[object+1]++
			total++
			return
		}
		h.fill[object]++
		e.from[e.first[object]+h.fill[object]-1] = parent - 1
	}
	for _, count = range []bool{true, false} {
		h.statics = map[staticKey]uint32{}
		n := int64(0)
		var ended error
		h.eachLive(func(sp *span, object uint32) bool {
			last = rootFlag
			if sp.kind != spanNoPointers {
				h.scan(object)
			}
			if n++; n%(1<<15) == 0 {
				ended = h.step("pointers", n, h.live)
			}
			return ended == nil
		})
		if ended != nil {
			return nil, ended
		}
		if count {
			if total >= rootFlag {
				return nil, fmt.Errorf("more than %d pointers: %w", uint32(rootFlag), values.ErrCorrupt)
			}
			h.statics = map[staticKey]uint32{}
			if err := h.rootEdges(); err != nil {
				return nil, err
			}
			for i := range h.slots {
				e.first[i+1] += e.first[i]
			}
			e.from = make([]uint32, total)
			h.fill = make([]uint32, h.slots)
		}
	}
	h.fill = nil
	sort.Slice(e.roots, func(i, j int) bool { return e.roots[i].object < e.roots[j].object })
	h.edges = e
	return e, nil
}

// rootEdges goes through all roots once more.
func (h *Heap) rootEdges() error {
	if err := h.markVarsWhere(func(*symbols.Var) bool { return true }); err != nil {
		return err
	}
	for i := range h.goroutines {
		if i%256 == 0 {
			if err := h.step("stacks", int64(i), int64(len(h.goroutines))); err != nil {
				return err
			}
		}
		h.markStack(i)
	}
	for _, m := range h.modules {
		h.markData(m)
	}
	h.markSpecials()
	h.markQueued()
	return context.Cause(h.ctx)
}

// MaxUsers is how many objects Users goes through at most.
const MaxUsers = 4 << 20

// leading finds all objects from which a way leads to the one at an address, itself included, and tells each root
// that leads to one of them; what is static may have been reached from an object, which root gives, or is noParent.
func (h *Heap) leading(addr uint64, most int, root func(ref uint32) (via uint32)) (
	seen map[uint32]bool, truncated bool, err error,
) {
	sp, slot := h.find(addr)
	if sp == nil {
		return nil, false, fmt.Errorf("%#x lies in no object of the heap: %w", addr, values.ErrNotFound)
	}
	e, err := h.reverse()
	if err != nil {
		return nil, false, err
	}
	seen = map[uint32]bool{sp.first + slot: true}
	work := []uint32{sp.first + slot}
	for len(work) > 0 {
		object := work[0]
		work = work[1:]
		at := sort.Search(len(e.roots), func(i int) bool { return e.roots[i].object >= object })
		for ; at < len(e.roots) && e.roots[at].object == object; at++ {
			if via := root(e.roots[at].root); via != noParent && !seen[via-1] {
				seen[via-1] = true
				work = append(work, via-1)
			}
		}
		for _, from := range e.from[e.first[object]:e.first[object+1]] {
			if seen[from] {
				continue
			}
			if len(seen) >= most {
				truncated = true
				continue
			}
			seen[from] = true
			work = append(work, from)
		}
		if len(seen)%1024 == 0 {
			if err := context.Cause(h.ctx); err != nil {
				return nil, false, err
			}
		}
	}
	return seen, truncated, nil
}

// Users tells which package variables and which goroutines' stacks lead to the object at an address, by whatever way.
// How a goroutine waits is no use: the wait list of a channel leads to goroutines, but not back. The first call takes
// as long as the walk itself, and 4 bytes for each pointer in the heap. Where more than most objects lead to it, not
// all are gone through.
func (h *Heap) Users(addr uint64, most int) (*Users, error) {
	users := &Users{}
	goroutines := map[int]bool{}
	variables, other := map[string]bool{}, map[string]bool{}
	_, truncated, err := h.leading(addr, most,
		func(ref uint32) uint32 { return h.user(ref, variables, other, goroutines) })
	if err != nil {
		return nil, err
	}
	users.Truncated = truncated
	for name := range variables {
		users.Variables = append(users.Variables, name)
	}
	for name := range other {
		users.Other = append(users.Other, name)
	}
	slices.Sort(users.Variables)
	slices.Sort(users.Other)
	waits := map[int]*Waiting{}
	for i := range h.waits {
		waits[h.waits[i].index] = &h.waits[i]
	}
	for i := range h.goroutines {
		if goroutines[i] {
			w := waits[i]
			users.Goroutines = append(users.Goroutines, User{h.goroutines[i], w != nil, w != nil && w.Never})
		}
	}
	return users, nil
}

// origin is the root that what is static hangs off; nil if that is an object, via.
func (h *Heap) origin(ref uint32) (r *heapRoot, via uint32) {
	r = &h.roots[ref&^rootFlag]
	for n := 0; r.kind == rootStatic && n < 1000; n++ {
		if r.parent&rootFlag == 0 {
			return nil, r.parent
		}
		r = &h.roots[r.parent&^rootFlag]
	}
	return r, noParent
}

// user notes a root; what is static may have been reached from an object, which it gives.
func (h *Heap) user(ref uint32, variables, other map[string]bool, goroutines map[int]bool) (via uint32) {
	r, via := h.origin(ref)
	if r == nil {
		return via
	}
	switch r.kind {
	case rootFrame, rootRegisters, rootGoroutine: // the last: the runtime's notes of deferred calls
		goroutines[r.index] = true
	case rootVar:
		variables[h.rootName(r)] = true
	default:
		other[h.rootLabel(ref)] = true
	}
	return noParent
}
