package waits

import (
	"errors"
	"slices"
	"strings"

	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
)

// This file finds the sync.Conds and semaphore.Weighteds that goroutines wait for, and who would wake them. The runtime
// notes of neither what it is: it is the receiver of a function on the waiting stack.

// waiters are the functions that wait for their receiver, and of which kind that is.
var waiters = map[string]string{"sync.(*Cond).Wait": "Cond", acquires: "Weighted"}

// waitedIn is the function on a stack that waits for its receiver, "" if there is none.
func waitedIn(frames []values.Frame) string {
	for i := range frames {
		if _, ok := waiters[frames[i].Func]; ok && !frames[i].Inlined {
			return frames[i].Func
		}
	}
	return ""
}

// readWakers makes the analysis of what functions wake, which is kept for all looks.
func (r *Reader) readWakers() error {
	if r.wakers != nil {
		return nil
	}
	program, err := r.program()
	if err == nil {
		r.wakers = program.Wakes(func(function string) bool { return isStandard(r.s, function) })
	}
	return err
}

// findWakes notes of what the actors among the goroutines wait for, that is a Cond or a semaphore, who would wake
// them. Of idle workers, that mean to wait, nobody needs anything.
func (r *Reader) findWakes(n *Needs, groups []*values.StackGroup, actors map[int64]bool, check func()) error {
	known := map[uint64]*Lock{}
	for _, group := range groups {
		function := waitedIn(group.Frames)
		if function == "" {
			continue
		}
		if err := r.readWakers(); err != nil {
			return err
		}
		for i, addr := range group.Addrs {
			if check != nil {
				check()
			}
			if !actors[group.IDs[i]] {
				continue
			}
			g, err := r.s.GoroutineAt(addr)
			if err != nil || g == nil || g.Status != "waiting" && g.Status != "leaked" {
				continue
			}
			r.s.OnStack(g, func() {
				if on := r.receiver(g, function); on != 0 {
					if known[on] == nil {
						known[on] = &Lock{Addr: on, Kind: waiters[function]}
						n.Wakes = append(n.Wakes, known[on])
					}
					known[on].Waiting = append(known[on].Waiting, waiterOf(g))
				}
			})
		}
	}
	if len(n.Wakes) == 0 {
		return nil
	}
	wanted := make([]Wanted, len(n.Wakes))
	for i, on := range n.Wakes {
		wanted[i] = Wanted{on.Addr, "wake"}
	}
	found, err := r.usersOf(r.wakers, nil, wanted, groups, check)
	switch {
	case errors.Is(err, symbols.ErrNotRecorded): // by a ri that didn't ask for it
		n.Wakes = nil
		return nil
	case err == nil:
		n.add(found, actors)
	}
	return err
}

// NameWakes finds names for them, as NameLocks does. A field of what is waited for is none.
func (r *Reader) NameWakes(n *Needs) {
	r.NameLocks(&Waits{Locks: n.Wakes})
	for _, on := range n.Wakes {
		if of := "semaphore.Weighted."; on.Kind == "Weighted" && strings.HasPrefix(on.Name, of) {
			on.Name = ""
		}
	}
}

// receiver is what a function on a goroutine's stack was given first; 0 where the code doesn't tell.
func (r *Reader) receiver(g *values.Goroutine, function string) uint64 {
	frames, _ := g.Unwind(0)
	i := slices.IndexFunc(frames, func(f values.Frame) bool { return f.Func == function && !f.Inlined })
	if i < 0 {
		return 0
	}
	state := r.wakers.Follow(frames[i].At - r.s.Bias())
	if state == nil {
		return 0
	}
	c := codeFrame{s: r.s, frame: &frames[i], state: state}
	word, _ := c.value(state.Given(flow.Arguments[0]))
	return word
}
