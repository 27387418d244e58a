// Library is Go in a program of another language (-buildmode=c-shared).
package main

import "C"

import "sync"

type settings struct {
	Limit int
	Name  string
}

var (
	mu    sync.Mutex
	jobs  = make(chan int)
	conf  = &settings{5, "north"}
	Count int
)

// Start begins to hang: one of these goroutines sends with the lock held, and nobody receives.
//
//export Start
func Start() {
	for range 3 {
		go func() {
			mu.Lock()
			jobs <- conf.Limit
		}()
	}
}

// Work is called by the program again and again.
//
//export Work
func Work(n int) int {
	for range n {
		Count += conf.Limit
		if Count < 0 {
			Count = len(conf.Name)
		}
	}
	return Count
}

func main() {}
