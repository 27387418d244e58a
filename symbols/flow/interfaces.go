package flow

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// This file follows calls through interfaces, such as sync.Locker's, as far as code alone tells. It notes that a method
// was called on a receiver, and not another one of a later name since. Which function it was is in the itab, which is
// the target's. Who asks finds out whether it locks.

// methods is the offset of the first method in runtime.itab (internal/abi.ITab: Inter, Type, Hash, Fun; Go 1.20 to
// 1.27).
const methods = 24

// Interfaces is another analysis of the same executable, which notes methods that are called through interfaces, as
// locks that may have been taken. Each has Via.
func (p *Program) Interfaces() *Program {
	through := newProgram(p.file, p.readers)
	through.interfaces, through.lacks = true, p.lacks
	return through
}

// through notes a call whose target is the word that e stands for.
func (r *run) through(e *Expr, pc uint64, s *State) {
	if !r.p.interfaces || r.level > 0 || e.Kind != Load || e.N < methods || e.N%8 != 0 {
		return
	}
	receiver := s.regs[regAX]
	for i := len(s.Held) - 1; i >= 0; i-- {
		h := s.Held[i]
		if h.Via != nil && h.Lock == receiver && h.Via.Base == e.Base && h.Via.N < e.N {
			s.Held = slices.Delete(s.Held, i, i+1)
		}
	}
	info, ok := r.p.file.PC(pc)
	if !ok || len(s.Held) >= maxHeld {
		return
	}
	if h := (Held{Lock: receiver, Via: e, Site: info.Lines[0]}); !slices.Contains(s.Held, h) {
		s.Held = append(s.Held, h)
	}
}

// Takes gives the locks that a function takes and doesn't give back, in terms of its receiver, [Entry] 0.
func (p *Program) Takes(entry uint64) []Held {
	info, ok := p.file.PC(entry)
	if !ok || info.Entry != entry {
		return nil
	}
	if e := effects[info.Func]; e == takes || e == takesReader {
		return []Held{{Lock: &Expr{Kind: Entry}, Reader: e == takesReader, RW: isRW(info.Func)}}
	}
	if !p.touches(entry, maxLevels) {
		return nil
	}
	f := p.function(entry, 1)
	if f == nil || f.broken || f.gives == nil {
		return nil
	}
	return f.gives.takes
}

// indirect tells whether a function's code seems to have a call through a register or a word of memory.
func (p *Program) indirect(entry uint64) bool {
	code, at := p.code(entry)
	if at != entry {
		return false
	}
	for i := 0; i+1 < len(code); i++ {
		if code[i] == 0xff && code[i+1]&0x38 == 0x10 {
			if inst, err := decode(code[i:]); err == nil && inst.Op == x86asm.CALL {
				return true
			}
		}
	}
	return false
}
