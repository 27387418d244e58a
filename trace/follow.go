package trace

import (
	"context"
	"errors"
	"time"

	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/kernel"
	"ri/probe/place"
	"ri/values"
)

// Follow arms the probes, says so with what they will cost, and gives each hit until the trace ends: by its limit, its
// time, its budget, with ctx, with the process, or with an error of each. Then it gives the calls that have not
// returned, as far as it is known that they were wanted. Calls of each don't overlap. The error is rows.ErrPartial
// where the budget ended it.
func (p *Plan) Follow(ctx context.Context, begun func(kernel.Forecast), each func(*Hit) error) (*Summary, error) {
	armed, out, err := p.arm(ctx)
	if err != nil {
		return nil, err
	}
	defer armed.Close()
	begun(armed.Forecast())
	timer := time.AfterFunc(p.request.For, func() { armed.Disarm() })
	defer timer.Stop()
	h := p.hits()
	err = p.events(ctx, armed, out, func(ev *probe.Event) error { return p.give(h, ev, out, each) })
	timer.Stop()
	if disarm := armed.Disarm(); err == nil {
		err = disarm
	}
	if err == nil || errors.Is(err, rows.ErrPartial) {
		if late := p.open(h, armed, out, each); err == nil {
			err = late
		}
	}
	out.Tables = p.tables(armed)
	out.close(p, armed)
	return out, err
}

// give gives the hit of an event.
func (p *Plan) give(h *hits, ev *probe.Event, out *Summary, each func(*Hit) error) error {
	hit, ok := h.hit(ev)
	if !ok {
		out.Dropped++
		return nil
	}
	if err := each(hit); err != nil {
		return err
	}
	if hit.What == flowNames[probe.FlowEntered] {
		out.Flows++
	}
	if out.Rows++; out.Rows >= p.request.Limit && p.decidesAfter() {
		return errEnough
	}
	return nil
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
