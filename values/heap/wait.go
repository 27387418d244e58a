package heap

import (
	"slices"
	"sync"

	"ri/values"
)

// This file finds goroutines that nothing can wake any more, as Go 1.26's goroutine leak profile does (runtime/mgc.go,
// findGoroutineLeaks; mgcmark.go, allGsSnapshotSortedForGC): all that is marked is marked from package variables, from
// the stacks of goroutines that can run, and from the runtime; not from the stacks of those that wait for a channel,
// lock, WaitGroup or Cond, and not through the wait lists themselves (sudog.elem and sudog.c of those that wait; Go's
// profile follows sudog.elem of a channel, though what is sent from a closure's variable leads to the closure and from
// there back to the channel). A goroutine whose channel or lock is marked may be woken, so its stack is a root too, and
// so on until nothing is added. What is left waits for something that only goroutines lead to that are left themselves.
// That is certain: it holds whatever the program does. What a package variable leads to counts as reachable, whether
// anything uses the variable or not.
//
// Before Go 1.26 the runtime doesn't note what a goroutine in a semaphore's queue or in a notifyList waits for: the
// semaphores are found in runtime.semtable, a Cond by a notifyList that the waiting frames point to and in whose list
// the goroutine is.

// Waiting is a goroutine that waits for a channel, lock, WaitGroup or Cond.
type Waiting struct {
	Goroutine *values.Goroutine
	Reason    string
	On        []Awaited // several for a select, none for nil channels
	Never     bool      // nothing can wake it: certain

	index int
	elems []uint64 // what it sends, or where it receives: of use only to who wakes it
}

// Awaited is one thing that a goroutine waits for.
type Awaited struct {
	Addr   uint64 // of the channel, the lock's semaphore, the Cond's list
	Type   string // of the object that it is part of; "" outside the heap
	Object uint64 // base of that object, 0 outside the heap
	Field  string // where in that object: ".mu.sema"; "" for a channel

	kind waitKind
}

// waitKind is how a wait reason's goroutine is queued.
type waitKind uint8

const (
	waitsNot waitKind = iota
	waitsForEver
	waitsChannel
	waitsSemaphore
	waitsCond
)

var waitKinds = map[string]waitKind{
	"chan receive (nil chan)": waitsForEver, "chan send (nil chan)": waitsForEver, "select (no cases)": waitsForEver,
	"chan receive": waitsChannel, "chan send": waitsChannel, "select": waitsChannel,
	"sync.Mutex.Lock": waitsSemaphore, "sync.RWMutex.RLock": waitsSemaphore, "sync.RWMutex.Lock": waitsSemaphore,
	"sync.WaitGroup.Wait": waitsSemaphore,
	"sync.Cond.Wait":      waitsCond,
	"semacquire":          waitsSemaphore, // WaitGroups before Go 1.25, and what Go's own profile leaves alone
}

// sudog is a place in a wait list.
type sudog struct {
	addr, g, elem, c, link, next, prev uint64
}

func (h *Heap) readSudog(addr uint64) (sudog, bool) {
	l := &h.s.Layouts().Queue.Sudog
	b, err := h.s.Structure(addr, &l.Structure)
	if err != nil {
		return sudog{}, false
	}
	return sudog{addr: addr, g: l.G.Uint(b), elem: l.Elem.Uint(b), c: l.Chan.Uint(b), link: l.WaitLink.Uint(b),
		next: l.Next.Uint(b), prev: l.Prev.Uint(b)}, true
}

// readWaits lists the goroutines, and what those wait for that other goroutines must wake.
func (h *Heap) readWaits() error {
	if err := h.readModules(); err != nil {
		return err
	}
	reasons, err := h.s.WaitReasons()
	if err != nil {
		return err
	}
	h.maskedBits = make([]uint64, h.slots/64+1)
	newer := slices.Contains(reasons, "sync.WaitGroup.Wait") // WaitGroups have a reason of their own
	semaphores := sync.OnceValue(h.semaphores)
	for g, err := range h.s.Goroutines() {
		if g == nil {
			h.lost("goroutines that can't be read", err)
			continue
		}
		h.goroutines = append(h.goroutines, g)
		if len(h.goroutines)%1024 == 0 {
			if err := h.step("goroutines", int64(len(h.goroutines)), 0); err != nil {
				return err
			}
		}
		kind := waitKinds[g.WaitReason]
		if g.Status != "waiting" || kind == waitsNot || g.WaitReason == "semacquire" && newer {
			continue
		}
		w := Waiting{Goroutine: g, Reason: g.WaitReason, index: len(h.goroutines) - 1}
		known := true
		switch kind {
		case waitsChannel:
			known = h.awaitChannels(&w)
		case waitsSemaphore, waitsCond:
			known = h.awaitQueued(&w, kind, semaphores)
		}
		if known { // of others it isn't known what would wake them: they count as running
			h.waits = append(h.waits, w)
		}
	}
	return nil
}

// awaitChannels notes the channels that a goroutine waits for; false where they can't be told.
func (h *Heap) awaitChannels(w *Waiting) (known bool) {
	l := &h.s.Layouts().Queue
	at, _ := h.s.Field(w.Goroutine.Addr, l.Waiting)
	// A select among nil channels only waits in no list.
	known = at == 0 && w.Reason == "select"
	for n := 0; at != 0 && n < 1<<16; n++ {
		sg, ok := h.readSudog(at)
		if !ok || sg.c == 0 {
			return false
		}
		known = true
		h.mask(at, l.Sudog.TracedChan.At(at), sg.c, w, waitsChannel)
		if sg.elem != 0 {
			h.untraced[l.Sudog.TracedElem.At(at)] = true
			w.elems = append(w.elems, sg.elem)
		}
		at = sg.link
	}
	return known
}

// awaitQueued notes the semaphore or Cond that a goroutine is queued for; false where it can't be told.
func (h *Heap) awaitQueued(w *Waiting, kind waitKind, semaphores func() map[uint64]sudog) bool {
	l, g := &h.s.Layouts().Queue, w.Goroutine
	sg, ok := sudog{}, false
	if first, _ := h.s.Field(g.Addr, l.Waiting); first != 0 {
		sg, ok = h.readSudog(first)
	}
	if !ok && kind == waitsSemaphore {
		sg, ok = semaphores()[g.Addr]
	}
	if ok && sg.g == g.Addr && sg.elem != 0 {
		h.mask(sg.addr, l.Sudog.TracedElem.At(sg.addr), sg.elem, w, kind)
		return true
	}
	if kind == waitsCond {
		if list := h.notifyList(g); list != 0 {
			w.On = append(w.On, Awaited{Addr: list, kind: kind})
			return true
		}
	}
	return false
}

// maxQueued bounds how many goroutines queues are gone through for.
const maxQueued = 1 << 26

// mask has the word at addr of a sudog not followed: it is how the goroutine waits, and no use of what it waits for.
func (h *Heap) mask(record, addr, awaited uint64, w *Waiting, kind waitKind) {
	w.On = append(w.On, Awaited{Addr: awaited, kind: kind})
	h.untraced[addr] = true
	if sp, slot := h.find(record); sp != nil {
		object := sp.first + slot
		h.maskedBits[object/64] |= 1 << (object % 64)
	}
}

// semaphores gives what is queued in runtime.semtable, by goroutine: treaps, whose nodes head lists.
func (h *Heap) semaphores() map[uint64]sudog {
	out := map[uint64]sudog{}
	l := &h.s.Layouts().Queue
	table := h.s.At(l.Table.Addr+h.s.Bias(), l.Table.Type)
	seen := map[uint64]bool{}
	for i := range uint64(table.Type.Len()) {
		word, err := h.s.Field(table.Addr+i*uint64(table.Type.Elem().Size), l.Root)
		if err != nil {
			continue
		}
		work := []uint64{word}
		for len(work) > 0 && len(seen) < maxQueued {
			at := work[len(work)-1]
			work = work[:len(work)-1]
			if at == 0 || seen[at] {
				continue
			}
			seen[at] = true
			if sg, ok := h.readSudog(at); ok {
				out[sg.g] = sg
				work = append(work, sg.next, sg.prev, sg.link)
			}
		}
	}
	return out
}

// notifyList finds the runtime.notifyList that a goroutine waits in, among what its innermost frames point to: one in
// whose list it is.
func (h *Heap) notifyList(g *values.Goroutine) uint64 {
	head, notify := h.s.Layouts().Queue.Head, uint64(h.s.Layouts().Lock.Cond.Notify.Offset)
	if !head.Known() {
		return 0
	}
	checked := map[uint64]bool{}
	holds := func(list uint64) bool {
		if checked[list] {
			return false
		}
		checked[list] = true
		at, err := h.s.Field(list, head)
		for n := 0; err == nil && at != 0 && n < 1<<20; n++ {
			if sp, _ := h.find(at); sp == nil { // a sudog is an object: this is no such list
				return false
			}
			sg, ok := h.readSudog(at)
			if !ok {
				return false
			}
			if sg.g == g.Addr {
				return true
			}
			at = sg.next
		}
		return false
	}
	for at := g.SP; at < min(g.SP+1024, g.StackHi); at += 8 {
		word, err := h.s.Uint64(at)
		if err != nil {
			return 0
		}
		if word%8 != 0 || word < 1<<12 {
			continue
		}
		if holds(word) {
			return word
		}
		if holds(word + notify) {
			return word + notify
		}
	}
	return 0
}

// mayWake tells whether something that is alive leads to what a goroutine waits for.
func (h *Heap) mayWake(w *Waiting) bool {
	for _, on := range w.On {
		sp, slot := h.find(on.Addr)
		if sp == nil || h.isLive(sp.first+slot) {
			return true
		}
	}
	return false
}

// wake marks from the stacks of waiting goroutines that may be woken, until there are no more.
func (h *Heap) wake() error {
	woken := make([]bool, len(h.waits))
	for again := true; again; {
		again = false
		for i := range h.waits {
			if !woken[i] && h.mayWake(&h.waits[i]) {
				woken[i], again = true, true
				h.markWaiter(&h.waits[i])
			}
		}
		if err := h.drain(); err != nil {
			return err
		}
	}
	for i := range h.waits {
		h.waits[i].Never = !woken[i]
	}
	return nil
}

// markWaiter marks from a waiting goroutine: its stack, and what its wait lists lead to.
func (h *Heap) markWaiter(w *Waiting) {
	h.markStack(w.index)
	if len(w.elems) == 0 {
		return
	}
	root := h.newRoot(heapRoot{kind: rootGoroutine, index: w.index, goroutine: w.Goroutine.ID})
	for _, elem := range w.elems {
		h.visit(elem, 0, root)
	}
}

// markBlocked marks what is left: the stacks of goroutines that nothing wakes, and what they wait for. It is alive for
// the collector.
func (h *Heap) markBlocked() error {
	for i := range h.waits {
		w := &h.waits[i]
		if w.Never {
			h.markWaiter(w)
		}
	}
	if err := h.drain(); err != nil {
		return err
	}
	for i := range h.waits {
		w := &h.waits[i]
		for k := range w.On {
			on := &w.On[k]
			sp, slot := h.find(on.Addr)
			if sp == nil {
				continue
			}
			addr, candidate := h.awaitedShape(w, on)
			h.visit(addr, candidate, h.newRoot(heapRoot{kind: rootGoroutine, index: w.index, goroutine: w.Goroutine.ID}))
			on.Object = sp.start + uint64(slot)*sp.size
		}
	}
	if err := h.drain(); err != nil {
		return err
	}
	for i := range h.waits {
		for k := range h.waits[i].On {
			on := &h.waits[i].On[k]
			if o, ok := h.Object(on.Addr); ok {
				on.Type = o.Type
				if on.kind != waitsChannel {
					sp, slot := h.find(on.Addr)
					on.Field = h.selector(h.types[sp.first+slot]>>2, o.Base, on.Addr-o.Base, o.Base+sp.header())
				}
			}
		}
	}
	return nil
}

// awaitedShape says what a goroutine waits for, as far as the way in which it waits tells: a channel; a lock, WaitGroup
// or Cond, if it is an object of its own.
func (h *Heap) awaitedShape(w *Waiting, on *Awaited) (addr uint64, candidate uint32) {
	part := func(typeName string, fields ...string) (uint64, uint32) {
		t, err := h.s.Type(typeName)
		if err != nil {
			return on.Addr, 0
		}
		whole, off := t, int64(0)
		for _, name := range fields {
			p, err := t.FieldByName(name)
			if err != nil {
				return on.Addr, 0
			}
			off, t = off+p.Offset, p.Field.Type
		}
		return on.Addr - uint64(off), h.one(whole)
	}
	switch {
	case on.kind == waitsChannel:
		return on.Addr, h.channelAt(on.Addr)
	case on.kind == waitsCond:
		return part("sync.Cond", "notify")
	case w.Reason == "sync.WaitGroup.Wait":
		return part("sync.WaitGroup", "sema")
	}
	return on.Addr, 0
}

// Waiting gives the goroutines that wait for others, and whether anything can still wake them.
func (h *Heap) Waiting() []Waiting { return h.waits }

// Blocked gives the goroutines that nothing can wake any more.
func (h *Heap) Blocked() []Waiting {
	var out []Waiting
	for _, w := range h.waits {
		if w.Never {
			out = append(out, w)
		}
	}
	return out
}
