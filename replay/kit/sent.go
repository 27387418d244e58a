package kit

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// fetch takes what the library sent, and compares it.
func (r *riReplay) fetch(e *riEvent) {
	r.mu.Lock()
	c, ok := r.channels[strconv.Itoa(e.Chan)]
	if r.sends[e.Chan] = true; !ok && r.unknown[e.Chan] == 0 {
		r.unknown[e.Chan] = e.Seq // who has it, later or never, is known at the end
	}
	r.mu.Unlock()
	if !ok || c.Type().ChanDir()&reflect.RecvDir == 0 {
		return
	}
	taker := r.taker(e, c)
	if r.settle(); r.wait == nil {
		<-taker.done
	}
	select {
	case <-taker.done:
	default:
		r.fail(e.Seq, "channel %d, %s: what the library sent when it was recorded it doesn't send now", e.Chan,
			r.named(e.Chan))
		return
	}
	got, open := taker.got, taker.open
	compare := riCompare{replay: r}
	why := ""
	switch {
	case open && e.Closed:
		why = "expected its end, got " + riShort(riShow(got))
	case !open && !e.Closed:
		why = "expected what was sent, got its end"
	case open && len(e.Values) > 0:
		why = compare.differs(got, e.Values[0], "sent")
	}
	if why != "" {
		r.fail(e.Seq, "channel %d, %s: %s", e.Chan, r.named(e.Chan), why)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent++; compare.skipped > 0 {
		r.skipped++
	}
}

// riTaker takes what the library sends.
type riTaker struct {
	got  reflect.Value
	open bool
	done chan struct{}
}

// taker is who takes what was sent in an event.
func (r *riReplay) taker(e *riEvent, c reflect.Value) *riTaker {
	t := r.takers[e]
	if t == nil {
		t = &riTaker{done: make(chan struct{})}
		r.takers[e] = t
		go func() {
			t.got, t.open = c.Recv()
			close(t.done)
		}()
	}
	return t
}

// await has somebody wait for what the library will send next without waiting for who takes it: it looks whether
// somebody is there.
func (r *riReplay) await(next []*riStep) {
	for _, s := range next {
		if s.e.Kind != "send" {
			return
		}
		r.mu.Lock()
		c, ok := r.channels[strconv.Itoa(s.e.Chan)]
		r.mu.Unlock()
		if ok && s.e.Polled && c.Cap() == 0 && c.Type().ChanDir()&reflect.RecvDir != 0 {
			r.taker(s.e, c)
		}
	}
}

// left tells of what the library sent and nobody took when it was recorded. It is called while all goroutines wait.
func (r *riReplay) left() {
	for _, n := range slices.Sorted(maps.Keys(r.sends)) {
		c := r.channels[strconv.Itoa(n)]
		if !c.IsValid() || r.closed[n] || c.Cap() != riRoom || c.Len() == 0 {
			continue
		}
		if v, ok := c.TryRecv(); ok && !r.isOver(0, false) {
			r.fail(r.lastSeq(), "channel %d, %s: one more was sent than was recorded: %s", n, r.named(n), riShort(riShow(v)))
		}
	}
}
