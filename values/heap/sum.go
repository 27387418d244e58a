package heap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"

	"ri/values"
)

// This file sums the heap up in other ways than by type: by what holds it (for profiles), by the size of single
// containers, by finalizers, and by the allocator's own spans.

// Stack is the live objects that are held in the same way: by objects of the same types in the same order, down from a
// root.
type Stack struct {
	// the objects' type first, then what holds them, a root last; a type that holds itself, as in a list, is there once
	Frames       []string
	Count, Bytes int64
}

// Bounds of Stacks.
const (
	maxHeapStacks     = 200_000
	maxHeapStackDepth = 100
)

// holdNode is a type in the tree of what holds what.
type holdNode struct {
	parent       uint32
	shape        uint32 // with rootFlag: a root's label
	depth        int
	count, bytes int64
}

type holdKey struct{ parent, shape uint32 }

// holdTree is that tree: a path in it is a chain of types, down from a root.
type holdTree struct {
	h      *Heap
	nodes  []holdNode // the first is above all roots
	next   map[holdKey]uint32
	of     []uint32 // of each slot
	ofRoot []uint32

	labels   []string
	labelIDs map[string]uint32
	way      []uint32 // objects that have no node yet, the innermost first
}

// child goes to a type that a node holds. Beyond the bounds it stays.
func (t *holdTree) child(parent, shape uint32) uint32 {
	key := holdKey{parent, shape}
	if n, ok := t.next[key]; ok {
		return n
	}
	if len(t.nodes) >= maxHeapStacks || t.nodes[parent].depth >= maxHeapStackDepth {
		return parent
	}
	n := uint32(len(t.nodes))
	t.nodes = append(t.nodes, holdNode{parent: parent, shape: shape, depth: t.nodes[parent].depth + 1})
	t.next[key] = n
	return n
}

// root is the node of a root; roots of the same label share one.
func (t *holdTree) root(ref uint32) uint32 {
	i := ref &^ rootFlag
	if t.ofRoot[i] == 0 {
		label := t.h.rootLabel(ref)
		id, ok := t.labelIDs[label]
		if !ok {
			id = uint32(len(t.labels))
			t.labels = append(t.labels, label)
			t.labelIDs[label] = id
		}
		t.ofRoot[i] = t.child(0, rootFlag|id)
	}
	return t.ofRoot[i]
}

// node is that of an object. It goes up to a root, or to an object whose node is known, and down again.
func (t *holdTree) node(object uint32) (node uint32) {
	h, ref := t.h, object+1
	t.way = t.way[:0]
	for len(t.way) < maxPathSteps && ref != noParent {
		if ref&rootFlag != 0 {
			if r := &h.roots[ref&^rootFlag]; r.parent != noParent && r.kind == rootStatic {
				ref = r.parent
				continue
			}
			node = t.root(ref)
			break
		}
		if node = t.of[ref-1]; node != 0 {
			break
		}
		t.way = append(t.way, ref-1)
		ref = h.parents[ref-1]
	}
	for _, object := range slices.Backward(t.way) {
		if id := h.types[object] >> 2; t.nodes[node].shape != id || id == 0 || t.nodes[node].parent == 0 {
			node = t.child(node, id)
		}
		t.of[object] = node
	}
	return node
}

// stack is the way up from a node.
func (t *holdTree) stack(node uint32) Stack {
	s := Stack{Count: t.nodes[node].count, Bytes: t.nodes[node].bytes}
	for ; node != 0; node = t.nodes[node].parent {
		if id := t.nodes[node].shape; id&rootFlag != 0 {
			s.Frames = append(s.Frames, t.labels[id&^rootFlag])
		} else {
			s.Frames = append(s.Frames, t.h.shapes[id].name)
		}
	}
	return s
}

// Stacks groups all live objects by the chains of types that hold them. Chains deeper than a hundred types, and those
// beyond the first 200,000, count where they are cut off.
func (h *Heap) Stacks() ([]Stack, error) {
	t := &holdTree{h: h, nodes: []holdNode{{}}, next: map[holdKey]uint32{}, labelIDs: map[string]uint32{},
		of: make([]uint32, h.slots), ofRoot: make([]uint32, len(h.roots))}
	n := int64(0)
	var ended error
	h.eachLive(func(sp *span, object uint32) bool {
		if n++; n%(1<<15) == 0 {
			if ended = h.step("objects", n, h.live); ended != nil {
				return false
			}
		}
		node := t.node(object)
		t.nodes[node].count++
		t.nodes[node].bytes += int64(sp.size)
		return true
	})
	var out []Stack
	for i := range t.nodes[1:] {
		if t.nodes[i+1].count > 0 {
			out = append(out, t.stack(uint32(i+1)))
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Bytes > out[j].Bytes })
	return out, ended
}

// BigContainer is a map, the store behind a slice, a string or a channel.
type BigContainer struct {
	Kind     string // "map", "slice", "string", "chan"
	Type     string // "map[string]*main.Object", "[]byte"
	Addr     uint64
	Len, Cap int64 // elements; the length of a slice isn't known to its store, -1; -1 where there is no capacity
	Bytes    int64 // with a map's tables or a channel's buffer
	// Keeps is how many bytes were reached first by a way through it, it included, and Kept of which types these are,
	// without it: those of which there are most.
	Keeps int64
	Kept  []Kept
}

// Biggest gives the largest containers of each kind, by bytes, limit of each.
func (h *Heap) Biggest(limit int) []BigContainer {
	kinds := map[string][]BigContainer{}
	prune := func(kind string) {
		list := kinds[kind]
		sort.Slice(list, func(i, j int) bool { return list[i].Bytes > list[j].Bytes })
		kinds[kind] = list[:min(len(list), limit)]
	}
	h.eachLive(func(sp *span, object uint32) bool {
		id := h.types[object] >> 2
		if id == 0 {
			return true
		}
		s := h.shapes[id]
		base := sp.base(object)
		c := BigContainer{Type: s.name, Addr: base + sp.header(), Len: -1, Cap: -1, Bytes: int64(sp.size)}
		switch s.form {
		case formArray:
			c.Kind = "slice"
			c.Cap = int64((sp.size - sp.header()) / max(s.size, 1))
		case formText:
			c.Kind, c.Len = "string", int64(sp.size)
		case formMap:
			c.Kind = "map"
			l, err := h.s.MapLayout(s.of)
			if err != nil {
				return true
			}
			n, err := h.s.Field(base+sp.header(), l.Count)
			if err != nil || n > maxObjects {
				return true
			}
			c.Len = int64(n)
			c.Bytes += h.mapBytes(s, base+sp.header(), c.Len)
		case formChan:
			c.Kind = "chan"
			l := &h.s.Layouts().Channel
			data := sp.contents(sp.offset(object))
			if uint64(len(data)) < sp.size {
				return true
			}
			c.Len, c.Cap = int64(l.Count.Uint(data)), int64(l.Capacity.Uint(data))
			if c.Cap <= 0 || c.Cap > maxObjects || c.Len < 0 { // most have no buffer
				return true
			}
			if h.hasPointers(s.of) {
				c.Bytes += c.Cap * s.of.Size
			}
		default:
			return true
		}
		if kinds[c.Kind] = append(kinds[c.Kind], c); len(kinds[c.Kind]) >= 4*limit+1000 {
			prune(c.Kind)
		}
		return true
	})
	var out []BigContainer
	for _, kind := range []string{"map", "slice", "string", "chan"} {
		prune(kind)
		out = append(out, kinds[kind]...)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Bytes > out[j].Bytes })
	h.keep(out)
	return out
}

// mapBytes adds up what a map's header leads to: buckets, or directory, tables and groups. Small maps count by what
// they must have.
func (h *Heap) mapBytes(s *shape, addr uint64, n int64) int64 {
	l, err := h.s.MapLayout(s.of)
	if err != nil {
		return 0
	}
	size := func(p uint64) int64 {
		if sp, _ := h.find(p); sp != nil {
			return int64(sp.size)
		}
		return 0
	}
	if !l.Swiss {
		buckets, err := h.s.Field(addr, l.Buckets)
		if err != nil {
			return 0
		}
		old, _ := h.s.Field(addr, l.OldBuckets)
		return size(buckets) + size(old)
	}
	dir, err1 := h.s.Field(addr, l.Directory)
	count, err2 := h.s.Field(addr, l.Tables)
	if err1 != nil || err2 != nil || count > 1<<24 {
		return 0
	}
	total := size(dir)
	last := uint64(0)
	for i := range count {
		table, err := h.s.Uint64(dir + 8*i)
		if err != nil {
			break
		}
		if table == last {
			continue
		}
		last = table
		if groups, err := h.s.Field(table, l.Table.Groups); err == nil {
			total += size(table) + size(groups)
		}
	}
	return total
}

// Finalizer is something that runs when objects are gone.
type Finalizer struct {
	Kind  string // "finalizer", "cleanup"
	Type  string // of the objects
	Func  string // that will be called
	Count int64
	Live  int64  // objects that something leads to: not due
	Addr  uint64 // one of the objects
	// Queued objects are gone, and their finalizers wait to be run; until then they keep their memory: QueuedBytes.
	Queued, QueuedBytes int64
}

// Finalizers gives finalizers and cleanups, those of the same type and function together; most first.
func (h *Heap) Finalizers() []Finalizer {
	finalizer, _, cleanup := h.specialKinds()
	type key struct{ kind, typ, name string }
	groups := map[key]*Finalizer{}
	h.eachSpecial(func(sp *span, record, offset uint64, kind byte) {
		k := key{}
		slot := offset / sp.size
		if slot >= uint64(sp.count) {
			return
		}
		object := sp.first + uint32(slot)
		switch {
		case kind == finalizer:
			k.kind, k.name = "finalizer", h.specialFunc(h.table.Special.FinalizerFunc.At(record))
			if h.types[object]>>2 == 0 {
				h.types[object] = h.finalizedType(record, sp, offset)
			}
		case kind == cleanup && cleanup != 0:
			k.kind, k.name = "cleanup", h.specialFunc(h.table.Special.CleanupFunc.At(record))
		default:
			return
		}
		k.typ = h.describe(h.types[object]>>2, sp.size)
		f := groups[k]
		if f == nil {
			f = &Finalizer{Kind: k.kind, Type: k.typ, Func: k.name, Addr: sp.start + slot*sp.size}
			groups[k] = f
		}
		f.Count++
		if h.isLive(object) {
			f.Live++
		}
	})
	h.addQueued(func(typ, function string, size int64, addr uint64) {
		k := key{"finalizer", typ, function}
		f := groups[k]
		if f == nil {
			f = &Finalizer{Kind: k.kind, Type: k.typ, Func: k.name, Addr: addr}
			groups[k] = f
		}
		f.Count++
		f.Queued++
		f.QueuedBytes += size
	})
	return sorted(groups, func(a, b *Finalizer) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Type+a.Func, b.Type+b.Func))
	})
}

// specialFunc names the function whose closure a word leads to.
func (h *Heap) specialFunc(word uint64) string {
	closure, err := h.s.Uint64(word)
	if err != nil || closure == 0 {
		return ""
	}
	return h.closureFunc(closure)
}

// SpanClass is the allocator's spans of one kind.
type SpanClass struct {
	Use      string // "objects", "stacks" (and what else the runtime keeps in spans), "free"
	Size     int64  // of an object's slot; 0 for large objects, and of others
	Pointers bool   // the objects hold some
	Spans    int64
	Bytes    int64
	Slots    int64
	Used     int64 // slots taken, garbage that was not swept yet among them
}

// SpanClasses sums up the allocator's spans: runtime.mheap_.allspans, without looking at the objects.
func SpanClasses(ctx context.Context, s *values.Space) ([]SpanClass, error) {
	h := &Heap{s: s, ctx: ctx, problems: map[string]*problem{}}
	if err := h.readTable(); err != nil {
		return nil, err
	}
	l := &h.table.Span
	type key struct {
		use  string
		size int64
		scan bool
	}
	groups := map[key]*SpanClass{}
	for i := range h.table.count {
		if i%1024 == 0 {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		addr, err := s.Uint64(h.table.first + 8*i)
		if err != nil {
			return nil, fmt.Errorf("runtime.mheap_.allspans: %w", err)
		}
		b, err := s.Structure(addr, &l.Structure)
		if err != nil {
			return nil, fmt.Errorf("runtime.mspan: %w", err)
		}
		pages := l.Pages.Uint(b)
		if pages > 1<<34 {
			continue
		}
		k, slots, used := key{use: "free"}, int64(0), int64(0)
		switch l.State.Uint(b) {
		case spanInUse:
			class := l.Class.Uint(b)
			k.use, k.scan = "objects", class&1 == 0
			if class>>1 != 0 {
				k.size = int64(l.SlotSize.Uint(b))
			}
			slots, used = int64(l.Slots.Uint(b)), int64(l.Allocated.Uint(b))
		case 2: // runtime.mSpanManual
			k.use = "stacks"
		}
		g := groups[k]
		if g == nil {
			g = &SpanClass{Use: k.use, Size: k.size, Pointers: k.scan}
			groups[k] = g
		}
		g.Spans++
		g.Bytes += int64(pages << heapPageShift)
		g.Slots += slots
		g.Used += used
	}
	delete(groups, key{use: "free"}) // what is left of spans that were freed
	return sorted(groups, func(a, b *SpanClass) int {
		order := cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Use, b.Use))
		switch {
		case order != 0 || a.Pointers == b.Pointers:
			return order
		case a.Pointers:
			return -1
		}
		return 1
	}), nil
}

// sorted gives groups in order.
func sorted[K comparable, G any](groups map[K]*G, order func(a, b *G) int) []G {
	var out []G
	for _, g := range slices.SortedFunc(maps.Values(groups), order) {
		out = append(out, *g)
	}
	return out
}
