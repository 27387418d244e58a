package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// What waits for channels that carry nothing, and what waits for that.
func init() {
	troubles["gate"] = func() { // workers that nobody lets go
		g := &gate{open: make(chan struct{})}
		kept = append(kept, g)
		for range [3]int{} {
			g.workers.Add(1)
			go g.work()
		}
		go g.wait()
		time.Sleep(waits)
	}
	troubles["healthy-gate"] = func() { // the same, with somebody who will, a context, and a timer
		g := &gate{open: make(chan struct{})}
		kept = append(kept, g)
		ctx, cancel := context.WithCancel(context.Background())
		kept = append(kept, cancel)
		g.workers.Add(3)
		go g.work()
		go g.until(ctx)
		go g.later(time.NewTimer(time.Hour))
		go g.wait()
		go g.opens()
		h := &gate{open: make(chan struct{})}
		kept = append(kept, h)
		time.AfterFunc(time.Hour, func() { close(h.open) })
		h.workers.Add(1)
		go h.work()
		go h.wait()
		i := &gate{open: make(chan struct{})}
		kept = append(kept, i)
		kept = append(kept, i.opens) // which somebody may call
		i.workers.Add(1)
		go i.work()
		go i.wait()
		time.Sleep(waits)
	}
	troubles["semaphore"] = func() { // an error's way out leaves out what gives it back
		s := &slots{free: make(chan struct{}, 3)}
		kept = append(kept, s)
		for i := range [12]int{} {
			go s.do(i)
		}
		time.Sleep(2 * waits)
	}
	troubles["weighted"] = func() {
		w := semaphore.NewWeighted(2)
		kept = append(kept, w)
		for i := range [6]int{} {
			go weigh(w, i)
		}
		time.Sleep(2 * waits)
	}
	troubles["healthy-weighted"] = func() {
		w := semaphore.NewWeighted(2)
		kept = append(kept, w)
		for range [3]int{} {
			go func() {
				if w.Acquire(context.Background(), 1) == nil {
					time.Sleep(time.Hour)
					w.Release(1)
				}
			}()
		}
		time.Sleep(waits)
	}
	troubles["semaphore-handler"] = func() { serveBad(&shop{slots: make(chan struct{}, 2)}) }
	troubles["semaphore-helpers"] = func() { serveBad(&house{&rooms{make(chan struct{}, 2)}}) }
	troubles["semaphore-loop"] = func() { officeOf(-1, -2, 3, 4).start() }
	troubles["healthy-slots"] = func() { // somebody empties it who sends only where there is room
		o := officeOf(-1, -2, 3, 4)
		go o.drain()
		o.start()
	}
	troubles["lock-and-channel"] = func() { // many of the same
		for range [150]int{} {
			m := &mailbox{letters: make(chan string)}
			m.taken.Add(1)
			kept = append(kept, m)
			go m.send()
			m.taken.Wait()
			go m.receive()
		}
		time.Sleep(3 * waits)
	}
	troubles["many-full"] = func() {
		for range [600]int{} {
			m := &mailbox{letters: make(chan string)}
			kept = append(kept, m)
			go m.put()
		}
		time.Sleep(waits)
	}
	troubles["many-left"] = func() {
		for range [600]int{} {
			m := &mailbox{}
			kept = append(kept, m)
			m.take()
			go m.send()
		}
		time.Sleep(waits)
	}
	troubles["many-gates"] = func() {
		for range [400]int{} {
			g := &gate{open: make(chan struct{})}
			kept = append(kept, g)
			g.workers.Add(1)
			go g.work()
			go g.wait()
		}
		time.Sleep(waits)
	}
}

type gate struct {
	open    chan struct{}
	workers sync.WaitGroup
	done    int
}

//go:noinline
func (g *gate) work() {
	defer g.workers.Done()
	<-g.open // gate: waits here
	g.done++
}

//go:noinline
func (g *gate) until(ctx context.Context) {
	defer g.workers.Done()
	<-ctx.Done()
	g.done++
}

//go:noinline
func (g *gate) later(t *time.Timer) {
	defer g.workers.Done()
	<-t.C
	g.done++
}

//go:noinline
func (g *gate) wait() {
	g.workers.Wait() // gate: is waited for here
	g.done++
}

//go:noinline
func (g *gate) opens() {
	time.Sleep(time.Hour)
	close(g.open)
}

type slots struct{ free chan struct{} }

var errOdd = errors.New("odd")

//go:noinline
func (s *slots) do(i int) (err error) {
	s.free <- struct{}{} // semaphore: waits here
	defer func() {
		if err == nil {
			<-s.free
		}
	}()
	time.Sleep(waits / 10)
	if i%2 == 1 {
		return errOdd
	}
	return nil
}

//go:noinline
func weigh(w *semaphore.Weighted, i int) {
	if w.Acquire(context.Background(), 1) != nil { // weighted: waits here
		return
	}
	if i >= 0 {
		return
	}
	w.Release(1)
}

type mailbox struct {
	mu      sync.Mutex
	letters chan string
	taken   sync.WaitGroup // until send has the lock
}

//go:noinline
func (m *mailbox) take() { m.mu.Lock() }

//go:noinline
func (m *mailbox) put() {
	m.letters <- "x" // many-full: waits here
}

//go:noinline
func (m *mailbox) send() {
	m.mu.Lock() // many-left: waits here
	defer m.mu.Unlock()
	m.taken.Done()
	m.letters <- "x" // lock-and-channel: waits here
}

//go:noinline
func (m *mailbox) receive() {
	for {
		m.mu.Lock()
		m.mu.Unlock()
		println(<-m.letters)
	}
}

// shop serves orders, a few at a time.
type shop struct {
	slots chan struct{}
	sold  int
}

// ServeHTTP leaves out what gives the slot back where an order is bad.
//
//go:noinline
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.slots <- struct{}{} // semaphore-handler: waits here
	if r.URL.Path == "/bad" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	s.sold++
	<-s.slots
}

// house does the same by way of others, and a deferred function.
type house struct{ rooms *rooms }

type rooms struct{ free chan struct{} }

//go:noinline
func (r *rooms) enter(ctx context.Context) error {
	select {
	case r.free <- struct{}{}: // semaphore-helpers: waits here
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

//go:noinline
func (r *rooms) leave() { <-r.free }

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.rooms.enter(context.Background()) != nil {
		return
	}
	if r.URL.Path == "/bad" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	defer h.rooms.leave()
	w.WriteHeader(http.StatusOK)
}

// office takes its turn in each round of a loop.
type office struct {
	jobs  chan int
	turns chan struct{}
	late  []int // jobs that come when those who keep their turns have them
}

func officeOf(jobs ...int) *office {
	o := &office{jobs: make(chan int, len(jobs)), turns: make(chan struct{}, 2)}
	kept = append(kept, o)
	for _, job := range jobs {
		if job < 0 {
			o.jobs <- job
		} else {
			o.late = append(o.late, job)
		}
	}
	return o
}

// start has more workers than there are jobs: some wait for the next.
func (o *office) start() {
	for range [6]int{} {
		go o.work()
	}
	for len(o.turns) < cap(o.turns) {
		time.Sleep(time.Millisecond)
	}
	for _, job := range o.late {
		o.jobs <- job
	}
	time.Sleep(2 * waits)
}

//go:noinline
func (o *office) work() {
	for job := range o.jobs {
		o.turns <- struct{}{} // semaphore-loop: waits here
		if job < 0 {
			continue
		}
		time.Sleep(time.Millisecond)
		<-o.turns
	}
}

// drain is one that nobody but the loop is in: it empties what it was given.
//
//go:noinline
func (o *office) drain() {
	for {
		time.Sleep(time.Hour)
		select {
		case o.turns <- struct{}{}:
		default:
			<-o.turns
		}
	}
}

func serveBad(h http.Handler) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	kept = append(kept, h)
	go http.Serve(ln, h)
	for i := range [6]int{} {
		go func(bad bool) {
			path := "/good"
			if bad {
				path = "/bad"
			}
			if resp, err := http.Get("http://" + ln.Addr().String() + path); err == nil {
				resp.Body.Close()
			}
		}(i < 2)
		time.Sleep(waits / 4)
	}
	time.Sleep(2 * waits)
}
