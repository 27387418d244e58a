package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ri/arch"
	"ri/symbols"
)

// Held is a lock that was passed on the way to a place, and not given back.
type Held struct {
	Lock   *Expr        // the address of the sync.Mutex or sync.RWMutex
	Reader bool         // RLock
	RW     bool         // a sync.RWMutex
	Site   symbols.Line // the call of Lock
	PC     uint64       // of the instruction that took it, or of the call of what did
	By     string       // the function that was called at Site and returned with it taken; "": Lock itself was
	Try    bool         // TryLock, which succeeded
	Rounds uint64       // in earlier rounds of the loop at this address; 0: not in a loop over many
	// the word that says which method of an interface was called on Lock: it may lock. See Interfaces
	Via *Expr
}

// same tells whether two are one lock, wherever it was taken.
func (h Held) same(o Held) bool {
	return h.Lock == o.Lock && h.Reader == o.Reader && h.Via == o.Via && h.Rounds == o.Rounds
}

// Possible is a lock that some ways to a place have passed and not given back. Whether the goroutine went such a way,
// its code doesn't tell.
type Possible struct {
	Held
	Loop  uint64 // it was taken in an earlier round of the loop at this address; 0: in this one, or where there is none
	Again bool   // it was possibly held already when Lock was passed
	Since uint64 // then: from an earlier round of the loop at this address
}

// State is what is known at a place in a function.
type State struct {
	Held  []Held
	Maybe []Possible // those of Held too
	table table
	regs  [16]*Expr
	slots map[int64]*Expr // at CFA+n; missing: as at the entry
	freed []Held          // given back, though not taken here
	tried *Expr           // the TryLock that the zero flag tells of
	equal bool            // it is set when that succeeded

	// where says what slots hold, once that was asked of a state in which nothing changes any more.
	where *slotIndex
}

// slotIndex is the slots by what they hold. Of several the highest counts: those near SP are most often arguments of
// calls.
type slotIndex struct {
	of   map[*Expr]int64
	near map[*Expr]nearSlot // what differs from an expression by a number
}

type nearSlot struct{ offset, by int64 }

func (s *State) index() *slotIndex {
	if s.where == nil {
		s.where = &slotIndex{make(map[*Expr]int64, len(s.slots)), map[*Expr]nearSlot{}}
		for at, held := range s.slots {
			if o, ok := s.where.of[held]; !ok || at > o {
				s.where.of[held] = at
			}
			if held.Kind != Sum {
				continue
			}
			if o, ok := s.where.near[held.Base]; !ok || at > o.offset {
				s.where.near[held.Base] = nearSlot{at, held.N}
			}
		}
	}
	return s.where
}

// Holds tells whether all ways to a place have a lock taken.
func (s *State) Holds(h Held) bool { return count(s.Held, h) > 0 }

// Value is what a register has at this place, by its number in Arguments.
func (s *State) Value(n int) *Expr { return s.regs[n] }

// Given is what a register had at the function's entry, by its number in Arguments.
func (s *State) Given(n int) *Expr { return s.table.of(Entry, nil, int64(n)) }

// GivenIn is the same, by DWARF's number of the register; nil of others.
func (s *State) GivenIn(dwarf uint64) *Expr {
	if n := slices.Index(dwarfNumbers[:], dwarf); n >= 0 {
		return s.Given(n)
	}
	return nil
}

// Arguments are the registers in which functions are given words (ABIInternal: AX, BX, CX, DI, SI, R8, R9, R10, R11),
// and Context.
var Arguments = []int{0, 3, 1, 7, 6, 8, 9, 10, 11, Context}

// Context is the register in which a closure is given its own address: DX.
const Context = 2

// Slot gives where, from the CFA, a word with the value of an expression lies at this place.
func (s *State) Slot(e *Expr) (offset int64, ok bool) {
	if e.Kind == Argument && s.slots[e.N] == nil {
		return e.N, true
	}
	offset, ok = s.index().of[e]
	return offset, ok
}

// Register gives a register with the value of an expression at this place, by its DWARF number.
func (s *State) Register(e *Expr) (n uint64, ok bool) {
	for i, held := range s.regs {
		if held == e {
			return dwarfNumbers[i], true
		}
	}
	return 0, false
}

// dwarfNumbers are DWARF's numbers of the registers that amd64's instructions number from 0 (System V ABI, figure
// 3.36).
var dwarfNumbers = [16]uint64{0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}

// Near gives a slot with a word that differs by a known number from an expression: the expression is the word less by.
func (s *State) Near(e *Expr) (offset, by int64, ok bool) {
	near, ok := s.index().near[e]
	return near.offset, near.by, ok
}

// Deferred tells whether a call of Unlock for a lock lies deferred in the frame. The compiler makes a closure for an
// open-coded "defer mu.Unlock()", which has captured the lock.
func (p *Program) Deferred(s *State, lock *Expr) bool {
	for at, held := range s.slots {
		if held.Kind != Constant {
			continue
		}
		info, ok := p.file.PC(uint64(held.N))
		if !ok || info.Entry != uint64(held.N) || !strings.Contains(info.Func, ".deferwrap") &&
			!strings.Contains(info.Func, "-fm") {
			continue
		}
		if captured := s.slots[at+8]; captured != nil &&
			(captured == lock || lock.Kind == Sum && captured == lock.Base) {
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
	attempts []Held             // what is tried to be taken
	counters map[*Expr]*Counter // of loops
	first    map[*Expr]first    // what a value was on the first way to where ways meet
	heads    *dominators
	uses     []Use
	next     map[uint64][]uint64 // where each block goes on
	ahead    map[uint64][]Use    // of uses, by place
	more     bool                // there are too many
	cut      bool                // calls were left out for being too deep
	level    int                 // of calls, at which it was analysed
	broken   bool
}

// summary is what a call of a function does to locks, in terms of its own entry.
type summary struct {
	takes, frees []Held
	leaves       []Held // those that it takes, and doesn't give back on some of its ways out
}

type block struct {
	in     *State
	visits int
}

const (
	maxVisits  = 30   // of a block, until its state has to be stable
	maxLevels  = 3    // of calls that are followed for locks
	maxCallees = 4096 // bytes of a function that is followed for locks when it is called
	maxHeld    = 64
)

const (
	regAX  = 0
	regDX  = 2
	regSP  = 4
	regBP  = 5
	regR11 = 11
	regG   = 14
)

// Program analyses functions of one executable, each once. It isn't safe for concurrent use.
type Program struct {
	file      *symbols.File
	functions map[uint64]*Function
	readers   int64                      // offset of readerCount in sync.RWMutex
	wanted    func(function string) bool // which calls make a function worth following
	useOf     map[string]UseKind         // what the functions do that are looked for
	library   func(function string) bool // of the standard library; nil: not asked
	callees   map[uint64]int             // levels of calls in which nothing has to do with locks, or everywhere
	busy      map[uint64]bool
	outgoing  map[uint64]*callsOf
	levels    int // of calls that are followed
	largest   int // bytes of a function that is followed when it is called

	interfaces bool   // calls through them count
	lacks      *error // see Lacks; one for all that come of a Program
}

// Lacks is ErrNotRecorded where code was to be followed that didn't travel with a recording, else nil: then what was
// not found may be in it.
func (p *Program) Lacks() error { return *p.lacks }

func (p *Program) code(entry uint64) (code []byte, at uint64) {
	if code, at = p.file.Code(entry); code == nil && *p.lacks == nil {
		*p.lacks = p.file.CodeLacks(entry)
	}
	return code, at
}

// ErrProcessor: the code is of a processor that flow doesn't read.
var ErrProcessor = errors.New("the machine code of this processor can't be followed")

// New makes a Program. readerCount is the offset of that field in sync.RWMutex. The error is ErrProcessor.
func New(file *symbols.File, readerCount int64) (*Program, error) {
	if file.Arch() != arch.AMD64 {
		return nil, fmt.Errorf("%s: %w", file.Arch().Name, ErrProcessor)
	}
	return newProgram(file, readerCount), nil
}

func newProgram(file *symbols.File, readerCount int64) *Program {
	return &Program{file: file, functions: map[uint64]*Function{}, readers: readerCount, wanted: IsLockFunction,
		callees: map[uint64]int{}, busy: map[uint64]bool{}, outgoing: map[uint64]*callsOf{},
		levels: maxLevels, largest: maxCallees, lacks: new(error)}
}

// At gives the state in which a function is in front of the instruction at, or around, a link-time pc. For a call, pc
// is that of the call, not of its return. nil where nothing of interest is known: the function has no locks, or can't
// be followed.
func (p *Program) At(pc uint64) *State {
	info, ok := p.file.PC(pc)
	if !ok || !p.touches(info.Entry, p.levels) && !(p.interfaces && p.indirect(info.Entry)) {
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

// function analyses, once; again where calls were left out that are not too deep this time.
func (p *Program) function(entry uint64, level int) *Function {
	if f, ok := p.functions[entry]; ok && (!f.cut || f.level <= level) {
		return f
	}
	if p.busy[entry] {
		return nil
	}
	code, at := p.code(entry)
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
	f := &Function{info: info, code: code, level: level, table: table{}, at: map[uint64]*State{},
		ahead: map[uint64][]Use{}}
	f.begin()
	return f
}

// begin forgets all that was found.
func (f *Function) begin() {
	f.blocks, f.tries, f.counters, f.first = map[uint64]*block{}, map[*Expr]Held{}, map[*Expr]*Counter{},
		map[*Expr]first{}
	f.gives, f.uses, f.attempts = &summary{}, nil, nil
}
