package flow

import (
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"ri/symbols"
)

// This file tells what a loop goes round for: whether it has a way out, and what that depends on. A loop that counts
// comes to its end by itself. One that asks a flag, or what a call says, goes round until somebody else changes that.

// Turns is what the code of a loop says of how it goes on.
type Turns struct {
	Head      uint64   // where it begins
	Low, High uint64   // its first instruction, and the end of its last one
	Ends      bool     // it has a way out, other than to a panic
	Counts    bool     // a way out depends on what the loop itself leads on: a counter, a pointer that goes along a list
	Asks      bool     // a branch in it depends on memory, or on what a call gave, that the loop doesn't lead on
	Stores    bool     // it writes memory other than its function's frame
	Nested    bool     // it has loops in it
	Calls     []string // the functions that it calls; "" for those that aren't named in the code
	Around    *Turns   // the next loop that it is in itself; nil if there is none
}

// maxLoop is the size of a function, in bytes, whose loops are followed.
const maxLoop = 1 << 16

// TurnsAt describes the innermost loop of a function that has all of several link-time places in it, and the one around
// it. False where there is none, or the code can't be followed.
func TurnsAt(file *symbols.File, pcs []uint64) (*Turns, bool) {
	g, ok := graphOf(file, pcs[regAX])
	if !ok {
		return nil, false
	}
	var heads []uint64
	for at, body := range g.loops {
		if g.has(body, pcs) {
			heads = append(heads, at)
		}
	}
	if len(heads) == 0 {
		return nil, false
	}
	slices.SortFunc(heads, func(a, b uint64) int { return len(g.loops[a]) - len(g.loops[b]) })
	turns := g.turns(heads[0], g.loops[heads[0]])
	if len(heads) > 1 {
		turns.Around = g.turns(heads[1], g.loops[heads[1]])
	}
	return turns, true
}

// StoresIn tells whether the function around a link-time place writes memory other than its own frame, and other than
// with the LOCK prefix, as locks are taken; true where its code can't be read.
func StoresIn(file *symbols.File, pc uint64) bool {
	info, ok := file.PC(pc)
	if !ok {
		return true
	}
	code, _ := file.Code(info.Entry)
	for off := 0; off < len(code); {
		inst, err := decode(code[off:])
		if err != nil {
			return true
		}
		off += inst.Len
		if m, ok := inst.Args[regAX].(x86asm.Mem); ok && writes(inst) && !inFrame(m) {
			return true
		}
	}
	return false
}

// places are the things whose values are followed round a loop: registers, those for floating point, flags, slots of
// the frame.
const (
	vectors = 16
	flags   = 32
	led     = 33 // what always is led on: memory that the loop itself writes
	slots   = 34
	places  = 256
)

type set [places / 64]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s *set) join(o set) (changed bool) {
	for i := range s {
		changed = changed || o[i]&^s[i] != 0
		s[i] |= o[i]
	}
	return changed
}

// fact is where a value comes from: what it is a copy of, and what it was made from, of what there was at the loop's
// head; whether a call gave it, or memory.
type fact struct {
	same, from set
	asked      bool
}

func (f *fact) join(o fact) bool {
	changed := o.asked && !f.asked
	f.asked = f.asked || o.asked
	same, from := f.same.join(o.same), f.from.join(o.from)
	return changed || same || from
}

// made is what is computed from values.
func made(facts ...fact) (out fact) {
	for _, f := range facts {
		out.from.join(f.same)
		out.from.join(f.from)
		out.asked = out.asked || f.asked
	}
	return out
}

type facts struct {
	of    [places]fact
	fresh uint64 // registers that were written since the last call
}

func (s *facts) join(o *facts) (changed bool) {
	for i := range s.of {
		changed = s.of[i].join(o.of[i]) || changed
	}
	changed = changed || o.fresh&^s.fresh != 0
	s.fresh |= o.fresh
	return changed
}

// round follows values round one loop.
type round struct {
	g      *graph
	head   uint64
	body   map[uint64]bool
	slots  map[slot]int
	stored map[slot]bool // memory that the loop writes, by address or offset
	full   bool          // there are more slots than are followed
	in     map[uint64]*facts
	back   *facts // at the end of a round
	turns  *Turns
	led    set // what changes from round to round by what it was
	last   bool

	arguments map[uint64][]int // what the functions that are called are given, by entry; see given
}

type slot struct {
	base x86asm.Reg
	disp int64
}

func (g *graph) turns(head uint64, body map[uint64]bool) *Turns {
	r := &round{g: g, head: head, body: body, slots: map[slot]int{}, stored: map[slot]bool{}, in: map[uint64]*facts{},
		back: &facts{}, turns: &Turns{Head: head, Low: ^uint64(0)}, arguments: map[uint64][]int{}}
	for at := range body {
		r.look(at)
	}
	r.settle()
	r.findLed()
	r.last = true
	for at, in := range r.in {
		state := *in
		r.follow(at, &state)
	}
	if r.full { // some values weren't followed: nothing is said to be asked for
		r.turns.Counts, r.turns.Asks = true, false
	}
	return r.turns
}

// look notes what a block of the loop does, whatever the values are.
func (r *round) look(at uint64) {
	for _, to := range r.g.back[at] {
		r.turns.Nested = r.turns.Nested || to != r.head
	}
	r.each(at, func(pc, next uint64, inst x86asm.Inst) {
		if to, direct := target(inst, next); inst.Op == x86asm.CALL {
			r.turns.calls(r.g.name(to, direct))
		}
		r.turns.Low, r.turns.High = min(r.turns.Low, pc), max(r.turns.High, next)
		if m, ok := inst.Args[regAX].(x86asm.Mem); ok && writes(inst) && !inFrame(m) {
			if inst.Op == x86asm.CMPXCHG { // a lock's word: what it will be is others' doing
				return
			}
			r.turns.Stores = true
			r.stored[memory(m, next)] = true
		}
	})
	for _, to := range r.g.next[at] {
		r.turns.Ends = r.turns.Ends || !r.body[to] && r.g.out(to)
	}
	r.turns.Ends = r.turns.Ends || r.g.leaves[at]
}

// settle follows values from the head round the loop, until nothing more is learned.
func (r *round) settle() {
	start := &facts{}
	for i := range start.of {
		start.of[i].same.add(i)
	}
	r.in[r.head] = start
	for work := []uint64{r.head}; len(work) > 0; {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		state := *r.in[at]
		r.follow(at, &state)
		for _, to := range r.g.next[at] {
			switch known := r.in[to]; {
			case to == r.head:
				r.back.join(&state)
				if more := state.fresh &^ known.fresh; more != 0 {
					known.fresh |= more
					work = append(work, to)
				}
			case !r.body[to]:
			case known == nil:
				c := state
				r.in[to] = &c
				work = append(work, to)
			default:
				if known.join(&state) {
					work = append(work, to)
				}
			}
		}
	}
}

func (t *Turns) calls(name string) {
	if !slices.Contains(t.Calls, name) {
		t.Calls = append(t.Calls, name)
	}
}

// findLed finds what depends on what it was in the round before, by more than being kept.
func (r *round) findLed() {
	var reach [places]set
	for i := range reach {
		reach[i] = r.back.of[i].same
		reach[i].join(r.back.of[i].from)
	}
	for k := range places {
		for i := range reach {
			if reach[i].has(k) {
				reach[i].join(reach[k])
			}
		}
	}
	r.led.add(led)
	for i := range places {
		for k := range places {
			if r.back.of[i].from.has(k) && (k == i || reach[k].has(i)) {
				r.led.add(i)
			}
		}
	}
	for i := range places {
		for j := range r.led {
			if reach[i][j]&r.led[j] != 0 {
				r.led.add(i)
			}
		}
	}
}

// each goes through the instructions of a block.
func (r *round) each(at uint64, f func(pc, next uint64, inst x86asm.Inst)) {
	g := r.g
	for pc := at; pc < g.info.End; {
		inst, err := decode(g.code[pc-g.info.Entry:])
		if err != nil {
			return
		}
		next := pc + uint64(inst.Len)
		f(pc, next, inst)
		if g.block(next) != at {
			return
		}
		pc = next
	}
}

func (r *round) follow(at uint64, s *facts) {
	r.each(at, func(pc, next uint64, inst x86asm.Inst) {
		to, direct := target(inst, next)
		switch {
		case inst.Op == x86asm.CALL:
			r.call(to, direct, s)
		case inst.Op == x86asm.JMP:
		case direct:
			if r.last {
				r.branch(to, next, s.of[flags])
			}
		default:
			r.step(inst, next, s)
		}
	})
}

// branch notes what a conditional jump depends on.
func (r *round) branch(to, next uint64, f fact) {
	leads := false
	for i := range r.led {
		leads = leads || (f.same[i]|f.from[i])&r.led[i] != 0
	}
	for _, way := range []uint64{to, next} {
		if leads && !r.body[way] && r.g.out(way) {
			r.turns.Counts = true
		}
	}
	if !leads && f.asked {
		r.turns.Asks = true
	}
}

// call has a call give what its arguments make of it.
func (r *round) call(to uint64, direct bool, s *facts) {
	if strings.HasPrefix(r.g.name(to, direct), "runtime.gcWriteBarrier") { // it keeps all but R11: see clobber
		s.of[regR11] = fact{}
		return
	}
	var f fact
	if given, known := r.given(to, direct); known {
		for _, i := range given {
			f = made(f, s.of[i])
		}
	} else {
		for _, i := range Arguments[:4] { // others' values are left over from the last call
			if s.fresh&(1<<i) != 0 {
				f = made(f, s.of[i])
			}
		}
	}
	f.asked, s.fresh = true, 0
	for i := range flags + 1 {
		if i != regSP && i != regBP && i != regG {
			s.of[i] = f
		}
	}
}

// place finds the register or slot that an argument is; -1 for others.
func (r *round) place(arg x86asm.Arg) int {
	switch a := arg.(type) {
	case x86asm.Reg:
		if a >= x86asm.X0 && a <= x86asm.X15 {
			return vectors + int(a-x86asm.X0)
		}
		n, _ := register(a)
		return n
	case x86asm.Mem:
		if !inFrame(a) || a.Index != 0 {
			return -1
		}
		key := slot{a.Base, a.Disp}
		n, ok := r.slots[key]
		if !ok {
			if n = slots + len(r.slots); n >= places {
				r.full = true
				return -1
			}
			r.slots[key] = n
		}
		return n
	}
	return -1
}

// inFrame tells whether a memory operand is a part of the function's own frame.
func inFrame(m x86asm.Mem) bool { return m.Base == x86asm.RSP || m.Base == x86asm.RBP }

// memory names what a memory operand is about, as far as its address or offset tells.
func memory(m x86asm.Mem, next uint64) slot {
	if m.Base == x86asm.RIP {
		return slot{x86asm.RIP, int64(next) + m.Disp}
	}
	return slot{0, m.Disp}
}

func (r *round) read(arg x86asm.Arg, next uint64, s *facts) (f fact) {
	if n := r.place(arg); n >= 0 {
		return s.of[n]
	}
	if m, ok := arg.(x86asm.Mem); ok {
		f = r.address(m, s)
		f.asked = true
		if r.stored[memory(m, next)] {
			f.from.add(led)
		}
	}
	return f
}

// address is what an address is made from.
func (r *round) address(m x86asm.Mem, s *facts) (f fact) {
	for _, reg := range []x86asm.Reg{m.Base, m.Index} {
		if n, _ := register(reg); n >= 0 && n != regSP && n != regBP {
			f = made(f, s.of[n])
		}
	}
	return f
}

func (r *round) write(arg x86asm.Arg, f fact, s *facts) {
	n := r.place(arg)
	if n < 0 {
		return
	}
	s.of[n] = f
	if n < 64 {
		s.fresh |= 1 << n
	}
}

// cancels give 0 of a register and itself; wide ones have AX and DX as operands and results.
var (
	cancels = []x86asm.Op{x86asm.XOR, x86asm.SUB, x86asm.XORPS, x86asm.PXOR}
	wide    = []x86asm.Op{x86asm.MUL, x86asm.IMUL, x86asm.DIV, x86asm.IDIV}
)

// step follows an instruction that is no jump.
func (r *round) step(inst x86asm.Inst, next uint64, s *facts) {
	dst, src := inst.Args[regAX], inst.Args[1]
	name := inst.Op.String()
	switch {
	case dst == nil, inst.Op == x86asm.NOP, inst.Op == x86asm.PUSH:
		switch inst.Op {
		case x86asm.RDTSC:
			s.of[regAX], s.of[regDX] = fact{asked: true}, fact{asked: true}
		case x86asm.CQO, x86asm.CDQ:
			s.of[regDX] = made(s.of[regAX])
		}
	case inst.Op == x86asm.CMP, inst.Op == x86asm.TEST, inst.Op == x86asm.BT, strings.Contains(name, "COMIS"):
		s.of[flags] = made(r.read(dst, next, s), r.read(src, next, s))
	case inst.Op == x86asm.LEA:
		f := fact{}
		if m, ok := src.(x86asm.Mem); ok {
			f = r.address(m, s)
		}
		r.write(dst, f, s)
	case inst.Op == x86asm.CMPXCHG:
		s.of[regAX] = r.read(dst, next, s)
		s.of[regAX].from, s.of[regAX].asked = set{}, true // what it is now was somebody else's doing, or is the first try
		s.of[flags] = s.of[regAX]
	case inst.Op == x86asm.XCHG, inst.Op == x86asm.XADD:
		a, b := r.read(dst, next, s), r.read(src, next, s)
		if inst.Op == x86asm.XADD {
			s.of[flags], b = made(a, b), made(a, b)
		}
		r.write(dst, b, s)
		r.write(src, a, s)
	case strings.HasPrefix(name, "SET"):
		r.write(dst, s.of[flags], s)
	case strings.HasPrefix(name, "CMOV"):
		f := r.read(dst, next, s)
		f.join(r.read(src, next, s))
		f.join(made(s.of[flags]))
		r.write(dst, f, s)
	case strings.HasPrefix(name, "MOV"):
		r.write(dst, r.read(src, next, s), s)
	case dst == src && slices.Contains(cancels, inst.Op):
		r.write(dst, fact{}, s)
		s.of[flags] = fact{}
	case src == nil && slices.Contains(wide, inst.Op):
		f := made(s.of[regAX], s.of[regDX], r.read(dst, next, s))
		s.of[regAX], s.of[regDX], s.of[flags] = f, f, f
	default:
		f := made(r.read(dst, next, s))
		for _, arg := range inst.Args[1:] {
			f = made(f, r.read(arg, next, s))
		}
		r.write(dst, f, s)
		s.of[flags] = f
	}
}

// writes tells whether an instruction writes its first argument.
func writes(inst x86asm.Inst) bool {
	switch inst.Op {
	case x86asm.CMP, x86asm.TEST, x86asm.BT, x86asm.CALL, x86asm.JMP, x86asm.PUSH, x86asm.NOP, x86asm.PREFETCHNTA,
		x86asm.PREFETCHT0, x86asm.MUL, x86asm.DIV, x86asm.IDIV:
		return false
	}
	return !strings.Contains(inst.Op.String(), "COMIS")
}
