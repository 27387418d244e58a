package main

import (
	"fmt"
	"sync"
	"unsafe"
)

// Quarantine lists the blocks that no device may allocate, because they were
// found bad when the device was formatted.
type Quarantine struct {
	mu     sync.Mutex
	head   *BadBlock
	tail   *BadBlock
	length int
}

// BadBlock is one block set aside.
type BadBlock struct {
	device *Device
	block  int64
	reason string
	next   *BadBlock
}

// wildAddress is where the list is made to lead when it is damaged on
// purpose: nothing is mapped there, and the garbage collector, which knows
// that no heap is there, doesn't mind.
const wildAddress uintptr = 0xdead0000

func (q *Quarantine) add(d *Device, block int64, reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := &BadBlock{device: d, block: block, reason: reason}
	if q.tail == nil {
		q.head = b
	} else {
		q.tail.next = b
	}
	q.tail = b
	q.length++
}

// walk returns the blocks listed and, if the list is damaged, how. It goes no
// further than a damaged list can be trusted.
func (q *Quarantine) walk() ([]*BadBlock, string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	blocks := make([]*BadBlock, 0, q.length)
	seen := make(map[*BadBlock]bool, q.length)
	for b := q.head; b != nil; b = b.next {
		if uintptr(unsafe.Pointer(b)) == wildAddress {
			return blocks, fmt.Sprintf("wild pointer %#x after %d elements", wildAddress, len(blocks))
		}
		if seen[b] {
			return blocks, fmt.Sprintf("cycle after %d elements", len(blocks))
		}
		seen[b] = true
		blocks = append(blocks, b)
	}
	if len(blocks) != q.length {
		return blocks, fmt.Sprintf("%d elements, length says %d", len(blocks), q.length)
	}
	return blocks, ""
}

// corrupt damages the list: "cycle" ties its end to its middle, "length"
// makes the length wrong, "wild" lets its middle point to nowhere. Nothing
// that serves requests walks this list, so that the process lives on.
func (q *Quarantine) corrupt(how string) error {
	blocks, damage := q.walk()
	if damage != "" {
		return fmt.Errorf("the list is damaged already: %s", damage)
	}
	if len(blocks) == 0 {
		return fmt.Errorf("the list is empty")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	middle := blocks[len(blocks)/2]
	switch how {
	case "cycle":
		q.tail.next = middle
	case "length":
		q.length += 7
	case "wild":
		*(*uintptr)(unsafe.Pointer(&middle.next)) = wildAddress
	default:
		return fmt.Errorf("unknown damage %q: want cycle, length or wild", how)
	}
	return nil
}
