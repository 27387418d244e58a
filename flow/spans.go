package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"ri/otlp"
)

// Spans gives what flows do to a receiver of OTLP. A flow is a trace, whose id is the flow's; each hop is a span, those
// that leave below the one that entered. It hears of a flow what logs do, so values are redacted already.
type Spans struct {
	to *otlp.Sender

	mu    sync.Mutex
	flows *otlp.Flows
}

// NewSpans gives spans to a sender, which Close closes.
func NewSpans(to *otlp.Sender) *Spans { return &Spans{to: to, flows: otlp.NewFlows(to.Put)} }

// entrySpan is the span of the hop at which a flow entered. All hosts know it by the flow.
func entrySpan(trace otlp.TraceID) (id otlp.SpanID) {
	sum := sha256.Sum256(append([]byte("ri: where a flow enters "), trace[:]...))
	copy(id[:], sum[:])
	return id
}

// Write implements Writer.
func (s *Spans) Write(l Line) error {
	var hop [8]byte
	flow, err := hex.DecodeString(strings.ReplaceAll(l.Flow, "-", ""))
	cookie, bad := hex.DecodeString(l.Cookie)
	if err != nil || bad != nil || len(cookie) != len(hop) || len(flow) != len(otlp.TraceID{}) {
		return nil // of no flow that is known
	}
	copy(hop[:], cookie)
	at, err := time.Parse(time.RFC3339Nano, l.Time)
	if err != nil {
		at = time.Now()
	}
	step := otlp.Step{What: l.What, Func: l.Func, Time: at, Goroutine: l.Goroutine, Started: l.Started}
	for _, b := range hop {
		step.Flow = step.Flow<<8 | uint64(b)
	}
	for name, v := range l.Values {
		step.Attrs = append(step.Attrs, otlp.Attr{Key: name, Value: attribute(v)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch l.What {
	case whatAmbiguous:
		s.flows.Drop(step.Flow)
		return nil
	case whatEnter, whatHit:
		copy(step.Trace[:], flow)
		step.What, step.Span = whatEnter, hop
		if enters := entrySpan(step.Trace); l.Side == ingress {
			step.Span = enters
		} else {
			step.Parent = enters
		}
		step.Service, _, _ = strings.Cut(l.Target, ":")
		step.Attrs = append(step.Attrs, otlp.Attr{Key: "ri.trace", Value: l.Trace}, otlp.Attr{Key: "ri.side", Value: l.Side},
			otlp.Attr{Key: "ri.target", Value: l.Target})
	}
	s.flows.Step(&step)
	if l.What == whatHit {
		step.What = whatLeave
		s.flows.Step(&step)
	}
	return nil
}

// attribute is a value as attributes have it.
func attribute(v any) any {
	switch v := v.(type) {
	case string, bool, int64, uint64, float64:
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
	}
	return nil
}

// Close implements Writer.
func (s *Spans) Close() error {
	s.mu.Lock()
	s.flows.Close(time.Now())
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := s.to.Close(ctx)
	if err != nil {
		return fmt.Errorf("of the spans of flows %d were dropped and %d refused: %w", c.Dropped, c.Refused, err)
	}
	return nil
}

// Both writes to several.
type Both []Writer

// Write implements Writer.
func (all Both) Write(l Line) (err error) {
	for _, w := range all {
		err = errors.Join(err, w.Write(l))
	}
	return err
}

// Done tells that a request has ended.
func (all Both) Done(trace string) {
	for _, w := range all {
		if d, ok := w.(doner); ok {
			d.Done(trace)
		}
	}
}

// doner is a Writer that holds something for each request.
type doner interface{ Done(trace string) }

// Close implements Writer.
func (all Both) Close() (err error) {
	for _, w := range all {
		err = errors.Join(err, w.Close())
	}
	return err
}
