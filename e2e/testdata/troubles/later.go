package main

import (
	"sync"
	"time"
)

// What only comes later, each by a func value of another kind: nobody is missing.
func init() {
	troubles["healthy-later"] = func() {
		stall.open.Add(4)
		calls := map[string]func(){"done": stall.open.Done}
		go func() {
			time.Sleep(time.Hour)
			for _, call := range calls {
				call()
			}
		}()
		stall.done = &stall.open
		go stall.close()
		go eachOf(1, func() { stall.open.Done() })
		time.AfterFunc(time.Hour, func() { stall.open.Done() })
		go stall.open.Wait()

		time.AfterFunc(time.Hour, func() {
			for range stall.orders {
				results.Add(1)
			}
		})
		go func() {
			for i := 0; ; i++ {
				stall.orders <- i
			}
		}()
	}
	troubles["healthy-held"] = func() { // by interfaces, which only closures have
		crew := newCounter()
		crew.Add(1)
		go func() {
			time.Sleep(time.Hour)
			crew.Done()
		}()
		go func() {
			crew.Wait()
			results.Add(1)
		}()
	}
	troubles["healthy-offer"] = func() { // turns that nobody takes yet
		turns.next, turns.first, turns.stop = make(chan struct{}), make(chan struct{}), make(chan struct{})
		go turns.offer()
		if len(kept) > 1000 {
			<-turns.next
		}
	}
}

var turns limiter

// limiter offers turns, as github.com/caddyserver/certmagic's RingBufferRateLimiter does.
type limiter struct{ first, next, stop chan struct{} }

func (l *limiter) offer() {
	for {
		select {
		case l.first <- struct{}{}:
		case l.next <- struct{}{}:
			time.Sleep(time.Millisecond)
		case <-l.stop:
			return
		}
	}
}

// counter is what programs put in front of a WaitGroup that is to tell who waits for long.
type counter interface {
	Add(int)
	Done()
	Wait()
}

//go:noinline
func newCounter() counter { return &sync.WaitGroup{} }

var stall = &booth{orders: make(chan int)}

type booth struct {
	open   sync.WaitGroup
	done   interface{ Done() }
	orders chan int
}

//go:noinline
func (s *booth) close() {
	time.Sleep(time.Hour)
	s.done.Done()
}

//go:noinline
func eachOf[T any](_ T, done func()) {
	defer done()
	time.Sleep(time.Hour)
}
