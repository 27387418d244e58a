package heap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strings"

	"ri/attach"
	"ri/symbols"
	"ri/values"
	"ri/values/layout"
)

// This file marks from the roots that are no stacks: package variables, by their types and then by the collector's own
// masks of the data sections (moduledata.gcdatamask, gcbssmask); finalizers, cleanups and weak pointers' handles
// (mspan.specials, runtime.allfin, runtime.gcCleanups).
//
// The program's own variables come first, then stacks, then the runtime's, so that an object's first parent is the one
// that a reader knows.

// heapRoot is something outside the heap that an object hangs off.
type heapRoot struct {
	kind      rootKind
	index     int    // of the variable or the goroutine
	addr      uint64 // of the variable, or the frame's CFA
	pc        uint64 // of the frame
	exact     bool   // pc is no return address
	goroutine int64
	parent    uint32 // of what is static
	shape     uint32
}

type rootKind uint8

const (
	rootVar rootKind = iota + 1
	rootData
	rootStatic // what a package variable points to, and the compiler placed beside it
	rootFrame
	rootRegisters
	rootFinalizer
	rootGoroutine // the runtime's own notes on a goroutine: what it waits for
)

// moduleRange is a data section of a module.
type moduleRange struct {
	start, end uint64
	mask       uint64 // one bit a word
	words      uint64
	rodata     uint64
	text       uint64 // where the executable begins in memory
	image      uint64 // and ends
}

func isAbsent(err error) bool { return errors.Is(err, attach.ErrNotMapped) }

// newRoot gives the parent that stands for a root.
func (h *Heap) newRoot(r heapRoot) uint32 {
	if len(h.roots) >= rootFlag-1 {
		return rootFlag
	}
	h.roots = append(h.roots, r)
	return rootFlag | uint32(len(h.roots)-1)
}

// readModules finds the data sections that hold pointers.
func (h *Heap) readModules() error {
	l := &h.table.Module
	for at, n := l.First.Addr+h.s.Bias(), 0; at != 0 && n < 1024; n++ {
		b, err := h.s.Structure(at, &l.Structure)
		if err != nil {
			return fmt.Errorf("runtime.moduledata: %w", err)
		}
		data := moduleRange{start: l.Data.Uint(b), end: l.DataEnd.Uint(b), mask: l.DataMask.Uint(b),
			words: l.DataWords.Uint(b)}
		bss := moduleRange{start: l.BSS.Uint(b), end: l.BSSEnd.Uint(b), mask: l.BSSMask.Uint(b), words: l.BSSWords.Uint(b)}
		for _, r := range []moduleRange{data, bss} {
			r.rodata, r.text, r.image = l.ReadOnly.Uint(b), l.Text.Uint(b), l.End.Uint(b)
			r.words = uint64(max(int64(int32(r.words)), 0))
			if r.end < r.start || r.end-r.start > 1<<36 || r.words > (r.end-r.start)/8+1 {
				return fmt.Errorf("runtime.moduledata at %#x: section from %#x to %#x: %w", at, r.start, r.end, values.ErrCorrupt)
			}
			h.modules = append(h.modules, r)
			if h.dataHigh == 0 || r.start < h.dataLow {
				h.dataLow = r.start
			}
			h.dataHigh = max(h.dataHigh, r.end)
		}
		at = l.Next.Uint(b)
	}
	return nil
}

// markVars marks from the program's own package variables.
func (h *Heap) markVars() error {
	for _, v := range h.s.File().AllVars() {
		v.Addr += h.s.Bias()
		for _, m := range h.modules {
			if v.Addr >= m.start && v.Addr < m.end && v.Type.Size > 0 && uint64(v.Type.Size) <= m.end-v.Addr {
				h.vars = append(h.vars, v)
				break
			}
		}
	}
	sort.SliceStable(h.vars, func(i, j int) bool { return h.vars[i].Addr < h.vars[j].Addr })
	return h.markVarsWhere(func(v *symbols.Var) bool { return !isRuntimeVar(v.Name) })
}

func isRuntimeVar(name string) bool {
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/runtime/")
}

func (h *Heap) markVarsWhere(wanted func(*symbols.Var) bool) error {
	for i := range h.vars {
		v := &h.vars[i]
		if !wanted(v) || !h.hasPointers(v.Type) {
			continue
		}
		id := h.one(v.Type)
		if id == 0 {
			continue
		}
		s := h.shape(id)
		h.s.Saw(v.Addr, v.Type)
		h.words(v.Addr, uint64(v.Type.Size))
		data, err := h.bytes(v.Addr, int(v.Type.Size))
		if err != nil {
			h.lost("package variables that can't be read", err)
			continue
		}
		h.scanSlots(s, data, v.Addr, 1, h.newRoot(heapRoot{kind: rootVar, index: i, addr: v.Addr}), false)
	}
	return h.drain()
}

// static follows a pointer to what the compiler placed in the data sections, with no variable of its own. n is how many
// elements of the shape lie there.
func (h *Heap) static(p uint64, candidate uint32, n uint64, parent uint32) {
	key := staticKey{p, candidate}
	if first, ok := h.statics[key]; ok || len(h.statics) >= maxStatics {
		if ok && first != parent {
			h.shared[p] = true
		}
		return
	}
	h.statics[key] = parent
	s := h.shape(candidate)
	if len(s.slots) == 0 || s.size == 0 {
		return
	}
	for i := range h.modules {
		m := &h.modules[i]
		if p < m.start || p >= m.end {
			continue
		}
		n = min(n, (m.end-p)/s.size)
		h.words(p, n*s.size)
		if data, err := h.bytes(p, int(n*s.size)); err == nil && n > 0 {
			h.staticDepth++
			if h.staticDepth < 1000 {
				h.scanSlots(s, data, p, n, h.newRoot(heapRoot{kind: rootStatic, addr: p, parent: parent, shape: candidate}), false)
			}
			h.staticDepth--
		}
		return
	}
}

type staticKey struct {
	addr  uint64
	shape uint32
}

const maxStatics = 1 << 20

// markRest marks from the runtime's own variables, from what has no variable, and from what the runtime keeps of
// objects.
func (h *Heap) markRest() error {
	if err := h.markVarsWhere(func(v *symbols.Var) bool { return isRuntimeVar(v.Name) }); err != nil {
		return err
	}
	for _, m := range h.modules {
		h.markData(m)
	}
	h.markSpecials()
	h.markQueued()
	return h.drain()
}

// markData follows all words of a section that the collector follows, and that nothing with a name leads to.
func (h *Heap) markData(m moduleRange) {
	n := min(m.words, (m.end-m.start)/8)
	if n == 0 {
		return
	}
	read := h.bytes
	if m.mask >= m.text && m.mask < m.image { // part of the executable
		read = h.s.Slice
	}
	mask, err := read(m.mask, int(n+7)/8)
	if err == nil {
		var data []byte
		h.words(m.start, 8*n)
		if data, err = h.bytes(m.start, int(8*n)); err == nil {
			for i := range n {
				if mask[i/8]>>(i%8)&1 == 0 {
					continue
				}
				word := binary.LittleEndian.Uint64(data[8*i:])
				if sp, slot := h.find(word); sp != nil && (!h.isLive(sp.first+slot) || h.nameless(sp.first+slot)) {
					h.visit(word, 0, h.newRoot(heapRoot{kind: rootData, addr: m.start + 8*i}))
				}
			}
		}
	}
	if err != nil {
		h.lost("data sections that can't be read", err)
	}
}

// nameless tells, while edges are collected, of an object that data without a name led to, or may lead to.
func (h *Heap) nameless(object uint32) bool {
	if h.collect == nil || h.s.File().RuntimeOnly() {
		return h.collect != nil
	}
	parent := h.parents[object]
	return parent&rootFlag != 0 && parent != noParent && h.roots[parent&^rootFlag].kind == rootData
}

// specialKinds are the values of special.kind that roots have; they moved by one when mheap got tiny blocks' (Go 1.25).
func (h *Heap) specialKinds() (finalizer, weak, cleanup byte) {
	l := &h.table.Special
	finalizer = 1
	if l.TinyBlock.Known() {
		finalizer = 2
	}
	if l.WeakTable.Known() {
		weak = finalizer + 1
	}
	if l.CleanupTable.Known() {
		cleanup = finalizer + 5
	}
	return finalizer, weak, cleanup
}

// eachSpecial calls back for each record that the runtime keeps of an object.
func (h *Heap) eachSpecial(yield func(sp *span, record, offset uint64, kind byte)) {
	l := &h.table.Special
	for i := range h.spans {
		sp := &h.spans[i]
		for record, n := sp.specials, 0; record != 0; n++ {
			b, err := h.s.Structure(record, &l.Structure)
			if err != nil || n > 1<<20 {
				h.lost("lists of finalizers that break off", err)
				break
			}
			yield(sp, record, l.Object.Uint(b), byte(l.Kind.Uint(b)))
			record = l.Next.Uint(b)
		}
	}
}

// markSpecials marks what finalizers, cleanups and weak pointers keep alive: of an object with a finalizer all that it
// leads to, but not itself.
func (h *Heap) markSpecials() {
	finalizer, weak, cleanup := h.specialKinds()
	l := &h.table.Special
	word := func(record uint64, fields ...layout.Field) {
		for _, f := range fields {
			if w, err := h.s.Field(record, f); err == nil && f.Known() {
				h.visit(w, h.closureAt(w), h.newRoot(heapRoot{kind: rootFinalizer, addr: record}))
			}
		}
	}
	h.eachSpecial(func(sp *span, record, offset uint64, kind byte) {
		switch {
		case kind == finalizer:
			word(record, l.FinalizerFunc)
			if slot := offset / sp.size; slot < uint64(sp.count) && sp.kind != spanNoPointers {
				object := sp.first + uint32(slot)
				if !h.isLive(object) {
					h.finalized = append(h.finalized, object)
					h.types[object] = h.finalizedType(record, sp, offset)
				}
			}
		case kind == weak && weak != 0:
			word(record, l.WeakHandle)
		case kind == cleanup && cleanup != 0:
			word(record, l.CleanupFunc, l.CleanupArgument, l.CleanupCall)
		}
	})
	for _, object := range h.finalized {
		if h.isLive(object) || h.collect != nil {
			continue
		}
		// All that it leads to, but not the object: it is gone through without being marked.
		h.parents[object] = h.newRoot(heapRoot{kind: rootFinalizer, addr: h.base(object)})
		h.scan(object)
	}
}

// finalizedType is the shape of an object by its finalizer, which knows the type of the pointer that it was set on.
func (h *Heap) finalizedType(record uint64, sp *span, offset uint64) uint32 {
	desc, err := h.s.Field(record, h.table.Special.FinalizerType)
	if err != nil || desc == 0 {
		return 0
	}
	pointer, err := h.runtimeType(desc)
	if err != nil || pointer.Elem() == nil {
		return 0
	}
	start := offset / sp.size * sp.size
	shape, strength := h.fit(sp, start, offset-start, h.one(pointer.Elem()))
	return shape<<2 | strength
}

// markQueued marks what finalizers that are about to run hold.
func (h *Heap) markQueued() {
	err := h.eachQueued(func(closure, object, at uint64) {
		l := &h.table.Finalizers.Entry
		h.visit(closure, h.closureAt(closure), h.newRoot(heapRoot{kind: rootFinalizer, addr: at + uint64(l.Func.Offset)}))
		h.visit(object, h.closureAt(object), h.newRoot(heapRoot{kind: rootFinalizer, addr: at + uint64(l.Argument.Offset)}))
	})
	if err != nil {
		h.lost("lists of finalizers that are to run, broken off", err)
	}
}
