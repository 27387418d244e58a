package flow

import (
	"encoding/binary"
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// Use is what a function does, or one that it calls, with a channel or a sync.WaitGroup.
type Use struct {
	What *Expr
	Kind UseKind
	At   uint64 // where in the function; 0: at its end, whatever comes
	// Library says that it is done by a function of the standard library, which has only those of the program's
	// channels that it was given.
	Library bool
	// Later says that it is done by a function literal or method value that is made there: to be called, deferred,
	// started by go, or given away.
	Later bool
	// Tries says that it may not be done there: a select has a default. Among: or that others may be done instead.
	Tries, Among bool
}

// UseKind is what is done.
type UseKind uint8

const (
	Sends UseKind = iota
	Receives
	Closes
	Done   // of a WaitGroup; Add too, unless it adds
	Wakes  // those that wait for a sync.Cond, or for a share of a semaphore.Weighted
	Defers // a deferred call, which the runtime's list has
	kinds
)

// useOf says what runtime and sync functions do with a channel or WaitGroup. Which register it is in: see use.
var useOf = map[string]UseKind{
	"runtime.chansend1": Sends, "runtime.selectnbsend": Sends,
	"runtime.chanrecv1": Receives, "runtime.chanrecv2": Receives, "runtime.selectnbrecv": Receives,
	"runtime.closechan":     Closes,
	"runtime.selectgo":      kinds,
	"sync.(*WaitGroup).Add": Done, "sync.(*WaitGroup).Done": Done,
	"runtime.deferproc": Defers, "runtime.deferprocStack": Defers, "runtime.deferprocat": Defers,
}

// wakeOf says what wakes those that wait for a sync.Cond (sync/cond.go, Go 1.20 to 1.27) or for a share of a
// semaphore.Weighted (golang.org/x/sync/semaphore/semaphore.go, v0.1 to v0.16).
var wakeOf = map[string]UseKind{
	"sync.(*Cond).Signal": Wakes, "sync.(*Cond).Broadcast": Wakes,
	"golang.org/x/sync/semaphore.(*Weighted).Release": Wakes,
	"runtime.deferproc": Defers, "runtime.deferprocStack": Defers, "runtime.deferprocat": Defers,
}

// Registers of Go's calling convention for integers (ABIInternal): AX, BX, CX, DI, SI, R8.
const (
	regBX = 3
	regDI = 7
	regSI = 6
	regR8 = 8
)

const (
	maxUses  = 256
	maxCases = 64
)

// Uses is another analysis of the same executable, which looks for uses of channels and WaitGroups instead of for
// locks. library tells functions of the standard library.
func (p *Program) Uses(library func(function string) bool) *Program {
	uses := p.thatUse(useOf, library)
	uses.lacks = p.lacks
	return uses
}

// Wakes is one that looks for who wakes those that wait for a sync.Cond or a semaphore.Weighted. What it lacks it says
// of itself only.
func (p *Program) Wakes(library func(function string) bool) *Program {
	return p.thatUse(wakeOf, library)
}

func (p *Program) thatUse(of map[string]UseKind, library func(function string) bool) *Program {
	uses := newProgram(p.file, 0)
	uses.library, uses.levels, uses.largest, uses.useOf = library, UseLevels, largestUser, of
	uses.wanted = func(function string) bool { _, ok := of[function]; return ok }
	return uses
}

// Follow is At for a function that does nothing of interest, too.
func (p *Program) Follow(pc uint64) *State {
	info, ok := p.file.PC(pc)
	if !ok {
		return nil
	}
	f := p.function(info.Entry, 0)
	if f == nil || f.broken {
		return nil
	}
	return p.stateAt(f, pc)
}

// UsesAt gives what the function around a link-time pc, and those that it calls, still do with channels and
// WaitGroups behind pc, on any way, and the state at pc, in which what they use is to be found; nil where it can't be
// followed. The call at pc itself counts if it isn't made yet, says next. known is false for a function that could
// not be followed though it has uses.
func (p *Program) UsesAt(pc uint64, next bool) (uses []Use, at *State, known bool) {
	info, ok := p.file.PC(pc)
	if !ok || !p.touches(info.Entry, p.levels) {
		return nil, nil, true
	}
	f := p.function(info.Entry, 0)
	if f == nil || f.broken || f.more {
		return nil, nil, false
	}
	key := pc << 1
	if next {
		key |= 1
	}
	uses, ok = f.ahead[key]
	if !ok {
		uses = f.usesBehind(pc, next)
		f.ahead[key] = uses
	}
	return uses, p.At(pc), true
}

// usesBehind leaves out of a function's uses those to which no way leads from pc.
func (f *Function) usesBehind(pc uint64, next bool) (out []Use) {
	ahead := reachable(f.next, pc, next)
	for _, u := range f.uses {
		if u.At == 0 || ahead(u.At) {
			out = append(out, u)
		}
	}
	return out
}

// EntryUses gives what a function does with channels and WaitGroups, in terms of its own entry. known is as of UsesAt.
func (p *Program) EntryUses(entry uint64) (uses []Use, at *State, known bool) {
	return p.UsesAt(entry, true)
}

// UseLevels is how many calls are followed for what they use, largestUser how many bytes of code a function may have
// that is.
const (
	UseLevels   = 3
	largestUser = 1 << 15
)

// use notes a call that has to do with a channel or WaitGroup.
func (r *run) use(function string, pc uint64, s *State) {
	kind, ok := r.p.useOf[function]
	switch {
	case !ok:
	case kind == kinds:
		// selectgo(cas0 *scase, order0 *uint16, pc0 *uintptr, nsends, nrecvs int, block bool): the cases lie on the
		// stack, sends first (src/runtime/select.go, Go 1.20 to 1.27).
		first, sends, receives := s.regs[regAX], s.regs[regDI], s.regs[regSI]
		if first.Kind != Stack || sends.Kind != Constant || receives.Kind != Constant || sends.N < 0 || receives.N < 0 ||
			sends.N+receives.N > maxCases {
			r.used(Use{What: r.unknown(pc, 22), Kind: Sends, At: pc})
			r.used(Use{What: r.unknown(pc, 23), Kind: Receives, At: pc})
			return
		}
		for i := range sends.N + receives.N {
			kind := Sends
			if i >= sends.N {
				kind = Receives
			}
			tries := s.regs[regR8].Kind != Constant || s.regs[regR8].N&0xff == 0
			r.used(Use{What: r.load(r.f.table.plus(first, 16*i), pc, s), Kind: kind, At: pc, Tries: tries, Among: true})
		}
	case kind == Defers:
		r.used(Use{What: r.unknown(pc, 24), Kind: Defers})
	case function == "sync.(*WaitGroup).Add" && s.regs[regBX].Kind == Constant && s.regs[regBX].N > 0:
	case function == "runtime.selectnbrecv":
		r.used(Use{What: s.regs[regBX], Kind: kind, At: pc, Tries: true})
	case function == "runtime.selectnbsend":
		r.used(Use{What: s.regs[regAX], Kind: kind, At: pc, Tries: true})
	default:
		r.used(Use{What: s.regs[regAX], Kind: kind, At: pc})
	}
}

func (r *run) used(u Use) {
	if r.replay || slices.Contains(r.f.uses, u) {
		return
	}
	if len(r.f.uses) >= maxUses {
		r.f.more = true
		return
	}
	r.f.uses = append(r.f.uses, u)
}

// usedBy notes what a function that is called at pc uses.
func (r *run) usedBy(callee *Function, pc uint64, s *State) {
	library := r.p.library != nil && r.p.library(callee.info.Func)
	if !library && (callee.broken || callee.more) {
		r.usesAny(pc, false)
		return
	}
	for _, u := range callee.uses {
		if u.Kind != Defers { // they are done when it returns
			r.used(Use{What: r.substitute(u.What, pc, s), Kind: u.Kind, At: pc, Library: u.Library || library,
				Later: u.Later, Tries: u.Tries})
		}
	}
}

// made notes what a function whose address is taken at pc uses. What it has captured isn't followed.
func (r *run) made(target, pc uint64) {
	if r.p.library == nil || r.replay {
		return
	}
	info, ok := r.p.file.PC(target)
	if !ok || info.Entry != target || IsLockFunction(info.Func) || r.p.library(info.Func) {
		return
	}
	if r.level >= r.p.levels || !r.p.touches(target, r.p.levels-r.level-1) {
		r.f.cut = true
		return
	}
	callee := r.p.function(target, r.level+1)
	if callee == nil {
		return
	}
	if r.f.cut = r.f.cut || callee.cut; callee.broken || callee.more {
		r.usesAny(pc, true)
		return
	}
	for _, u := range callee.uses {
		if what := u.What; u.Kind != Defers {
			if !r.constant(what) {
				what = r.unknown(pc, 25)
			}
			r.used(Use{What: r.substitute(what, pc, &State{}), Kind: u.Kind, At: pc, Library: u.Library, Later: true})
		}
	}
}

// usesAny notes that anything may be done to anything.
func (r *run) usesAny(pc uint64, later bool) {
	for kind := range Defers {
		r.used(Use{What: r.unknown(pc, 25), Kind: kind, At: pc, Later: later})
	}
}

// constant tells whether an expression is over package variables only.
func (r *run) constant(e *Expr) bool {
	is := true
	e.each(func(part *Expr) {
		is = is && part.Kind != Unknown && part.Kind != Entry && part.Kind != Argument && part.Kind != Stack &&
			part.Kind != Tried
	})
	return is
}

// functionAt finds the function whose address an instruction takes: itself, or by the word of a func value that
// captures nothing.
func (p *Program) functionAt(addr uint64) (entry uint64, ok bool) {
	if info, ok := p.file.PC(addr); ok {
		return addr, info.Entry == addr
	}
	var word [8]byte
	if !p.file.ReadStatic(word[:], addr) {
		return 0, false
	}
	entry = binary.LittleEndian.Uint64(word[:])
	info, ok := p.file.PC(entry)
	return entry, ok && info.Entry == entry
}

// makes notes the function whose address an instruction takes, if it does.
func (r *run) makes(pc, next uint64, inst x86asm.Inst) {
	m, ok := inst.Args[1].(x86asm.Mem)
	if r.p.library != nil && inst.Op == x86asm.LEA && ok && m.Base == x86asm.RIP {
		if entry, ok := r.p.functionAt(next + uint64(m.Disp)); ok {
			r.made(entry, pc)
		}
	}
}
