//go:build linux

package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// What is called while tools trace it.
type (
	order struct {
		id   int64
		name string
		next *order
		who  *customer
	}
	customer struct {
		name string
		from *place
	}
	place struct {
		city string
		zip  int64
	}
)

var anOrder = &order{id: 7, name: "order-7", next: &order{id: 8}, who: &customer{"acme", &place{"Bern", 3000}}}

var errNegative = errors.New("negative")

// framed has a frame, as most functions do.
//
//go:noinline
func framed(o *order, id int64, name string) (int64, error) {
	if id < 0 {
		return 0, errNegative
	}
	return frameless(id) + o.id, nil
}

//go:noinline
func frameless(id int64) int64 { return id + int64(answer) }

// told gives nothing back.
//
//go:noinline
func told(o *order, id int64, name string) { heard.Add(frameless(id) + o.id) }

var heard atomic.Int64

// ask does what a line asks for, and gives the answer:
//
//	framed N, frameless N, told N
//	                         so many calls, in bursts; the CPU that they cost this thread and how long they took, in ns
//	paced N                  a thousand calls of framed a millisecond, for N seconds; what CPU they cost beyond the
//	                         median, and their number
//	data N SIZE              so many writes of so many bytes, and reads of them; CPU and time likewise
//	anything else            the longest gap since the last line
func ask(line string, beat *heartbeat) string {
	var what string
	var n, size int
	fmt.Sscan(line, &what, &n, &size)
	switch what {
	case "framed":
		return bursts(n, func(i int64) { framed(anOrder, i, anOrder.name) })
	case "frameless":
		return bursts(n, func(i int64) { frameless(i) })
	case "told":
		return bursts(n, func(i int64) { told(anOrder, i, anOrder.name) })
	case "data":
		return dataCalls(size, n)
	case "paced":
		return paced(time.Duration(n) * time.Second)
	}
	return strings.TrimSpace(fmt.Sprintln(beat.gap().Nanoseconds()))
}

const burst = 500

// bursts calls something so many times, with pauses in which who traces can read.
func bursts(n int, call func(int64)) string {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var cpu, took time.Duration
	for i := int64(0); i < int64(n); {
		begin, start := threadTime(), monotonic()
		for range min(burst, n-int(i)) {
			call(i)
			i++
		}
		cpu += threadTime() - begin
		took += time.Duration(monotonic() - start)
		if n > burst {
			nap(10 * time.Millisecond)
		}
	}
	return fmt.Sprint(cpu.Nanoseconds(), took.Nanoseconds())
}

// paced calls framed a thousand times a millisecond, for a time. What it came too late for it makes up. The CPU is what
// the calls cost beyond the median of all thousands, since a machine with others on it is not as fast at all times.
func paced(length time.Duration) string {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := length.Milliseconds()
	costs := make([]time.Duration, 0, all)
	for began := monotonic(); int64(len(costs)) < all; nap(time.Millisecond) {
		for due := min(time.Duration(monotonic()-began).Milliseconds(), all); int64(len(costs)) < due; {
			begin := threadTime()
			for i := range int64(1000) {
				framed(anOrder, i%10, anOrder.name)
			}
			costs = append(costs, threadTime()-begin)
		}
	}
	slices.Sort(costs)
	var over time.Duration
	for _, cost := range costs {
		over += cost - costs[len(costs)/2]
	}
	return fmt.Sprint(over.Nanoseconds(), 1000*len(costs))
}

// threadTime is the CPU time of this thread.
func threadTime() time.Duration {
	var t syscall.Timespec
	const threadCPU = 3 // CLOCK_THREAD_CPUTIME_ID
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}
