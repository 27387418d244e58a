package record

import (
	"context"
	"slices"
	"sync"

	"ri/attach"
	"ri/instruments/looks"
	"ri/symbols/sparse"
)

// memory is the copy that is looked at, for several goroutines.
func (m *maker) memory() Memory {
	start, end := m.image()
	var mu sync.Mutex // the cache is for one at a time
	var direct func(uint64, int) []byte
	if d, ok := m.look.Cache.Beneath().(attach.Director); ok {
		if view, ok := d.(attach.View); ok && view.Coverage().Whole {
			direct = d.Direct
		}
	}
	return Memory{
		Read: func(addr uint64, n int) ([]byte, bool) {
			if direct != nil {
				if b := direct(addr, n); b != nil {
					return b, true
				}
			}
			mu.Lock()
			defer mu.Unlock()
			b, err := m.look.Cache.Slice(addr, n)
			return b, err == nil
		},
		Constant: m.constant,
		Mapped:   func(addr, n uint64) bool { return within(m.mapped, addr, n) },
		Variable: func(addr uint64) string {
			if addr < m.variablesFrom || addr > m.variablesTo {
				return ""
			}
			return m.variables[addr]
		},
		Own:    func(addr uint64) bool { return addr >= start && addr < end },
		Code:   func(addr uint64) bool { return isCode(m.session, addr) },
		Tokens: m.gap(),
		Step: func(done, total int64, what string) error {
			m.progress(done, total, what)
			return context.Cause(m.ctx)
		},
	}
}

// within tells whether bytes lie in mappings, one or several side by side.
func within(list []attach.Mapping, addr, n uint64) bool {
	i, _ := slices.BinarySearchFunc(list, addr, func(x attach.Mapping, addr uint64) int {
		if x.End <= addr {
			return -1
		}
		return 1
	})
	end := addr + n
	for ; i < len(list) && list[i].Start <= addr && end >= addr; i++ {
		if addr = list[i].End; addr >= end {
			return true
		}
	}
	return false
}

// constant tells whether bytes are the program's own, and not put there by who built it.
func (m *maker) constant(addr uint64, n int) bool {
	start, end := addr-m.session.Bias, addr-m.session.Bias+uint64(n)
	return within(m.constants, addr, uint64(n)) && !slices.ContainsFunc(m.excluded, func(r sparse.Range) bool {
		return start < r.End && r.Start < end
	})
}

func isCode(s *looks.Session, addr uint64) bool {
	_, ok := s.File.PC(addr - s.Bias)
	return ok
}

// tokenRoom is how much address space tokens may take, in bytes.
const tokenRoom = 1 << 40

// gap is where tokens lie: the highest hole of the address space that has room for them.
func (m *maker) gap() uint64 {
	end := uint64(1)<<47 - 1<<30
	for _, x := range slices.Backward(m.mapped) {
		if x.Start > end { // the kernel's own pages
			continue
		}
		if x.End < end && end-x.End >= 2*tokenRoom {
			return (x.End + tokenRoom/2) &^ (1<<20 - 1)
		}
		end = min(end, x.Start)
	}
	return 1 << 45
}
