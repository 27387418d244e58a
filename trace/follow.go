package trace

import (
	"context"
	"time"

	"ri/probe"
	"ri/probe/compile"
	"ri/probe/kernel"
	"ri/probe/place"
	"ri/values"
)

// Call is a hit with what it took along, for whoever wants values rather than rows. It is good until the next one.
type Call struct {
	Event *probe.Event
	Site  *probe.Site
	Probe int // index in Request.Probes
	Args  []compile.Value
	// Results are those of a call that has returned, if its return is probed.
	Results []compile.Value
	// Received is what was received from a channel, if it is no call.
	Received *Received
	Begun    time.Time
	// Open: the trace ended before it returned.
	Open bool
}

// Follower hears of calls while a trace runs. Calls to it don't overlap.
type Follower interface {
	Armed(kernel.Forecast)
	Call(*Call) error // an error ends the trace
}

// Follow is Run that gives calls; those that are open at the end come last, in no order.
func (p *Plan) Follow(ctx context.Context, to Follower) (*Summary, error) {
	clock := newClock()
	give := func(ev *probe.Event, out *Summary, open bool) error {
		if ev.Probe < 0 || ev.Probe >= len(p.owners) {
			return nil
		}
		o := p.owners[ev.Probe]
		if decided, undecided := o.program.Decide(ev); !decided && undecided == nil {
			out.Dropped++
			return nil
		}
		out.Rows++
		c := &Call{Event: ev, Site: p.hits().site(ev), Probe: p.index(o.wanted), Args: o.program.Entry(ev),
			Results: o.program.Return(ev), Begun: clock.at(ev.Time), Open: open}
		if c.Received = p.received(&o, ev, c.Results); c.Received == nil && o.receive != nil {
			return nil // it still waits
		}
		return to.Call(c)
	}
	each := func(ev *probe.Event, out *Summary) error { return give(ev, out, false) }
	return p.session(ctx, to.Armed, each, func(armed *kernel.Armed, out *Summary) error {
		for _, ev := range armed.Open() {
			if err := give(&ev, out, true); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Plan) index(w *Probe) int {
	for i := range p.request.Probes {
		if &p.request.Probes[i] == w {
			return i
		}
	}
	return -1
}

// Space is the process's memory, live.
func (p *Plan) Space() *values.Space { return p.space }

// Functions are those that are probed, by name, with what they take and give.
func (p *Plan) Functions() []Function {
	var out []Function
	seen := map[string]bool{}
	for _, o := range p.owners {
		if seen[o.function.Name] || o.receive != nil {
			continue
		}
		seen[o.function.Name] = true
		out = append(out, Function{Name: o.function.Name, Probe: p.index(o.wanted), Params: o.function.Params(),
			NoReturns: o.function.NoReturns})
	}
	return out
}

// Function is a function that is probed.
type Function struct {
	Name      string
	Probe     int // index in Request.Probes
	Params    []place.Var
	NoReturns string // why its returns aren't probed, though that was asked for
}
