package waits

import (
	"slices"

	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
)

// This file looks at one goroutine at a time: which locks it holds, and which it tries to get by TryLock, again and
// again. It is cheap enough to be asked several times, in stops.

// Locking is what a goroutine has to do with locks where it is.
type Locking struct {
	Holds []*Lock // each with one holder
	Tries []Try
}

// Try is a lock that is locked, and that a loop around the place where a goroutine is calls TryLock for.
type Try struct {
	Addr   uint64
	Kind   string // as a Lock's
	Reader bool
	Site   symbols.Line
}

// maxTriers is how many goroutines are told that try to get locks.
const maxTriers = 256

// Locking tells of one goroutine. It may run, if its registers are known.
func (r *Reader) Locking(g *values.Goroutine) (*Locking, error) {
	program, err := r.program()
	if err != nil {
		return nil, err
	}
	f := &holderSearch{s: r.s, p: program, plain: program, locks: map[uint64]*Lock{}, waits: map[uint64]uint64{},
		all: true, out: &Waits{}}
	f.goroutine(g)
	out := &Locking{Holds: f.out.Locks}
	frames, _ := g.Unwind(0)
	for _, c := range codeFrames(r.s, frames, f.stateAt, 0) {
		for _, held := range program.TriesAround(c.frame.At - r.s.Bias()) {
			if addr, ok := c.value(held.Lock); ok && addr != 0 {
				out.try(r.s, addr, held)
			}
		}
	}
	return out, nil
}

// try notes a lock that is tried, if somebody has it.
func (l *Locking) try(s *values.Space, addr uint64, held flow.Held) {
	lock := &Lock{Addr: addr, Kind: "Mutex"}
	if held.RW {
		lock.Kind = "RWMutex"
	}
	if err := readLock(s, lock); err != nil || !lock.Locked && (held.Reader || lock.Active == 0) {
		return
	}
	t := Try{addr, lock.Kind, held.Reader, held.Site}
	if !slices.Contains(l.Tries, t) {
		l.Tries = append(l.Tries, t)
	}
}

// Triers gives the goroutines that are in a loop around TryLock, and run, are ready to, or sleep.
func (r *Reader) Triers(groups []*values.StackGroup, check func()) (out []*values.Goroutine, err error) {
	program, err := r.program()
	if err != nil {
		return nil, err
	}
	for _, group := range groups {
		if !goesOn(group) || !r.triesIn(program, group.Frames) {
			continue
		}
		for _, addr := range group.Addrs {
			if check != nil {
				check()
			}
			if g, err := r.s.GoroutineAt(addr); err == nil && g != nil && len(out) < maxTriers {
				out = append(out, g)
			}
		}
	}
	return out, nil
}

// goesOn tells of goroutines that nobody else has to wake.
func goesOn(group *values.StackGroup) bool {
	return group.Status == "running" || group.Status == "runnable" || group.WaitReason == "sleep"
}

// triesIn tells whether one of the frames is in a loop around TryLock.
func (r *Reader) triesIn(program *flow.Program, frames []values.Frame) bool {
	for i := range frames {
		f := &frames[i]
		if !f.Inlined && !flow.IsLockFunction(f.Func) && len(program.TriesAround(f.At-r.s.Bias())) > 0 {
			return true
		}
	}
	return false
}
