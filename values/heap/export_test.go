package heap

import "fmt"

// Left counts the objects that the allocator has taken and that nothing was found to lead to.
func (h *Heap) Left() (n int) {
	h.eachLeft(func(*span, uint32) { n++ })
	return n
}

func (h *Heap) eachLeft(f func(sp *span, slot uint32)) {
	for i := range h.spans {
		sp := &h.spans[i]
		for slot := range uint32(uint64(len(sp.data)) / max(sp.size, 1)) {
			if h.taken(sp, slot) && !h.isLive(sp.first+slot) {
				f(sp, slot)
			}
		}
	}
}

// LeftBySize says what they are: the kind of span, the size of its slots, the type that the allocator noted.
func (h *Heap) LeftBySize() string {
	out := map[string]int{}
	h.eachLeft(func(sp *span, slot uint32) {
		what := fmt.Sprint(sp.kind, " ", sp.size)
		if sp.kind == spanHeader || sp.kind == spanLarge {
			id, _ := h.fitNoted(sp, uint64(slot)*sp.size, sp.header(), 0, nil)
			what += " " + h.describe(id, sp.size)
		}
		out[what]++
	})
	return fmt.Sprint(out)
}
