//go:build linux && amd64

package player

import (
	"time"

	"ri/record/streams"
)

// racing puts requests that ran at once in an order: each is played when the answers before its own have come. So the
// program has one at a time, and what it counts or numbers comes out as it did. Which order it was, a recording tells
// but roughly. Where one goroutine reads and answers, it did its work right before the answer: the order is that of the
// answers. Where another one writes, the work was done where it was read: the order is that of the reads.
//
// It is done for what was read shortly before an answer on the same connection. What the program writes without having
// been asked there (to those that it dialled, to others that listen to what comes in) may follow from anything that was
// read, and that is played before it.
type racing struct {
	waiting map[*conn][]int // reads that no answer was seen of yet
	until   map[int]int     // reads: the answer before which they are played
	first   map[int][]int   // answers: the reads that are played before them
	answer  map[int]int     // reads: the answer that is waited for before others are played
	last    map[*conn]int   // the last output
	asRead  bool            // nothing of this is done
}

// shortly is how long before its answer something was read at most to be played with it. What takes longer waits for
// something else, which may have to come after it.
const shortly = 5 * time.Millisecond

func newRacing(asRead bool) racing {
	return racing{map[*conn][]int{}, map[int]int{}, map[int][]int{}, map[int]int{}, map[*conn]int{}, asRead}
}

// read notes that something came in.
func (r *racing) read(c *conn, i int) {
	if !r.asRead && !c.packets {
		r.waiting[c] = append(r.waiting[c], i)
	}
}

// wrote notes that the program wrote, or closed.
func (r *racing) wrote(events []streams.Event, c *conn, i int) {
	e := &events[i]
	list := r.waiting[c]
	if len(list) == 0 || c.dialled {
		last, ok := r.last[c]
		if r.last[c] = i; !ok || c.dialled || e.Goroutine == 0 || events[last].Goroutine != e.Goroutine {
			clear(r.waiting) // it may follow from any of them
		}
		return
	}
	r.last[c] = i
	delete(r.waiting, c)
	for len(list) > 0 && e.Mono-events[list[0]].Mono > int64(shortly) {
		list = list[1:]
	}
	if len(list) == 0 {
		return
	}
	last := list[len(list)-1]
	r.answer[last] = i
	if e.Goroutine != 0 && events[last].Goroutine == e.Goroutine {
		r.first[i] = list
		for _, late := range list {
			r.until[late] = i
		}
	}
}
