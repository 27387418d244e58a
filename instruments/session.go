package instruments

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"ri/attach"
)

// grace is how long a script may take to notice that its run has ended.
const grace = time.Second

// stoppedRehearsal is the most that a rehearsal for a stopped view may take, if the stop itself may not take longer: layouts are compiled in it,
// the rest is repetition.
const stoppedRehearsal = 2 * time.Second

// Run looks at the target with the plan's script. The target runs again when Run returns, whatever the script did.
//
// An error means that there was no look, or a signal ended it. What went wrong in the script is in the result, with the rows so far.
func (s *Session) Run(ctx context.Context, p *Plan, out *Output) (*Result, error) {
	var host *Host
	res, err := s.run(ctx, p, out, func(ctx context.Context, look *look, sink Sink) error {
		if host == nil {
			host = New(Options{
				Space:   look.space,
				Sink:    sink,
				Folders: p.Recipe.folders(p.catalogue),
				Limits:  p.Limits,
				Target:  TargetInfo{PID: s.Target.PID(), Describe: s.Target.Describe(), View: p.View},
				Again:   look.again,
			})
		}
		host.Forget()
		before := host.Values()
		defer func() { look.values = host.Values() - before }()
		return host.Run(ctx, p.Script, p.Params)
	})
	if p.Script.Header != nil && res != nil {
		res.Columns, res.Params = p.Script.Header.Columns, p.Params.Row(p.Script.Header)
	}
	return res, err
}

// muchTouched is how many pages make a second rehearsal worth its time: 16 MiB.
const muchTouched = 4096

// snapshotRounds is how often a snapshot is taken with more pages before the script runs on the stopped target.
const snapshotRounds = 3

// run looks at the target with f. If f doesn't end when its time is over, it is left where it is, and the result as it was.
//
// Before a stop f is rehearsed on live memory: what it needs of types, layouts and lines is compiled then,
// and the pages that it touches are what a snapshot copies. What a rehearsal gives is thrown away. So is what f gives on a snapshot in which
// it misses pages; the next round's snapshot has them too, and after a few rounds f runs on the stopped target.
func (s *Session) run(ctx context.Context, p *Plan, out *Output, f func(context.Context, *look, Sink) error) (*Result, error) {
	sink := &collector{res: &Result{Recipe: p.Recipe.Name, Target: s.Info}}
	if p.View == attach.Live {
		sink.live, sink.report = out.Log, out.Progress()
	}
	look := newLook(s, p)
	defer look.locks.close()
	if s.Info.Kind == "process" && p.View != attach.Live {
		err := s.rehearseAll(ctx, look, sink, rehearsalTime(p), f)
		if errors.Is(err, ErrTime) { // what it found until then is better than nothing
			res := sink.seal()
			res.View = attach.Live
			res.judge(err)
			return res, nil
		}
		if err != nil {
			return nil, err
		}
	}
	for round := 1; ; round++ {
		runErr, ended, err := s.once(ctx, look, sink, f)
		if err != nil {
			return nil, err
		}
		if ended && look.missed > 0 && context.Cause(ctx) == nil {
			look.wantTouched()
			if round == snapshotRounds {
				look.options.Kind = attach.Stopped
			}
			sink.clear()
			continue
		}
		if p.View == attach.Live {
			look.locks.readHeld(look.locks.peek(ctx))
		}
		res := sink.seal()
		res.View, res.Stats, res.Locks = look.view.Kind(), look.stats, look.locks.report(&look.stats)
		if ended {
			res.ValuesRead = look.values
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		res.judge(runErr)
		return res, nil
	}
}

// rehearsalTime is the most that a rehearsal may take. What comes to run on a snapshot may take its time; what comes to run
// on a stopped target has to be quick.
func rehearsalTime(p *Plan) time.Duration {
	if p.View == attach.Snapshot {
		return p.Limits.withDefaults().Time
	}
	return max(stoppedRehearsal, p.MaxStop)
}

// once takes a view and runs f on it. runErr is how f ended, if it did; err is why there was no view.
func (s *Session) once(ctx context.Context, look *look, sink *collector, f func(context.Context, *look, Sink) error) (runErr error, ended bool, err error) {
	if err := s.affordable(look.options); err != nil {
		return nil, false, err
	}
	if look.options.Kind == attach.Live && len(look.locks.reports) > 0 {
		look.locks.readHeld(look.locks.peek(ctx))
	}
	if err := look.begin(ctx); err != nil {
		return nil, false, err
	}
	defer look.end()
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan error, 1)
	go func() { finished <- safely(func() error { return f(runCtx, look, sink) }) }()

	runErr, ended = look.wait(ctx, finished)
	if !ended { // the view is over, the script not yet
		cancel(runErr)
		ended = waitFor(finished, grace)
	}
	return runErr, ended, nil
}

// rehearseAll rehearses f, and once more where it touched much: scripts may remember where they found what they looked for.
func (s *Session) rehearseAll(ctx context.Context, look *look, sink *collector, most time.Duration, f func(context.Context, *look, Sink) error) error {
	began := time.Now()
	if err := s.rehearse(ctx, look, sink, most, f); err != nil || len(look.options.Pages) < muchTouched || time.Since(began) > stoppedRehearsal {
		return err
	}
	first := look.options.Pages
	look.options.Pages = nil
	if err := s.rehearse(ctx, look, sink, most, f); err != nil {
		return err
	}
	if len(look.options.Pages) > len(first)/2 {
		look.options.Pages = append(look.options.Pages, first...)
	}
	return nil
}

// rehearse runs f once on live memory. Whether it succeeds doesn't matter; one that can't be ended is an error,
// since it has hold of the machine.
func (s *Session) rehearse(ctx context.Context, look *look, sink *collector, most time.Duration, f func(context.Context, *look, Sink) error) error {
	if p, ok := s.Target.(interface{ CheckStop() error }); ok {
		if err := p.CheckStop(); err != nil {
			return viewError(err)
		}
	}
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return viewError(err)
	}
	defer view.Close()
	look.see(view)
	_ = look.locks.held(look.space) // so that the copy has them
	look.rehearsing = true
	defer func() { look.rehearsing = false }()

	short, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	finished := make(chan error, 1)
	go func() { finished <- safely(func() error { return f(short, look, sink) }) }()
	var ended bool
	var result error
	select {
	case result = <-finished:
		ended = true
	case <-short.Done():
		view.Close()
		ended = waitFor(finished, grace)
		result = ErrTime
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if ended && (look.options.Kind == attach.Stopped || !errors.Is(result, ErrTime)) {
		look.wantTouched()
		sink.clear()
		return nil
	}
	return fmt.Errorf("the script did not end within %s on live memory, so the target was not stopped; what it found until then is not of one instant; give it longer with --max-time: %w",
		durationText(most), ErrTime)
}

func waitFor(finished <-chan error, most time.Duration) bool {
	select {
	case <-finished:
		return true
	case <-time.After(most):
		return false
	}
}

// safely turns a panic into an error: broken memory must not end ri while a target is held.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// judge sorts the end of a run: a limit makes the result partial, all else is a failure.
func (r *Result) judge(err error) {
	switch {
	case err == nil:
	case errors.Is(err, attach.ErrDeadline):
		r.Partial = append(r.Partial, fmt.Sprintf("%v; give it longer (--max-stop 1s), or look without a stop (--view live)", err))
	case errors.Is(err, ErrTime), errors.Is(err, ErrMemory), errors.Is(err, ErrRows):
		r.Partial = append(r.Partial, err.Error())
	default:
		r.Err = err
	}
}

// affordable refuses a snapshot that would stop the target for longer than allowed, or need more memory than there is.
func (s *Session) affordable(opt attach.ViewOptions) error {
	p, ok := s.Target.(interface {
		SnapshotCost([]uint64) (attach.SnapshotCost, error)
	})
	if !ok || opt.Kind != attach.Snapshot {
		return nil
	}
	cost, err := p.SnapshotCost(opt.Pages)
	if err != nil {
		return viewError(err)
	}
	if cost.Stop > opt.MaxStop {
		return Refused(fmt.Errorf("a snapshot of %s would stop %s for about %s, its limit is %s; allow it (--max-stop %s), or look without a stop (--view live)",
			shortBytes(cost.Bytes), s.Target.Describe(), shortDuration(cost.Stop), shortDuration(opt.MaxStop), (cost.Stop * 3 / 2).Round(10*time.Millisecond)))
	}
	if cost.Available > 0 && 2*cost.Bytes > cost.Available {
		return Refused(fmt.Errorf("a snapshot of %s needs twice that memory here, and %s are left; look without a copy (--view live or --view stopped)",
			shortBytes(cost.Bytes), shortBytes(cost.Available)))
	}
	return nil
}
