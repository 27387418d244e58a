package values

import "fmt"

// maxChecked is how many goroutines are looked at before the layouts of a stripped program's runtime are believed.
const maxChecked = 64

// checkRuntime proves on memory what a stripped program's runtime is read by: that runtime.allgs leads to goroutines, whose states, numbers
// and stacks can be, and whose threads point back. Whatever isn't so refuses all of it, since wrong layouts read wrong values in silence.
func (s *Space) checkRuntime(l *goroutineLayout) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("the layouts of %s don't fit this stripped program, which says it was built by %s: %s: %w",
			s.file.RuntimeTable(), s.file.GoVersion(), fmt.Sprintf(format, args...), ErrCorrupt)
	}
	data, n, _, err := s.At(l.All.Addr+s.bias, l.All.Type).sliceHeader()
	if err != nil {
		return no("runtime.allgs: %v", err)
	}
	if n == 0 || n > maxGoroutines {
		return no("runtime.allgs has %d goroutines", n)
	}
	if l.Count.Type != nil {
		// allglen is written behind allgs, so in a live view it may be one of a moment before.
		if got, err := s.Uint64(l.Count.Addr + s.bias); err != nil || got == 0 || got > uint64(n)+1024 || got+1024 < uint64(n) {
			return no("runtime.allglen is %d and runtime.allgs has %d", got, n)
		}
	}
	for i := range min(uint64(n), maxChecked) {
		addr, err := s.Uint64(data + 8*i)
		if err != nil {
			return no("runtime.allgs[%d]: %v", i, err)
		}
		raw, alive, err := s.raw(l, addr)
		if err != nil {
			return no("goroutine at %#x: %v", addr, err)
		}
		b, status := raw.Bytes, raw.status
		id, lo, hi, sp := int64(l.ID.Uint(b)), l.Lo.Uint(b), l.Hi.Uint(b), l.SP.Uint(b)
		if statusNames[status] == "" || id < 0 || id > 1<<48 {
			return no("goroutine at %#x has state %d and number %d", addr, status, id)
		}
		if !alive {
			continue
		}
		if lo == 0 || hi <= lo || hi-lo > 1<<40 || status == statusWaiting && (sp < lo || sp > hi) {
			return no("goroutine %d at %#x has a stack from %#x to %#x and waits at SP %#x", id, addr, lo, hi, sp)
		}
		if status == statusWaiting {
			if _, ok := s.PC(l.PC.Uint(b)); !ok {
				return no("goroutine %d at %#x waits at %#x, which is no Go code", id, addr, l.PC.Uint(b))
			}
		}
	}
	return nil
}
