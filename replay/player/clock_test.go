//go:build linux && amd64

package player

import (
	"fmt"
	"testing"
	"time"

	"ri/record/streams"
)

// TestReading: the time that an output says it was is found, to the last digit, and no time that was before or after.
func TestReading(t *testing.T) {
	at := time.Date(2026, 11, 30, 16, 2, 19, 836_734_395, time.UTC)
	from, to := at.Add(-time.Second).UnixNano(), at.Add(time.Millisecond).UnixNano()
	ns, us, ms := at.UnixNano(), at.Truncate(time.Microsecond).UnixNano(), at.Truncate(time.Millisecond).UnixNano()
	for output, want := range map[string]int64{
		at.String(): ns,
		`{"created":"` + at.Format(time.RFC3339Nano) + `"}`:                             ns,
		at.In(time.FixedZone("", 7200)).Format(time.RFC3339Nano):                        ns,
		at.Format("2006-01-02T15:04:05.000Z07:00"):                                      ms,
		fmt.Sprint("x ", at.UnixNano(), " y"):                                           ns,
		fmt.Sprint(at.UnixMicro()):                                                      us,
		fmt.Sprint("[", at.UnixMilli(), "]"):                                            ms,
		at.Add(-time.Hour).String() + " " + at.String():                                 ns,
		fmt.Sprint(at.UnixMilli(), " ", at):                                             ns,
		at.Add(time.Hour).String():                                                      0,
		"1764000000000000000000000 12:00 2026-13-99T99:99:99.9Z 2026-01-01 00:00:00.0Z": 0,
		"": 0,
	} {
		if got := reading(timesIn([]byte(output)), from, to); got != want {
			t.Errorf("%q: %d, want %d", output, got, want)
		}
	}
}

// TestNamed: what the program saw on its clock is named by an output that comes later, on another connection, even if
// what was read in one piece has several answers before; times that are cut off are the last ones to be taken.
func TestNamed(t *testing.T) {
	at := time.Date(2026, 11, 30, 16, 2, 19, 836_734_395, time.UTC)
	wall := func(after time.Duration) int64 { return at.Add(after).UnixNano() }
	out := func(text string, conn uint32, after time.Duration) streams.Event {
		return streams.Event{Kind: streams.Out, Conn: conn, Wall: wall(after), Data: []byte(text), Size: int64(len(text))}
	}
	p := &plan{header: &streams.Header{}, events: []streams.Event{
		{Kind: streams.In, Conn: 1, Wall: wall(-735 * time.Microsecond), Data: []byte("MAIL, QUIT"), Size: 10},
		out("250 ok", 1, -734*time.Microsecond), // in the same millisecond
		out("250 accepted", 1, 100*time.Microsecond),
		{Kind: streams.In, Conn: 1, Wall: wall(time.Minute), Size: 1},
		out(fmt.Sprint("came ", at.UnixMilli(), " ", at), 2, 2*time.Minute),
	}}
	p.setWalls()
	c := newClock(p)
	c.at(0, 0)
	if got := c.wall(); got != at.UnixNano() {
		t.Errorf("when it read: %v", time.Unix(0, got).UTC())
	}
	c = newClock(p)
	c.reached(1)
	if got := c.wall(); got != at.UnixNano() {
		t.Errorf("when it wrote: %v", time.Unix(0, got).UTC())
	}
	c.at(0, 2) // it was played late
	if m := c.now.Load(); m.fixed == 0 {
		t.Errorf("when it read late: %+v", m)
	}
	for from, want := range map[time.Duration]int64{-734_395: at.UnixNano(), -700_000: wall(-700_000), 300_000: 0} {
		n := newNamed([]streams.Event{out(fmt.Sprint(at.UnixMilli()), 1, 0)})
		if from == -734_395 {
			want = at.UnixMilli() * 1e6
		}
		if got := n.behind(-1, wall(from), wall(time.Second), 0); got != want {
			t.Errorf("cut off, %v after it: %d, want %d", from, got, want)
		}
	}
	// This output says which second it was; the other's time is in the one before.
	end := at.Truncate(time.Second).Add(time.Second)
	p = &plan{header: &streams.Header{}, events: []streams.Event{
		{Kind: streams.In, Conn: 1, Wall: end.Add(-time.Millisecond).UnixNano(), Data: []byte("GET"), Size: 3},
		out("Date: "+end.Format(time.TimeOnly), 1, end.Add(time.Millisecond).Sub(at)),
		out(end.Add(-500*time.Microsecond).String(), 2, end.Add(time.Second).Sub(at)),
	}}
	p.setWalls()
	late := newClock(p)
	late.at(0, 0)
	if got := late.wall(); got/1e9 != end.Unix() {
		t.Errorf("at the end of a second: %v", time.Unix(0, got).UTC())
	}
	if c.reached(1); c.now.Load().event != 2 {
		t.Error("it went back")
	}
}

// TestGone: that a peer is gone is played, also where the program saw it by a write only.
func TestGone(t *testing.T) {
	for errno, want := range map[int32]bool{104: true, 32: true, 110: true, 11: false, 4: false} {
		p := &plan{header: &streams.Header{}, conns: map[uint32]*conn{}, listens: map[uint32]bool{}, notes: map[string]int{},
			units: map[int]*unit{}, before: map[int]*unit{}, racing: newRacing(true), events: []streams.Event{
				{Kind: streams.Accept, Conn: 1, Network: "tcp", Local: "127.0.0.1:1", Peer: "127.0.0.1:2"},
				{Kind: streams.In, Conn: 1, Data: []byte("x"), Size: 1}, {Kind: streams.Out, Conn: 1, Errno: errno},
				{Kind: streams.Out, Conn: 1, Errno: errno}, {Kind: streams.Close, Conn: 1}}}
		for i := range p.events {
			if err := p.add(i); err != nil {
				t.Fatal(err)
			}
		}
		first, second := p.events[2].Kind, p.events[3].Kind
		if (first == streams.In) != want || second != streams.Out || p.conns[1].reset != want {
			t.Errorf("errno %d: %v, %v, reset %v", errno, first, second, p.conns[1].reset)
		}
	}
}
