package kit

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"time"
)

// goesOut makes a call that goes out: results are pointers to them. It returns when its turn comes in the recording's
// order, and never if it is none of the recording's.
func (r *riReplay) goesOut(method string, on int, args []any, results ...any) {
	if list := r.rec.logs[riKey("."+method, on)]; on != riFunction && list != nil {
		r.noted(list, method, args)
		return
	}
	e, turn := r.match(method, on, args)
	switch {
	case e == nil && r.wait != nil:
		select {} // what the library would do now means nothing
	case e == nil:
		return
	case r.wait != nil && !r.free[e]:
		for in := range turn {
			r.call(in)
		}
	default:
		for _, in := range e.inner {
			r.call(in)
		}
	}
	if e.back == nil {
		if len(results) > 0 {
			r.hangs(e)
		}
		return
	}
	if e.back.Ended != "" {
		panic(riEnded + e.Func)
	}
	d := r.decoder()
	for i, raw := range e.back.Values {
		if i >= len(results) {
			break
		}
		d.variable(e.back, i)
		if err := d.into(reflect.ValueOf(results[i]).Elem(), raw, fmt.Sprintf("result %d", i)); err != nil {
			r.fail(e.back.Seq, "the library has changed: %s doesn't give what it gave: %v", e.Func, err)
		}
	}
	r.lacks(e.back, d)
}

// noted makes a call of a log: in which order these come depends on what selects took, so each is one of the
// recording's, wherever that stands. All are made in the end.
func (r *riReplay) noted(list []*riEvent, method string, args []any) {
	r.passes()
	r.matching.Lock()
	defer r.matching.Unlock()
	var first *riEvent
	why := ""
	for _, e := range list {
		if r.made[e] != nil {
			continue
		}
		c := riCompare{replay: r, note: true}
		differs := c.arguments(e, args)
		if differs == "" {
			r.make1(e, c.skipped)
			return
		}
		if first == nil {
			first, why = e, differs
		}
	}
	switch {
	case r.isOver(0, false):
		r.beyond++
	case first == nil:
		r.fail(r.lastSeq(), "%s was called once more than was recorded, with %s", method, riShort(fmt.Sprintf("%+v", args)))
	default:
		r.fail(first.Seq, "%s: %s", first.Func, why)
	}
}

// unnoted tells of what a log was told when it was recorded, and isn't now. It is called while all goroutines wait.
func (r *riReplay) unnoted() {
	last := r.rec.events[len(r.rec.events)-1].At
	for _, e := range r.rec.events {
		if e.note && r.made[e] == nil && len(r.steps) > 0 && r.rec.of(e) == r.rec.of(r.steps[0].e) && last-e.At > riCut {
			r.fail(e.Seq, "%s was called when it was recorded, and not now", e.Func)
			return
		}
	}
}

// passes makes a call of which nothing is recorded: it does nothing. A goroutine that is to find two things when it
// goes on waits here for the other.
func (r *riReplay) passes() {
	if r.held.Load() == 0 {
		return
	}
	own := riGoroutine()
	r.matching.Lock()
	until := r.release[r.bound[own]]
	r.matching.Unlock()
	if until != nil {
		<-until
	}
}

// hold has a goroutine of the recording wait where it calls something of which nothing is recorded. One that waits
// already goes on waiting: it may have to find more than two things.
func (r *riReplay) hold(goroutine uint64) {
	r.matching.Lock()
	defer r.matching.Unlock()
	if r.release[goroutine] == nil {
		r.release[goroutine] = make(chan struct{})
		r.held.Add(1)
	}
}

// goOn lets all go on that wait so, but for one.
func (r *riReplay) goOn(but uint64) {
	if r.held.Load() == 0 {
		return
	}
	r.matching.Lock()
	for goroutine, c := range r.release {
		if goroutine != but {
			close(c)
			delete(r.release, goroutine)
			r.held.Add(-1)
		}
	}
	r.matching.Unlock()
	r.settle()
}

// match finds the recorded call that was made: the next of a goroutine of the recording. The same goroutine's comes
// first, then that which the call that came in last led to, then the earliest.
func (r *riReplay) match(method string, on int, args []any) (*riEvent, chan *riEvent) {
	own := riGoroutine()
	r.matching.Lock()
	defer r.matching.Unlock()
	of, bound := r.bound[own]
	var first *riEvent
	why := ""
	key := riKey("."+method, on)
	if on == riFunction {
		key = riKey(method, on)
	}
	list := r.unmade(key)
	for near := range 3 {
		for _, e := range list {
			if r.made[e] != nil || !r.isNext(e) || near != r.near(e, of) {
				continue
			}
			c := riCompare{replay: r}
			differs := c.arguments(e, args)
			if differs == "" {
				if !bound {
					r.bound[own] = e.Goroutine
				}
				return e, r.make1(e, c.skipped)
			}
			if first == nil {
				first, why = e, differs
			}
		}
	}
	if next := r.next(of); bound && next != nil && (first == nil || first.Goroutine != of) {
		first, why = next, fmt.Sprintf("expected this call on receiver %d, got %s on %d with %s", next.On, method, on,
			riShort(fmt.Sprintf("%+v", args)))
	}
	if first == nil && r.isOver(of, bound) {
		r.beyond++
		return nil, nil
	}
	if first == nil {
		r.fail(r.lastSeq(), "%s was called once more than was recorded, with %s", method, riShort(fmt.Sprintf("%+v", args)))
		return nil, nil
	}
	r.fail(first.Seq, "%s: %s", first.Func, why)
	return nil, nil
}

// unmade are calls that were not made yet; some behind the first may have been.
func (r *riReplay) unmade(key string) []*riEvent {
	list := r.out[key]
	for len(list) > 0 && r.made[list[0]] != nil {
		list = list[1:]
	}
	r.out[key] = list
	return list
}

// make1 notes that a call was made.
func (r *riReplay) make1(e *riEvent, skipped int) chan *riEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	turn := make(chan *riEvent, len(e.inner))
	r.made[e] = turn
	if skipped > 0 {
		r.skipped++
	}
	return turn
}

// isOver tells whether a goroutine is where the recording ended, so that nobody knows what it called then: all has been
// done, shortly before the last event, and it is in no call that came in and returned.
func (r *riReplay) isOver(goroutine uint64, bound bool) bool {
	n, events := len(r.steps), r.rec.events
	if n == 0 || r.reached() < n-1 || events[len(events)-1].At-r.steps[n-1].own().At > riCut {
		return false
	}
	in := (*riEvent)(nil)
	for _, s := range r.steps {
		if bound && s.e.comesIn() && s.e.Goroutine == goroutine {
			in = s.e
		}
	}
	return in == nil || in.back == nil
}

// riCut is how long before its last event a recording may have ended for some goroutines.
const riCut = 5 * time.Millisecond

// near tells how near a recorded call is to the goroutine that makes one.
func (r *riReplay) near(e *riEvent, goroutine uint64) int {
	switch {
	case goroutine != 0 && e.Goroutine == goroutine:
		return 0
	case goroutine == 0 && e.Parent != 0 && e.Parent == r.current.Load():
		return 1
	}
	return 2
}

// next is the call that a goroutine of the recording makes next; nil if none.
func (r *riReplay) next(goroutine uint64) *riEvent {
	list := r.lines[goroutine]
	for len(list) > 0 && r.made[list[0]] != nil {
		list = list[1:]
	}
	r.lines[goroutine] = list
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func (r *riReplay) isNext(e *riEvent) bool { return r.next(e.Goroutine) == e }

// arguments compares what a call is made with.
func (c *riCompare) arguments(e *riEvent, args []any) string {
	for i, a := range args {
		if i >= len(e.Values) {
			break
		}
		if differs := c.differs(reflect.ValueOf(a), e.Values[i], fmt.Sprintf("argument %d", i)); differs != "" {
			return differs
		}
	}
	return ""
}

// is notes which of the recording's goroutines this one is.
func (r *riReplay) is(goroutine uint64) {
	own := riGoroutine()
	r.matching.Lock()
	defer r.matching.Unlock()
	r.bound[own], r.callers[own] = goroutine, true
}

// riGoroutine is the number of the goroutine that asks, which Go says in what it prints of stacks only.
func riGoroutine() uint64 {
	var room [64]byte
	text, _ := bytes.CutPrefix(room[:runtime.Stack(room[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
