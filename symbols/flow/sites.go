package flow

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"ri/symbols"
)

// What the functions of package sync do to a lock whose address is their receiver. Since Go 1.24 sync.Mutex wraps
// internal/sync.Mutex; both are called or inlined.
type effect uint8

const (
	nothing effect = iota
	takes
	takesReader
	frees
	freesReader
	neither // a part of one of the others, which has been counted already
)

var effects = map[string]effect{
	"sync.(*Mutex).Lock": takes, "internal/sync.(*Mutex).Lock": takes, "sync.(*RWMutex).Lock": takes,
	"sync.(*Mutex).Unlock": frees, "internal/sync.(*Mutex).Unlock": frees, "sync.(*RWMutex).Unlock": frees,
	"sync.(*RWMutex).RLock": takesReader, "sync.(*RWMutex).RUnlock": freesReader,
	"sync.(*Mutex).lockSlow": neither, "internal/sync.(*Mutex).lockSlow": neither,
	"sync.(*Mutex).unlockSlow": neither, "internal/sync.(*Mutex).unlockSlow": neither,
	"sync.(*RWMutex).rUnlockSlow": neither, "sync.runtime_SemacquireRWMutexR": neither,
	"sync.runtime_SemacquireMutex": neither, "sync.(*Mutex).TryLock": neither,
	"internal/sync.(*Mutex).TryLock": neither, "sync.(*RWMutex).TryLock": neither, "sync.(*RWMutex).TryRLock": neither,
}

// IsLockFunction tells whether a function is one of those that lock or unlock, or a part of one.
func IsLockFunction(name string) bool { return effects[name] != nothing }

// Reads tells whether a function is one that takes an RWMutex for reading.
func Reads(name string) bool { return effects[name] == takesReader || tryOf(name) == takesReader }

// Tries tells whether a function of package sync takes a lock only if nobody has it: TryLock and TryRLock.
func Tries(name string) bool { return tryOf(name) != nothing }

// neverReturn tells of calls behind which there is no way on.
func neverReturn(name string) bool {
	rest, ok := strings.CutPrefix(name, "runtime.")
	return ok && (strings.HasPrefix(rest, "panic") || strings.HasPrefix(rest, "goPanic") ||
		strings.HasPrefix(rest, "morestack") ||
		rest == "gopanic" || rest == "throw" || rest == "fatal" || rest == "Goexit" || rest == "sigpanic" ||
		rest == "block")
}

func locked(inst x86asm.Inst) bool {
	for _, p := range inst.Prefix {
		if p&0xff == x86asm.PrefixLOCK && p&x86asm.PrefixInvalid == 0 && p < 0x8000 {
			return true
		}
		if p == 0 {
			break
		}
	}
	return false
}

// inlined finds the innermost of a place's inlined calls that is in effects, and the line of the call outside package
// sync.
func (r *run) inlined(pc uint64) (string, symbols.Line) {
	info, ok := r.p.file.PC(pc)
	if !ok {
		return "", symbols.Line{}
	}
	return Site(info.Lines)
}

// Site looks among the lines of a place, innermost first, for an inlined or called function that locks or unlocks. It
// gives which it is, and the first line outside of those.
func Site(lines []symbols.Line) (function string, site symbols.Line) {
	for _, line := range lines {
		if IsLockFunction(line.Func) {
			function = line.Func // the outermost: RWMutex.Lock calls Mutex.Lock
		} else if function != "" {
			return function, line
		}
	}
	if function != "" {
		return function, lines[len(lines)-1]
	}
	return "", symbols.Line{}
}

// atomic follows the first step of a Lock, RLock, Unlock or RUnlock that was inlined. What comes behind it when that
// doesn't succeed at once ends with the lock taken too. A place in there is told by its lines.
func (r *run) atomic(pc, next uint64, inst x86asm.Inst, s *State) {
	m, ok := inst.Args[0].(x86asm.Mem)
	if !ok || inst.Op != x86asm.CMPXCHG && inst.Op != x86asm.XADD {
		return
	}
	function, site := r.inlined(pc)
	if function == "" {
		function, site = r.ahead(next)
	}
	e := effects[function]
	switch {
	case tryOf(function) != nothing && inst.Op == x86asm.CMPXCHG:
		if isRW(function) {
			if info, ok := r.p.file.PC(pc); ok && slices.ContainsFunc(info.Lines,
				func(l symbols.Line) bool { return tryOf(l.Func) != nothing && !isRW(l.Func) }) {
				return // the Mutex in it, of writers
			}
			m.Disp -= r.p.readers
		}
		if lock := r.address(next, m, s); lock != nil {
			s.tried, s.equal = r.try(pc, function, lock, site), true
		}
		return
	case e == takes && inst.Op == x86asm.CMPXCHG, e == frees && inst.Op == x86asm.XADD:
	case (e == takesReader || e == freesReader) && inst.Op == x86asm.XADD:
		m.Disp -= r.p.readers
	default:
		return
	}
	lock := r.address(next, m, s)
	if lock == nil {
		lock = r.unknown(pc, 20)
	}
	r.apply(e, pc, lock, false, site, s)
}

// ahead looks at what comes behind an atomic instruction, up to the decision over its success. Before Go 1.26 the
// compiler gives the instruction itself the line of the function that Lock was inlined into.
func (r *run) ahead(pc uint64) (string, symbols.Line) {
	for range 8 {
		if pc >= r.f.info.End {
			break
		}
		inst, err := decode(r.f.code[pc-r.f.info.Entry:])
		if err != nil || locked(inst) {
			break
		}
		if function, site := r.inlined(pc); function != "" {
			return function, site
		}
		if _, jump := inst.Args[0].(x86asm.Rel); jump || inst.Op == x86asm.RET || inst.Op == x86asm.CALL {
			break
		}
		pc += uint64(inst.Len)
	}
	return "", symbols.Line{}
}

// isRW tells methods of sync.RWMutex.
func isRW(function string) bool { return strings.Contains(function, "RWMutex") }

func (r *run) apply(e effect, pc uint64, lock *Expr, rw bool, site symbols.Line, s *State) {
	reader := e == takesReader || e == freesReader
	switch h := (Held{Lock: lock, Reader: reader, RW: rw || reader, Site: site, PC: pc}); e {
	case takes, takesReader:
		s.take(h)
	case frees, freesReader:
		h.Site, h.PC, h.RW = symbols.Line{}, 0, false
		r.free(h, s)
	}
}

// take notes a lock that was passed.
func (s *State) take(h Held) {
	if len(s.Held) < maxHeld {
		s.Held = append(s.Held, h)
	}
	s.maybe(Possible{Held: h})
}

// free gives back the last lock that can be the one, or notes that it was the caller's.
func (r *run) free(h Held, s *State) {
	s.freePossible(h)
	for i := len(s.Held) - 1; i >= 0; i-- {
		if s.Held[i].Lock == h.Lock && s.Held[i].Reader == h.Reader {
			s.Held = slices.Delete(s.Held, i, i+1)
			return
		}
	}
	// It may be one that is held under another expression.
	s.Held = slices.DeleteFunc(s.Held, func(o Held) bool {
		return o.Reader == h.Reader && (uncertain(o.Lock) || uncertain(h.Lock))
	})
	if !slices.Contains(s.freed, h) && len(s.freed) < maxHeld {
		s.freed = append(s.freed, h)
	}
}

// uncertain tells whether an expression has a part that was not followed.
func uncertain(e *Expr) bool {
	found := false
	e.each(func(part *Expr) { found = found || part.Kind == Unknown })
	return found
}

// call follows a call; true if it doesn't come back.
func (r *run) call(pc, target uint64, s *State) bool {
	info, ok := r.p.file.PC(target)
	if !ok || info.Entry != target {
		return false
	}
	if neverReturn(info.Func) {
		return true
	}
	r.use(info.Func, pc, s)
	switch e := effects[info.Func]; {
	case e == neither:
	case e != nothing:
		r.lockCall(e, info.Func, pc, s)
	case info.Func == "runtime.deferreturn":
		s.Held, s.Maybe = nil, nil // whatever was deferred
	case r.level >= r.p.levels || info.End-info.Entry > uint64(r.p.largest) || !r.p.touches(target, r.p.levels-r.level-1):
		r.f.cut = true
	default:
		if callee := r.p.function(target, r.level+1); callee != nil {
			r.inherit(callee, info.Func, pc, s)
		}
	}
	return false
}

// lockCall follows the call of a function that locks or unlocks.
func (r *run) lockCall(e effect, function string, pc uint64, s *State) {
	outer, site := r.inlined(pc)
	if here, ok := r.p.file.PC(pc); ok && site == (symbols.Line{}) {
		site = here.Lines[0]
	}
	if effects[outer] != nothing { // one that was inlined, and calls another
		e, function = effects[outer], outer
	}
	r.apply(e, pc, s.regs[regAX], isRW(function), site, s)
}

// inherit takes over what a function that was called uses, gives back and leaves held.
func (r *run) inherit(callee *Function, name string, pc uint64, s *State) {
	r.f.cut = r.f.cut || callee.cut
	r.usedBy(callee, pc, s)
	if callee.broken || callee.gives == nil { // or it is being worked out, and calls itself
		return
	}
	site := symbols.Line{}
	if here, ok := r.p.file.PC(pc); ok {
		site = here.Lines[0]
	}
	left := func(h Held) Held {
		h.Lock, h.Site, h.PC, h.By = r.substitute(h.Lock, pc, s), site, pc, name
		return h
	}
	for _, h := range callee.attempts {
		r.attempted(left(h))
	}
	for _, h := range callee.gives.frees {
		h.Lock = r.substitute(h.Lock, pc, s)
		r.free(h, s)
	}
	for _, h := range callee.gives.leaves {
		if count(callee.gives.takes, h) == 0 {
			s.maybe(Possible{Held: left(h)})
		}
	}
	for _, h := range callee.gives.takes {
		s.take(left(h))
	}
}

// substitute turns a callee's expression into one of the caller.
func (r *run) substitute(e *Expr, pc uint64, s *State) *Expr {
	t := r.f.table
	switch e.Kind {
	case Entry:
		if e.N != regSP {
			return s.regs[e.N]
		}
	case Constant:
		return t.of(Constant, nil, e.N)
	case Scaled, Add:
		index := r.substitute(e.Index, pc, s)
		if e.Kind == Scaled {
			return t.times(index, e.N)
		}
		if base := r.substitute(e.Base, pc, s); base.depth()+index.depth() < maxDepth {
			return t.sum(base, index)
		}
	case Load, Sum:
		base := r.substitute(e.Base, pc, s)
		if base.depth() >= maxDepth {
			break
		}
		if e.Kind == Sum {
			return t.plus(base, e.N)
		}
		return r.load(t.plus(base, e.N), pc, s)
	}
	return r.unknown(pc, 21)
}

// touches tells whether a function's code calls something that has to do with locks, itself or through a few levels of
// calls. It looks for call instructions byte by byte: one that isn't there does no harm.
func (p *Program) touches(entry uint64, levels int) bool {
	if known, ok := p.callees[entry]; ok && known >= levels {
		return known == everywhere
	}
	code, at := p.code(entry)
	if code == nil || at != entry {
		return false
	}
	p.callees[entry] = levels // while it is looked at
	found := false
	var calls []uint64
	for i := 0; i+5 <= len(code) && !found; i++ {
		if found = p.library == nil && p.triesInline(code[i:], entry+uint64(i)); found {
			break
		}
		target, ok := p.calls(code[i:], entry+uint64(i))
		if !ok {
			continue
		}
		info, ok := p.file.PC(target)
		if !ok || info.Entry != target {
			continue
		}
		if p.wanted(info.Func) {
			found = true
		} else if info.End-info.Entry <= uint64(p.largest) && !strings.HasPrefix(info.Func, "runtime.") &&
			!slices.Contains(calls, target) {
			calls = append(calls, target)
		}
	}
	for _, target := range calls {
		if found || levels <= 0 {
			break
		}
		found = p.touches(target, levels-1)
	}
	if found {
		p.callees[entry] = everywhere
	}
	return found
}

// calls gives what the instruction at pc, which code begins with, calls; of functions whose uses are looked for also
// what it takes the address of: a func value.
func (p *Program) calls(code []byte, pc uint64) (target uint64, ok bool) {
	switch {
	case code[0] == 0xe8: // CALL rel32
		return pc + 5 + uint64(int64(int32(binary.LittleEndian.Uint32(code[1:])))), true
	// LEA disp32(IP), a 64-bit register
	case p.library != nil && len(code) >= 7 && code[0]&^4 == 0x48 && code[1] == 0x8d && code[2]&0xc7 == 5:
		return p.functionAt(pc + 7 + uint64(int64(int32(binary.LittleEndian.Uint32(code[3:])))))
	}
	return 0, false
}

// everywhere stands for a function that is known to touch locks.
const everywhere = 1 << 20
