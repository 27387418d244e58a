// Shop uses package stock: so many customers at once, so many times each. It says how often it called, and ends.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"example.com/shop/stock"
)

type shelf struct {
	mu    sync.Mutex
	items map[string]*stock.Item
	gets  int
	puts  int
}

var errNone = errors.New("there is none")

//go:noinline
func (s *shelf) Get(name string) (*stock.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gets++; s.gets%25 == 0 {
		panic("the shelf has fallen")
	}
	if item, ok := s.items[name]; ok {
		return item, nil
	}
	return nil, errNone
}

//go:noinline
func (s *shelf) Put(item *stock.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	s.items[item.Name] = item
	return nil
}

func main() {
	times, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	s := &shelf{items: map[string]*stock.Item{"apple": {Name: "apple", Price: 2}, "pear": {Name: "pear", Price: 3}}}
	d := stock.Open(s, 400)
	buys := 0
	for i := range times {
		var wg sync.WaitGroup
		for who := range 3 {
			buys++
			wg.Go(func() {
				defer func() { recover() }()
				order := fmt.Sprintf("%d x %s", i%5-(i%7)/6*5, []string{"apple", "pear", "plum"}[(i+who)%3])
				n, name, err := stock.Parse(order)
				if err == nil {
					_, _ = d.Buy("customer-"+strconv.Itoa(who), name, n)
				}
			})
		}
		wg.Wait()
	}
	fmt.Printf("parse=%d buy=%d get=%d put=%d\n", buys, buys, s.gets, s.puts)
}
