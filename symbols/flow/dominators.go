package flow

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// dominators tells which blocks every way to a block passes. A jump to a block from one that it dominates closes a
// loop, of which it is the head.
type dominators struct {
	number map[uint64]int // of a block, by where it begins; in reverse postorder
	above  []int          // the next dominator
}

// heads tells whether a jump from one block to another closes a loop.
func (d *dominators) heads(from, to uint64) bool {
	f, known := d.number[from]
	t, also := d.number[to]
	if !known || !also {
		return false
	}
	for f > t {
		f = d.above[f]
	}
	return f == t
}

// findDominators notes where each block goes on.
func (r *run) findDominators(leaders map[uint64]bool) *dominators {
	r.f.next = r.edges(leaders)
	return dominatorsOf(r.f.info.Entry, r.f.next)
}

// dominatorsOf works them out as Cooper, Harvey and Kennedy do ("A Simple, Fast Dominance Algorithm", 2001), from where
// each block goes on.
func dominatorsOf(entry uint64, next map[uint64][]uint64) *dominators {
	var order []uint64 // postorder
	seen := map[uint64]bool{}
	type step struct {
		at uint64
		i  int
	}
	stack := []step{{at: entry}}
	seen[entry] = true
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.i == len(next[top.at]) {
			order = append(order, top.at)
			stack = stack[:len(stack)-1]
			continue
		}
		to := next[top.at][top.i]
		if top.i++; !seen[to] {
			seen[to] = true
			stack = append(stack, step{at: to})
		}
	}
	slices.Reverse(order)
	d := &dominators{number: map[uint64]int{}, above: make([]int, len(order))}
	before := make([][]int, len(order))
	for i, at := range order {
		d.number[at], d.above[i] = i, -1
	}
	for i, at := range order {
		for _, to := range next[at] {
			n := d.number[to]
			before[n] = append(before[n], i)
		}
	}
	if len(order) > 0 {
		d.above[0] = 0
	}
	for changed := true; changed; {
		changed = false
		for i := 1; i < len(order); i++ {
			above := -1
			for _, p := range before[i] {
				switch {
				case d.above[p] < 0:
				case above < 0:
					above = p
				default:
					for a := p; a != above; {
						if a > above {
							a = d.above[a]
						} else {
							above = d.above[above]
						}
					}
				}
			}
			if above >= 0 && d.above[i] != above {
				d.above[i], changed = above, true
			}
		}
	}
	return d
}

// edges lists where each block goes on. The way back to the entry, after the stack has grown, is left out.
func (r *run) edges(leaders map[uint64]bool) map[uint64][]uint64 {
	f := r.f
	next := map[uint64][]uint64{}
	inside := func(pc uint64) bool { return pc > f.info.Entry && pc < f.info.End }
	begin := f.info.Entry
	for off := 0; off < len(f.code); {
		pc := f.info.Entry + uint64(off)
		if pc != begin && leaders[pc] {
			begin = pc
		}
		if _, ok := next[begin]; !ok {
			next[begin] = nil
		}
		inst, err := decode(f.code[off:])
		if err != nil {
			break
		}
		off += inst.Len
		after := pc + uint64(inst.Len)
		rel, direct := inst.Args[0].(x86asm.Rel)
		to := after + uint64(int64(rel))
		ends := false
		switch {
		case inst.Op == x86asm.RET, inst.Op == x86asm.UD2:
			ends = true
		case inst.Op == x86asm.JMP && !direct:
			next[begin], ends = append(next[begin], r.orphans...), true
		case inst.Op == x86asm.JMP:
			if ends = true; inside(to) {
				next[begin] = append(next[begin], to)
			}
		case direct && inst.Op != x86asm.CALL:
			if inside(to) {
				next[begin] = append(next[begin], to)
			}
		}
		if !ends && leaders[after] && inside(after) {
			next[begin] = append(next[begin], after)
		}
	}
	return next
}
