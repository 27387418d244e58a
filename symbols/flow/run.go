package flow

import (
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// run is the analysis of one function.
type run struct {
	p       *Program
	f       *Function
	level   int
	work    []uint64
	orphans []uint64 // where code begins that nothing direct leads to
	returns int
	from    uint64               // the block that is followed
	now     step                 // the instruction that is followed
	wide    map[uint64]*State    // in front of loops' heads, after a first time
	round   map[[2]uint64][]Held // at the end of a round, by the jump to the head
	before  map[uint64][]Held    // in front of loops' heads, of earlier rounds
	starts  map[uint64]bool      // where blocks begin

	replay  bool // a block is followed once more, up to until, and nothing is noted
	until   uint64
	reached *State // in front of until
}

func (r *run) all() {
	f := r.f
	leaders, ok := r.leaders()
	if !ok {
		f.broken = true
		return
	}
	r.starts = leaders
	f.heads = r.findDominators(leaders)
	entry := &State{table: f.table, slots: map[int64]*Expr{}}
	for i := range entry.regs {
		entry.regs[i] = f.table.of(Entry, nil, int64(i))
	}
	entry.regs[regSP] = f.table.of(Stack, nil, -8)
	if !r.follow(entry) || !r.widen() {
		return
	}
	if f.begin(); !r.follow(entry) || !r.rounds() {
		return
	}
	f.begin()
	r.follow(entry)
}

// follow goes all ways from the entry until nothing new is found.
func (r *run) follow(entry *State) bool {
	f := r.f
	r.returns, r.round = 0, map[[2]uint64][]Held{}
	r.flow(f.info.Entry, entry)
	for len(r.work) > 0 {
		pc := r.next()
		if b := f.blocks[pc]; b.visits > maxVisits {
			f.broken = true
			return false
		}
		r.block(pc, f.blocks[pc].in.copy(), r.starts)
	}
	return true
}

// next takes the block that comes first of those to be followed. So all ways to where they meet have come, but those
// round a loop, before what follows is looked at. Else a lock would be noted under what its address seemed to be on the
// first way, and given up when the second one came.
func (r *run) next() uint64 {
	first := 0
	for i, pc := range r.work {
		if r.f.heads.number[pc] < r.f.heads.number[r.work[first]] {
			first = i
		}
	}
	pc := r.work[first]
	r.work = slices.Delete(r.work, first, first+1)
	return pc
}

// leaders are where blocks begin.
func (r *run) leaders() (map[uint64]bool, bool) {
	f := r.f
	leaders := map[uint64]bool{}
	ends := map[uint64]bool{}
	for off := 0; off < len(f.code); {
		inst, err := decode(f.code[off:])
		if err != nil {
			return nil, false
		}
		pc := f.info.Entry + uint64(off)
		next := pc + uint64(inst.Len)
		if rel, ok := inst.Args[0].(x86asm.Rel); ok && inst.Op != x86asm.CALL {
			leaders[next+uint64(int64(rel))] = true
			leaders[next] = true
		}
		if inst.Op == x86asm.JMP || inst.Op == x86asm.RET || inst.Op == x86asm.UD2 {
			ends[next] = true
		}
		off += inst.Len
	}
	for pc := range ends {
		if !leaders[pc] && pc < f.info.End {
			r.orphans = append(r.orphans, pc)
		}
		leaders[pc] = true
	}
	return leaders, true
}

// flow leads a state into a block.
func (r *run) flow(pc uint64, s *State) {
	f := r.f
	if r.replay || pc < f.info.Entry || pc >= f.info.End {
		return
	}
	b := f.blocks[pc]
	if b == nil {
		b = &block{in: s.copy(), visits: 1}
		f.blocks[pc] = b
		r.widened(pc, b.in)
		r.work = append(r.work, pc)
		return
	}
	if r.join(pc, b.in, s) {
		b.visits++
		if !slices.Contains(r.work, pc) {
			r.work = append(r.work, pc)
		}
	}
}

// join narrows what is known in front of a block to what all that leads there agree on.
func (r *run) join(pc uint64, in, s *State) (changed bool) {
	t := r.f.table
	offset := int64(pc - r.f.info.Entry)
	for i := range in.regs {
		if in.regs[i] != s.regs[i] {
			e := t.of(Unknown, nil, offset<<24|int64(i))
			r.f.merged(e, in.regs[i], s.regs[i])
			r.either(e, in.regs[i], s.regs[i], in.Held, s.Held)
			if in.regs[i] != e {
				in.regs[i], changed = e, true
			}
		}
	}
	merge := func(at int64) {
		if in.slots[at] != s.slots[at] {
			e := t.of(Unknown, nil, offset<<24|1<<23|at&(1<<23-1))
			r.f.merged(e, in.slots[at], s.slots[at])
			if in.slots[at] != e {
				in.slots[at], changed = e, true
			}
		}
	}
	for at := range in.slots {
		merge(at)
	}
	for at := range s.slots {
		merge(at)
	}
	if in.tried != s.tried || in.equal != s.equal {
		changed = changed || in.tried != nil
		in.tried = nil
	}
	if r.heads(pc) {
		r.round[[2]uint64{r.from, pc}] = slices.Clone(s.Held)
	}
	kept := in.Held[:0]
	for _, h := range in.Held {
		if h.Rounds == pc || count(s.Held, h) > count(kept, h) {
			kept = append(kept, h)
		} else {
			changed = true
		}
	}
	in.Held = kept
	changed = r.joinPossible(pc, in, s) || changed
	for _, h := range s.freed {
		if !slices.Contains(in.freed, h) && len(in.freed) < maxHeld {
			in.freed, changed = append(in.freed, h), true
		}
	}
	return changed
}

// count tells how often a lock is held: RLock may be passed twice.
func count(list []Held, h Held) (n int) {
	for _, o := range list {
		if o.same(h) {
			n++
		}
	}
	return n
}

// heads tells whether the way that is followed closes a loop at pc.
func (r *run) heads(pc uint64) bool { return r.f.heads.heads(r.from, pc) }

func (s *State) copy() *State {
	c := *s
	c.where = nil
	c.Held, c.Maybe, c.freed = slices.Clone(s.Held), slices.Clone(s.Maybe), slices.Clone(s.freed)
	c.slots = make(map[int64]*Expr, len(s.slots))
	for k, v := range s.slots {
		c.slots[k] = v
	}
	return &c
}

// block follows the instructions up to the next block's beginning.
func (r *run) block(pc uint64, s *State, leaders map[uint64]bool) {
	f := r.f
	r.from = pc
	for first := true; pc < f.info.End; first = false {
		if !first && leaders[pc] {
			r.flow(pc, s)
			return
		}
		inst, err := decode(f.code[pc-f.info.Entry:])
		if err != nil {
			return
		}
		next := pc + uint64(inst.Len)
		if r.replay && r.until < next {
			r.reached = s
			return
		}
		_, direct := inst.Args[0].(x86asm.Rel)
		switch {
		case inst.Op == x86asm.CALL:
			if r.called(pc, next, inst, s) {
				return
			}
		case direct || inst.Op == x86asm.RET || inst.Op == x86asm.UD2 || inst.Op == x86asm.JMP:
			r.jump(pc, next, inst, s)
			return
		default:
			r.tests(inst, s)
			r.step(pc, next, inst, s)
			r.makes(pc, next, inst)
		}
		pc = next
	}
}

// jump follows an instruction that ends a block.
func (r *run) jump(pc, next uint64, inst x86asm.Inst, s *State) {
	rel, direct := inst.Args[0].(x86asm.Rel)
	target := next + uint64(int64(rel))
	switch {
	case inst.Op == x86asm.UD2:
	case inst.Op == x86asm.RET:
		r.returned(s)
	case inst.Op != x86asm.JMP:
		r.branch(inst.Op, target, next, s)
	case !direct: // a switch's table
		for _, at := range r.orphans {
			r.flow(at, s)
		}
	case target < r.f.info.Entry || target >= r.f.info.End: // a tail call
		r.call(pc, target, s)
		r.returned(s)
	case target != r.f.info.Entry:
		r.flow(target, s)
	}
}

// called follows a call instruction; true if the call doesn't come back.
func (r *run) called(pc, next uint64, inst x86asm.Inst, s *State) bool {
	s.tried = nil
	target := uint64(0)
	if rel, direct := inst.Args[0].(x86asm.Rel); direct {
		target = next + uint64(int64(rel))
	} else if e := r.operand(pc, next, inst.Args[0], 8, s); e.Kind == Constant {
		target = uint64(e.N)
	} else {
		r.through(e, pc, s)
	}
	result := r.tryCall(pc, target, s)
	if target != 0 && r.call(pc, target, s) {
		return true
	}
	r.clobber(pc, target, s)
	if result != nil {
		s.regs[regAX] = result
	}
	return false
}

// clobber forgets the registers that a call may have changed.
func (r *run) clobber(pc, target uint64, s *State) {
	if info, ok := r.p.file.PC(target); ok && info.Entry == target &&
		strings.HasPrefix(info.Func, "runtime.gcWriteBarrier") {
		// It keeps all but R11, in which it gives where to write (runtime/asm_amd64.s, Go 1.20 to 1.27).
		s.regs[regR11] = r.unknown(pc, regR11)
		return
	}
	for i := range s.regs {
		if i != regSP && i != regBP && i != regG {
			s.regs[i] = r.unknown(pc, i)
		}
	}
}

// returned notes what a return leaves held.
func (r *run) returned(s *State) {
	if r.replay {
		return
	}
	g := r.f.gives
	if r.returns++; r.returns == 1 {
		g.takes = slices.Clone(s.Held)
	} else {
		g.takes = slices.DeleteFunc(g.takes, func(h Held) bool { return count(s.Held, h) == 0 })
	}
	for _, m := range s.Maybe {
		if m.Via == nil && m.Rounds == 0 && count(g.leaves, m.Held) == 0 {
			g.leaves = append(g.leaves, m.Held)
		}
	}
	for _, h := range s.freed {
		if !slices.Contains(g.frees, h) {
			g.frees = append(g.frees, h)
		}
	}
}
