// Command tortured does all that a probe might disturb, and checks its own results: stacks that grow and shrink,
// goroutines that wander between threads, panics, Goexit, children, signals, profiles of itself, C. It ends when its
// standard input does, and then says how many results it has checked.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Item is what work is called with.
type Item struct {
	ID   uint64
	Text string
	Sub  *Item
}

var (
	done, harmed, next atomic.Uint64
	stop               atomic.Bool
)

func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x7fb5d329728ea185
	return x ^ x>>27
}

// work is what is probed: its result follows from its arguments.
//
//go:noinline
func work(it *Item, salt uint64, text string) (uint64, error) {
	if salt%97 == 0 {
		return 0, fmt.Errorf("salt %d", salt)
	}
	return descend(it, salt, int(salt%40)) ^ uint64(len(text)), nil
}

// descend grows the stack.
//
//go:noinline
func descend(it *Item, salt uint64, depth int) uint64 {
	var pad [384]byte
	pad[depth] = byte(salt)
	if depth == 0 {
		return mix(it.ID ^ salt)
	}
	out := descend(it, salt, depth-1)
	if pad[depth] != byte(salt) {
		return 0
	}
	return out
}

//go:noinline
func broken(it *Item, depth int, exit bool) uint64 {
	if depth == 0 {
		if exit {
			runtime.Goexit()
		}
		panic(it.ID)
	}
	return broken(it, depth-1, exit) + 1
}

//go:noinline
func mended(it *Item, depth int) (id uint64) {
	defer func() { id, _ = recover().(uint64) }()
	return broken(it, depth, false)
}

func expect(ok bool, what string, it *Item) {
	done.Add(1)
	if !ok {
		harmed.Add(1)
		fmt.Fprintln(os.Stderr, "harmed:", what, it.ID)
	}
}

func one() {
	id := next.Add(1)
	text := strconv.FormatUint(id*7, 10)
	it := &Item{ID: id, Text: text, Sub: &Item{ID: mix(id)}}
	salt := id * 31
	got, err := work(it, salt, text)
	want := mix(id^salt) ^ uint64(len(text))
	expect(salt%97 == 0 && err != nil || salt%97 != 0 && got == want, "result", it)
	expect(it.Sub.ID == mix(id) && it.Text == text, "argument", it)
	switch id % 64 {
	case 3:
		expect(mended(it, int(id%20)) == id, "recovered", it)
	case 9:
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			broken(it, int(id%20), true)
		}()
		<-gone
	case 17:
		runtime.Gosched()
	case 23:
		expect(c(int(id)) == int(id)+1, "C", it)
	}
}

func main() {
	var all sync.WaitGroup
	loop := func(f func()) {
		all.Add(1)
		go func() {
			defer all.Done()
			for !stop.Load() {
				f()
			}
		}()
	}
	for i := 0; i < 3; i++ {
		loop(func() {
			// A fresh goroutine has a small stack.
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for j := 0; j < 50; j++ {
					one()
				}
			}()
			<-ended
			time.Sleep(time.Millisecond)
		})
	}
	loop(func() { runtime.GC(); time.Sleep(20 * time.Millisecond) })
	loop(func() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			harmed.Add(1)
			fmt.Fprintln(os.Stderr, "harmed: a child:", err)
		}
		time.Sleep(10 * time.Millisecond)
	})
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR1)
	loop(func() {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-signals
		time.Sleep(time.Millisecond)
	})
	loop(func() {
		if pprof.StartCPUProfile(io.Discard) == nil {
			time.Sleep(50 * time.Millisecond)
			pprof.StopCPUProfile()
		}
		time.Sleep(20 * time.Millisecond)
	})
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"PID": os.Getpid()})
	io.Copy(io.Discard, os.Stdin)
	stop.Store(true)
	all.Wait()
	out.Encode(map[string]any{"Done": done.Load(), "Harmed": harmed.Load()})
}
