package looks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ri/attach"
	"ri/instruments/rows"
	"ri/values"
	"ri/values/heap"
)

// Look is what a run sees: a view, and after ri.again the next one, through the same cache.
type Look struct {
	Target  attach.Target
	Options attach.ViewOptions
	Cache   *attach.Cache
	Space   *values.Space
	locks   *locks
	Values  int64 // read by the script, once it has ended

	rehearsal struct { // the last one
		took  time.Duration
		stats attach.Stats
		left  bool // it didn't end, and was left where it is
	}
	patience time.Duration // how long to wait for another tracer to go

	mu         sync.Mutex // a script that was left where it is may still call again
	view       attach.View
	ctx        context.Context // of the look; a script's own ends with the script, and would take the view with it
	rehearsing bool            // on live memory: nothing to let go, nothing to wait for
	ended      bool
	arrived    func() // called when it is there
	// called when the script goes on to another view, while this one can be read; nil: nobody is
	leaving  func()
	between  bool            // the view is a stop that the script asked for on its way
	standing atomic.Bool     // the target stands while the script runs
	kind     attach.ViewKind // of the first view since begin

	laters   int // looks since begin, after the first
	less     lessening
	stats    attach.Stats          // of all views that have ended
	missed   int                   // pages that a snapshot didn't have, since begin
	changed  chan struct{}         // a new view took the place of the old one
	noting   func() *heap.Answers  // of who records this look
	answered map[int]*heap.Answers // of a recording's looks, nil where there are none
	lacking  bool                  // the script asked a copy for all memory that didn't have it
}

// bulkCache bounds the pages kept while a script that will have a copy of all memory rehearses, in bytes.
const bulkCache = 64 << 20

// liveCache bounds the pages kept of a live view, in bytes: a script may hold 512 MiB with them.
const liveCache = 192 << 20

func newLook(s *Session, p *Plan) *Look {
	cache, space := s.Memory()
	return &Look{
		Target: s.Target, Options: attach.ViewOptions{Kind: p.View, MaxStop: p.MaxStop, Bulk: p.Look.Precopy,
			Precopy: p.Look.MayPrecopy(), Spool: p.Look.Spool, LeaveAsleep: true}, Cache: cache, Space: space,
		locks: newLocks(s, p), less: newLessening(s, p), changed: make(chan struct{}, 1),
	}
}

// viewWhenFree takes a view; if somebody else traces the target it waits for that to end, as long as it may.
func (l *Look) viewWhenFree(ctx context.Context) (view attach.View, err error) {
	err = WhenFree(ctx, l.patience, func() (err error) {
		view, err = l.Target.View(ctx, l.Options)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := view.Coverage().Check(); err != nil {
		view.Discard()
		return nil, fmt.Errorf("%s: %w", l.Target.Describe(), err)
	}
	return view, nil
}

// WhenFree tries again, while another tracer has the process, for as long as it may.
func WhenFree(ctx context.Context, patience time.Duration, try func() error) error {
	for began := time.Now(); ; {
		err := try()
		if err == nil || !errors.Is(err, attach.ErrTraced) || time.Since(began) >= patience {
			return err
		}
		if err := Sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// begin takes the view.
func (l *Look) begin(ctx context.Context) error {
	l.missed, l.ctx, l.laters = 0, ctx, 0
	l.Cache.Release() // before a copy takes as much
	if err := l.take(ctx); err != nil {
		return ViewError(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.rehearsing, l.between, l.kind = false, false, false, l.view.Kind()
	return nil
}

// take takes a view of a moment at which the locks are free. While one is held the target runs.
func (l *Look) take(ctx context.Context) error {
	waits := l.Options.Kind != attach.Live && l.locks.wait()
	end := time.Now().Add(lockWait)
	for stops, rounds := 0, 1; ; {
		if waits {
			err := l.locks.await(ctx, stops, end)
			if errors.As(err, new(*heldError)) || stops == lockStops {
				return l.locks.refusal()
			}
			if err != nil {
				return err
			}
		}
		view, err := l.viewWhenFree(l.ctx)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.See(view)
		l.mu.Unlock()
		if l.Options.Kind == attach.Live || len(l.locks.reports) == 0 {
			return nil
		}
		err = l.locks.held(l.Space)
		missed := missedOf(view)
		if missed > 0 && rounds < snapshotRounds { // the lock itself isn't in the copy
			l.giveBack()
			l.wantTouched()
			l.missed -= missed
			rounds++
			continue
		}
		if !waits {
			l.locks.readHeld(err)
			return nil
		}
		if err == nil {
			return nil
		}
		l.giveBack()
		var held *heldError
		if !errors.As(err, &held) {
			return err
		}
		for _, i := range held.locks {
			l.locks.reports[i].Stops++
		}
		stops++
	}
}

// giveBack ends a view that nothing was read from but locks.
func (l *Look) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release()
	l.view.Discard()
}

func missedOf(view attach.View) int { return len(view.Coverage().Missed) }

// rehearse makes a live view what is seen, until begin.
func (l *Look) rehearse(view attach.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rehearsing = true
	l.See(view)
}

// lacked says, once, whether the script asked for all memory and this view didn't have it.
func (l *Look) lacked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lacking
	l.lacking = false
	return was
}

// discard gives the memory of a view that has ended back. The script that read it has ended, or waits for the next
// view.
func (l *Look) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended && l.view.Coverage().Of == attach.Copied {
		l.Cache.Reset(l.view) // which is closed
		l.Space.Reset()
		l.view.Discard()
	}
}

// notes is what the view says of how it was taken.
func (l *Look) notes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.view == nil {
		return nil
	}
	return l.view.Notes()
}

// result is how was looked, and what it cost.
func (l *Look) result() (view string, cost rows.Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kind), rows.Stats(l.stats)
}

// See makes view what is seen. The caller holds mu.
func (l *Look) See(view attach.View) {
	l.view = view
	l.standing.Store(view.Kind() == attach.Stopped)
	l.Cache.Exact = l.Options.Kind == attach.Snapshot
	l.Cache.Passing = l.Options.Kind == attach.Live || l.Options.Bulk
	l.Cache.MaxBytes = 0
	switch {
	case l.Options.Bulk: // what is touched needn't be remembered: the copy will have it
		l.Cache.MaxBytes = bulkCache
	case l.Options.Kind == attach.Live: // it can be read again
		l.Cache.MaxBytes = liveCache
	}
	l.Cache.Reset(view)
	l.Space.Reset()
	l.Space.SetThreads(view.Threads())
	l.Space.SetForking(view.Coverage().Forking)
	l.Space.SetNow(l.Target.Nanotime())
}

// wait waits for the script, for the view's own end, and for ctx, and lets the target run. ended says whether the
// script has.
func (l *Look) wait(ctx context.Context, finished <-chan error) (err error, ended bool) {
	for {
		l.mu.Lock()
		view, done := l.view, l.view.Done()
		if l.mayEnd() {
			done = nil
		}
		l.mu.Unlock()
		select {
		case <-l.changed:
		case err = <-finished:
			l.end()
			// A script may have caught the error with which its reads failed.
			if lost := view.Err(); lost != nil && !errors.Is(lost, attach.ErrClosed) {
				err = lost
			}
			return err, true
		case <-done:
			if l.passed(view) {
				continue
			}
			l.end()
			return view.Err(), false
		case <-ctx.Done():
			l.end()
			return context.Cause(ctx), false
		}
	}
}

// end lets the target run, for good.
func (l *Look) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		l.release()
	}
}

func (l *Look) release() {
	l.view.Close()
	l.standing.Store(false)
	l.stats.Add(l.view.Stats())
	l.missed += missedOf(l.view)
}

// wantTouched has the next snapshot copy the pages that this look touched, too.
func (l *Look) wantTouched() {
	if l.Options.Kind == attach.Snapshot {
		l.Options.Pages = append(l.Options.Pages, l.Cache.Pages()...)
	}
}

// passed tells whether it is no longer a view's end that ends the look.
func (l *Look) passed(view attach.View) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view != view || l.mayEnd()
}

// Again lets the target run for a while and takes a new view. The script calls it. over is why the view before ended by
// itself.
//
// kind, if not "", is how this look sees memory. Where the copy that was looked at lacks pages there is no second look:
// what was found will be thrown away, and all begins again with a larger copy. Where there can be no such view, the
// script may go on with what is seen live.
func (l *Look) Again(ctx context.Context, wait time.Duration, kind attach.ViewKind) (over, err error) {
	l.mu.Lock()
	if l.rehearsing {
		l.mu.Unlock()
		return nil, context.Cause(ctx)
	}
	if l.ended {
		l.mu.Unlock()
		return nil, attach.ErrClosed
	}
	if over = l.view.Err(); over != nil && !l.mayEnd() {
		l.mu.Unlock()
		return nil, over
	}
	if missedOf(l.view) > 0 {
		l.mu.Unlock()
		return nil, errIncomplete
	}
	l.ended = true // nothing to let go while it runs
	leaving := l.leaving
	l.mu.Unlock()
	if leaving != nil {
		leaving()
	}
	l.mu.Lock()
	l.release()
	l.mu.Unlock()
	l.discard()

	if err := Sleep(ctx, wait); err != nil {
		return over, err
	}
	was := l.Options
	defer func() { l.Options = was }()
	if kind != "" {
		l.Options = attach.ViewOptions{Kind: kind, MaxStop: was.MaxStop, LeaveAsleep: true}
	}
	l.laters++
	l.Options.Later = l.laters
	err = l.less.affordable(l.Options)
	if err == nil {
		err = l.take(ctx)
	}
	if err != nil {
		l.stats.Add(attach.CostOf(err))
		l.Options = attach.ViewOptions{Kind: attach.Live, MaxStop: was.MaxStop, Later: l.laters}
		if l.take(ctx) != nil {
			return over, err
		}
	}
	l.mu.Lock()
	l.ended, l.between = false, l.Options.Kind == attach.Stopped && was.Kind != attach.Stopped
	l.mu.Unlock()
	l.changed <- struct{}{}
	if l.arrived != nil {
		l.arrived()
	}
	if err := context.Cause(ctx); err != nil { // the run ended meanwhile, and nobody else would let the target go
		l.end()
		return over, err
	}
	return over, err
}

// mayEnd tells whether the view is one that a script took in between, and whose time is over: its reads fail, and the
// script goes on.
func (l *Look) mayEnd() bool { return l.between && errors.Is(l.view.Err(), attach.ErrDeadline) }

// errIncomplete ends a script early whose results will not be used.
var errIncomplete = errors.New("the copy lacks pages that the script reads")

// ViewError marks the error of a look that didn't come about.
func ViewError(err error) error {
	switch {
	case errors.Is(err, attach.ErrDeadline):
		return rows.Partial(err)
	case errors.Is(err, attach.ErrExited):
		return err
	}
	return rows.Refused(err)
}
