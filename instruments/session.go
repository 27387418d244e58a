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

// rehearsalTime is the most that a rehearsal may take: layouts are compiled in it, the rest is repetition.
const rehearsalTime = 2 * time.Second

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
				Limits:  p.Recipe.Limits,
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

// run looks at the target with f. If f doesn't end when its time is over, it is left where it is, and the result as it was.
//
// Before a stop f is rehearsed on live memory: what it needs of types, layouts and lines is compiled then,
// and not while the target is held. What a rehearsal gives is thrown away.
func (s *Session) run(ctx context.Context, p *Plan, out *Output, f func(context.Context, *look, Sink) error) (*Result, error) {
	sink := &collector{res: &Result{Recipe: p.Recipe.Name, Target: s.Info}}
	if p.View == attach.Live {
		sink.live, sink.report = out.Log, out.Progress()
	}
	look := &look{target: s.Target, options: attach.ViewOptions{Kind: p.View, MaxStop: p.MaxStop}, changed: make(chan struct{}, 1)}
	if p.View == attach.Stopped && s.Info.Kind == "process" {
		if err := s.rehearse(ctx, look, sink, rehearsalTime, f); err != nil {
			return nil, err
		}
	}
	if err := look.begin(ctx, s); err != nil {
		return nil, err
	}
	defer look.end()
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan error, 1)
	go func() { finished <- safely(func() error { return f(runCtx, look, sink) }) }()

	runErr, ended := look.wait(ctx, finished)
	if !ended { // the view is over, the script not yet
		cancel(runErr)
		ended = waitFor(finished, grace)
	}
	res := sink.seal()
	res.View, res.Stats = look.view.Kind(), look.stats
	if ended {
		res.ValuesRead = look.values
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	res.judge(runErr)
	return res, nil
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
	look.see(view, s)
	sink.mute(true)
	defer sink.mute(false)
	look.rehearsing = true
	defer func() { look.rehearsing = false }()

	short, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	finished := make(chan error, 1)
	go func() { finished <- safely(func() error { return f(short, look, sink) }) }()
	select {
	case <-finished:
		return context.Cause(ctx)
	case <-short.Done():
	}
	view.Close()
	if waitFor(finished, grace) {
		return context.Cause(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return withCode(ExitPartial, fmt.Errorf("%s did not end on live memory within %s, so the target was not stopped; give it longer (--max-stop 1s), or look without a stop (--view live): %w",
		"the script", durationText(most), attach.ErrDeadline))
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
