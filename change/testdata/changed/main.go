// Command changed is what changes are tested on: a variable of each kind, a collector that never rests if asked, and an
// HTTP-free way to ask what the program itself sees: a line on stdin names a variable, a line on stdout answers.
package main

import (
	"bufio"
	"container/list"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type State int

const (
	Off State = iota
	On
	Broken
)

type Limits struct {
	Max   int
	Small int8
	Big   uint64
	Ratio float64
	F32   float32
	Flag  bool
	State State
	Wait  time.Duration
	Text  string
	Inner struct{ Depth [4]uint16 }
}

type Server struct {
	Limits *Limits
	Name   string
	Peers  map[string]*Limits
	Counts map[string]int
	Large  map[string][200]byte
	Keys   map[any]int
	List   []int
	Bytes  []byte
	Sum    [8]byte
	Any    any
	Shape  fmt.Stringer
	Next   *Server
	Queue  chan int
	Hook   func() int
	C      complex128
}

// Base is embedded, and Pair generic.
type Base struct {
	ID   int64
	Tags []string
}

type Pair[K comparable, V any] struct {
	Key K
	Val V
}

type Color uint8

const (
	Red Color = iota
	Green
	Blue
)

type Switch bool
type Title string

// Kinds are the less common ones.
type Kinds struct {
	*Base
	Grid   [3][4]int16
	Switch Switch
	Title  Title
	Prices map[Color]float64
	Points map[[2]int]struct{ A, B int }
	Pair   Pair[string, int]
	Nested *Pair[int, Pair[string, bool]]
	When   time.Time
	Later  time.Time
	Narrow complex64
	Letter rune
}

type square struct{ side int }

func (s *square) String() string { return fmt.Sprintf("square %d", s.side) }

type round struct{ r int }

func (r *round) String() string { return "round" }

var (
	limits   = &Limits{Max: 100, Big: 1 << 63, Ratio: 0.5, F32: 1.5, Text: "hello world", Wait: time.Second}
	server   = newServer("one")
	other    = newServer("two")
	small    = &square{1}
	large    = &square{2}
	circle   = &round{3}
	counter  atomic.Int64
	enabled  atomic.Bool
	pointer  atomic.Pointer[Limits]
	value    atomic.Value
	raced    int64
	mu       sync.Mutex
	rw       sync.RWMutex
	elements = list.New()
	words    [64]uint64 // written together
	greeting = "good morning"
	kinds    = &Kinds{Base: &Base{ID: 7, Tags: []string{"a", "b"}}, Title: Title(strings.Clone("a title")),
		Prices: map[Color]float64{Red: 1, Blue: 2},
		Points: map[[2]int]struct{ A, B int }{{1, 2}: {3, 4}}, Pair: Pair[string, int]{"k", 1},
		Nested: &Pair[int, Pair[string, bool]]{1, Pair[string, bool]{"q", false}},
		When:   time.Unix(1700000000, 5).UTC(), Later: time.Now()}
	shapes []fmt.Stringer
)

func newServer(name string) *Server {
	return &Server{Limits: limits, Name: strings.Clone(name), Peers: map[string]*Limits{"a": {Max: 1}, "b": {Max: 2}},
		Counts: counts(),
		Large:  map[string][200]byte{"x": {1}}, Keys: map[any]int{1: 10, "1": 11},
		List:  append(make([]int, 0, 8), 1, 2, 3, 4),
		Bytes: []byte("abcdef"), Any: 7, Queue: full(), Hook: func() int { return 1 }}
}

func counts() map[string]int {
	m := map[string]int{}
	for i := 0; i < 1000; i++ {
		m[fmt.Sprint("k", i)] = i
	}
	return m
}

func full() chan int {
	c := make(chan int, 4)
	c <- 1
	c <- 2
	return c
}

var keep [][]byte

// hidden hangs off no variable.
type hidden struct{ secret int }

func wait(h *hidden) {
	bufio.NewReader(blocked{}).ReadByte()
	fmt.Println(h.secret)
}

type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

func main() {
	churn := flag.Bool("churn", false, "collect garbage all the time")
	race := flag.Bool("race", false, "change the variable raced all the time")
	spin := flag.Bool("spin", false, "keep a processor in the program's own code")
	goroutines := flag.Int("goroutines", 0, "`N` goroutines that wait")
	flag.Parse()
	for i := 0; i < *goroutines; i++ {
		go func() { select {} }()
	}
	server.Shape, other.Shape, server.Next = small, small, other
	pointer.Store(limits)
	shapes = []fmt.Stringer{small, large, circle}
	value.Store("stored")
	elements.PushBack(&Limits{Max: 5})
	if *churn {
		go func() {
			for {
				keep = nil
				for i := 0; i < 2000; i++ {
					keep = append(keep, make([]byte, 512))
				}
				runtime.GC()
			}
		}()
	}
	if *race {
		go func() {
			for {
				if atomic.AddInt64(&raced, 1)%1000 == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	if *spin {
		go func() {
			for x := uint64(1); ; x = x*6364136223846793005 + 1 {
				words[0] ^= x & 0
			}
		}()
	}
	go wait(&hidden{41})
	fmt.Println("ready", os.Getpid())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(answer(in.Text()))
	}
}

func answer(ask string) string {
	switch ask {
	case "limits":
		return fmt.Sprintf("%+v", *limits)
	case "server":
		if server.Limits == nil {
			return "no limits"
		}
		return fmt.Sprintf("%s %d %v %s %v %v %v %q %v", server.Name, len(server.List), server.List, server.Bytes, server.Sum,
			server.Any, server.Shape, server.Limits.Text, server.Next != nil)
	case "maps":
		return fmt.Sprint(server.Peers["a"].Max, server.Counts["k500"], server.Counts["k501"], len(server.Counts),
			server.Large["x"][0], server.Keys[1], server.Keys["1"])
	case "atomics":
		return fmt.Sprint(counter.Load(), enabled.Load(), pointer.Load() == limits, pointer.Load() == nil, value.Load())
	case "kinds":
		k := kinds
		return fmt.Sprint(*k.Base, k.Grid, k.Switch, k.Prices, k.Points, k.Pair, *k.Nested, k.When, k.When.Equal(k.Later),
			k.Narrow, k.Letter, Green, " title:", k.Title)
	case "complex":
		return fmt.Sprint(server.C)
	case "greeting":
		return greeting
	case "shapes":
		return fmt.Sprint(shapes, small, large, circle)
	case "exec":
		syscall.Exec("/proc/self/exe", os.Args, os.Environ())
		return "no exec"
	case "next":
		return fmt.Sprint(server.Next == server, server.Next == other)
	case "hook":
		return fmt.Sprint(server.Hook == nil)
	case "words":
		for _, w := range words {
			if w != words[0] {
				return fmt.Sprint("torn ", words)
			}
		}
		return fmt.Sprint("whole ", words[0])
	case "gc":
		for i := 0; i < 5; i++ {
			runtime.GC()
		}
		return "collected"
	case "append":
		server.List = append(server.List, 99)
		return fmt.Sprint(server.List)
	case "lock":
		mu.Lock()
		return "locked"
	case "unlock":
		mu.Unlock()
		return "unlocked"
	case "rlock":
		rw.RLock()
		return "locked"
	case "drop":
		server.Limits = nil
		limits = &Limits{Max: 1, Text: "new"}
		pointer.Store(nil)
		other.Limits = nil
		return "dropped"
	case "grow":
		for i := 0; i < 100000; i++ {
			server.Counts[fmt.Sprint("n", i)] = i
		}
		return "grown"
	}
	return "?"
}
