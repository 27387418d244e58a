package waits

import (
	"fmt"
	"path/filepath"
	"slices"

	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
)

// Holder is a goroutine that has a lock, as far as its frames tell. Go records no holder: this is inferred from the
// machine code of the functions on its stack (see package flow) and from what their frames hold.
type Holder struct {
	ID       int64
	Addr     uint64 // of its runtime.g
	Reader   bool
	Function symbols.Line // the frame, and where in it the goroutine is
	Site     symbols.Line // where it called Lock
	Deferred bool         // a deferred Unlock lies in the frame
	By       string       // what was called there, if not Lock: a function that returned with the lock taken
	Try      bool         // it was TryLock, which succeeded
	Earlier  bool         // in an earlier round of a loop over many locks
	Through  bool         // through an interface
	State    string       // its wait reason, or its status
	// Possibly is set where only some ways through the function's code have the lock taken at the place where the
	// goroutine is, and that is all that is known of who has it.
	Possibly bool
	Unplaced bool // it holds a lock that it took there, but which one its frame doesn't tell
}

// String is the evidence, in words.
func (h *Holder) String() string {
	lock, unlock := "Lock", "Unlock"
	if h.Reader {
		lock, unlock = "RLock", "RUnlock"
	}
	called := lock
	if h.Try {
		called = "Try" + lock
	}
	if h.Through {
		called += " through an interface"
	}
	site := fmt.Sprintf("%s:%d in %s", filepath.Base(h.Site.File), h.Site.Line, h.Site.Func)
	text := fmt.Sprintf("goroutine %d called %s at %s", h.ID, called, site)
	if h.By != "" {
		text = fmt.Sprintf("goroutine %d called %s at %s", h.ID, h.By, site)
	}
	here := h.Site.Func == h.Function.Func
	switch at := fmt.Sprintf("and is at %s:%d now", filepath.Base(h.Function.File), h.Function.Line); {
	case h.By != "" && h.Possibly:
		text += fmt.Sprintf(", which on one of its ways returns without %s, %s", unlock, at)
	case h.By != "":
		text += fmt.Sprintf(", which returned without %s, %s", unlock, at)
	case !here:
		text += fmt.Sprintf(", which returned without %s", unlock)
	case h.Possibly:
		text += fmt.Sprintf(" %s; a way through that function's code leads from there to here without %s", at, unlock)
	case h.Try:
		text += fmt.Sprintf(", which succeeded, %s; no path through that function's code from there to here calls %s", at,
			unlock)
	default:
		text += fmt.Sprintf(" %s; no path through that function's code from there to here calls %s", at, unlock)
	}
	if h.Unplaced {
		text += "; which lock it was its frame no longer tells"
	}
	if h.Earlier {
		text += "; it is in a loop that locks many, and this is the address that an earlier round had"
	}
	if h.Deferred {
		text += "; a deferred " + unlock + " for it waits in its frame"
	}
	return text
}

// FindHolders infers who holds locks, from the stacks in groups. Those locks that nobody waits for are added to w
// where all is set. The error is ErrNotRecorded where code is missing.
func (r *Reader) FindHolders(w *Waits, groups []*values.StackGroup, all bool, check func()) error {
	program, err := r.program()
	if err != nil {
		return err
	}
	f := &holderSearch{s: r.s, p: program, plain: program, locks: map[uint64]*Lock{}, waits: map[uint64]uint64{},
		all: all, out: w}
	for _, lock := range w.Locks {
		if lock.Kind == "WaitGroup" {
			continue
		}
		f.locks[lock.Addr] = lock
		for _, list := range [][]Waiter{lock.Writers, lock.Readers} {
			for _, waiter := range list {
				f.waits[waiter.Addr] = lock.Addr
			}
		}
	}
	if len(f.locks) == 0 && !all {
		return nil
	}
	unseen := f.search(groups, check)
	for _, lock := range w.Locks {
		lock.Unseen = unseen
	}
	// Calls through interfaces are many, and seldom lock: they are looked at where nobody seems to hold a lock that
	// others wait for.
	orphans := map[uint64]*Lock{}
	for addr, lock := range f.locks {
		taken := lock.Locked || lock.Pending || lock.Active > 0
		if taken && len(lock.Holders) == 0 && len(lock.Writers)+len(lock.Readers) > 0 {
			orphans[addr] = lock
		}
	}
	if len(orphans) > 0 {
		if r.through == nil {
			r.through = program.Interfaces()
		}
		f.p, f.locks, f.all, f.through = r.through, orphans, false, true
		f.search(groups, check)
	}
	f.candidates(groups, orphans, check)
	return program.Lacks()
}

// search goes through the stacks, and gives how many could not be searched.
func (f *holderSearch) search(groups []*values.StackGroup, check func()) (unseen int) {
	for _, group := range groups {
		if group.Broken != nil && len(group.Frames) == 0 {
			unseen += group.Count
			continue
		}
		if f.foreign(group.Frames) {
			unseen += group.Count
			continue
		}
		if !f.mayHold(group.Frames) {
			continue
		}
		unseen += group.Count - len(group.Addrs)
		for _, addr := range group.Addrs {
			if check != nil {
				check()
			}
			g, err := f.s.GoroutineAt(addr)
			if err != nil || g == nil {
				unseen++
				continue
			}
			f.s.OnStack(g, func() {
				if f.possible {
					f.mayHave(g)
				} else {
					f.goroutine(g)
				}
			})
		}
	}
	return unseen
}

type holderSearch struct {
	s     *values.Space
	p     *flow.Program
	plain *flow.Program // without calls through interfaces
	locks map[uint64]*Lock
	waits map[uint64]uint64 // the lock that a goroutine, by its runtime.g, waits for
	all   bool
	out   *Waits

	through  bool // interfaces
	possible bool // what may be held
	unplaced []Holder
}

// foreign tells whether a stack has code of a plugin's, of which it isn't known what it holds.
func (f *holderSearch) foreign(frames []values.Frame) bool {
	return slices.ContainsFunc(frames, func(frame values.Frame) bool { return f.s.InPlugin(frame.PC) })
}

// mayHold tells whether a stack has a function that holds a lock where it is.
func (f *holderSearch) mayHold(frames []values.Frame) bool {
	for i := range frames {
		// What a wrapper called may stand for it: a method value's is left out of these frames.
		frame := frames[i]
		frame.Inlined = false
		if s := f.stateAt(&frame); s != nil && (len(s.Held) > 0 || f.possible && len(s.Maybe) > 0) {
			return true
		}
	}
	return false
}

func (f *holderSearch) stateAt(frame *values.Frame) *flow.State {
	if frame.Inlined || flow.IsLockFunction(frame.Func) {
		return nil
	}
	return f.p.At(frame.At - f.s.Bias())
}

// goroutine finds the locks that one goroutine holds.
func (f *holderSearch) goroutine(g *values.Goroutine) {
	frames, _ := g.Unwind(0)
	for _, c := range codeFrames(f.s, frames, f.stateAt, f.waits[g.Addr]) {
		at := holdingAt(f.s, c.frame)
		inside := inProgress(c.state.Held, at.function, at.site)
		for i, held := range c.state.Held {
			if held.Rounds != 0 || held.Via != nil {
				f.many(g, c, held, at)
				continue
			}
			addr, ok := c.value(held.Lock)
			if !ok || addr == 0 {
				continue
			}
			if i == inside && (f.waits[g.Addr] == 0 || f.waits[g.Addr] == addr) {
				continue
			}
			h := f.holder(g, held, at.where, at.lines)
			h.Deferred = f.p.Deferred(c.state, held.Lock)
			f.holds(addr, held.RW, h)
		}
	}
}

// inProgress finds the lock whose Lock, inlined, a goroutine is in the middle of: it is not yet held. It is the last
// that was passed in that line. -1: none.
func inProgress(held []flow.Held, function string, site symbols.Line) int {
	for i := len(held) - 1; i >= 0 && function != ""; i-- {
		if held[i].Site == site && held[i].Reader == flow.Reads(function) && held[i].Try == flow.Tries(function) {
			return i
		}
	}
	return -1
}

// holder makes a Holder of a goroutine and what code says that it has.
func (f *holderSearch) holder(g *values.Goroutine, held flow.Held, where symbols.Line, lines []symbols.Line) Holder {
	for _, line := range lines {
		if line.Func == held.Site.Func {
			where = line
		}
	}
	h := Holder{ID: g.ID, Addr: g.Addr, Reader: held.Reader, Function: where, Site: held.Site, By: held.By,
		State: g.Status, Try: held.Try}
	if g.WaitReason != "" {
		h.State = g.WaitReason
	}
	return h
}

// holds notes a holder, if the lock's own words don't speak against it.
func (f *holderSearch) holds(addr uint64, rw bool, h Holder) {
	lock := f.locks[addr]
	if lock == nil {
		if !f.all {
			return
		}
		lock = &Lock{Addr: addr, Kind: "Mutex"}
		if rw {
			lock.Kind = "RWMutex"
		}
		if err := readLock(f.s, lock); err != nil || !lock.Locked && lock.Active == 0 {
			return
		}
		f.locks[addr] = lock
		f.out.Locks = append(f.out.Locks, lock)
	}
	if !h.Reader && !lock.Locked && !lock.Pending || h.Reader && lock.Active == 0 {
		return
	}
	if !h.Reader && rw != (lock.Kind == "RWMutex") && rw {
		return
	}
	lock.Holders = append(lock.Holders, h)
}
