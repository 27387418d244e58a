package looks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"ri/attach"
	"ri/instruments/host"
	"ri/instruments/rows"
)

// For a stopped view the rehearsal tells how long the stop would be. The first takes longer, since layouts are compiled
// in it: it may take stoppedRehearsal, or tooLong times the stop's own limit where that is more. One that all is ready
// for, and that takes tooLong times the limit, makes a stop useless.
const (
	stoppedRehearsal = 2 * time.Second
	tooLong          = 4
)

// muchTouched is how many pages make a second rehearsal worth its time: 16 MiB.
const muchTouched = 4096

// rehearsalTime is the most that a rehearsal may take. What comes to run on a snapshot may take its time; what comes to
// run on a stopped target has to be quick.
func rehearsalTime(p *Plan) time.Duration {
	limit := p.Limits.WithDefaults().Time
	if limit <= 0 {
		limit = math.MaxInt64
	}
	if p.View == attach.Snapshot {
		return limit
	}
	return min(limit, max(stoppedRehearsal, tooLong*p.MaxStop))
}

// rehearseAll rehearses f, and once more where that tells something. Where f touched much, it may remember where it
// found what it looked for, and touch less. Where the first took longer than a stop may, that may have been layouts
// being compiled. The error is ErrTime where there should be no stop.
func (s *Session) rehearseAll(ctx context.Context, look *Look, sink *collector, p *Plan,
	f func(context.Context, *Look, rows.Sink) error) error {
	if err := s.rehearse(ctx, look, sink, p, f); err != nil {
		return err
	}
	if p.View == attach.Stopped {
		if look.rehearsal.took <= p.MaxStop {
			return nil
		}
		sink.clear()
		if err := s.rehearse(ctx, look, sink, p, f); err != nil {
			return err
		}
		if took := look.rehearsal.took; took > tooLong*p.MaxStop {
			return host.NewLimitError(host.ErrTime,
				"the script takes %s on live memory, so %s was not stopped, which may be for %s; what it found is not of "+
					"one instant; %s",
				rows.ShortDuration(took), s.Target.Describe(), rows.DurationText(p.MaxStop), p.longerStop(took))
		}
		return nil
	}
	if len(look.Options.Pages) < muchTouched || look.rehearsal.took > stoppedRehearsal {
		return nil
	}
	first := look.Options.Pages
	look.Options.Pages = nil
	sink.clear()
	if err := s.rehearse(ctx, look, sink, p, f); err != nil {
		return err
	}
	if len(look.Options.Pages) > len(first)/2 {
		look.Options.Pages = append(look.Options.Pages, first...)
	}
	return nil
}

// rehearse runs f once on live memory. Whether it succeeds doesn't matter; one that doesn't end in its time is an
// error: it would hold the target for as long as it may, for nothing.
func (s *Session) rehearse(ctx context.Context, look *Look, sink *collector, p *Plan,
	f func(context.Context, *Look, rows.Sink) error) error {
	if p, ok := s.Target.(attach.Stoppable); ok {
		if err := p.CheckStop(); err != nil && !(errors.Is(err, attach.ErrTraced) && look.patience > 0) {
			return ViewError(err)
		}
	}
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return ViewError(err)
	}
	defer view.Close()
	look.rehearse(view)
	_ = look.locks.held(look.Space) // so that the copy has them

	most := rehearsalTime(p)
	short, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := func(_, _ time.Duration) { cancel(host.ErrTime) }
	start := host.StartClock
	if p.View == attach.Stopped {
		start = host.StartWallClock // as the stop would be
	}
	clock := start(most, over)
	defer clock.Stop()
	began := time.Now()
	finished := make(chan error, 1)
	go func() { finished <- host.Safely(func() error { return f(short, look, sink) }) }()
	var result error
	select {
	case result = <-finished:
		if clock.Stop(); short.Err() != nil {
			result = host.ErrTime
		}
	case <-short.Done():
		view.Close()
		look.rehearsal.left = !host.WaitFor(finished, host.Grace)
		result = host.ErrTime
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	look.rehearsal.took, look.rehearsal.stats = time.Since(began), view.Stats()
	if errors.Is(result, host.ErrTime) {
		of := " of the CPU"
		if p.View == attach.Stopped {
			of = ""
		}
		return host.NewLimitError(host.ErrTime,
			"the script did not end within %s%s on live memory, so %s was not stopped; what it found until then is not of "+
				"one instant; %s",
			rows.DurationText(most), of, s.Target.Describe(), p.longerTime(most))
	}
	look.wantTouched()
	return nil
}

// longerStop says what helps a script that took so long where the stop was too short.
func (p *Plan) longerStop(took time.Duration) string {
	var ways []string
	if enough := rows.RoundUp(2 * max(took, p.MaxStop)); enough <= cmp.Or(p.Look.MostStop, LongestStop) {
		ways = append(ways, fmt.Sprintf("allow a longer stop (--max-stop %s)", rows.DurationText(enough)))
	}
	if p.View != attach.Snapshot {
		ways = append(ways, "let it run on a copy (--view snapshot)")
	}
	ways = append(ways, "look without a stop (--view live)")
	return strings.Join(ways, ", or ")
}

// longerTime says what helps a script that did not end within a time.
func (p *Plan) longerTime(most time.Duration) string {
	limit := p.Limits.WithDefaults().Time
	if p.View == attach.Stopped && (limit <= 0 || most < limit) {
		text := fmt.Sprintf("a stop of %s (--max-stop) would not do", rows.DurationText(p.MaxStop))
		if limit > 0 {
			return text + fmt.Sprintf("; if it ends at all, --view snapshot gives it %s (--max-time), and --view live too",
				rows.DurationText(limit))
		}
		return text + "; if it ends at all, it does with --view snapshot or --view live"
	}
	return fmt.Sprintf("if it ends at all, give it longer (--max-time %s)", rows.DurationText(rows.RoundUp(3*most)))
}
