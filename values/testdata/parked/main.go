// Command parked has 2,000 goroutines that wait in one place, called from left or from right, which look the same but for their addresses.
// A line on its input moves one of them over.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"sync"
)

var (
	channels [2000]chan int
	started  sync.WaitGroup
)

//go:noinline
func wait(c chan int) int { return <-c }

//go:noinline
func left(c chan int) int { return wait(c) + 1 }

//go:noinline
func right(c chan int) int { return wait(c) + 2 }

func work(c chan int) {
	started.Done()
	for {
		left(c)
		right(c)
	}
}

func main() {
	started.Add(len(channels))
	for i := range channels {
		channels[i] = make(chan int)
		go work(channels[i])
	}
	started.Wait()
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]int{"PID": os.Getpid()})
	next := 0
	for in := bufio.NewScanner(os.Stdin); in.Scan(); next++ {
		channels[next] <- 1
		out.Encode(map[string]string{"Stacks": ""})
	}
}
