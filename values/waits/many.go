package waits

import (
	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
)

// This file finds holders where the code alone doesn't say which lock it is: of loops that lock many, and of calls
// through interfaces.

// maxRounds is how many earlier rounds of a loop are looked at.
const maxRounds = 4096

// maxBack is how many are where the loop's beginning isn't known.
const maxBack = 64

// holding is where a goroutine is in a frame that may hold a lock.
type holding struct {
	where    symbols.Line
	lines    []symbols.Line
	function string // of package sync, that it is in the middle of
	site     symbols.Line
}

// holdingAt tells where a goroutine is in a frame.
func holdingAt(s *values.Space, frame *values.Frame) holding {
	at := holding{where: frame.Line}
	if info, ok := s.PC(frame.At); ok {
		at.lines = info.Lines
		if at.function, at.site = flow.Site(info.Lines); at.function == "" {
			at.where = info.Lines[0]
		} else {
			at.where = at.site
		}
	}
	return at
}

// many finds the locks of held, which stands for several or for what may be one.
func (f *holderSearch) many(g *values.Goroutine, c codeFrame, held flow.Held, at holding) {
	switch {
	case held.Via != nil:
		if f.through {
			f.method(g, c, held, at)
		}
	default:
		f.rounds(g, c, held, at)
	}
}

// method notes what a method that was called through an interface has taken.
func (f *holderSearch) method(g *values.Goroutine, c codeFrame, held flow.Held, at holding) {
	function, ok := c.value(held.Via)
	receiver, known := c.value(held.Lock)
	if !ok || !known || receiver == 0 {
		return
	}
	for _, taken := range f.p.Takes(function - f.s.Bias()) {
		addr, ok := ofReceiver(f.s, taken.Lock, receiver)
		if !ok || f.waits[g.Addr] == addr && at.where == held.Site {
			continue
		}
		taken.Site = held.Site
		h := f.holder(g, taken, at.where, at.lines)
		h.Through = true
		f.holds(addr, taken.RW, h)
	}
}

// ofReceiver finds the value of an expression over a method's receiver.
func ofReceiver(s *values.Space, e *flow.Expr, receiver uint64) (uint64, bool) {
	switch {
	case e.Kind == flow.Entry && e.N == 0:
		return receiver, true
	case e.Kind == flow.Sum:
		base, ok := ofReceiver(s, e.Base, receiver)
		return base + uint64(e.N), ok
	case e.Kind == flow.Load:
		base, ok := ofReceiver(s, e.Base, receiver)
		if !ok || base == 0 {
			return 0, false
		}
		w, err := s.Uint64(base + uint64(e.N))
		return w, err == nil
	}
	return 0, false
}

// rounds counts again what a loop counts, and notes the locks of the rounds before the one that it is in.
func (f *holderSearch) rounds(g *values.Goroutine, c codeFrame, held flow.Held, at holding) {
	counter, ok := f.p.Counter(c.frame.At-f.s.Bias(), held.Lock)
	if !ok {
		return
	}
	now, known := c.value(counter.Value)
	start, ok := c.value(counter.Start)
	if !ok {
		// Where it began is gone, as a length is that was in a register. So it is only for locks that have no other
		// holder, and not for far ones.
		if known && f.through {
			f.back(g, c, held, at, counter, now)
		}
		return
	}
	if !known && at.function != "" && at.site == held.Site { // which round it is in can't be told
		return
	}
	if known && int64(now-start)%counter.Step != 0 || known && int64(now-start)/counter.Step < 0 {
		return
	}
	for i, value := 0, start; i < maxRounds && (!known || value != now); i, value = i+1, value+uint64(counter.Step) {
		addr, ok := c.with(held.Lock, counter.Value, value)
		if !ok {
			break
		}
		if f.locks[addr] != nil || known { // behind the loop, what lies behind the last is no lock that anybody waits for
			f.earlier(g, addr, held, at)
		}
	}
}

// back counts from the round that a loop is in towards its beginning.
func (f *holderSearch) back(g *values.Goroutine, c codeFrame, held flow.Held, at holding, counter *flow.Counter,
	now uint64) {
	for i := range uint64(maxBack) {
		addr, ok := c.with(held.Lock, counter.Value, now-(i+1)*uint64(counter.Step))
		if !ok {
			break
		}
		if f.locks[addr] != nil {
			f.earlier(g, addr, held, at)
		}
	}
}

// earlier notes a lock of an earlier round.
func (f *holderSearch) earlier(g *values.Goroutine, addr uint64, held flow.Held, at holding) {
	if f.waits[g.Addr] == addr {
		return
	}
	h := f.holder(g, held, at.where, at.lines)
	h.Earlier = true
	f.holds(addr, held.RW, h)
}
