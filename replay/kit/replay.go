package kit

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// riReplay replays one group of a recording's receivers, once.
type riReplay struct {
	t     testing.TB
	types *riTypes
	funcs map[string]any // functions, and methods as functions
	setup map[string]func(any) any
	wait  func() // until all goroutines of the bubble wait
	rec   *riRecording
	steps []*riStep
	free  map[*riEvent]bool     // calls that are answered at once
	gone  map[*riEvent]bool     // calls without a return that had ended, as a lock tells that they had
	holds map[*riStep]uint64    // steps behind which the next is done while this goroutine of the recording waits
	out   map[string][]*riEvent // calls that go out, by method and receiver

	matching sync.Mutex
	lines    map[uint64][]*riEvent    // calls that go out and were not made yet, by goroutine
	bound    map[uint64]uint64        // goroutines of the library, to those of the recording
	callers  map[uint64]bool          // those that make calls which come in
	current  atomic.Int64             // the call that came in last
	held     atomic.Int32             // how many goroutines of the recording wait in calls of which nothing is recorded
	release  map[uint64]chan struct{} // what each of them waits for
	beyond   int                      // calls that went out when the recording was over

	mu        sync.Mutex
	made      map[*riEvent]chan *riEvent // calls that went out, and how they are told to go on: a call from there, or nil
	receivers map[int]reflect.Value
	channels  map[string]reflect.Value
	early     map[string][]*riEvent // what was received from channels that nobody has yet
	closed    map[int]bool          // channels
	sends     map[int]bool          // channels into which the library sends
	takers    map[*riEvent]*riTaker // of what it sent
	unknown   map[int]int64         // channels that nobody knew when the library had sent, and where that was
	calls     int                   // that come in
	fed       int                   // what was received
	sent      int                   // by the library, and as recorded
	over      bool
	skipped   int              // calls that went out, with parts that can't be compared
	absent    []string         // values that were wanted and not recorded
	unclear   map[string]int64 // rules that would have kept what isn't in clear, and where that was given last
	failed    string           // the first difference
	failedAt  int64
	answered  map[*riEvent]bool
	hung      []*riEvent // calls without a return that were made
	stuck     bool
	alive     atomic.Int64
	got       int // steps that were done
	tries     int // until it was as it is
}

// riRun replays a file: bubble runs it with a time of its own.
func riRun(t *testing.T, path string, types *riTypes, funcs map[string]any, setup map[string]func(any) any,
	bubble func(*testing.T, func(*testing.T)), wait func()) {
	rec, err := riRead(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	rec.given(types)
	if wait != nil { // a module of before Go 1.23 has timers of another kind, which no bubble can have
		t.Setenv("GODEBUG", strings.TrimPrefix(os.Getenv("GODEBUG")+",asynctimerchan=0", ","))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // less is left to chance
	began := time.Now()
	var sum riVerdict
	for _, group := range rec.grouped() {
		free, gone := map[*riEvent]bool{}, map[*riEvent]bool{}
		try := func(steps []*riStep, holds map[*riStep]uint64) *riReplay {
			r := rec.replay(t, steps)
			r.free, r.gone, r.holds, r.types, r.funcs, r.setup, r.wait = free, gone, holds, types, funcs, setup, wait
			r.watched(func() {
				defer func() {
					// What the library has running still waits when it is over: the bubble says so by a panic.
					if p := recover(); p != nil && !r.over {
						panic(p)
					}
				}()
				bubble(t, func(*testing.T) { r.play() })
			})
			return r
		}
		sum.add(riSearch(rec, group, riUnlocked(try, free, gone)))
	}
	sum.say(t, rec, time.Since(began))
}

// replay makes a replay of a group's steps.
func (rec *riRecording) replay(t testing.TB, steps []*riStep) *riReplay {
	r := &riReplay{t: t, rec: rec, steps: steps, out: map[string][]*riEvent{}, made: map[*riEvent]chan *riEvent{},
		answered:  map[*riEvent]bool{},
		receivers: map[int]reflect.Value{}, channels: map[string]reflect.Value{}, early: map[string][]*riEvent{},
		closed: map[int]bool{}, unclear: map[string]int64{}, sends: map[int]bool{},
		takers: map[*riEvent]*riTaker{}, unknown: map[int]int64{},
		bound: map[uint64]uint64{}, callers: map[uint64]bool{},
		release: map[uint64]chan struct{}{}, lines: map[uint64][]*riEvent{}}
	var calls []*riEvent
	for _, s := range steps {
		if s.answer {
			calls = append(calls, s.e)
		}
	}
	slices.SortFunc(calls, func(a, b *riEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, e := range calls {
		key := riKey(e.Func, e.On)
		r.out[key] = append(r.out[key], e)
		r.lines[e.Goroutine] = append(r.lines[e.Goroutine], e)
	}
	return r
}

// riKey tells a receiver's method.
func riKey(fn string, on int) string {
	if on == riFunction {
		return fn
	}
	return fmt.Sprintf("%s %d", fn[strings.LastIndexByte(fn, '.')+1:], on)
}

// riFunction is the receiver of a function that the library was given as such.
const riFunction = -1

// play does all steps, each when all goroutines wait.
func (r *riReplay) play() {
	if d := time.Until(r.rec.header.Made); d > 0 && r.wait != nil {
		time.Sleep(d) // in a bubble it is long ago, and this takes no time: the clock is then what it was
	}
	began := time.Now()
	workers := map[uint64]chan func(){}
	for i, s := range r.steps {
		r.await(r.steps[i+1:])
		r.until(began, s.own().At)
		if r.stop() {
			break
		}
		holds := r.holds[s]
		if holds != 0 {
			r.hold(holds)
		}
		switch {
		case s.answer:
			r.answer(s.e)
		case s.e.Kind == "receive":
			r.feed(s.e)
			if r.settle(); !s.e.Polled && r.wait != nil {
				r.fetched(s.e)
			}
		case s.e.Kind == "send":
			r.fetch(s.e)
		case s.e.parent != nil:
			r.inner(s.e)
		default:
			r.begin(workers, s.e)
		}
		r.settle()
		r.goOn(holds)
		if r.stop() {
			break
		}
		r.mu.Lock()
		r.got++
		r.mu.Unlock()
	}
	for _, w := range workers {
		close(w)
	}
	if r.settle(); !r.stop() {
		r.left()
		r.unnoted()
	}
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
}

// until lets the time pass.
func (r *riReplay) until(began time.Time, at time.Duration) {
	if d := at - time.Since(began); d > 0 && r.wait != nil {
		time.Sleep(d)
		r.settle()
	}
}

// settle waits until all goroutines do.
func (r *riReplay) settle() {
	r.alive.Add(1)
	if r.wait != nil {
		r.wait()
	}
}

// begin makes a call that comes in, on its goroutine.
func (r *riReplay) begin(workers map[uint64]chan func(), e *riEvent) {
	w := workers[e.Goroutine]
	if w == nil {
		w = make(chan func(), len(r.steps))
		workers[e.Goroutine] = w
		go func() {
			r.is(e.Goroutine)
			for f := range w {
				f()
			}
		}()
	}
	done := make(chan struct{})
	r.current.Store(e.Seq)
	w <- func() { defer close(done); r.call(e) }
	if r.wait == nil && e.back != nil {
		<-done
	}
}

// inner has a call come in from within one that went out.
func (r *riReplay) inner(e *riEvent) {
	if r.wait == nil || r.free[e.parent] {
		return // it is made by who calls out
	}
	if turn := r.turn(e.parent); turn != nil {
		turn <- e
	}
}

// turn is how a call that went out is told to go on; nil, and a difference, if it wasn't made.
func (r *riReplay) turn(e *riEvent) chan *riEvent {
	for late := time.Duration(0); late < riLate; late += riLate / 8 {
		r.mu.Lock()
		turn := r.made[e]
		r.mu.Unlock()
		if turn != nil || r.wait == nil {
			return turn
		}
		time.Sleep(riLate / 8) // a timer may have been set somewhat later than it was
		r.settle()
	}
	r.fail(e.Seq, "%s was called when it was recorded, and not now", e.Func)
	return nil
}

// riLate is how late, by the bubble's clock, a call may be made.
const riLate = 8 * time.Millisecond

// answer lets a call that went out return, if it did.
func (r *riReplay) answer(e *riEvent) {
	if turn := r.turn(e); turn != nil {
		r.mu.Lock()
		r.answered[e] = true
		r.mu.Unlock()
		close(turn)
	}
}

// lastSeq is the event that was done last.
func (r *riReplay) lastSeq() int64 {
	if n := r.reached(); n > 0 {
		return r.steps[n-1].own().Seq
	}
	return 0
}

// reached is how many steps were done.
func (r *riReplay) reached() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (r *riReplay) stop() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed != ""
}

// fail notes a difference; the first one counts.
func (r *riReplay) fail(seq int64, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == "" && !r.over {
		r.failed, r.failedAt = fmt.Sprintf(format, args...), seq
	}
}
