// Program locks has functions that hold a lock at a call of here, in every way that the compiler knows.
package main

import (
	"os"
	"sync"
)

type account struct {
	id  int
	mu  sync.Mutex
	rw  sync.RWMutex
	out chan int
}

var shared account

var pointed = &account{}

//go:noinline
func here(n int) { os.NewFile(uintptr(n), "") }

//go:noinline
func plain(a *account) {
	a.mu.Lock()
	here(1)
	a.mu.Unlock()
	here(2)
}

//go:noinline
func deferred(a, b *account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	here(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	here(2)
}

//go:noinline
func reader(a *account) {
	a.rw.RLock()
	here(1)
	a.rw.RUnlock()
	a.rw.Lock()
	here(2)
	a.rw.Unlock()
	here(3)
}

//go:noinline
func global() {
	shared.mu.Lock()
	here(1)
	shared.mu.Unlock()
	pointed.rw.Lock()
	here(2)
	pointed.rw.Unlock()
	here(3)
}

//go:noinline
func branch(a *account, n int) {
	a.mu.Lock()
	if n > 3 {
		a.mu.Unlock()
		here(1)
		return
	}
	here(2)
	a.mu.Unlock()
	here(3)
}

//go:noinline
func loop(all []*account) {
	for _, a := range all {
		a.mu.Lock()
		here(1)
		a.mu.Unlock()
		here(2)
	}
	here(3)
}

//go:noinline
func (a *account) lock() { a.mu.Lock() }

//go:noinline
func (a *account) unlock() { a.mu.Unlock() }

//go:noinline
func helped(a *account) {
	a.lock()
	here(1)
	a.unlock()
	here(2)
}

//go:noinline
func (a *account) balanced() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.id
}

//go:noinline
func calls(a *account) {
	here(a.balanced())
	here(2)
}

//go:noinline
func function(a *account) {
	a.mu.Lock()
	defer func() {
		a.id++
		a.mu.Unlock()
	}()
	here(1)
}

//go:noinline
func switched(a *account, n int) {
	a.mu.Lock()
	switch n {
	case 0:
		here(1)
	case 1:
		a.id = 3
	case 2:
		a.mu.Unlock()
		here(2)
		return
	case 3:
		a.id = 5
	case 4:
		a.id = 7
	case 5:
		a.id = 8
	case 6:
		a.id = 9
	case 7:
		a.id = 10
	case 8:
		a.id = 11
	}
	here(3)
	a.mu.Unlock()
}

//go:noinline
func try(a *account) {
	if a.mu.TryLock() {
		here(1)
		a.mu.Unlock()
	}
	here(2)
}

//go:noinline
func tryUntil(a *account) {
	for !a.mu.TryLock() {
		here(1)
	}
	here(2)
	a.mu.Unlock()
	here(3)
}

//go:noinline
func refused(a *account, n int) {
	if !a.rw.TryLock() {
		here(1)
		return
	}
	here(2)
	if n > 2 {
		here(3)
	}
	a.rw.Unlock()
}

//go:noinline
func all(list []*account) {
	for _, a := range list {
		a.mu.Lock()
		here(1)
	}
	here(2)
	for _, a := range list {
		a.mu.Unlock()
		here(3)
	}
	here(4)
}

//go:noinline
func allOf(list []account, order []int) {
	for i := len(order) - 1; i >= 0; i-- {
		list[order[i]].mu.Lock()
		defer list[order[i]].mu.Unlock()
		here(1)
	}
	here(2)
}

//go:noinline
func forEver(list []account) {
	for {
		for i := range list {
			list[i].mu.Lock()
			here(1)
		}
		here(2)
		for i := range list {
			list[i].mu.Unlock()
			here(3)
		}
		here(4)
	}
}

//go:noinline
func some(list []account) {
	for i := range list {
		list[i].mu.Lock()
		if list[i].id > 3 {
			list[i].mu.Unlock()
		}
		here(1)
	}
}

//go:noinline
func indexed(list []account, i, j int) {
	list[i].mu.Lock()
	defer list[i].mu.Unlock()
	here(1)
	list[j].mu.Lock()
	list[j].mu.Unlock()
	here(2)
}

//go:noinline
func twice(a *account) {
	func() { a.mu.Lock(); a.mu.Lock() }()
	here(1)
	a.mu.Unlock()
	here(2)
}

//go:noinline
func either(a *account, n int) {
	if n > 3 {
		a.mu.Lock()
		a.id = 3
	} else {
		a.mu.Lock()
	}
	here(1)
	a.mu.Unlock()
	here(2)
}

//go:noinline
func made(n int) {
	a := &account{out: make(chan int)}
	a.mu.Lock()
	pointed = a
	by := map[string]func(){"1": a.lock, "2": a.unlock}
	if n > 100 {
		by["1"]()
	}
	here(1)
	a.mu.Unlock()
	here(2)
}

//go:noinline
func forgets(a *account, n int) bool {
	a.mu.Lock()
	if n > 3 {
		return false
	}
	a.mu.Unlock()
	return true
}

//go:noinline
func left(a *account, n int) {
	here(1)
	forgets(a, n)
	here(2)
	forgets(a, n)
	here(3)
	a.mu.Unlock()
	here(4)
}

//go:noinline
func continues(a *account, list []int) {
	for _, n := range list {
		here(1)
		a.mu.Lock()
		here(2)
		if n > 3 {
			continue
		}
		a.mu.Unlock()
		here(3)
	}
	here(4)
}

//go:noinline
func locker(l sync.Locker) {
	l.Lock()
	here(1)
	l.Unlock()
	here(2)
}

func main() {
	a, b := &account{}, &account{}
	plain(a)
	deferred(a, b)
	reader(a)
	global()
	branch(a, len(os.Args))
	loop([]*account{a, b})
	helped(a)
	calls(a)
	function(a)
	switched(a, len(os.Args))
	try(a)
	tryUntil(a)
	refused(a, len(os.Args))
	all([]*account{a, b})
	allOf([]account{{}, {}}, []int{0, 1})
	some([]account{{}, {}})
	indexed([]account{{}, {}}, 0, 1)
	twice(a)
	either(a, len(os.Args))
	made(len(os.Args))
	left(a, len(os.Args))
	continues(a, []int{1, 2, 3})
	locker(&a.mu)
	insists(a, b)
	insistsBy(a, b)
	backsOff(a, b)
	ways(len(os.Args))
	if len(os.Args) > 1 {
		turns[0].(func())()
		here(sink + word)
		forEver([]account{{}, {}})
	}
}

//go:noinline
func insists(a, b *account) {
	a.mu.Lock()
	for !b.mu.TryLock() {
		here(1)
	}
	b.mu.Unlock()
	a.mu.Unlock()
}

//go:noinline
func (a *account) tried() bool { return a.mu.TryLock() }

//go:noinline
func insistsBy(a, b *account) {
	a.mu.Lock()
	for !b.tried() {
		here(1)
	}
	b.mu.Unlock()
	a.mu.Unlock()
}

//go:noinline
func backsOff(a, b *account) {
	for {
		a.mu.Lock()
		if b.mu.TryLock() {
			break
		}
		here(1)
		a.mu.Unlock()
		here(2)
	}
	b.mu.Unlock()
	a.mu.Unlock()
}

//go:noinline
func ways(n int) {
	here(1)
	if n > 0 {
		here(2)
	}
	for i := 0; i < n; i++ {
		here(3)
		if i > 5 {
			continue
		}
		here(4)
	}
	here(5)
}
