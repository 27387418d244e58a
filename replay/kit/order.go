package kit

import (
	"cmp"
	"math"
	"slices"
)

// riStep is something that is done to the library: a call comes in, one that went out is answered, something is given
// to be received, or taken that it sent.
type riStep struct {
	e      *riEvent
	answer bool
	pos    riPos
	tie    int64 // of those with one place: the event that came of it
	lead   riLead
}

// own is the event that a step is.
func (s *riStep) own() *riEvent {
	if s.answer && s.e.back != nil {
		return s.e.back
	}
	return s.e
}

// riPos is a place in the order: just before an event, by its number, and a rank among what is done there.
type riPos int64

func riBefore(seq int64, rank riPos) riPos { return riPos(seq)<<8 | rank }

const (
	riBegins riPos = iota + 1
	riComes
	riAnswers
)

// riLast is behind all.
const riLast riPos = math.MaxInt64

// riLine is a goroutine of the recording.
type riLine struct {
	events []*riEvent
	steps  []*riStep // by the event; nil where it is none
}

// steps are what is done, in order. Each is done as late as the recording allows: just before the first thing that
// came of it, as far as that can be told. So what waited for its turn in the process, while something else was taken
// first, waits here, too. What a goroutine looked for without waiting is there before that goroutine goes on.
func (rec *riRecording) steps() (out []*riStep) {
	var lines []*riLine
	for _, list := range rec.lists() {
		l := &riLine{list, make([]*riStep, len(list))}
		for i, e := range list {
			s := rec.step(e)
			if l.steps[i], e.step = s, s; s != nil {
				out = append(out, s)
			}
			e.bound = riBefore(e.Seq, riComes)
		}
		lines = append(lines, l)
	}
	rec.leads()
	queues := rec.queues()
	for n, again := 0, true; again && n < riRounds; n++ {
		again = false
		for _, l := range lines {
			l.bind(&again)
		}
		for _, q := range queues {
			q.line(&again)
		}
		for _, l := range lines {
			l.place(&again)
		}
	}
	slices.SortFunc(out, func(a, b *riStep) int {
		return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.tie, b.tie), cmp.Compare(a.own().Seq, b.own().Seq))
	})
	rec.choose(lines)
	return out
}

// step is what an event is done by, at its own place; nil if the library does it.
func (rec *riRecording) step(e *riEvent) *riStep {
	switch {
	case e.own:
	case e.comesIn() && (e.parent == nil || e.parent.goesOut()): // else the library leads to it by itself
		return &riStep{e: e, pos: riLast, tie: e.Seq}
	case e.goesOut() && e.back == nil:
		return &riStep{e: e, answer: true, pos: riLast, tie: e.Seq}
	case e.Kind == "return":
		if c := rec.at(e.Call); c.goesOut() {
			return &riStep{e: c, answer: true, pos: riLast, tie: e.Seq}
		}
	case (e.Kind == "receive" || e.Kind == "send") && !e.Inside:
		return &riStep{e: e, pos: riLast, tie: e.Seq}
	}
	return nil
}

// bind finds by when what a goroutine received has to be there: what it waited for when it took it, what it looked
// for before it went on. What it sent is there once it goes on.
func (l *riLine) bind(again *bool) {
	on, by := riLast, (*riEvent)(nil)
	for i, e := range l.events {
		switch s := l.steps[i]; {
		case e.Kind == "receive":
			bound := e.bound
			if e.Polled {
				bound = min(bound, on-1)
			}
			bound = min(bound, riSends(l.events[i+1:]))
			if bound < e.bound {
				e.bound, *again = bound, true
			}
			switch {
			case s != nil && e.Polled:
				s.pos = e.bound
			case s != nil:
				on, by = s.pos, e
			case !e.Polled:
				on, by = e.bound, e
				if e.sent != nil {
					on = min(on, e.sent.bound) // it waits already
				}
			}
		case e.Kind == "send" && e.Inside:
			e.bound, e.by = on, by
		case s != nil:
			on, by = s.pos, e
		}
	}
}

// riSends is by when what a goroutine sends next has to be there.
func riSends(following []*riEvent) riPos {
	first := riLast
	for _, e := range following {
		if e.Kind != "send" || !e.Inside {
			break
		}
		if e.taken != nil {
			first = min(first, e.taken.bound)
		}
	}
	return first
}

// riQueue is a channel through which the library sends to itself: what was sent, in the order in which it was taken.
type riQueue []*riEvent

func (rec *riRecording) queues() map[int]riQueue {
	out := map[int]riQueue{}
	for _, e := range rec.events {
		if s := e.sent; s != nil && !e.Closed {
			out[e.Chan] = append(out[e.Chan], s)
		}
	}
	for _, e := range rec.events {
		if e.Kind == "send" && e.Inside && e.taken == nil {
			e.behind = riBefore(e.Seq, riAnswers)
			if q := out[e.Chan]; len(q) > 0 && !e.Closed {
				e.behind = max(e.behind, riBefore(q[len(q)-1].taken.Seq, riAnswers))
			}
		}
	}
	return out
}

// line has what was taken first come first.
func (q riQueue) line(again *bool) {
	for i := len(q) - 2; i >= 0; i-- {
		s, next := q[i], q[i+1]
		if s.by == nil || s.by == next.by {
			continue
		}
		// Not before it came: two channels may have what was sent at the same time in different orders. What has to be
		// there before that anyhow, since somebody looked for it, stays in order.
		bound, came := next.bound-1, riBefore(s.by.Seq, 0)
		if s.taken.bound > came {
			bound = max(bound, came)
		}
		if bound < s.taken.bound {
			s.taken.bound, *again = bound, true
		}
	}
}

// place moves steps to just before the first thing that came of them, and what a goroutine does later behind what it
// did before.
func (l *riLine) place(again *bool) {
	for i := len(l.steps) - 1; i >= 0; i-- {
		s := l.steps[i]
		if s == nil || s.e.looked() {
			continue
		}
		pos, tie, sent := s.effect(l.events[i+1:])
		pos = min(pos, s.lead.until(sent))
		for _, next := range l.steps[i+1:] {
			if next != nil && !next.e.looked() {
				pos = min(pos, next.pos)
				break
			}
		}
		if s.answer {
			pos = max(pos, riBefore(s.e.Seq, riAnswers))
		}
		if pos < s.pos {
			s.pos, *again = pos, true
		}
		s.tie = tie
	}
}

// effect is the first thing that came of a step, by what follows in its goroutine: a call that it made, what it sent
// and another goroutine took, the end of the call that came in. That ends with what it waits for, too.
// sent tells whether it sent anything within the library.
func (s *riStep) effect(following []*riEvent) (pos riPos, tie int64, sent bool) {
	rank, in := riBegins, s.e.comesIn()
	switch {
	case s.answer:
		rank = riAnswers
	case !in:
		rank = riComes
	}
	pos, tie = riBefore(s.own().Seq, rank), s.own().Seq
	if in && s.e.back != nil {
		pos = riBefore(s.e.back.Seq, rank)
	}
	for _, e := range following {
		switch {
		case e.own, e.note:
		case e.Kind == "send" && e.Inside:
			if e.taken == nil && (!sent || e.behind < pos) {
				pos, tie, sent = e.behind, e.Seq, true
			} else if e.taken != nil && (!sent || e.taken.bound < pos) {
				pos, tie, sent = e.taken.bound, e.taken.Seq, true
			}
		case (sent || in) && (e.goesOut() || e.Kind != "call"): // by its return all of a call was done
			if at := riBefore(e.Seq, rank); !sent || at < pos {
				pos, tie = at, e.Seq
			}
			return pos, tie, sent
		default:
			return pos, tie, sent
		}
	}
	return pos, tie, sent
}

// riRounds bounds how often the places are gone through: each moves what depends on another a step further.
const riRounds = 64
