package main

import (
	"context"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"kinds/internal/thing/v2"
	"kinds/internal/yaml.v3"
)

// labelled is a goroutine, by the function it blocks in, with its pprof labels.
type labelled struct {
	Func   string
	Labels map[string]string
}

// parked lists functions of goroutines that must have parked before anything is printed.
var parked []string

// gate is never opened.
var gate = make(chan struct{})

// listener must live: closed by its finalizer it would end the connection that blockedNet reads.
var listener net.Listener

func start(name string, f func()) {
	parked = append(parked, "main."+name+"(")
	go f()
}

//go:noinline
func blockedReceive() { <-gate }

//go:noinline
func blockedNil() { <-(chan int)(nil) }

//go:noinline
func blockedSend(c chan point) { c <- point{1, 2} }

//go:noinline
func blockedSelect(a, b chan int) int {
	select {
	case x := <-a:
		return x
	case b <- 1:
		return 2
	case <-gate:
		return 3
	}
}

//go:noinline
func blockedForever() { select {} }

//go:noinline
func blockedMutex(m *sync.Mutex) { m.Lock() }

//go:noinline
func blockedRead(m *sync.RWMutex) { m.RLock() }

//go:noinline
func blockedGroup(w *sync.WaitGroup) { w.Wait() }

//go:noinline
func blockedCond(c *sync.Cond) {
	c.L.Lock()
	c.Wait()
}

//go:noinline
func blockedSleep() { time.Sleep(1000 * time.Hour) }

//go:noinline
func blockedNet(c net.Conn) {
	var b [1]byte
	c.Read(b[:])
}

//go:noinline
func blockedSyscall(fd int) {
	var b [1]byte
	syscall.Read(fd, b[:])
}

var spins uint64

//go:noinline
func spinning(n *uint64) {
	for {
		*n++
		if *n == 0 {
			runtime.Gosched()
		}
	}
}

// Calls that are inlined, down to one that blocks.
func inlinedOuter(n int) int  { return inlinedMiddle(n+1) + n }
func inlinedMiddle(n int) int { return inlinedInner(n + 1) }
func inlinedInner(n int) int {
	blockedInlined(n)
	return n
}

//go:noinline
func blockedInlined(n int) { <-gate }

//go:noinline
func blockedDefer() {
	defer func() {
		if r := recover(); r != nil {
			<-gate
		}
	}()
	var p *point
	p.X = 1
}

type speaker interface{ speak(c chan struct{}) }

// speak is reached through a wrapper: by an interface that holds a pointer, and by embedding.
type quiet struct{ words string }

func (q quiet) speak(c chan struct{}) { <-c; runtime.KeepAlive(q.words) }

type embedsQuiet struct {
	n int
	quiet
}

//go:noinline
func blockedWrapper(s speaker) { s.speak(gate) }

func block(r *report) {
	var mu sync.Mutex
	mu.Lock()
	var rw sync.RWMutex
	rw.Lock()
	var group sync.WaitGroup
	group.Add(1)
	cond := sync.NewCond(new(sync.Mutex))
	start("blockedReceive", blockedReceive)
	start("blockedNil", blockedNil)
	start("blockedSend", func() { blockedSend(make(chan point)) })
	start("blockedSelect", func() { blockedSelect(make(chan int), make(chan int)) })
	start("blockedForever", blockedForever)
	start("blockedMutex", func() { blockedMutex(&mu) })
	start("blockedRead", func() { blockedRead(&rw) })
	start("blockedGroup", func() { blockedGroup(&group) })
	start("blockedCond", func() { blockedCond(cond) })
	start("blockedSleep", blockedSleep)
	start("blockedInlined", func() { inlinedOuter(40) })
	start("blockedDefer", blockedDefer)
	start("blockedWrapper", func() { blockedWrapper(&embedsQuiet{1, quiet{"a"}}) })
	start("(*Box[...]).hold", func() { (&Box[point]{Value: point{3, 4}, Name: "box"}).hold(gate, point{5, 6}) })
	start("(*Box[...]).hold", func() { (&Box[string]{Value: "boxed", Name: "text box"}).hold(gate, "extra") })
	start("holdPair[...]", func() { holdPair(gate, season(2), []point{{7, 8}}) })
	go yaml.Default.Wait(gate)
	go thing.All[0].Wait(gate)
	go spinning(&spins)

	var err error
	if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		panic(err)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	start("blockedNet", func() { blockedNet(client) })

	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	start("blockedSyscall", func() { blockedSyscall(pipe[0]) })

	labels := pprof.Labels("tenant", "acme", "request", "42")
	start("blockedLabelled", func() { pprof.Do(context.Background(), labels, func(context.Context) { blockedLabelled() }) })
	r.Labelled = append(r.Labelled, labelled{"main.blockedLabelled", map[string]string{"tenant": "acme", "request": "42"}},
		labelled{"main.blockedReceive", nil})
}

//go:noinline
func blockedLabelled() { <-gate }

// settle waits until every goroutine that is to park has parked, and lets the collector see them wait.
func settle() {
	for _, name := range parked {
		for !isParked(name) {
			runtime.Gosched()
			time.Sleep(time.Millisecond)
		}
	}
	runtime.GC()
	runtime.GC()
	for _, name := range parked {
		for !isParked(name) {
			time.Sleep(time.Millisecond)
		}
	}
	if os.Getenv("KINDS_QUIET") == "" {
		for spins == 0 {
			runtime.Gosched()
		}
	}
}

// isParked tells whether all goroutines in a function of this name wait, and one does.
func isParked(name string) bool {
	found := false
	for _, g := range strings.Split(stacks(), "\n\n") {
		if !strings.Contains(g, name) {
			continue
		}
		found = true
		header := g[:strings.IndexByte(g, '\n')]
		if strings.Contains(header, "[run") {
			return false
		}
	}
	return found
}

func stacks() string {
	b := make([]byte, 1<<22)
	return string(b[:runtime.Stack(b, true)])
}
