package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// What follows holds a lock that others wait for, and runs.
func init() {
	troubles["holds-spinning"] = func() { holds(func(a *account) { a.waitsForFlag() }) }
	troubles["holds-calculating"] = func() { holds(func(a *account) { a.calculates() }) }
	troubles["holds-deferred"] = func() { holds(func(a *account) { a.calculatesDeferred() }) }
	troubles["holds-yielding"] = func() { holds(func(a *account) { a.yields() }) }
	troubles["holds-polling"] = func() { holds(func(a *account) { a.polls() }) }
	troubles["holds-helper"] = func() { holds(func(a *account) { a.lockedByHelper() }) }
	troubles["holds-func"] = func() { holds(func(a *account) { locked(&a.mu, a.compute) }) }
	troubles["holds-embedded"] = func() {
		e := &embedded{}
		go e.calculates()
		time.Sleep(waits)
		for range [3]int{} {
			go e.get()
		}
		time.Sleep(waits)
	}
	troubles["writes-running"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.rebuild()
		time.Sleep(waits)
		for range [3]int{} {
			go r.lookup("a")
		}
		go r.add("b")
		time.Sleep(waits)
	}
	troubles["reads-running"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.scan()
		go r.scan()
		time.Sleep(waits)
		go r.add("b")
		time.Sleep(waits)
		go r.lookup("a")
		time.Sleep(waits)
	}
	troubles["once-running"] = func() {
		c := &config{}
		go c.once.Do(calculates)
		time.Sleep(waits)
		for range [2]int{} {
			go c.load()
		}
		time.Sleep(waits)
	}
	troubles["livelock"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		both := &sync.WaitGroup{}
		both.Add(2)
		go a.insists(b, both)
		go b.insists(a, both)
		time.Sleep(waits)
	}
	troubles["livelock-sleep"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		both := &sync.WaitGroup{}
		both.Add(2)
		go a.insistsSlowly(b, both)
		go b.insistsSlowly(a, both)
		time.Sleep(waits)
	}
	troubles["livelock-line"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		both := &sync.WaitGroup{}
		both.Add(2)
		go a.insists(b, both)
		go b.insistsInLine(a, both)
		time.Sleep(waits)
	}
	troubles["livelock-reads"] = func() {
		a, b := &registry{}, &registry{}
		reads, writes := &sync.WaitGroup{}, &sync.WaitGroup{}
		reads.Add(1)
		writes.Add(1)
		go a.insists(b, reads, writes)
		go b.insistsToWrite(a, writes, reads)
		time.Sleep(waits)
	}
	troubles["livelock-backoff"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		both := &sync.WaitGroup{}
		both.Add(2)
		go a.backsOff(b, both)
		go b.backsOff(a, both)
		time.Sleep(waits)
	}
	troubles["livelock-half"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		both := &sync.WaitGroup{}
		both.Add(2)
		go a.insists(b, both)
		go b.locksBoth(a, both)
		time.Sleep(3 * waits)
	}
}

// holds has goroutines wait for a lock that f keeps.
func holds(f func(a *account)) {
	a := &account{}
	go f(a)
	time.Sleep(waits)
	for range [3]int{} {
		go balance(a)
	}
	time.Sleep(waits)
}

//go:noinline
func (a *account) waitsForFlag() {
	a.mu.Lock() // holds-spinning: locked here
	for !flag.Load() {
	}
	a.mu.Unlock()
}

//go:noinline
func (a *account) calculates() {
	a.mu.Lock()
	for i := 0; ; i++ {
		a.balance = collatz(a.balance + i)
		if a.balance < 0 {
			break
		}
	}
	a.mu.Unlock()
}

//go:noinline
func (a *account) calculatesDeferred() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.compute()
}

//go:noinline
func (a *account) compute() {
	for i := 0; a.balance >= 0; i++ {
		a.balance = collatz(a.balance + i)
	}
}

//go:noinline
func (a *account) yields() {
	a.mu.Lock()
	for !flag.Load() {
		runtime.Gosched()
	}
	a.mu.Unlock()
}

//go:noinline
func (a *account) polls() {
	a.mu.Lock()
	for !flag.Load() {
		time.Sleep(time.Millisecond)
	}
	a.mu.Unlock()
}

//go:noinline
func (a *account) lockedByHelper() {
	a.lock()
	a.compute()
	a.unlock()
}

//go:noinline
func locked(mu *sync.Mutex, f func()) {
	mu.Lock()
	defer mu.Unlock()
	f()
}

type embedded struct {
	name string
	sync.Mutex
	n int
}

//go:noinline
func (e *embedded) calculates() {
	e.Lock()
	defer e.Unlock()
	for e.n >= 0 {
		e.n = collatz(e.n + 1)
	}
}

//go:noinline
func (e *embedded) get() int {
	e.Lock()
	defer e.Unlock()
	return e.n
}

//go:noinline
func collatz(n int) (steps int) {
	for n > 1 {
		if steps++; n&1 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
	}
	return steps
}

//go:noinline
func (r *registry) rebuild() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !flag.Load() {
		r.names["a"] = collatz(r.names["a"] + 27)
	}
}

//go:noinline
func (r *registry) scan() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for !flag.Load() {
		scanned.Add(uint64(collatz(r.names["a"] + 27)))
	}
}

var scanned atomic.Uint64

//go:noinline
func calculates() {
	for !flag.Load() {
		scanned.Add(uint64(collatz(27)))
	}
}

// insists keeps its lock, and tries for ever to get the other.
//
//go:noinline
func (a *account) insists(b *account, both *sync.WaitGroup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	both.Done()
	both.Wait()
	tries := 0
	for !b.mu.TryLock() {
		tries++
		attempts.Store(int64(tries))
	}
	b.balance++
	b.mu.Unlock()
}

// insistsInLine has its own lock, and tries to get the other, in one line.
//
//go:noinline
func (a *account) insistsInLine(b *account, both *sync.WaitGroup) {
	for b.mu.TryLock() { // until b has it
		b.mu.Unlock()
		runtime.Gosched()
	}
	var joined sync.Once
	for a.mu.Lock(); !b.mu.TryLock(); {
		joined.Do(both.Done)
		attempts.Add(1)
	}
	b.mu.Unlock()
	a.mu.Unlock()
}

// insists and insistsToWrite keep a lock each, insists for reading, and try for ever to get the other.
//
//go:noinline
func (r *registry) insists(other *registry, mine, others *sync.WaitGroup) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	mine.Done()
	others.Wait()
	for !other.mu.TryLock() {
		attempts.Add(1)
	}
	other.mu.Unlock()
}

//go:noinline
func (r *registry) insistsToWrite(other *registry, mine, others *sync.WaitGroup) {
	var joined sync.Once
	others.Wait()
	for r.mu.Lock(); !other.mu.TryLock(); {
		joined.Do(mine.Done)
		attempts.Add(1)
	}
	other.mu.Unlock()
	r.mu.Unlock()
}

var attempts atomic.Int64

//go:noinline
func (a *account) insistsSlowly(b *account, both *sync.WaitGroup) {
	a.mu.Lock()
	both.Done()
	both.Wait()
	for !b.mu.TryLock() {
		time.Sleep(time.Millisecond)
	}
	b.balance++
	b.mu.Unlock()
	a.mu.Unlock()
}

//go:noinline
func (a *account) locksBoth(b *account, both *sync.WaitGroup) {
	a.mu.Lock()
	both.Done()
	both.Wait()
	b.mu.Lock()
	b.balance++
	b.mu.Unlock()
	a.mu.Unlock()
}

// backsOff gives its own lock back when it doesn't get the other, and takes it again at once.
//
//go:noinline
func (a *account) backsOff(b *account, both *sync.WaitGroup) {
	for tries := 0; ; tries++ {
		a.mu.Lock()
		if tries == 0 {
			both.Done()
			both.Wait()
		}
		time.Sleep(time.Millisecond)
		if b.mu.TryLock() {
			break
		}
		a.mu.Unlock()
	}
	b.mu.Unlock()
	a.mu.Unlock()
}

// What follows is healthy: locks that many want, and that are given back.
func init() {
	troubles["healthy-contended"] = func() {
		a, r := &account{}, &registry{names: map[string]int{"a": 1}}
		for i := range [8]int{} {
			go contend(a, r, i)
		}
	}
	troubles["healthy-tries"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		for range [2]int{} {
			go attempt(a, b)
			go attempt(b, a)
			go sweep(a)
		}
	}
	troubles["healthy-spinlock"] = func() {
		for range [2]int{} {
			go spinLocked(&swap)
		}
	}
}

// contend holds locks for long pieces of work, and gives them back.
func contend(a *account, r *registry, i int) {
	for n := 0; ; n++ {
		a.mu.Lock()
		for k := range [2000]int{} {
			a.balance += collatz(n + k)
		}
		a.mu.Unlock()
		if i == 0 {
			r.add("a")
			continue
		}
		r.mu.RLock()
		for k := range [1000]int{} {
			scanned.Add(uint64(collatz(n + k + r.names["a"])))
		}
		r.mu.RUnlock()
	}
}

// attempt takes two locks in any order, and gives the first back when it doesn't get the second.
func attempt(a, b *account) {
	for n := 0; ; n++ {
		a.mu.Lock()
		if b.mu.TryLock() {
			a.balance += collatz(n)
			b.balance -= a.balance
			b.mu.Unlock()
		}
		a.mu.Unlock()
		time.Sleep(time.Duration(n%7) * 100 * time.Microsecond)
	}
}

// sweep asks now and then.
func sweep(a *account) {
	for {
		for !a.mu.TryLock() {
			time.Sleep(5 * time.Millisecond)
		}
		a.balance = 0
		a.mu.Unlock()
	}
}

var swap atomic.Int32

// spinLocked takes a lock that it spins for, and gives it back.
func spinLocked(lock *atomic.Int32) {
	for n := 0; ; n++ {
		for !lock.CompareAndSwap(0, 1) {
		}
		scanned.Add(uint64(collatz(n)))
		lock.Store(0)
	}
}
