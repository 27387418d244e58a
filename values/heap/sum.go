package heap

import (
	"context"
	"fmt"
	"ri/values"
	"sort"
)

// This file sums the heap up in other ways than by type: by what holds it (for profiles), by the size of single containers, by finalizers, and by
// the allocator's own spans.

// Stack is the live objects that are held in the same way: by objects of the same types in the same order, down from a root.
type Stack struct {
	Frames       []string // the objects' type first, then what holds them, a root last; a type that holds itself, as in a list, is there once
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

// Stacks groups all live objects by the chains of types that hold them. Chains deeper than a hundred types, and those beyond the first
// 200,000, count where they are cut off.
func (h *Heap) Stacks() ([]Stack, error) {
	nodes := []holdNode{{}}
	next := map[holdKey]uint32{}
	labels := []string{}
	labelIDs := map[string]uint32{}
	byRoot := make([]uint32, len(h.roots))
	child := func(parent, shape uint32) uint32 {
		key := holdKey{parent, shape}
		if n, ok := next[key]; ok {
			return n
		}
		if len(nodes) >= maxHeapStacks || nodes[parent].depth >= maxHeapStackDepth {
			return parent
		}
		nodes = append(nodes, holdNode{parent: parent, shape: shape, depth: nodes[parent].depth + 1})
		next[key] = uint32(len(nodes) - 1)
		return uint32(len(nodes) - 1)
	}
	root := func(ref uint32) uint32 {
		i := ref &^ rootFlag
		if byRoot[i] == 0 {
			label := h.rootLabel(ref)
			id, ok := labelIDs[label]
			if !ok {
				id = uint32(len(labels))
				labels = append(labels, label)
				labelIDs[label] = id
			}
			byRoot[i] = child(0, rootFlag|id)
		}
		return byRoot[i]
	}
	nodeOf := make([]uint32, h.slots)
	var way []uint32
	n := int64(0)
	var ended error
	h.eachLive(func(sp *span, object uint32) bool {
		if n++; n%(1<<15) == 0 {
			if ended = h.step("objects", n, h.live); ended != nil {
				return false
			}
		}
		way = way[:0]
		ref := object + 1
		node := uint32(0)
		for len(way) < maxPathSteps {
			if ref == noParent {
				break
			}
			if ref&rootFlag != 0 {
				if r := &h.roots[ref&^rootFlag]; r.parent != noParent && r.kind == rootStatic {
					ref = r.parent
					continue
				}
				node = root(ref)
				break
			}
			if known := nodeOf[ref-1]; known != 0 {
				node = known
				break
			}
			way = append(way, ref-1)
			ref = h.parents[ref-1]
		}
		for i := len(way) - 1; i >= 0; i-- {
			if id := h.types[way[i]] >> 2; nodes[node].shape != id || id == 0 || nodes[node].parent == 0 {
				node = child(node, id)
			}
			nodeOf[way[i]] = node
		}
		nodes[node].count++
		nodes[node].bytes += int64(sp.size)
		return true
	})
	var out []Stack
	for i := range nodes {
		if nodes[i].count == 0 || i == 0 {
			continue
		}
		s := Stack{Count: nodes[i].count, Bytes: nodes[i].bytes}
		for at := uint32(i); at != 0; at = nodes[at].parent {
			if id := nodes[at].shape; id&rootFlag != 0 {
				s.Frames = append(s.Frames, labels[id&^rootFlag])
			} else {
				s.Frames = append(s.Frames, h.shapes[id].name)
			}
		}
		out = append(out, s)
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
		base := sp.start + uint64(object-sp.first)*sp.size
		c := BigContainer{Type: s.name, Addr: base + h.headerOf(sp), Len: -1, Cap: -1, Bytes: int64(sp.size)}
		switch s.form {
		case formArray:
			c.Kind = "slice"
			c.Cap = int64((sp.size - h.headerOf(sp)) / max(s.size, 1))
		case formText:
			c.Kind, c.Len = "string", int64(sp.size)
		case formMap:
			c.Kind = "map"
			l, err := h.s.MapLayout(s.of)
			if err != nil {
				return true
			}
			n, err := h.s.Field(base+h.headerOf(sp), l.Count)
			if err != nil || n > maxObjects {
				return true
			}
			c.Len = int64(n)
			c.Bytes += h.mapBytes(s, base+h.headerOf(sp), c.Len)
		case formChan:
			c.Kind = "chan"
			l := &h.s.Layouts().Channel
			data := sp.contents(uint64(object-sp.first) * sp.size)
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
	return out
}

// mapBytes adds up what a map's header leads to: buckets, or directory, tables and groups. Small maps count by what they must have.
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
	var out []Finalizer
	for _, f := range groups {
		out = append(out, *f)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Count != out[j].Count {
			return out[i].Count > out[j].Count
		}
		return out[i].Type+out[i].Func < out[j].Type+out[j].Func
	})
	return out
}

// specialFunc names the function whose closure a word leads to.
func (h *Heap) specialFunc(word uint64) string {
	closure, err := h.s.Uint64(word)
	if err != nil || closure == 0 {
		return ""
	}
	pc, err := h.s.Uint64(closure)
	if err != nil {
		return ""
	}
	if info, ok := h.s.PC(pc); ok {
		return info.Func
	}
	return ""
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
	var out []SpanClass
	for _, g := range groups {
		if g.Use != "free" { // what is left of spans that were freed
			out = append(out, *g)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Bytes != out[j].Bytes {
			return out[i].Bytes > out[j].Bytes
		}
		if out[i].Size != out[j].Size {
			return out[i].Size < out[j].Size
		}
		return out[i].Use < out[j].Use || out[i].Use == out[j].Use && out[i].Pointers && !out[j].Pointers
	})
	return out, nil
}
