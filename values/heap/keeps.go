package heap

import (
	"cmp"
	"slices"
)

// Kept is objects of one type that a container keeps.
type Kept struct {
	Type         string
	Count, Bytes int64
}

// mostKept is of how many types it is told what a container keeps.
const mostKept = 5

// keeper is a container while it is summed up.
type keeper struct {
	above  int // the container through which this one was reached; -1: none
	depth  int // how many are above
	bytes  int64
	shapes map[uint32]*Kept
}

// Nobody keeps an object, or it isn't known yet.
const (
	keptUnknown = iota
	keptByNone
	keptFirst // by the first of the containers
)

// keep sums up what containers keep: what marking reached first by a way through them. What is reached on a shorter
// way, or an equal one that was gone before, counts there.
func (h *Heap) keep(list []BigContainer) {
	by := make([]uint32, h.slots) // of each slot: who keeps it
	keepers := make([]keeper, len(list))
	own := make([]uint32, len(list))
	index := map[uint32]int{} // of slots
	for i := range list {
		keepers[i] = keeper{above: -1, shapes: map[uint32]*Kept{}}
		if sp, slot := h.find(list[i].Addr); sp != nil {
			own[i] = sp.first + slot
			index[own[i]] = i
			by[own[i]] = keptFirst + uint32(i)
		}
	}
	var way []uint32
	find := func(ref uint32) uint32 { // the container nearest above, from a parent up
		way = way[:0]
		found := uint32(keptByNone)
		for steps := 0; ref != noParent && steps < maxPathSteps; steps++ {
			if ref&rootFlag != 0 {
				r := &h.roots[ref&^rootFlag]
				if r.parent == noParent || r.kind != rootStatic {
					break
				}
				ref = r.parent
				continue
			}
			if found = by[ref-1]; found != keptUnknown {
				break
			}
			way = append(way, ref-1)
			ref = h.parents[ref-1]
			found = keptByNone
		}
		for _, object := range way {
			by[object] = found
		}
		return found
	}
	for i := range list {
		if at, ok := index[own[i]]; ok && at == i {
			if above := find(h.parents[own[i]]); above >= keptFirst {
				keepers[i].above = int(above - keptFirst)
			}
		}
	}
	h.eachLive(func(sp *span, object uint32) bool {
		who := by[object]
		if who == keptUnknown {
			who = find(object + 1)
		}
		if who < keptFirst {
			return true
		}
		k := &keepers[who-keptFirst]
		k.bytes += int64(sp.size)
		if own[who-keptFirst] == object {
			return true
		}
		id := h.types[object] >> 2
		t := k.shapes[id]
		if t == nil {
			t = &Kept{}
			k.shapes[id] = t
		}
		t.Count++
		t.Bytes += int64(sp.size)
		return true
	})
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
		for at := keepers[i].above; at >= 0 && keepers[i].depth <= len(list); at = keepers[at].above {
			keepers[i].depth++
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(keepers[b].depth, keepers[a].depth) })
	for _, i := range order { // those within before those around them
		k := &keepers[i]
		list[i].Keeps, list[i].Kept = k.bytes, h.mostOf(k.shapes)
		if k.above < 0 || k.depth > len(list) {
			continue
		}
		around := &keepers[k.above]
		around.bytes += k.bytes
		id := h.types[own[i]] >> 2
		if _, there := k.shapes[id]; !there {
			k.shapes[id] = &Kept{}
		}
		k.shapes[id].Count++
		if sp, _ := h.find(list[i].Addr); sp != nil {
			k.shapes[id].Bytes += int64(sp.size)
		}
		for id, t := range k.shapes {
			if to := around.shapes[id]; to != nil {
				to.Count += t.Count
				to.Bytes += t.Bytes
			} else {
				around.shapes[id] = t
			}
		}
	}
}

// mostOf are the types of which there are the most bytes.
func (h *Heap) mostOf(shapes map[uint32]*Kept) []Kept {
	byName := map[string]*Kept{}
	for id, t := range shapes {
		name := "(untyped)"
		if id != 0 {
			name = h.shapes[id].name
		}
		if to := byName[name]; to != nil {
			to.Count += t.Count
			to.Bytes += t.Bytes
		} else {
			byName[name] = &Kept{name, t.Count, t.Bytes}
		}
	}
	out := sorted(byName, func(a, b *Kept) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	return slices.Clone(out[:min(len(out), mostKept)])
}
