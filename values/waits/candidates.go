package waits

import (
	"ri/symbols/flow"
	"ri/values"
)

// This file looks for who may have a lock that others wait for, where nobody is found who has it: some ways through a
// function on a stack have it taken and not given back, or a function on a stack has taken a lock, but its frame no
// longer tells which.

// maxUnplaced is how many goroutines are named that hold a lock which isn't known. More tell nothing.
const maxUnplaced = 8

// candidates finds them for those of orphans that nobody is found to hold. One that is the only one becomes the
// holder, possibly.
func (f *holderSearch) candidates(groups []*values.StackGroup, orphans map[uint64]*Lock, check func()) {
	for addr, lock := range orphans {
		if len(lock.Holders) > 0 {
			delete(orphans, addr)
		}
	}
	if len(orphans) == 0 {
		return
	}
	f.p, f.locks, f.through, f.possible = f.plain, orphans, false, true
	f.search(groups, check)
	for _, lock := range orphans {
		if len(lock.Candidates) == 0 && len(f.unplaced) <= maxUnplaced {
			for _, h := range f.unplaced {
				if h.Reader == (lock.Kind == "RWMutex" && !lock.Locked) {
					lock.Candidates = append(lock.Candidates, h)
				}
			}
		}
		if len(lock.Candidates) == 1 && !lock.Candidates[0].Unplaced {
			lock.Holders, lock.Candidates = lock.Candidates, nil
		}
	}
}

// mayHave notes what a goroutine may have taken.
func (f *holderSearch) mayHave(g *values.Goroutine) {
	frames, _ := g.Unwind(0)
	for _, c := range codeFrames(f.s, frames, f.stateAt, f.waits[g.Addr]) {
		at := holdingAt(f.s, c.frame)
		for _, m := range c.state.Maybe {
			if m.Via == nil && m.Rounds == 0 {
				f.mayHaveOne(g, c, m, at)
			}
		}
		inside := inProgress(c.state.Held, at.function, at.site)
		for i, held := range c.state.Held {
			if i == inside || held.Via != nil || held.Rounds != 0 {
				continue
			}
			if _, ok := c.value(held.Lock); !ok {
				f.unplace(f.holder(g, held, at.where, at.lines))
			}
		}
	}
}

// mayHaveOne notes a lock that some ways to where a goroutine is have taken.
func (f *holderSearch) mayHaveOne(g *values.Goroutine, c codeFrame, m flow.Possible, at holding) {
	loop := m.Loop
	if at.function != "" && at.site == m.Site && inProgress([]flow.Held{m.Held}, at.function, at.site) == 0 {
		if loop = m.Since; !m.Again {
			return // it is what it waits for
		}
	}
	h := f.holder(g, m.Held, at.where, at.lines)
	h.Possibly = true
	addr, ok := c.value(m.Lock)
	if !ok && !c.state.Holds(m.Held) {
		f.unplace(h)
	}
	if !ok || f.locks[addr] == nil || loop != 0 && f.p.First(c.frame.At-f.s.Bias(), loop, c.value) {
		return
	}
	f.possibly(addr, h)
}

// unplace notes one who holds a lock which its frame doesn't tell.
func (f *holderSearch) unplace(h Holder) {
	h.Unplaced = true
	f.unplaced = append(f.unplaced, h)
}

// possibly notes a goroutine that may have a lock, once, if the lock's own words don't speak against it.
func (f *holderSearch) possibly(addr uint64, h Holder) {
	lock := f.locks[addr]
	if h.Reader && lock.Active == 0 || !h.Reader && !lock.Locked {
		return
	}
	for _, known := range lock.Candidates {
		if known.ID == h.ID {
			return
		}
	}
	lock.Candidates = append(lock.Candidates, h)
}
