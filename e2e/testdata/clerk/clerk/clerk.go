// Package clerk is a library that receives from channels in each way that Go has.
package clerk

import (
	"math/rand/v2"
	"time"
)

// Order is what comes through a channel.
type Order struct {
	Name  string
	Count int
	Tags  []string
}

// Answer is what somebody answers.
type Answer struct{ Count, More int }

// Ledger is where it goes.
type Ledger interface {
	Book(name string, count int, tags []string) error
	Flush(total int)
}

// Clerk books orders.
type Clerk struct {
	Orders chan *Order
	Ticks  <-chan time.Time
	Stop   chan struct{}
	Ledger Ledger

	total int
	mark  int
	inner chan int // its own
}

// Start has it work.
//
//go:noinline
func (c *Clerk) Start() {
	c.inner, c.mark = make(chan int), rand.IntN(100)
	go func() {
		for n := range c.inner {
			c.total += n
			c.inner <- c.total
		}
	}()
	go c.run()
}

func (c *Clerk) run() {
	for {
		select {
		case o, ok := <-c.Orders:
			if !ok {
				c.Ledger.Flush(-1)
				return
			}
			c.inner <- o.Count
			c.total = <-c.inner
			_ = c.Ledger.Book(o.Name, c.total, o.Tags)
		case <-c.Ticks:
			c.Ledger.Flush(c.total)
		case <-c.Stop:
			return
		}
	}
}

// Ask sends a question, and waits for the answer.
//
//go:noinline
func (c *Clerk) Ask(questions chan<- string, answers <-chan Answer) int {
	questions <- "how many?"
	answer := <-answers
	return answer.Count + answer.More
}

// Count sends numbers, and their end.
//
//go:noinline
func (c *Clerk) Count(n int) <-chan int {
	numbers := make(chan int)
	go func() {
		for i := range n {
			numbers <- i + n
		}
		close(numbers)
	}()
	return numbers
}

// Sum adds what comes until there is no more.
//
//go:noinline
func (c *Clerk) Sum(list <-chan int) (sum int) {
	deep(64)
	for n := range list {
		sum += n
	}
	return sum
}

// deep has the stack grow.
//
//go:noinline
func deep(n int) (sum int) {
	var room [256]int
	if n > 0 {
		room[n] = deep(n - 1)
	}
	return room[n] + n
}

// Drain takes what is there.
//
//go:noinline
func (c *Clerk) Drain(notes chan string) (all []string) {
	for {
		select {
		case note := <-notes:
			all = append(all, note)
		default:
			return all
		}
	}
}
