// Package p is a plugin whose goroutines hang.
package main

import "sync"

type order struct {
	ID   int
	Next *order
	Tag  string
}

var (
	mu sync.Mutex
	ch = make(chan *order)
)

func (o *order) do() {
	mu.Lock()
	ch <- o
}

// Start starts them.
func Start() any {
	o := &order{ID: 7, Tag: "north"}
	for range 3 {
		go o.do()
	}
	return o
}

func main() {}
