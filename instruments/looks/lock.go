package looks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ri/attach"
	"ri/instruments/rows"
	"ri/values"
	"ri/values/eval"
)

// What a recipe reads may be guarded by a lock. While that is held for writing the structure may be in mid-change, so
// the target runs on and ri comes back: it looks without a stop until the lock seems free, and stops then.

const (
	lockStops    = 20                     // at which a lock was held, before the recipe is refused
	lockWait     = 3 * time.Second        // for a lock to seem free, without a stop, before the recipe is refused
	lockPause    = time.Millisecond       // after the first stop in vain, growing by itself with each
	lockInterval = 200 * time.Microsecond // between looks without a stop
)

// locks are those that must be free, of one run.
type locks struct {
	ignore  bool
	still   bool // no process
	reports []rows.LockReport

	target attach.Target
	view   attach.View // live, to look without a stop
	space  *values.Space
	cache  *attach.Cache
	read   int64 // bytes, by views that are closed
}

func newLocks(s *Session, p *Plan) *locks {
	cache := attach.NewCache(nil)
	cache.Exact = true
	l := &locks{ignore: p.Look.IgnoreLock, target: s.Target, cache: cache, space: values.New(s.File, cache, s.Bias),
		still: s.Info.Kind != "process"}
	for _, expr := range p.Recipe.Locks {
		l.reports = append(l.reports, rows.LockReport{Expr: expr})
	}
	return l
}

// wait tells whether a look has to wait for the locks: what holds still, as a core, would never let them go.
func (l *locks) wait() bool { return len(l.reports) > 0 && !l.ignore && !l.still }

// readHeld notes that what a lock guards is read although the lock is held.
func (l *locks) readHeld(err error) {
	var held *heldError
	if errors.As(err, &held) {
		for _, i := range held.locks {
			l.reports[i].Read = true
		}
	}
}

// heldError says which of the locks are held.
type heldError struct{ locks []int }

func (e *heldError) Error() string { return "the lock is held" }

// held is a *heldError if one of the locks is held in space, another error if that can't be told. What isn't there
// isn't held: a nil pointer on the way to a lock leads to nothing that it could guard.
func (l *locks) held(space *values.Space) error {
	var found []int
	for i := range l.reports {
		v, err := eval.Expression(space, l.reports[i].Expr)
		held := false
		if err == nil {
			held, err = v.WriteHeld()
		}
		if err != nil && !errors.Is(err, values.ErrNil) {
			return fmt.Errorf("the lock %s can't be looked at: %w; to read what it guards all the same: --ignore-lock",
				l.reports[i].Expr, err)
		}
		if held {
			found = append(found, i)
		}
	}
	if found != nil {
		return &heldError{found}
	}
	return nil
}

// see opens the way to look without a stop.
func (l *locks) see(ctx context.Context) error {
	if l.view != nil {
		return nil
	}
	view, err := l.target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return err
	}
	l.view = view
	return nil
}

// peek looks at the locks without a stop.
func (l *locks) peek(ctx context.Context) error {
	if err := l.see(ctx); err != nil {
		return err
	}
	l.cache.Reset(l.view)
	l.space.Reset()
	return l.held(l.space)
}

// close ends the looking without a stop.
func (l *locks) close() {
	if l.view != nil {
		l.view.Close()
		l.read += l.view.Stats().BytesRead
		l.view = nil
	}
}

// report gives what became of the locks; what looking at them cost is added to stats.
func (l *locks) report(stats *rows.Stats) []rows.LockReport {
	l.close()
	stats.BytesRead += l.read
	l.read = 0
	return l.reports
}

// await waits before a stop until no lock seems to be held, and longer after each stop at which one was. It is a
// *heldError if they are still held at the end.
func (l *locks) await(ctx context.Context, stops int, end time.Time) error {
	if stops > 0 {
		pause := time.Duration(stops) * lockPause
		if err := Sleep(ctx, pause); err != nil {
			return err
		}
	}
	for {
		err := l.peek(ctx)
		var held *heldError
		if !errors.As(err, &held) || time.Now().After(end) {
			if held != nil {
				return held
			}
			return nil // an error in memory that is in motion says nothing: the stop will tell
		}
		began := time.Now()
		if err := Sleep(ctx, lockInterval); err != nil {
			return err
		}
		for _, i := range held.locks {
			l.reports[i].Waited += time.Since(began)
		}
	}
}

func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refusal is what is said when the locks don't become free; it names the one that was held longest.
func (l *locks) refusal() error {
	most := slices.MaxFunc(l.reports, func(a, b rows.LockReport) int {
		return cmp.Or(cmp.Compare(a.Waited, b.Waited), cmp.Compare(a.Stops, b.Stops))
	})
	return rows.Refused(fmt.Errorf("the lock %s did not become free (waited %s while the program ran; held at %s), so "+
		"what it guards may be in mid-change and was not read; "+
		"try again, see who holds it (ri run goroutines -p %d), or read all the same (--ignore-lock)",
		most.Expr, rows.ShortDuration(most.Waited), rows.Plural(int64(most.Stops), "stop"), l.target.PID()))
}

// checkLocks says before any stop whether a recipe's locks are locks of this program.
func (s *Session) checkLocks(ctx context.Context, p *Plan) error {
	if p.Look.IgnoreLock {
		return nil
	}
	for _, expr := range p.Recipe.Locks {
		if err := s.checkLock(ctx, expr); err != nil {
			if p.Recipe.Name == execName {
				return rows.Refused(fmt.Errorf("--lock %s: %w; to read without it, leave it out", expr, err))
			}
			return rows.Refused(fmt.Errorf("recipe %s: lock %s: %w; to read without it: --ignore-lock", p.Recipe.Name, expr,
				err))
		}
	}
	return nil
}

func (s *Session) checkLock(ctx context.Context, expr string) error {
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return nil // the look itself will say why
	}
	defer view.Close()
	v, err := eval.Expression(s.Space(view), expr)
	if err == nil {
		_, err = v.WriteHeld()
	}
	// Memory may be in motion, so a stack may hold anything: only what the program doesn't have counts.
	if errors.Is(err, values.ErrNotOne) {
		return nil
	}
	if wrongName(err) || errors.Is(err, values.ErrKind) || errors.Is(err, values.ErrExpr) {
		return err
	}
	return nil
}
