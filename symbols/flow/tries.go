package flow

import (
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"ri/symbols"
)

// This file follows TryLock, whose result says whether the lock was taken. What a branch on it leads to knows. The
// result is an expression of its own, for which the lock is kept. Inlined, and in helpers that return true or false, it
// is often a 1 on the way that took the lock and a 0 on the other. Where the two meet, the value that is either keeps
// the lock.

// first is what a value was, and what was held, on the first way to where it meets others.
type first struct {
	value *Expr
	held  []Held
}

// tryOf says what a function of package sync takes if it succeeds.
func tryOf(name string) effect {
	switch {
	case !strings.HasPrefix(name, "sync.(*") && !strings.HasPrefix(name, "internal/sync.(*"):
	case strings.HasSuffix(name, "Mutex).TryLock"):
		return takes
	case strings.HasSuffix(name, "Mutex).TryRLock"):
		return takesReader
	}
	return nothing
}

// try gives the result of a TryLock, as an expression.
func (r *run) try(pc uint64, function string, lock *Expr, site symbols.Line) *Expr {
	reader := tryOf(function) == takesReader
	e := r.f.table.of(Tried, lock, int64(pc-r.f.info.Entry))
	h := Held{Lock: lock, Reader: reader, RW: strings.Contains(function, "RWMutex"), Site: site, PC: pc, Try: true}
	r.f.tries[e] = h
	r.attempted(h)
	return e
}

// maxAttempts is how many TryLocks of one function are noted.
const maxAttempts = 64

// attempted notes that a lock is tried, by the function itself or by one that it calls. What was noted at the same
// place on an earlier way is forgotten: the lock's address is now what all ways agree on.
func (r *run) attempted(h Held) {
	if r.replay {
		return
	}
	same := func(o Held) bool { return o.PC == h.PC && o.Reader == h.Reader && o.By == h.By }
	if i := slices.IndexFunc(r.f.attempts, same); i >= 0 {
		r.f.attempts[i] = h
	} else if len(r.f.attempts) < maxAttempts {
		r.f.attempts = append(r.f.attempts, h)
	}
}

// TriesAround gives the TryLocks of the loop that a link-time pc lies in, those of functions that are called there too:
// a way leads to them from pc, and back. Nil where there are none, or the function can't be followed.
func (p *Program) TriesAround(pc uint64) (tries []Held) {
	info, ok := p.file.PC(pc)
	if !ok || !p.touches(info.Entry, p.levels) {
		return nil
	}
	f := p.function(info.Entry, 0)
	if f == nil || f.broken || len(f.attempts) == 0 {
		return nil
	}
	ahead := reachable(f.next, pc, false)
	for _, h := range f.attempts {
		if ahead(h.PC) && (h.PC == pc || reachable(f.next, h.PC, false)(pc)) {
			tries = append(tries, h)
		}
	}
	return tries
}

// tryCall gives the result of a call of TryLock, nil of others.
func (r *run) tryCall(pc, target uint64, s *State) *Expr {
	info, ok := r.p.file.PC(target)
	if target == 0 || !ok || info.Entry != target || tryOf(info.Func) == nothing {
		return nil
	}
	function, site := r.inlined(pc)
	if tryOf(function) == nothing {
		function = info.Func
	}
	if here, ok := r.p.file.PC(pc); ok && site == (symbols.Line{}) {
		site = here.Lines[0]
	}
	return r.try(pc, function, s.regs[regAX], site)
}

// triesInline tells whether code begins with the LOCK CMPXCHG of an inlined TryLock, which calls nothing.
func (p *Program) triesInline(code []byte, pc uint64) bool {
	if len(code) < 5 || code[0] != 0xf0 || code[1] != 0x0f && code[2] != 0x0f {
		return false
	}
	inst, err := decode(code)
	if err != nil || inst.Op != x86asm.CMPXCHG {
		return false
	}
	// Before Go 1.26 what comes behind it tells, see ahead.
	for _, at := range []uint64{pc, pc + uint64(inst.Len), pc + uint64(inst.Len) + 3} {
		if info, ok := p.file.PC(at); ok {
			if function, _ := Site(info.Lines); tryOf(function) != nothing {
				return true
			}
		}
	}
	return false
}

// tests notes what an instruction's result says about a try, or about a number that is known: s.tried, and whether the
// zero flag is set when it succeeded.
func (r *run) tests(inst x86asm.Inst, s *State) {
	switch inst.Op {
	case x86asm.MOV, x86asm.LEA, x86asm.NOP, x86asm.MOVZX, x86asm.SETE, x86asm.SETNE, x86asm.XCHG: // change no flags
		return
	case x86asm.TEST, x86asm.CMP:
		reg, ok := inst.Args[0].(x86asm.Reg)
		imm, number := inst.Args[1].(x86asm.Imm)
		if n, _ := register(reg); ok && n >= 0 &&
			(inst.Args[0] == inst.Args[1] && inst.Op == x86asm.TEST || inst.Op == x86asm.CMP && number && imm == 0) {
			if _, tried := r.f.tries[s.regs[n]]; tried || s.regs[n].Kind == Constant && s.regs[n].N>>1 == 0 {
				s.tried, s.equal = s.regs[n], false
				return
			}
		}
	}
	s.tried = nil
}

// branch leads a state to where a conditional jump goes, and on.
func (r *run) branch(op x86asm.Op, target, next uint64, s *State) {
	if e := s.tried; e != nil && e.Kind == Constant && (op == x86asm.JE || op == x86asm.JNE) {
		// As far as is known yet, there is one way only: another may meet this one later.
		if s.tried = nil; (op == x86asm.JE) == (e.N == 0) {
			r.flow(target, s)
		} else {
			r.flow(next, s)
		}
		return
	}
	h, known := r.f.tries[s.tried]
	if s.tried == nil || !known || op != x86asm.JE && op != x86asm.JNE {
		r.flow(target, s)
		r.flow(next, s)
		return
	}
	taken := s.copy()
	if !slices.Contains(taken.Held, h) { // its result may be asked for twice
		taken.take(h)
	}
	s.tried, taken.tried = nil, nil
	if (op == x86asm.JE) == s.equal {
		r.flow(target, taken)
		r.flow(next, s)
	} else {
		r.flow(target, s)
		r.flow(next, taken)
	}
}

// either notes, where two ways meet, that a value tells whether a lock is held: it is 1 on the one and 0 on the other.
func (r *run) either(value, a, b *Expr, in, s []Held) {
	if was, ok := r.f.first[value]; ok && a == value {
		a, in = was.value, was.held
	} else if a != value {
		r.f.first[value] = first{a, slices.Clone(in)}
	}
	if a == nil || b == nil || a.Kind != Constant || b.Kind != Constant || a.N != 0 && b.N != 0 || a.N == b.N {
		return
	}
	yes, no := in, s
	if a.N == 0 {
		yes, no = s, in
	}
	for _, h := range yes {
		if h.Rounds == 0 && !slices.Contains(no, h) {
			r.f.tries[value] = h
			return
		}
	}
}
