package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ri/attach"
	"ri/instruments/host"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/referee"
)

// verify has the referee compare, on a copy of all memory, what it reads with what ri reads. The checks are there
// whatever the error is: ErrFound if the two differ, ErrPartial if not all was compared.
func verify(ctx context.Context, out *rows.Output, choice looks.TargetChoice, how looks.Options) (checks []check,
	err error) {
	s, err := looks.OpenSession(choice)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.NeedSymbols(); err != nil {
		return nil, err
	}
	take := func(ctx context.Context) (attach.View, error) {
		view, err := copyAll(ctx, s, how)
		if err == nil {
			for _, note := range view.Notes() {
				out.Log("note: " + note)
			}
			out.Log((&rows.Result{Target: s.Info, Stats: rows.Stats(view.Stats())}).Cost())
		}
		return view, err
	}
	limits := host.Limits{Time: how.MaxTime}.WithDefaults()
	subject := referee.Subject{Target: s.Target, File: s.File, Bias: s.Bias}
	found, err := referee.Verify(ctx, subject, limits.Time, take)
	for _, c := range found {
		checks = append(checks, check{c.What, c.State, c.Detail})
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return checks, verdict(found, err)
}

// verdict says how a comparison ended. err is why there was no copy to compare on. A difference is one whatever else
// failed.
func verdict(found []referee.Check, err error) error {
	has := func(state string) bool {
		return slices.ContainsFunc(found, func(c referee.Check) bool { return c.State == state })
	}
	switch {
	case has(referee.Differ):
		return rows.Said(rows.ErrFound)
	case err != nil:
		return err
	case len(found) == 0 || has(referee.NotCompared):
		return rows.Partial(errors.New("not all was compared; the lines above say why"))
	}
	return nil
}

// copyAll copies all memory of a process in a stop. A core is its own copy.
func copyAll(ctx context.Context, s *looks.Session, how looks.Options) (view attach.View, err error) {
	opt := attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: how.MaxStop}
	opt.Precopy, opt.Spool = how.MayPrecopy(), how.Spool
	if opt.MaxStop == 0 {
		opt.MaxStop = attach.DefaultMaxStop
	}
	if err := s.AffordableOr(opt, "", ""); err != nil {
		return nil, err
	}
	err = looks.WhenFree(ctx, how.Wait, func() (err error) {
		view, err = s.Target.View(ctx, opt)
		return err
	})
	return view, looks.ViewError(longerCopy(err, opt.MaxStop, opt.Precopy))
}

// longerCopy says what helps a copy that wasn't done in its stop.
func longerCopy(err error, limit time.Duration, precopied bool) error {
	if !errors.Is(err, attach.ErrDeadline) || precopied {
		return err
	}
	return fmt.Errorf("%w; allow more (--max-stop %s), or have most of it copied while the process runs (--precopy)",
		err, rows.RoundUp(3*limit))
}
