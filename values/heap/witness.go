package heap

// A recording has of the heap what the walk needs: which words are pointers, and those; of objects whose type is known
// what their fields say. Who makes one listens (values.Witness) while the walk is made.

// holes gives n bytes of a recording, with zeros where it has none: words that aren't pointers.
func (h *Heap) holes(addr, n uint64) ([]byte, error) {
	b := make([]byte, min(n, maxHole))
	return b, h.sparse.ReadHoles(b, addr)
}

// words and bits tell who listens what is read past the page cache.
func (h *Heap) words(addr, n uint64) {
	if h.witness != nil {
		h.witness.Words(addr, int(n))
	}
}

func (h *Heap) bits(addr, n uint64) {
	if h.witness != nil {
		h.witness.Bits(addr, int(n))
	}
}

// tellAll tells of each object that is alive, but for arrays of numbers: they may be text.
func (h *Heap) tellAll() {
	if h.witness == nil {
		return
	}
	h.eachLive(func(sp *span, object uint32) bool {
		start := sp.base(object)
		addr := start + sp.header()
		if sp.kind != spanNoPointers {
			h.words(start, sp.size)
		}
		s := h.shapes[h.types[object]>>2]
		if s.form == formChan { // its type is that of the elements, which lie elsewhere or hold no pointers
			s = h.shapes[h.channel]
		}
		if s.typ == nil || s.size == 0 || s.typ.Numbers() {
			return true
		}
		h.witness.Touched(addr, int(sp.size-sp.header()))
		n := uint64(1)
		if s.repeated && h.types[object]&3 >= strengthExact { // else it is sure of the first at most
			n = (sp.size - sp.header()) / s.size
		}
		if n*s.size <= sp.size-sp.header() {
			h.witness.Objects(addr, s.typ, n)
		}
		return true
	})
}

// tellSpan tells of what the allocator keeps in a span itself.
func (h *Heap) tellSpan(sp *span) {
	if h.witness == nil {
		return
	}
	h.bits(sp.allocBits, uint64(sp.count+7)/8)
	small := h.table.inline && sp.size >= 16 && sp.size <= smallObject
	from := uint64(heapPageSize)
	if small && sp.kind != spanLarge {
		from -= inlineMarks
	}
	if sp.kind == spanBits {
		from -= heapPageSize / 64
	}
	if from < heapPageSize {
		h.bits(sp.start+from, heapPageSize-from)
	}
}
