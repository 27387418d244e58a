// old is built by Go 1.19, which takes a file: in it a goroutine locks what it has, another waits behind, one waits for a
// channel that nobody has, and main waits for a timer.
package main

import (
	"fmt"
	"sync"
	"time"
)

type store struct {
	mu    sync.Mutex
	names map[string]int
}

var all = &store{names: map[string]int{"a": 1}}

func again() {
	var own sync.Mutex
	all.mu.Lock()
	locked <- true
	own.Lock()
	own.Lock()
}

func behind() { all.mu.Lock() }

func lost(c chan int) { <-c }

var locked = make(chan bool)

func main() {
	go again()
	<-locked
	go behind()
	go lost(make(chan int))
	fmt.Println("ready")
	<-time.After(time.Hour)
}
