package flow

import "slices"

// This file follows locks that are taken in a loop over many: "for _, s := range shards { s.mu.Lock() }". In front of
// the loop's head none is held on the way in, and one on the way round. Its address depends on what the loop counts.
// What is held there of earlier rounds is a [Held] with Rounds. Its address in each of them is found by counting again.

// Counter is what a loop counts, in a register or slot: an index or a pointer.
type Counter struct {
	Value *Expr // in the round that it is in
	Start *Expr // in the first
	Step  int64
}

// merged notes what becomes of a register or slot whose values differ where ways meet: was before, and is on the way
// that was now followed.
func (f *Function) merged(value, was, is *Expr) {
	c := f.counters[value]
	if c == nil {
		if was == nil || was == value {
			return
		}
		f.counters[value] = &Counter{Value: value, Start: was}
		return
	}
	if is == nil || is == c.Start || is == value {
		return
	}
	switch {
	case is.Kind == Sum && is.Base == value && (c.Step == 0 || c.Step == is.N):
		c.Step = is.N
	case c.Step == 0 && c.Start.Kind == Constant && is.Kind == Constant:
		// Of the first round, before the counter was known for one.
	default:
		c.Step, c.Start = 0, value // it counts in no even way
	}
}

// widen finds what changes in loops, after a first time through the function: in a second time it is not known from the
// start. Else what was found for the first round, with the first element, would have to agree with what is found for
// all others. It gives whether there is a loop.
func (r *run) widen() bool {
	f := r.f
	r.wide = map[uint64]*State{}
	for from, list := range r.edges(r.starts) {
		for _, to := range list {
			if b := f.blocks[to]; b != nil && f.heads.heads(from, to) {
				r.wide[to] = b.in
			}
		}
	}
	return len(r.wide) > 0
}

// widened has what changes in a loop unknown in front of its head.
func (r *run) widened(pc uint64, in *State) {
	in.Held = append(in.Held, r.before[pc]...)
	wide := r.wide[pc]
	if wide == nil {
		return
	}
	offset := int64(pc - r.f.info.Entry)
	for i, was := range in.regs {
		if e := r.f.table.of(Unknown, nil, offset<<24|int64(i)); wide.regs[i] == e && was != e {
			r.f.merged(e, was, nil)
			r.f.first[e] = first{was, slices.Clone(in.Held)}
			in.regs[i] = e
		}
	}
	for at, value := range wide.slots {
		if e := r.f.table.of(Unknown, nil, offset<<24|1<<23|at&(1<<23-1)); value == e && in.slots[at] != e {
			was := in.slots[at]
			if was == nil {
				was = r.f.table.of(Argument, nil, at)
			}
			r.f.merged(e, was, nil)
			in.slots[at] = e
		}
	}
}

// Counter finds what a loop counts in an expression.
func (p *Program) Counter(pc uint64, e *Expr) (*Counter, bool) {
	info, ok := p.file.PC(pc)
	if !ok {
		return nil, false
	}
	f := p.functions[info.Entry]
	if f == nil {
		return nil, false
	}
	var found *Counter
	e.each(func(part *Expr) {
		if c := f.counters[part]; c != nil && c.Step != 0 && c.Start != c.Value {
			found = c
		}
	})
	return found, found != nil
}

// First tells whether a value is known to be in its first round: a counter of the loop at head hasn't moved. value
// gives what the counter is, and what it was at the start.
func (p *Program) First(pc, head uint64, value func(*Expr) (uint64, bool)) bool {
	info, ok := p.file.PC(pc)
	if !ok || p.functions[info.Entry] == nil {
		return false
	}
	for _, c := range p.functions[info.Entry].counters {
		if c.Step == 0 || c.Start == c.Value || info.Entry+uint64(c.Value.N>>24) != head {
			continue
		}
		now, known := value(c.Value)
		start, also := value(c.Start)
		if known && also && now == start {
			return true
		}
	}
	return false
}

// rounds finds what all ways round a loop leave held, after a second time through the function. In a third, it is there
// in front of the head. It gives whether there is any such lock.
func (r *run) rounds() bool {
	r.before = map[uint64][]Held{}
	for from, list := range r.edges(r.starts) {
		for _, head := range list {
			if r.f.blocks[from] == nil || r.f.blocks[head] == nil || !r.f.heads.heads(from, head) {
				continue
			}
			held := r.round[[2]uint64{from, head}]
			if known, ok := r.before[head]; ok {
				r.before[head] = slices.DeleteFunc(known, func(h Held) bool { return !slices.Contains(held, h) })
				continue
			}
			r.before[head] = slices.DeleteFunc(slices.Clone(held), func(h Held) bool {
				return h.Via != nil || slices.Contains(r.f.blocks[head].in.Held, h) || !uncertain(h.Lock)
			})
		}
	}
	any := false
	for head, held := range r.before {
		for i := range held {
			held[i].Rounds, any = head, true
		}
	}
	return any
}
