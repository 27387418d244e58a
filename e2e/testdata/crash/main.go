// Crash dies in the way that its argument names, with other goroutines waiting beside.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type node struct {
	name  string
	value int
	next  *node
}

type list struct {
	head *node
	size int
}

//go:noinline
func (n *node) valueOf() int { return n.value }

//go:noinline
func (l *list) sum(depth int) int {
	if depth > 0 {
		return l.sum(depth-1) + 1
	}
	total := 0
	at := l.head
	for i := 0; i < l.size; i++ {
		total += at.valueOf()
		at = at.next
	}
	return total
}

type notFound struct {
	Key  string
	Code int
}

func (e *notFound) Error() string { return fmt.Sprintf("no key %q (%d)", e.Key, e.Code) }

//go:noinline
func lookup(key string) { panic(&notFound{key, 404}) }

//go:noinline
func again() {
	defer func() {
		r := recover()
		panic(fmt.Errorf("wrapped: %v", r))
	}()
	lookup("first")
}

//go:noinline
func nested() {
	defer func() { panic("second, in a deferred function") }()
	panic("first")
}

//go:noinline
func recovered() {
	defer func() { fmt.Println("recovered:", recover()) }()
	panic("harmless")
}

//go:noinline
func deep(n int) int {
	var room [64]int
	room[n%64] = n
	return deep(n+1) + room[(n+1)%64]
}

//go:noinline
func repanic(f func()) {
	defer func() {
		if r := recover(); r != nil {
			panic(r)
		}
	}()
	f()
}

var target = uintptr(0x1234000)

//go:noinline
func call(f func()) { f(); sink = f }

//go:noinline
func even(n int) int { return odd(n+1) + 1 }

//go:noinline
func begin() { fmt.Println(even(1)) }

//go:noinline
func odd(n int) int {
	var room [64]int
	room[n%64] = n
	return even(n+1) + room[(n+1)%64]
}

var sink any

// shelf has fields that are nil, and of a type that what is accessed would fit in.
type shelf struct {
	spare, last *node
	tiny        *struct {
		pad  [2]uint64
		flag int8
	}
	nodes map[string]*node
}

//go:noinline
func (s *shelf) take(name string) int {
	n := s.nodes[name]
	total := n.value
	s.last = n
	return total + len(s.nodes)
}

var ways = map[string]func(){
	"nil": func() {
		l := &list{head: &node{"a", 1, &node{"b", 2, nil}}, size: 3}
		fmt.Println(l.sum(3))
	},
	"candidates": func() { fmt.Println((&shelf{nodes: map[string]*node{"a": {}}}).take("b")) },
	"bounds":     func() { s := make([]int, 3); i := len(os.Args) + 5; fmt.Println(s[i]) },
	"assert":     func() { var x any = &list{}; fmt.Println(x.(fmt.Stringer)) },
	"divide":     func() { n := len(os.Args) - 2; fmt.Println(7 / n) },
	"nilmap":     func() { var m map[string]int; m["x"] = 1 },
	"maps": func() {
		m := map[int]int{}
		for range make([]int, 8) {
			go func() {
				for i := 0; ; i++ {
					m[i%100]++
				}
			}()
		}
		select {}
	},
	"custom":     func() { lookup("answer") },
	"again":      again,
	"nested":     nested,
	"recovered":  func() { recovered(); lookup("after") },
	"oom":        func() { debug.SetGCPercent(-1); fill() },
	"stack":      func() { debug.SetMaxStack(1 << 20); fmt.Println(deep(1)) },
	"exit":       func() { os.Exit(7) },
	"deadlock":   func() { var mu sync.Mutex; mu.Lock(); mu.Lock() },
	"goexit":     func() { runtime.Goexit() },
	"unlock":     func() { var mu sync.Mutex; mu.Unlock() },
	"closed":     func() { c := make(chan int); close(c); close(c) },
	"value":      func() { panic(42) },
	"repanic":    func() { repanic(func() { lookup("again") }) },
	"renil":      func() { repanic(func() { fmt.Println((*node)(nil).valueOf()) }) },
	"jump":       func() { at := &target; call(*(*func())(unsafe.Pointer(&at))) },
	"mutual":     func() { debug.SetMaxStack(1 << 20); fmt.Println(even(1)) },
	"endless":    func() { debug.SetMaxStack(1 << 26); begin() },
	"long":       func() { panic(strings.Repeat("long ", 1000)) },
	"abort":      func() { syscall.Kill(os.Getpid(), syscall.SIGABRT); time.Sleep(time.Hour) },
	"error":      func() { panic(errors.New("plain error")) },
	"fault":      func() { fmt.Println(*(*int)(unsafe.Pointer(bad))) },
	"threads":    threads,
	"inC":        inC,
	"wait":       wait,
	"background": func() { go background("job"); select {} },
}

// kept is found in a stripped program's heap by its name.
type kept struct {
	name  string
	table map[string]node
	any   any
	list  []int
	room  [600]byte // large enough for the allocator to note the type
}

func wait() {
	k := &kept{name: "kept", table: map[string]node{"one": {value: 1}, "two": {value: 2}}, any: &node{name: "inner"},
		list: []int{10, 20, 30}}
	sink = k
	fmt.Println("ready")
	time.Sleep(time.Hour)
	runtime.KeepAlive(k)
}

var bad = uintptr(0x7fff12345678)

func fill() {
	var all [][]byte
	for {
		b := make([]byte, 64<<20)
		all = append(all, b)
		sink = all
	}
}

func threads() {
	debug.SetMaxThreads(8)
	for range make([]int, 20) {
		go func() { runtime.LockOSThread(); time.Sleep(time.Hour) }()
	}
	time.Sleep(time.Hour)
}

func background(name string) {
	defer fmt.Println("deferred", name)
	defer func() {
		defer func() { recover() }()
		panic("in a deferred function, and recovered")
	}()
	items := []string{"one", "two"}
	work(items, 2)
}

//go:noinline
func work(items []string, i int) { fmt.Println(items[i]) }

func main() {
	var mu sync.Mutex
	mu.Lock()
	if os.Args[1] != "deadlock" && os.Args[1] != "goexit" {
		for range make([]int, 3) {
			go func() { time.Sleep(time.Hour) }()
		}
	}
	c := make(chan int)
	for range make([]int, 5) {
		go func() { <-c }()
	}
	runtime.Gosched()
	time.Sleep(10 * time.Millisecond)
	ways[os.Args[1]]()
}
