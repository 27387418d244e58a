package heap

import (
	"cmp"
	"fmt"
	"slices"

	"ri/values"
	"ri/values/layout"
)

// Queued is finalizers of one function that wait to be run, since their objects are gone. What runs just now is among
// them.
type Queued struct {
	Func  string
	Count int64
}

// QueuedFinalizers reads the runtime's queue of finalizers, which needs no walk of the heap; most first. It keeps its
// blocks whether or not it has them in the queue, and counts in each how many are still to be run.
func QueuedFinalizers(s *values.Space) ([]Queued, error) {
	h := &Heap{s: s, problems: map[string]*problem{}}
	if err := h.readTable(); err != nil {
		return nil, err
	}
	counts := map[uint64]int64{}
	if err := h.eachQueued(func(closure, _, _ uint64) { counts[closure]++ }); err != nil {
		return nil, fmt.Errorf("the queue of finalizers: %w", err)
	}
	named := map[string]int64{}
	for closure, n := range counts {
		named[h.closureFunc(closure)] += n
	}
	var list []Queued
	for name, n := range named {
		list = append(list, Queued{name, n})
	}
	slices.SortFunc(list, func(a, b Queued) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Func, b.Func))
	})
	return list, nil
}

// eachQueued calls back for each finalizer that waits to be run: its closure, its object, and where that is noted.
func (h *Heap) eachQueued(yield func(closure, object, at uint64)) error {
	l := &h.table.Finalizers
	at, err := h.s.Uint64(l.All.Addr + h.s.Bias())
	for n := 0; err == nil && at != 0 && n < 1<<20; n++ {
		var b []byte
		if b, err = h.s.Structure(at, &l.Structure); err != nil {
			break
		}
		for i := range l.Count.Uint(b) {
			from := l.List.Offset + int64(i)*l.Entry.Size
			if i >= 1<<16 || from+l.Entry.Size > int64(len(b)) {
				break
			}
			word := func(f layout.Field) uint64 { return f.Uint(b[from:]) }
			yield(word(l.Entry.Func), word(l.Entry.Argument), at+uint64(from))
		}
		at = l.Next.Uint(b)
	}
	return err
}

// addQueued adds the finalizers that wait to be run, whose records the runtime has taken from their objects' spans.
func (h *Heap) addQueued(add func(typ, function string, size int64, addr uint64)) {
	err := h.eachQueued(func(closure, object, _ uint64) {
		typ, size, addr := "", int64(0), object
		if o, ok := h.Object(object); ok {
			typ, size, addr = o.Type, int64(o.Size), o.Base
		}
		add(typ, h.closureFunc(closure), size, addr)
	})
	if err != nil {
		h.lost("lists of finalizers that are to run, broken off", err)
	}
}

// closureFunc names the function of a closure; "" where it can't be read.
func (h *Heap) closureFunc(closure uint64) string {
	pc, err := h.s.Uint64(closure)
	if closure == 0 || err != nil {
		return ""
	}
	if info, ok := h.s.PC(pc); ok {
		return info.Func
	}
	return ""
}
