package heap

import (
	"encoding/binary"
	"reflect"

	"ri/attach"
	"ri/symbols"
	"ri/values"
)

// This file marks from goroutines' stacks, as runtime.scanstack does: at each call the compiler noted which words of
// the frame hold live pointers. Variables that had their address taken count only if a live pointer leads to them.
// Types are those of DWARF's variables at the same places.

// framePlan is what a frame at a PC holds, relative to its CFA.
type framePlan struct {
	known   bool  // Go code
	size    int64 // from SP to the return address, -1: not known
	top     bool
	signal  bool // what is below was interrupted
	exact   bool // the maps are there; else every word counts
	words   []frameWord
	objects []frameObject
	args    int64 // bytes of arguments
	types   map[int32]frameSlot
}

type frameWord struct {
	off  int32
	slot frameSlot
}

// frameSlot is a slot whose other word may lie anywhere in the frame.
type frameSlot struct {
	slot  slot
	other int32 // from the CFA
}

type frameObject struct {
	off, size int32
	guess     bool // its pointers aren't known
	words     []frameWord
}

type planKey struct {
	pc    uint64
	exact bool
}

// planAt works out, once, what a frame holds at a runtime pc; exact: it is that of the next instruction and not a
// return address.
func (h *Heap) planAt(pc uint64, exact bool) *framePlan {
	key := planKey{pc, exact}
	if p := h.plans[key]; p != nil {
		return p
	}
	p := &framePlan{}
	if len(h.plans) < 1<<20 {
		h.plans[key] = p
	}
	info, ok := h.s.PC(pc)
	if !ok {
		return p
	}
	p.known, p.size = true, info.FrameSize
	p.top = info.TopFrame || info.Func == "runtime.goexit"
	p.signal = values.EntersBySignal(info.Func)
	at := pc - h.s.Bias()
	if !exact && at > info.Entry {
		at--
	}
	m, ok := h.s.File().StackMap(at)
	if m != nil {
		p.args = max(m.ArgBytes, 0)
	}
	// A frame that is entered by a signal holds the registers of what it interrupted.
	if p.exact = ok && !p.signal; p.exact && p.size >= 0 {
		p.types = h.frameTypes(pc, exact)
		h.fillPlan(p, m)
	}
	return p
}

// fillPlan enters what the compiler noted of the words and objects of a frame.
func (h *Heap) fillPlan(p *framePlan, m *symbols.StackMap) {
	locals := int32(h.s.File().Arch().LocalsEnd(p.size))
	for _, off := range m.Live(locals) {
		p.words = append(p.words, frameWord{off, p.types[off]})
	}
	rodata := uint64(0)
	if len(h.modules) > 0 {
		rodata = h.modules[0].rodata
	}
	for _, o := range m.Objects {
		if o.Size < 0 || o.Size > 1<<24 {
			continue
		}
		object := frameObject{off: o.From(locals), size: o.Size}
		mask, err := h.s.Slice(rodata+uint64(o.Mask), int(max(o.PtrBytes, 0)/8+7)/8)
		if object.guess = err != nil || o.PtrBytes < 0 || o.PtrBytes > o.Size; !object.guess {
			for i := range o.PtrBytes / 8 {
				if off := object.off + 8*i; mask[i/8]>>(i%8)&1 != 0 {
					object.words = append(object.words, frameWord{off, p.types[off]})
				}
			}
		}
		p.objects = append(p.objects, object)
	}
}

// frameTypes gives the slots of a frame's variables, by their place.
func (h *Heap) frameTypes(pc uint64, exact bool) map[int32]frameSlot {
	types := map[int32]frameSlot{}
	h.s.FramePlaces(pc, exact, func(v *symbols.FrameVar, parts []values.Place) bool {
		if v.Type.Kind == reflect.Invalid || v.Type.Size <= 0 || v.Type.Size > 1<<20 || isShape(v.Type) ||
			!h.hasPointers(v.Type) {
			return true
		}
		return h.placeSlots(types, parts, v.Type)
	})
	return types
}

// placeSlots enters a variable's pointers; it tells whether any part of it is in memory.
func (h *Heap) placeSlots(types map[int32]frameSlot, parts []values.Place, t *symbols.Type) bool {
	s := h.shape(h.one(t))
	place := func(off int64) (int32, bool) {
		for _, p := range parts {
			if off < p.Size {
				at := p.Offset + off
				return int32(at), p.InMemory && at > -1<<30 && at < 1<<30
			}
			off -= p.Size
		}
		return 0, false
	}
	any := false
	for _, p := range s.slots {
		at, ok := place(int64(p.off))
		if !ok {
			continue
		}
		any = true
		other, ok := place(int64(p.off) + int64(p.other))
		if _, taken := types[at]; taken || !ok {
			continue
		}
		types[at] = frameSlot{p, other}
		if p.kind == slotIface || p.kind == slotEface {
			if _, taken := types[other]; !taken {
				types[other] = frameSlot{}
			}
		}
	}
	return any
}

// stackScan is one goroutine's stack being gone through.
type stackScan struct {
	h        *Heap
	g        *values.Goroutine
	index    int
	low      uint64
	data     []byte // from low on
	inside   []uint64
	objects  []placedObject
	frame    heapRoot
	frameRef uint32
}

type placedObject struct {
	start, end uint64
	cfa        uint64
	object     *frameObject
	root       heapRoot
	done       bool
}

// word reads a word of the stack.
func (s *stackScan) word(addr uint64) (uint64, bool) {
	off := addr - s.low
	if off > uint64(len(s.data)) || uint64(len(s.data))-off < 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(s.data[off:]), true
}

// root is the parent that the present frame is.
func (s *stackScan) root() uint32 {
	if s.frameRef == 0 {
		s.frameRef = s.h.newRoot(s.frame)
	}
	return s.frameRef
}

func (s *stackScan) enter(r heapRoot) { s.frame, s.frameRef = r, 0 }

// pointer follows a word. guess: it need not be a pointer.
func (s *stackScan) pointer(word uint64, candidate uint32, guess bool) {
	if word >= s.low && word < s.g.StackHi {
		s.inside = append(s.inside, word)
		return
	}
	sp, slot := s.h.find(word)
	if sp == nil {
		s.h.staticFunc(word)
		return
	}
	if guess && !s.h.taken(sp, slot) {
		return
	}
	object := sp.first + slot
	if s.h.collect == nil && s.h.isLive(object) && (candidate == 0 || s.h.types[object]&3 >= strengthExact) {
		return
	}
	s.h.visitObject(sp, slot, word, candidate, s.root())
}

// words follows those words of a frame that hold pointers.
func (s *stackScan) words(list []frameWord, cfa uint64) {
	for i := range list {
		w := &list[i]
		word, ok := s.word(cfa + uint64(int64(w.off)))
		if !ok || word == 0 {
			continue
		}
		other := uint64(0)
		if k := w.slot.slot.kind; k == slotIface || k == slotEface || k == slotDirectory {
			other, _ = s.word(cfa + uint64(int64(w.slot.other)))
		}
		s.pointer(word, s.h.target(&w.slot.slot, word, other), false)
	}
}

// every follows all words from one address to another that may be pointers.
func (s *stackScan) every(from, to uint64) {
	from = max((from+7)&^7, s.low)
	to = min(to, s.g.StackHi)
	if to > from {
		s.h.conservative += int64(to - from)
	}
	for ; from+8 <= to; from += 8 {
		if word, ok := s.word(from); ok && word != 0 {
			s.pointer(word, 0, true)
		}
	}
}

// markStack marks from a goroutine's stack.
func (h *Heap) markStack(index int) {
	g := h.goroutines[index]
	pc, sp, regs, err := g.Innermost()
	s := &stackScan{h: h, g: g, index: index}
	if err != nil { // in C, in a signal handler, or not stopped: all of the stack counts
		if g.StackHi-g.StackLo > 1<<31 || g.StackHi <= g.StackLo {
			return
		}
		sp = g.StackLo
	}
	s.low = max(sp&^7, g.StackLo)
	if g.StackHi <= s.low || g.StackHi-s.low > 1<<31 {
		h.lost("stacks whose bounds can't be", err)
		return
	}
	h.words(s.low, g.StackHi-s.low)
	if s.data, err = h.bytes(s.low, int(g.StackHi-s.low)); err != nil {
		h.lost("stacks that can't be read", err)
		return
	}
	if pc == 0 {
		s.enter(heapRoot{kind: rootFrame, index: index, goroutine: g.ID})
		s.every(s.low, g.StackHi)
		s.insides()
		return
	}
	if t := h.s.Thread(g.ThreadID); g.Status == "running" && t != nil && regs == nil {
		regs = &t.Regs // its registers may hold pointers although it is on another stack
	}
	s.registers(regs)
	s.frames(pc, sp, regs != nil && pc == regs.PC())
	s.defers()
	s.insides()
}

// registers follows those of a stopped thread.
func (s *stackScan) registers(regs *attach.Registers) {
	if regs == nil {
		return
	}
	s.enter(heapRoot{kind: rootRegisters, index: s.index, goroutine: s.g.ID})
	for _, word := range regs.Pointers() {
		s.pointer(word, 0, true)
	}
}

// frames goes up the stack.
func (s *stackScan) frames(pc, sp uint64, exact bool) {
	processor := s.h.s.File().Arch()
	interrupted := exact // no map holds here
	for range 1 << 20 {
		p := s.h.planAt(pc, exact)
		s.enter(heapRoot{kind: rootFrame, index: s.index, addr: 0, pc: pc, exact: exact, goroutine: s.g.ID})
		if !p.known || p.size < 0 || sp < s.low || sp > s.g.StackHi || uint64(processor.FrameBytes(p.size)) > s.g.StackHi-sp {
			s.every(sp, s.g.StackHi) // what cannot be unwound counts word by word
			return
		}
		cfa := processor.CFA(sp, p.size)
		s.frame.addr = cfa
		if p.exact && !interrupted {
			s.words(p.words, cfa)
		} else {
			s.every(sp, cfa+uint64(p.args))
		}
		if p.exact {
			for i := range p.objects {
				o := &p.objects[i]
				if start := cfa + uint64(int64(o.off)); start >= sp {
					s.objects = append(s.objects,
						placedObject{start: start, end: start + uint64(o.size), cfa: cfa, object: o, root: s.frame})
				}
			}
		}
		if p.top {
			return
		}
		ret, ok := s.word(processor.ReturnSlot(cfa))
		if !ok {
			return
		}
		exact, interrupted = p.signal, p.signal
		pc, sp = ret, cfa
	}
}

// defers follows the deferred calls whose records lie on the stack; those in the heap the goroutine's runtime.g leads
// to.
func (s *stackScan) defers() {
	l := &s.h.table
	s.enter(heapRoot{kind: rootGoroutine, index: s.index, goroutine: s.g.ID})
	record, err := s.h.s.Field(s.g.Addr, l.Defer)
	for n := 0; err == nil && record != 0 && n < 1<<16; n++ {
		if record >= s.low && record < s.g.StackHi {
			s.inside = append(s.inside, record)
		}
		if word, err := s.h.s.Field(record, l.DeferFunc); err == nil {
			s.pointer(word, s.h.closureAt(word), false)
		}
		if record, err = s.h.s.Field(record, l.DeferLink); err == nil {
			s.pointer(record, 0, false)
		}
	}
	if word, err := s.h.s.Field(s.g.Addr, l.Panic); err == nil {
		s.pointer(word, 0, false)
	}
}

// insides follows pointers into the stack itself: to the variables that had their address taken.
func (s *stackScan) insides() {
	for len(s.inside) > 0 {
		addr := s.inside[len(s.inside)-1]
		s.inside = s.inside[:len(s.inside)-1]
		for i := range s.objects {
			o := &s.objects[i]
			if o.done || addr < o.start || addr >= o.end {
				continue
			}
			o.done = true
			s.enter(o.root)
			if o.object.guess {
				s.every(o.start, o.end)
			} else {
				s.words(o.object.words, o.cfa)
			}
			break
		}
	}
}

// markStacks marks from the stacks of all goroutines that aren't waiting for one another.
func (h *Heap) markStacks() error {
	waits := map[int]bool{}
	for i := range h.waits {
		waits[h.waits[i].index] = true
	}
	for i := range h.goroutines {
		if waits[i] {
			continue
		}
		if i%256 == 0 {
			if err := h.step("stacks", int64(i), int64(len(h.goroutines))); err != nil {
				return err
			}
		}
		h.markStack(i)
	}
	return h.drain()
}
