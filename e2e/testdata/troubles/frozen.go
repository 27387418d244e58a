package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// What follows asks for a stop of the world that never comes: one goroutine can't be preempted. The rest is healthy.
func init() {
	frozen("gc", func() { runtime.GC() })
	frozen("allocation", func() {
		for i := 0; ; i++ {
			garbage[i%64] = make([]byte, 1<<20)
		}
	})
	frozen("memstats", func() { runtime.ReadMemStats(new(runtime.MemStats)) })
	frozen("profile", func() { pprof.Lookup("goroutine").WriteTo(io.Discard, 1) })
	frozen("trace", func() { trace.Start(io.Discard) })
	frozen("procs", func() { runtime.GOMAXPROCS(3) })
	troubles["frozen-assembly"] = func() {
		noCollections()
		stops(func() { await1(new(uint64)) }, func() { runtime.GC() })
	}
	troubles["frozen-timers"] = func() {
		preemptible(false)
		noCollections()
		runtime.GOMAXPROCS(4)
		for range [6]int{} { // no P is idle, and looks after the timers of others
			pingPong()
		}
		go func() {
			time.AfterFunc(10*time.Millisecond, func() { results.Add(1) })
			started.Store(true)
			crunch(1 << 62)
		}()
		for !started.Load() {
			runtime.Gosched()
		}
		for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; {
			runtime.Gosched()
		}
	}
	// The loop begins while the collector marks, or else the next collection can't begin.
	troubles["frozen-marking"] = func() {
		preemptible(false)
		keepTrees()
		stops(func() {
			for begin := time.Now(); time.Since(begin) < 3*time.Millisecond; {
				runtime.Gosched()
			}
			crunch(1 << 62)
		}, func() {
			for {
				runtime.GC()
			}
		})
	}
}

func frozen(name string, ask func()) {
	troubles["frozen-"+name] = func() {
		preemptible(false)
		if name != "allocation" {
			noCollections()
		}
		pingPong()
		stops(func() { crunch(1 << 62) }, ask)
	}
}

// noCollections has none but those that are asked for: one would wait for the loop, and all others for it.
func noCollections() {
	debug.SetGCPercent(-1)
	runtime.GC() // ends one that has begun
}

// preemptible has the runtime leave goroutines alone that don't call anything: the program begins anew.
func preemptible(yes bool) {
	if !yes && !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff") {
		os.Setenv("GODEBUG", "asyncpreemptoff=1")
		panic(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
}

// stops has f run, and the world stopped. It says that the program is ready before f can stop others from saying it.
func stops(f, ask func()) {
	runtime.GOMAXPROCS(4)
	go naps()
	go func() {
		fmt.Println("ready")
		started.Store(true)
		f()
	}()
	for !started.Load() { // a timer may be of the one that f keeps
		runtime.Gosched()
	}
	asks(ask)
}

func pingPong() {
	for range [3]int{} {
		a, b := make(chan int), make(chan int)
		go pong(a, b)
		go pong(b, a)
		a <- 0
	}
}

var started atomic.Bool

//go:noinline
func asks(ask func()) { ask() }

//go:noinline
func crunch(n uint64) uint64 {
	var s uint64
	for i := uint64(0); i < n; i++ {
		s = s*31 + i ^ (s >> 7)
	}
	return s
}

func pong(in, out chan int) {
	for v := range in {
		out <- v + 1
	}
}

// naps holds a lock for a moment, again and again.
func naps() {
	for {
		global.Lock()
		time.Sleep(time.Millisecond)
		global.Unlock()
	}
}
