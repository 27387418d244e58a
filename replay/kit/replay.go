package kit

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// riEvent is a line of a recording (docs/calls.md).
type riEvent struct {
	Seq       int64             `json:"seq"`
	At        time.Duration     `json:"at"`
	Goroutine uint64            `json:"goroutine"`
	Kind      string            `json:"kind"`
	Func      string            `json:"func"`
	Out       bool              `json:"out"`
	On        int               `json:"on"`
	Parent    int64             `json:"parent"`
	Call      int64             `json:"call"`
	Values    []json.RawMessage `json:"values"`
	Ended     string            `json:"ended"`
	Chan      int               `json:"chan"`
	Closed    bool              `json:"closed"`
	Polled    bool              `json:"polled"`

	back  *riEvent   // of a call: its return
	used  bool       // of a call that goes out: it was made
	from  int64      // of what comes in: the event by which it has to have begun
	after int64      // of what was received: the event before in its goroutine
	inner []*riEvent // of a call that goes out: calls that came in before it returned
}

// riReplay replays one recording.
type riReplay struct {
	t     testing.TB
	types *riTypes
	funcs map[string]any // functions, and methods as functions
	setup map[string]func(any) any
	wait  func() // until all goroutines of the bubble wait

	header struct {
		Made     time.Time `json:"made"`
		Boundary struct {
			Out []struct {
				Func string `json:"func"`
			} `json:"out"`
			Receives []struct {
				Chan  int    `json:"chan"`
				Where string `json:"where"`
			} `json:"receives"`
		} `json:"boundary"`
		State []struct {
			On      int             `json:"on"`
			Type    string          `json:"type"`
			Value   json.RawMessage `json:"value"`
			Missing int             `json:"missing"`
		} `json:"state"`
	}
	in     []*riEvent            // calls that come in, and what is received, in the order in which it is done
	last   map[uint64]int64      // the last event, by goroutine
	out    map[string][]*riEvent // calls that go out, by method and receiver
	all    int                   // of them
	length time.Duration

	mu        sync.Mutex
	receivers map[int]reflect.Value
	channels  map[string]reflect.Value
	early     map[string][]*riEvent // what was received from channels that nobody has yet
	closed    map[int]bool          // channels
	calls     int                   // that come in
	fed       int                   // what was received
	current   *riEvent              // the call that came in last
	over      bool
	done      int          // calls that went out as recorded
	skipped   int          // of them, with parts that can't be compared
	handed    map[int]bool // receivers that the library was given something for
	unasked   int          // calls that went out on others
	absent    string       // the first value that was wanted and not recorded
	failed    string       // the first difference
	failedAt  int64
}

// riRun replays a file: bubble runs it with a time of its own.
func riRun(t *testing.T, path string, types *riTypes, funcs map[string]any, setup map[string]func(any) any,
	bubble func(*testing.T, func(*testing.T)), wait func()) {
	r := &riReplay{t: t, types: types, funcs: funcs, setup: setup, wait: wait}
	r.start()
	if err := r.read(path); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	began := time.Now()
	func() {
		defer func() {
			// What the library has running still waits when the recording is over: the bubble says so by a panic.
			if p := recover(); p != nil && !r.over {
				panic(p)
			}
		}()
		bubble(t, func(*testing.T) { r.play() })
	}()
	r.verdict(time.Since(began))
}

func (r *riReplay) start() {
	r.out, r.receivers, r.channels = map[string][]*riEvent{}, map[int]reflect.Value{}, map[string]reflect.Value{}
	r.early, r.closed, r.last = map[string][]*riEvent{}, map[int]bool{}, map[uint64]int64{}
	r.handed = map[int]bool{}
}

// read reads a recording, which must be whole.
func (r *riReplay) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 1<<16)
	sum := sha256.New()
	calls := map[int64]*riEvent{}
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return errors.New("the recording is cut short: it has no end mark")
		}
		if err != nil {
			return err
		}
		switch {
		case n == 1:
			err = json.Unmarshal(line, &r.header)
		case strings.HasPrefix(string(line), `{"end":true`):
			var end struct {
				Length time.Duration `json:"length"`
				SHA256 string        `json:"sha256"`
			}
			if err := json.Unmarshal(line, &end); err != nil {
				return err
			}
			if hex.EncodeToString(sum.Sum(nil)) != end.SHA256 {
				return errors.New("the recording was changed: its checksum differs")
			}
			r.length = end.Length
			r.order(calls)
			return nil
		default:
			e := &riEvent{}
			if err = json.Unmarshal(line, e); err == nil {
				r.take(e, calls)
			}
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		sum.Write(line)
	}
}

// take takes an event.
func (r *riReplay) take(e *riEvent, calls map[int64]*riEvent) {
	switch e.Kind {
	case "call":
		calls[e.Seq] = e
		if e.Out {
			key := riKey(e.Func, e.On)
			r.out[key] = append(r.out[key], e)
			r.all++
		} else {
			r.in = append(r.in, e)
		}
		for p := calls[e.Parent]; p != nil; p = calls[p.Parent] {
			if p.from == 0 {
				p.from = e.Seq
			}
		}
	case "return":
		if c := calls[e.Call]; c != nil {
			c.back = e
		}
	case "receive":
		e.after = r.last[e.Goroutine]
		r.in = append(r.in, e)
		for p := calls[e.Parent]; p != nil && !e.Polled; p = calls[p.Parent] {
			if p.from == 0 {
				p.from = e.Seq
			}
		}
	}
	r.last[e.Goroutine] = e.Seq
}

// riKey tells a receiver's method.
func riKey(fn string, on int) string {
	return fmt.Sprintf("%s %d", fn[strings.LastIndexByte(fn, '.')+1:], on)
}

// play makes the calls.
func (r *riReplay) play() {
	if d := time.Until(r.header.Made); d > 0 && r.wait != nil {
		time.Sleep(d) // in a bubble it is long ago, and this takes no time: the clock is then what it was
	}
	began := time.Now()
	workers := map[uint64]chan func(){}
	for _, e := range r.in {
		if d := e.At - time.Since(began); d > 0 && r.wait != nil {
			time.Sleep(d)
		}
		if e.Kind == "receive" {
			r.feed(e)
			if r.wait != nil {
				if r.wait(); !e.Polled {
					r.fetched(e)
				}
			}
			if r.stop() {
				break
			}
			continue
		}
		w := workers[e.Goroutine]
		if w == nil {
			w = make(chan func(), len(r.in))
			workers[e.Goroutine] = w
			go func() {
				for f := range w {
					f()
				}
			}()
		}
		done := make(chan struct{})
		r.mu.Lock()
		r.current = e
		r.mu.Unlock()
		w <- func() { defer close(done); r.call(e) }
		if r.wait != nil {
			r.wait()
		} else if e.back != nil {
			<-done
		}
		if r.stop() {
			break
		}
	}
	if d := r.length - time.Since(began); d > 0 && r.wait != nil && !r.stop() {
		time.Sleep(d)
		r.wait()
	}
	for _, w := range workers {
		close(w)
	}
	if r.wait != nil {
		r.wait()
	}
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
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

// call makes a call that came in, and compares what it gives.
func (r *riReplay) call(e *riEvent) {
	fn, ok := r.funcs[e.Func]
	if !ok {
		r.fail(e.Seq, "the library has changed: it has no %s", e.Func)
		return
	}
	f := reflect.ValueOf(fn)
	var args []reflect.Value
	want := e.Values
	if f.Type().NumIn() == len(want)+1 {
		on, err := r.receiver(e.On, f.Type().In(0))
		if err != nil {
			r.fail(e.Seq, "%s: its receiver: %v", e.Func, err)
			return
		}
		args = append(args, on)
	} else if f.Type().NumIn() != len(want) {
		r.fail(e.Seq, "the library has changed: %s takes %d arguments, and took %d", e.Func, f.Type().NumIn(), len(want))
		return
	}
	d := riDecoder{replay: r, paths: map[string]reflect.Value{}}
	for i, raw := range want {
		v := reflect.New(f.Type().In(len(args))).Elem()
		if err := d.into(v, raw, fmt.Sprintf("values[%d]", i)); err != nil {
			r.fail(e.Seq, "the library has changed: %s doesn't take what it took: %v", e.Func, err)
			return
		}
		args = append(args, v)
	}
	r.lacks(e, &d)
	results, panicked := r.make(f, args)
	switch {
	case panicked != "" && (e.back == nil || e.back.Ended == ""):
		r.fail(e.Seq, "%s: expected to return, got a panic: %s", e.Func, panicked)
	case panicked != "" || e.back == nil:
	case e.back.Ended != "":
		r.fail(e.Seq, "%s: expected a panic, and it returned", e.Func)
	case len(results) != len(e.back.Values):
		r.fail(e.Seq, "the library has changed: %s gives %d results, and gave %d", e.Func, len(results), len(e.back.Values))
	default:
		c := riCompare{replay: r}
		for i, v := range results {
			if why := c.differs(v, e.back.Values[i], fmt.Sprintf("result %d", i)); why != "" {
				r.fail(e.back.Seq, "%s: %s", e.Func, why)
				return
			}
		}
	}
}

// made makes a call.
func (r *riReplay) make(f reflect.Value, args []reflect.Value) (results []reflect.Value, panicked string) {
	defer func() {
		if p := recover(); p != nil {
			panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	if f.Type().IsVariadic() {
		return f.CallSlice(args), ""
	}
	return f.Call(args), ""
}

// lacks notes what was wanted and not recorded.
func (r *riReplay) lacks(e *riEvent, d *riDecoder) {
	if len(d.absent) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.absent == "" {
		r.absent = fmt.Sprintf("event %d, %s: %s", e.Seq, e.Func, d.absent[0])
	}
}

// receiver is what a call is made on.
func (r *riReplay) receiver(id int, t reflect.Type) (reflect.Value, error) {
	r.mu.Lock()
	v, ok := r.receivers[id]
	r.mu.Unlock()
	if ok {
		if !v.Type().AssignableTo(t) {
			return v, fmt.Errorf("the library has changed: receiver %d is a %s and was a %s", id, v.Type(), t)
		}
		return v, nil
	}
	if t.Kind() != reflect.Pointer {
		return v, fmt.Errorf("receiver %d, a %s, was not recorded", id, t)
	}
	v = reflect.New(t.Elem())
	r.mu.Lock()
	r.receivers[id] = v
	r.mu.Unlock()
	for _, s := range r.header.State {
		if s.On != id {
			continue
		}
		d := riDecoder{replay: r, paths: map[string]reflect.Value{}}
		if len(s.Value) > 0 {
			if err := d.into(v.Elem(), s.Value, "state"); err != nil {
				return v, err
			}
		}
		r.lacks(&riEvent{Func: "the state of " + s.Type}, &d)
	}
	if setup := r.setup[riTypeName(t)]; setup != nil {
		v = reflect.ValueOf(setup(v.Interface()))
		r.mu.Lock()
		r.receivers[id] = v
		r.mu.Unlock()
	}
	return v, nil
}

// goesOut makes a call that goes out: results are pointers to them.
func (r *riReplay) goesOut(method string, on int, args []any, results ...any) {
	e := r.match(method, on, args)
	if e == nil {
		return
	}
	for _, in := range e.inner {
		r.call(in)
	}
	if e.back == nil {
		if len(results) > 0 {
			select {} // it had not returned when the recording ended
		}
		return
	}
	if e.back.Ended != "" {
		panic("ri: " + e.Func + " ended without a return, as recorded")
	}
	d := riDecoder{replay: r, paths: map[string]reflect.Value{}}
	for i, raw := range e.back.Values {
		if i >= len(results) {
			break
		}
		if err := d.into(reflect.ValueOf(results[i]).Elem(), raw, fmt.Sprintf("result %d", i)); err != nil {
			r.fail(e.back.Seq, "the library has changed: %s doesn't give what it gave: %v", e.Func, err)
		}
	}
	r.lacks(e.back, &d)
}

// match finds the recorded call that was made: of the call that came in last, then any, the earliest that is equal.
func (r *riReplay) match(method string, on int, args []any) *riEvent {
	key := method + " " + fmt.Sprint(on)
	r.mu.Lock()
	current, list := r.current, r.out[key]
	r.mu.Unlock()
	var first *riEvent
	why := ""
	for _, own := range []bool{true, false} {
		for _, e := range list {
			if r.isUsed(e) || own != (current != nil && e.Parent == current.Seq) {
				continue
			}
			c := riCompare{replay: r}
			differs := ""
			for i, a := range args {
				if i >= len(e.Values) {
					break
				}
				if differs = c.differs(reflect.ValueOf(a), e.Values[i], fmt.Sprintf("argument %d", i)); differs != "" {
					break
				}
			}
			if differs == "" && r.use(e, c.skipped) {
				return e
			}
			if first == nil {
				first, why = e, differs
			}
		}
	}
	if first == nil {
		r.fail(0, "%s was called once more than was recorded, with %s", method, riShort(fmt.Sprintf("%+v", args)))
		return nil
	}
	r.fail(first.Seq, "%s: %s", first.Func, why)
	return nil
}

func (r *riReplay) isUsed(e *riEvent) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return e.used
}

func (r *riReplay) use(e *riEvent, skipped int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.used {
		return false
	}
	e.used = true
	r.done++
	if skipped > 0 {
		r.skipped++
	}
	return true
}
