package trace

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/compile"
	"ri/values"
)

// hits makes rows of events.
type hits struct {
	*Plan
	clock clock
}

func (p *Plan) hits() *hits { return &hits{Plan: p, clock: newClock()} }

// Columns are those of the rows, in their order.
func (p *Plan) Columns() []rows.Column { return p.columns }

func (p *Plan) columnsOf() []rows.Column {
	all := []rows.Column{{Name: "probe", Hidden: true, Optional: true}, {Name: "time", Type: rows.ColumnTime},
		{Name: "nanotime", Hidden: true}, {Name: "goroutine", Type: rows.ColumnInt},
		{Name: "func", Cut: rows.CutPaths, Hidden: len(p.owners) == 1}, {Name: "into", Optional: true, Cut: rows.CutPaths}}
	var shown []rows.Column
	returns, args := false, false
	for _, w := range p.request.Probes {
		returns, args = returns || w.Returns, args || w.Show == nil
		for _, s := range w.Show {
			if !slices.ContainsFunc(shown, func(c rows.Column) bool { return c.Name == s.Name }) {
				shown = append(shown, rows.Column{Name: s.Name, AsIs: true})
			}
		}
	}
	if returns {
		all = append(all, rows.Column{Name: "duration", Type: rows.ColumnDuration},
			rows.Column{Name: "ended", Optional: true})
	}
	if args {
		all = append(all, rows.Column{Name: "args"})
		if returns {
			all = append(all, rows.Column{Name: "results"})
		}
	}
	all = append(append(all, shown...), rows.Column{Name: "undecided", Optional: true})
	if p.request.Stack > 0 {
		all = append(all, rows.Column{Name: "stack"})
	}
	return all
}

// row is what a hit is to people and programs; false where a condition decided afterwards leaves it out.
func (h *hits) row(ev *probe.Event) (rows.Row, bool) {
	if ev.Probe < 0 || ev.Probe >= len(h.owners) {
		return nil, false
	}
	o := h.owners[ev.Probe]
	site := h.site(ev)
	decided, undecided := o.program.Decide(ev)
	if !decided && undecided == nil {
		return nil, false
	}
	row := rows.Of("probe", textOrNil(o.wanted.Name), "time", h.clock.at(ev.Time),
		"nanotime", int64(ev.Time), "goroutine", goroutine(ev), "func", site.Func, "into", textOrNil(site.Into))
	entry := h.cells(o.program, o.program.Entry(ev))
	var result rows.Row
	if o.wanted.Returns {
		took, how := ended(ev, len(h.probes[ev.Probe].Returns) > 0)
		row = append(row, rows.Cell{Name: "duration", Value: took}, rows.Cell{Name: "ended", Value: how})
		result = h.cells(o.program, o.program.Return(ev))
	}
	if o.wanted.Show == nil {
		row = append(row, rows.Cell{Name: "args", Value: entry})
		if o.wanted.Returns {
			row = append(row, rows.Cell{Name: "results", Value: result})
		}
	} else {
		for _, c := range append(entry, result...) {
			for _, s := range o.wanted.Show {
				if s.Expr == c.Name {
					row = append(row, rows.Cell{Name: s.Name, Value: c.Value})
				}
			}
		}
	}
	if why := undecidedText(ev, undecided); why != "" {
		row = append(row, rows.Cell{Name: "undecided", Value: why})
	}
	if h.request.Stack > 0 {
		row = append(row, rows.Cell{Name: "stack", Value: h.stack(ev)})
	}
	return row, true
}

func (h *hits) site(ev *probe.Event) *probe.Site {
	sites := h.probes[ev.Probe].Sites
	return &sites[max(min(ev.Site, len(sites)-1), 0)]
}

// goroutine is its number; none on a system stack.
func goroutine(ev *probe.Event) any {
	if ev.Goroutine == 0 {
		return nil
	}
	return int64(ev.Goroutine)
}

// ended is how long a call took and how it ended, nil where it returned.
func ended(ev *probe.Event, probed bool) (took, how any) {
	switch {
	case ev.Return != nil:
		return ev.Return.Time - ev.Time, nil
	case ev.Ended:
		return nil, "without a return (panic or Goexit)"
	case !probed:
		return nil, "its return isn't probed"
	}
	return nil, "not yet"
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

// cells are what was shown.
func (h *hits) cells(p *compile.Program, all []compile.Value) rows.Row {
	out := make(rows.Row, 0, len(all))
	for _, v := range all {
		out = append(out, rows.Cell{Name: v.Name, Value: cell(p, v)})
	}
	return out
}

// cell is what was shown, in Go syntax; to programs a number, a bool or a whole text as such.
func cell(p *compile.Program, v compile.Value) any {
	if v.Err != nil {
		return rows.Missing(v.Err.Error())
	}
	text := v.Value.Dump(p.Dump())
	plain, err := plainOf(p, v.Value)
	if err != nil || plain == nil {
		if null, err := v.Value.IsNil(); err == nil && null {
			return rows.GoText{Text: text}
		}
		return text
	}
	return rows.GoText{Text: text, Plain: plain}
}

// plainOf is a number, bool or whole text; nil of all else.
func plainOf(p *compile.Program, v values.Value) (any, error) {
	n, err := v.Scalar()
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case values.BoolScalar:
		return n.Bits != 0, nil
	case values.IntScalar:
		return n.Int(), nil
	case values.UintScalar:
		if n.Bits > math.MaxInt64 {
			return n.Bits, nil
		}
		return int64(n.Bits), nil
	case values.FloatScalar:
		return n.Float(), nil
	case values.TextScalar:
		if s, full, err := v.Text(p.Dump().Bytes); err == nil && full == len(s) {
			return s, nil
		}
	}
	return nil, nil
}

// stack is a hit's stack, innermost first: its own function is in func.
func (h *hits) stack(ev *probe.Event) any {
	var out []any
	for _, pc := range ev.Stack {
		frames := h.space.FramesAt(pc, false)
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
