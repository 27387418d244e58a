package compile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"ri/attach"
	"ri/probe"
)

// ErrNotCaptured: a hit didn't take along what was asked of it; the text says why.
var ErrNotCaptured = errors.New("not captured")

// memory is what one side of a hit took along, as a memory with holes, over what never changes in the program.
type memory struct {
	pieces []probe.Piece // those that have bytes, by address
	failed []probe.Piece // those that were wanted and couldn't be read
	static func(p []byte, addr uint64) bool
	over   bool  // something was left out, as the hit was full
	left   int   // types that interfaces may hold, whose contents were left out
	bytes  int   // that a hit has room for
	one    int64 // bytes of one structure that are taken along at most
	cut    int64 // the size of the largest of which that isn't all
	locals uint64
}

// localsAt is where values lie that were in registers. No process has memory there: its addresses have 56 bits at most.
const localsAt = 1 << 56

// local gives bytes a place in the hit's memory, off bytes into size that are theirs.
func (m *memory) local(data []byte, off, size int64) (addr uint64) {
	addr = localsAt + m.locals + uint64(off)
	m.locals += uint64(max(size, off+int64(len(data)))+31) &^ 15
	m.pieces = append(m.pieces, probe.Piece{State: probe.Captured, Addr: addr, Data: data})
	return addr
}

var _ attach.Memory = (*memory)(nil)

// set takes the pieces of a hit.
func (m *memory) set(pieces []probe.Piece) {
	m.pieces, m.failed, m.locals = m.pieces[:0], m.failed[:0], 0
	for _, p := range pieces {
		switch {
		case p.State == probe.Unreadable:
			m.failed = append(m.failed, p)
		case p.State != probe.Captured && p.State != probe.Truncated:
		case len(p.Data) > 0 && p.Addr+uint64(len(p.Data)) > p.Addr:
			m.pieces = append(m.pieces, p)
		}
	}
	slices.SortStableFunc(m.pieces, func(a, b probe.Piece) int { return cmp.Compare(a.Addr, b.Addr) })
}

// ReadMemory implements attach.Memory. A range may be put together from several pieces.
func (m *memory) ReadMemory(p []byte, addr uint64) (int, error) {
	done := 0
	for done < len(p) {
		n := m.copy(p[done:], addr+uint64(done))
		if n == 0 {
			break
		}
		done += n
	}
	if done == len(p) || m.static != nil && m.static(p[done:], addr+uint64(done)) {
		return len(p), nil
	}
	return done, m.why(addr + uint64(done))
}

// copy gives as much as the longest piece at an address has.
func (m *memory) copy(p []byte, addr uint64) (n int) {
	for _, piece := range m.pieces {
		if piece.Addr > addr {
			break
		}
		if off := addr - piece.Addr; off < uint64(len(piece.Data)) && len(piece.Data)-int(off) > n {
			n = copy(p, piece.Data[off:])
		}
	}
	return n
}

// Next gives the first bytes that were captured of n bytes at an address, and where they lie; nil if there are none.
func (m *memory) Next(addr uint64, n int) (at uint64, b []byte) {
	end := addr + uint64(n)
	for _, piece := range m.pieces {
		last := piece.Addr + uint64(len(piece.Data))
		if from, to := max(addr, piece.Addr), min(end, last); from < to && (b == nil || from < at) {
			at, b = from, piece.Data[from-piece.Addr:to-piece.Addr]
		}
		if piece.Addr >= end {
			break
		}
	}
	return at, b
}

// why is why there is nothing at an address.
func (m *memory) why(addr uint64) error {
	for _, p := range m.failed {
		if addr-p.Addr < max(p.Want, 1) {
			return fmt.Errorf("unreadable at %#x: %w", p.Addr, ErrNotCaptured)
		}
	}
	for _, p := range m.pieces {
		if off := addr - p.Addr; addr >= p.Addr && int64(len(p.Data)) == m.one && off < uint64(m.cut) {
			return fmt.Errorf("%w: of a structure the first %d bytes are (--bytes)", ErrNotCaptured, m.one)
		}
	}
	if m.left > 0 {
		return fmt.Errorf("%w: the hit's %d bytes are for other things, and so of %d types that interfaces may hold",
			ErrNotCaptured, m.bytes, m.left)
	}
	if m.over {
		return fmt.Errorf("%w: the hit's %d bytes were full", ErrNotCaptured, m.bytes)
	}
	return ErrNotCaptured
}

// ReadHoles implements attach.Sparse: nothing is kept by the page.
func (m *memory) ReadHoles(p []byte, addr uint64) error {
	clear(p)
	for done := 0; done < len(p); {
		if n := m.copy(p[done:], addr+uint64(done)); n > 0 {
			done += n
		} else {
			done++
		}
	}
	return nil
}

// Unchanging gives what never changes of a process's memory, for [Program.Static]: the mappings of its executable that
// can't be written. They are read once.
func Unchanging(maps []attach.Mapping, executable string, mem attach.Memory) func(b []byte, addr uint64) bool {
	kept := attach.NewCache(mem)
	return func(b []byte, addr uint64) bool {
		for _, m := range maps {
			if addr >= m.Start && addr < m.End && uint64(len(b)) <= m.End-addr && m.Read && !m.Write && m.Path == executable {
				_, err := kept.ReadMemory(b, addr)
				return err == nil
			}
		}
		return false
	}
}
