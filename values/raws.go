package values

import (
	"fmt"
	"iter"
	"time"

	"ri/attach"
)

// Raw is the runtime.g of a goroutine that isn't dead, as it lies in memory.
type Raw struct {
	Addr  uint64
	Bytes []byte // valid until the iteration goes on

	l      *goroutineLayout
	index  int // in runtime.allgs
	status uint32
}

// Waits tells whether the goroutine waits for another one, or for the outside.
func (r *Raw) Waits() bool { return r.status == statusWaiting }

// wait is for how long it has been known to wait, or to be in a system call.
func (r *Raw) wait(now int64) time.Duration {
	if r.status != statusWaiting && r.status != statusSyscall {
		return 0
	}
	since := int64(r.l.WaitSince.Uint(r.Bytes))
	if since <= 0 || now <= since {
		return 0
	}
	return time.Duration(now - since)
}

// Reason is what a goroutine that waits is waiting for, "" where the program doesn't record it.
func (r *Raw) Reason() string {
	if !r.l.WaitReason.Known() {
		return ""
	}
	return r.l.reason(uint8(r.l.WaitReason.Uint(r.Bytes)))
}

// Raws iterates over all goroutines that aren't dead. One that can't be read is an error in its place, and the rest go
// on. check is called now and then, and may be nil.
//
// Very many are read past the page cache where nobody asks which pages were needed: each lies among others' stacks.
func (s *Space) Raws(check func()) iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		l, first, n, err := s.allGoroutines()
		if err != nil {
			yield(Raw{}, err)
			return
		}
		past := s.pastCache(l, n)
		for i := range n {
			if i%256 == 0 && check != nil {
				check()
			}
			addr, err := s.Uint64(first + 8*i)
			raw, alive := Raw{}, false
			switch {
			case err != nil || addr == 0:
			case past != nil:
				var b []byte
				if b, err = past.structure(first, i, n); err == nil {
					raw, alive = rawOf(l, addr, b)
				}
			default:
				raw, alive, err = s.raw(l, addr)
			}
			raw.index = int(i)
			if (alive || err != nil) && !yield(raw, err) {
				return
			}
		}
	}
}

// rawsPast reads the goroutines of runtime.allgs past the page cache, many at once.
type rawsPast struct {
	s      *Space
	l      *goroutineLayout
	direct attach.RangeReader
	begin  uint64 // index of the first that was read
	ranges []attach.Range
	buffer []byte
}

// pastCache is nil where goroutines are to be read through the cache.
func (s *Space) pastCache(l *goroutineLayout, n uint64) *rawsPast {
	view, live := s.mem.Beneath().(attach.View)
	reader, ok := view.(attach.RangeReader)
	if !ok || !live || view.Kind() != attach.Live || !s.mem.Passing || s.witness != nil || n <= fewGoroutines {
		return nil
	}
	return &rawsPast{s: s, l: l, direct: reader, buffer: make([]byte, stackBatch*int(l.Size))}
}

// structure gives the bytes of the goroutine at an index, until the next that isn't of the same batch.
func (p *rawsPast) structure(first, index, n uint64) ([]byte, error) {
	if index < p.begin || index-p.begin >= uint64(len(p.ranges)) {
		p.begin, p.ranges = index, p.ranges[:0]
		for i := index; i < min(n, index+stackBatch); i++ {
			addr, err := p.s.Uint64(first + 8*i)
			if err != nil {
				addr = 0
			}
			p.ranges = append(p.ranges, attach.Range{Addr: addr, Data: p.buffer[(i-index)*uint64(p.l.Size):][:p.l.Size]})
		}
		if err := p.direct.ReadRanges(p.ranges); err != nil {
			p.ranges = nil
			return nil, err
		}
	}
	r := &p.ranges[index-p.begin]
	if r.N < len(r.Data) {
		return nil, fmt.Errorf("runtime.g: %w", attach.NotMapped(r.Addr+uint64(r.N)))
	}
	return r.Data, nil
}

// raw reads the runtime.g at an address.
func (s *Space) raw(l *goroutineLayout, addr uint64) (r Raw, alive bool, err error) {
	b, err := s.Structure(addr, &l.Structure)
	if err != nil {
		return r, false, fmt.Errorf("runtime.g: %w", err)
	}
	r, alive = rawOf(l, addr, b)
	return r, alive, nil
}

// rawOf takes the runtime.g at an address apart.
func rawOf(l *goroutineLayout, addr uint64, b []byte) (r Raw, alive bool) {
	status := uint32(l.Status.Uint(b)) &^ statusScan // without the bit of the collector that scans it
	if status == statusLeaked {
		// Go's own profile has found that nothing can wake it (Go 1.26): it waits as it did before.
		status = statusWaiting
	}
	return Raw{Addr: addr, Bytes: b, l: l, status: status}, status != 0 && statusNames[status] != "dead"
}
