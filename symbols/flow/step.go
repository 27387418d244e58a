package flow

import (
	"golang.org/x/arch/x86/x86asm"
)

func (r *run) unknown(pc uint64, n int) *Expr {
	return r.f.table.of(Unknown, nil, int64(pc-r.f.info.Entry)<<24|1<<22|int64(n))
}

// register gives the number of the 64-bit register that holds reg, -1 for others. whole says that reg is all of it.
func register(reg x86asm.Reg) (n int, whole bool) {
	switch {
	case reg >= x86asm.RAX && reg <= x86asm.R15:
		return int(reg - x86asm.RAX), true
	case reg >= x86asm.EAX && reg <= x86asm.R15L:
		return int(reg - x86asm.EAX), false
	case reg >= x86asm.AX && reg <= x86asm.R15W:
		return int(reg - x86asm.AX), false
	case reg >= x86asm.AL && reg <= x86asm.BL:
		return int(reg - x86asm.AL), false
	case reg >= x86asm.AH && reg <= x86asm.BH:
		return int(reg - x86asm.AH), false
	case reg >= x86asm.SPB && reg <= x86asm.R15B:
		return int(reg-x86asm.SPB) + 4, false
	}
	return -1, false
}

// address is what a memory operand stands for; nil where that isn't followed.
func (r *run) address(next uint64, m x86asm.Mem, s *State) *Expr {
	t := r.f.table
	if m.Segment != 0 {
		return nil
	}
	if m.Base == x86asm.RIP {
		return t.of(Constant, nil, int64(next)+m.Disp)
	}
	at := t.of(Constant, nil, 0)
	if m.Base != 0 {
		n, whole := register(m.Base)
		if n < 0 || !whole {
			return nil
		}
		at = s.regs[n]
	} else if m.Index == 0 {
		return nil
	}
	if m.Index != 0 {
		n, whole := register(m.Index)
		if n < 0 || !whole || at.depth()+s.regs[n].depth() >= maxDepth {
			return nil
		}
		at = t.sum(at, t.times(s.regs[n], int64(m.Scale)))
	}
	return t.plus(at, m.Disp)
}

// load is the word at an address.
func (r *run) load(at *Expr, pc uint64, s *State) *Expr {
	t := r.f.table
	switch {
	case at == nil || at.depth() >= maxDepth:
		return r.unknown(pc, 16)
	case at.Kind == Stack:
		if e := s.slots[at.N]; e != nil {
			return e
		}
		return t.of(Argument, nil, at.N)
	case at.Kind == Sum:
		return t.of(Load, at.Base, at.N)
	}
	return t.of(Load, at, 0)
}

// operand reads an argument of an instruction, of size bytes.
func (r *run) operand(pc, next uint64, arg x86asm.Arg, size int, s *State) *Expr {
	switch a := arg.(type) {
	case x86asm.Reg:
		if n, whole := register(a); n >= 0 && whole {
			return s.regs[n]
		}
	case x86asm.Imm:
		return r.f.table.of(Constant, nil, int64(a))
	case x86asm.Mem:
		if size == 8 {
			return r.load(r.address(next, a, s), pc, s)
		}
	}
	return r.unknown(pc, 17)
}

// set writes to an argument of an instruction. e is nil for what isn't followed.
func (r *run) set(pc, next uint64, arg x86asm.Arg, size int, e *Expr, s *State) {
	switch a := arg.(type) {
	case x86asm.Reg:
		n, whole := register(a)
		if n < 0 {
			return
		}
		if e == nil || !whole && e.Kind != Constant {
			e = r.unknown(pc, n)
		}
		s.regs[n] = e
	case x86asm.Mem:
		at := r.address(next, a, s)
		if at == nil || at.Kind != Stack {
			return // the stack's slots are not written through other pointers, as far as locks go
		}
		for word := at.N &^ 7; word < at.N+int64(max(size, 1)); word += 8 {
			if s.slots[word] = e; e == nil || size != 8 || at.N&7 != 0 {
				s.slots[word] = r.unknown(pc, 18+int(word-at.N&^7)/8)
			}
		}
	}
}

// register8 gives the number of a register of any width, -1 of what is none.
func register8(arg x86asm.Arg) (n int, whole bool) {
	if reg, ok := arg.(x86asm.Reg); ok {
		return register(reg)
	}
	return -1, false
}

// step is one instruction on its way through the function.
type step struct {
	*run
	pc, next uint64
	inst     x86asm.Inst
	to       x86asm.Arg // the first operand, which most write to
	size     int        // of the operands, in bytes
	s        *State
}

// steps are the instructions whose results are followed, or that change more than their first operand.
var steps = [...]func(*step){
	x86asm.MOV: (*step).move, x86asm.LEA: (*step).lea, x86asm.SETE: (*step).setEqual, x86asm.MOVZX: (*step).extend,
	x86asm.INC: (*step).increment, x86asm.DEC: (*step).increment, x86asm.ADD: (*step).add, x86asm.SUB: (*step).add,
	x86asm.SHL: (*step).shift, x86asm.IMUL: (*step).multiply, x86asm.XOR: (*step).xor,
	x86asm.PUSH: (*step).push, x86asm.POP: (*step).pop,
	x86asm.XCHG: (*step).exchange, x86asm.XADD: (*step).exchange, x86asm.CMPXCHG: (*step).compareExchange,

	x86asm.CMP: (*step).keep, x86asm.TEST: (*step).keep, x86asm.NOP: (*step).keep, x86asm.BT: (*step).keep,
	x86asm.UCOMISD: (*step).keep, x86asm.UCOMISS: (*step).keep, x86asm.PAUSE: (*step).keep,

	x86asm.MUL: (*step).wide, x86asm.DIV: (*step).wide, x86asm.IDIV: (*step).wide, x86asm.CQO: (*step).wide,
	x86asm.CDQ:   (*step).wide,
	x86asm.RDTSC: (*step).wide, x86asm.CPUID: (*step).wide, x86asm.XGETBV: (*step).wide,

	x86asm.MOVSB: (*step).text, x86asm.MOVSW: (*step).text, x86asm.MOVSQ: (*step).text, x86asm.STOSB: (*step).text,
	x86asm.STOSQ: (*step).text, x86asm.STOSD: (*step).text, x86asm.CMPSB: (*step).text, x86asm.SCASB: (*step).text,
}

// step follows an instruction that goes on with the next.
func (r *run) step(pc, next uint64, inst x86asm.Inst, s *State) {
	size := inst.MemBytes
	if size == 0 {
		size = inst.DataSize / 8
	}
	if locked(inst) {
		r.atomic(pc, next, inst, s)
	}
	st := &r.now
	*st = step{r, pc, next, inst, inst.Args[0], size, s}
	if int(inst.Op) < len(steps) && steps[inst.Op] != nil {
		steps[inst.Op](st)
		return
	}
	st.write(nil)
}

// write sets the first operand; e is nil for what isn't followed.
func (st *step) write(e *Expr) { st.set(st.pc, st.next, st.to, st.size, e, st.s) }

// whole gives the number of the register that an operand is, all 64 bits of it.
func whole(arg x86asm.Arg) (n int, ok bool) {
	n, ok = register8(arg)
	return n, ok && n >= 0
}

func (st *step) keep() {}

func (st *step) move() {
	e := st.operand(st.pc, st.next, st.inst.Args[1], st.size, st.s)
	if e.Kind == Unknown && e == st.unknown(st.pc, 17) {
		e = nil
	}
	st.write(e)
}

func (st *step) lea() {
	if m, ok := st.inst.Args[1].(x86asm.Mem); ok {
		st.set(st.pc, st.next, st.to, 8, st.address(st.next, m, st.s), st.s)
	}
}

// setEqual keeps the result of a TryLock, which a register then has.
func (st *step) setEqual() {
	if n, _ := register8(st.to); n >= 0 && st.s.tried != nil && st.s.equal {
		st.s.regs[n] = st.s.tried
		return
	}
	st.write(nil)
}

// extend copies the result of a TryLock from a register to another.
func (st *step) extend() {
	n, _ := register8(st.to)
	if from, _ := register8(st.inst.Args[1]); n >= 0 && from >= 0 {
		if _, tried := st.f.tries[st.s.regs[from]]; tried {
			st.s.regs[n] = st.s.regs[from]
			return
		}
	}
	st.write(nil)
}

func (st *step) increment() {
	if st.inst.Op == x86asm.DEC {
		st.count(-1)
		return
	}
	st.count(1)
}

// count adds a number to a register or word.
func (st *step) count(by int64) {
	if n, ok := whole(st.to); ok {
		if e := st.s.regs[n]; e.depth() < maxDepth {
			st.s.regs[n] = st.f.table.plus(e, by)
			return
		}
	} else if _, memory := st.to.(x86asm.Mem); memory && st.size == 8 {
		e := st.operand(st.pc, st.next, st.to, 8, st.s)
		if e != st.unknown(st.pc, 17) && e != st.unknown(st.pc, 16) && (e.Kind == Unknown || e.depth() < maxDepth) {
			st.write(st.f.table.plus(e, by))
			return
		}
	}
	st.write(nil)
}

func (st *step) add() {
	if imm, number := st.inst.Args[1].(x86asm.Imm); number {
		by := int64(imm)
		if st.inst.Op == x86asm.SUB {
			by = -by
		}
		st.count(by)
		return
	}
	if n, ok := whole(st.to); ok && st.inst.Op == x86asm.ADD {
		b := st.operand(st.pc, st.next, st.inst.Args[1], st.size, st.s)
		if st.s.regs[n].depth()+b.depth() < maxDepth {
			st.s.regs[n] = st.f.table.sum(st.s.regs[n], b)
			return
		}
	}
	st.write(nil)
}

func (st *step) shift() {
	if imm, number := st.inst.Args[1].(x86asm.Imm); number && imm >= 0 && imm < 32 {
		st.times(st.to, 1<<imm)
		return
	}
	st.write(nil)
}

func (st *step) multiply() {
	from, factor := st.to, st.inst.Args[1]
	if st.inst.Args[2] != nil {
		from, factor = st.inst.Args[1], st.inst.Args[2]
	}
	imm, number := factor.(x86asm.Imm)
	switch {
	case st.inst.Args[1] == nil: // DX:AX
		st.s.regs[0], st.s.regs[2] = st.unknown(st.pc, 0), st.unknown(st.pc, 2)
	case number && imm >= 0:
		st.times(from, int64(imm))
	default:
		st.write(nil)
	}
}

// times writes a multiple of what a register has.
func (st *step) times(from x86asm.Arg, by int64) {
	if n, ok := whole(from); ok && st.s.regs[n].depth() < maxDepth-1 {
		st.write(st.f.table.times(st.s.regs[n], by))
		return
	}
	st.write(nil)
}

func (st *step) xor() {
	if st.to == st.inst.Args[1] {
		st.write(st.f.table.of(Constant, nil, 0))
		return
	}
	st.write(nil)
}

func (st *step) push() {
	value := st.operand(st.pc, st.next, st.to, 8, st.s)
	sp := st.f.table.plus(st.s.regs[regSP], -8)
	if st.s.regs[regSP] = sp; sp.Kind == Stack {
		st.s.slots[sp.N] = value
	}
}

func (st *step) pop() {
	value := st.load(st.s.regs[regSP], st.pc, st.s)
	st.s.regs[regSP] = st.f.table.plus(st.s.regs[regSP], 8)
	st.set(st.pc, st.next, st.to, 8, value, st.s)
}

func (st *step) exchange() {
	if st.inst.Op == x86asm.XCHG && st.to == st.inst.Args[1] {
		return // a no-op
	}
	st.write(nil)
	st.set(st.pc, st.next, st.inst.Args[1], st.size, nil, st.s)
}

func (st *step) compareExchange() {
	st.write(nil)
	st.s.regs[regAX] = st.unknown(st.pc, regAX)
}

// wide is for instructions that write to AX, BX, CX and DX, or some of them.
func (st *step) wide() {
	for n := range 4 {
		st.s.regs[n] = st.unknown(st.pc, n)
	}
	st.write(nil)
}

// text is for instructions on texts, which count in CX, SI and DI.
func (st *step) text() {
	for _, n := range []int{1, 6, 7} {
		st.s.regs[n] = st.unknown(st.pc, n)
	}
}
