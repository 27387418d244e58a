package values

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"ri/symbols"
	"ri/values/layout"
)

// Goroutine is one goroutine as the runtime has it.
type Goroutine struct {
	ID         int64
	Addr       uint64        // of its runtime.g
	Status     string        // as runtime's traceback prints it: "running", "runnable", "syscall", "waiting", ...
	WaitReason string        // "chan receive", "select", "sync.Mutex.Lock", ...; "" unless waiting
	Wait       time.Duration // since the collector first saw it waiting: a lower bound; 0 where not recorded
	ParentID   int64         // 0 where not recorded (before Go 1.21)
	CreatedBy  symbols.Line  // the go statement
	Start      symbols.Line  // the goroutine's function
	ThreadID   int           // of the OS thread it is on, 0 if none
	System     bool          // the runtime's own

	PC, SP           uint64 // where it parked
	StackLo, StackHi uint64 // the bounds of its stack
	StartPC, GoPC    uint64 // its function's entry; behind the go statement

	s            *Space
	status       uint32
	seq          uint8  // how often it has stopped running: see StackMemo
	sysSP, sysPC uint64 // where it entered a system call
	labels       uint64
	m            uint64
}

// goroutineLayout is where the program keeps its goroutines, and what their reasons to wait are called.
type goroutineLayout struct {
	*layout.Goroutine
	reasons []string
	sparing bool // there is one reason for all kinds of locks
}

// Goroutine status values, runtime/runtime2.go; the same in Go 1.20 to 1.27 where they exist.
var statusNames = map[uint32]string{0: "idle", 1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 5: "moribund",
	6: "dead",
	7: "enqueue", 8: "copystack", 9: "preempted", statusLeaked: "leaked", 11: "dead"}

const (
	statusRunning = 2
	statusSyscall = 3
	statusWaiting = 4
	statusDead    = 6
	statusLeaked  = 10
	statusScan    = 0x1000
	maxGoroutines = 1 << 26
)

func (s *Space) goroutineLayout() (*goroutineLayout, error) {
	if s.gs != nil {
		return s.gs, nil
	}
	l := &goroutineLayout{Goroutine: &s.Layouts().Goroutine}
	if err := l.Err(); err != nil {
		return nil, err
	}
	if l.Reasons.Type != nil {
		reasons := s.At(l.Reasons.Addr+s.bias, l.Reasons.Type)
		n, _ := reasons.Len()
		for i := range min(n, 256) {
			text := ""
			if v, err := reasons.Index(i); err == nil {
				text, _, _ = v.Text(64)
			}
			l.reasons = append(l.reasons, text)
		}
	}
	// A recording's were proved on the process that it was made of; it has what instruments read, not what that read.
	if s.file.RuntimeOnly() && !s.file.IsPortable() {
		if err := s.checkRuntime(l); err != nil {
			return nil, err
		}
	}
	l.sparing = len(l.reasons) > 0 && !slices.Contains(l.reasons, "sync.Mutex.Lock")
	s.gs = l
	return l, nil
}

// allGoroutines gives runtime.allgs: the address of its first slot, and how many there are.
func (s *Space) allGoroutines() (l *goroutineLayout, first, n uint64, err error) {
	if l, err = s.goroutineLayout(); err != nil {
		return nil, 0, 0, err
	}
	data, length, _, err := s.At(l.All.Addr+s.bias, l.All.Type).sliceHeader()
	if err == nil && length > maxGoroutines {
		err = fmt.Errorf("runtime.allgs claims %d goroutines: %w", length, ErrCorrupt)
	}
	return l, data, uint64(length), err
}

// lacksField is the error of what can't be told without a field of runtime.g.
func (s *Space) lacksField(what, field string) error {
	return fmt.Errorf("%s: runtime.g has no field %s in this release of Go (%s): %w", what, field, s.file.GoVersion(),
		ErrNoField)
}

// GoroutineCount is how many goroutines runtime.allgs has, dead ones too.
func (s *Space) GoroutineCount() (int, error) {
	_, _, n, err := s.allGoroutines()
	return int(n), err
}

// Goroutines iterates over all goroutines that aren't dead. A g that can't be read is an error in its place, and the
// rest go on.
func (s *Space) Goroutines() iter.Seq2[*Goroutine, error] {
	return func(yield func(*Goroutine, error) bool) {
		for raw, err := range s.Raws(nil) {
			var g *Goroutine
			if err == nil {
				g = s.goroutine(&raw)
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

// GoroutineAt reads the goroutine whose runtime.g is at an address, which is in use for good once it was one; nil for
// one that is dead.
func (s *Space) GoroutineAt(addr uint64) (*Goroutine, error) {
	l, err := s.goroutineLayout()
	if err != nil || addr == 0 {
		return nil, err
	}
	raw, alive, err := s.raw(l, addr)
	if err != nil || !alive {
		return nil, err
	}
	return s.goroutine(&raw), nil
}

func (s *Space) goroutine(r *Raw) *Goroutine {
	s.values++
	l, b, status := r.l, r.Bytes, r.status
	g := &Goroutine{
		ID: int64(l.ID.Uint(b)), Addr: r.Addr, s: s, status: status, seq: uint8(l.Switches.Uint(b)),
		ParentID: int64(l.Parent.Uint(b)),
		SP:       l.SP.Uint(b), PC: l.PC.Uint(b), sysSP: l.SyscallSP.Uint(b), sysPC: l.SyscallPC.Uint(b),
		StackLo: l.Lo.Uint(b), StackHi: l.Hi.Uint(b), labels: l.Labels.Uint(b),
		StartPC: l.StartPC.Uint(b), GoPC: l.GoPC.Uint(b), m: l.M.Uint(b),
		Status: statusName(status), Wait: r.wait(s.now),
	}
	if status == statusWaiting {
		g.WaitReason = r.Reason()
		if g.WaitReason == semacquire && l.sparing {
			frames, _ := g.Stack(maxSemaphore)
			g.WaitReason = semaphoreReason(frames)
		}
	}
	if info, ok := s.PC(g.StartPC); ok {
		g.Start = info.Lines[len(info.Lines)-1]
		g.Start.Func = info.Func
		g.System = isSystem(info.Func) && !(callsBack(info.Func) && g.inOwnCode())
	}
	if g.GoPC != 0 && g.ID != mainID {
		if info, ok := s.PC(g.GoPC - 1); ok {
			g.CreatedBy = info.Lines[0]
		}
	}
	if g.m != 0 {
		if id, err := s.Field(g.m, l.ThreadID); err == nil {
			g.ThreadID = int(id)
			// In a pid namespace of its own the program knows its threads by other numbers than we do.
			if t := s.threads[g.ThreadID]; t != nil {
				g.ThreadID = t.ID
			}
		}
	}
	return g
}

// mainID is the number of the goroutine that runs main, which no go statement made.
const mainID = 1

func statusName(status uint32) string {
	if name := statusNames[status]; name != "" {
		return name
	}
	return fmt.Sprintf("status %d", status)
}

// WaitReasons are what goroutines wait for, by the runtime's number for it.
func (s *Space) WaitReasons() ([]string, error) {
	l, err := s.goroutineLayout()
	if err != nil {
		return nil, err
	}
	return l.reasons, nil
}

func (l *goroutineLayout) reason(r uint8) string {
	if int(r) < len(l.reasons) {
		return l.reasons[r]
	}
	return fmt.Sprintf("wait reason %d", r)
}

// semacquire is the one wait reason that all locks have before Go 1.20, and maxSemaphore how many frames are looked at
// to tell which it is.
const (
	semacquire   = "semacquire"
	maxSemaphore = 12
)

// semaphoreReason is the wait reason that Go 1.20 and later would give a goroutine that waits for a semaphore.
func semaphoreReason(frames []Frame) string {
	for _, f := range frames {
		switch f.Func {
		case "sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock":
			return "sync.Mutex.Lock"
		case "sync.(*RWMutex).Lock":
			return "sync.RWMutex.Lock"
		case "sync.(*RWMutex).RLock":
			return "sync.RWMutex.RLock"
		}
	}
	return semacquire
}

// isSystem follows runtime.isSystemGoroutine, fixed.
func isSystem(start string) bool {
	switch start {
	case "runtime.main", "runtime.corostart", "runtime.handleAsyncEvent":
		return false
	}
	return strings.HasPrefix(start, "runtime.")
}

// callsBack tells whether a goroutine that starts in a function calls the program's own functions now and then:
// finalizers and cleanups. While it does it is none of the runtime's, as in Go's own traces.
func callsBack(start string) bool {
	return start == "runtime.runfinq" || start == "runtime.runFinalizers" || start == "runtime.runCleanups"
}

// maxInside is how many frames of a goroutine are looked at for the program's own.
const maxInside = 64

// inOwnCode tells whether a function on the goroutine's stack isn't the runtime's.
func (g *Goroutine) inOwnCode() bool {
	frames, _ := g.Stack(maxInside) // what was found until then
	return slices.ContainsFunc(frames, func(f Frame) bool {
		return f.Func != "" && !strings.HasPrefix(f.Func, "runtime.")
	})
}

// maxChecked is how many goroutines are looked at before the layouts of a stripped program's runtime are believed.
const maxChecked = 64

// checkRuntime proves on memory what a stripped program's runtime is read by: that runtime.allgs leads to goroutines
// whose states, numbers and stacks can be. Whatever isn't so refuses all of it, since wrong layouts read wrong values
// in silence.
func (s *Space) checkRuntime(l *goroutineLayout) error {
	if err := s.checkGoroutines(l); err != nil {
		return fmt.Errorf("the layouts of %s don't fit this stripped program, which says it was built by %s: %v: %w",
			s.file.RuntimeTable(), s.file.GoVersion(), err, ErrCorrupt)
	}
	return nil
}

func (s *Space) checkGoroutines(l *goroutineLayout) error {
	data, n, _, err := s.At(l.All.Addr+s.bias, l.All.Type).sliceHeader()
	if err != nil {
		return fmt.Errorf("runtime.allgs: %w", err)
	}
	if n == 0 || n > maxGoroutines {
		return fmt.Errorf("runtime.allgs has %d goroutines", n)
	}
	if l.Count.Type != nil {
		// allglen is written behind allgs, so in a live view it may be one of a moment before.
		got, err := s.Uint64(l.Count.Addr + s.bias)
		if err != nil {
			return fmt.Errorf("runtime.allglen: %w", err)
		}
		if got == 0 || got > uint64(n)+1024 || got+1024 < uint64(n) {
			return fmt.Errorf("runtime.allglen is %d and runtime.allgs has %d", got, n)
		}
	}
	for i := range min(uint64(n), maxChecked) {
		addr, err := s.Uint64(data + 8*i)
		if err != nil {
			return fmt.Errorf("runtime.allgs[%d]: %w", i, err)
		}
		raw, alive, err := s.raw(l, addr)
		if err == nil {
			err = s.checkGoroutine(&raw, alive)
		}
		if err != nil {
			return fmt.Errorf("goroutine at %#x: %w", addr, err)
		}
	}
	return nil
}

// checkGoroutine tells whether a runtime.g can be one.
func (s *Space) checkGoroutine(r *Raw, alive bool) error {
	l, b, waits := r.l, r.Bytes, r.status == statusWaiting
	id, lo, hi, sp, pc := int64(l.ID.Uint(b)), l.Lo.Uint(b), l.Hi.Uint(b), l.SP.Uint(b), l.PC.Uint(b)
	_, isCode := s.PC(pc)
	switch {
	case statusNames[r.status] == "" || id < 0 || id > 1<<48:
		return fmt.Errorf("its state is %d, its number %d", r.status, id)
	case !alive:
	case lo == 0 || hi <= lo || hi-lo > 1<<40 || waits && (sp < lo || sp > hi):
		return fmt.Errorf("goroutine %d has a stack from %#x to %#x and waits at SP %#x", id, lo, hi, sp)
	case waits && !isCode:
		if why := s.notGo(pc); !errors.Is(why, ErrForeign) {
			return fmt.Errorf("goroutine %d waits at %#x, which is no Go code", id, pc)
		}
	}
	return nil
}
