// Command waiting has goroutines that hold locks and wait for each other's, one function for each that waits or holds.
// None of them ever goes on.
package main

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

type account struct {
	n  int
	mu sync.Mutex
}

type wrapped struct {
	name string
	sync.RWMutex
}

// Locks, each with its holder and those who wait for it.
var (
	plain    sync.Mutex
	deferred sync.Mutex
	helped   sync.Mutex
	tried    sync.Mutex
	given    sync.Mutex // its holder was given its address
	called   sync.Mutex // taken through an interface
	left     sync.Mutex // by one who has returned
	maybe    sync.Mutex // taken on one way only
	spun     sync.Mutex // by one who runs
	outer    sync.Mutex // held while inner is waited for
	inner    sync.Mutex
	carried  sync.Mutex // held while a channel is sent to
	writing  sync.RWMutex
	reading  sync.RWMutex
	shards   [4]account
	rounds   [3]account
	lazily   sync.Once
	group    sync.WaitGroup
	unused   sync.Mutex // locked, and nobody waits for it
	object   = &account{}
	embedded = &wrapped{}
)

// Channels.
var (
	full    = make(chan int, 2)
	results = make(chan int)
	either  = make(chan string)
	other   = make(chan string)
	pipe    = struct{ jobs chan int }{make(chan int)}
	never   = make(chan struct{})
)

var turn bool

func stay() { <-never }

//go:noinline
func holdPlain() {
	plain.Lock()
	stay()
	plain.Unlock()
}

//go:noinline
func holdDeferred() {
	deferred.Lock()
	defer deferred.Unlock()
	stay()
}

//go:noinline
func take(mu *sync.Mutex) { mu.Lock() }

//go:noinline
func holdHelped() {
	take(&helped)
	stay()
	helped.Unlock()
}

//go:noinline
func holdTried() {
	if tried.TryLock() {
		stay()
		tried.Unlock()
	}
}

//go:noinline
func holdGiven(mu *sync.Mutex) {
	mu.Lock()
	stay()
	mu.Unlock()
}

//go:noinline
func holdCalled(l sync.Locker) {
	l.Lock()
	stay()
	l.Unlock()
}

//go:noinline
func leave() { left.Lock() }

//go:noinline
func holdMaybe(yes bool) {
	if yes {
		maybe.Lock()
	}
	stay()
}

//go:noinline
func holdSpun() {
	spun.Lock()
	for !turn {
		runtime.Gosched()
	}
	spun.Unlock()
}

//go:noinline
func holdOuter() {
	outer.Lock()
	inner.Lock()
	inner.Unlock()
	outer.Unlock()
}

//go:noinline
func holdInner() {
	inner.Lock()
	stay()
	inner.Unlock()
}

//go:noinline
func holdCarried() {
	carried.Lock()
	results <- 1
	carried.Unlock()
}

// takeResults would receive, if it had the lock.
//
//go:noinline
func takeResults() {
	carried.Lock()
	<-results
	carried.Unlock()
}

//go:noinline
func holdWriting() {
	writing.Lock()
	stay()
	writing.Unlock()
}

//go:noinline
func holdReading() {
	reading.RLock()
	stay()
	reading.RUnlock()
}

//go:noinline
func holdShard(i int) {
	shards[i].mu.Lock()
	stay()
	shards[i].mu.Unlock()
}

//go:noinline
func holdRounds(list []account) {
	for i := range list {
		list[i].mu.Lock()
		if i == 2 {
			stay()
		}
	}
}

//go:noinline
func holdLazily() { lazily.Do(stay) }

//go:noinline
func holdUnused() {
	unused.Lock()
	stay()
	unused.Unlock()
}

//go:noinline
func (a *account) hold() {
	a.mu.Lock()
	stay()
	a.n++
	a.mu.Unlock()
}

//go:noinline
func (a *account) wait() {
	a.mu.Lock()
	a.n++
	a.mu.Unlock()
}

//go:noinline
func (w *wrapped) hold() {
	w.RLock()
	stay()
	w.name = ""
	w.RUnlock()
}

//go:noinline
func (w *wrapped) wait() {
	w.Lock()
	w.name = ""
	w.Unlock()
}

//go:noinline
func waitFor(mu sync.Locker) {
	mu.Lock()
	mu.Unlock()
}

//go:noinline
func waitLazily() { lazily.Do(stay) }

//go:noinline
func waitGroup() { group.Wait() }

//go:noinline
func finish() {
	stay()
	group.Done()
}

//go:noinline
func sendFull(n int) { full <- n }

//go:noinline
func takeFull() {
	stay()
	<-full
}

//go:noinline
func choose() {
	select {
	case <-either:
	case other <- "":
	}
}

//go:noinline
func work() { <-pipe.jobs }

//go:noinline
func feed() {
	stay()
	pipe.jobs <- 1
}

// insist keeps its own, and tries to get the other.
//
//go:noinline
func insist(own, other *account) {
	own.mu.Lock()
	for !other.mu.TryLock() {
		time.Sleep(time.Hour)
	}
	other.mu.Unlock()
	own.mu.Unlock()
}

var proud, stubborn = &account{}, &account{}

// settle returns once as many goroutines as that run or are about to.
func settle(running int) {
	b := make([]byte, 1<<20)
	for {
		runtime.Gosched()
		n := 0
		for _, line := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n") {
			if strings.HasPrefix(line, "goroutine ") && (strings.Contains(line, "[running") || strings.Contains(line, "[runnable")) {
				n++
			}
		}
		if n == running {
			return
		}
	}
}

func all(list ...func()) {
	for _, f := range list {
		go f()
	}
	settle(1)
}

func main() {
	leave()
	full <- 1
	full <- 2
	group.Add(2)
	all(holdPlain, holdDeferred, holdHelped, holdTried, holdInner, holdCarried, holdWriting, holdReading, holdReading, holdLazily,
		holdUnused, object.hold, embedded.hold, stubborn.hold, finish, finish, takeFull, feed)
	go holdGiven(&given)
	go holdCalled(&called)
	go holdMaybe(true)
	go holdShard(2)
	go holdRounds(rounds[:])
	go insist(proud, stubborn)
	go holdOuter()
	settle(1)
	for _, mu := range []sync.Locker{&plain, &plain, &deferred, &helped, &tried, &given, &called, &left, &maybe, &outer,
		&writing, writing.RLocker(), &reading, &shards[2].mu, &rounds[0].mu} {
		go waitFor(mu)
		settle(1)
	}
	go waitFor(reading.RLocker()) // behind the writer
	all(takeResults, object.wait, embedded.wait, waitLazily, waitGroup, choose, work)
	go sendFull(1)
	go sendFull(2)
	settle(1)
	go holdSpun()
	for spun.TryLock() {
		spun.Unlock()
		runtime.Gosched()
	}
	go waitFor(&spun)
	settle(2)
	json.NewEncoder(os.Stdout).Encode(map[string]int{"PID": os.Getpid()})
	os.Stdin.Read(make([]byte, 1))
}
