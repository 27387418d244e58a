package kernel

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring reads the kernel's ring of events (kernel/bpf/ringbuf.c, Linux 5.8 to 6.18). The library's own reader spins
// where the next event is still being made, and a sleepable program may sleep then; this one gives way.
type ring struct {
	consumer, data []byte
	size           uint64
}

// Bits of a record's length.
const (
	ringBusy    = 1 << 31
	ringDiscard = 1 << 30
)

func newRing(fd, size int) (*ring, error) {
	page := os.Getpagesize()
	consumer, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("the ring of events can't be mapped: %w", err)
	}
	data, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		unix.Munmap(consumer)
		return nil, fmt.Errorf("the ring of events can't be mapped: %w", err)
	}
	return &ring{consumer: consumer, data: data, size: uint64(size)}, nil
}

func word(b []byte) *uint64 { return (*uint64)(unsafe.Pointer(&b[0])) }

// next gives the next event's bytes, which hold until release; false if there is none that is whole.
func (r *ring) next() (data []byte, release func(), ok bool) {
	page := uint64(os.Getpagesize())
	for {
		at := atomic.LoadUint64(word(r.consumer))
		end := atomic.LoadUint64(word(r.data))
		if at >= end {
			return nil, nil, false
		}
		place := page + at&(r.size-1)
		head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[place])))
		if head&ringBusy != 0 {
			return nil, nil, false
		}
		length := uint64(head &^ (ringBusy | ringDiscard))
		after := at + 8 + (length+7)&^7
		if after > end || length > r.size {
			return nil, nil, false // not by this kernel
		}
		if head&ringDiscard != 0 {
			atomic.StoreUint64(word(r.consumer), after)
			continue
		}
		return r.data[place+8 : place+8+length], func() { atomic.StoreUint64(word(r.consumer), after) }, true
	}
}

func (r *ring) close() {
	unix.Munmap(r.consumer)
	unix.Munmap(r.data)
}

// control is the map that programs and user space share.
type control struct {
	layout controlLayout
	memory []byte
}

func (c control) at(off int) *uint64 { return word(c.memory[off:]) }

func (c control) set(off int, v uint64) { atomic.StoreUint64(c.at(off), v) }

// count adds up a counter over the processors.
func (c control) count(probe, counter int) uint64 {
	var sum uint64
	for shard := range c.layout.shards {
		sum += atomic.LoadUint64(c.at(c.layout.counters(probe, shard) + counter))
	}
	return sum
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
