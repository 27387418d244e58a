package heap

import (
	"encoding/binary"
)

// This file marks: from the roots on, each object is visited once, breadth first, so that the first way that leads to
// an object is among the shortest. What a pointer's type says of the object that it leads to is kept with how much it
// is worth. Objects that are only weakly typed wait until all others were gone through; one that turns out to be better
// known later is gone through again.

// strength is how sure an object's shape is.
const (
	strengthNone = iota
	strengthWeak // a pointer into it, or to something smaller: the first field of a struct, say
	// a pointer to its beginning, the size is right, and the collector's pointer bits are those of the type; or the
	// allocator noted the type
	strengthExact
	strengthSure // the allocator noted the type, and the pointer says the same
)

// noParent is the parent of what nothing led to.
const noParent = 0

// rootFlag marks a parent that is a root; others are objects' numbers plus one.
const rootFlag = 1 << 31

// queue is a first-in first-out list of object numbers, in blocks that are given back.
type queue struct {
	blocks [][]uint32
	read   int // in the first block
}

const queueBlock = 1 << 14

func (q *queue) push(object uint32) {
	n := len(q.blocks)
	if n == 0 || len(q.blocks[n-1]) == queueBlock {
		q.blocks = append(q.blocks, make([]uint32, 0, queueBlock))
		n++
	}
	q.blocks[n-1] = append(q.blocks[n-1], object)
}

// batch gives what is first in the queue.
func (q *queue) batch(most int) []uint32 {
	for len(q.blocks) > 0 {
		b := q.blocks[0]
		if q.read < len(b) {
			n := min(most, len(b)-q.read)
			q.read += n
			return b[q.read-n : q.read]
		}
		q.blocks, q.read = q.blocks[1:], 0
	}
	return nil
}

// visit follows a pointer. candidate is the shape that its type promises, 0 for none.
func (h *Heap) visit(p uint64, candidate, parent uint32) {
	sp, slot := h.find(p)
	if sp == nil {
		if candidate != 0 && p >= h.dataLow && p < h.dataHigh {
			h.static(p, candidate, 1, parent)
		}
		return
	}
	h.visitObject(sp, slot, p, candidate, parent)
}

func (h *Heap) visitObject(sp *span, slot uint32, p uint64, candidate, parent uint32) {
	object := sp.first + slot
	if h.collect != nil {
		h.collect(object, parent)
		return
	}
	if candidate != 0 && candidate == h.timer && p == sp.start+uint64(slot)*sp.size+sp.header()+h.timerAt {
		candidate, p = h.timerIn, p-h.timerAt
	}
	seen := h.marks[object/64]>>(object%64)&1 != 0
	if seen && (candidate == 0 || h.types[object]&3 >= strengthExact && !h.betterName(sp, object, candidate)) {
		return
	}
	start := uint64(slot) * sp.size
	shape, strength := h.fit(sp, start, p-sp.start-start, candidate)
	switch {
	case !seen:
		h.marks[object/64] |= 1 << (object % 64)
		h.parents[object] = parent
		h.types[object] = shape<<2 | strength
		h.live++
	case strength > h.types[object]&3:
		h.types[object] = shape<<2 | strength
	default:
		return
	}
	if sp.kind == spanNoPointers {
		return
	}
	if strength >= strengthExact {
		h.typedWork.push(object)
	} else if !seen {
		h.untypedWork.push(object)
	}
}

// betterName tells whether a candidate may say more of an object than its type descriptor did: a map's groups, say,
// instead of a row of structs.
func (h *Heap) betterName(sp *span, object, candidate uint32) bool {
	return sp.kind >= spanHeader && h.types[object]&3 == strengthExact && h.shapes[candidate].form > formArray
}

// fit says what an object is, given what a pointer to its off-th byte promises. start is the object's offset in its
// span.
func (h *Heap) fit(sp *span, start, off uint64, candidate uint32) (id, strength uint32) {
	var c *shape
	if candidate != 0 {
		if candidate == h.channel && off == 0 {
			if candidate = h.channelAt(sp.start + start); candidate == 0 {
				return 0, strengthNone
			}
		}
		c = h.shape(candidate)
	}
	if sp.kind == spanHeader || sp.kind == spanLarge {
		if id, strength = h.fitNoted(sp, start, off, candidate, c); id != 0 {
			return id, strength
		}
	}
	switch {
	case c == nil || c.size == 0, off != 0 && !(c.repeated && off%c.size == 0):
		return 0, strengthNone
	case sp.kind == spanNoPointers:
		return fitPlain(sp, candidate, c)
	case c.partial:
		return candidate, strengthWeak
	}
	return h.fitBits(sp, start, off, candidate, c)
}

// fitNoted goes by the type that the allocator noted; 0 where that isn't known.
func (h *Heap) fitNoted(sp *span, start, off uint64, candidate uint32, c *shape) (id, strength uint32) {
	desc, header := sp.large, sp.header()
	if sp.kind == spanHeader {
		desc = binary.LittleEndian.Uint64(sp.data[start:])
	}
	noted := h.headerShape(desc, sp.size, header)
	if noted == 0 || c == nil {
		return noted, strengthExact
	}
	t := h.shapes[noted]
	if t.repeated && !c.repeated { // a pointer to the first element: the others are there, too
		return noted, strengthExact
	}
	if c.form <= formArray {
		if c.typ == t.typ && off == header {
			return candidate, strengthSure
		}
		return noted, strengthExact
	}
	// The same, and says what for: a map's groups, a channel's buffer.
	begins := off == header || c.repeated && off%max(c.size, 1) == header%max(c.size, 1)
	if c.size == t.size && begins {
		return candidate, strengthSure
	}
	return noted, strengthExact
}

// fitPlain judges an object without pointers.
func fitPlain(sp *span, candidate uint32, c *shape) (id, strength uint32) {
	switch {
	case c.mask != 0:
		return 0, strengthNone
	case c.repeated || c.form == formChan || slotSize(c.size) == sp.size:
		return candidate, strengthExact
	}
	return candidate, strengthWeak
}

// fitBits compares with the collector's pointer bits.
func (h *Heap) fitBits(sp *span, start, off uint64, candidate uint32, c *shape) (id, strength uint32) {
	bits := h.pointerBits(sp, start)
	switch {
	case c.size > sp.size:
		return 0, strengthNone
	case c.repeated:
		if c.size%8 == 0 && repeats(bits, c.mask, c.size/8, min(sp.size/8, 64)) {
			return candidate, strengthExact
		}
		return 0, strengthNone
	case bits == c.mask && slotSize(c.size) == sp.size:
		return candidate, strengthExact
	}
	for _, whole := range c.wholes {
		if id, strength := h.fit(sp, start, off, whole); strength == strengthExact {
			return id, strength
		}
	}
	if c.form == formOne && c.size%8 == 0 && repeats(bits, c.mask, c.size/8, min(sp.size/8, 64)) {
		return h.row(c.typ), strengthWeak // a pointer to the first of several, it seems
	}
	return candidate, strengthWeak
}

// repeats tells whether bits are the mask of one element again and again, from the first word on and as often as there
// is room or less.
func repeats(bits, mask, words, total uint64) bool {
	if mask == 0 || words == 0 {
		return false
	}
	have := uint64(0)
	for at := uint64(0); at < total; at += words {
		if have |= mask << at; have == bits {
			return true
		}
	}
	return false
}

// drain goes through all objects that were visited and not gone through.
func (h *Heap) drain() error {
	for {
		work := h.typedWork.batch(64)
		if work == nil {
			if work = h.untypedWork.batch(64); work == nil {
				return nil
			}
			for _, object := range work {
				if h.types[object]&3 < strengthExact {
					h.scan(object)
				}
			}
		} else {
			h.warm(work)
			for _, object := range work {
				h.scan(object)
			}
		}
		if h.done += int64(len(work)); h.done%(1<<15) < int64(len(work)) {
			if err := h.step("objects", h.done, int64(h.slots)); err != nil {
				return err
			}
		}
	}
}

// warm touches objects that are about to be gone through: the processor fetches them at the same time, not one after
// the other.
func (h *Heap) warm(objects []uint32) {
	sum := byte(0)
	for _, object := range objects {
		sp := h.spanOf(object)
		if at := sp.offset(object); at < uint64(len(sp.data)) {
			sum += sp.data[at]
		}
	}
	h.warmth = sum
}

// scan follows an object's pointers.
func (h *Heap) scan(object uint32) {
	sp := h.spanOf(object)
	start := sp.offset(object)
	data := sp.contents(start)
	addr := sp.start + start
	id, strength := h.types[object]>>2, h.types[object]&3
	parent := object + 1
	masked := h.maskedBits != nil && h.maskedBits[object/64]>>(object%64)&1 != 0
	skip := sp.header()
	if id != 0 {
		s := h.shape(id)
		n := uint64(1)
		if s.repeated && (strength >= strengthExact || !s.partial) && s.size > 0 {
			n = (sp.size - skip) / s.size
		}
		if len(s.slots) > 0 {
			h.scanSlots(s, data[skip:], addr+skip, n, parent, masked)
		}
		if strength >= strengthExact && !s.partial && (sp.kind != spanArena || sp.size <= smallObject) {
			return // the allocator noted the type, or all of the pointer bits were compared
		}
	}
	switch sp.kind {
	case spanBits:
		h.scanBits(h.pointerBits(sp, start), data, addr, parent, masked)
	case spanArena:
		h.scanArena(data, addr, parent, masked)
	case spanHeader, spanLarge: // of a type that isn't known: any word may be a pointer
		h.conservative += int64(len(data))
		for at := skip; at+8 <= uint64(len(data)); at += 8 {
			h.guess(binary.LittleEndian.Uint64(data[at:]), parent)
		}
	}
}

// scanSlots follows the pointers of n elements of a shape.
func (h *Heap) scanSlots(s *shape, data []byte, addr, n uint64, parent uint32, masked bool) {
	for i := range n {
		at := i * s.size
		for k := range s.slots {
			p := &s.slots[k]
			off := at + uint64(p.off)
			if off+8 > uint64(len(data)) {
				return
			}
			word := binary.LittleEndian.Uint64(data[off:])
			if word == 0 || masked && h.untraced[addr+off] {
				continue
			}
			if p.kind == slotTo || p.kind == slotRaw {
				if word >= h.dataLow && word < h.dataHigh && p.kind == slotTo &&
					h.shapes[p.target].form == formArray && off+16 <= uint64(len(data)) {
					h.static(word, p.target, binary.LittleEndian.Uint64(data[off+8:]), parent)
					continue
				}
				h.visit(word, p.target, parent)
				continue
			}
			other := uint64(0)
			if o := off + uint64(int64(p.other)); o+8 <= uint64(len(data)) {
				other = binary.LittleEndian.Uint64(data[o:])
			}
			h.visit(word, h.target(p, word, other), parent)
		}
	}
}

// target is the shape that a slot's pointer leads to.
func (h *Heap) target(p *slot, word, other uint64) uint32 {
	switch p.kind {
	case slotTo:
		return p.target
	case slotIface, slotEface:
		desc := other
		if p.kind == slotIface {
			desc = h.itabType(other)
		}
		d := h.dynamicOf(desc)
		if d.slot.kind == slotFunc {
			return h.closureAt(word)
		}
		return d.slot.target
	case slotFunc:
		return h.closureAt(word)
	case slotDirectory:
		if other == 0 {
			return p.target
		}
		return h.shapeOf(shapeKey{typ: h.shapes[p.target].of, form: formDirectory})
	}
	return 0
}

// staticFunc notes what a frame's word leads to, if that is a func value of the executable's own: of a function that
// captures nothing, which a deferred call has, say, and no variable.
func (h *Heap) staticFunc(addr uint64) {
	if addr%8 != 0 || len(h.staticFuncs) >= maxShapes {
		return
	}
	for i := range h.modules {
		m := &h.modules[i]
		if addr < m.rodata || addr >= m.image || addr >= h.dataLow && addr < h.dataHigh {
			continue
		}
		if pc, err := h.s.Uint64(addr); err == nil && pc >= m.text && pc < m.rodata {
			h.staticFuncs[addr] = true
		}
	}
}

// closureAt is the shape of the closure object at an address.
func (h *Heap) closureAt(addr uint64) uint32 {
	sp, slot := h.find(addr)
	if sp == nil {
		if addr >= h.dataLow && addr < h.dataHigh || addr < 1<<12 || len(h.staticFuncs) >= maxShapes {
			return 0
		}
		h.staticFuncs[addr] = true
		return 0
	}
	off := uint64(slot) * sp.size
	if addr != sp.start+off || off+8 > uint64(len(sp.data)) {
		return 0
	}
	pc := binary.LittleEndian.Uint64(sp.data[off:])
	if id, ok := h.closures[pc]; ok {
		return id
	}
	id := uint32(0)
	if info, ok := h.s.PC(pc); ok && info.Entry+h.s.Bias() == pc {
		id = h.shapeOf(shapeKey{form: formClosure, pc: pc})
	}
	if len(h.closures) < maxShapes {
		h.closures[pc] = id
	}
	return id
}

// scanBits follows the words that the bits name.
func (h *Heap) scanBits(bits uint64, data []byte, addr uint64, parent uint32, masked bool) {
	for at := 0; bits != 0 && at+8 <= len(data); at, bits = at+8, bits>>1 {
		if bits&1 == 0 {
			continue
		}
		if word := binary.LittleEndian.Uint64(data[at:]); word != 0 && !(masked && h.untraced[addr+uint64(at)]) {
			h.visit(word, 0, parent)
		}
	}
}

// scanArena follows the pointers that the arena's bitmap names, before Go 1.22.
func (h *Heap) scanArena(data []byte, addr uint64, parent uint32, masked bool) {
	const piece = 1 << 16
	for at := 0; at < len(data); at += piece {
		part := data[at:min(at+piece, len(data))]
		bitmap := h.arenaBits(addr+uint64(at), uint64(len(part)/8))
		for i := 0; i < len(bitmap); i += 8 {
			bits := bitsAt(bitmap, uint64(i)*8, 64)
			if from := i * 64; bits != 0 && from < len(part) {
				h.scanBits(bits, part[from:min(from+512, len(part))], addr+uint64(at+from), parent, masked)
			}
		}
		if len(bitmap)*64 < len(part) { // no pointer comes any more, or what comes can't be read
			break
		}
	}
}

// guess follows a word that may be a pointer.
func (h *Heap) guess(word uint64, parent uint32) {
	sp, slot := h.find(word)
	if sp != nil && h.taken(sp, slot) {
		h.visitObject(sp, slot, word, 0, parent)
	}
}
