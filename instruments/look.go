package instruments

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ri/attach"
	"ri/values"
)

// look is what a run sees: a view, and after ri.again the next one, through the same cache.
type look struct {
	target  attach.Target
	options attach.ViewOptions
	cache   *attach.Cache
	space   *values.Space
	locks   *locks
	values  int64 // read by the script, once it has ended

	rehearsal struct { // the last one
		took  time.Duration
		stats attach.Stats
	}
	patience time.Duration // how long to wait for another tracer to go

	mu         sync.Mutex // a script that was left where it is may still call again
	view       attach.View
	ctx        context.Context // of the look; a script's own ends with the script, and would take the view with it
	rehearsing bool            // on live memory: nothing to let go, nothing to wait for
	ended      bool
	kind       attach.ViewKind // of the first view since begin

	affordable   func(attach.ViewOptions) error
	refusedBulk  error         // why there is no copy of all memory
	optionalBulk bool          // the script can do without it
	stats        attach.Stats  // of all views that have ended
	missed       int           // pages that a snapshot didn't have, since begin
	changed      chan struct{} // a new view took the place of the old one
	lacking      bool          // the script asked a copy for all memory that didn't have it
}

// bulkCache bounds the pages kept while a script that will have a copy of all memory rehearses, in bytes.
const bulkCache = 64 << 20

func newLook(s *Session, p *Plan) *look {
	cache, space := s.memory()
	return &look{
		target: s.Target, options: attach.ViewOptions{Kind: p.View, MaxStop: p.MaxStop, Bulk: p.Look.Precopy, Precopy: p.Look.Precopy, Spool: p.Look.Spool}, cache: cache, space: space,
		locks: newLocks(s, p), affordable: s.affordable, changed: make(chan struct{}, 1),
	}
}

// viewWhenFree takes a view; if somebody else traces the target it waits for that to end, as long as it may.
func (l *look) viewWhenFree(ctx context.Context) (attach.View, error) {
	for began := time.Now(); ; {
		view, err := l.target.View(ctx, l.options)
		if err == nil {
			if err := view.Coverage().Check(); err != nil {
				view.Discard()
				return nil, fmt.Errorf("%s: %w", l.target.Describe(), err)
			}
			return view, nil
		}
		if !errors.Is(err, attach.ErrTraced) || time.Since(began) >= l.patience {
			return view, err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// begin takes the view.
func (l *look) begin(ctx context.Context) error {
	l.missed, l.ctx = 0, ctx
	l.cache.Release() // before a copy takes as much
	if err := l.take(ctx); err != nil {
		return viewError(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.rehearsing, l.kind = false, false, l.view.Kind()
	return nil
}

// take takes a view of a moment at which the locks are free. While one is held the target runs.
func (l *look) take(ctx context.Context) error {
	waits := l.options.Kind != attach.Live && l.locks.wait()
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
		l.see(view)
		l.mu.Unlock()
		if l.options.Kind == attach.Live || len(l.locks.reports) == 0 {
			return nil
		}
		err = l.locks.held(l.space)
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
func (l *look) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release()
	l.view.Discard()
}

func missedOf(view attach.View) int { return len(view.Coverage().Missed) }

// rehearse makes a live view what is seen, until begin.
func (l *look) rehearse(view attach.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rehearsing = true
	l.see(view)
}

// wantBulk is Options.Bulk.
func (l *look) wantBulk() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.rehearsing {
		if l.view.Coverage().Whole {
			return true
		}
		l.lacking = true
	}
	l.options.Bulk = true
	return false
}

// mayBulk is Options.MayBulk: why a copy of all memory can't be had, nil if it can. It is found out in the rehearsal, once.
func (l *look) mayBulk() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.view.Coverage().Whole {
		return nil
	}
	if l.options.Kind != attach.Snapshot {
		return errNoCopy
	}
	if !l.rehearsing || l.options.Bulk || l.refusedBulk != nil {
		return l.refusedBulk
	}
	options := l.options
	options.Bulk = true
	l.refusedBulk = l.affordable(options)
	l.optionalBulk = l.refusedBulk == nil
	return l.refusedBulk
}

// dropBulk goes on without a copy of all memory that turns out to cost too much, if the script can do without it.
func (l *look) dropBulk(why error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.optionalBulk || !l.options.Bulk {
		return false
	}
	l.options.Bulk, l.refusedBulk = false, why
	return true
}

// errNoCopy is why there is no whole heap in a view that copies nothing.
var errNoCopy = errors.New("it needs a copy of all memory: --view snapshot")

// lacked says, once, whether the script asked for all memory and this view didn't have it.
func (l *look) lacked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lacking
	l.lacking = false
	return was
}

// discard gives the memory of a view that has ended back. The script that read it has ended, or waits for the next view.
func (l *look) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended && l.view.Coverage().Of == attach.Copied {
		l.cache.Reset(l.view) // which is closed
		l.space.Reset()
		l.view.Discard()
	}
}

// notes is what the view says of how it was taken.
func (l *look) notes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.view == nil {
		return nil
	}
	return l.view.Notes()
}

// result is how was looked, and what it cost.
func (l *look) result() (attach.ViewKind, attach.Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kind, l.stats
}

// see makes view what is seen. The caller holds mu.
func (l *look) see(view attach.View) {
	l.view = view
	l.cache.Exact = l.options.Kind == attach.Snapshot
	l.cache.MaxBytes = 0
	if l.options.Bulk { // what is touched needn't be remembered: the copy will have it
		l.cache.MaxBytes = bulkCache
	}
	l.cache.Reset(view)
	l.space.Reset()
	l.space.SetThreads(view.Threads())
	l.space.SetNow(l.target.Nanotime())
}

// wait waits for the script, for the view's own end, and for ctx, and lets the target run. ended says whether the script has.
func (l *look) wait(ctx context.Context, finished <-chan error) (err error, ended bool) {
	for {
		l.mu.Lock()
		view := l.view
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
		case <-view.Done():
			if l.replaced(view) {
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
func (l *look) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		l.release()
	}
}

func (l *look) release() {
	l.view.Close()
	now := l.view.Stats()
	l.stats.Stops += now.Stops
	l.stats.Stopped += now.Stopped
	l.stats.BytesRead += now.BytesRead
	l.missed += missedOf(l.view)
}

// wantTouched has the next snapshot copy the pages that this look touched, too.
func (l *look) wantTouched() {
	if l.options.Kind == attach.Snapshot {
		l.options.Pages = append(l.options.Pages, l.cache.Pages()...)
	}
}

func (l *look) replaced(view attach.View) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view != view
}

// again lets the target run for a while and takes a new view. The script calls it.
//
// kind, if not "", is how this look sees memory. Where the copy that was looked at lacks pages there is no second look: what was found will be
// thrown away, and all begins again with a larger copy.
func (l *look) again(ctx context.Context, wait time.Duration, kind attach.ViewKind) error {
	l.mu.Lock()
	if l.rehearsing {
		l.mu.Unlock()
		return context.Cause(ctx)
	}
	if l.ended {
		l.mu.Unlock()
		return attach.ErrClosed
	}
	if err := l.view.Err(); err != nil {
		l.mu.Unlock()
		return err
	}
	if missedOf(l.view) > 0 {
		l.mu.Unlock()
		return errIncomplete
	}
	l.ended = true // nothing to let go while it runs
	l.release()
	l.mu.Unlock()
	l.discard()

	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if kind != "" {
		was := l.options
		l.options = attach.ViewOptions{Kind: kind, MaxStop: was.MaxStop}
		defer func() { l.options = was }()
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	l.ended = false
	l.mu.Unlock()
	l.changed <- struct{}{}
	if err := context.Cause(ctx); err != nil { // the run ended meanwhile, and nobody else would let the target go
		l.end()
		return err
	}
	return nil
}

// errIncomplete ends a script early whose results will not be used.
var errIncomplete = errors.New("the copy lacks pages that the script reads")

// viewError marks the error of a look that didn't come about.
func viewError(err error) error {
	switch {
	case errors.Is(err, attach.ErrDeadline):
		return Partial(err)
	case errors.Is(err, attach.ErrExited):
		return err
	}
	return Refused(err)
}
