//go:build linux && amd64

package player

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
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
// again; and what waits for a timer goes through the time between. The output itself may tell what the program saw:
// times between the two are looked for in its bytes, and where a second ends between them, either second.
type clock struct {
	plan *plan
	next []int // for each event, the next one that is no read: what the program did next
	now  atomic.Pointer[moment]
	last int64 // what was said last

	mu     sync.Mutex
	random map[int][]int
	stream *rand.ChaCha8
}

// moment is the time between two events.
type moment struct {
	from, to int64 // wall clock; to is 0 if nothing follows
	fixed    int64 // what the program saw, if that is known
	since    time.Time
}

// near is how long before an output the program has its time.
const near = 2 * time.Millisecond

func newClock(p *plan) *clock {
	var seed [32]byte
	copy(seed[:], p.header.Process.ExeSHA256)
	c := &clock{plan: p, random: p.random, stream: rand.NewChaCha8(seed), next: make([]int, len(p.events))}
	next := -1
	for i := len(p.events) - 1; i >= 0; i-- {
		c.next[i] = next
		switch p.events[i].Kind {
		case streams.Out, streams.Dial, streams.Close, streams.Shutdown, streams.Listen:
			next = i
		}
	}
	if len(p.events) > 0 {
		c.at(0)
	}
	return c
}

// at says that an event is played now.
func (c *clock) at(i int) {
	m := &moment{from: c.plan.walls(&c.plan.events[i]), since: time.Now()}
	if next := c.next[i]; next >= 0 {
		m.to = c.plan.walls(&c.plan.events[next])
		output := c.plan.events[next].Data
		m.fixed = reading(output[:min(len(output), mostRead)], m.from, m.to)
		if m.fixed == 0 && m.to/1e9 == m.from/1e9+1 {
			m.fixed = seen(output, m.from, m.to)
		}
	}
	c.now.Store(m)
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

// mostRead is how much of an output is looked through for times.
const mostRead = 16 << 10

// times are as programs write them: RFC 3339 with a fraction of the second, with a blank in place of the T as
// time.Time's String has it; and milliseconds, microseconds and nanoseconds since 1970.
var times = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{1,9}(?:Z| ?[-+]\d\d:?\d\d)?|` +
	`\b1\d{12}(?:\d{3}){0,2}\b`)

// reading is the first time in an output that the program may have read from its clock between two others; 0: there is
// none. So what it says of its time comes out to the last digit.
func reading(output []byte, from, to int64) int64 {
	for _, text := range times.FindAll(output, 16) {
		for _, t := range meant(string(text)) {
			if t >= from-int64(slack) && t <= to {
				return t
			}
		}
	}
	return 0
}

// slack is how much later than it was a recording may say that something was read: the two clocks drift, and a time in
// milliseconds is cut off.
const slack = time.Millisecond

// meant gives what a text may mean as a time, in nanoseconds since 1970.
func meant(text string) (all []int64) {
	if !strings.Contains(text, ":") {
		n, err := strconv.ParseInt(text, 10, 64)
		for range (19 - len(text)) / 3 {
			n *= 1000
		}
		if err != nil {
			return nil
		}
		return []int64{n}
	}
	text = strings.Replace(strings.Replace(text, "T", " ", 1), " +", "+", 1)
	for _, layout := range []string{"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return []int64{t.UnixNano()}
		}
	}
	for _, zone := range []*time.Location{time.UTC, time.Local} {
		if t, err := time.ParseInLocation("2006-01-02 15:04:05", text, zone); err == nil {
			all = append(all, t.UnixNano())
		}
	}
	return all
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
