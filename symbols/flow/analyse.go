package flow

import (
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"ri/symbols"
)

// Held is a lock that was passed on the way to a place, and not given back.
type Held struct {
	Lock   *Expr        // the address of the sync.Mutex or sync.RWMutex
	Reader bool         // RLock
	RW     bool         // a sync.RWMutex
	Site   symbols.Line // the call of Lock
	Try    bool         // TryLock, which succeeded
	Rounds uint64       // in earlier rounds of the loop at this address; 0: not in a loop over many
	Via    *Expr        // the word that says which method of an interface was called on Lock: it may lock. See Interfaces
}

// Use is what a function does, somewhere, with a channel or a sync.WaitGroup: "send", "receive" (select's cases and close count too) or "done".
type Use struct {
	What *Expr
	Kind string
	// Library says that it is done by a function of the standard library, which has only those of the program's channels that it was given.
	Library bool
}

// State is what is known at a place in a function.
type State struct {
	Held  []Held
	regs  [16]*Expr
	slots map[int64]*Expr // at CFA+n; missing: as at the entry
	freed []Held          // given back, though not taken here
	tried *Expr           // the TryLock that the zero flag tells of
	equal bool            // it is set when that succeeded
}

// Slot gives where, from the CFA, a word with the value of an expression lies at this place.
func (s *State) Slot(e *Expr) (offset int64, ok bool) {
	if e.Kind == Argument && s.slots[e.N] == nil {
		return e.N, true
	}
	found := false
	for at, held := range s.slots {
		if held == e && (!found || at > offset) { // the highest: those near SP are most often arguments of calls
			offset, found = at, true
		}
	}
	return offset, found
}

// Register gives a register with the value of an expression at this place, as amd64 instructions number them.
func (s *State) Register(e *Expr) (n int, ok bool) {
	for i, held := range s.regs {
		if held == e {
			return i, true
		}
	}
	return 0, false
}

// Near gives a slot with a word that differs by a known number from an expression: the expression is the word less by.
func (s *State) Near(e *Expr) (offset, by int64, ok bool) {
	for at, held := range s.slots {
		if held.Kind == Sum && held.Base == e && (!ok || at > offset) {
			offset, by, ok = at, held.N, true
		}
	}
	return offset, by, ok
}

// Deferred tells whether a call of Unlock for a lock lies deferred in the frame: an open-coded defer's closure, made by the compiler for
// "defer mu.Unlock()", that has captured the lock.
func (p *Program) Deferred(s *State, lock *Expr) bool {
	for at, held := range s.slots {
		if held.Kind != Constant {
			continue
		}
		info, ok := p.file.PC(uint64(held.N))
		if !ok || info.Entry != uint64(held.N) || !strings.Contains(info.Func, ".deferwrap") && !strings.Contains(info.Func, "-fm") {
			continue
		}
		if captured := s.slots[at+8]; captured != nil && (captured == lock || lock.Kind == Sum && captured == lock.Base) {
			return true
		}
	}
	return false
}

// Function is one function's code, worked out.
type Function struct {
	info     *symbols.PCInfo
	code     []byte
	table    table
	at       map[uint64]*State // in front of the instructions that were asked for
	blocks   map[uint64]*block
	gives    *summary
	tries    map[*Expr]Held     // what is held if a value isn't 0
	counters map[*Expr]*Counter // of loops
	first    map[*Expr]first    // what a value was on the first way to where ways meet
	heads    *dominators
	uses     []Use
	level    int // of calls, at which it was analysed
	broken   bool
}

// summary is what a call of a function does to locks, in terms of its own entry.
type summary struct {
	takes, frees []Held
}

func (s *summary) empty() bool { return s == nil || len(s.takes)+len(s.frees) == 0 }

type block struct {
	in     *State
	visits int
}

const (
	maxVisits  = 30   // of a block, until its state has to be stable
	maxLevels  = 3    // of calls that are followed
	maxCallees = 4096 // bytes of a function that is followed when it is called
	maxHeld    = 64
)

const (
	regAX = 0
	regSP = 4
	regBP = 5
	regG  = 14
)

// Program analyses functions of one executable, each once. It isn't safe for concurrent use.
type Program struct {
	file      *symbols.File
	functions map[uint64]*Function
	readers   int64                      // offset of readerCount in sync.RWMutex
	wanted    func(function string) bool // which calls make a function worth following
	library   func(function string) bool // of the standard library; nil: not asked
	callees   map[uint64]int             // levels of calls in which nothing has to do with locks, or everywhere
	busy      map[uint64]bool

	interfaces bool // calls through them count
}

// New makes a Program. readerCount is the offset of that field in sync.RWMutex.
func New(file *symbols.File, readerCount int64) *Program {
	return &Program{file: file, functions: map[uint64]*Function{}, readers: readerCount, wanted: IsLockFunction, callees: map[uint64]int{}, busy: map[uint64]bool{}}
}

// Readers gives the offset that New was given.
func (p *Program) Readers() int64 { return p.readers }

// At gives the state in which a function is in front of the instruction at, or around, a link-time pc: that of a call, not of its return; nil where nothing of interest is known:
// the function has no locks, or can't be followed.
func (p *Program) At(pc uint64) *State {
	info, ok := p.file.PC(pc)
	if !ok || !p.touches(info.Entry, maxLevels) && !(p.interfaces && p.indirect(info.Entry)) {
		return nil
	}
	f := p.function(info.Entry, 0)
	if f == nil || f.broken {
		return nil
	}
	return p.stateAt(f, pc)
}

// stateAt follows the block around pc once more.
func (p *Program) stateAt(f *Function, pc uint64) *State {
	if s, ok := f.at[pc]; ok {
		return s
	}
	begin, found := uint64(0), false
	for at := range f.blocks {
		if at <= pc && (!found || at > begin) {
			begin, found = at, true
		}
	}
	var s *State
	if found {
		again := &run{p: p, f: f, level: f.level, replay: true, until: pc}
		again.block(begin, f.blocks[begin].in.copy(), nil)
		s = again.reached
	}
	f.at[pc] = s
	return s
}

// Uses makes p look for uses of channels and WaitGroups instead of for locks. library tells functions of the standard library.
func (p *Program) Uses(library func(function string) bool) *Program {
	p.library = library
	p.wanted = func(function string) bool { return useOf[function] != "" }
	return p
}

// UsesAt gives what the function around a link-time pc, and those that it calls, do with channels and WaitGroups, anywhere, and the state at pc, in
// which what they use is to be found; nil where it can't be followed. known is false for a function that could not be followed though it has uses.
func (p *Program) UsesAt(pc uint64) (uses []Use, at *State, known bool) {
	info, ok := p.file.PC(pc)
	if !ok || !p.touches(info.Entry, useLevels) {
		return nil, nil, true
	}
	f := p.function(info.Entry, maxLevels-useLevels)
	if f == nil || f.broken {
		return nil, nil, false
	}
	return f.uses, p.At(pc), true
}

// useLevels is how many calls are followed for what they use.
const useLevels = 2

// function analyses, once.
func (p *Program) function(entry uint64, level int) *Function {
	if f, ok := p.functions[entry]; ok {
		return f
	}
	if p.busy[entry] {
		return nil
	}
	code, at := p.file.Code(entry)
	info, ok := p.file.PC(entry)
	if code == nil || !ok || at != entry {
		return nil
	}
	p.busy[entry] = true
	defer delete(p.busy, entry)
	f := newFunction(info, code, level)
	r := &run{p: p, f: f, level: level}
	r.all()
	p.functions[entry] = f
	return f
}

func newFunction(info *symbols.PCInfo, code []byte, level int) *Function {
	f := &Function{info: info, code: code, level: level, table: table{}, at: map[uint64]*State{}}
	f.begin()
	return f
}

// begin forgets all that was found.
func (f *Function) begin() {
	f.blocks, f.tries, f.counters, f.first = map[uint64]*block{}, map[*Expr]Held{}, map[*Expr]*Counter{}, map[*Expr]first{}
	f.gives, f.uses = &summary{}, nil
}

// run is the analysis of one function.
type run struct {
	p       *Program
	f       *Function
	level   int
	work    []uint64
	orphans []uint64 // where code begins that nothing direct leads to
	returns int
	from    uint64               // the block that is followed
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
	entry := &State{slots: map[int64]*Expr{}}
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
		pc := r.work[len(r.work)-1]
		r.work = r.work[:len(r.work)-1]
		if b := f.blocks[pc]; b.visits > maxVisits {
			f.broken = true
			return false
		}
		r.block(pc, f.blocks[pc].in.copy(), r.starts)
	}
	return true
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
		if h.Rounds == pc || slices.Contains(s.Held, h) {
			kept = append(kept, h)
		} else {
			changed = true
		}
	}
	in.Held = kept
	for _, h := range s.freed {
		if !slices.Contains(in.freed, h) && len(in.freed) < maxHeld {
			in.freed, changed = append(in.freed, h), true
		}
	}
	return changed
}

// heads tells whether the way that is followed closes a loop at pc.
func (r *run) heads(pc uint64) bool {
	if r.f.heads == nil {
		r.f.heads = r.findDominators(r.starts)
	}
	return r.f.heads.heads(r.from, pc)
}

func (s *State) copy() *State {
	c := *s
	c.Held, c.freed = slices.Clone(s.Held), slices.Clone(s.freed)
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
		rel, direct := inst.Args[0].(x86asm.Rel)
		target := next + uint64(int64(rel))
		switch {
		case inst.Op == x86asm.RET:
			r.returned(s)
			return
		case inst.Op == x86asm.UD2:
			return
		case inst.Op == x86asm.JMP && !direct:
			for _, at := range r.orphans { // a switch's table
				r.flow(at, s)
			}
			return
		case inst.Op == x86asm.JMP:
			if target < f.info.Entry || target >= f.info.End {
				r.call(pc, target, s) // a tail call
				r.returned(s)
			} else if target != f.info.Entry {
				r.flow(target, s)
			}
			return
		case direct && inst.Op != x86asm.CALL: // a conditional jump
			r.branch(inst.Op, target, next, s)
			return
		case inst.Op == x86asm.CALL:
			s.tried = nil
			if !direct {
				target = 0
				if e := r.operand(pc, next, inst.Args[0], 8, s); e.Kind == Constant {
					target = uint64(e.N)
				} else {
					r.through(e, pc, s)
				}
			}
			result := r.tryCall(pc, target, s)
			if target != 0 && r.call(pc, target, s) {
				return
			}
			for i := range s.regs {
				if i != regSP && i != regBP && i != regG {
					s.regs[i] = r.unknown(pc, i)
				}
			}
			if result != nil {
				s.regs[regAX] = result
			}
		default:
			r.tests(inst, s)
			r.step(pc, next, inst, s)
		}
		pc = next
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
		g.takes = slices.DeleteFunc(g.takes, func(h Held) bool { return !slices.Contains(s.Held, h) })
	}
	for _, h := range s.freed {
		if !slices.Contains(g.frees, h) {
			g.frees = append(g.frees, h)
		}
	}
}
