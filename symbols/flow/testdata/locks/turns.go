package main

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// What goes round: each function has one loop.
var turns = []any{
	askFlag, askFlagAndYield, askWord, askClock, askChannel, askLock, askCall, askAnswer, askAndCount, endless,
	endlessInMemory,
	count, countFields, list, scan, float, countCalls, nested, again, mixed, halve, tries,
}

type state struct {
	i, n, sum int
	done      atomic.Bool
	mu        sync.Mutex
	next      *state
}

var (
	flag  atomic.Bool
	tally atomic.Uint64
	word  int
	sink  int
)

func askFlag() {
	for !flag.Load() {
	}
}

func askFlagAndYield(s *state) {
	for !s.done.Load() {
		runtime.Gosched()
	}
}

func askWord(s *state) {
	for s.n == 0 {
		runtime.Gosched()
	}
}

func askClock(end time.Time) {
	for time.Now().Before(end) {
	}
}

func askChannel(c chan int) {
	for {
		select {
		case v := <-c:
			sink = v
			return
		default:
		}
	}
}

func askLock(s *state) {
	for !s.mu.TryLock() {
	}
}

//go:noinline
func (s *state) empty() bool { return s.n == 0 }

func askCall(s *state) {
	for s.empty() {
	}
}

// answer gives more than it is given, so that what is kept of it lies in registers of further arguments.
//
//go:noinline
func (s *state) answer() ([]byte, uint64, error) {
	if s.n > 0 {
		defer s.mu.Unlock()
		s.mu.Lock()
	}
	return nil, uint64(s.n), nil
}

func askAnswer(s *state) {
	for {
		text, n, err := s.answer()
		if err == io.EOF || n == 7 || len(text) > 0 && text[0] == 'q' {
			return
		}
	}
}

func askAndCount(s *state) {
	for i := 0; !s.done.Load(); i++ {
		runtime.Gosched()
		sink = i
	}
}

func endless() {
	x := uint64(word)
	for {
		x = x*31 + 7
	}
}

func endlessInMemory() {
	for {
		tally.Add(1)
	}
}

func count(n uint64) (s uint64) {
	for i := uint64(0); i < n; i++ {
		s = s*31 + i ^ (s >> 7)
	}
	return s
}

func countFields(s *state) {
	for s.i < s.n {
		s.sum += s.i
		s.i++
	}
}

func list(s *state) (n int) {
	for ; s != nil; s = s.next {
		n += s.n
	}
	return n
}

func scan(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}

func float(x float64) float64 {
	for y := x / 2; ; {
		z := (y + x/y) / 2
		if z-y < 1e-9 && y-z < 1e-9 {
			return z
		}
		y = z
	}
}

//go:noinline
func mix(x int) int { return x*31 + 7 }

func countCalls(n int) (x int) {
	for i := 0; i < n; i++ {
		x = mix(x)
	}
	return x
}

func nested(n int) {
	for {
		for i := 0; i < n; i++ {
			tally.Add(uint64(i))
		}
	}
}

func again(x int) {
	for {
		x = mix(x)
	}
}

func mixed(s *state) {
	for {
		sink = mix(12345)
	}
}

func halve(x int) {
	for mix(x) > 100 {
		x = mix(x) / 2
	}
}

func tries(s *state, n int) bool {
	for i := 0; i < n; i++ {
		if s.mu.TryLock() {
			return true
		}
	}
	return false
}
