package kit

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
)

// call makes a call that came in, and compares what it gives.
func (r *riReplay) call(e *riEvent) {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
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
	d := r.decoder()
	for i, raw := range want {
		v := reflect.New(f.Type().In(len(args))).Elem()
		d.variable(e, i)
		if err := d.into(v, raw, fmt.Sprintf("values[%d]", i)); err != nil {
			r.fail(e.Seq, "the library has changed: %s doesn't take what it took: %v", e.Func, err)
			return
		}
		args = append(args, v)
	}
	r.lacks(e, d)
	results, panicked := r.make(f, args)
	r.keep(results)
	switch {
	case panicked != "" && e.back == nil && (f.Type().NumOut() > 0 || strings.HasPrefix(panicked, riEnded)):
		// Whether it returned isn't known.
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

// keep keeps what the library made alive as long as the test: its finalizer runs outside of the bubble, and may send
// into a channel in there, as github.com/patrickmn/go-cache's does.
func (r *riReplay) keep(results []reflect.Value) {
	riKept.Lock()
	defer riKept.Unlock()
	riKept.results = append(riKept.results, results)
}

var riKept struct {
	sync.Mutex
	results [][]reflect.Value
}

// lacks notes what was wanted and not recorded, or not in clear.
func (r *riReplay) lacks(e *riEvent, d *riDecoder) {
	if len(d.absent)+len(d.hidden) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range d.hidden {
		r.unclear[rule] = e.Seq
	}
	for _, what := range d.absent {
		if len(r.absent) < riAbsent {
			r.absent = append(r.absent, fmt.Sprintf("event %d, %s: %s", e.Seq, e.Func, what))
		}
	}
}

// riAbsent is how much of what is missing is told.
const riAbsent = 5

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
	for _, s := range r.rec.header.State {
		if s.On != id {
			continue
		}
		d := r.decoder()
		if len(s.Value) > 0 {
			if err := d.into(v.Elem(), s.Value, fmt.Sprintf("state[%d]", id)); err != nil {
				return v, err
			}
		}
		r.lacks(&riEvent{Func: "the state of " + s.Type}, d)
	}
	if setup := r.setup[riTypeName(t)]; setup != nil {
		v = reflect.ValueOf(setup(v.Interface()))
		r.mu.Lock()
		r.receivers[id] = v
		r.mu.Unlock()
	}
	return v, nil
}
