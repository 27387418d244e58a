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

// Run looks at the target with the plan's script. The target runs again when Run returns, whatever the script did.
//
// An error means that there was no look, or a signal ended it. What went wrong in the script is in the result, with the rows so far.
func (s *Session) Run(ctx context.Context, p *Plan, out *Output) (*Result, error) {
	res, err := s.run(ctx, p, out, func(ctx context.Context, look *look, sink Sink) error {
		host := New(Options{
			Space:   look.space,
			Sink:    sink,
			Folders: p.Recipe.folders(p.catalogue),
			Limits:  p.Recipe.Limits,
			Target:  TargetInfo{PID: s.Target.PID(), Describe: s.Target.Describe(), View: look.view.Kind()},
			Again:   look.again,
		})
		defer host.Close()
		defer func() { look.values = host.Values() }()
		return host.Run(ctx, p.Script, p.Params)
	})
	if p.Script.Header != nil && res != nil {
		res.Columns, res.Params = p.Script.Header.Columns, p.Params.Row(p.Script.Header)
	}
	return res, err
}

// run looks at the target with f, which may end late or never: then it is left where it is, and its result as it was.
func (s *Session) run(ctx context.Context, p *Plan, out *Output, f func(context.Context, *look, Sink) error) (*Result, error) {
	sink := &collector{res: &Result{Recipe: p.Recipe.Name, Target: s.Info}}
	if p.View == attach.Live {
		sink.live, sink.report = out.Log, out.Progress()
	}
	look, err := s.look(ctx, attach.ViewOptions{Kind: p.View, MaxStop: p.MaxStop})
	if err != nil {
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
		select {
		case <-finished:
			ended = true
		case <-time.After(grace): // ri is about to exit
		}
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
