package values

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"ri/attach"
	"ri/values/layout"
)

// What has to be known of a moment before something is changed in it: whether a place lies on a stack, whether anybody
// can be reading half of a value. It is asked in a stop, so that it reads little: not every goroutine for an address,
// of every goroutine a byte.

// InStack gives the goroutine on whose stack an address lies.
func (s *Space) InStack(addr uint64) (*Goroutine, bool) {
	if manual, err := s.manualMemory(addr); err == nil && !manual {
		return nil, false
	}
	for g, err := range s.Goroutines() {
		if err == nil && g != nil && addr >= g.StackLo && addr < g.StackHi {
			return g, true
		}
	}
	return nil, false
}

// manualMemory tells whether an address lies in memory of the Go heap that the runtime manages by hand, as stacks do:
// the state of its span (runtime.mspan) is mSpanManual. An address outside the heap doesn't. The error is one of a
// program of which that can't be told.
func (s *Space) manualMemory(addr uint64) (bool, error) {
	const spanManual = 2 // runtime.mSpanManual, runtime/mheap.go
	l := &s.Layouts().Heap
	if err := l.Err(); err != nil {
		return false, err
	}
	if !l.Spans.Known() {
		return false, ErrNoField
	}
	at := l.Arenas.At(l.Heap.Addr + s.bias) // leads to the only table of arenas that there is on Linux (arenaL1Bits is 0)
	for _, offset := range []uint64{8 * layout.ArenaIndex(addr, s.arch.ArenaBase),
		uint64(l.Spans.Offset) + 8*(addr>>layout.PageShift%layout.ArenaPages)} {
		next, err := s.Uint64(at)
		if err != nil || next == 0 {
			return false, err
		}
		at = next + offset
	}
	span, err := s.Uint64(at)
	if err != nil || span == 0 {
		return false, err
	}
	state, err := s.Field(span, l.Span.State)
	return state == spanManual, err
}

// Quiet tells whether no goroutine can be between two words of a value: no thread runs the program's own code, and none
// was interrupted in it. A thread is harmless in a system call, which is a call like any, and on the scheduler's stack
// (g0). why says what is not.
//
// Compilers load the words of a value next to each other, with no call in between, so that a goroutine that gave the
// processor away by itself isn't there; one that was preempted (runtime.asyncPreempt, g.asyncSafePoint) may be.
func (s *Space) Quiet() (ok bool, why string, err error) {
	if why, err = s.busyThread(); why != "" || err != nil {
		return false, why, err
	}
	preempted, err := s.anyPreempted()
	if preempted {
		why = "a goroutine was preempted in the middle of its code"
	}
	return err == nil && !preempted, why, err
}

// busyThread says what a thread runs that may be the program's own code, "" if none does.
func (s *Space) busyThread() (why string, err error) {
	schedulers, err := s.schedulerStacks()
	if err != nil {
		return "", err
	}
	for id, t := range s.threads {
		size := len(s.arch.Syscall)
		if b, err := s.Slice(t.Regs.PC()-uint64(size), size); err == nil &&
			bytes.Equal(b, s.arch.Syscall) { // it is in the call
			if !schedulers.signal(t.Regs.SP()) {
				continue
			}
		}
		if schedulers.scheduler(t.Regs.SP()) {
			continue
		}
		name := fmt.Sprintf("%#x", t.Regs.PC())
		if info, ok := s.PC(t.Regs.PC()); ok {
			name = info.Func
		}
		return fmt.Sprintf("thread %d runs %s", id, name), nil
	}
	return "", nil
}

// nearFlags is how far apart two bytes may lie, to be read as one piece.
const nearFlags = 1024

// anyPreempted tells whether a goroutine was preempted. It reads a byte of each, past the page cache where that can be:
// the pages around them are of no use.
func (s *Space) anyPreempted() (bool, error) {
	l, first, n, err := s.allGoroutines()
	if err != nil {
		return false, err
	}
	if !l.Preempted.Known() {
		return false, s.lacksField("whether goroutines were preempted can't be told", "asyncSafePoint")
	}
	list, err := s.Slice(first, 8*int(n))
	if err != nil {
		return false, err
	}
	flags := make([]uint64, n)
	for i := range flags {
		flags[i] = l.Preempted.At(binary.LittleEndian.Uint64(list[8*i:]))
	}
	reader, ok := s.mem.Beneath().(attach.RangeReader)
	if !ok {
		for _, at := range flags {
			if b, err := s.Slice(at, 1); err != nil || b[0] != 0 {
				return true, err
			}
		}
		return false, nil
	}
	slices.Sort(flags)
	var pieces []attach.Range
	for _, at := range flags {
		if last := len(pieces) - 1; last >= 0 && at-pieces[last].Addr-uint64(pieces[last].N) < nearFlags {
			pieces[last].N = int(at - pieces[last].Addr + 1)
		} else {
			pieces = append(pieces, attach.Range{Addr: at, N: 1})
		}
	}
	total := 0
	for _, p := range pieces {
		total += p.N
	}
	if len(s.room) < total {
		s.room = make([]byte, total)
	}
	room := s.room
	for i := range pieces {
		pieces[i].Data, room = room[:pieces[i].N], room[pieces[i].N:]
	}
	if err := reader.ReadRanges(pieces); err != nil {
		return false, err
	}
	i := 0
	for _, at := range flags {
		for at-pieces[i].Addr >= uint64(len(pieces[i].Data)) {
			i++
		}
		off := int(at - pieces[i].Addr)
		if off >= pieces[i].N {
			return false, fmt.Errorf("a goroutine at %#x: %w", at-uint64(l.Preempted.Offset), attach.ErrNotMapped)
		}
		if pieces[i].Data[off] != 0 {
			return true, nil
		}
	}
	return false, nil
}

// threadStacks are the stacks that aren't goroutines'.
type threadStacks struct{ g0, gsignal [][2]uint64 }

func (t threadStacks) scheduler(sp uint64) bool { return within(t.g0, sp) }
func (t threadStacks) signal(sp uint64) bool    { return within(t.gsignal, sp) }

func within(ranges [][2]uint64, addr uint64) bool {
	for _, r := range ranges {
		if addr >= r[0] && addr < r[1] {
			return true
		}
	}
	return false
}

// schedulerStacks gives the stacks of all threads that aren't goroutines'.
func (s *Space) schedulerStacks() (out threadStacks, err error) {
	threads, err := s.OSThreads()
	if err != nil {
		return out, err
	}
	l := s.gs
	for _, t := range threads {
		for g, to := range map[uint64]*[][2]uint64{t.g0: &out.g0, t.gsignal: &out.gsignal} {
			if g == 0 {
				continue
			}
			lo, err := s.Field(g, l.Lo)
			if err != nil {
				return out, err
			}
			hi, err := s.Field(g, l.Hi)
			if err != nil {
				return out, err
			}
			*to = append(*to, [2]uint64{lo, hi})
		}
	}
	return out, nil
}
