package values

import (
	"encoding/binary"
	"fmt"
)

// Marks are what all goroutines were doing at one look, to tell at a later one which of them have not run since.
//
// The runtime counts in g.trackingSeq how often a goroutine has stopped running (runtime.casgstatus, Go 1.17 to 1.26). A goroutine that
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
	l, err := s.goroutineLayout()
	if err != nil {
		return nil, err
	}
	data, n, _, err := l.allgs.sliceHeader()
	if err == nil && n > maxGoroutines {
		err = fmt.Errorf("runtime.allgs claims %d goroutines: %w", n, ErrCorrupt)
	}
	if err != nil {
		return nil, err
	}
	m := &Marks{byID: make(map[int64]goroutineMark, n)}
	for i := range uint64(n) {
		if i%256 == 0 && check != nil {
			check()
		}
		addr, err := s.Uint64(data + 8*i)
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
	b, err := s.Slice(addr, int(l.size))
	if err != nil {
		return 0, goroutineMark{}, false
	}
	status := binary.LittleEndian.Uint32(b[l.status:]) &^ statusScan
	if status == 0 || statusNames[status] == "dead" {
		return 0, goroutineMark{}, false
	}
	m := goroutineMark{addr: addr, pc: word(b, l.pc), sp: word(b, l.hi) - word(b, l.sp), status: status}
	if wl, err := s.queueLayout(); err == nil && wl.seq >= 0 {
		m.seq = b[wl.seq]
	}
	if status == statusSyscall {
		m.pc, m.sp = word(b, l.sysPC), word(b, l.hi)-word(b, l.sysSP)
	}
	return int64(word(b, l.id)), m, true
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
