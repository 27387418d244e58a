package heap

import (
	"reflect"
	"strings"

	"ri/symbols"
	"ri/values"
)

// slotCompiler collects the pointers of one element.
type slotCompiler struct {
	h    *Heap
	s    *shape
	full bool
}

func (c *slotCompiler) add(p slot) {
	if len(c.s.slots) >= maxSlots {
		c.full = true
		return
	}
	c.s.slots = append(c.s.slots, p)
}

func (c *slotCompiler) to(off uint64, target uint32) {
	if target == 0 {
		c.add(slot{off: uint32(off)})
		return
	}
	c.add(slot{off: uint32(off), kind: slotTo, target: target})
}

// value adds the pointers of a value of type t at an offset.
func (c *slotCompiler) value(t *symbols.Type, off uint64, depth int) {
	if t == nil || depth > 64 || c.full || off > 1<<31 {
		return
	}
	h := c.h
	switch t.Kind {
	case reflect.Pointer:
		c.to(off, h.one(t.Elem()))
	case reflect.UnsafePointer:
		c.to(off, 0)
	case reflect.Func:
		c.add(slot{off: uint32(off), kind: slotFunc})
	case reflect.Chan:
		c.to(off, h.channelOf(t.Elem()))
	case reflect.Map:
		c.to(off, h.mapOf(t))
	case reflect.String:
		c.to(off, h.text)
	case reflect.Slice:
		c.to(off, h.row(t.Elem()))
	case reflect.Interface:
		c.add(interfaceSlot(t, off))
	case reflect.Array:
		if e := t.Elem(); e != nil && e.Size > 0 && h.hasPointers(e) {
			for i := int64(0); i < t.Len() && !c.full; i++ {
				c.value(e, off+uint64(i*e.Size), depth+1)
			}
		}
	case reflect.Struct:
		c.structure(t, off, depth)
	}
}

// interfaceSlot is the data word of an interface.
func interfaceSlot(t *symbols.Type, off uint64) slot {
	kind := slotIface
	if r := t.Repr(); r != nil && r.Name == "runtime.eface" {
		kind = slotEface
	}
	return slot{off: uint32(off) + 8, kind: kind, other: -8}
}

func (c *slotCompiler) structure(t *symbols.Type, off uint64, depth int) {
	h, fields := c.h, t.Fields()
	if target := h.atomicTarget(t, fields); target != nil {
		c.to(off+uint64(fields[len(fields)-1].Offset), h.one(target))
		return
	}
	if t.Name == "sync.eface" && t.Size == 16 { // an interface taken apart, in pools
		c.to(off, 0)
		c.add(slot{off: uint32(off) + 8, kind: slotEface, other: -8})
		return
	}
	for _, f := range fields {
		if t.Name == "sync.Pool" && (f.Name == "local" || f.Name == "victim") { // [P]poolLocal
			if local, err := h.s.Type("sync.poolLocal"); err == nil {
				c.to(off+uint64(f.Offset), h.row(local))
				continue
			}
		}
		c.value(f.Type, off+uint64(f.Offset), depth+1)
	}
}

// atomicTarget tells what a sync/atomic.Pointer[T] points to: it has a field of type [0]*T and then an unsafe.Pointer.
func (h *Heap) atomicTarget(t *symbols.Type, fields []symbols.Field) *symbols.Type {
	if !strings.HasPrefix(t.Name, "sync/atomic.Pointer[") || len(fields) < 2 ||
		fields[len(fields)-1].Type.Kind != reflect.UnsafePointer {
		return nil
	}
	if e := fields[0].Type.Elem(); e != nil && e.Kind == reflect.Pointer && e.Elem() != nil && h.one(e.Elem()) != 0 {
		return e.Elem()
	}
	return nil
}

// hasPointers tells whether values of a type hold pointers; large arrays of others need not be gone through.
func (h *Heap) hasPointers(t *symbols.Type) bool {
	switch t.Kind {
	case reflect.Struct:
		if known, ok := h.pointered[t]; ok {
			return known
		}
		h.pointered[t] = true // a type can't contain itself but through a pointer
		has := false
		for _, f := range t.Fields() {
			if f.Type.Size > 0 && h.hasPointers(f.Type) {
				has = true
				break
			}
		}
		h.pointered[t] = has
		return has
	case reflect.Array:
		return t.Elem() != nil && t.Len() > 0 && h.hasPointers(t.Elem())
	case reflect.Pointer, reflect.UnsafePointer, reflect.Func, reflect.Chan, reflect.Map, reflect.String,
		reflect.Slice, reflect.Interface:
		return true
	}
	return false
}

func (c *slotCompiler) mapHeader() {
	s, h := c.s, c.h
	l, err := h.s.MapLayout(s.of)
	if err != nil {
		return
	}
	if l.Swiss {
		c.add(slot{off: uint32(l.Directory.Offset), kind: slotDirectory,
			target: h.shapeOf(shapeKey{typ: s.of, form: formGroups}), other: int32(l.Tables.Offset - l.Directory.Offset)})
		return
	}
	buckets := h.shapeOf(shapeKey{typ: s.of, form: formBuckets})
	for _, f := range s.typ.Fields() {
		if off := f.Offset; off == l.Buckets.Offset || off == l.OldBuckets.Offset {
			c.to(uint64(off), buckets)
		} else {
			c.value(f.Type, uint64(off), 1)
		}
	}
}

func (c *slotCompiler) table() {
	s, h := c.s, c.h
	l, err := h.s.MapLayout(s.of)
	if err != nil || s.typ == nil {
		return
	}
	c.to(uint64(l.Table.Groups.Offset), h.shapeOf(shapeKey{typ: s.of, form: formGroups}))
}

func (c *slotCompiler) buckets() {
	s, h := c.s, c.h
	l, err := h.s.MapLayout(s.of)
	if err != nil || s.typ == nil {
		return
	}
	for _, f := range s.typ.Fields() {
		if f.Offset == l.Bucket.Overflow.Offset && (f.Type.Kind == reflect.Pointer || f.Type.Kind == reflect.UnsafePointer) {
			c.to(uint64(f.Offset), h.shapeOf(shapeKey{typ: s.of, form: formBuckets}))
		} else {
			c.value(f.Type, uint64(f.Offset), 1)
		}
	}
}

// channel compiles a runtime.hchan; one whose elements hold no pointers is itself free of them for the collector.
func (c *slotCompiler) channel() {
	s, h := c.s, c.h
	if !h.hasPointers(s.of) || s.of.Size == 0 {
		return
	}
	head, err := h.s.Type("runtime.hchan")
	if err != nil {
		return
	}
	for _, f := range head.Fields() {
		if f.Name == "buf" {
			c.to(uint64(f.Offset), h.shapeOf(shapeKey{typ: s.of, form: formBuffer}))
		} else {
			c.value(f.Type, uint64(f.Offset), 1)
		}
	}
}

// closure compiles what a function literal or method value captured, as far as the compiler recorded it (Go 1.23 and
// later).
func (c *slotCompiler) closure() {
	s, h := c.s, c.h
	s.size = 8
	info, ok := h.s.PC(s.pc)
	if !ok {
		return
	}
	if method, ok := strings.CutSuffix(info.Func, "-fm"); ok {
		if t, err := h.s.File().Type(values.ReceiverType(method)); err == nil && t.Size > 0 {
			s.size += uint64(t.Size)
			c.value(t, 8, 1)
		}
		return
	}
	seen := map[int64]bool{}
	for _, fv := range h.s.File().FuncVars(s.pc - h.s.Bias()).All() {
		if fv.ClosureOffset < 8 || fv.ClosureOffset > 1<<16 || seen[fv.ClosureOffset] || fv.Type.Size <= 0 ||
			fv.Type.Size > 1<<16 {
			continue
		}
		seen[fv.ClosureOffset] = true
		s.size = max(s.size, uint64(fv.ClosureOffset+fv.Type.Size))
		c.value(fv.Type, uint64(fv.ClosureOffset), 1)
	}
}
