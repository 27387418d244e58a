package instruments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/change"
)

// For a stopped view the rehearsal tells how long the stop would be. The first takes longer, since layouts are compiled in it: it may take stoppedRehearsal,
// or tooLong times the stop's own limit where that is more. One that all is ready for, and that takes tooLong times the limit, makes a stop useless.
const (
	stoppedRehearsal = 2 * time.Second
	tooLong          = 4
)

// Run looks at the target with the plan's script, and commits what the script wants changed. The target runs again when Run returns,
// whatever the script did. What is to be said meanwhile goes to a listener; nil: nobody listens, and remarks are in the result.
//
// An error means that there was no look, or ctx ended it. What went wrong in the script is in the result, with the rows so far.
func (s *Session) Run(ctx context.Context, p *Plan, to Listener) (*Result, error) {
	return s.runPlan(ctx, p, to, nil)
}

// Stream is Run with the rows, and what else the script gives, handed to a sink. Where nothing is held, and nothing can turn out
// to have been in vain, they come as the script gives them: of a core, and of a live view. Otherwise they come when the target
// runs again, and all is known to be of one moment. The result has the rest, and the findings too.
func (s *Session) Stream(ctx context.Context, p *Plan, sink Sink) (*Result, error) {
	if p.View == attach.Live || s.Info.Kind == "core" {
		return s.runPlan(ctx, p, sink, sink)
	}
	res, err := s.runPlan(ctx, p, sink, nil)
	if err != nil {
		return nil, err
	}
	if err := res.handOver(sink); err != nil {
		res.Err = errors.Join(res.Err, err)
	}
	return res, nil
}

// runPlan is Run. early, if not nil, gets at once what the script gives.
func (s *Session) runPlan(ctx context.Context, p *Plan, to Listener, early Sink) (*Result, error) {
	var host *Host
	changing, err := s.changing(p)
	if err != nil {
		return nil, err
	}
	connected, _ := s.Target.(attach.Connected)
	sampler := cpuSamplerOf(s.Target)
	res, err := s.transact(ctx, p, func(p *Plan) (*Result, *change.Plan, error) {
		host = nil
		res, err := s.run(ctx, p, s.collector(p, to, early), func(ctx context.Context, look *look, sink Sink) error {
			if host == nil {
				host = New(Options{
					Space:       look.space,
					Sink:        sink,
					Folders:     p.Recipe.folders(p.catalogue),
					Limits:      p.Limits,
					Target:      TargetInfo{PID: s.Target.PID(), Kind: s.Info.Kind, Describe: s.Target.Describe(), Ends: s.ends, View: p.View},
					Again:       look.again,
					Now:         s.now(),
					Profile:     p.Samples,
					Bulk:        look.wantBulk,
					MayBulk:     look.mayBulk,
					cpu:         sampler,
					Connections: connected,
				})
				if changing != nil {
					host.opt.Changing = func(comment string) (*change.Plan, error) { return changing(look.space, comment) }
				}
			}
			host.Forget()
			before := host.Values()
			defer func() { look.values = host.Values() - before }()
			return host.Run(ctx, p.Script, p.Params)
		})
		if err != nil || host == nil || res.Err != nil || len(res.Partial) > 0 {
			if res != nil {
				refused(res)
			}
			return res, nil, err
		}
		return res, host.Transaction(), nil
	})
	if res != nil {
		res.Profile, res.Time = p.Script.profileValues(), time.Now()
	}
	if p.Script.Header != nil && res != nil {
		res.Columns, res.Params = p.Script.Header.Columns, p.Params.Row(p.Script.Header)
	}
	if res != nil && res.Transaction != nil && res.empty() && p.Script.Header == nil {
		res.Columns, res.Rows = changeColumns, res.Transaction.Changes
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
func (s *Session) run(ctx context.Context, p *Plan, sink *collector, f func(context.Context, *look, Sink) error) (*Result, error) {
	look := newLook(s, p)
	defer look.locks.close()
	look.patience = p.Look.Wait
	if s.Info.Kind == "process" && p.View != attach.Live {
		err := s.rehearseAll(ctx, look, sink, p, f)
		if errors.Is(err, ErrTime) { // what it found until then is better than nothing
			res := sink.seal()
			res.View, res.Stats = attach.Live, look.rehearsal.stats
			judge(res, err, p, look.rehearsal.took)
			return res, nil
		}
		if err != nil {
			return nil, err
		}
		sink.clear()
	}
	if look.options.Kind == attach.Snapshot && s.Info.Kind == "process" && len(look.options.Pages) == 0 && !look.options.Bulk {
		look.options.Kind = attach.Live // it asks about types and names only: nothing to stop for
	}
	for round := 1; ; round++ {
		runErr, ended, err := s.once(ctx, look, sink, f)
		if err != nil {
			return nil, err
		}
		if ended && (look.missed > 0 || look.lacked()) && context.Cause(ctx) == nil {
			look.wantTouched()
			look.discard()
			if round == snapshotRounds {
				look.options.Kind, sink.held = attach.Stopped, true
			}
			sink.clear()
			continue
		}
		if p.View == attach.Live {
			look.locks.readHeld(look.locks.peek(ctx))
		}
		res := sink.seal()
		res.View, res.Stats = look.result()
		res.Notes = look.notes()
		res.Locks = look.locks.report(&res.Stats)
		if ended {
			res.ValuesRead = look.values
			defer look.discard() // a report takes many copies, one after the other
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		judge(res, runErr, p, look.rehearsal.took)
		return res, nil
	}
}

// rehearsalTime is the most that a rehearsal may take. What comes to run on a snapshot may take its time; what comes to run
// on a stopped target has to be quick.
func rehearsalTime(p *Plan) time.Duration {
	limit := p.Limits.withDefaults().Time
	if limit <= 0 {
		limit = math.MaxInt64
	}
	if p.View == attach.Snapshot {
		return limit
	}
	return min(limit, max(stoppedRehearsal, tooLong*p.MaxStop))
}

// once takes a view and runs f on it. runErr is how f ended, if it did; err is why there was no view.
func (s *Session) once(ctx context.Context, look *look, sink *collector, f func(context.Context, *look, Sink) error) (runErr error, ended bool, err error) {
	if err := s.affordable(look.options); err != nil {
		if !look.dropBulk(err) {
			return nil, false, err
		}
		if err := s.affordable(look.options); err != nil {
			return nil, false, err
		}
	}
	if look.options.Kind == attach.Live && len(look.locks.reports) > 0 {
		look.locks.readHeld(look.locks.peek(ctx))
	}
	err = look.begin(ctx)
	if errors.Is(err, attach.ErrDeadline) && look.dropBulk(err) {
		err = look.begin(ctx)
	}
	if err != nil {
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

// rehearseAll rehearses f, and once more where that tells something: where f touched much, since scripts may remember where they found what they
// looked for; and where the first, in which layouts were compiled, took longer than a stop may. The error is ErrTime where there should be no stop.
func (s *Session) rehearseAll(ctx context.Context, look *look, sink *collector, p *Plan, f func(context.Context, *look, Sink) error) error {
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
			return newLimitError(ErrTime, "the script takes %s on live memory, so %s was not stopped, which may be for %s; what it found is not of one instant; %s",
				shortDuration(took), s.Target.Describe(), durationText(p.MaxStop), p.longerStop(took))
		}
		return nil
	}
	if len(look.options.Pages) < muchTouched || look.rehearsal.took > stoppedRehearsal {
		return nil
	}
	first := look.options.Pages
	look.options.Pages = nil
	sink.clear()
	if err := s.rehearse(ctx, look, sink, p, f); err != nil {
		return err
	}
	if len(look.options.Pages) > len(first)/2 {
		look.options.Pages = append(look.options.Pages, first...)
	}
	return nil
}

// rehearse runs f once on live memory. Whether it succeeds doesn't matter; one that doesn't end in its time is an error: it would
// hold the target for as long as it may, for nothing.
func (s *Session) rehearse(ctx context.Context, look *look, sink *collector, p *Plan, f func(context.Context, *look, Sink) error) error {
	if p, ok := s.Target.(attach.Stoppable); ok {
		if err := p.CheckStop(); err != nil && !(errors.Is(err, attach.ErrTraced) && look.patience > 0) {
			return viewError(err)
		}
	}
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return viewError(err)
	}
	defer view.Close()
	look.rehearse(view)
	_ = look.locks.held(look.space) // so that the copy has them

	most := rehearsalTime(p)
	short, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	began := time.Now()
	finished := make(chan error, 1)
	go func() { finished <- safely(func() error { return f(short, look, sink) }) }()
	var result error
	select {
	case result = <-finished:
	case <-short.Done():
		view.Close()
		waitFor(finished, grace)
		result = ErrTime
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	look.rehearsal.took, look.rehearsal.stats = time.Since(began), view.Stats()
	if errors.Is(result, ErrTime) || errors.Is(result, context.DeadlineExceeded) {
		return newLimitError(ErrTime, "the script did not end within %s on live memory, so %s was not stopped; what it found until then is not of one instant; %s",
			durationText(most), s.Target.Describe(), p.longerTime(most))
	}
	look.wantTouched()
	return nil
}

// longerStop says what helps a script that took so long where the stop was too short.
func (p *Plan) longerStop(took time.Duration) string {
	var ways []string
	if enough := roundUp(2 * max(took, p.MaxStop)); enough <= longestStop {
		ways = append(ways, fmt.Sprintf("allow a longer stop (--max-stop %s)", durationText(enough)))
	}
	if p.View != attach.Snapshot {
		ways = append(ways, "let it run on a copy (--view snapshot)")
	}
	ways = append(ways, "look without a stop (--view live)")
	return strings.Join(ways, ", or ")
}

// longerTime says what helps a script that did not end within a time.
func (p *Plan) longerTime(most time.Duration) string {
	limit := p.Limits.withDefaults().Time
	if p.View == attach.Stopped && (limit <= 0 || most < limit) {
		text := fmt.Sprintf("a stop of %s (--max-stop) would not do", durationText(p.MaxStop))
		if limit > 0 {
			return text + fmt.Sprintf("; if it ends at all, --view snapshot gives it %s (--max-time), and --view live too", durationText(limit))
		}
		return text + "; if it ends at all, it does with --view snapshot or --view live"
	}
	return fmt.Sprintf("if it ends at all, give it longer (--max-time %s)", durationText(roundUp(3*most)))
}

// affordable refuses a snapshot that would stop the target for longer than allowed, or need more memory than there is.
func (s *Session) affordable(opt attach.ViewOptions) error {
	return s.affordableOr(opt, "look without a stop (--view live)", "look without a copy (--view live or --view stopped)")
}

// affordableOr is affordable. noStop and noCopy say what else would do; empty where nothing does but a copy.
func (s *Session) affordableOr(opt attach.ViewOptions, noStop, noCopy string) error {
	p, ok := s.Target.(attach.Stoppable)
	if !ok || opt.Kind != attach.Snapshot {
		return nil
	}
	cost, err := p.SnapshotCost(opt)
	if err != nil {
		return viewError(err)
	}
	what := "a snapshot of " + shortBytes(cost.Bytes)
	if opt.Bulk {
		what = "a copy of all memory, " + shortBytes(cost.Bytes) + ","
	}
	if cost.Stop > opt.MaxStop {
		precopy := ""
		if opt.Bulk && !opt.Precopy {
			precopy = "have most of it copied while the process runs (--precopy)"
		}
		return Refused(fmt.Errorf("%s would stop %s for about %s, its limit is %s; %s",
			what, s.Target.Describe(), shortDuration(cost.Stop), shortDuration(opt.MaxStop),
			oneOf(fmt.Sprintf("allow it (--max-stop %s)", roundUp(cost.Stop*3/2)), precopy, noStop)))
	}
	// The script needs some room beside the copy, which it reads in place.
	if need := cost.Bytes + cost.Bytes/8; cost.Available > 0 && need > cost.Available {
		if opt.Spool != "" {
			return Refused(fmt.Errorf("%s needs %s on the disk of %s (--spool), and %s are left there; %s",
				what, shortBytes(need), opt.Spool, shortBytes(cost.Available), oneOf("name a folder on another disk", noCopy)))
		}
		spool := ""
		if opt.Bulk {
			spool = "keep the copy on a disk (--spool FOLDER)"
		}
		return Refused(fmt.Errorf("%s needs %s of memory here, and %s are left; %s",
			what, shortBytes(need), shortBytes(cost.Available), oneOf(spool, noCopy)))
	}
	return nil
}

// oneOf lists what would help: "a, b, or c". Empty ones are left out.
func oneOf(ways ...string) string {
	ways = slices.DeleteFunc(ways, func(w string) bool { return w == "" })
	if n := len(ways); n > 1 {
		return strings.Join(ways[:n-1], ", ") + ", or " + ways[n-1]
	}
	return strings.Join(ways, "")
}
