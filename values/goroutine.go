package values

import (
	"encoding/binary"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"

	"ri/symbols"
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

	s             *Space
	status        uint32
	sp, pc        uint64 // where it parked
	sysSP, sysPC  uint64 // where it entered a system call
	stackLo       uint64
	stackHi       uint64
	labels        uint64
	startPC, goPC uint64
	m             uint64
}

// goroutineLayout is where runtime.g keeps what is needed: by field names, Go 1.20 to 1.26; -1 for fields that a release doesn't have.
type goroutineLayout struct {
	size                                                     int64
	id, status, waitReason, waitSince, parent, goPC, startPC int64
	m, sp, pc, sysSP, sysPC, lo, hi, labels                  int64
	thread                                                   threadLayout
	reasons                                                  []string
	allgs                                                    Value
}

// Goroutine status values, runtime/runtime2.go; the same in Go 1.20 to 1.26 where they exist.
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
	allgs, err := s.Var("runtime.allgs")
	if err != nil {
		return nil, err
	}
	if allgs.Type.Elem() == nil || allgs.Type.Elem().Elem() == nil {
		return nil, fmt.Errorf("runtime.allgs is a %s: %w", allgs.Type.Name, ErrKind)
	}
	g := allgs.Type.Elem().Elem()
	l := &goroutineLayout{size: g.Size, allgs: allgs}
	// at finds a field along a path, through structs such as atomic.Uint32 down to their value.
	at := func(t *symbols.Type, path ...string) int64 {
		off := int64(0)
		for _, name := range path {
			p, err := t.FieldByName(name)
			if err != nil {
				return -1
			}
			off, t = off+p.Offset, p.Field.Type
		}
		for t.Kind == reflect.Struct {
			p, err := t.FieldByName("value")
			if err != nil {
				break
			}
			off, t = off+p.Offset, p.Field.Type
		}
		return off
	}
	l.id, l.status, l.waitReason, l.waitSince = at(g, "goid"), at(g, "atomicstatus"), at(g, "waitreason"), at(g, "waitsince")
	l.parent, l.goPC, l.startPC, l.m = at(g, "parentGoid"), at(g, "gopc"), at(g, "startpc"), at(g, "m")
	l.sp, l.pc, l.sysSP, l.sysPC = at(g, "sched", "sp"), at(g, "sched", "pc"), at(g, "syscallsp"), at(g, "syscallpc")
	l.lo, l.hi, l.labels = at(g, "stack", "lo"), at(g, "stack", "hi"), at(g, "labels")
	for name, off := range map[string]int64{"goid": l.id, "atomicstatus": l.status, "sched": l.sp, "stack": l.lo, "m": l.m} {
		if off < 0 {
			return nil, fmt.Errorf("runtime.g has no field %s in this release of Go (%s): %w", name, s.file.GoVersion(), ErrNoField)
		}
	}
	l.thread = threadLayout{-1, -1, -1, -1, -1, -1, -1, -1, -1}
	if m, err := g.FieldByName("m"); err == nil && m.Field.Type.Elem() != nil {
		m := m.Field.Type.Elem()
		l.thread = threadLayout{procID: at(m, "procid"), g0: at(m, "g0"), gsignal: at(m, "gsignal"), curg: at(m, "curg"), next: at(m, "alllink"),
			dying: at(m, "dying"), throwing: at(m, "throwing"), vdsoSP: at(m, "vdsoSP"), vdsoPC: at(m, "vdsoPC")}
	}
	if reasons, err := s.Var("runtime.waitReasonStrings"); err == nil {
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

// Goroutines iterates over all goroutines that aren't dead. A g that can't be read is an error in its place, and the rest go on.
func (s *Space) Goroutines() iter.Seq2[*Goroutine, error] {
	return func(yield func(*Goroutine, error) bool) {
		l, err := s.goroutineLayout()
		if err != nil {
			yield(nil, err)
			return
		}
		data, n, _, err := l.allgs.sliceHeader()
		if err == nil && n > maxGoroutines {
			err = fmt.Errorf("runtime.allgs claims %d goroutines: %w", n, ErrCorrupt)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range uint64(n) {
			g, err := s.goroutine(l, data+8*i)
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

// goroutineAt reads the runtime.g at addr, which is in use for good once it was one; nil: it is dead.
// GoroutineAt reads the goroutine whose runtime.g is at an address; nil for one that is dead.
func (s *Space) GoroutineAt(addr uint64) (*Goroutine, error) { return s.goroutineAt(addr) }

func (s *Space) goroutineAt(addr uint64) (*Goroutine, error) {
	l, err := s.goroutineLayout()
	if err != nil || addr == 0 {
		return nil, err
	}
	return s.readGoroutine(l, addr)
}

func (s *Space) readGoroutine(l *goroutineLayout, addr uint64) (*Goroutine, error) {
	b, err := s.Slice(addr, int(l.size))
	if err != nil {
		return nil, fmt.Errorf("runtime.g: %w", err)
	}
	s.values++
	word := func(off int64) uint64 {
		if off < 0 {
			return 0
		}
		return binary.LittleEndian.Uint64(b[off:])
	}
	status := binary.LittleEndian.Uint32(b[l.status:]) &^ statusScan
	if status == statusDead || status == 0 || statusNames[status] == "dead" {
		return nil, nil
	}
	g := &Goroutine{ID: int64(word(l.id)), Addr: addr, s: s, status: status, ParentID: int64(word(l.parent)),
		sp: word(l.sp), pc: word(l.pc), sysSP: word(l.sysSP), sysPC: word(l.sysPC), stackLo: word(l.lo), stackHi: word(l.hi),
		labels: word(l.labels), startPC: word(l.startPC), goPC: word(l.goPC)}
	g.Status = statusName(status)
	if status == statusWaiting && l.waitReason >= 0 {
		g.WaitReason = l.reason(b[l.waitReason])
	}
	if since := int64(word(l.waitSince)); (status == statusWaiting || status == statusSyscall) && since > 0 && s.now > since {
		g.Wait = time.Duration(s.now - since)
	}
	if info, ok := s.PC(g.startPC); ok {
		g.Start = info.Lines[len(info.Lines)-1]
		g.Start.Func = info.Func
		g.System = isSystem(info.Func)
	}
	if g.goPC != 0 {
		if info, ok := s.PC(g.goPC - 1); ok {
			g.CreatedBy = info.Lines[0]
		}
	}
	if g.m = word(l.m); g.m != 0 && l.thread.procID >= 0 {
		if id, err := s.Uint64(g.m + uint64(l.thread.procID)); err == nil {
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
func (g *Goroutine) Value() Value { return g.s.At(g.Addr, g.s.gs.allgs.Type.Elem().Elem()) }
