package walk

import (
	"fmt"
	"reflect"
	"slices"

	"ri/symbols"
	"ri/values"
)

// Walk is a way through a structure, declared (where it begins, how it goes on, what an element is), so that Go runs it
// with no call of anything else for each element. It may have conditions that an element must meet.
type Walk struct {
	Key   *symbols.Type // of a map; nil: elements are counted from 0
	Elem  *symbols.Type
	Check func() error // asked every few thousand elements whether to go on; nil: always
	Seen  int64        // elements passed, whether they met the conditions or not

	s       *values.Space
	from    values.Value
	kind    walkKind
	base    uint64 // of the first element; of a map, the map's own place
	n       int    // elements of a sequence
	first   int    // index of the first of them in a channel's ring
	ring    int    // size of that, 0: no channel
	next    *path  // linked: from one node to the next
	end     uint64 // the node that ends the chain, after the last
	elemOff uint64 // of the element in a node
	conds   []condition
}

type walkKind uint8

const (
	walkSequence walkKind = iota
	walkMap
	walkLinked
)

// checkEvery is how many elements pass between two calls of Check; a power of two.
const checkEvery = 4096

// ElementError says at which element a walk broke off.
type ElementError struct {
	Index int
	Key   uint64 // a map's: the address of the entry's key; else 0
	Addr  uint64 // of the element
	Path  string // the part of the element that failed, as it was asked for; "" where it is the walk itself
	Err   error
}

func (e *ElementError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("element %d: %s: %v", e.Index, e.Path, e.Err)
	}
	return fmt.Sprintf("element %d: %v", e.Index, e.Err)
}

func (e *ElementError) Unwrap() error { return e.Err }

// Of declares the way through an array, slice, map, channel's buffer or container/list.List.
func Of(v values.Value) (*Walk, error) {
	if !v.IsValid() {
		return nil, v.Lacks("elements")
	}
	w := &Walk{s: v.Space(), from: v, base: v.Addr, Elem: v.Type.Elem()}
	switch v.Type.Kind {
	case reflect.Array:
		w.n = int(v.Type.Len())
	case reflect.Slice:
		data, n, _, err := v.Capacity()
		if err != nil {
			return nil, err
		}
		w.base, w.n = data, int(n)
	case reflect.Chan:
		c, err := v.Chan()
		if err != nil {
			return nil, err
		}
		w.base, w.n, w.first, w.ring, w.Elem = c.Buffer, c.Len, int(c.First), c.Cap, c.Elem
	case reflect.Map:
		w.kind, w.Key = walkMap, v.Type.Key()
		if w.Key == nil {
			return nil, v.Lacks("known key type")
		}
	case reflect.Struct:
		if v.Type.Name != "container/list.List" {
			return nil, v.Lacks("elements")
		}
		return w.list()
	default:
		return nil, v.Lacks("elements")
	}
	if w.Elem == nil {
		return nil, v.Lacks("known element type")
	}
	return w, nil
}

// list is the way round a container/list.List: from the sentinel back to it.
func (w *Walk) list() (*Walk, error) {
	root, err := w.from.Field("root")
	if err != nil {
		return nil, err
	}
	value, err := root.Type.FieldByName("Value")
	if err != nil {
		return nil, err
	}
	if w.next, err = compile(w.s, root.Type, "next"); err != nil {
		return nil, err
	}
	w.kind, w.end, w.Elem, w.elemOff = walkLinked, root.Addr, value.Field.Type, uint64(value.Offset)
	if w.base, err = w.s.Uint64(root.Addr + uint64(w.next.offset)); err != nil {
		return nil, err
	}
	if w.base == 0 { // never used
		w.base = w.end
	}
	return w, nil
}

// Linked declares the way along a chain of structs of one type, from the struct v by the pointer in a field.
func Linked(v values.Value, field string) (*Walk, error) {
	if !v.IsValid() {
		return nil, v.Lacks("field " + field)
	}
	v, err := v.Struct()
	if err != nil {
		return nil, err
	}
	next, err := compile(v.Space(), v.Type, field)
	if err != nil {
		return nil, err
	}
	if next.typ == nil || next.typ.Kind != reflect.Pointer || next.typ.Elem() != v.Type {
		what := "of an interface"
		if next.typ != nil {
			what = "of type " + next.typ.Name
		}
		return nil, fmt.Errorf("%s.%s is %s, not a *%s: %w", v.Type.Name, field, what, v.Type.Name, values.ErrKind)
	}
	return &Walk{s: v.Space(), from: v, kind: walkLinked, base: v.Addr, next: next, Elem: v.Type}, nil
}

// Nodes tells whether the elements are nodes of a chain, which pointers lead to.
func (w *Walk) Nodes() bool { return w.kind == walkLinked && w.elemOff == 0 }

// Each calls f for each element that meets the conditions, with its index or the address of its key, and its address,
// until f says that it has enough. An *ElementError says where the walk broke off; what came before is good.
func (w *Walk) Each(f func(i int, key, elem uint64) (bool, error)) error { return w.each(f) }

// each is Each; f will read these parts.
func (w *Walk) each(f func(i int, key, elem uint64) (bool, error), parts ...*path) error {
	visit := f
	if len(w.conds) > 0 {
		visit = func(i int, key, elem uint64) (bool, error) {
			for c := range w.conds {
				ok, err := w.conds[c].holds(i, key, elem)
				if !ok || err != nil {
					return true, err
				}
			}
			return f(i, key, elem)
		}
	}
	if w.kind == walkLinked {
		return w.eachNode(visit)
	}
	for c := range w.conds {
		parts = append(parts, w.conds[c].path)
	}
	parts = slices.DeleteFunc(parts, func(p *path) bool { return p == nil || !p.elsewhere() })
	pass := w.eachOf
	if w.kind == walkMap {
		pass = w.eachEntry
	}
	if len(parts) == 0 {
		return pass(visit)
	}
	// Elements lead elsewhere, each to another place: some at a time, so that the processor doesn't wait for one after
	// the other.
	batch := make([]visited, 0, warmAhead)
	ended := false
	flush := func() error {
		for _, p := range parts {
			p.warm(batch)
		}
		for _, b := range batch {
			on, err := visit(b.i, b.key, b.elem)
			if !on || err != nil {
				ended = true
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	err := pass(func(i int, key, elem uint64) (bool, error) {
		batch = append(batch, visited{i, key, elem})
		if len(batch) < warmAhead {
			return true, nil
		}
		err := flush()
		return !ended, err
	})
	if ended {
		return err
	}
	if rest := flush(); rest != nil {
		return rest
	}
	return err
}

// visited is an element that a walk has come to.
type visited struct {
	i         int
	key, elem uint64
}

// warmAhead is how many elements are made warm at a time.
const warmAhead = 64

// elsewhere tells whether the part doesn't lie in the element itself.
func (p *path) elsewhere() bool {
	return len(p.steps) > 0 || p.class == values.TextScalar || p.typ == nil
}

// warm has the processor fetch what the first pointer on the way leads to.
func (p *path) warm(batch []visited) {
	offset, sum := uint64(p.offset), byte(0)
	switch {
	case len(p.steps) > 0:
		offset = uint64(p.steps[0])
	case p.typ == nil:
		offset += 8
	}
	for _, b := range batch {
		addr := b.elem
		if p.ofKey {
			addr = b.key
		}
		if word, err := p.s.Uint64(addr + offset); err == nil && word != 0 {
			sum ^= p.s.Mem().Warm(word)
		}
	}
	p.warmth ^= sum
}

func (w *Walk) check(i int) error {
	if i&(checkEvery-1) != checkEvery-1 || w.Check == nil {
		return nil
	}
	return w.Check()
}

func (w *Walk) eachOf(f func(i int, key, elem uint64) (bool, error)) error {
	size := uint64(w.Elem.Size)
	at := w.first
	for i := 0; i < w.n; i++ {
		if err := w.check(i); err != nil {
			return err
		}
		w.Seen++
		on, err := f(i, 0, w.base+uint64(at)*size)
		if !on || err != nil {
			return err
		}
		if at++; at == w.ring {
			at = 0
		}
	}
	return nil
}

func (w *Walk) eachEntry(f func(i int, key, elem uint64) (bool, error)) error {
	i := 0
	var failed error
	err := w.from.EntryAddresses(func(key, elem uint64) bool {
		if failed = w.check(i); failed != nil {
			return false
		}
		w.Seen++
		on := false
		on, failed = f(i, key, elem)
		i++
		return on && failed == nil
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return &ElementError{Index: i, Err: err}
	}
	return nil
}

// chain is a walk along a list. One that leads back into itself is found by Brent's algorithm, which compares
// each node with one seen before and needs no memory.
type chain struct {
	node, marked uint64
	lap, power   int
}

// pass notes a node and tells whether the chain has been there.
func (c *chain) pass() bool {
	if c.node == c.marked {
		return true
	}
	if c.lap == c.power {
		c.marked, c.lap, c.power = c.node, 0, 2*c.power
	}
	c.lap++
	return false
}

func (w *Walk) eachNode(f func(i int, key, elem uint64) (bool, error)) error {
	c := chain{node: w.base, power: 1}
	for i := 0; c.node != w.end; i++ {
		if c.pass() {
			return w.ringError(i, c.node)
		}
		if err := w.check(i); err != nil {
			return err
		}
		w.Seen++
		on, err := f(i, 0, c.node+w.elemOff)
		if !on || err != nil {
			return err
		}
		if c.node, err = w.follow(i, c.node); err != nil {
			return err
		}
	}
	return nil
}

// follow gives the node after one.
func (w *Walk) follow(i int, node uint64) (uint64, error) {
	at, ok, err := w.next.place(node)
	var next uint64
	if err == nil && ok {
		next, err = w.s.Uint64(at)
	}
	if err == nil && next == 0 && w.end != 0 {
		err = fmt.Errorf("nil before the list's end: %w", values.ErrCorrupt)
	}
	if err != nil {
		return 0, &ElementError{Index: i, Addr: node, Path: w.next.name, Err: err}
	}
	return next, nil
}

func (w *Walk) ringError(i int, node uint64) error {
	return &ElementError{Index: i, Addr: node,
		Err: fmt.Errorf("the list is a ring: after %d nodes it is at %#x again: %w", i, node, values.ErrCorrupt)}
}

// Count counts the elements that meet the conditions.
func (w *Walk) Count() (n int64, err error) {
	if len(w.conds) > 0 {
		err = w.each(func(int, uint64, uint64) (bool, error) { n++; return true, nil })
		return n, err
	}
	switch w.kind {
	case walkSequence:
		return int64(w.n), nil
	case walkMap:
		count, err := w.from.Len()
		return int64(count), err
	}
	if len(w.next.steps) > 0 {
		err = w.Each(func(int, uint64, uint64) (bool, error) { n++; return true, nil })
		return n, err
	}
	// The loop that has to be fast.
	mem, offset := w.s.Mem(), uint64(w.next.offset)
	c := chain{node: w.base, power: 1}
	defer func() { w.Seen += n }()
	for ; c.node != w.end; n++ {
		if c.pass() {
			return n, w.ringError(int(n), c.node)
		}
		if err := w.check(int(n)); err != nil {
			return n, err
		}
		next, err := mem.Uint64(c.node + offset)
		if err != nil || next == 0 && w.end != 0 {
			_, err = w.follow(int(n), c.node)
			return n, err
		}
		c.node = next
	}
	return n, nil
}
