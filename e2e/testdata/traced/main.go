// Command traced makes calls when it is told to, and says of each what it was given and what it gave.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Call is what the program itself says of a call.
type Call struct {
	ID     int
	Tenant string
	Path   string
	Amount int // given back
	Err    string
	Panics bool
}

type Address struct{ City string }

type Customer struct {
	Name    string
	Address *Address
}

type Order struct {
	ID       int
	Customer *Customer
	Lines    []string
}

type Service struct{ handled int }

var errOdd = errors.New("odd")

//go:noinline
func (s *Service) Handle(o *Order, path string, nap time.Duration) (amount int, err error) {
	if nap > 0 {
		time.Sleep(nap)
	}
	deepen(o.ID % 40)
	switch {
	case o.ID%10 == 9:
		panic("nine")
	case o.ID%2 == 1:
		return 0, fmt.Errorf("order %d: %w", o.ID, errOdd)
	}
	return o.ID * 100, nil
}

// deepen has the stack grow.
//
//go:noinline
func deepen(n int) byte {
	var room [256]byte
	if n > 0 {
		room[n] = deepen(n - 1)
	}
	return room[n]
}

func call(s *Service, id int) (c Call) {
	o := &Order{ID: id, Customer: &Customer{Name: fmt.Sprintf("customer-%d", id%7)}, Lines: []string{"bolt", "nut"}}
	if id%3 != 0 {
		o.Customer.Address = &Address{City: []string{"Bern", "Oslo"}[id%2]}
	}
	c = Call{ID: id, Tenant: o.tenant(), Path: "/orders/" + strings.Repeat("x", id%5)}
	defer func() { c.Panics = recover() != nil }()
	var err error
	if c.Amount, err = s.Handle(o, c.Path, time.Duration(id%4)*time.Millisecond); err != nil {
		c.Err = err.Error()
	}
	return c
}

func main() {
	s := &Service{}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	next, held := 0, 0
	for in.Scan() {
		var n int
		fmt.Sscan(in.Text(), &n)
		if n < 0 { // calls that don't return
			for range -n {
				o := &Order{ID: next, Customer: &Customer{Name: "held"}}
				go s.Handle(o, "/held", time.Hour)
				next, held = next+1, held+1
			}
			for stacks := make([]byte, 1<<20); ; { // until they are in their sleep
				if all := stacks[:runtime.Stack(stacks, true)]; strings.Count(string(all), "time.Sleep(") >= held {
					break
				}
			}
			fmt.Println("[]")
			continue
		}
		calls := make([]Call, n)
		var all sync.WaitGroup
		for i := range calls {
			all.Add(1)
			id := next + i
			go func() {
				defer all.Done()
				calls[i] = call(s, id)
			}()
		}
		all.Wait()
		next += n
		line, err := json.Marshal(calls)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n", line)
	}
}

// tenant is inlined where it is called.
func (o *Order) tenant() string { return o.Customer.Name }
