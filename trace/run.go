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
	Flows   uint64       // that were opened
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

// Run is Follow that gives rows: a row for each hit, and at the end one for the table of each probe with Histogram.
func (p *Plan) Run(ctx context.Context, to Watcher) (*Summary, error) {
	out, err := p.Follow(ctx, to.Armed, func(hit *Hit) error {
		hit.Stack = p.stack(hit.Callers)
		if p.Keep != nil { // before anything else reads it
			if err := p.Keep(hit); err != nil {
				return err
			}
		}
		w := &p.request.Probes[hit.Probe]
		if p.Also != nil {
			hit.show = p.AlsoShow
			if err := p.Also(hit, hit.row(w, false)); err != nil {
				return err
			}
		}
		hit.show = p.Show
		return to.Row(hit.row(w, p.request.Stack > 0))
	})
	if out == nil || err != nil && !errors.Is(err, rows.ErrPartial) {
		return out, err
	}
	for i := range out.Tables {
		t := &out.Tables[i]
		if given := to.Row(tableRow(&p.request.Probes[t.Probe], t)); err == nil {
			err = given
		}
	}
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
		if f := p.probes[i].Flow; f == probe.Starts || f == probe.Ends {
			c = probe.Counts{Lost: c.Lost, Nanos: c.Nanos}
		}
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
func (p *Plan) events(ctx context.Context, armed *kernel.Armed, out *Summary, each func(*probe.Event) error) error {
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
			if err := each(&ev); err == nil {
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
	if p.request.flows {
		return fmt.Sprintf("%s (--limit)", rows.Plural(int64(p.request.Limit), "flow"))
	}
	return fmt.Sprintf("%s (--limit)", rows.Plural(int64(p.request.Limit), "hit"))
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
