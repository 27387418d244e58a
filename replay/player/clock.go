//go:build linux && amd64

package player

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ri/record/streams"
)

// clock gives the program the recording's time and random bytes.
//
// Between what the program read last and what it wrote next, the recording knows when either was, and not when the
// program looked at its clock. It has the time of the former and as much as has gone by since then; and as soon as the
// output is due within near, the output's. So what takes no time, as most answers do, has the output's time, each time
// again; and what waits for a timer goes through the time between. Outputs may tell what the program saw: times between
// the two are looked for in the bytes of this one and then of those that follow, and where a second ends between them,
// either second.
type clock struct {
	plan *plan
	next []int // for each event, the next one that is no read: what the program did next
	turn []int // the last one before it reads again
	now  atomic.Pointer[moment]
	last int64 // what was said last

	named named

	mu     sync.Mutex
	random map[int][]int
	stream *rand.ChaCha8
}

// moment is the time between two events.
type moment struct {
	event    int
	from, to int64 // wall clock; to is 0 if nothing follows
	fixed    int64 // what the program saw, if that is known
	since    time.Time
}

// near is how long before an output the program has its time.
const near = 2 * time.Millisecond

func newClock(p *plan) *clock {
	var seed [32]byte
	copy(seed[:], p.header.Process.ExeSHA256)
	c := &clock{plan: p, random: p.random, stream: rand.NewChaCha8(seed), named: newNamed(p.events),
		next: make([]int, len(p.events)), turn: make([]int, len(p.events))}
	next, turn := -1, len(p.events)-1
	for i := len(p.events) - 1; i >= 0; i-- {
		c.next[i], c.turn[i] = next, turn
		switch p.events[i].Kind {
		case streams.Out, streams.Dial, streams.Close, streams.Shutdown, streams.Listen:
			next = i
		case streams.In, streams.Accept:
			turn = max(i-1, 0)
		}
	}
	if len(p.events) > 0 {
		c.at(0, 0)
	}
	return c
}

// at says that an event is played now, when it is the time behind another.
func (c *clock) at(i, after int) {
	c.now.Store(c.moment(after, min(c.plan.walls(&c.plan.events[i]), c.plan.walls(&c.plan.events[after]))))
}

// reached says that the program has written what an event is, and goes on from there.
func (c *clock) reached(i int) {
	for m := c.now.Load(); m == nil || m.event < i; m = c.now.Load() {
		if c.now.CompareAndSwap(m, c.moment(i, c.plan.walls(&c.plan.events[i]))) {
			return
		}
	}
}

// moment is the time behind an event. The program may have looked at its clock before that, and not before read.
func (c *clock) moment(i int, read int64) *moment {
	m := &moment{event: i, from: c.plan.walls(&c.plan.events[i]), since: time.Now()}
	next := c.next[i]
	if next < 0 {
		return m
	}
	m.to = c.plan.walls(&c.plan.events[next])
	if m.fixed = reading(c.named.of[next], read, m.to); m.fixed != 0 {
		return m
	}
	m.fixed = c.named.behind(i, read, m.to, c.plan.walls(&c.plan.events[c.turn[i]]))
	if first := min(read, m.from); m.to/1e9 == first/1e9+1 {
		// What another output says is no time of this one, if this one names the other second.
		if at := seen(c.plan.events[next].Data, first, m.to); at != 0 && at/1e9 != m.fixed/1e9 {
			m.fixed = at
		}
	}
	return m
}

// seen is that of two times, in seconds that follow each other, which an output names: as a time of day, or as seconds
// since 1970. 0: neither, or both.
func seen(output []byte, from, to int64) int64 {
	has := func(t int64) bool {
		at := time.Unix(0, t)
		return bytes.Contains(output, []byte(at.UTC().Format(time.TimeOnly))) ||
			bytes.Contains(output, []byte(at.Format(time.TimeOnly))) || bytes.Contains(output, []byte(fmt.Sprint(at.Unix())))
	}
	switch first, second := has(from), has(to); {
	case first && !second:
		return from
	case second && !first:
		return to
	}
	return 0
}

// wall is the time. It never goes back.
func (c *clock) wall() int64 {
	m := c.now.Load()
	t := m.from + int64(time.Since(m.since))
	if m.to != 0 && t+int64(near) >= m.to {
		t = m.to
	}
	if m.fixed != 0 {
		t = m.fixed
	}
	c.last = max(c.last, t)
	return c.last
}

// fill gives random bytes: those that the recording has for this size, in order; and when there are none any more, of
// a stream that is the same in every replay. Who asks with flags isn't crypto/rand but the C library, for its own ends,
// and isn't in the recording.
func (c *clock) fill(b []byte, flags uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if list := c.random[len(b)]; len(list) > 0 && flags == 0 {
		copy(b, c.plan.events[list[0]].Data)
		c.random[len(b)] = list[1:]
		return
	}
	c.stream.Read(b)
}
