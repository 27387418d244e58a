// Package stock is the library whose calls are recorded: a type with interfaces that it calls, and a parser.
package stock

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Item is something that is sold.
type Item struct {
	Name  string
	Price int
	Tags  []string
}

// Store keeps items.
type Store interface {
	Get(name string) (*Item, error)
	Put(item *Item) error
}

// Desk sells what is in a store.
type Desk struct {
	Store Store
	Limit int

	mu    sync.Mutex
	spent map[string]int
}

// ErrLimit: somebody has spent enough.
var ErrLimit = errors.New("over the limit")

// Open opens a desk.
func Open(s Store, limit int) *Desk { return &Desk{Store: s, Limit: limit, spent: map[string]int{}} }

// Buy sells n of an item to somebody.
//
//go:noinline
func (d *Desk) Buy(who, name string, n int) (total int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	item, err := d.Store.Get(name)
	if err != nil {
		return 0, fmt.Errorf("buy: %w", err)
	}
	if n < 0 {
		panic("less than nothing")
	}
	if d.spent[who]+n*item.Price > d.Limit {
		return d.spent[who], ErrLimit
	}
	d.spent[who] += n * item.Price
	return d.spent[who], d.Store.Put(&Item{Name: item.Name, Price: item.Price + n%2, Tags: append(item.Tags[:0:0], who)})
}

// Parse reads "3 x apple".
//
//go:noinline
func Parse(order string) (n int, name string, err error) {
	count, name, ok := strings.Cut(order, " x ")
	if !ok {
		return 0, "", errors.New("no order")
	}
	n, err = strconv.Atoi(count)
	return n, name, err
}
