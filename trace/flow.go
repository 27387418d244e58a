package trace

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/compile"
	"ri/probe/place"
	"ri/values"
)

// A request with Steps follows flows. Calls of its functions open them, and each is given at once; then every function
// of Steps that its goroutine passes until the call returns, and those that goroutines pass which it starts. Limit is
// of flows then: those that are open when it is reached have ten seconds to end. A goroutine that is started in a flow
// and outlives its call is in no flow any more: it may serve others by then.

// Functions of the runtime in which goroutines begin and end (runtime/proc.go, Go 1.20 to 1.27).
const (
	starts = "runtime.newproc1"
	ends   = "runtime.goexit1"
)

// follows makes a request that has steps one of several probes.
func (r *Request) follows() error {
	if len(r.Steps) == 0 || r.flows {
		return nil
	}
	w := &r.Probes[0]
	no := func(flag, why string) error { return rows.Usagef("%s doesn't go with --steps: %s", flag, why) }
	switch {
	case r.Counts():
		return no("--count", "what is only counted belongs to no flow")
	case w.Returns:
		return no("--returns", "the row of a flow's end has how long it took")
	case len(w.After) > 0:
		return no("--when-after", "the kernel decides which calls open a flow")
	case r.Windows:
		return no("--windows", "a flow would be seen in parts")
	case w.Flow != probe.NoFlow || len(r.Probes) > 1:
		return rows.Usagef("steps are of one probe's flows")
	}
	r.flows, w.Flow = true, probe.Opens
	step := Probe{Functions: r.Steps, Flow: probe.Within, Show: w.Show}
	none := []Show{}
	r.Probes = append(r.Probes, step, Probe{Functions: []string{starts}, Flow: probe.Starts, Show: none, Optional: true},
		Probe{Functions: []string{ends}, Flow: probe.Ends, Show: none, Optional: true})
	return nil
}

// flowSite says why a site of a function can't serve a probe of flows, "" if it can.
func (p *Plan) flowSite(w *Probe, fn *place.Function, site *probe.Site) string {
	switch {
	case w.Flow == probe.NoFlow:
	case !site.G:
		return "its goroutine isn't known there"
	case w.Flow == probe.Opens && site.Role != probe.Entry:
		return "a call that was inlined has no return, and its flow no end"
	case w.Flow == probe.Opens && fn.NoReturns != "":
		return "a flow ends by a return: " + fn.NoReturns
	}
	return ""
}

// showable leaves of what is to be shown what a function of a flow has: each has names of its own.
func (p *Plan) showable(scope *compile.Scope, w *Probe, list []string) []string {
	if !p.request.flows || w.Show == nil {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(expr string) bool {
		_, err := compile.Compile(scope, compile.Wanted{Show: []string{expr}})
		if _, ok := p.shown[expr]; err == nil || !ok {
			p.shown[expr] = err
		}
		return errors.Is(err, values.ErrExpr)
	})
}

// unshown is why something is shown nowhere, where that is so.
func (p *Plan) unshown() error {
	for _, s := range p.request.Probes[0].Show {
		if err := p.shown[s.Expr]; errors.Is(err, values.ErrExpr) {
			return rows.Usagef("no function of the flow has %s, the first that was tried: %w", s.Expr, err)
		}
	}
	return nil
}

// Names of what happens to a flow, in rows.
var flowNames = [...]string{probe.FlowEntered: "enter", probe.FlowStep: "step", probe.FlowStarted: "go",
	probe.FlowLeft: "leave", probe.FlowEnded: "end"}

// flowHit adds what an event says of its flow to a hit.
func (h *hits) flowHit(hit *Hit, ev *probe.Event) {
	hit.Flow, hit.Started = ev.Flow, ev.Other
	if int(ev.What) < len(flowNames) {
		hit.What = flowNames[ev.What]
	}
	first := h.entered[ev.Flow]
	switch ev.What {
	case probe.FlowEntered:
		h.entered[ev.Flow] = &opened{ev.Time, ev.Goroutine}
	case probe.FlowStarted:
		hit.Func = ""
	case probe.FlowLeft:
		if first != nil {
			hit.Took = ev.Time - first.at
		}
		delete(h.entered, ev.Flow)
	case probe.FlowEnded:
		hit.Func = ""
		if first != nil && first.goroutine == ev.Goroutine {
			hit.Took, hit.Ended = ev.Time-first.at, "without a return (panic or Goexit)"
			delete(h.entered, ev.Flow)
		}
	}
}

// opened is the call that opened a flow.
type opened struct {
	at        time.Duration
	goroutine uint64
}

// flowCells are the cells that rows of flows begin with.
func (h *Hit) flowCells() rows.Row {
	var started, took any
	if h.Started != 0 {
		started = int64(h.Started)
	}
	if h.Took >= 0 {
		took = h.Took
	}
	return rows.Of("flow", int64(h.Flow), "what", h.What, "started", started, "duration", took, "ended",
		textOrNil(h.Ended))
}

var flowColumns = []rows.Column{{Name: "flow", Type: rows.ColumnInt}, {Name: "what"},
	{Name: "started", Type: rows.ColumnInt, Optional: true}, {Name: "duration", Type: rows.ColumnDuration, Optional: true},
	{Name: "ended", Optional: true}}

// MissedFlows says what of flows isn't seen, for want of a place in the runtime.
func (p *Plan) missedFlows() (lines []string) {
	has := map[string]bool{}
	for _, o := range p.owners {
		has[o.function.Name] = true
	}
	if p.request.flows && !(has[starts] && has[ends]) {
		lines = append(lines, fmt.Sprintf("goroutines that a flow starts aren't followed: this program's %s can't be probed",
			map[bool]string{true: ends, false: starts}[has[starts]]))
	}
	return lines
}
