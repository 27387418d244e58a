package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach/recorded"
	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/kernel"
)

// Summary is what a trace was, once it is over.
type Summary struct {
	Counts  probe.Counts // of all probes together
	Rows    uint64       // that were given
	Open    uint64       // calls that had not returned, and were given besides
	Dropped uint64       // hits that a condition decided afterwards left out
	Cost    kernel.Cost
	Tables  []recorded.Table // of probes with Histogram
	Missed  []Missed         // places that the kernel refused
	Forked  []int            // children that run the same code with its breakpoints, and aren't counted
	Counted bool             // hits were only counted
	Why     string           // why it ended

	// Of hits that were recorded:
	Recorded  bool
	Taken     *recorded.Ended // how the trace ended that took them; nil: that isn't known
	Others    uint64          // of functions that weren't asked for
	Failed    uint64          // of which something that was asked for isn't known
	FailedWhy string
}

// Watcher hears of a trace while it runs. Calls don't overlap.
type Watcher interface {
	Armed(kernel.Forecast) // the probes are there
	Row(rows.Row) error    // a hit; an error ends the trace
}

// Run arms the probes, and gives a row for each hit until the trace ends: by its limit, its time, its budget, with ctx,
// or with the process. The error is rows.ErrPartial where the budget ended it.
func (p *Plan) Run(ctx context.Context, to Watcher) (*Summary, error) {
	h := p.hits()
	each := func(ev *probe.Event, out *Summary) error { return p.hit(h, ev, to, out) }
	return p.session(ctx, to.Armed, each, func(armed *kernel.Armed, out *Summary) error {
		err := p.open(armed, to, out)
		out.Tables = p.tables(armed)
		for i := range out.Tables {
			t := &out.Tables[i]
			if given := to.Row(tableRow(&p.request.Probes[t.Probe], t)); err == nil {
				err = given
			}
		}
		return err
	})
}

// session arms the probes and gives each event until the trace ends; after that, with the probes gone, what is left.
func (p *Plan) session(ctx context.Context, begun func(kernel.Forecast), each func(*probe.Event, *Summary) error,
	after func(*kernel.Armed, *Summary) error) (*Summary, error) {
	armed, out, err := p.arm(ctx)
	if err != nil {
		return nil, err
	}
	defer armed.Close()
	begun(armed.Forecast())
	timer := time.AfterFunc(p.request.For, func() { armed.Disarm() })
	defer timer.Stop()
	err = p.events(ctx, armed, each, out)
	timer.Stop()
	if disarm := armed.Disarm(); err == nil {
		err = disarm
	}
	if after != nil && (err == nil || errors.Is(err, rows.ErrPartial)) {
		if late := after(armed, out); err == nil {
			err = late
		}
	}
	out.close(p, armed)
	return out, err
}

// arm arms the probes.
func (p *Plan) arm(ctx context.Context) (*kernel.Armed, *Summary, error) {
	if err := kernel.Check(p.process.PID()); err != nil {
		return nil, nil, rows.Refused(err)
	}
	target, err := p.target()
	if err != nil {
		return nil, nil, err
	}
	armed, err := kernel.Arm(ctx, target, p.probes, p.options())
	if err != nil {
		return nil, nil, armError(ctx, err)
	}
	out := &Summary{}
	for _, m := range armed.Missed() {
		sites := p.probes[m.Probe].Sites
		if m.Back {
			sites = p.probes[m.Probe].Returns
		}
		site := sites[m.Site]
		out.Missed = append(out.Missed, Missed{site.Func, site.Into, site.File, site.Line, m.Err.Error()})
	}
	return armed, out, nil
}

// close takes what was counted of a trace that is over.
func (s *Summary) close(p *Plan, armed *kernel.Armed) {
	for i, c := range armed.Counts() {
		if p.owners[i].wanted.Histogram { // its table says it
			c = probe.Counts{Nanos: c.Nanos}
		}
		s.Counts.Hits += c.Hits
		s.Counts.Taken += c.Taken
		s.Counts.False += c.False
		s.Counts.Undecided += c.Undecided
		s.Counts.Nil += c.Nil
		s.Counts.Refused += c.Refused
		s.Counts.Lost += c.Lost
		s.Counts.Open += c.Open
		s.Counts.Nanos += c.Nanos
	}
	s.Cost, s.Forked = armed.Cost(), armed.Forked()
}

// armError says what kind of error it is that nothing could be armed.
func armError(ctx context.Context, err error) error {
	var budget *kernel.ErrBudget
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.As(err, &budget):
		return rows.Partial(fmt.Errorf("%w; nothing is traced", err))
	}
	return rows.Refused(err)
}

// errEnough ends a trace that has all rows that were wanted.
var errEnough = errors.New("enough")

// events gives events until there are no more.
func (p *Plan) events(ctx context.Context, armed *kernel.Armed, each func(*probe.Event, *Summary) error,
	out *Summary) error {
	stopping := false
	for {
		next := ctx
		if stopping {
			next = context.Background()
		}
		ev, err := armed.Next(next)
		var budget *kernel.ErrBudget
		switch {
		case err == nil:
			if err := each(&ev, out); err == nil {
				continue
			} else if !errors.Is(err, errEnough) {
				return err
			}
			out.Why = p.limitText()
			return nil
		case errors.Is(err, kernel.ErrLimit):
			out.Why = p.limitText()
			return nil
		case errors.As(err, &budget):
			out.Why = err.Error()
			return rows.Partial(err)
		case errors.Is(err, kernel.ErrGone):
			out.Why = "the process has ended"
			return nil
		case errors.Is(err, io.EOF):
			if out.Why == "" {
				out.Why = fmt.Sprintf("%s are over (--for)", rows.DurationText(p.request.For))
			}
			return nil
		case context.Cause(ctx) != nil && !stopping:
			stopping, out.Why = true, "it was interrupted"
			if err := armed.Disarm(); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (p *Plan) limitText() string {
	return fmt.Sprintf("%s (--limit)", rows.Plural(int64(p.request.Limit), "hit"))
}

// hit gives the row of an event.
func (p *Plan) hit(h *hits, ev *probe.Event, to Watcher, out *Summary) error {
	hit, ok := h.hit(ev)
	if !ok {
		out.Dropped++
		return nil
	}
	if p.Keep != nil { // before anything else reads it
		if err := p.Keep(hit); err != nil {
			return err
		}
	}
	if err := to.Row(hit.row(h.owners[ev.Probe].wanted, p.request.Stack > 0)); err != nil {
		return err
	}
	if out.Rows++; out.Rows >= p.request.Limit && p.decidesAfter() {
		return errEnough
	}
	return nil
}

// clock turns times of CLOCK_MONOTONIC into times of day.
type clock struct {
	wall time.Time
	mono time.Duration
}

func newClock() clock {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return clock{}
	}
	return clock{time.Now(), time.Duration(now.Nano())}
}

func (c clock) at(mono time.Duration) time.Time { return c.wall.Add(mono - c.mono).Round(0) }
