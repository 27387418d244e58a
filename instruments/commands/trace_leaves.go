package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/otlp"
	"ri/record"
	"ri/trace"
)

// otlpHeaders is where OpenTelemetry's own exporters read headers from: they have secrets, which have no place among
// arguments.
const otlpHeaders = "OTEL_EXPORTER_OTLP_HEADERS"

// TraceLeaves says what of a trace's hits leaves as rows, and to where.
type TraceLeaves struct {
	Redact bool   // texts of rows become tokens, as in recordings
	OTLP   string // hits are given to this address as spans, redacted
	// Redaction is what recordings are redacted by.
	Redaction RecordOptions
}

// spans gives a trace's hits to a receiver of OTLP.
type spans struct {
	to    *otlp.Sender
	flows *otlp.Flows
	mu    sync.Mutex // steps come one after the other; the end doesn't
}

// apply has a plan redact what leaves, and give it away. The caller ends what it gives, if that isn't nil.
func (l *TraceLeaves) apply(p *trace.Plan, request *trace.Request, s *looks.Session) (*spans, error) {
	if !l.Redact && l.OTLP == "" {
		return nil, nil
	}
	redaction, err := l.Redaction.redaction()
	if err != nil {
		return nil, err
	}
	shown := record.NewShown(redaction.Policy, redaction.Key).Value
	if l.Redact {
		p.Show = shown
	}
	if l.OTLP == "" {
		return nil, nil
	}
	exe := s.Target.ExecutablePath()
	resource := []otlp.Attr{{Key: "service.name", Value: filepath.Base(exe)},
		{Key: "process.pid", Value: int64(s.Target.PID())}, {Key: "process.executable.path", Value: exe}}
	if name, err := os.Hostname(); err == nil {
		resource = append(resource, otlp.Attr{Key: "host.name", Value: name})
	}
	to, err := openSpans(l.OTLP, resource)
	if err != nil {
		return nil, err
	}
	out := &spans{to: to, flows: otlp.NewFlows(to.Put)}
	p.AlsoShow, p.Also = shown, func(h *trace.Hit, row rows.Row) error {
		out.hit(h, row)
		return nil
	}
	return out, nil
}

// openSpans begins to give spans to --otlp's address.
func openSpans(url string, resource []otlp.Attr) (*otlp.Sender, error) {
	header, err := otlp.ParseHeader(os.Getenv(otlpHeaders))
	if err != nil {
		return nil, rows.Usage(err)
	}
	to, err := otlp.Open(otlp.Options{URL: url, Header: header, Resource: resource, Version: OwnVersion()})
	if err != nil {
		return nil, rows.Usage(fmt.Errorf("--otlp: %w", err))
	}
	return to, nil
}

// check refuses what can't be given away as spans, before anything is touched.
func (l *TraceLeaves) check(request *trace.Request) error {
	if l.Redact && request.Counts() {
		return rows.Usagef("--redact: counts show what they count by as it is; keep hits with -o FILE, and count those " +
			"(ri trace -r FILE --count ...)")
	}
	if l.OTLP == "" {
		return nil
	}
	if _, err := otlp.ParseURL(l.OTLP); err != nil {
		return rows.Usage(fmt.Errorf("--otlp: %w", err))
	}
	if _, err := otlp.ParseHeader(os.Getenv(otlpHeaders)); err != nil {
		return rows.Usage(err)
	}
	if request.Counts() || len(request.Steps) == 0 && !request.Probes[0].Returns {
		return rows.Usagef("--otlp gives calls away from their beginning to their end: it goes with --returns, or --steps")
	}
	return nil
}

// attributes are what a row shows of a hit. What isn't there is left out.
func attributes(row rows.Row) (out []otlp.Attr) {
	var add func(prefix string, row rows.Row)
	add = func(prefix string, row rows.Row) {
		for _, c := range row {
			if inner, ok := c.Value.(rows.Row); ok {
				add(prefix+c.Name+".", inner)
				continue
			}
			out = append(out, otlp.Attr{Key: prefix + c.Name, Value: c.Value})
		}
	}
	for _, c := range row {
		switch c.Name {
		case "flow", "what", "started", "duration", "ended", "probe", "time", "nanotime", "goroutine", "func", "so_far":
			continue
		}
		add("", rows.Row{c})
	}
	return out
}

func (s *spans) hit(h *trace.Hit, row rows.Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Flow != 0 {
		s.flows.Step(&otlp.Step{Flow: h.Flow, What: h.What, Func: h.Func, Time: h.Time, Goroutine: int64(h.Goroutine),
			Started: int64(h.Started), Attrs: attributes(row), Failed: h.Ended})
		return
	}
	length := h.Took
	if h.SoFar > 0 {
		length = h.SoFar
	}
	s.to.Put(&otlp.Span{Trace: otlp.NewTraceID(), ID: otlp.NewSpanID(), Name: h.Func, Start: h.Time,
		End:   h.Time.Add(max(length, 0)),
		Attrs: append(attributes(row), otlp.Attr{Key: "goroutine", Value: int64(h.Goroutine)}), Failed: h.Ended})
}

// end gives away what is left, and says what became of all.
func (s *spans) end(out *rows.Output) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.flows.Close(time.Now())
	clipped := s.flows.Clipped()
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	c, err := s.to.Close(ctx)
	out.Log(fmt.Sprintf("--otlp: %s given", rows.Plural(int64(c.Sent), "span")))
	if clipped > 0 {
		out.Log(fmt.Sprintf("--otlp: %s of flows found no room in their spans", rows.Plural(int64(clipped), "step")))
	}
	if c.Dropped+c.Refused > 0 || err != nil {
		return rows.Partial(fmt.Errorf("--otlp: %d spans were dropped and %d refused: %w", c.Dropped, c.Refused, err))
	}
	return nil
}
