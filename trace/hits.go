package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ri/instruments/rows"
	"ri/probe"
)

// hits makes rows of events.
type hits struct {
	*Plan
	clock   clock
	entered map[uint64]*opened // flows that are open, of a request with steps
}

func (p *Plan) hits() *hits { return &hits{Plan: p, clock: newClock(), entered: map[uint64]*opened{}} }

// Columns are those of the rows, in their order.
func (p *Plan) Columns() []rows.Column { return p.columns }

// ownColumns are those that hits may have besides what is shown.
var ownColumns = []string{"probe", "time", "nanotime", "goroutine", "func", "into", "duration", "ended", "so_far",
	"args", "results", "undecided", "stack"}

func columnsOf(probes []Probe, functions bool, stack int) []rows.Column {
	all := []rows.Column{{Name: "probe", Hidden: true, Optional: true}, {Name: "time", Type: rows.ColumnTime},
		{Name: "nanotime", Hidden: true}, {Name: "goroutine", Type: rows.ColumnInt},
		{Name: "func", Cut: rows.CutPaths, Hidden: !functions}, {Name: "into", Optional: true, Cut: rows.CutPaths}}
	var shown []rows.Column
	returns, args := false, false
	for _, w := range probes {
		if w.Histogram {
			continue
		}
		returns, args = returns || w.Returns, args || w.Show == nil
		for _, s := range w.Show {
			if !slices.ContainsFunc(shown, func(c rows.Column) bool { return c.Name == s.Name }) {
				shown = append(shown, rows.Column{Name: s.Name, AsIs: true})
			}
		}
	}
	if returns {
		all = append(all, rows.Column{Name: "duration", Type: rows.ColumnDuration},
			rows.Column{Name: "ended", Optional: true},
			rows.Column{Name: "so_far", Type: rows.ColumnDuration, Optional: true})
	}
	if args {
		all = append(all, rows.Column{Name: "args"})
		if returns {
			all = append(all, rows.Column{Name: "results"})
		}
	}
	all = append(append(all, shown...), rows.Column{Name: "undecided", Optional: true})
	if stack > 0 {
		all = append(all, rows.Column{Name: "stack"})
	}
	return all
}

// hit is what an event says; false where a condition decided afterwards leaves it out.
func (h *hits) hit(ev *probe.Event) (*Hit, bool) {
	if ev.Probe < 0 || ev.Probe >= len(h.owners) {
		return nil, false
	}
	o := h.owners[ev.Probe]
	site := h.site(ev)
	if ev.What > probe.FlowStep {
		hit := &Hit{Probe: o.probe, Time: h.clock.at(ev.Time), Nanotime: int64(ev.Time), Goroutine: ev.Goroutine,
			Func: site.Func, Took: -1}
		h.flowHit(hit, ev)
		return hit, true
	}
	decided, undecided := o.program.Decide(ev)
	if !decided && undecided == nil {
		return nil, false
	}
	hit := &Hit{Probe: o.probe, Time: h.clock.at(ev.Time), Nanotime: int64(ev.Time), Goroutine: ev.Goroutine,
		Func: site.Func, Into: site.Into, Took: -1, Undecided: undecidedText(ev, undecided), dump: o.program.Dump()}
	hit.Entry = o.program.Entry(ev)
	if o.wanted.Returns {
		hit.Took, hit.Ended = ended(ev, len(h.probes[ev.Probe].Returns) > 0)
		hit.Return = o.program.Return(ev)
	}
	if ev.Flow != 0 {
		h.flowHit(hit, ev)
	}
	hit.Gone, hit.Callers = ev.Ended, ev.Stack
	hit.Received = h.received(&o, ev, hit.Entry, hit.Return)
	return hit, true
}

func (h *hits) site(ev *probe.Event) *probe.Site {
	sites := h.probes[ev.Probe].Sites
	return &sites[max(min(ev.Site, len(sites)-1), 0)]
}

// ended is how long a call took, -1 if it didn't return, and then why.
func ended(ev *probe.Event, probed bool) (took time.Duration, how string) {
	switch {
	case ev.Return != nil:
		return ev.Return.Time - ev.Time, ""
	case ev.Ended:
		return -1, "without a return (panic or Goexit)"
	case !probed:
		return -1, "its return isn't probed"
	}
	return -1, "not yet"
}

// undecidedText is why a condition wasn't decided.
func undecidedText(ev *probe.Event, after error) string {
	switch {
	case ev.Undecided || ev.Return != nil && ev.Return.Undecided:
		return "memory that the condition needs couldn't be read"
	case after != nil:
		return after.Error()
	}
	return ""
}

// stack is a hit's stack, innermost first: its own function is in func.
func (p *Plan) stack(callers []uint64) (out []string) {
	for _, pc := range callers {
		frames := p.space.FramesAt(pc, false)
		if len(frames) == 0 {
			out = append(out, fmt.Sprintf("%#x", pc))
			continue
		}
		for _, f := range frames {
			if !f.Wrapper {
				out = append(out, fmt.Sprintf("%s %s:%d", f.Func, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line.Line))
			}
		}
	}
	return out
}
