package kit

import (
	"encoding/json"
	"math"
	"slices"
)

// riLead is what others do by what a step gave them: it has to be done before that.
type riLead struct {
	uses   []*riEvent // the first events on channels and receivers that it was the first to mention
	starts *riEvent   // of a call that came in: the first event of a goroutine that it may have started
}

// leads finds what each step leads to in goroutines other than its own. A goroutine that comes to be while one call is
// in the library may be that call's: nothing says so, but no other call is known to have started it either. Of several
// that are in the library it could be any.
func (rec *riRecording) leads() {
	firsts := map[int]*riEvent{} // receivers are even, channels odd
	for _, e := range rec.events {
		n := 2 * e.On
		switch {
		case e.looked(): // it is there before who looks for it
			continue
		case e.Kind == "receive" || e.Kind == "send":
			n = 2*e.Chan + 1
		case e.Kind != "call":
			continue
		}
		if firsts[n] == nil {
			firsts[n] = e
		}
	}
	state := map[int]json.RawMessage{}
	for _, s := range rec.header.State {
		state[s.On] = s.Value
	}
	known, born := map[int]bool{}, map[uint64]bool{}
	var mention func(s *riStep, from int64, v json.RawMessage)
	mention = func(s *riStep, from int64, v json.RawMessage) {
		note := func(n int) {
			if known[n] {
				return
			}
			known[n] = true
			if f := firsts[n]; s != nil && f != nil && f.Seq > from {
				s.lead.uses = append(s.lead.uses, f)
			}
			if n%2 == 0 {
				mention(s, from, state[n/2])
			}
		}
		riMentions(v, riOn, func(on int) { note(2 * on) })
		riMentions(v, riChan, func(c int) { note(2*c + 1) })
	}
	var open []*riStep // calls that came in, and during which no goroutine came to be
	for _, e := range rec.events {
		s := e.step
		if c := rec.at(e.Call); e.Kind == "return" && c.comesIn() {
			s = c.step
		}
		root := e.comesIn() && s != nil
		for _, v := range e.Values {
			switch {
			case s == nil || e.goesOut(): // what the library itself gives
				mention(nil, 0, v)
			default:
				mention(s, s.e.Seq, v) // it may be there before the call has returned
			}
		}
		if !born[e.Goroutine] && !root {
			open = slices.DeleteFunc(open, func(in *riStep) bool { return in.e.back != nil && in.e.back.Seq < e.Seq })
			if len(open) == 1 && open[0].e.back != nil {
				open[0].lead.starts = e
			}
			open = nil
		}
		if born[e.Goroutine] = true; root {
			open = append(open, s)
		}
	}
}

// until is the place behind which a step can't be. What a call sent within the library says more exactly when it was
// made than what others did meanwhile.
func (l *riLead) until(sent bool) riPos {
	pos := riPos(math.MaxInt64)
	for _, e := range l.uses {
		pos = min(pos, e.place())
	}
	if l.starts != nil && !sent {
		pos = min(pos, l.starts.place())
	}
	return pos
}

// place is just before an event: before what is done for it, if anything.
func (e *riEvent) place() riPos {
	switch s := e.step; {
	case s != nil && s.pos != riLast:
		return s.pos - riComes
	case e.Kind == "receive" && e.Inside:
		return e.bound - 1
	case e.Kind == "send" && e.Inside && e.taken != nil:
		return e.taken.bound - 1
	}
	return riBefore(e.Seq, 0)
}
