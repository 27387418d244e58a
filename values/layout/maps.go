package layout

import (
	"fmt"
	"reflect"

	"ri/symbols"
)

// maxIndirect is the size beyond which the runtime keeps a map's key or element behind a pointer
// (abi.MapMaxKeyBytes, abi.MapMaxElemBytes and their forebears), in bytes.
const maxIndirect = 128

// SlotsPerGroup is how many entries a group or a bucket has: abi.MapGroupSlots, and abi.OldMapBucketCount.
const SlotsPerGroup = 8

// Map is where the maps of a type keep their entries. Swiss maps came with Go 1.24 (internal/runtime/maps), bucket maps
// were before (runtime.hmap). Which it is, the fields of the program's own type tell.
type Map struct {
	Group
	Swiss                     bool
	Key, Elem                 *symbols.Type
	IndirectKey, IndirectElem bool // pointers to them stand in their places
	// Keys and Elems are their places in a group or a bucket: one behind the other, or in pairs.
	Keys, Elems Places

	Structure // the header
	Count     Field

	// Of a Swiss map: the directory of tables in the header, a table, a group.
	Directory, Tables, Depth Field
	Table                    struct {
		Structure
		Depth, Groups, Mask Field
	}
	Slots struct {
		Structure
		Control Field
	}

	// Of a map with buckets: the header's, a bucket's.
	Bits, Buckets, OldBuckets, Flags Field
	Bucket                           struct {
		Structure
		Tops, Overflow Field
	}
}

// Places are those of a group's or bucket's keys, or of its elements: where the first is, how far it is to the next,
// how long each is, in bytes.
type Places struct{ First, Stride, Size int64 }

// Of is where the i-th is.
func (p Places) Of(i int64) int64 { return p.First + i*p.Stride }

// Holding tells which of them an offset lies in, and how far in.
func (p Places) Holding(off int64) (i, rest int64, ok bool) {
	if off < p.First || p.Stride <= 0 {
		return 0, 0, false
	}
	i, rest = (off-p.First)/p.Stride, (off-p.First)%p.Stride
	return i, rest, i < SlotsPerGroup && rest < p.Size
}

// Map compiles the layout of a map type; the error names what is missing.
func (l *Layouts) Map(t *symbols.Type) (*Map, error) {
	if t.Kind != reflect.Map || t.Key() == nil || t.Elem() == nil || t.Repr() == nil || t.Repr().Elem() == nil {
		return nil, fmt.Errorf("%s: the runtime's structure is not described: %w", t.Name, symbols.ErrNotFound)
	}
	m := l.compileMap(t)
	if err := m.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	return m, nil
}

func (l *Layouts) compileMap(t *symbols.Type) *Map {
	c := &compiler{source: nothing{}}
	m := &Map{Group: c.group("map"), Key: t.Key(), Elem: t.Elem()}
	m.Group.goes = l.Goroutine.goes
	m.IndirectKey, m.IndirectElem = m.Key != nil && m.Key.Size > maxIndirect, m.Elem != nil && m.Elem.Size > maxIndirect
	if head := t.Repr().Elem(); head != nil {
		c.mapOf(m, head)
	}
	return m
}

// Behind says what a program lacks of the runtime's structure behind values of a type: of a map, of a channel.
func (l *Layouts) Behind(t *symbols.Type) []Missing {
	switch {
	case t == nil:
	case t.Kind == reflect.Chan:
		return l.Channel.missing
	case t.Kind == reflect.Map && t.Repr() != nil:
		m := l.compileMap(t)
		return m.missing
	}
	return nil
}

// maps is the group of what all maps have, whatever their type: the linker describes groups and buckets for each type.
func (c *compiler) maps() Group {
	g := c.group("map")
	if t, err := c.source.Type("internal/runtime/maps.Map"); err == nil {
		c.swiss(&Map{}, c.of(&g, t, t.Name))
		return g
	}
	c.buckets(&Map{}, c.structure(&g, "runtime.hmap"))
	return g
}

// mapOf compiles all that is described of a map type.
func (c *compiler) mapOf(m *Map, head *symbols.Type) {
	m.Structure = c.of(&m.Group, head, head.Name)
	if _, err := find(head, "dirPtr"); err != nil {
		c.buckets(m, m.Structure)
		c.bucket(m)
		return
	}
	m.Swiss = true
	c.swiss(m, m.Structure)
	c.slots(m)
}

// slots compiles a group of a Swiss map.
func (c *compiler) slots(m *Map) {
	g := c.of(&m.Group, m.Slots.Type, "group")
	if m.Slots.Structure = g; g.Type == nil {
		m.lack("type", "internal/runtime/maps.group", symbols.ErrNotFound)
		return
	}
	m.Slots.Control = g.required(since(24), "ctrl")
	pairs, err := g.Type.FieldByName("slots")
	if err != nil { // GOEXPERIMENT=mapsplitgroup, Go 1.27
		m.Keys, m.Elems = g.places("keys"), g.places("elems")
		return
	}
	all := g.places("slots")
	m.Keys, m.Elems = all, all
	slot := c.of(&m.Group, pairs.Field.Type.Elem(), "slot")
	for name, in := range map[string]*Places{"key": &m.Keys, "elem": &m.Elems} {
		if slot.Type == nil {
			return
		}
		p, err := slot.Type.FieldByName(name)
		if err != nil {
			m.lack("field", "slot."+name, symbols.ErrNotFound)
		}
		in.First, in.Size = all.First+p.Offset, p.Field.Type.Size
	}
}

// bucket compiles a bucket.
func (c *compiler) bucket(m *Map) {
	b := c.of(&m.Group, elemOf(m.Type, "buckets"), "bucket")
	if m.Bucket.Structure = b; b.Type == nil {
		m.lack("type", "runtime.bmap", symbols.ErrNotFound)
		return
	}
	m.Bucket.Tops, m.Bucket.Overflow = b.required(until(23), "tophash"), b.required(until(23), "overflow")
	m.Keys, m.Elems = b.places("keys"), b.places("values")
}

// places declares a required field that is an array of keys, of elements or of pairs. They may be of no size.
func (s Structure) places(field string) Places {
	p, err := s.Type.FieldByName(field)
	if err != nil || len(p.Steps) > 0 || p.Field.Type.Elem() == nil || p.Field.Type.Len() != SlotsPerGroup ||
		p.Offset < 0 || p.Offset+p.Field.Type.Size > s.Size {
		s.g.lack("field", s.name+"."+field, symbols.ErrNotFound)
		return Places{}
	}
	each := p.Field.Type.Elem().Size
	return Places{p.Offset, each, each}
}

func (c *compiler) swiss(m *Map, head Structure) {
	m.Count = head.required(since(24), "used")
	m.Directory, m.Tables = head.required(since(24), "dirPtr"), head.required(since(24), "dirLen")
	m.Depth = head.required(since(24), "globalDepth")
	var table *symbols.Type
	if t := elemOf(head.Type, "dirPtr"); t != nil {
		table = t.Elem()
	}
	if table == nil { // of all maps alike an unsafe.Pointer
		table, _ = c.source.Type("internal/runtime/maps.table")
	}
	t := c.of(head.g, table, "internal/runtime/maps.table")
	if m.Table.Structure = t; t.Type == nil {
		head.g.lack("type", t.name, symbols.ErrNotFound)
		return
	}
	m.Table.Depth = t.required(since(24), "localDepth")
	m.Table.Groups, m.Table.Mask = t.required(since(24), "groups.data"), t.required(since(24), "groups.lengthMask")
	if p, err := t.Type.FieldByName("groups"); err == nil {
		m.Slots.Type = elemOf(p.Field.Type, "data")
	}
}

func (c *compiler) buckets(m *Map, head Structure) {
	m.Count, m.Bits, m.Flags = head.required(until(23), "count"), head.required(until(23), "B"),
		head.required(until(23), "flags")
	m.Buckets, m.OldBuckets = head.required(until(23), "buckets"), head.required(until(23), "oldbuckets")
}

// elemOf is what a field of a type leads to, or consists of; nil if there is none.
func elemOf(t *symbols.Type, field string) *symbols.Type {
	if t == nil {
		return nil
	}
	p, err := t.FieldByName(field)
	if err != nil {
		return nil
	}
	return p.Field.Type.Elem()
}
