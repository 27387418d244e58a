package values

import "fmt"

// Marks are what all goroutines were doing at one look, to tell at a later one which of them have not run since.
//
// The runtime counts in g.trackingSeq how often a goroutine has stopped running (runtime.casgstatus, Go 1.17 to 1.27). A goroutine that
// waited, or was in a system call, and does now with the same count, saved PC and depth has not run in between. The count has 8 bits: one that ran
// a multiple of 256 times and is back at the very same place would be taken for one that didn't.
type Marks struct {
	byID map[int64]goroutineMark
}

type goroutineMark struct {
	addr, pc, sp uint64
	status       uint32
	seq          uint8
}

// Len is how many goroutines there were, without the runtime's own dead ones.
func (m *Marks) Len() int { return len(m.byID) }

// Mark notes what all goroutines are doing.
func (s *Space) Mark(check func()) (*Marks, error) {
	l, first, n, err := s.allGoroutines()
	if err != nil {
		return nil, err
	}
	if !l.Switches.Known() {
		return nil, fmt.Errorf("which goroutines run can't be told: runtime.g has no field trackingSeq in this release of Go (%s): %w", s.file.GoVersion(), ErrNoField)
	}
	m := &Marks{byID: make(map[int64]goroutineMark, n)}
	for i := range n {
		if i%256 == 0 && check != nil {
			check()
		}
		addr, err := s.Uint64(first + 8*i)
		if err != nil || addr == 0 {
			continue
		}
		if id, mark, ok := s.mark(l, addr); ok {
			m.byID[id] = mark
		}
	}
	return m, nil
}

func (s *Space) mark(l *goroutineLayout, addr uint64) (int64, goroutineMark, bool) {
	b, err := s.Slice(addr, int(l.Size))
	if err != nil {
		return 0, goroutineMark{}, false
	}
	status := l.statusOf(b)
	if isDead(status) {
		return 0, goroutineMark{}, false
	}
	m := goroutineMark{addr: addr, pc: l.PC.Uint(b), sp: l.Hi.Uint(b) - l.SP.Uint(b), status: status, seq: uint8(l.Switches.Uint(b))}
	if status == statusSyscall {
		m.pc, m.sp = l.SyscallPC.Uint(b), l.Hi.Uint(b)-l.SyscallSP.Uint(b)
	}
	return int64(l.ID.Uint(b)), m, true
}

// Still tells whether a goroutine has not run since it was marked: it waits, or is in the same system call.
func (s *Space) Still(m *Marks, id int64) (bool, error) {
	l, err := s.goroutineLayout()
	if err != nil {
		return false, err
	}
	was, ok := m.byID[id]
	if !ok || was.status != statusWaiting && was.status != statusSyscall {
		return false, nil
	}
	now, is, ok := s.mark(l, was.addr)
	return ok && now == id && is == was, nil
}
