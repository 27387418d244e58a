package tap

import (
	"fmt"
	"reflect"
	"time"

	"ri/probe/compile"
	"ri/probe/kernel"
	"ri/record/calls"
	"ri/symbols"
	"ri/trace"
	"ri/values"
)

// tape gathers events.
type tape struct {
	*Recorder
	spool      *spool
	enc        *encoder
	made       time.Time
	receivers  numbers
	types      map[string]bool // of receivers, pointers
	state      map[int]*state  // by number
	index      []entry
	unreturned map[uint64]map[int32]bool // calls without a return, though they have results, by goroutine
	short      int64                     // events and states of which something didn't fit
	sends      map[int]calls.Channel     // through which something went out
	makes      map[uint64][]time.Time    // when the library made channels, by their address
}

// state is what a receiver held at its first call.
type state struct {
	calls.Receiver
	begun time.Time
}

// begun hears that the probes are there.
func (t *tape) begun(f kernel.Forecast) {
	t.made = time.Now()
	if t.opt.Armed != nil {
		t.opt.Armed(f)
	}
}

// hit takes a call, or what was received.
func (t *tape) hit(h *trace.Hit) error {
	if h.Received != nil {
		return t.received(h)
	}
	o := t.owners[h.Probe]
	if t.stranger(h, o.out) {
		return nil
	}
	ev := calls.Event{Goroutine: h.Goroutine, Kind: calls.Call, Func: o.Func, Out: o.out}
	args := h.Entry
	if o.Receiver && len(args) > 0 {
		ev.On = t.receiver(args[0], o.out, h.Time)
		args = args[1:]
	}
	if o.Callback { // what a closure has of its surroundings comes last, and is the program's own
		args = args[:min(len(args), t.arguments(o.Func))]
	}
	t.values(&ev, args, o.Func, true)
	number := len(t.index)
	if err := t.keep(&ev, h.Time, -1); err != nil {
		return err
	}
	switch {
	case h.Took >= 0:
		back := calls.Event{Goroutine: h.Goroutine, Kind: calls.Return, Func: o.Func, Out: o.out, On: ev.On}
		t.values(&back, h.Return, o.Func, o.out)
		return t.keep(&back, h.Time.Add(h.Took), number)
	case h.Gone:
		// It ended before the next call at the same depth, and nobody knows when: at once after what it called.
		back := calls.Event{Goroutine: h.Goroutine, Kind: calls.Return, Func: o.Func, Out: o.out, On: ev.On,
			Ended: panicked}
		if !o.out {
			t.lacksReturn(h.Goroutine, number)
		}
		return t.keep(&back, h.Time, number)
	case h.Ended != "" && o.out:
		t.lacksReturn(h.Goroutine, number)
	}
	return nil
}

// lacksReturn notes a call of a goroutine that had no return.
func (t *tape) lacksReturn(goroutine uint64, number int) {
	if t.unreturned[goroutine] == nil {
		t.unreturned[goroutine] = map[int32]bool{}
	}
	t.unreturned[goroutine][int32(number)] = true
}

// stranger tells whether a call doesn't cross the boundary, by who called: what is inside calls its own functions too,
// and what is outside calls what the library would.
func (t *tape) stranger(h *trace.Hit, out bool) bool {
	if h.Into != "" { // the call was inlined: its caller's frame is its own
		return t.boundary.Inside(h.Into) != out
	}
	for _, pc := range h.Callers {
		for _, f := range t.plan.Space().FramesAt(pc, false) {
			if f.Wrapper {
				continue
			}
			return t.boundary.Inside(f.Func) != out
		}
	}
	return false
}

// values writes what a call was given or gave.
func (t *tape) values(ev *calls.Event, list []compile.Value, fn string, inward bool) {
	t.enc.begin(inward)
	for i, v := range list {
		if v.Err != nil {
			ev.Values = append(ev.Values, t.enc.absent(v.Err))
			continue
		}
		variable := t.process.File.ShortName(fn) + "." + v.Name
		ev.Values = append(ev.Values, t.enc.encode(v.Value, variable, fmt.Sprintf("values[%d]", i)))
	}
	if ev.Missing, ev.Tokens = t.enc.missing, t.enc.replaced; t.enc.short {
		t.short++
	}
}

// receiver is the number of what a call was made on. What it held at the first call on it is kept, as far as the call
// took it along; calls come when they return, so the first isn't the first to come.
func (t *tape) receiver(v compile.Value, out bool, begun time.Time) int {
	if v.Err != nil || v.Value.Type.Kind != reflect.Pointer {
		return 0
	}
	addr, err := v.Value.Word()
	if err != nil || addr == 0 {
		return 0
	}
	id := t.receivers.of(addr)
	known := t.state[id]
	if known != nil && (out || !begun.Before(known.begun)) {
		return id
	}
	known = &state{begun: begun, Receiver: calls.Receiver{ID: id, Type: v.Value.Type.Name}}
	t.state[id] = known
	if out {
		return id
	}
	t.enc.begin(true)
	t.enc.outside = true
	defer func() { t.enc.outside = false }()
	to, err := v.Value.Elem()
	if err != nil {
		known.Why = values.Absent(err)
		return id
	}
	known.Value = t.enc.encode(to, "", fmt.Sprintf("state[%d]", id))
	if known.Missing = t.enc.missing; t.enc.short {
		t.short++
	}
	return id
}

// numbers are those of things by their address, in the order in which they were seen, from 1 on.
type numbers map[uint64]int

func (n numbers) of(addr uint64) int {
	if _, ok := n[addr]; !ok {
		n[addr] = len(n) + 1
	}
	return n[addr]
}

// referred is the number of what a value leads to, if it is one on which calls are recorded: it isn't written again.
func (t *tape) referred(typ *symbols.Type, addr uint64) (id int, ok bool) {
	if t.types == nil {
		t.types = map[string]bool{}
		for _, f := range t.plan.Functions() {
			if o := t.owners[f.Probe]; o.Receiver && len(f.Params) > 0 && f.Params[0].Type.Kind == reflect.Pointer {
				t.types[f.Params[0].Type.Name] = true
			}
		}
	}
	if addr == 0 || !t.types[typ.Name] {
		return 0, false
	}
	return t.receivers.of(addr), true
}
