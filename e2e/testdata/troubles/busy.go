package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	flag    atomic.Bool
	garbage [64][]byte
	ballast [][]byte
	never   = make(chan int)
)

func init() {
	troubles["spin"] = func() { go spin() }
	troubles["spin-select"] = func() { go poll(make(chan int)) }
	troubles["spin-yield"] = func() { go yield() }
	troubles["spin-time"] = func() { go pass(time.Now().Add(24 * time.Hour)) }
	troubles["growing"] = func() {
		for range [20]int{} {
			go subscribe(never)
		}
		go func() {
			for {
				time.Sleep(waits / 4)
				go subscribe(never)
			}
		}()
		time.Sleep(waits)
	}
	troubles["heap"] = func() { go remember() }
	troubles["collector"] = func() {
		debug.SetGCPercent(5)
		keepTrees()
		go churn()
	}
	troubles["limit"] = func() {
		debug.SetMemoryLimit(48 << 20)
		for range [40]int{} {
			ballast = append(ballast, make([]byte, 1<<20))
		}
		go churn()
		time.Sleep(5 * waits)
	}
	troubles["threads"] = func() {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		fd := int(r.Fd())
		for range [150]int{} {
			go blockingRead(fd)
		}
		time.Sleep(5 * waits)
		kept = append(kept, r, w)
	}
}

type seen struct {
	path [256]byte
	next *seen
}

type history struct {
	mu     sync.Mutex
	visits map[int]*seen
}

var past = &history{visits: map[int]*seen{}}

// remember never forgets.
func remember() {
	for i := 0; ; i++ {
		past.mu.Lock()
		past.visits[i] = &seen{}
		past.mu.Unlock()
		if i%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

//go:noinline
func spin() {
	for !flag.Load() {
	}
}

//go:noinline
func yield() {
	for !flag.Load() {
		runtime.Gosched()
	}
}

//go:noinline
func pass(end time.Time) {
	for time.Now().Before(end) {
	}
}

//go:noinline
func poll(c chan int) {
	for {
		select {
		case <-c:
			return
		default:
		}
	}
}

//go:noinline
func subscribe(c chan int) {
	<-c // growing: waits here
}

type tree struct{ left, right *tree }

func grow(n int) *tree {
	if n == 0 {
		return nil
	}
	return &tree{grow(n - 1), grow(n - 1)}
}

var forest *tree

func keepTrees() { forest = grow(19) }

//go:noinline
func churn() {
	var mu sync.Mutex
	for i := 0; ; i++ {
		mu.Lock()
		garbage[i%64] = make([]byte, 64<<10)
		mu.Unlock()
	}
}

//go:noinline
func blockingRead(fd int) {
	var b [1]byte
	syscall.Read(fd, b[:]) // threads: waits here
}
