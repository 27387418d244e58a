package heap

import "time"

// BlockedGroup is goroutines that nothing can wake any more, which were created in one place and wait in the same way,
// as deep in their stacks.
type BlockedGroup struct {
	Waiting // one of them
	Count   int
	IDs     []int64
	Wait    time.Duration // the longest, see Goroutine
}

// BlockedGroups gives the goroutines that nothing can wake any more, put together, so that a hundred thousand of them
// are few.
func (h *Heap) BlockedGroups() []*BlockedGroup {
	type key struct {
		reason            string
		goPC, startPC, pc uint64
		depth             uint64
	}
	groups := map[key]*BlockedGroup{}
	var list []*BlockedGroup
	for i := range h.waits {
		w := &h.waits[i]
		if !w.Never {
			continue
		}
		g := w.Goroutine
		k := key{w.Reason, g.GoPC, g.StartPC, g.PC, g.StackHi - g.SP}
		group := groups[k]
		if group == nil {
			group = &BlockedGroup{Waiting: *w}
			groups[k] = group
			list = append(list, group)
		}
		group.Count++
		group.IDs = append(group.IDs, g.ID)
		group.Wait = max(group.Wait, g.Wait)
	}
	return list
}
