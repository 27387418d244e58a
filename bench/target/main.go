//go:build linux

// Target is what the benchmark looks at: a program that knows nothing of ri, with as many nodes, keys, bytes,
// goroutines and threads as it is told to make. A thread of its own notes how long the process stood still. It ends
// when its standard input does, so that none is left over however the benchmark ends.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

type node struct {
	value int64
	next  *node
	name  string
}

type record struct {
	id    int64
	name  string
	next  *record
	state int32
	_     [84]byte // 128 bytes in all
}

type entry struct {
	count int64
	label string
}

// What the benchmark asks for, by name.
var (
	first     *node // a list whose nodes were made one after the other
	shuffled  *node // one in an order that has nothing to do with where its nodes lie
	short     *node // as first, for tools that would take minutes for it
	table     map[string]*entry
	shortmap  map[string]*entry
	records   *record // 128 bytes each, in spans that lie apart
	heap      [][]byte
	answer    int
	ballast   [][]byte
	queue     = make(chan int)
	done      = make(chan struct{})
	mu        sync.Mutex
	condition = sync.NewCond(&mu)
	waiting   sync.WaitGroup
)

func main() {
	list := flag.Int("list", 0, "nodes in a linked list")
	keys := flag.Int("map", 0, "keys in a map")
	scattered := flag.Int("records", 0, "bytes of structures")
	size := flag.Int("heap", 0, "bytes of heap that change")
	change := flag.Int("change", 0, "bytes of it that change in a second")
	goroutines := flag.Int("goroutines", 0, "goroutines that wait, in several places")
	many := flag.Int("series", 0, "time series, of some 18 objects each")
	threads := flag.Int("threads", 0, "operating system threads, about")
	flag.IntVar(&answer, "answer", 42, "value of main.answer")
	web := flag.Bool("http", false, "answer requests, and nothing else")
	flag.Parse()
	if *web {
		if err := serveHTTP(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}

	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	first, shuffled, short = makeList(*list, false), makeList(*list, true), makeList(min(*list, shortLength), false)
	table, shortmap = makeMap(*keys), makeMap(min(*keys, shortLength))
	records = makeRecords(*scattered)
	if *many > 0 {
		fillSeries(*many)
		runtime.GC()
	}
	if *size == 0 {
		debug.SetGCPercent(-1) // nothing is allocated any more, and its pauses are none of the stops that are measured
	}
	for range *size / blockSize {
		block := make([]byte, blockSize)
		for i := 0; i < len(block); i += 4096 { // all of it is there
			block[i] = 1
		}
		heap = append(heap, block)
	}
	if *change > 0 {
		go churn(*change)
	}
	waiting.Add(*goroutines)
	for i := range *goroutines {
		places[i%len(places)](i)
	}
	waiting.Wait()
	if *threads > 0 {
		makeThreads(*threads)
	}
	// until those that said so wait
	time.Sleep(50 * time.Millisecond)
	// used, so that they are there
	fmt.Fprint(io.Discard, first, shuffled, short, len(table), len(shortmap), records, len(heap), len(ballast), answer)
	beat := newHeartbeat()
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(ask(in.Text(), beat))
	}
}

// makeList links n nodes.
func makeList(n int, shuffle bool) *node {
	if n == 0 {
		return nil
	}
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = &node{value: int64(i), name: "node"}
	}
	if shuffle {
		rand.Shuffle(n, func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	}
	for i := range n - 1 {
		nodes[i].next = nodes[i+1]
	}
	return nodes[0]
}

func makeMap(n int) map[string]*entry {
	m := map[string]*entry{}
	for i := range n {
		m[fmt.Sprintf("key-%07d", i)] = &entry{count: int64(i), label: "entry"}
	}
	return m
}

// makeRecords makes structures of so many bytes in all, a span (8 KiB) of them at a time, with as much of something
// else in between.
func makeRecords(bytes int) *record {
	var head *record
	for i := range bytes / 128 {
		if i%64 == 0 {
			ballast = append(ballast, make([]byte, 8192))
		}
		head = &record{id: int64(i), name: "record", next: head, state: int32(i % 5)}
	}
	return head
}

// shortLength is how long the short list and map are.
const shortLength = 20_000

const blockSize = 1 << 20

// churn writes a word into each of so many bytes' pages every second, all over the heap.
func churn(perSecond int) {
	const tick = 5 * time.Millisecond
	const page = 4096
	next := time.Now()
	for n := uint64(1); ; {
		for range perSecond / int(time.Second/tick) / page {
			block := heap[rand.IntN(len(heap))]
			at := rand.IntN(blockSize/page) * page
			for i := at; i < at+page; i += 64 {
				block[i]++
			}
			n++
		}
		next = next.Add(tick)
		time.Sleep(time.Until(next))
	}
}

// places are where goroutines wait.
var places = []func(int){
	func(int) { go receive() },
	func(int) { go choose() },
	func(i int) { go deep(i % 7) },
	func(int) { go sleep() },
	func(int) { go wait() },
}

func receive() { waiting.Done(); <-queue }

func choose() {
	waiting.Done()
	select {
	case <-queue:
	case <-done:
	}
}

//go:noinline
func deep(n int) {
	if n > 0 {
		deep(n - 1)
		return
	}
	receive()
}

func sleep() { waiting.Done(); time.Sleep(24 * time.Hour) }

func wait() {
	mu.Lock()
	waiting.Done()
	condition.Wait()
	mu.Unlock()
}

// makeThreads has threads wait in the kernel until there are about n.
func makeThreads(n int) {
	own, err := os.ReadDir("/proc/self/task")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	debug.SetMaxThreads(n + 1000)
	var started sync.WaitGroup
	for range n - len(own) - 1 { // the heartbeat's too
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			for {
				nap(time.Hour)
			}
		}()
	}
	started.Wait()
}

func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(pointer(&t)), 0, 0)
}
