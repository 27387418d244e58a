package trace

import (
	"time"

	"ri/probe"
	"ri/probe/kernel"
)

// open gives the calls that have not returned, as far as it is known that they were wanted: at most as many as the
// limit of hits.
func (p *Plan) open(h *hits, armed *kernel.Armed, out *Summary, each func(*Hit) error) error {
	now := newClock()
	for _, ev := range armed.Open() {
		if out.Open == p.request.Limit {
			return nil
		}
		if ev.Probe < 0 || ev.Probe >= len(p.probes) {
			continue
		}
		soFar := max(now.mono-ev.Time, 1)
		if holdsAlready(p.probes[ev.Probe].Back.When, soFar) != holds {
			continue
		}
		hit, ok := h.hit(&ev)
		if !ok || hit.Undecided != "" || p.owners[ev.Probe].receive != nil { // what waits has received nothing
			continue
		}
		switch {
		case armed.Gone():
			hit.Ended = "not returned: the process has ended"
		case !ev.Ended:
			hit.Ended, hit.SoFar = "not returned", soFar
		}
		if err := each(hit); err != nil {
			return err
		}
		out.Open++
	}
	return nil
}

// verdict is what can be said of a condition before a call has returned.
type verdict uint8

const (
	unknown verdict = iota
	holds
	fails
)

// holdsAlready decides a condition of the return by the time that has passed: it can only become more.
func holdsAlready(c probe.Condition, soFar time.Duration) verdict {
	not := [...]verdict{unknown: unknown, holds: fails, fails: holds}
	several := func(list []probe.Condition, decides verdict) verdict {
		out := not[decides]
		for _, one := range list {
			switch holdsAlready(one, soFar) {
			case decides:
				return decides
			case unknown:
				out = unknown
			}
		}
		return out
	}
	switch c := c.(type) {
	case nil:
		return holds
	case probe.And:
		return several(c, fails)
	case probe.Or:
		return several(c, holds)
	case probe.Not:
		return not[holdsAlready(c.Of, soFar)]
	case probe.Since:
		passed, longer := uint64(soFar) >= c.Right, uint64(soFar) > c.Right
		switch {
		case c.Op == probe.GreaterEqual && passed, c.Op == probe.Greater && longer:
			return holds
		case c.Op == probe.Less && passed, c.Op == probe.LessEqual && longer:
			return fails
		}
	}
	return unknown
}
