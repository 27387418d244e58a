package main

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// waits lets the program get to where it hangs.
const waits = 100 * time.Millisecond

type account struct {
	id      int
	mu      sync.Mutex
	balance int
}

func init() {
	troubles["abba"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		go transfer(a, b, 1)
		go transfer(b, a, 1)
		time.Sleep(2 * waits)
		for range [3]int{} {
			go balance(a)
		}
		time.Sleep(waits)
	}
	troubles["ring"] = func() {
		var all [5]*account
		for i := range all {
			all[i] = &account{id: i}
		}
		for i := range all {
			go plainTransfer(all[i], all[(i+1)%5], 1)
		}
		time.Sleep(2 * waits)
	}
	troubles["selflock"] = func() {
		a := &account{}
		go a.audit()
		time.Sleep(waits)
	}
	troubles["rlock"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.report()
		time.Sleep(waits)
		go r.add("b")
		time.Sleep(2 * waits)
		go r.lookup("a")
		time.Sleep(waits)
	}
	troubles["upgrade"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.upgrade("b")
		time.Sleep(waits)
	}
	troubles["lock-sleep"] = func() {
		go sleeper()
		time.Sleep(waits)
		go waiter()
		time.Sleep(waits)
	}
	troubles["held-shards"] = func() {
		go holdShards()
		time.Sleep(waits)
		for i := range shards {
			for j := 0; j < 3; j++ {
				go shard(i)
			}
		}
		time.Sleep(waits)
	}
	troubles["lock-channel"] = func() {
		p := &publisher{out: make(chan int)}
		go p.publish(1)
		time.Sleep(waits)
		go p.publish(2)
		time.Sleep(waits)
		published = p
	}
	troubles["lock-syscall"] = func() {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		kept = append(kept, r, w) // or their finalizers close them
		l := &logger{file: int(r.Fd())}
		go l.log()
		time.Sleep(waits)
		go l.log()
		time.Sleep(waits)
	}
	troubles["lock-network"] = func() {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		c := &client{conn: conn}
		go c.call()
		time.Sleep(waits)
		go c.call()
		time.Sleep(waits)
		kept = append(kept, listener)
	}
	troubles["starved"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.slowRead()
		time.Sleep(waits)
		go r.add("b")
		time.Sleep(waits)
		for range [4]int{} {
			go r.lookup("a")
		}
		time.Sleep(waits)
	}
	troubles["forgotten"] = func() {
		a := &account{}
		a.withdraw(5)
		go balance(a)
		time.Sleep(waits)
	}
	troubles["loop"] = func() {
		all := make([]account, 3)
		go lockAll([]*account{&all[0], &all[1], &all[2]})
		go lockDown(all)
		time.Sleep(3 * waits)
	}
	troubles["index"] = func() {
		b := &bank{}
		go b.move(2, 5)
		go b.move(5, 2)
		time.Sleep(2 * waits)
	}
	troubles["locker"] = func() {
		var a sync.Mutex
		var b sync.RWMutex
		go both(&a, &b)
		go both(b.RLocker(), &a)
		time.Sleep(2 * waits)
	}
	troubles["try"] = func() {
		a, b := &account{}, &account{}
		go a.tryBoth(b)
		go b.tryBoth(a)
		time.Sleep(2 * waits)
	}
	troubles["try-sleep"] = func() {
		a := &account{}
		go a.trySleep()
		time.Sleep(waits)
		go balance(a)
		time.Sleep(waits)
	}
	troubles["once"] = func() {
		c := &config{}
		go c.load()
		time.Sleep(waits)
	}
	troubles["once-stuck"] = func() {
		c := &config{}
		go c.once.Do(sleep)
		time.Sleep(waits)
		go c.load()
		time.Sleep(waits)
	}
	troubles["helper"] = func() {
		a, b := &account{id: 1}, &account{id: 2}
		go a.through(b)
		go b.through(a)
		time.Sleep(2 * waits)
	}
}

//go:noinline
func lockAll(list []*account) {
	for _, a := range list {
		a.mu.Lock() // loop: waits here
		time.Sleep(waits)
	}
	for _, a := range list {
		a.mu.Unlock()
	}
}

//go:noinline
func lockDown(all []account) {
	for i := len(all) - 1; i >= 0; i-- {
		all[i].mu.Lock()
		defer all[i].mu.Unlock()
		time.Sleep(waits)
	}
}

type bank struct{ accounts [8]account }

//go:noinline
func (b *bank) move(i, j int) {
	b.accounts[i].mu.Lock()
	defer b.accounts[i].mu.Unlock()
	time.Sleep(waits)
	b.accounts[j].mu.Lock() // index: waits here
	b.accounts[j].balance++
	b.accounts[j].mu.Unlock()
}

//go:noinline
func both(a, b sync.Locker) {
	a.Lock()
	time.Sleep(waits)
	b.Lock() // locker: waits here
	b.Unlock()
	a.Unlock()
}

//go:noinline
func (a *account) tryBoth(b *account) {
	if !a.mu.TryLock() {
		return
	}
	time.Sleep(waits)
	b.mu.Lock() // try: waits here
	b.balance++
	b.mu.Unlock()
	a.mu.Unlock()
}

//go:noinline
func (a *account) trySleep() {
	for !a.mu.TryLock() {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Hour) // try-sleep: holds here
	a.mu.Unlock()
}

type config struct{ once sync.Once }

//go:noinline
func (c *config) load() {
	c.once.Do(func() { c.load() }) // once: waits here
}

//go:noinline
func sleep() { time.Sleep(time.Hour) } // once-stuck: holds here

var (
	kept      []any
	published *publisher
	global    sync.Mutex
)

//go:noinline
func transfer(from, to *account, n int) {
	from.mu.Lock()
	defer from.mu.Unlock()
	time.Sleep(waits)
	to.mu.Lock() // abba: waits here
	defer to.mu.Unlock()
	from.balance -= n
	to.balance += n
}

//go:noinline
func plainTransfer(from, to *account, n int) {
	from.mu.Lock()
	time.Sleep(waits)
	to.mu.Lock() // ring: waits here
	from.balance -= n
	to.balance += n
	to.mu.Unlock()
	from.mu.Unlock()
}

//go:noinline
func balance(a *account) int {
	a.mu.Lock() // piles up here
	defer a.mu.Unlock()
	return a.balance
}

//go:noinline
func (a *account) audit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Fprintln(os.Stderr, a.total())
}

//go:noinline
func (a *account) total() int {
	a.mu.Lock() // selflock: waits here
	defer a.mu.Unlock()
	return a.balance
}

// withdraw forgets to unlock on one of its ways out.
//
//go:noinline
func (a *account) withdraw(n int) bool {
	a.mu.Lock()
	if a.balance < n {
		return false
	}
	a.balance -= n
	a.mu.Unlock()
	return true
}

//go:noinline
func (a *account) lock() { a.mu.Lock() }

//go:noinline
func (a *account) unlock() { a.mu.Unlock() }

//go:noinline
func (a *account) through(b *account) {
	a.lock()
	time.Sleep(waits)
	b.lock() // helper: waits here
	b.balance++
	b.unlock()
	a.unlock()
}

type registry struct {
	mu    sync.RWMutex
	names map[string]int
}

//go:noinline
func (r *registry) report() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	time.Sleep(3 * waits)
	fmt.Fprintln(os.Stderr, r.lookup("a"))
}

//go:noinline
func (r *registry) lookup(name string) int {
	r.mu.RLock() // rlock: waits here
	defer r.mu.RUnlock()
	return r.names[name]
}

//go:noinline
func (r *registry) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[name] = len(r.names)
}

//go:noinline
func (r *registry) upgrade(name string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.names[name] == 0 {
		r.mu.Lock() // upgrade: waits here
		r.names[name] = 1
		r.mu.Unlock()
	}
}

//go:noinline
func (r *registry) slowRead() {
	r.mu.RLock()
	time.Sleep(time.Hour) // starved: holds here
	r.mu.RUnlock()
}

//go:noinline
func sleeper() {
	global.Lock()
	time.Sleep(time.Hour) // lock-sleep: holds here
	global.Unlock()
}

var shards [50]sync.Mutex

//go:noinline
func holdShards() {
	for i := range shards {
		shards[i].Lock()
	}
	time.Sleep(time.Hour) // held-shards: holds here
	for i := range shards {
		shards[i].Unlock()
	}
}

//go:noinline
func shard(i int) {
	shards[i].Lock()
	shards[i].Unlock()
}

//go:noinline
func waiter() {
	global.Lock()
	global.Unlock()
}

type publisher struct {
	mu  sync.Mutex
	out chan int
	n   int
}

//go:noinline
func (p *publisher) publish(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	p.out <- p.n // lock-channel: holds here
}

type client struct {
	mu   sync.Mutex
	conn net.Conn
}

//go:noinline
func (c *client) call() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var answer [16]byte
	c.conn.Read(answer[:]) // lock-network: holds here
}
