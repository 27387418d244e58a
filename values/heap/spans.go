package heap

import (
	"encoding/binary"
	"fmt"
	"sort"

	"ri/values"
	"ri/values/layout"
)

// This file finds the heap's objects: runtime.mheap_.allspans leads to the spans (runtime.mspan), each of which is a
// row of slots of one size. Fields are found by name; what is said of releases was read in runtime/mheap.go and
// mbitmap.go of Go 1.20 to 1.27.

// Constants of the allocator on 64-bit machines, the same in all these releases.
const (
	heapPageShift  = layout.PageShift
	heapPageSize   = 1 << heapPageShift
	heapArenaShift = layout.ArenaShift
	arenaPages     = layout.ArenaPages
	spanInUse      = 1   // runtime.mSpanInUse
	smallObject    = 512 // gc.MinSizeForMallocHeader: up to here the pointer bits lie in the span (since Go 1.22)
	mallocHeader   = 8   // gc.MallocHeaderSize
	// size of runtime.spanInlineMarkBits, where the program has them (Go 1.26, and 1.25 with GOEXPERIMENT=greenteagc)
	inlineMarks = 128

	maxSmallPages = 64 // of a span of small objects; the most is ten

	maxSpans   = 1 << 26
	maxObjects = 1<<31 - 2
)

// span is a row of object slots.
type span struct {
	start, end uint64 // of the slots
	size       uint64 // of a slot
	divide     uint64 // for offset / size, as mspan.divMul
	first      uint32 // number of the first slot among all of the heap's
	count      uint32
	kind       spanKind
	unswept    bool
	free       uint32 // slots before this one are taken
	record     uint64 // address of the mspan
	allocBits  uint64 // address of the bits of the slots taken; of those marked last where unswept
	large      uint64 // type descriptor of a large object
	specials   uint64
	data       []byte // of the whole span, with the pointer bits behind the slots; nil of large objects without pointers
}

// contents are the bytes of the slot at an offset; of a large object those that are there.
func (sp *span) contents(start uint64) []byte {
	n := uint64(len(sp.data))
	return sp.data[min(start, n):min(start+sp.size, n)]
}

// offset is where a slot begins in the span, and base at which address.
func (sp *span) offset(object uint32) uint64 { return uint64(object-sp.first) * sp.size }
func (sp *span) base(object uint32) uint64   { return sp.start + sp.offset(object) }

// header is how far the contents of the span's objects are from their beginning.
func (sp *span) header() uint64 {
	if sp.kind == spanHeader {
		return mallocHeader
	}
	return 0
}

// spanKind is where the span's objects have their pointers noted.
type spanKind uint8

const (
	spanNoPointers spanKind = iota
	spanBits                // behind the slots
	spanHeader              // the first word of each object leads to its type
	spanLarge               // the mspan does
	spanArena               // in the arena (before Go 1.22)
)

// table is what the allocator says of all spans at one look.
type table struct {
	*layout.Heap
	first, count uint64 // runtime.mheap_.allspans
	sweepGen     uint32
	inline       bool   // spans have inline mark bits
	arenas       uint64 // the table of arenas; 0 if their bitmaps aren't needed
}

func (h *Heap) readTable() error {
	t := &h.table
	t.Heap = &h.s.Layouts().Heap
	if err := t.Err(); err != nil {
		return err
	}
	base := t.Heap.Heap.Addr + h.s.Bias()
	words := map[*uint64]uint64{&t.first: t.AllSpans.At(base), &t.count: t.AllSpans.At(base) + 8}
	if t.Bitmap.Known() {
		words[&t.arenas] = t.Arenas.At(base)
	}
	for to, addr := range words {
		word, err := h.s.Uint64(addr)
		if err != nil {
			return fmt.Errorf("runtime.mheap_: %w", err)
		}
		*to = word
	}
	if t.count > maxSpans {
		return fmt.Errorf("runtime.mheap_.allspans claims %d spans: %w", t.count, values.ErrCorrupt)
	}
	gen, err := h.s.Field(base, t.SweepGen)
	if err != nil {
		return fmt.Errorf("runtime.mheap_.sweepgen: %w", err)
	}
	t.sweepGen, t.inline = uint32(gen), t.InlineMarks == inlineMarks
	return nil
}

// readSpans collects the spans that objects live in.
func (h *Heap) readSpans() error {
	l := &h.table.Span
	h.words(h.table.first, 8*uint64(h.table.count))
	pointers, err := h.bytes(h.table.first, 8*int(h.table.count))
	if err != nil {
		return fmt.Errorf("runtime.mheap_.allspans: %w", err)
	}
	h.spans = make([]span, 0, h.table.count)
	for i := range h.table.count {
		if i%1024 == 0 {
			if err := h.step("spans", int64(i), int64(h.table.count)); err != nil {
				return err
			}
		}
		addr := binary.LittleEndian.Uint64(pointers[8*i:])
		if h.witness != nil {
			h.witness.Typed(addr, l.Type)
			h.witness.Touched(addr, int(l.Size))
		}
		b, err := h.bytes(addr, int(l.Size))
		if err != nil {
			h.lost("spans that can't be read", err)
			continue
		}
		if l.State.Uint(b) != spanInUse {
			continue
		}
		sp, err := h.readSpan(addr, b)
		if err != nil {
			h.lost("spans whose fields can't be", err)
			continue
		}
		h.spans = append(h.spans, sp)
	}
	sort.Slice(h.spans, func(i, j int) bool { return h.spans[i].start < h.spans[j].start })
	return h.placeSpans()
}

// readSpan takes the runtime.mspan at an address apart.
func (h *Heap) readSpan(addr uint64, b []byte) (sp span, err error) {
	l := &h.table.Span
	sp = span{start: l.Start.Uint(b), size: l.SlotSize.Uint(b), record: addr, specials: l.Specials.Uint(b)}
	pages, slots, class := l.Pages.Uint(b), l.Slots.Uint(b), byte(l.Class.Uint(b))
	small := class>>1 != 0
	switch {
	case sp.start%heapPageSize != 0, sp.start >= 1<<h.s.File().Arch().AddressBits, pages == 0, pages > 1<<34,
		sp.size == 0, slots == 0, slots > pages<<heapPageShift/sp.size,
		!small && slots != 1, small && (int(class>>1) >= len(sizeClasses) || pages > maxSmallPages):
		return sp, fmt.Errorf("runtime.mspan at %#x: %d slots of %d bytes in %d pages of class %d at %#x: %w",
			addr, slots, sp.size, pages, class>>1, sp.start, values.ErrCorrupt)
	}
	sp.end, sp.count, sp.free = sp.start+slots*sp.size, uint32(slots), uint32(min(l.Free.Uint(b), slots))
	sp.divide = (1<<32 + sp.size - 1) / sp.size
	gen := uint32(l.SweepGen.Uint(b))
	sp.unswept = gen == h.table.sweepGen-2 || gen == h.table.sweepGen+1
	if sp.allocBits = l.AllocBits.Uint(b); sp.unswept {
		sp.allocBits = l.MarkBits.Uint(b)
	}
	switch {
	case class&1 != 0:
		sp.kind = spanNoPointers
	case h.table.Bitmap.Known():
		sp.kind = spanArena
	case sp.size <= smallObject:
		sp.kind = spanBits
	case small || !l.LargeType.Known():
		sp.kind = spanHeader
	default:
		sp.kind, sp.large = spanLarge, l.LargeType.Uint(b)
	}
	return sp, nil
}

// placeSpans numbers the slots and makes the table from pages to spans.
func (h *Heap) placeSpans() error {
	kept, last, slots := h.spans[:0], uint64(0), uint64(0)
	for i := range h.spans {
		sp := h.spans[i]
		if sp.start < last {
			h.lost("spans that overlap others", fmt.Errorf("runtime.mspan at %#x: %w", sp.record, values.ErrCorrupt))
			continue
		}
		if slots+uint64(sp.count) > maxObjects {
			return fmt.Errorf("the heap has room for more than %d objects: %w", uint64(maxObjects), values.ErrCorrupt)
		}
		sp.first = uint32(slots)
		slots += uint64(sp.count)
		last = sp.end
		kept = append(kept, sp)
	}
	h.spans = kept
	h.slots = uint32(slots)
	h.hints = make([]uint32, slots/64+1)
	for i := range kept {
		for first := (kept[i].first + 63) / 64; first*64 < kept[i].first+kept[i].count; first++ {
			h.hints[first] = uint32(i)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	h.firstArena = kept[0].start >> heapArenaShift
	h.arenas = make([]*[arenaPages]uint32, kept[len(kept)-1].end>>heapArenaShift-h.firstArena+1)
	for i := range kept {
		sp := &kept[i]
		for page := sp.start >> heapPageShift; page < (sp.end+heapPageSize-1)>>heapPageShift; page++ {
			arena := page>>(heapArenaShift-heapPageShift) - h.firstArena
			if h.arenas[arena] == nil {
				h.arenas[arena] = new([arenaPages]uint32)
			}
			h.arenas[arena][page%arenaPages] = uint32(i + 1)
		}
	}
	return nil
}

// loadSpans makes the spans' memory readable: in place where the view allows it, else copied.
func (h *Heap) loadSpans() error {
	total := int64(0)
	for i := range h.spans {
		total += int64(h.spans[i].end - h.spans[i].start)
	}
	done := int64(0)
	for i := range h.spans {
		sp := &h.spans[i]
		n := sp.end - sp.start
		if sp.kind == spanBits { // these are of one page each, and the bits are at its end
			n = (n + heapPageSize - 1) &^ (heapPageSize - 1)
		}
		if done += int64(n); i%64 == 0 {
			if err := h.step("bytes of the heap", done, total); err != nil {
				return err
			}
		}
		h.tellSpan(sp)
		if sp.kind == spanNoPointers && sp.count == 1 && sp.size > smallObject {
			continue // nobody looks inside
		}
		data, err := h.wholeBytes(sp.start, n)
		if err != nil {
			return err
		}
		sp.data = data
	}
	return nil
}

// find gives the span and the slot that an address lies in; nil if it lies in none.
func (h *Heap) find(addr uint64) (sp *span, slot uint32) {
	arena := addr>>heapArenaShift - h.firstArena
	if arena >= uint64(len(h.arenas)) || h.arenas[arena] == nil {
		return nil, 0
	}
	i := h.arenas[arena][addr>>heapPageShift%arenaPages]
	if i == 0 {
		return nil, 0
	}
	sp = &h.spans[i-1]
	off := addr - sp.start
	if addr < sp.start || addr >= sp.end {
		return nil, 0
	}
	if sp.count == 1 {
		return sp, 0
	}
	if slot = uint32(off * sp.divide >> 32); slot >= sp.count {
		return nil, 0
	}
	return sp, slot
}

// spanOf gives the span of an object's number.
func (h *Heap) spanOf(object uint32) *span {
	i := h.hints[object/64]
	for object-h.spans[i].first >= h.spans[i].count {
		i++
	}
	return &h.spans[i]
}

// base gives an object's address.
func (h *Heap) base(object uint32) uint64 {
	return h.spanOf(object).base(object)
}

// taken tells whether a slot holds an object, as far as the allocator knows; for words that need not be pointers
// (runtime.mspan.isFree).
func (h *Heap) taken(sp *span, slot uint32) bool {
	if slot < sp.free && !sp.unswept {
		return true
	}
	if sp.unswept && h.table.inline && sp.kind != spanLarge && sp.size >= 16 && sp.size <= smallObject &&
		len(sp.data) >= heapPageSize {
		marks := sp.data[heapPageSize-inlineMarks+64:]
		return int(slot/8) < 63 && marks[slot/8]>>(slot%8)&1 != 0
	}
	b, err := h.s.Slice(sp.allocBits+uint64(slot/8), 1)
	return err != nil || b[0]>>(slot%8)&1 != 0
}

// pointerBits gives which of an object's first 64 words are pointers.
func (h *Heap) pointerBits(sp *span, off uint64) uint64 {
	words := min(sp.size/8, 64)
	switch sp.kind {
	case spanBits:
		end := uint64(heapPageSize)
		if h.table.inline && sp.size >= 16 {
			end -= inlineMarks
		}
		bits := end - heapPageSize/64
		return bitsAt(sp.data[bits:end], off/8, words)
	case spanArena:
		return bitsAt(h.arenaBits(sp.start+off, words), 0, words)
	}
	return 0
}

// bitsAt reads up to 64 bits of a bitmap.
func bitsAt(bitmap []byte, first, n uint64) (bits uint64) {
	at := first / 8
	if at+9 <= uint64(len(bitmap)) {
		bits = binary.LittleEndian.Uint64(bitmap[at:]) >> (first % 8)
		bits |= uint64(bitmap[at+8]) << (63 - first%8) << 1
		return bits & (1<<(n-1)<<1 - 1)
	}
	var word [16]byte
	if at > uint64(len(bitmap)) {
		return 0
	}
	copy(word[:9], bitmap[at:])
	bits = binary.LittleEndian.Uint64(word[:]) >> (first % 8)
	if s := first % 8; s != 0 {
		bits |= uint64(word[8]) << (64 - s)
	}
	if n < 64 {
		bits &= 1<<n - 1
	}
	return bits
}

// arenaBits gives the arena's bitmap from the word at addr on, before Go 1.22; the first bit is that word's, which may
// lie in the middle of a byte.
func (h *Heap) arenaBits(addr, words uint64) []byte {
	index := layout.ArenaIndex(addr, h.s.File().Arch().ArenaBase)
	arena, ok := h.bitmaps[index]
	if !ok {
		if p, err := h.s.Uint64(h.table.arenas + 8*index); err == nil && p != 0 {
			arena = h.table.Bitmap.At(p)
		}
		h.bitmaps[index] = arena
	}
	if arena == 0 {
		return nil
	}
	word := addr % (1 << heapArenaShift) / 8
	if h.table.Bitmap.Size == pairsBitmap {
		return h.arenaPairs(arena, word, words)
	}
	n := min((word%8+words+7)/8, (1<<heapArenaShift/64)-word/8)
	h.bits(arena+word/8, n)
	b, err := h.bytes(arena+word/8, int(n))
	if err != nil {
		return nil
	}
	if word%8 == 0 {
		return b
	}
	shifted := make([]byte, len(b))
	for i := range b {
		shifted[i] = b[i] >> (word % 8)
		if i+1 < len(b) {
			shifted[i] |= b[i+1] << (8 - word%8)
		}
	}
	return shifted
}

// pairsBitmap is the size of an arena's bitmap before Go 1.20, in bytes: a byte has four words, in its lower half
// whether each is a pointer, in the upper whether a pointer comes there or behind it in its object. What is behind the
// last is left from what was there before.
const pairsBitmap = 1 << heapArenaShift / 8 / 4

// arenaPairs is arenaBits of such a bitmap, for the word that begins an object, or goes on with one. It ends before the
// first word behind which there is no pointer.
func (h *Heap) arenaPairs(arena, word, words uint64) []byte {
	n := min((word%4+words+3)/4, pairsBitmap-word/4)
	h.bits(arena+word/4, n)
	b, err := h.bytes(arena+word/4, int(n))
	if err != nil {
		return nil
	}
	out := make([]byte, 0, words/8+1)
	for i := range words {
		at := word%4 + i
		if at/4 >= uint64(len(b)) {
			break
		}
		pair := b[at/4] >> (at % 4)
		if pair&0x10 == 0 {
			break
		}
		if i%8 == 0 {
			out = append(out, 0)
		}
		out[i/8] |= pair & 1 << (i % 8)
	}
	return out
}

// sizeClasses are the sizes of slots of small objects, internal/runtime/gc/sizeclasses.go; the same since Go 1.17. From
// here on slots are whole pages.
var sizeClasses = [...]uint64{0, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288,
	320, 352, 384, 416, 448, 480, 512, 576, 640, 704,
	768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528,
	6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288,
	13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768}

// slotSize is the size of the slot that an object of so many bytes gets.
func slotSize(size uint64) uint64 {
	if last := sizeClasses[len(sizeClasses)-1]; size > last {
		return (size + heapPageSize - 1) &^ (heapPageSize - 1)
	}
	return sizeClasses[sort.Search(len(sizeClasses), func(i int) bool { return sizeClasses[i] >= size })]
}
