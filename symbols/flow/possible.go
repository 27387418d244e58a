package flow

import "slices"

// This file follows locks that only some ways to a place have taken: a "continue" or "return" that forgets Unlock, and
// the next Lock. It says too much rather than too little, so it is for locks that have no other holder. What it doesn't
// understand is a condition that is asked for twice, once for Lock and once for Unlock.

// maybe notes a lock that was possibly taken. One that possibly was before is noted once: behind Lock it is held by
// that.
func (s *State) maybe(m Possible) {
	for i, o := range s.Maybe {
		if o.same(m.Held) {
			m.Again, m.Since = true, o.Loop
			s.Maybe = slices.Delete(s.Maybe, i, i+1)
			break
		}
	}
	if len(s.Maybe) < maxHeld {
		s.Maybe = append(s.Maybe, m)
	}
}

// freePossible gives back a lock that was possibly taken.
func (s *State) freePossible(h Held) {
	for i := len(s.Maybe) - 1; i >= 0; i-- {
		if s.Maybe[i].Lock == h.Lock && s.Maybe[i].Reader == h.Reader && s.Maybe[i].Rounds == 0 {
			s.Maybe = slices.Delete(s.Maybe, i, i+1)
			return
		}
	}
	s.Maybe = slices.DeleteFunc(s.Maybe, func(o Possible) bool {
		return o.Reader == h.Reader && (uncertain(o.Lock) || uncertain(h.Lock))
	})
}

// joinPossible adds what one more way to a block has possibly taken.
func (r *run) joinPossible(pc uint64, in, s *State) (changed bool) {
	round := r.heads(pc)
	for _, m := range s.Maybe {
		if round && m.Rounds == 0 {
			if m.Again, m.Since = false, 0; r.changes(m.Lock, pc) {
				m.Rounds = pc // of another element, in an earlier round
			} else if m.Loop == 0 {
				m.Loop = pc
			}
		}
		i := slices.IndexFunc(in.Maybe, func(o Possible) bool { return o.same(m.Held) })
		if i < 0 {
			if len(in.Maybe) < maxHeld {
				in.Maybe, changed = append(in.Maybe, m), true
			}
			continue
		}
		was := in.Maybe[i]
		now := was
		if m.Loop != was.Loop {
			now.Loop = 0
		}
		if m.Again && !was.Again {
			now.Again, now.Since = true, m.Since
		} else if m.Again && m.Since != was.Since {
			now.Since = 0
		}
		in.Maybe[i] = now
		changed = changed || now != was
	}
	return changed
}

// changes tells whether an expression may be another one in each round of the loop at head: a part that isn't followed
// comes from within.
func (r *run) changes(e *Expr, head uint64) bool {
	inside := false
	e.each(func(part *Expr) {
		if part.Kind == Unknown {
			inside = inside || r.f.heads.heads(r.blockOf(r.f.info.Entry+uint64(part.N>>24)), head)
		}
	})
	return inside
}

// blockOf gives where the block around a place begins.
func (r *run) blockOf(pc uint64) uint64 {
	for ; pc > r.f.info.Entry && !r.starts[pc]; pc-- {
	}
	return pc
}
