package main

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Who waits for each other through different things, and who tries again and again what can't come about.
func init() {
	troubles["weighted-mutual"] = func() { // one share each, and each wants the other's
		a, b := semaphore.NewWeighted(1), semaphore.NewWeighted(1)
		kept = append(kept, a, b)
		var both sync.WaitGroup
		both.Add(2)
		go transferShares(a, b, &both)
		go transferShares(b, a, &both)
	}
	troubles["weighted-shares"] = func() { // two of one semaphore hold a share each, and want another
		w := semaphore.NewWeighted(2)
		kept = append(kept, w)
		var both sync.WaitGroup
		both.Add(2)
		for range [2]int{} {
			go growShares(w, &both)
		}
	}
	troubles["lock-and-cond"] = func() {
		s := newStage()
		kept = append(kept, s)
		s.waits()
	}
	troubles["lock-and-cond-lost"] = func() { newStage().waits() } // nobody else has it
	troubles["spin-http"] = func() { go getAgain("http://" + nobodyListens()) }
	troubles["spin-exec"] = func() { go execAgain("/nowhere/is/it") }
	troubles["spin-exec-path"] = func() { go execAgain("no-program-has-this-name") }
	troubles["spin-lookup"] = func() { go lookUpAgain("no such name") }
	troubles["spin-lookup-address"] = func() { go lookUpAgain("nowhere.invalid") }
	troubles["spin-due"] = func() { go lapseOne() }
	troubles["spin-tick"] = func() { go onTicks(time.NewTicker(time.Nanosecond)) }
}

//go:noinline
func transferShares(from, to *semaphore.Weighted, both *sync.WaitGroup) {
	if from.Acquire(context.Background(), 1) != nil {
		return
	}
	defer from.Release(1)
	both.Done()
	both.Wait()
	if to.Acquire(context.Background(), 1) != nil { // weighted-mutual: waits here
		return
	}
	defer to.Release(1)
	results.Add(1)
}

//go:noinline
func growShares(w *semaphore.Weighted, both *sync.WaitGroup) {
	if w.Acquire(context.Background(), 1) != nil {
		return
	}
	both.Done()
	both.Wait()
	if w.Acquire(context.Background(), 1) != nil { // weighted-shares: waits here
		return
	}
	results.Add(1)
	w.Release(2)
}

// stage has a lock that is kept while its Cond, which has a lock inside, is waited for.
type stage struct {
	outer sync.Mutex
	mu    sync.Mutex
	ready *sync.Cond
	done  bool
}

func newStage() *stage {
	s := &stage{}
	s.ready = sync.NewCond(&s.mu)
	return s
}

func (s *stage) waits() {
	has := make(chan struct{})
	go s.await(has)
	<-has
	go s.wake()
}

//go:noinline
func (s *stage) await(has chan struct{}) {
	s.outer.Lock()
	defer s.outer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	close(has)
	for !s.done {
		s.ready.Wait() // lock-and-cond: waits here
	}
}

//go:noinline
func (s *stage) wake() {
	s.outer.Lock() // lock-and-cond: would wake it
	defer s.outer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.ready.Broadcast()
}

//go:noinline
func getAgain(url string) *http.Response {
	for {
		if r, err := http.Get(url); err == nil {
			return r
		}
	}
}

//go:noinline
func execAgain(name string) error {
	for {
		if err := exec.Command(name).Run(); err == nil {
			return err
		}
	}
}

//go:noinline
func lookUpAgain(name string) []string {
	for {
		if all, err := net.LookupHost(name); err == nil {
			return all
		}
	}
}

//go:noinline
func lapseOne() {
	for {
		<-time.After(0)
		results.Add(1)
	}
}

//go:noinline
func onTicks(t *time.Ticker) {
	for {
		<-t.C
		results.Add(1)
	}
}
