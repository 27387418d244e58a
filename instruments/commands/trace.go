package commands

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/probe/kernel"
	"ri/trace"
)

// Trace shows calls of functions as they pass by.
func Trace(ctx context.Context, out *rows.Output, request trace.Request, choice looks.TargetChoice) error {
	s, p, err := prepareTrace(ctx, request, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	defer p.Close()
	for _, line := range missedText(p.Missed) {
		out.Log(line)
	}
	w := &traceWatcher{out: out, stream: out.NewStream(p.Columns())}
	w.ticker = time.AfterFunc(traceFlush, w.flush)
	defer w.ticker.Stop()
	sum, err := p.Run(ctx, w)
	if sum == nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if ended := w.stream.End(rows.Of("summary", summaryRow(sum))); err == nil {
		err = ended
	}
	for _, line := range missedText(sum.Missed) {
		out.Log(line)
	}
	for _, line := range summaryText(sum) {
		out.Log(line)
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// TracePlaces shows where a trace would probe, without probing.
func TracePlaces(ctx context.Context, out *rows.Output, request trace.Request, choice looks.TargetChoice) error {
	s, p, err := prepareTrace(ctx, request, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	defer p.Close()
	if err := out.WriteRows(trace.PlaceColumns, p.Places()); err != nil {
		return err
	}
	return out.Commit()
}

func prepareTrace(ctx context.Context, request trace.Request, choice looks.TargetChoice) (*looks.Session, *trace.Plan,
	error) {
	if choice.PID == "" && choice.Given() {
		return nil, nil, rows.Usagef("nothing passes by in %s: ri trace needs a process (-p PID)", choice.Still())
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return nil, nil, err
	}
	p, err := trace.Prepare(ctx, s, request)
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, p, nil
}

// traceFlush is how long rows of a table may wait for others.
const traceFlush = 250 * time.Millisecond

// traceWatcher writes a trace's rows as they come.
type traceWatcher struct {
	out    *rows.Output
	mu     sync.Mutex
	stream *rows.Stream
	ticker *time.Timer
	failed error
}

func (w *traceWatcher) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.stream.Flush(); err != nil {
		w.failed = err
	}
	w.ticker.Reset(traceFlush)
}

// Armed says what the trace will cost.
func (w *traceWatcher) Armed(f kernel.Forecast) {
	var perSecond float64
	for _, r := range f.Probes {
		perSecond += r.PerSecond
	}
	w.out.Log(fmt.Sprintf("armed: %s hits a second before, which will cost some %s %% of a core; Ctrl-C ends it",
		rows.Decimal(perSecond, 3), rows.Decimal(100*f.Cost, 2)))
}

func (w *traceWatcher) Row(row rows.Row) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	return w.stream.Row(row)
}

// missedText says what isn't probed, briefly.
func missedText(all []trace.Missed) (lines []string) {
	const most = 5
	for i, m := range all {
		if i == most {
			return append(lines, fmt.Sprintf("and %d more are not probed (--places lists them)", len(all)-most))
		}
		what := m.Func
		if m.Into != "" {
			what += " inlined in " + m.Into
		}
		lines = append(lines, fmt.Sprintf("not probed: %s: %s", what, m.Why))
	}
	return lines
}

// summaryText is what a trace was.
func summaryText(s *trace.Summary) []string {
	c := &s.Counts
	parts := []string{rows.Plural(int64(c.Hits), "hit"), fmt.Sprintf("%s shown", rows.Thousands(int64(s.Rows)))}
	for _, more := range []struct {
		n    uint64
		what string
	}{
		{c.False, "with a false condition"}, {s.Dropped, "left out by --when-after"}, {c.Undecided, "not decided"},
		{c.Nil, "with a nil on the condition's way"}, {c.Refused, "refused, over the budget"}, {c.Lost, "lost"},
		{c.Open, "not returned"},
	} {
		if more.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", rows.Thousands(int64(more.n)), more.what))
		}
	}
	cost := fmt.Sprintf("it cost the process some %s of CPU in %s", rows.ShortDuration(s.Cost.CPU),
		rows.DurationText(s.Cost.Length))
	lines := []string{strings.Join(parts, ", ") + "; " + cost}
	if s.Why != "" {
		lines = append([]string{"ended: " + s.Why}, lines...)
	}
	return lines
}

// summaryRow is summaryText for programs.
func summaryRow(s *trace.Summary) rows.Row {
	c := &s.Counts
	return rows.Of("hits", int64(c.Hits), "taken", int64(c.Taken), "shown", int64(s.Rows), "false", int64(c.False),
		"left_out", int64(s.Dropped), "undecided", int64(c.Undecided), "nil", int64(c.Nil), "refused", int64(c.Refused),
		"lost", int64(c.Lost), "open", int64(c.Open), "cpu", s.Cost.CPU, "length", s.Cost.Length, "ended", s.Why)
}

// FunctionWords are the names of functions that begin so, for completion.
func FunctionWords(typed string, choice looks.TargetChoice) (words []string) {
	const most = 500
	s, err := looks.OpenSession(choice)
	if err != nil {
		return nil
	}
	defer s.Close()
	for _, name := range s.File.Funcs() {
		if short := s.File.ShortName(name); strings.HasPrefix(short, typed) {
			words = append(words, short)
		} else if strings.HasPrefix(name, typed) {
			words = append(words, name)
		}
		if len(words) == most {
			break
		}
	}
	return words
}
