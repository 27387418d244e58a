// Clerk uses package clerk: so many rounds of all that it can receive. It says how much that was, and ends.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"example.com/clerk/clerk"
)

type ledger struct {
	books, flushes int
	done           chan bool
}

//go:noinline
func (l *ledger) Book(name string, count int, tags []string) error {
	l.books++
	l.done <- true
	return nil
}

//go:noinline
func (l *ledger) Flush(total int) {
	l.flushes++
	l.done <- true
}

func main() {
	rounds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	l := &ledger{done: make(chan bool)}
	ticks := make(chan time.Time)
	c := &clerk.Clerk{Orders: make(chan *clerk.Order), Ticks: ticks, Stop: make(chan struct{}), Ledger: l}
	c.Start()
	sum, asked, drained, listed, counted := 0, 0, 0, 0, 0
	for i := range rounds {
		c.Orders <- &clerk.Order{Name: []string{"apple", "pear"}[i%2], Count: i, Tags: []string{"fresh"}}
		<-l.done
		ticks <- time.Now()
		<-l.done
		questions, answers := make(chan string), make(chan clerk.Answer)
		go func() {
			<-questions
			answers <- clerk.Answer{Count: i, More: 1}
		}()
		asked += c.Ask(questions, answers)
		list := make(chan int)
		go func() {
			for n := range i % 5 {
				list <- n
			}
			close(list)
		}()
		listed += i % 5
		sum += c.Sum(list)
		notes := make(chan string, 8)
		for range i % 4 {
			notes <- "note"
			drained++
		}
		c.Drain(notes)
		for range c.Count(i % 3) {
			counted++
		}
	}
	close(c.Orders)
	<-l.done
	// By channel: orders and the end of them, ticks; answers; lists and their ends; notes.
	fmt.Printf("received=%d\n", rounds+1+rounds+rounds+listed+rounds+drained)
	// Questions; numbers and their ends.
	fmt.Printf("sent=%d\n", rounds+counted+rounds)
}
