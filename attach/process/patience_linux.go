//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ri/attach"
	"ri/attach/proc"
)

// wish is how a view is wanted, by this room too.
type wish struct {
	attach.ViewOptions
	registers bool   // of all kinds, as a core has them
	limitedBy string // what MaxStop comes from: "": --max-stop
}

func (p *Process) view(ctx context.Context, opt wish) (attach.View, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	switch {
	case p.dying:
		return p.dyingView(ctx)
	case opt.Kind == attach.Live:
		return p.live(ctx)
	case opt.Kind == attach.Stopped, opt.Kind == attach.Snapshot:
		giveBack := p.borrow()
		view, err := p.patiently(ctx, opt)
		if held, ok := view.(*stoppedView); ok && err == nil {
			go func() {
				<-held.finished
				giveBack()
			}()
		} else {
			giveBack()
		}
		return view, err
	}
	return nil, fmt.Errorf("a view of the kind %q of %s: %w", opt.Kind, p.Describe(), attach.ErrNotSupported)
}

// stopTries is how often a stop is tried that not all threads come to; all but the last give up after stopPatience, and
// what each thread takes.
const (
	stopTries      = 4
	stopPatience   = 25 * time.Millisecond
	threadPatience = 50 * time.Microsecond
)

// patience is how long all threads may take to come to a stop, before that is tried another time.
func (p *Process) patience() time.Duration {
	return stopPatience + time.Duration(p.threadsNow())*threadPatience
}

// threadsNow is how many threads there are.
func (p *Process) threadsNow() int {
	st, _ := proc.ReadStatus(p.proc("status"))
	return st.Threads
}

// What each of very many threads adds to a change: it is looked at for the copy, in which most are left asleep, and has
// to come to the stop of the change, and be let go. Measured on a busy machine with 5,000 threads: 24 and 50 to 80 ms.
const (
	threadCopied  = 5 * time.Microsecond
	threadStopped = 16 * time.Microsecond
)

// ChangeStop implements attach.Stoppable.
func (p *Process) ChangeStop() time.Duration {
	n := p.threadsNow()
	if n <= manyThreads {
		return 0
	}
	return time.Duration(n) * (threadCopied + threadStopped)
}

// attempts are the tries to get a view of the process as it stands.
type attempts struct {
	process *Process
	opt     wish
	most    time.Duration // patience with a try that isn't the last
	cost    attach.Stats  // of those that failed
	last    time.Duration // the stop of the try before
	asleep  bool          // threads that sleep are left alone, but for those of woken
	woken   map[int]struct{}
	vain    int // tries in which a thread that was left asleep woke up
}

// patiently stops the process, and lets it go and tries again if some thread doesn't get the CPU to come to its stop:
// the others stand meanwhile. What the failed tries cost is in the view's Stats.
func (p *Process) patiently(ctx context.Context, opt wish) (attach.View, error) {
	if opt.MaxStop <= 0 {
		opt.MaxStop = attach.DefaultMaxStop
	}
	a := &attempts{process: p, opt: opt, most: p.patience(), woken: map[int]struct{}{},
		asleep: opt.Kind == attach.Snapshot && opt.LeaveAsleep && !opt.registers && !opt.Precopy}
	for number := 1; ; {
		view, err := a.try(ctx, number)
		var awake *wokenError
		var restless *restlessError
		switch {
		case errors.Is(err, attach.ErrSuspended): // before there was a view: nothing is lost
		case errors.As(err, &awake):
			a.woke(awake)
		case errors.As(err, &restless):
			if a.spent(restless, number) {
				return view, err
			}
			select {
			case <-time.After(time.Duration(number) * 10 * time.Millisecond):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			number++
		case err != nil && a.opt.limitedBy != "":
			return view, fmt.Errorf("%w (%v is %s)", err, a.opt.MaxStop, a.opt.limitedBy)
		default:
			return view, err
		}
	}
}

// try is one of them, by its number from 1.
func (a *attempts) try(ctx context.Context, number int) (attach.View, error) {
	if a.opt.Together {
		a.opt.MaxStop, a.last = max(a.opt.MaxStop-a.last, time.Microsecond), 0
	}
	most, err := mayStop(a.opt.MaxStop)
	if err != nil {
		return nil, fmt.Errorf("%s isn't stopped: %w", a.process.Describe(), err)
	}
	if most < a.opt.MaxStop {
		a.opt.MaxStop, a.opt.limitedBy = most, "what was left of ri serve --stop-budget"
	}
	patience, spare := a.opt.MaxStop, spareNone
	if number < stopTries {
		patience = min(patience, a.most)
	}
	if n := a.process.threadsNow(); n > manyThreads { // to let them go takes its time, too
		patience -= min(patience/3, time.Duration(n)*threadResume)
	}
	switch {
	case number == stopTries && !a.opt.Bulk: // of all memory it is asked what is referred to, also from registers
		spare = spareAll
	case number > 1:
		spare = spareSleepers
	}
	if a.opt.Kind != attach.Snapshot {
		return a.process.stop(ctx, a.opt, patience, a.cost)
	}
	var asleep *leaving
	if a.asleep {
		asleep = &leaving{woken: a.woken}
	}
	return a.process.snapshot(ctx, a.opt, patience, spare, asleep, a.cost)
}

// woke notes threads that did not stay asleep: the next try stops them.
func (a *attempts) woke(err *wokenError) {
	a.cost.Add(err.cost)
	a.last = err.cost.Stopped
	for _, tid := range err.tids {
		a.woken[tid] = struct{}{}
	}
	if a.vain++; a.vain == mostWoken {
		a.asleep = false
	}
}

// spent notes a try that not all threads stopped in, and says whether it was the last.
func (a *attempts) spent(err *restlessError, number int) bool {
	a.cost.Stops++
	a.cost.Stopped += err.stopped
	a.cost.Interrupted += err.interrupted
	a.last = err.stopped
	if number < stopTries && !(a.opt.Together && a.last >= a.opt.MaxStop) {
		return false
	}
	err.cost = a.cost
	return true
}
