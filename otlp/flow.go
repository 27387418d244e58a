package otlp

import (
	"crypto/rand"
	"fmt"
	"time"
)

// Step is something that happened to a flow, as ri trace --steps gives it. What is enter, step, go, leave or end.
type Step struct {
	Flow               uint64
	What, Func         string
	Time               time.Time
	Goroutine, Started int64
	Attrs              []Attr
	Failed             string // of leave and end: why there was no return

	// Of enter: which trace and span it is, and below which; where these are zeros, a trace of its own.
	Trace        TraceID
	Span, Parent SpanID
	Service      string // of whom; "": the sender's
}

// Flows makes spans of flows: one of the call, below it one of each goroutine that it started, and events of what they
// passed. A flow's spans are given when it ends.
type Flows struct {
	give func(*Span)
	open map[uint64]*open
	clip int
}

// open is a flow that has not ended: the spans of its goroutines, the first that of the call.
type open struct {
	spans []*Span
	by    map[int64]*Span
}

// Limits of what is kept of a flow that has not ended.
const (
	mostOpen   = 10000
	mostSpans  = 1000
	mostEvents = 1000 // of a span
)

// NewFlows makes spans, and gives each to give.
func NewFlows(give func(*Span)) *Flows { return &Flows{give: give, open: map[uint64]*open{}} }

// Clipped is how many steps and goroutines found no room.
func (f *Flows) Clipped() int { return f.clip }

// NewTraceID and NewSpanID are random.
func NewTraceID() (id TraceID) {
	rand.Read(id[:])
	return id
}

func NewSpanID() (id SpanID) {
	rand.Read(id[:])
	return id
}

// Step takes a step.
func (f *Flows) Step(s *Step) {
	o := f.open[s.Flow]
	switch {
	case s.What == "enter":
		f.enter(s)
		return
	case o == nil:
		return // it began before anybody looked
	}
	span := o.by[s.Goroutine]
	switch s.What {
	case "step":
		if span == nil || len(span.Events) == mostEvents {
			f.clip++
			return
		}
		span.Events = append(span.Events, Event{s.Time, s.Func, append(s.Attrs, Attr{"goroutine", s.Goroutine})})
	case "go":
		if span == nil || len(o.spans) == mostSpans {
			f.clip++
			return
		}
		child := &Span{Trace: span.Trace, ID: NewSpanID(), Parent: span.ID, Service: span.Service,
			Name: fmt.Sprintf("goroutine %d", s.Started), Start: s.Time, Attrs: []Attr{{"goroutine", s.Started}}}
		o.spans, o.by[s.Started] = append(o.spans, child), child
	case "leave":
		f.end(s, o, s.Failed)
	case "end":
		if span == o.spans[0] {
			f.end(s, o, s.Failed)
		} else if span != nil {
			span.End = s.Time
			delete(o.by, s.Goroutine)
		}
	}
}

func (f *Flows) enter(s *Step) {
	if len(f.open) >= mostOpen {
		f.clip++
		return
	}
	span := &Span{Trace: s.Trace, ID: s.Span, Parent: s.Parent, Service: s.Service, Name: s.Func, Start: s.Time,
		Attrs: append(s.Attrs, Attr{"goroutine", s.Goroutine})}
	if s.Trace == (TraceID{}) {
		span.Trace = NewTraceID()
	}
	if s.Span == (SpanID{}) {
		span.ID = NewSpanID()
	}
	f.open[s.Flow] = &open{spans: []*Span{span}, by: map[int64]*Span{s.Goroutine: span}}
}

// end gives the spans of a flow. Goroutines that go on ended in it.
func (f *Flows) end(s *Step, o *open, failed string) {
	delete(f.open, s.Flow)
	o.spans[0].Failed = failed
	for _, span := range o.spans {
		if span.End.IsZero() {
			span.End = s.Time
			if span != o.spans[0] {
				span.Attrs = append(span.Attrs, Attr{"outlives", "the call that started it"})
			}
		}
		f.give(span)
	}
}

// Drop forgets a flow that has not ended.
func (f *Flows) Drop(flow uint64) { delete(f.open, flow) }

// Close gives the spans of flows that have not ended, as if they ended now.
func (f *Flows) Close(now time.Time) {
	for id, o := range f.open {
		f.end(&Step{Flow: id, Time: now}, o, "it had not returned when the trace ended")
	}
}
