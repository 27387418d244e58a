package waits

import (
	"strings"

	"ri/symbols/flow"
	"ri/values"
)

// codeFrame is a frame of a goroutine with what its function's code says of the place where it is: in which register
// or slot what the function was given, or has found since, now lies.
type codeFrame struct {
	s     *values.Space
	entry uint64 // of the function, link-time
	frame *values.Frame
	state *flow.State
	known map[*flow.Expr]uint64 // what the frame no longer has, and others tell
}

// codeFrames gives the frames of a stack of which code tells something, innermost first. waited is the lock, channel
// or WaitGroup that the goroutine waits for, 0 if there is none or several: it is also what was given to the function
// that waits. What a function was given is what its caller had in the same register, so the frames tell of each
// other.
func codeFrames(s *values.Space, frames []values.Frame, at func(*values.Frame) *flow.State,
	waited uint64) (out []codeFrame) {
	given := map[int]uint64{} // registers at the entry of the function that this one has called
	for i := range frames {
		frame := &frames[i]
		if frame.Inlined {
			continue
		}
		if waitsFor(frame.Func) {
			if clear(given); waited != 0 {
				given[flow.Arguments[0]] = waited
			}
			continue
		}
		state := at(frame)
		if state == nil {
			clear(given)
			continue
		}
		entry := uint64(0)
		if info, ok := s.PC(frame.At); ok {
			entry = info.Entry
		}
		c := codeFrame{s: s, entry: entry, frame: frame, state: state}
		for n, value := range given {
			c.bind(state.Value(n), value)
		}
		if h := holdingAt(s, frame); waited != 0 && h.function != "" {
			if i := inProgress(state.Held, h.function, h.site); i >= 0 {
				c.bind(state.Held[i].Lock, waited)
			}
		}
		clear(given)
		for _, n := range flow.Arguments {
			if value, ok := c.value(state.Given(n)); ok {
				given[n] = value
			}
		}
		out = append(out, c)
	}
	return out
}

// waitsFor tells of functions that are called to wait for their first argument.
func waitsFor(function string) bool {
	switch function {
	case "runtime.chanrecv1", "runtime.chanrecv2", "runtime.chansend1", "sync.(*WaitGroup).Wait":
		return true
	}
	return flow.IsLockFunction(function) && strings.HasSuffix(function, "Lock")
}

// bind notes the value of an expression, and with it that of the part of it that isn't known.
func (c *codeFrame) bind(e *flow.Expr, value uint64) {
	for e != nil && e.Kind == flow.Sum {
		e, value = e.Base, value-uint64(e.N)
	}
	if e != nil && e.Kind != flow.Constant && e.Kind != flow.Stack {
		if c.known == nil {
			c.known = map[*flow.Expr]uint64{}
		}
		c.known[e] = value
	}
}

// value finds the value of an expression in the frame.
func (c codeFrame) value(e *flow.Expr) (uint64, bool) { return c.with(e, nil, 0) }

// with does so with a value for one of its parts: another than it has now.
func (c codeFrame) with(e, part *flow.Expr, value uint64) (uint64, bool) {
	if part != nil && e.Has(part) {
		if e == part {
			return value, true
		}
		return c.compute(e, part, value)
	}
	if c.frame.Regs != nil { // it runs
		if n, ok := c.state.Register(e); ok {
			return c.frame.Regs.Get(n)
		}
	}
	if off, ok := c.state.Slot(e); ok {
		w, err := c.s.Uint64(c.frame.CFA + uint64(off))
		return w, err == nil
	}
	if off, by, ok := c.state.Near(e); ok {
		w, err := c.s.Uint64(c.frame.CFA + uint64(off))
		return w - uint64(by), err == nil
	}
	if w, ok := c.known[e]; ok {
		return w, true
	}
	return c.compute(e, part, value)
}

// compute finds the value of an expression from those of its parts.
func (c codeFrame) compute(e, part *flow.Expr, value uint64) (uint64, bool) {
	switch e.Kind {
	case flow.Constant:
		if e.N>>16 == 0 { // a number, and no address
			return uint64(e.N), true
		}
		return uint64(e.N) + c.s.Bias(), true
	case flow.Stack:
		return c.frame.CFA + uint64(e.N), true
	case flow.Scaled:
		index, ok := c.with(e.Index, part, value)
		return index * uint64(e.N), ok
	case flow.Add:
		base, ok := c.with(e.Base, part, value)
		index, also := c.with(e.Index, part, value)
		return base + index, ok && also
	case flow.Sum:
		base, ok := c.with(e.Base, part, value)
		return base + uint64(e.N), ok
	case flow.Load:
		base, ok := c.with(e.Base, part, value)
		if !ok || base == 0 {
			return 0, false
		}
		w, err := c.s.Uint64(base + uint64(e.N))
		return w, err == nil
	}
	return 0, false
}
