package commands

import (
	"context"
	"errors"
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

// Trace shows calls of functions as they pass by. With a file in keep their hits are kept in a recording.
func Trace(ctx context.Context, out *rows.Output, request trace.Request, choice looks.TargetChoice,
	keep HitsOptions, leaves TraceLeaves) error {
	leaves.Redaction = keep
	if err := leaves.check(&request); err != nil {
		return err
	}
	if keep.File == "" {
		s, err := traceSession(choice)
		if err != nil {
			return err
		}
		defer s.Close()
		return traceSessionOf(ctx, out, s, request, nil, &leaves)
	}
	if request.Counts() {
		return rows.Usagef("-o %s: a recording keeps hits, and --count and --hist take none along; count the recording's "+
			"(ri trace -r FILE --count ...), or write the table with > FILE", rows.QuoteName(keep.File))
	}
	if len(request.Steps) > 0 {
		return rows.Usagef("-o %s: a recording has no flows yet; write the rows of --steps with --ndjson > FILE",
			rows.QuoteName(keep.File))
	}
	s, err := traceSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	return keepHits(out, s, keep, func(k *hitKeeper) error { return traceSessionOf(ctx, out, s, request, k, &leaves) })
}

func traceSessionOf(ctx context.Context, out *rows.Output, s *looks.Session, request trace.Request,
	keeper *hitKeeper, leaves *TraceLeaves) (err error) {
	p, err := trace.Prepare(ctx, s.Process(), request)
	if err != nil {
		return err
	}
	defer p.Close()
	out.Of = &rows.Result{Target: s.Info}
	for _, line := range p.MissedText() {
		out.Log(line)
	}
	if request.Counts() {
		return countTrace(ctx, out, p)
	}
	if keeper != nil {
		if err := keeper.Begin(p.About("")); err != nil {
			return err
		}
		p.Keep = keeper.Keep
	}
	given, err := leaves.apply(p, &request, s)
	if err != nil {
		return err
	}
	defer func() {
		if ended := given.end(out); err == nil {
			err = ended
		}
	}()
	w := &traceWatcher{out: out, stream: out.NewStream(p.Columns())}
	w.ticker = time.AfterFunc(traceFlush, w.flush)
	defer w.ticker.Stop()
	sum, err := p.Run(ctx, w)
	if errors.Is(err, errUnread) {
		err = nil
	}
	if keeper != nil {
		keeper.End(sum)
	}
	if sum == nil {
		return err
	}
	return w.end(sum, err)
}

// end writes what is left, and says what the trace was.
func (w *traceWatcher) end(sum *trace.Summary, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ended := w.stream.End(rows.Of("summary", summaryRow(sum))); err == nil {
		err = ended
	}
	for _, line := range trace.MissedText(sum.Missed) {
		w.out.Log(line)
	}
	for _, line := range sum.Text() {
		w.out.Log(line)
	}
	if err != nil {
		return err
	}
	return w.out.Commit()
}

// TraceRecorded shows the hits that a recording has.
func TraceRecorded(ctx context.Context, out *rows.Output, request trace.Request, choice looks.TargetChoice) error {
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	out.Of = &rows.Result{Target: s.Info}
	for _, line := range s.Missing() {
		out.Log(line)
	}
	p, err := s.Replay(request)
	if err != nil {
		return err
	}
	if request.Counts() {
		list, sum, err := p.Count(ctx)
		if err == nil {
			err = out.WriteRows(p.CountColumns(), list)
		}
		if err != nil {
			return err
		}
		for _, line := range sum.Text() {
			out.Log(line)
		}
		return out.Commit()
	}
	w := &traceWatcher{out: out, stream: out.NewStream(p.Columns())}
	sum, err := p.Run(ctx, w.Row)
	if err != nil && sum.Rows == 0 {
		return err
	}
	return w.end(sum, err)
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
	s, err := traceSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := trace.Prepare(ctx, s.Process(), request)
	if err != nil {
		return err
	}
	defer p.Close()
	out.Of = &rows.Result{Target: s.Info}
	if err := out.WriteRows(trace.PlaceColumns, p.Places()); err != nil {
		return err
	}
	return out.Commit()
}

// traceSession opens a process.
func traceSession(choice looks.TargetChoice) (*looks.Session, error) {
	if choice.PID == "" && choice.Given() {
		return nil, rows.Usagef("nothing passes by in %s: ri trace needs a process (-p PID)", choice.Still())
	}
	return looks.OpenSession(choice)
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
	if err := w.stream.Row(row); err != nil {
		return err
	}
	if w.out.Unread() {
		return errUnread
	}
	return nil
}

// errUnread ends a trace whose rows nobody reads any more.
var errUnread = errors.New("nobody reads")

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
