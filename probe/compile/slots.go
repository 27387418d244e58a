package compile

import (
	"ri/probe"
	"ri/symbols"
	"ri/values/layout"
)

// slots takes along what the entries of a map's group or bucket lead to. A control byte without its top bit marks a
// full slot of a group (internal/runtime/maps/group.go, Go 1.24 to 1.27), a top hash of 5 or more one of a bucket
// (runtime/map.go, up to Go 1.23).
func (c *capture) slots(s spot, item, depth int) {
	l, err := c.Space.MapLayout(s.t)
	if err != nil {
		return
	}
	marks, op, limit := l.Slots.Control.Offset, probe.Less, uint64(0x80)
	if !l.Swiss {
		marks, op, limit = l.Bucket.Tops.Offset, probe.GreaterEqual, 5
	}
	for i := range int64(layout.SlotsPerGroup) {
		mark := probe.Word{Path: probe.Path{Base: probe.Base{Kind: probe.Item, N: item, Off: marks}}, InPlace: true,
			Shift: uint8(8 * i), Size: 1}
		full := s.guarded(probe.Compare{Left: mark, Op: op, Right: limit})
		c.later(0, func() {
			c.slot(full, item, l.Key, l.Keys.Of(i), l.IndirectKey, depth)
			c.slot(full, item, l.Elem, l.Elems.Of(i), l.IndirectElem, depth)
		})
	}
}

// slot takes along what a key or an element leads to; a large one lies behind a pointer itself.
func (c *capture) slot(s spot, item int, t *symbols.Type, off int64, indirect bool, depth int) {
	if t == nil {
		return
	}
	if !indirect {
		if leads(t) {
			c.value(c.inside(s, item, t, off), depth)
		}
		return
	}
	word := c.inside(s, item, c.Space.File().PointerTo(t), off)
	if !c.beyond(word) {
		c.pointer(word, t, depth)
	}
}
