package commands

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"ri/inert"
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
	for _, line := range p.MissedText() {
		out.Log(line)
	}
	if len(request.By) > 0 || request.Histogram {
		return countTrace(ctx, out, p)
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
	for _, line := range trace.MissedText(sum.Missed) {
		out.Log(line)
	}
	for _, line := range sum.Text() {
		out.Log(line)
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// countTrace shows what the kernel counts: on a terminal refreshed in place, elsewhere once it is over.
func countTrace(ctx context.Context, out *rows.Output, p *trace.Plan) error {
	w := &countWatcher{out: out, columns: p.CountColumns(), terminal: out.Format == rows.Table && out.Style().Width > 0}
	if p.CountedHere() {
		out.Log("ri counts hits that are taken along: the kernel counts by numbers, bools, texts, addresses and types only")
	}
	sum, err := p.Count(ctx, w)
	if sum == nil {
		return err
	}
	if !w.terminal {
		if written := out.WriteRows(w.columns, w.last); err == nil {
			err = written
		}
	}
	for _, line := range append(trace.MissedText(sum.Missed), sum.Text()...) {
		out.Log(line)
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// countWatcher shows counts.
type countWatcher struct {
	out      *rows.Output
	columns  []rows.Column
	last     []rows.Row
	terminal bool
	lines    int // of the table that stands on the terminal
}

func (w *countWatcher) Armed(f kernel.Forecast) { w.out.Log(trace.ArmedText(f)) }

// mostCounted is how many rows of counts a terminal shows.
const mostCounted = 40

func (w *countWatcher) Counted(list []rows.Row) error {
	w.last = list
	if !w.terminal || len(list) == 0 {
		return nil
	}
	var b strings.Builder
	if _, err := rows.WriteTable(&b, w.columns, list[:min(len(list), mostCounted)], w.out.Style()); err != nil {
		return err
	}
	text := b.String()
	up := ""
	if w.lines > 0 {
		up = fmt.Sprintf("\x1b[%dA\x1b[J", w.lines)
	}
	w.lines = strings.Count(text, "\n")
	return w.out.Write(func(to io.Writer) error {
		if _, err := io.WriteString(to, up); err != nil {
			return err
		}
		_, err := io.WriteString(inert.NewWriter(to), text)
		return err
	})
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
	p, err := trace.Prepare(ctx, s.Process(), request)
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
func (w *traceWatcher) Armed(f kernel.Forecast) { w.out.Log(trace.ArmedText(f)) }

func (w *traceWatcher) Row(row rows.Row) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	return w.stream.Row(row)
}

// summaryRow is a summary for programs.
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
