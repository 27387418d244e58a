package main

import (
	"errors"
	"sync"
	"time"
)

// Who took a lock, where that isn't told by one way through one function.
func init() {
	troubles["twice-line"] = func() {
		a := &account{}
		go a.twice()
		time.Sleep(waits)
		go balance(a)
		time.Sleep(waits)
	}
	troubles["twice-rlock"] = func() {
		r := &registry{}
		go r.both()
		time.Sleep(waits)
	}
	troubles["continue"] = func() {
		t := &table{rows: map[int]string{}}
		go t.apply([]int{1, 2, -3, 4})
		time.Sleep(waits)
		go t.apply([]int{5})
		time.Sleep(waits)
	}
	troubles["continue-helper"] = func() {
		t := &table{rows: map[int]string{}}
		go t.all([]int{1, -2, 3})
		time.Sleep(waits)
	}
	troubles["return-again"] = func() {
		t := &table{rows: map[int]string{}}
		go t.replace(-1, 2)
		time.Sleep(waits)
	}
	troubles["returned-here"] = func() { // the function that forgot has returned to one that is still there
		t := &table{rows: map[int]string{}}
		go t.keep(-1)
		time.Sleep(waits)
		go t.set(1)
		time.Sleep(waits)
	}
	troubles["rlock-kept"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.watch()
		time.Sleep(waits)
		go r.add("b")
		time.Sleep(waits)
	}
	troubles["rlock-returned"] = func() {
		r := &registry{names: map[string]int{"a": 1}}
		go r.serve()
		time.Sleep(waits)
		go r.add("b")
		time.Sleep(waits)
	}
	troubles["abba-globals"] = func() {
		go leftRight()
		go rightLeft()
		time.Sleep(2 * waits)
	}
	troubles["abba-map"] = func() {
		m := map[string]*account{"a": {id: 1}, "b": {id: 2}}
		go byName(m, "a", "b")
		go byName(m, "b", "a")
		time.Sleep(2 * waits)
	}
	troubles["abba-embedded"] = func() {
		a, b := &safe{}, &safe{}
		go a.merge(b)
		go b.merge(a)
		time.Sleep(2 * waits)
	}
	troubles["abba-generic"] = func() {
		a, b := &shelf[string]{}, &shelf[string]{}
		go a.swap(b, "x")
		go b.swap(a, "y")
		time.Sleep(2 * waits)
	}
	troubles["abba-closure"] = func() {
		var a, b sync.Mutex
		n := 0
		lockBoth := func(x, y *sync.Mutex) {
			x.Lock()
			defer x.Unlock()
			time.Sleep(waits)
			y.Lock() // abba-closure: waits here
			defer y.Unlock()
			n++
		}
		go lockBoth(&a, &b)
		go lockBoth(&b, &a)
		time.Sleep(2 * waits)
	}
	troubles["abba-with"] = func() {
		a, b := &account{}, &account{}
		go a.with(func() { time.Sleep(waits); b.with(func() {}) })
		go b.with(func() { time.Sleep(waits); a.with(func() {}) })
		time.Sleep(2 * waits)
	}
	troubles["abba-write"] = func() {
		r, s := &registry{names: map[string]int{}}, &registry{names: map[string]int{}}
		go r.copyTo(s)
		go s.copyTo(r)
		time.Sleep(2 * waits)
	}
	troubles["abba-made"] = func() { // in a function that makes things while it holds
		a, b := &account{}, &account{}
		go fill(a, b)
		go fill(b, a)
		time.Sleep(2 * waits)
	}
	troubles["handed-over"] = func() { // who took it gave it to another goroutine, which never gives it back
		a := &account{}
		a.begin()
		go balance(a)
		time.Sleep(waits)
	}
}

//go:noinline
func (a *account) twice() { a.mu.Lock(); a.mu.Lock() } // twice-line: waits here

//go:noinline
func (r *registry) both() { r.mu.RLock(); r.mu.Lock() } // twice-rlock: waits here

type table struct {
	mu   sync.Mutex
	rows map[int]string
}

//go:noinline
func (t *table) apply(xs []int) {
	for _, x := range xs {
		t.mu.Lock() // continue: waits here
		if x < 0 {
			continue
		}
		t.rows[x] = "x"
		t.mu.Unlock()
	}
}

var errNegative = errors.New("negative")

//go:noinline
func (t *table) set(x int) error {
	t.mu.Lock() // set: waits here
	if x < 0 {
		return errNegative
	}
	t.rows[x] = "x"
	t.mu.Unlock()
	return nil
}

//go:noinline
func (t *table) all(xs []int) (failed int) {
	for _, x := range xs {
		if t.set(x) != nil {
			failed++
		}
	}
	return failed
}

//go:noinline
func (t *table) replace(x, y int) error {
	if err := t.set(x); err != nil {
		return t.set(y)
	}
	return nil
}

//go:noinline
func (t *table) keep(x int) {
	for t.set(x) != nil {
		time.Sleep(time.Hour) // returned-here: holds here
	}
}

//go:noinline
func (r *registry) watch() {
	r.mu.RLock()
	for n := range r.names {
		for r.names[n] > 0 {
			time.Sleep(time.Hour) // rlock-kept: holds here
		}
	}
}

//go:noinline
func (r *registry) first() string {
	r.mu.RLock()
	for n := range r.names {
		return n
	}
	r.mu.RUnlock()
	return ""
}

//go:noinline
func (r *registry) serve() {
	n := r.first()
	time.Sleep(time.Hour) // rlock-returned: holds here
	println(n)
}

var leftLock, rightLock sync.Mutex

//go:noinline
func leftRight() {
	leftLock.Lock()
	time.Sleep(waits)
	rightLock.Lock() // abba-globals: waits here
	rightLock.Unlock()
	leftLock.Unlock()
}

//go:noinline
func rightLeft() {
	rightLock.Lock()
	defer rightLock.Unlock()
	time.Sleep(waits)
	leftLock.Lock()
	defer leftLock.Unlock()
}

//go:noinline
func byName(m map[string]*account, x, y string) {
	m[x].mu.Lock()
	time.Sleep(waits)
	m[y].mu.Lock() // abba-map: waits here
	m[x].balance += m[y].balance
	m[y].mu.Unlock()
	m[x].mu.Unlock()
}

type safe struct {
	sync.Mutex
	parts []string
}

//go:noinline
func (s *safe) merge(o *safe) {
	s.Lock()
	defer s.Unlock()
	for range [1]int{} {
		time.Sleep(waits)
	}
	o.Lock() // abba-embedded: waits here
	defer o.Unlock()
	s.parts = append(s.parts, o.parts...)
}

type shelf[T any] struct {
	mu   sync.Mutex
	item T
}

//go:noinline
func (s *shelf[T]) swap(o *shelf[T], with T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.item = with
	time.Sleep(waits)
	o.mu.Lock() // abba-generic: waits here
	s.item, o.item = o.item, s.item
	o.mu.Unlock()
}

//go:noinline
func (a *account) with(f func()) {
	a.mu.Lock() // abba-with: waits here
	defer a.mu.Unlock()
	f()
}

//go:noinline
func (r *registry) copyTo(s *registry) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	time.Sleep(waits)
	s.mu.Lock() // abba-write: waits here
	for n, v := range r.names {
		s.names[n] = v
	}
	s.mu.Unlock()
}

//go:noinline
func fill(a, b *account) {
	list := []*account{a, b}
	a.mu.Lock()
	kept = append(kept, list)
	by := map[string]*account{"a": a, "b": b}
	for name, one := range by {
		if one.id > 3 {
			by[name+"+"] = &account{id: one.id + len(list)}
		}
	}
	time.Sleep(waits)
	by["b"].mu.Lock() // abba-made: waits here
	by["b"].balance += len(by)
	by["b"].mu.Unlock()
	a.mu.Unlock()
}

//go:noinline
func (a *account) begin() {
	a.mu.Lock()
	go a.end(never)
}

//go:noinline
func (a *account) end(c chan int) {
	<-c
	a.mu.Unlock()
}
