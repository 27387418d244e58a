package commands

import (
	"context"
	"sync"
	"time"

	"ri/instruments/looks"
	"ri/instruments/rows"
)

// Follow runs an instrument that traces, and shows its rows as they come. Whoever ends it ends the trace; the script
// then comes to its own end.
func Follow(ctx context.Context, out *rows.Output, p *looks.Plan,
	stream func(context.Context, *looks.Plan, rows.Sink) (*rows.Result, error)) error {
	p.Until = ctx.Done()
	w := &following{Output: out, stream: out.NewStream(p.Script.Header.Columns),
		held: out.Format == rows.JSON || out.Arrange.Whole()}
	ticker := time.NewTicker(traceFlush)
	defer ticker.Stop()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				w.flush()
			case <-done:
				return
			}
		}
	}()
	res, err := stream(context.WithoutCancel(ctx), p, w)
	close(done)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if res.Passed = true; w.held {
		res.Rows, res.Printed = w.rows, w.printed
		return out.Conclude(res)
	}
	if err := w.stream.End(nil); err != nil {
		return err
	}
	return out.Conclude(res)
}

// following is the Sink of an instrument that traces: its rows are written at once, unless they are to be arranged; all
// else when it has ended.
type following struct {
	*rows.Output
	mu     sync.Mutex
	stream *rows.Stream
	failed error

	held    bool // until it has ended: as one document, or to be sorted
	rows    []rows.Row
	printed []rows.PrintedLine
}

func (w *following) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.stream.Flush(); err != nil {
		w.failed = err
	}
}

func (w *following) Emit(row rows.Row) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held && w.stream.Wants(row) {
		w.rows = append(w.rows, row)
	}
	if w.held {
		return nil
	}
	if w.failed != nil {
		return w.failed
	}
	return w.stream.Row(row)
}

// Finding is in the result, too.
func (w *following) Finding(rows.Finding) error { return nil }

func (w *following) Sample(rows.Sample) error { return nil }
func (w *following) Sampled(time.Duration)    {}

func (w *following) Print(text string) {
	if w.held {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.printed = append(w.printed, rows.PrintedLine{Row: len(w.rows), Text: text})
		return
	}
	w.flush()
	_ = w.WriteText(text + "\n")
}
