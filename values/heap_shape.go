package values

import (
	"fmt"
	"reflect"
	"strings"

	"ri/attach"
	"ri/symbols"
)

// This file says what objects are: a shape is a Go type, or one of the things that the runtime makes of a type (the store behind a slice,
// a map's tables, a channel's buffer, a closure), compiled to the places of its pointers and to what they lead to.

// shape is what an object may be.
type shape struct {
	name     string
	typ      *symbols.Type // of one element; nil for closures and text
	size     uint64        // of one element, 0: not known
	repeated bool          // the object is a row of elements
	compiled bool
	partial  bool   // too large to compile wholly: pointers are found without it
	slots    []slot // of one element, by offset
	mask     uint64 // pointers among the first 64 words of one element
	form     form
	of       *symbols.Type // the map that it is part of, or the channel's elements
	pc       uint64        // of a closure
	wholes   []uint32      // shapes that this one is the beginning of: a pointer to it may be one to them
}

// slot is a pointer in a shape.
type slot struct {
	off    uint32
	kind   slotKind
	target uint32 // a shape, for slotTo
	other  int32  // where the word is that tells more: an interface's type, a directory's length; from off
}

type slotKind uint8

const (
	slotRaw       slotKind = iota // a pointer to we don't know what
	slotTo                        // a pointer to target
	slotEface                     // an interface's data; the word at other is its type, which is no pointer for the collector (cmd/compile/internal/typebits)
	slotIface                     // an interface's data; the word at other is its itab
	slotFunc                      // a closure
	slotDirectory                 // of a Swiss map: a group of target's map, or a directory of its tables
)

// form is how an object stands to its type.
type form uint8

const (
	formOne       form = iota
	formArray          // the store behind a []T
	formText           // a string's bytes
	formMap            // a map's header
	formTable          // of a Swiss map
	formDirectory      // of a Swiss map: pointers to tables
	formGroups         // of a Swiss map: groups
	formBuckets        // of a bucket map
	formChan           // a channel, with its buffer where the elements hold no pointers
	formBuffer         // a channel's buffer
	formClosure
)

type shapeKey struct {
	typ  *symbols.Type
	form form
	pc   uint64
}

const (
	maxSlots  = 1 << 14 // of one element
	maxShapes = 1 << 20
)

// shapeOf gives the number of a shape; 0 is the one of objects of which nothing is known.
func (h *Heap) shapeOf(key shapeKey) uint32 {
	if id, ok := h.shapeIDs[key]; ok {
		return id
	}
	if len(h.shapes) >= maxShapes {
		return 0
	}
	s := &shape{typ: key.typ, form: key.form, of: key.typ, pc: key.pc}
	id := uint32(len(h.shapes))
	h.shapes = append(h.shapes, s)
	h.shapeIDs[key] = id
	h.nameShape(s)
	return id
}

// nameShape gives a shape its name and size.
func (h *Heap) nameShape(s *shape) {
	t := s.typ
	switch s.form {
	case formOne:
		s.name, s.size = t.Name, uint64(t.Size)
	case formArray:
		s.name, s.size, s.repeated = "[]"+t.Name, uint64(t.Size), true
	case formText:
		s.name, s.size, s.repeated = "string data", 1, true
	case formChan:
		s.name = "chan " + t.Name
		if head, err := h.s.Type("runtime.hchan"); err == nil {
			s.size = uint64(head.Size)
		}
	case formBuffer:
		s.name, s.size, s.repeated = "chan "+t.Name+" buffer", uint64(t.Size), true
	case formMap, formTable, formDirectory, formGroups, formBuckets:
		h.nameMapPart(s)
	case formClosure:
		s.name = "func literal"
		if info, ok := h.s.PC(s.pc); ok {
			s.name = info.Func + " closure"
		}
	}
}

func (h *Heap) nameMapPart(s *shape) {
	t := s.of
	s.typ, s.name = nil, t.Name
	l, err := h.s.mapLayout(t)
	if err != nil {
		return
	}
	head := t.Repr().Elem()
	switch s.form {
	case formMap:
		s.typ = head
	case formBuckets:
		field, _ := head.FieldByName("buckets")
		s.name, s.typ, s.repeated = t.Name+" buckets", field.Field.Type.Elem(), true
	default:
		dir, _ := head.FieldByName("dirPtr")
		table := dir.Field.Type.Elem()
		switch s.form {
		case formDirectory:
			s.name, s.typ, s.repeated = t.Name+" directory", table, true
		case formTable:
			s.name, s.typ = t.Name+" table", table.Elem()
		case formGroups:
			ref, err := table.Elem().FieldByName("groups")
			if err != nil {
				return
			}
			data, err := ref.Field.Type.FieldByName("data")
			if err != nil {
				return
			}
			s.name, s.typ, s.repeated = t.Name+" groups", data.Field.Type.Elem(), true
		}
	}
	if s.typ != nil {
		s.size = uint64(s.typ.Size)
	}
	_ = l
}

// one and row give the shapes of a T and of the store behind a []T.
func (h *Heap) one(t *symbols.Type) uint32 { return h.typed(t, formOne) }
func (h *Heap) row(t *symbols.Type) uint32 { return h.typed(t, formArray) }

func (h *Heap) typed(t *symbols.Type, f form) uint32 {
	if t == nil || t.Kind == reflect.Invalid || t.Size <= 0 || t.Size > maxBytes || isShape(t) {
		return 0
	}
	return h.shapeOf(shapeKey{typ: t, form: f})
}

// channelOf gives the shape of a channel of some type.
func (h *Heap) channelOf(elem *symbols.Type) uint32 {
	if elem == nil || elem.Kind == reflect.Invalid || isShape(elem) {
		return 0
	}
	return h.shapeOf(shapeKey{typ: elem, form: formChan})
}

// channelAt gives the shape of the channel at an address, by what it notes of its elements (hchan.elemtype).
func (h *Heap) channelAt(addr uint64) uint32 {
	if h.elemType < 0 {
		return 0
	}
	desc, err := h.s.Uint64(addr + uint64(h.elemType))
	if err != nil || desc == 0 {
		return 0
	}
	key := headerKey{desc, 0}
	if id, ok := h.headers[key]; ok {
		return id
	}
	id := uint32(0)
	if t, err := h.runtimeType(desc); err == nil {
		id = h.channelOf(t)
	}
	if len(h.headers) < maxShapes {
		h.headers[key] = id
	}
	return id
}

// isShape tells whether a type stands for several, in generic code: what its pointers lead to isn't known.
func isShape(t *symbols.Type) bool { return strings.Contains(t.Name, "go.shape.") }

// compile finds a shape's pointers.
func (h *Heap) compile(s *shape) {
	s.compiled = true
	c := &slotCompiler{h: h, s: s}
	switch s.form {
	case formText:
	case formClosure:
		c.closure()
	case formMap:
		c.mapHeader()
	case formTable:
		c.table()
	case formDirectory:
		c.add(slot{kind: slotTo, target: h.shapeOf(shapeKey{typ: s.of, form: formTable})})
	case formBuckets:
		c.buckets()
	case formChan:
		c.channel()
	default:
		c.value(s.typ, 0, 0)
	}
	s.partial = c.full
	h.findWholes(s)
	for _, p := range s.slots {
		if p.off/8 < 64 {
			s.mask |= 1 << (p.off / 8)
		}
	}
}

// findWholes finds what a pointer to a node of a hash trie leads to: entries and inner nodes both begin with one (internal/sync.HashTrieMap, which sync.Map is
// made of since Go 1.24; internal/concurrent before).
func (h *Heap) findWholes(s *shape) {
	if s.form != formOne || s.typ == nil {
		return
	}
	for _, prefix := range []string{"internal/sync.", "internal/concurrent."} {
		params, ok := strings.CutPrefix(s.typ.Name, prefix+"node[")
		if !ok {
			continue
		}
		for _, kind := range []string{"entry[", "indirect["} {
			if t, err := h.s.file.Type(prefix + kind + params); err == nil {
				s.wholes = append(s.wholes, h.one(t))
			}
		}
	}
}

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
		if _, err := h.s.mapLayout(t); err != nil {
			c.to(off, 0)
		} else {
			c.to(off, h.typed(t, formMap))
		}
	case reflect.String:
		c.to(off, h.text)
	case reflect.Slice:
		c.to(off, h.row(t.Elem()))
	case reflect.Interface:
		kind := slotIface
		if r := t.Repr(); r != nil && r.Name == "runtime.eface" {
			kind = slotEface
		}
		c.add(slot{off: uint32(off) + 8, kind: kind, other: -8})
	case reflect.Array:
		e := t.Elem()
		if e == nil || e.Size <= 0 || t.Len() <= 0 || !h.hasPointers(e) {
			return
		}
		for i := range uint64(t.Len()) {
			if c.full {
				return
			}
			c.value(e, off+i*uint64(e.Size), depth+1)
		}
	case reflect.Struct:
		fields := t.Fields()
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
}

// atomicTarget tells what a sync/atomic.Pointer[T] points to: it has a field of type [0]*T and then an unsafe.Pointer.
func (h *Heap) atomicTarget(t *symbols.Type, fields []symbols.Field) *symbols.Type {
	if !strings.HasPrefix(t.Name, "sync/atomic.Pointer[") || len(fields) < 2 || fields[len(fields)-1].Type.Kind != reflect.UnsafePointer {
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
	case reflect.Pointer, reflect.UnsafePointer, reflect.Func, reflect.Chan, reflect.Map, reflect.String, reflect.Slice, reflect.Interface:
		return true
	}
	return false
}

func (c *slotCompiler) mapHeader() {
	s, h := c.s, c.h
	l, err := h.s.mapLayout(s.of)
	if err != nil {
		return
	}
	if l.swiss {
		c.add(slot{off: uint32(l.dirPtr), kind: slotDirectory, target: h.shapeOf(shapeKey{typ: s.of, form: formGroups}), other: int32(l.dirLen - l.dirPtr)})
		return
	}
	buckets := h.shapeOf(shapeKey{typ: s.of, form: formBuckets})
	for _, f := range s.typ.Fields() {
		if off := f.Offset; off == l.buckets || off == l.oldBuckets {
			c.to(uint64(off), buckets)
		} else {
			c.value(f.Type, uint64(off), 1)
		}
	}
}

func (c *slotCompiler) table() {
	s, h := c.s, c.h
	l, err := h.s.mapLayout(s.of)
	if err != nil || s.typ == nil {
		return
	}
	c.to(uint64(l.groups), h.shapeOf(shapeKey{typ: s.of, form: formGroups}))
}

func (c *slotCompiler) buckets() {
	s, h := c.s, c.h
	l, err := h.s.mapLayout(s.of)
	if err != nil || s.typ == nil {
		return
	}
	for _, f := range s.typ.Fields() {
		if f.Offset == l.overflow && (f.Type.Kind == reflect.Pointer || f.Type.Kind == reflect.UnsafePointer) {
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

// closure compiles what a function literal or method value captured, as far as the compiler recorded it (Go 1.23 and later).
func (c *slotCompiler) closure() {
	s, h := c.s, c.h
	s.size = 8
	info, ok := h.s.PC(s.pc)
	if !ok {
		return
	}
	if method, ok := strings.CutSuffix(info.Func, "-fm"); ok {
		if t, err := h.s.file.Type(receiver(method)); err == nil && t.Size > 0 {
			s.size += uint64(t.Size)
			c.value(t, 8, 1)
		}
		return
	}
	seen := map[int64]bool{}
	for _, fv := range h.s.file.FuncVars(s.pc - h.s.bias).All() {
		if fv.ClosureOffset < 8 || fv.ClosureOffset > 1<<16 || seen[fv.ClosureOffset] || fv.Type.Size <= 0 || fv.Type.Size > 1<<16 {
			continue
		}
		seen[fv.ClosureOffset] = true
		s.size = max(s.size, uint64(fv.ClosureOffset+fv.Type.Size))
		c.value(fv.Type, uint64(fv.ClosureOffset), 1)
	}
}

// dynamic is what an interface's type word says of its data.
type dynamic struct {
	slot slot // of the data word
	name string
}

// dynamicOf tells what the data word of an interface is whose type descriptor lies at desc.
func (h *Heap) dynamicOf(desc uint64) dynamic {
	if d, ok := h.dynamics[desc]; ok {
		return d
	}
	var d dynamic
	if t, err := h.runtimeType(desc); err == nil {
		d.name = t.Name
		if direct, err := h.s.storedDirectly(desc, t); err == nil && direct {
			scratch := &shape{}
			(&slotCompiler{h: h, s: scratch}).value(t, 0, 0)
			if len(scratch.slots) == 1 {
				d.slot = scratch.slots[0]
			}
		} else if err == nil {
			if target := h.one(t); target != 0 {
				d.slot = slot{kind: slotTo, target: target}
			}
		}
	}
	if len(h.dynamics) < maxShapes {
		h.dynamics[desc] = d
	}
	return d
}

// runtimeType is RuntimeType for words that may be anything: to read at 0 would count as memory that the copy lacks.
func (h *Heap) runtimeType(desc uint64) (*symbols.Type, error) {
	if desc < attach.PageSize {
		return nil, fmt.Errorf("type descriptor at %#x: %w", desc, ErrNil)
	}
	return h.s.RuntimeType(desc)
}

// itabType reads the type descriptor out of a runtime.itab (its second word, Go 1.20 to 1.26).
func (h *Heap) itabType(itab uint64) uint64 {
	if desc, ok := h.itabs[itab]; ok {
		return desc
	}
	desc := uint64(0)
	if itab >= attach.PageSize {
		if word, err := h.s.Uint64(itab + 8); err == nil {
			desc = word
		}
	}
	if len(h.itabs) < maxShapes {
		h.itabs[itab] = desc
	}
	return desc
}

// headerShape is what a type descriptor in a malloc header says of an object that has so many bytes for its contents.
func (h *Heap) headerShape(desc, slotBytes, header uint64) uint32 {
	key := headerKey{desc, slotBytes}
	if id, ok := h.headers[key]; ok {
		return id
	}
	id := uint32(0)
	if t, err := h.runtimeType(desc); err == nil && t.Size > 0 {
		if slotSize(uint64(t.Size)+header) == slotBytes || uint64(t.Size)*2 > slotBytes-header {
			id = h.one(t)
		} else {
			id = h.row(t)
		}
	}
	if len(h.headers) < maxShapes {
		h.headers[key] = id
	}
	return id
}

type headerKey struct{ desc, slot uint64 }

// describe names a shape for people; untyped objects are told apart by the size of their slots.
func (h *Heap) describe(id uint32, size uint64) string {
	if id == 0 {
		return fmt.Sprintf("(untyped, slots of %d bytes)", size)
	}
	return h.shapes[id].name
}
