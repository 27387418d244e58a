package waits

import (
	"slices"

	"ri/values"
)

// Needs is what goroutines wait for that others would have to do, and who will do it, as far as the code on their
// stacks tells.
type Needs struct {
	*Users
	// Channels are those of which it was looked for: those with senders, and those that somebody receives from who
	// holds what others wait for, or waits for a semaphore.
	Channels []*WaitedChannel
	// Wakes are the sync.Conds and semaphore.Weighteds (Kind is "Cond", "Weighted") that such goroutines wait for, with
	// those in Waiting.
	Wakes []*Lock
}

// maxSteps is how far is looked behind those who wait: who holds what they need, what that one waits for, and so on.
const maxSteps = 8

// acquires is the function that waits for a channel of its own, which Release closes
// (golang.org/x/sync/semaphore/semaphore.go, v0.1 to v0.16).
const acquires = "golang.org/x/sync/semaphore.(*Weighted).Acquire"

// Needs finds who will do what goroutines wait for: call Done, receive from channels that somebody sends to, and send
// to or close those that are waited for by goroutines of which others need something. That idle workers wait to
// receive is no need.
func (r *Reader) Needs(w *Waits, groups []*values.StackGroup, check func()) (*Needs, error) {
	n := &Needs{Users: &Users{Sure: map[Wanted][]int64{}, May: map[string]May{}}}
	actors, seen := needed(w, groups), map[uint64]bool{}
	var wanted []Wanted
	for _, lock := range w.Locks {
		if lock.Kind == "WaitGroup" {
			wanted = append(wanted, Wanted{lock.Addr, "done"})
		}
	}
	for _, c := range w.Channels {
		if len(c.Senders) > 0 && len(c.Receivers) == 0 && !c.Closed {
			wanted = append(wanted, Wanted{c.Addr, "receive"})
			n.Channels = append(n.Channels, c)
		}
	}
	for range maxSteps {
		found, err := r.Users(w, wanted, groups, check)
		if err != nil {
			return nil, err
		}
		n.add(found, actors)
		wanted = wanted[:0]
		for _, c := range w.Channels {
			if len(actors) == 0 || seen[c.Addr] || !anyOf(c.Receivers, actors) {
				continue
			}
			seen[c.Addr] = true
			wanted, n.Channels = append(wanted, Wanted{c.Addr, "send"}), append(n.Channels, c)
		}
		if len(wanted) == 0 {
			break
		}
	}
	return n, r.findWakes(n, groups, actors, check)
}

// needed gives the goroutines of which others need something from the start: who has a lock, or may have one. Who
// waits for its share of a semaphore is one, too: it is no idle worker.
func needed(w *Waits, groups []*values.StackGroup) map[int64]bool {
	actors := map[int64]bool{}
	for _, lock := range w.Locks {
		for _, list := range [][]Holder{lock.Holders, lock.Candidates} {
			for i := range list {
				actors[list[i].ID] = true
			}
		}
	}
	for _, group := range groups {
		if slices.ContainsFunc(group.Frames, func(f values.Frame) bool { return f.Func == acquires }) {
			for _, id := range group.IDs {
				actors[id] = true
			}
		}
	}
	return actors
}

// add takes over who was found, who then are actors.
func (n *Needs) add(found *Users, actors map[int64]bool) {
	for one, ids := range found.Sure {
		n.Sure[one] = ids
		for _, id := range ids {
			actors[id] = true
		}
	}
	for kind, may := range found.May {
		n.May[kind] = may
	}
}

func anyOf(queue []Waiter, ids map[int64]bool) bool {
	for i := range queue {
		if ids[queue[i].ID] {
			return true
		}
	}
	return false
}
