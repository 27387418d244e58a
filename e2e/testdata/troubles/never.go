package main

import (
	"context"
	"io"
	"runtime/pprof"
	"sync"
	"time"
)

func init() {
	// Each waits for a channel or a WaitGroup of its own, as stuck requests leave them.
	troubles["each"] = func() {
		for range [2000]int{} {
			go request()
		}
		time.Sleep(waits)
	}
	troubles["nil-channel"] = func() {
		var c chan int
		go receive(c)
		go func() { select {} }()
		time.Sleep(waits)
	}
	troubles["leak"] = func() {
		for range [20]int{} {
			firstOf(3)
		}
		time.Sleep(waits)
	}
	troubles["leak-closures"] = func() { // what is sent lies beside the channel, in the closure
		answer := make(chan int)
		for i := range [6]int{} {
			n := i
			go func() {
				answer <- n // leak-closures: waits here
			}()
		}
		<-answer
		time.Sleep(waits)
	}
	troubles["profile"] = profile
	troubles["nil-select"] = func() {
		var a, b chan int
		go either(a, b)
		time.Sleep(waits)
	}
	troubles["forgotten-done"] = func() {
		var wg sync.WaitGroup
		wg.Add(2)
		go worker(&wg, true)
		go worker(&wg, false)
		go func() {
			wg.Wait() // forgotten-done: waits here
			kept = append(kept, 1)
		}()
		time.Sleep(waits)
	}
	troubles["senders"] = func() {
		a, b := make(chan int), make(chan int)
		go exchange(a, b)
		go exchange(b, a)
		time.Sleep(waits)
	}
	troubles["cond"] = func() {
		q := &queue{}
		q.ready = sync.NewCond(&q.mu)
		go q.take()
		time.Sleep(waits)
	}
	troubles["context"] = func() {
		ctx, cancel := context.WithCancel(context.Background())
		go stays(ctx, ticks)
		time.Sleep(waits)
		cancel()
		time.Sleep(waits)
	}
	troubles["contexts"] = func() { // many of one kind
		for range [1000]int{} {
			ctx, cancel := context.WithCancel(context.Background())
			go stays(ctx, ticks)
			defer cancel()
		}
		time.Sleep(waits)
	}
	troubles["full"] = func() {
		go consume(1)
		for range [8]int{} {
			go produce()
		}
		time.Sleep(2 * waits)
	}
	troubles["group"] = func() {
		workers.Add(2)
		go done(true)
		go done(false)
		go finish()
		time.Sleep(waits)
	}
	troubles["global-senders"] = func() {
		go exchange(left, right)
		go exchange(right, left)
		time.Sleep(waits)
	}
}

var (
	ticks       = make(chan int)
	jobs        = make(chan int, 4)
	workers     sync.WaitGroup
	left, right = make(chan int), make(chan int)
)

//go:noinline
func either(a, b chan int) {
	select { // nil-select: waits here
	case <-a:
	case <-b:
	}
}

//go:noinline
func receive(c chan int) int { return <-c } // nil-channel: waits here

// firstOf asks several and takes the first answer: the others can't give theirs.
//
//go:noinline
func firstOf(n int) int {
	answers := make(chan int)
	for i := range make([]int, n) {
		go answer(answers, i)
	}
	return <-answers
}

//go:noinline
func answer(answers chan int, n int) {
	answers <- n // leak: waits here
}

//go:noinline
func worker(wg *sync.WaitGroup, ok bool) {
	if !ok {
		return
	}
	wg.Done()
}

//go:noinline
func exchange(to, from chan int) {
	to <- 1 // senders: waits here
	<-from
}

type queue struct {
	mu    sync.Mutex
	ready *sync.Cond
	n     int
}

//go:noinline
func (q *queue) take() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n == 0 {
		q.ready.Wait() // cond: waits here
	}
	q.n--
}

// stays looks at its context only between two ticks.
//
//go:noinline
func stays(ctx context.Context, ticks chan int) {
	for ctx.Err() == nil {
		<-ticks // context: waits here
	}
}

//go:noinline
func consume(n int) {
	for range make([]int, n) {
		<-jobs
	}
}

//go:noinline
func produce() {
	for {
		jobs <- 1 // full: waits here
	}
}

//go:noinline
func done(ok bool) {
	if !ok {
		return
	}
	workers.Done()
}

//go:noinline
func finish() {
	workers.Wait() // group: waits here
}

// profile has Go's own profile look for leaked goroutines, where the program has it: it gives them a state of their
// own.
func profile() {
	if p := pprof.Lookup("goroutineleak"); p != nil {
		if err := p.WriteTo(io.Discard, 0); err != nil {
			panic(err)
		}
	}
}

type inquiry struct {
	stop   sync.WaitGroup
	events chan int
}

//go:noinline
func request() {
	w := &inquiry{events: make(chan int)}
	w.stop.Add(1)
	go func() {
		defer w.stop.Done()
		for i := 0; ; i++ {
			w.events <- i
		}
	}()
	w.stop.Wait()
}
