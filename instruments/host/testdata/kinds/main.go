// Command kinds holds one value of every Go kind for the tests of the Lua face, and waits.
package main

import (
	"container/heap"
	"container/list"
	"container/ring"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type State int

const (
	StateIdle State = iota
	StateBusy
	StateGone
)

type Node struct {
	value int
	next  *Node
}

type Inner struct {
	deep  int
	label string
}

type Base struct{ promoted string }

type Shape interface{ Area() float64 }

type Square struct{ side float64 }

func (s Square) Area() float64 { return s.side * s.side }

type Circle struct{ radius float64 }

func (c *Circle) Area() float64 { return c.radius }

type Pair[K comparable, V any] struct {
	key   K
	value V
}

type Point struct{ x, y int }

type Everything struct {
	Base
	*Inner
	b          bool
	i8         int8
	i16        int16
	i32        int32
	i64        int64
	u8         uint8
	u16        uint16
	u32        uint32
	u64        uint64
	uptr       uintptr
	f32        float32
	f64        float64
	c128       complex128
	text       string
	raw        string
	long       string
	empty      string
	array      [4]int
	slice      []string
	none       []string
	blank      []string
	bytes      []byte
	nodes      []*Node
	state      State
	took       time.Duration
	when       time.Time
	never      time.Time
	pointer    *int
	double     **int
	nothing    *Node
	square     Shape
	circle     Shape
	noShape    Shape
	anything   any
	err        error
	f          func(int) int
	closure    func() int
	noFunc     func()
	queue      chan int
	shut       chan string
	noChan     chan int
	names      map[string]int
	points     map[Point]string
	byID       map[uint64]*Node
	mixed      map[any]string
	noMap      map[string]int
	pair       Pair[string, int]
	count      atomic.Int64
	flag       atomic.Bool
	head       atomic.Pointer[Node]
	config     atomic.Value
	once       sync.Once
	sync       sync.Map
	list       *list.List
	emptyList  list.List
	badList    *list.List
	ring       *ring.Ring
	heap       intHeap
	ctx        context.Context
	sliceOfAny []any
	matrix     [][]int
	structs    []Point
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any          { old := *h; x := old[len(old)-1]; *h = old[:len(old)-1]; return x }

type hidden struct{ secret string }

var (
	all    Everything
	first  *Node
	cycle  *Node
	broken *Node
	grid   [2][3]int
)

func double(x int) int { return 2 * x }

//go:noinline
func (h *hidden) serve(ready, stop chan struct{}) {
	close(ready)
	<-stop
	fmt.Println(h.secret)
}

func main() {
	n := 1000
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	for i := n - 1; i >= 0; i-- {
		first = &Node{i, first}
	}
	cycle = &Node{1, &Node{2, &Node{3, nil}}}
	cycle.next.next.next = cycle.next
	one := 41
	p := &one
	captured := 7
	all = Everything{
		Base: Base{"from base"}, Inner: &Inner{deep: 5, label: "inner"},
		b: true, i8: -128, i16: -32768, i32: -2147483648, i64: -9223372036854775808,
		u8: 255, u16: 65535, u32: 4294967295, u64: 18446744073709551615, uptr: 0xdeadbeef,
		f32: 1.5, f64: 3.141592653589793, c128: complex(1, 2),
		text: "hello", raw: "a\xff\x00b", long: string(make([]byte, 2<<20)),
		array: [4]int{1, 2, 3, 4}, slice: []string{"a", "b", "c"}, blank: []string{}, bytes: []byte("bytes"),
		nodes: []*Node{{10, nil}, nil, {12, &Node{13, nil}}}, state: StateBusy, took: 1500 * time.Millisecond,
		when: time.Unix(1700000000, 5).UTC(), pointer: p, double: &p,
		square: Square{3}, circle: &Circle{2}, anything: 42, err: errors.New("went wrong"),
		f: double, closure: func() int { captured++; return captured },
		queue: make(chan int, 5), shut: make(chan string),
		names: map[string]int{"one": 1, "two": 2, "three": 3}, points: map[Point]string{{1, 2}: "p12", {3, 4}: "p34"},
		byID:  map[uint64]*Node{1: {100, nil}, 18446744073709551615: {101, nil}},
		mixed: map[any]string{"s": "string", 1: "int", 2.5: "float", true: "bool"},
		pair:  Pair[string, int]{"k", 9}, list: list.New(), badList: list.New(), ring: ring.New(3), ctx: context.Background(),
		sliceOfAny: []any{1, "two", nil, Point{5, 6}}, matrix: [][]int{{1, 2}, {3}}, structs: []Point{{1, 1}, {2, 2}},
	}
	all.queue <- 11
	all.queue <- 12
	close(all.shut)
	all.count.Store(77)
	all.flag.Store(true)
	all.head.Store(first)
	all.config.Store("configured")
	for i := 0; i < 40; i++ {
		all.sync.Store(fmt.Sprint("key", i), i)
	}
	all.sync.Delete("key3")
	for _, s := range []string{"x", "y", "z"} {
		all.list.PushBack(s)
		all.badList.PushBack(s)
	}
	for i := 0; i < 3; i++ {
		all.ring.Value = i
		all.ring = all.ring.Next()
	}
	heap.Push(&all.heap, 3)
	heap.Push(&all.heap, 1)
	names := make(map[string]int, 1000)
	for i := 0; i < 1000; i++ {
		names[fmt.Sprint("name", i)] = i
	}
	big = names
	makeJobs(n)
	corrupt()
	mutex.Lock()
	rwmutex.RLock()
	rwmutex.RLock()
	writing.Lock()
	wanted.RLock()
	go wanted.Lock()
	for wanted.TryRLock() {
		wanted.RUnlock()
		runtime.Gosched()
	}
	group.Add(3)
	ready, stop := make(chan struct{}), make(chan struct{})
	h := &hidden{"found in a frame"}
	pprof.Do(context.Background(), pprof.Labels("job", "serving"), func(context.Context) { go h.serve(ready, stop) })
	<-ready
	for i := 0; i < 100; i++ {
		runtime.Gosched()
	}
	fmt.Println("ready")
	var line string
	fmt.Scanln(&line)
	close(stop)
	runtime.KeepAlive(h)
	fmt.Println(jobs, jobsByKey, jobValues[0].size, jobList, jobQueue, anyJobs, badJobs, big64, low64, floats, ints,
		noInts, words, records, shuffled)
	fmt.Println(&free, lock, all.b, first, cycle, broken, grid, big, alike, byNode, small)
}

// Keys that are written alike.
type Word string

var (
	small = uint8(2)
	alike = map[any]string{1: "int", int64(1): "int64", 1.0: "float64", int64(2): "int64", uint8(2): "uint8",
		3.0: "float64", "w": "string", Word("w"): "Word"}
	byNode = map[*Node]int{}
)

var (
	big     map[string]int
	mutex   sync.Mutex
	rwmutex sync.RWMutex
	writing sync.RWMutex // held by a writer
	wanted  sync.RWMutex // by a reader; a writer waits
	free    sync.Mutex
	lock    sync.Locker = &writing
	group   sync.WaitGroup
)
