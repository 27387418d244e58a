package trace

import (
	"errors"
	"math"
	"strings"
	"time"

	"ri/attach"
	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/compile"
	"ri/values"
)

// Hit is a call that passed by, of a process or of a recording.
type Hit struct {
	Probe      int // of the request's
	Time       time.Time
	Nanotime   int64  // the same by the monotonic clock
	Goroutine  uint64 // 0: none, on a system stack
	Func, Into string // Into: the function that it was inlined into
	Took       time.Duration
	Ended      string        // why there is no return, where one is wanted; Took is -1
	SoFar      time.Duration // of a call that goes on when the trace ends: how long it has lasted; else 0
	Undecided  string        // why the condition wasn't decided
	Gone       bool          // the call ended without a return, and nobody knows when: a panic, or Goexit
	Callers    []uint64      // return addresses, the innermost first, as many as the request says; of a process
	Stack      []string      // the same with names; of a process only where rows are made
	Flow       uint64        // which flow it belongs to; 0: none
	What       string        // of the flow: enter, step, go, leave, end
	Started    uint64        // of go: the goroutine that was started
	Received   *Received     // what was received from a channel, if it is no call
	// Entry and Return are what it took along, good until the next hit.
	Entry, Return []Value

	dump values.DumpOptions
	show func(*Hit, Value) any // instead of Look: what of a value may be seen
}

// Value is what a hit took along, or why it didn't.
type Value = compile.Value

// Look reads a value as a row does: so much of it a hit has.
func (h *Hit) Look(v Value) any {
	if v.Err != nil {
		return rows.Missing(v.Err.Error())
	}
	if v.Plain != nil {
		return v.Plain
	}
	text := v.Value.Dump(h.dump)
	plain, err := h.plain(v.Value)
	if errors.Is(err, attach.ErrNotRecorded) {
		return rows.Missing(strings.Trim(values.Absent(err), "‹›"))
	}
	if err != nil || plain == nil {
		if null, err := v.Value.IsNil(); err == nil && null {
			return rows.GoText{Text: text}
		}
		return text
	}
	return rows.GoText{Text: text, Plain: plain}
}

// Scalar is a number, bool or whole text of a value; nil of all else, and of what isn't there.
func (h *Hit) Scalar(v Value) any {
	if v.Err != nil {
		return nil
	}
	if v.Plain != nil {
		return v.Plain
	}
	plain, err := h.plain(v.Value)
	if err != nil {
		return nil
	}
	return plain
}

// plain is a number, bool or whole text; nil of all else.
func (h *Hit) plain(v values.Value) (any, error) {
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
		s, full, err := v.Text(h.dump.Bytes)
		if err == nil && (full == len(s) || values.IsToken(s) && full <= h.dump.Bytes) {
			return s, nil
		}
	}
	return nil, nil
}

func (h *Hit) cells(all []Value) rows.Row {
	look := h.show
	if look == nil {
		look = (*Hit).Look
	}
	out := make(rows.Row, 0, len(all))
	for _, v := range all {
		out = append(out, rows.Cell{Name: v.Name, Value: look(h, v)})
	}
	return out
}

// row is what a hit is to people and programs. w says what of it is wanted.
func (h *Hit) row(w *Probe, stack bool) rows.Row {
	row := rows.Of("probe", textOrNil(w.Name), "time", h.Time, "nanotime", h.Nanotime, "goroutine", nil,
		"func", textOrNil(h.Func), "into", textOrNil(h.Into))
	if h.Goroutine != 0 {
		row[3].Value = int64(h.Goroutine)
	}
	if h.Flow != 0 {
		row = append(h.flowCells(), row...)
		if h.What != flowNames[probe.FlowEntered] && h.What != flowNames[probe.FlowStep] {
			return row
		}
	}
	entry := h.cells(h.Entry)
	var result rows.Row
	if w.Returns {
		var took any
		if h.Took >= 0 {
			took = h.Took
		}
		row = append(row, rows.Cell{Name: "duration", Value: took}, rows.Cell{Name: "ended", Value: textOrNil(h.Ended)})
		if h.SoFar > 0 {
			row = append(row, rows.Cell{Name: "so_far", Value: h.SoFar})
		}
		result = h.cells(h.Return)
	}
	if w.Show == nil {
		row = append(row, rows.Cell{Name: "args", Value: entry})
		if w.Returns {
			row = append(row, rows.Cell{Name: "results", Value: result})
		}
	} else {
		for _, c := range append(entry, result...) {
			for _, s := range w.Show {
				if s.Expr == c.Name {
					row = append(row, rows.Cell{Name: s.Name, Value: c.Value})
				}
			}
		}
	}
	if h.Undecided != "" {
		row = append(row, rows.Cell{Name: "undecided", Value: h.Undecided})
	}
	if stack {
		frames := make([]any, len(h.Stack))
		for i, f := range h.Stack {
			frames[i] = f
		}
		row = append(row, rows.Cell{Name: "stack", Value: frames})
	}
	return row
}
