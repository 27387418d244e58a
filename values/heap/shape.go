package heap

import (
	"fmt"
	"reflect"
	"strings"

	"ri/attach"
	"ri/symbols"
	"ri/values"
)

// This file says what objects are: a shape is a Go type, or one of the things that the runtime makes of a type (the
// store behind a slice, a map's tables, a channel's buffer, a closure), compiled to the places of its pointers and to
// what they lead to.

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
	slotRaw slotKind = iota // a pointer to we don't know what
	slotTo                  // a pointer to target
	// an interface's data; the word at other is its type, which is no pointer for the collector
	// (cmd/compile/internal/typebits)
	slotEface
	slotIface     // an interface's data; the word at other is its itab
	slotFunc      // a closure
	slotDirectory // of a Swiss map: a group of target's map, or a directory of its tables
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
	l, err := h.s.MapLayout(t)
	if err != nil {
		return
	}
	switch s.form {
	case formMap:
		s.typ = l.Type
	case formBuckets:
		s.name, s.typ, s.repeated = t.Name+" buckets", l.Bucket.Type, true
	case formDirectory:
		s.name, s.size, s.repeated = t.Name+" directory", 8, true
	case formTable:
		s.name, s.typ = t.Name+" table", l.Table.Type
	case formGroups:
		s.name, s.typ, s.repeated = t.Name+" groups", l.Slots.Type, true
	}
	if s.typ != nil {
		s.size = uint64(s.typ.Size)
	}
}

// one and row give the shapes of a T and of the store behind a []T.
func (h *Heap) one(t *symbols.Type) uint32 { return h.typed(t, formOne) }
func (h *Heap) row(t *symbols.Type) uint32 { return h.typed(t, formArray) }

func (h *Heap) typed(t *symbols.Type, f form) uint32 {
	if t == nil || t.Kind == reflect.Invalid || t.Size <= 0 || t.Size > values.MaxBytes || isShape(t) {
		return 0
	}
	return h.shapeOf(shapeKey{typ: t, form: f})
}

// mapOf gives the shape of a map of some type, 0 where its layout isn't known.
func (h *Heap) mapOf(t *symbols.Type) uint32 {
	if _, err := h.s.MapLayout(t); err != nil {
		return 0
	}
	return h.typed(t, formMap)
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
	elem := h.s.Layouts().Channel.ElemType
	if !elem.Known() {
		return 0
	}
	desc, err := h.s.Field(addr, elem)
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

// shape gives the shape with a number, with its pointers.
func (h *Heap) shape(id uint32) *shape {
	s := h.shapes[id]
	if !s.compiled {
		h.compile(s)
	}
	return s
}

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

// findWholes finds what a pointer to a node of a hash trie leads to: entries and inner nodes both begin with one
// (internal/sync.HashTrieMap, which sync.Map is made of since Go 1.24; internal/concurrent before).
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
			if t, err := h.s.File().Type(prefix + kind + params); err == nil {
				s.wholes = append(s.wholes, h.one(t))
			}
		}
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
		if direct, err := h.s.StoredDirectly(desc, t); err == nil && direct {
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
		return nil, fmt.Errorf("type descriptor at %#x: %w", desc, values.ErrNil)
	}
	return h.s.RuntimeType(desc)
}

// itabType reads the type descriptor out of a runtime.itab (its second word, Go 1.20 to 1.27).
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
