package conns

import (
	"time"

	"ri/probe/kernel"
)

// A call that took its place in the order and hasn't come is waited for: a thread may lose its processor between the
// beginning of a write and its end, and a write of plaintext goes on until the peer has read. After that it is lost;
// sooner, where the kernel says that there was no room for some.
const (
	patience     = 2 * time.Second
	longPatience = time.Minute
)

// order puts calls in their order. Each place is taken by one call, so a place that stays empty is a call that was
// lost.
type order struct {
	next    uint64 // the place whose turn it is
	waiting map[uint64]*call
	bytes   int // that wait
	since   time.Time
	lost    uint64
	dropped uint64 // of which the kernel knows that they won't come
}

// call is a system call, put together of its records.
type call struct {
	kernel.SocketCall
	whole bool
}

// mostWaiting bounds the bytes that wait for a call that hasn't come.
const mostWaiting = 256 << 20

func newOrder() *order { return &order{waiting: map[uint64]*call{}} }

// add takes a record.
func (o *order) add(r kernel.SocketCall) {
	if r.Seq < o.next {
		return // it was given up
	}
	c := o.waiting[r.Seq]
	if c == nil {
		c = &call{SocketCall: r}
		c.Data = nil
		o.waiting[r.Seq] = c
	}
	// Of records that were lost in between the bytes would be at the wrong place: what is behind a hole isn't kept.
	if len(r.Data) > 0 && r.Offset == int64(len(c.Data)) {
		if c.Data == nil {
			c.Data = r.Data
		} else {
			c.Data = append(c.Data, r.Data...)
		}
		o.bytes += len(r.Data)
	}
	c.Unread = c.Unread || r.Unread
	c.whole = c.whole || r.Last
}

// take gives the call whose turn it is; nil if it hasn't come.
func (o *order) take(now time.Time, end bool) *call {
	for {
		c := o.waiting[o.next]
		if c != nil && (c.whole || end) {
			break
		}
		if len(o.waiting) == 0 {
			return nil
		}
		if o.since.IsZero() {
			o.since = now
		}
		wait := longPatience
		if o.dropped > o.lost {
			wait = patience
		}
		if !end && now.Sub(o.since) < wait && o.bytes < mostWaiting {
			return nil
		}
		if c != nil {
			break // its end was lost
		}
		o.lost++
		o.next++
	}
	c := o.waiting[o.next]
	delete(o.waiting, o.next)
	o.bytes -= len(c.Data)
	o.next++
	o.since = time.Time{}
	return c
}
