package main

import (
	"encoding/json"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// What runs all the time, and gets on: it calculates, or hands something over.
func init() {
	troubles["burn-regexp"] = func() { go match(strings.Repeat("ab", 1<<20)) }
	troubles["burn-crunch"] = func() { go func() { results.Add(grind(1 << 62)) }() }
	troubles["healthy-ping-pong"] = func() {
		for range [6]int{} {
			a, b := make(chan int), make(chan int)
			go passOn(a, b)
			go passOn(b, a)
			a <- 0
		}
	}
	troubles["healthy-lock-step"] = func() {
		t := &turnstile{}
		t.changed = sync.NewCond(&t.mu)
		go t.step(0)
		go t.step(1)
	}
	troubles["healthy-helpers"] = func() {
		go calculate(mixUp)
		go calculate(fibonacci)
		go straight(12345)
		go fields(&simulation{})
		go marshal()
		go multiply(64)
	}
	troubles["healthy-sleepers"] = func() {
		for range [40]int{} {
			go nap(10 * time.Microsecond)
		}
	}
	troubles["healthy-stream"] = func() {
		c := make(chan int, 1024)
		go pour(c)
		go sumUp(c)
	}
	troubles["healthy-reader"] = func() { go drain(zeros()) }
	troubles["overloaded"] = func() {
		runtime.GOMAXPROCS(2)
		go overload()
	}
}

// overload begins a hundred jobs a second, whose answers are waited for, and each of which takes long.
func overload() {
	began := time.Now()
	for jobs := 0; ; time.Sleep(10 * time.Millisecond) {
		for ; jobs < 50+int(time.Since(began)/(10*time.Millisecond)); jobs++ {
			answer := make(chan uint64)
			go calculateLong(answer)
			go func() { results.Add(<-answer) }()
		}
	}
}

func calculateLong(answer chan<- uint64) {
	s := uint64(0)
	for range [1000]int{} {
		s += grind(100_000)
		runtime.Gosched()
	}
	answer <- s
}

//go:noinline
func grind(n uint64) (s uint64) {
	for i := uint64(0); i < n; i++ {
		s = s*31 + i ^ (s >> 7)
	}
	return s
}

// match has regexp search for what isn't there.
//
//go:noinline
func match(text string) {
	for {
		if regexp.MustCompile("(a|b|ab|ba|aba|bab)*c").MatchString(text) {
			results.Add(1)
		}
	}
}

func passOn(in, out chan int) {
	for v := range in {
		out <- v + 1
	}
}

type turnstile struct {
	mu      sync.Mutex
	changed *sync.Cond
	turn    int
}

func (t *turnstile) step(me int) {
	for {
		t.mu.Lock()
		for t.turn%2 != me {
			t.changed.Wait()
		}
		t.turn++
		t.mu.Unlock()
		t.changed.Broadcast()
	}
}

//go:noinline
func mixUp(n uint64) uint64 {
	for i := uint64(0); i < 50+n%10; i++ {
		n = n*31 + i ^ n>>7
	}
	return n
}

//go:noinline
func fibonacci(n uint64) uint64 {
	if n = n % 24; n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

//go:noinline
func calculate(f func(uint64) uint64) {
	for {
		results.Add(f(23))
	}
}

//go:noinline
func once(n uint64) uint64 { return n*31 ^ n>>7 ^ n<<9 }

//go:noinline
func straight(n uint64) {
	for {
		results.Add(once(n))
	}
}

type simulation struct {
	at, end, sum uint64
	mu           sync.Mutex
}

//go:noinline
func (s *simulation) step() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum = s.sum*31 + s.at
	s.at++
	return s.at != s.end
}

//go:noinline
func fields(s *simulation) {
	for s.step() {
	}
}

//go:noinline
func marshal() {
	document := map[string]any{"name": "a name", "list": []int{1, 2, 3}, "inner": map[string]string{"k": "v"}}
	for {
		b, err := json.Marshal(document)
		if err != nil {
			panic(err)
		}
		results.Add(uint64(len(b)))
	}
}

//go:noinline
func multiply(n int) {
	a, b, c := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
	for {
		for i := 0; i < n; i++ {
			for j := 0; j < n; j++ {
				sum := 0.0
				for k := 0; k < n; k++ {
					sum += a[i*n+k] * b[k*n+j]
				}
				c[i*n+j] = sum
			}
		}
		results.Add(uint64(c[0]))
	}
}

func nap(d time.Duration) {
	for {
		time.Sleep(d)
	}
}

func pour(c chan int) {
	for i := 0; ; i++ {
		c <- i
	}
}

//go:noinline
func sumUp(c chan int) {
	for v := range c {
		results.Add(uint64(v))
	}
}

// zeros is a reader that never ends.
func zeros() io.Reader {
	f, err := os.Open("/dev/zero")
	if err != nil {
		panic(err)
	}
	return f
}
