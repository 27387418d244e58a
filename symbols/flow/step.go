package flow

import (
	"golang.org/x/arch/x86/x86asm"
)

func (r *run) unknown(pc uint64, n int) *Expr {
	return r.f.table.of(Unknown, nil, int64(pc-r.f.info.Entry)<<24|1<<22|int64(n))
}

// register gives the number of the 64-bit register that holds reg, -1 for others; whole says that it is all of it, or zeroes the rest.
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

// count adds a number to a register or word.
func (r *run) count(pc, next uint64, to x86asm.Arg, size int, by int64, s *State) {
	if reg, ok := to.(x86asm.Reg); ok {
		if n, whole := register(reg); n >= 0 && whole && s.regs[n].depth() < maxDepth {
			s.regs[n] = r.f.table.plus(s.regs[n], by)
			return
		}
	} else if size == 8 {
		if e := r.operand(pc, next, to, 8, s); e.Kind != Unknown && e.depth() < maxDepth || e.Kind == Unknown && e != r.unknown(pc, 17) && e != r.unknown(pc, 16) {
			r.set(pc, next, to, size, r.f.table.plus(e, by), s)
			return
		}
	}
	r.set(pc, next, to, size, nil, s)
}

// step follows an instruction that goes on with the next.
func (r *run) step(pc, next uint64, inst x86asm.Inst, s *State) {
	t := r.f.table
	size := inst.MemBytes
	if size == 0 {
		size = inst.DataSize / 8
	}
	if locked(inst) {
		r.atomic(pc, next, inst, s)
	}
	to := inst.Args[0]
	switch inst.Op {
	case x86asm.MOV:
		e := r.operand(pc, next, inst.Args[1], size, s)
		if e.Kind == Unknown && e == r.unknown(pc, 17) {
			e = nil
		}
		r.set(pc, next, to, size, e, s)
	case x86asm.LEA:
		if m, ok := inst.Args[1].(x86asm.Mem); ok {
			r.set(pc, next, to, 8, r.address(next, m, s), s)
		}
	case x86asm.SETE:
		if n, _ := register8(to); n >= 0 && s.tried != nil && s.equal {
			s.regs[n] = s.tried
			return
		}
		r.set(pc, next, to, size, nil, s)
	case x86asm.MOVZX:
		if n, _ := register8(to); n >= 0 {
			if from, _ := register8(inst.Args[1]); from >= 0 {
				if _, tried := r.f.tries[s.regs[from]]; tried {
					s.regs[n] = s.regs[from]
					return
				}
			}
		}
		r.set(pc, next, to, size, nil, s)
	case x86asm.INC, x86asm.DEC:
		by := int64(1)
		if inst.Op == x86asm.DEC {
			by = -1
		}
		r.count(pc, next, to, size, by, s)
	case x86asm.SHL, x86asm.IMUL:
		from, factor := to, inst.Args[1]
		if inst.Args[2] != nil {
			from, factor = inst.Args[1], inst.Args[2]
		}
		imm, number := factor.(x86asm.Imm)
		reg, is := from.(x86asm.Reg)
		n, whole := register(reg)
		switch {
		case inst.Op == x86asm.IMUL && inst.Args[1] == nil: // DX:AX
			s.regs[0], s.regs[2] = r.unknown(pc, 0), r.unknown(pc, 2)
		case number && is && n >= 0 && whole && imm >= 0 && (inst.Op == x86asm.IMUL || imm < 32) && s.regs[n].depth() < maxDepth-1:
			by := int64(imm)
			if inst.Op == x86asm.SHL {
				by = 1 << imm
			}
			r.set(pc, next, to, size, t.times(s.regs[n], by), s)
		default:
			r.set(pc, next, to, size, nil, s)
		}
	case x86asm.ADD, x86asm.SUB:
		if a, ok := to.(x86asm.Reg); ok && inst.Op == x86asm.ADD {
			if _, number := inst.Args[1].(x86asm.Imm); !number {
				n, whole := register(a)
				b := r.operand(pc, next, inst.Args[1], size, s)
				if n >= 0 && whole && s.regs[n].depth()+b.depth() < maxDepth {
					s.regs[n] = t.sum(s.regs[n], b)
					return
				}
			}
		}
		if imm, ok := inst.Args[1].(x86asm.Imm); ok {
			if _, memory := to.(x86asm.Mem); memory && size == 8 {
				by := int64(imm)
				if inst.Op == x86asm.SUB {
					by = -by
				}
				r.count(pc, next, to, size, by, s)
				return
			}
		}
		if imm, ok := inst.Args[1].(x86asm.Imm); ok {
			if reg, ok := to.(x86asm.Reg); ok {
				if n, whole := register(reg); n >= 0 && whole {
					by := int64(imm)
					if inst.Op == x86asm.SUB {
						by = -by
					}
					if s.regs[n].depth() >= maxDepth {
						s.regs[n] = r.unknown(pc, n)
					} else {
						s.regs[n] = t.plus(s.regs[n], by)
					}
					return
				}
			}
		}
		r.set(pc, next, to, size, nil, s)
	case x86asm.XOR:
		if to == inst.Args[1] {
			r.set(pc, next, to, size, t.of(Constant, nil, 0), s)
			return
		}
		r.set(pc, next, to, size, nil, s)
	case x86asm.PUSH:
		value := r.operand(pc, next, inst.Args[0], 8, s)
		s.regs[regSP] = t.plus(s.regs[regSP], -8)
		if s.regs[regSP].Kind == Stack {
			s.slots[s.regs[regSP].N] = value
		}
	case x86asm.POP:
		value := r.load(s.regs[regSP], pc, s)
		s.regs[regSP] = t.plus(s.regs[regSP], 8)
		r.set(pc, next, to, 8, value, s)
	case x86asm.CMP, x86asm.TEST, x86asm.NOP, x86asm.BT, x86asm.UCOMISD, x86asm.UCOMISS, x86asm.PAUSE:
	case x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.CQO, x86asm.CDQ, x86asm.RDTSC, x86asm.CPUID, x86asm.XGETBV:
		for _, n := range []int{0, 1, 2, 3} {
			s.regs[n] = r.unknown(pc, n)
		}
		r.set(pc, next, to, size, nil, s)
	case x86asm.XCHG, x86asm.XADD, x86asm.CMPXCHG:
		if inst.Op == x86asm.XCHG && to == inst.Args[1] {
			return // a no-op
		}
		r.set(pc, next, to, size, nil, s)
		if inst.Op == x86asm.CMPXCHG {
			s.regs[regAX] = r.unknown(pc, regAX)
		} else {
			r.set(pc, next, inst.Args[1], size, nil, s)
		}
	case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSQ, x86asm.STOSD, x86asm.CMPSB, x86asm.SCASB:
		for _, n := range []int{1, 6, 7} { // CX, SI, DI
			s.regs[n] = r.unknown(pc, n)
		}
	default:
		for _, arg := range inst.Args { // AVX's and BMI's have their result first, others may change both
			if reg, ok := arg.(x86asm.Reg); ok && (arg == to) {
				r.set(pc, next, reg, size, nil, s)
			}
		}
		if _, ok := to.(x86asm.Mem); ok {
			r.set(pc, next, to, size, nil, s)
		}
	}
}
