package values

import (
	"fmt"
	"iter"
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
	sysSP, sysPC uint64 // where it entered a system call
	labels       uint64
	m            uint64
}

// goroutineLayout is where the program keeps its goroutines, and what their reasons to wait are called.
type goroutineLayout struct {
	*layout.Goroutine
	reasons []string
}

// Goroutine status values, runtime/runtime2.go; the same in Go 1.20 to 1.27 where they exist.
var statusNames = map[uint32]string{0: "idle", 1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 5: "moribund", 6: "dead",
	7: "enqueue", 8: "copystack", 9: "preempted", 10: "leaked", 11: "dead"}

const (
	statusRunning = 2
	statusSyscall = 3
	statusWaiting = 4
	statusDead    = 6
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
	if s.file.RuntimeOnly() {
		if err := s.checkRuntime(l); err != nil {
			return nil, err
		}
	}
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

// Goroutines iterates over all goroutines that aren't dead. A g that can't be read is an error in its place, and the rest go on.
func (s *Space) Goroutines() iter.Seq2[*Goroutine, error] {
	return func(yield func(*Goroutine, error) bool) {
		l, first, n, err := s.allGoroutines()
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range n {
			g, err := s.goroutine(l, first+8*i)
			if g == nil && err == nil {
				continue // dead
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

func (s *Space) goroutine(l *goroutineLayout, slot uint64) (*Goroutine, error) {
	addr, err := s.Uint64(slot)
	if err != nil {
		return nil, err
	}
	if addr == 0 {
		return nil, nil
	}
	return s.readGoroutine(l, addr)
}

// GoroutineAt reads the goroutine whose runtime.g is at an address, which is in use for good once it was one; nil for one that is dead.
func (s *Space) GoroutineAt(addr uint64) (*Goroutine, error) {
	l, err := s.goroutineLayout()
	if err != nil || addr == 0 {
		return nil, err
	}
	return s.readGoroutine(l, addr)
}

func (s *Space) readGoroutine(l *goroutineLayout, addr uint64) (*Goroutine, error) {
	b, err := s.Slice(addr, int(l.Size))
	if err != nil {
		return nil, fmt.Errorf("runtime.g: %w", err)
	}
	s.values++
	status := l.statusOf(b)
	if isDead(status) {
		return nil, nil
	}
	g := &Goroutine{ID: int64(l.ID.Uint(b)), Addr: addr, s: s, status: status, ParentID: int64(l.Parent.Uint(b)),
		SP: l.SP.Uint(b), PC: l.PC.Uint(b), sysSP: l.SyscallSP.Uint(b), sysPC: l.SyscallPC.Uint(b), StackLo: l.Lo.Uint(b), StackHi: l.Hi.Uint(b),
		labels: l.Labels.Uint(b), StartPC: l.StartPC.Uint(b), GoPC: l.GoPC.Uint(b), m: l.M.Uint(b)}
	g.Status = statusName(status)
	if status == statusWaiting {
		g.WaitReason = l.reasonOf(b)
	}
	if since := int64(l.WaitSince.Uint(b)); (status == statusWaiting || status == statusSyscall) && since > 0 && s.now > since {
		g.Wait = time.Duration(s.now - since)
	}
	if info, ok := s.PC(g.StartPC); ok {
		g.Start = info.Lines[len(info.Lines)-1]
		g.Start.Func = info.Func
		g.System = isSystem(info.Func)
	}
	if g.GoPC != 0 {
		if info, ok := s.PC(g.GoPC - 1); ok {
			g.CreatedBy = info.Lines[0]
		}
	}
	if g.m != 0 {
		if id, err := s.Uint64(l.ThreadID.At(g.m)); err == nil {
			g.ThreadID = int(id)
			// In a pid namespace of its own the program knows its threads by other numbers than we do.
			if t := s.threads[g.ThreadID]; t != nil {
				g.ThreadID = t.ID
			}
		}
	}
	return g, nil
}

func statusName(status uint32) string {
	if name := statusNames[status]; name != "" {
		return name
	}
	return fmt.Sprintf("status %d", status)
}

// statusOf is the state of a runtime.g, without the bit of the collector that scans it.
func (l *goroutineLayout) statusOf(g []byte) uint32 { return uint32(l.Status.Uint(g)) &^ statusScan }

// isDead tells whether a runtime.g stands for no goroutine.
func isDead(status uint32) bool { return status == 0 || statusNames[status] == "dead" }

// WaitReasons are what goroutines wait for, by the runtime's number for it.
func (s *Space) WaitReasons() ([]string, error) {
	l, err := s.goroutineLayout()
	if err != nil {
		return nil, err
	}
	return l.reasons, nil
}

// reasonOf is what a runtime.g that waits is waiting for, "" where the program doesn't record it.
func (l *goroutineLayout) reasonOf(g []byte) string {
	if !l.WaitReason.Known() {
		return ""
	}
	return l.reason(uint8(l.WaitReason.Uint(g)))
}

func (l *goroutineLayout) reason(r uint8) string {
	if int(r) < len(l.reasons) {
		return l.reasons[r]
	}
	return fmt.Sprintf("wait reason %d", r)
}

// isSystem follows runtime.isSystemGoroutine, fixed.
func isSystem(start string) bool {
	switch start {
	case "runtime.main", "runtime.corostart", "runtime.handleAsyncEvent":
		return false
	}
	return strings.HasPrefix(start, "runtime.")
}

// Value is the goroutine's runtime.g.
func (g *Goroutine) Value() Value { return g.s.At(g.Addr, g.s.gs.Type) }
