// Command invariants keeps promises about its memory while it changes it all the time: a look that is of one instant
// finds them kept.
//
//	invariants pairs    goroutines write thousands of pairs, one after the other
//	invariants locks    accounts move money while they hold a lock; one lock is never released
package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	writers = 4
	pairs   = 2000 // of each writer
)

// Writer writes its pairs in order, first[i] before second[i]. At any instant at most one pair is broken, and
// what comes before it is one round ahead of what comes after. The two halves lie on different pages.
type Writer struct {
	first  [pairs]uint64
	second [pairs]uint64
}

func (w *Writer) run() {
	for n := uint64(1); ; n++ {
		for i := range w.first {
			atomic.StoreUint64(&w.first[i], n)
			atomic.StoreUint64(&w.second[i], n)
		}
	}
}

// Account promises that its entries add up to total, except while its lock is held.
type Account struct {
	mu      sync.Mutex
	entries [100]int64
	total   int64
	moves   int
}

// Ledger promises the same, and has readers.
type Ledger struct {
	mu      *sync.RWMutex
	entries [100]int64
	total   int64
	moves   int
}

// change breaks the promise, waits, and mends it. Both the broken and the whole state last.
func change(lock sync.Locker, entries *[100]int64, moves *int) {
	lock.Lock()
	entries[*moves%100] -= 5
	time.Sleep(300 * time.Microsecond)
	entries[(*moves+50)%100] += 5
	*moves++
	lock.Unlock()
	time.Sleep(300 * time.Microsecond)
}

var (
	all     [writers]*Writer
	account = &Account{}
	ledger  = &Ledger{mu: new(sync.RWMutex)}
	stuck   sync.Mutex
	nothing *Account
	read    atomic.Int64
)

func main() {
	switch os.Args[1] {
	case "pairs":
		for i := range all {
			all[i] = &Writer{}
			go all[i].run()
		}
	case "locks":
		stuck.Lock()
		go func() {
			for {
				change(&account.mu, &account.entries, &account.moves)
			}
		}()
		go func() {
			for {
				change(ledger.mu, &ledger.entries, &ledger.moves)
			}
		}()
		for i := 0; i < 2; i++ {
			go func() {
				for {
					ledger.mu.RLock()
					read.Add(ledger.total)
					time.Sleep(100 * time.Microsecond)
					ledger.mu.RUnlock()
					time.Sleep(100 * time.Microsecond)
				}
			}()
		}
	}
	fmt.Println("ready")
	var line string
	fmt.Scanln(&line)
	fmt.Println(nothing)
}
