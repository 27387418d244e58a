package values

// Marks are what all goroutines were doing at one look, to tell at a later one which of them have not run since.
//
// The runtime counts in g.trackingSeq how often a goroutine has stopped running (runtime.casgstatus, Go 1.17 to 1.27).
// A goroutine that waited, or was in a system call, and does now with the same count, saved PC and depth has not run in
// between. The count has 8 bits: one that ran a multiple of 256 times and is back at the very same place would be taken
// for one that didn't.
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

// Mark notes what all goroutines are doing. check is called now and then, and may be nil.
func (s *Space) Mark(check func()) (*Marks, error) {
	l, _, n, err := s.allGoroutines()
	if err != nil {
		return nil, err
	}
	if !l.Switches.Known() {
		return nil, s.lacksField("which goroutines run can't be told", "trackingSeq")
	}
	m := &Marks{byID: make(map[int64]goroutineMark, n)}
	for raw, err := range s.Raws(check) {
		if err == nil {
			m.byID[int64(l.ID.Uint(raw.Bytes))] = raw.mark()
		}
	}
	return m, nil
}

// mark is what a goroutine is doing.
func (r *Raw) mark() goroutineMark {
	l, b := r.l, r.Bytes
	m := goroutineMark{addr: r.Addr, pc: l.PC.Uint(b), sp: l.Hi.Uint(b) - l.SP.Uint(b), status: r.status,
		seq: uint8(l.Switches.Uint(b))}
	if r.status == statusSyscall {
		m.pc, m.sp = l.SyscallPC.Uint(b), l.Hi.Uint(b)-l.SyscallSP.Uint(b)
	}
	return m
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
	now, alive, err := s.raw(l, was.addr)
	return err == nil && alive && int64(l.ID.Uint(now.Bytes)) == id && now.mark() == was, nil
}
