package looks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/attach/recorded"
	"ri/change"
	"ri/instruments/host"
	"ri/instruments/rows"
)

// Run looks at the target with the plan's script, and commits what the script wants changed. The target runs again when
// Run returns, whatever the script did. What is to be said meanwhile goes to a listener; nil: nobody listens, and
// remarks are in the result.
//
// An error means that there was no look, or ctx ended it. What went wrong in the script is in the result, with the rows
// so far.
func (s *Session) Run(ctx context.Context, p *Plan, to rows.Listener) (*rows.Result, error) {
	return s.runPlan(ctx, p, to, nil)
}

// Stream is Run with the rows, and what else the script gives, handed to a sink. Where nothing is held, and nothing can
// turn out to have been in vain, they come as the script gives them: of a core, and of a live view. Otherwise they come
// when the target runs again, and all is known to be of one moment. The result has the rest, and the findings too.
func (s *Session) Stream(ctx context.Context, p *Plan, sink rows.Sink) (*rows.Result, error) {
	if p.View == attach.Live || s.Info.Kind != string(attach.Living) {
		return s.runPlan(ctx, p, sink, sink)
	}
	res, err := s.runPlan(ctx, p, sink, nil)
	if err != nil {
		return nil, err
	}
	if err := res.HandOver(sink); err != nil {
		res.Err = errors.Join(res.Err, err)
	}
	return res, nil
}

// runPlan is Run. early, if not nil, gets at once what the script gives.
func (s *Session) runPlan(ctx context.Context, p *Plan, to rows.Listener, early rows.Sink) (*rows.Result, error) {
	var h *host.Host
	end := func() {
		if h != nil {
			h.Close()
		}
		h = nil
	}
	defer end()
	changing, err := s.changing(p)
	if err != nil {
		return nil, err
	}
	res, err := s.transact(ctx, p, func(p *Plan) (*rows.Result, *change.Plan, error) {
		end()
		c := s.Collector(p, to, early)
		res, err := s.Look(ctx, p, c, func(ctx context.Context, look *Look, sink rows.Sink) error {
			if h == nil {
				opt := s.options(p, look, sink, c)
				if changing != nil {
					opt.Changing = func(comment string) (*change.Plan, error) { return changing(look.Space, comment) }
				}
				h = host.New(opt)
			}
			h.Forget()
			before := h.Values()
			defer func() { look.Values = h.Values() - before }()
			return h.Run(ctx, p.Script, p.Params)
		})
		if err != nil || h == nil || res.Err != nil || len(res.Partial) > 0 {
			if res != nil {
				refused(res)
			}
			return res, nil, err
		}
		return res, h.Transaction(), nil
	})
	if res != nil {
		res.Profile, res.Time = p.Script.ProfileValues(), time.Now()
		if replaced := p.Recipe.Replaced(); replaced != "" {
			res.Notes = append(res.Notes, replaced)
		}
	}
	if res != nil && p.Recipe.Name != execName && s.Target.Kind() == attach.Recorded &&
		errors.Is(res.Err, attach.ErrNotRecorded) && !errors.Is(res.Err, attach.ErrNotKept) {
		res.Notes = append(res.Notes, "what it reads is recorded by: ri record -p PID -o FILE "+p.words())
	}
	if p.Script.Header != nil && res != nil {
		res.Columns, res.Params = p.Script.Header.Columns, p.Params.Row(p.Script.Header)
	}
	if res != nil && res.Transaction != nil && res.Empty() && p.Script.Header == nil {
		res.Columns, res.Rows = rows.ChangeColumns, res.Transaction.Changes
	}
	return res, err
}

// options are those of the machine that runs a plan's script on a look.
func (s *Session) options(p *Plan, look *Look, sink rows.Sink, notes notes) host.Options {
	connected, _ := s.Target.(attach.Connected)
	related, elsewhere := s.neighbours(p)
	again := look.Again
	if p.Once {
		again = nil
	}
	return host.Options{
		Space:   look.Space,
		Sink:    sink,
		Folders: p.Recipe.Folders(p.catalogue),
		Limits:  p.Limits,
		Target: host.TargetInfo{PID: s.Target.PID(), Kind: s.Info.Kind, Describe: s.Target.Describe(), Ends: s.Ends,
			Looks: looksOf(s.Target)},
		Seen:        func() (attach.ViewKind, string) { return look.seenAs(p) },
		Again:       again,
		After:       p.After,
		Outside:     p.outside,
		Now:         s.Now(),
		Profile:     p.Samples,
		Bulk:        look.WantBulk,
		MayBulk:     look.MayBulk,
		NoBulk:      look.NoBulk,
		Answers:     look.Answers,
		LeaveOut:    notes.leaveOut,
		Checked:     notes.checked,
		CPU:         host.CPUSamplerOf(s.Target),
		Until:       p.Until,
		Connections: connected,
		Related:     related,
		Elsewhere:   elsewhere,
		Hits:        s.hitsOf(p, sink, notes.leaveOut),
		Usage:       usageOf(s.Target),
	}
}

// looksOf is how often a recording's process was looked at; 0 of anything else.
func looksOf(t attach.Target) int {
	if r, ok := t.(*recorded.Recording); ok {
		return r.Looks()
	}
	return 0
}

// snapshotRounds is how often a snapshot is taken with more pages before the script runs on the stopped target.
const snapshotRounds = 3

// Look looks at the target with f. If f doesn't end when its time is over, it is left where it is, and the result as it
// was.
//
// Before a stop f is rehearsed on live memory: what it needs of types, layouts and lines is compiled then, and the
// pages that it touches are what a snapshot copies. What a rehearsal gives is thrown away. So is what f gives on a
// snapshot in which it misses pages; the next round's snapshot has them too, and after a few rounds f runs on the
// stopped target.
func (s *Session) Look(ctx context.Context, p *Plan, sink *collector,
	f func(context.Context, *Look, rows.Sink) error) (*rows.Result, error) {
	look := newLook(s, p)
	sink.standing = &look.standing
	defer look.locks.close()
	look.patience = p.Look.Wait
	for round := 1; ; round++ {
		if round == 1 {
			err := s.ready(ctx, look, sink, p, f)
			if errors.Is(err, host.ErrTime) {
				return look.rehearsed(err, sink, p), nil
			}
			if err != nil {
				return nil, err
			}
		}
		runErr, ended, err := s.once(ctx, look, sink, f)
		tooMuch := context.Cause(ctx) == nil && (err != nil || ended && look.tookMuch(runErr))
		if tooMuch && look.without(cmp.Or(err, runErr)) {
			if ended {
				look.discard()
			}
			look.lacked()
			sink.clear()
			round = 0
			continue
		}
		if err != nil {
			return nil, err
		}
		if ended && (look.missed > 0 || look.lacked()) && context.Cause(ctx) == nil {
			look.wantTouched()
			look.discard()
			sink.clear()
			if round >= snapshotRounds && s.withoutRounds(look, sink, p) {
				round = 0
			}
			continue
		}
		res := look.sealed(ctx, sink, p)
		if ended {
			res.ValuesRead = look.Values
			defer look.discard() // a report takes many copies, one after the other
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		Judge(res, runErr, p, look.rehearsal.took)
		return res, nil
	}
}

// withoutRounds goes on where several copies were in vain: on a stopped target, or, where that would be for too long,
// without a copy. Then it is true, and all begins anew.
func (s *Session) withoutRounds(look *Look, sink *collector, p *Plan) bool {
	if look.rehearsal.took > tooLong*p.MaxStop && look.withoutCopy(s.restless(look, p)) {
		return true
	}
	look.Options.Kind, sink.held = attach.Stopped, true
	return false
}

// rehearsed is the result where the script's time was over before the stop: what it found until then is better than
// nothing.
func (l *Look) rehearsed(why error, sink *collector, p *Plan) *rows.Result {
	res := sink.Seal()
	res.View, res.Stats = string(attach.Live), rows.Stats(l.rehearsal.stats)
	Judge(res, why, p, l.rehearsal.took)
	return res
}

// sealed is the result of the look that counts, with what it cost.
func (l *Look) sealed(ctx context.Context, sink *collector, p *Plan) *rows.Result {
	if p.View == attach.Live {
		l.locks.readHeld(l.locks.peek(ctx))
	}
	res := sink.Seal()
	res.View, res.Stats = l.result()
	res.Notes = l.notes()
	res.Locks = l.locks.report(&res.Stats)
	return res
}

// ready rehearses f for the view that comes. The error is ErrTime where there should be no stop.
func (s *Session) ready(ctx context.Context, look *Look, sink *collector, p *Plan,
	f func(context.Context, *Look, rows.Sink) error) error {
	if s.Info.Kind != string(attach.Living) || look.Options.Kind == attach.Live {
		return nil
	}
	look.Options.Pages = nil
	if err := s.rehearseAll(ctx, look, sink, p, f); err != nil {
		if context.Cause(ctx) != nil || look.rehearsal.left || !look.withoutCopy(err) {
			return err
		}
	}
	sink.clear()
	if look.Options.Kind == attach.Snapshot && len(look.Options.Pages) == 0 && !look.Options.Bulk {
		look.Options.Kind = attach.Live // it asks about types and names only: nothing to stop for
	}
	return nil
}

// restless is why there is no copy of a program that is elsewhere at each look.
func (s *Session) restless(look *Look, p *Plan) error {
	enough := rows.RoundUp(2 * max(look.rehearsal.took, p.MaxStop))
	return fmt.Errorf("%s moves on to other memory faster than it is copied: the last of %d copies lacked %s; "+
		"allow a stop that is long enough to look in (--max-stop %s)",
		s.Target.Describe(), snapshotRounds, rows.Plural(int64(look.missed), "page"), rows.DurationText(enough))
}

// once takes a view and runs f on it. runErr is how f ended, if it did; err is why there was no view.
func (s *Session) once(ctx context.Context, look *Look, sink *collector,
	f func(context.Context, *Look, rows.Sink) error) (runErr error, ended bool, err error) {
	if err := look.affordable(s); err != nil {
		return nil, false, err
	}
	if look.Options.Kind == attach.Live && len(look.locks.reports) > 0 {
		look.locks.readHeld(look.locks.peek(ctx))
	}
	if err := look.begin(ctx); err != nil {
		return nil, false, err
	}
	defer look.end()
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan error, 1)
	go func() { finished <- host.Safely(func() error { return f(runCtx, look, sink) }) }()

	runErr, ended = look.wait(ctx, finished)
	if !ended { // the view is over, the script not yet
		cancel(runErr)
		ended = host.WaitFor(finished, host.Grace)
	}
	return runErr, ended, nil
}

// Affordable refuses a snapshot that would stop the target for longer than allowed, or need more memory than there is.
func (s *Session) Affordable(opt attach.ViewOptions) error {
	return s.AffordableOr(opt, "look without a stop (--view live)", "look without a copy (--view live or --view stopped)")
}

// AffordableOr is affordable. noStop and noCopy say what else would do; empty where nothing does but a copy.
func (s *Session) AffordableOr(opt attach.ViewOptions, noStop, noCopy string) error {
	p, ok := s.Target.(attach.Stoppable)
	if !ok || opt.Kind != attach.Snapshot {
		return nil
	}
	cost, err := p.SnapshotCost(opt)
	if err != nil {
		return ViewError(err)
	}
	what := "a snapshot of " + rows.ShortBytes(cost.Bytes)
	if opt.Bulk {
		what = "a copy of all memory, " + rows.ShortBytes(cost.Bytes) + ","
	}
	if cost.Stop > opt.MaxStop {
		precopy := ""
		if opt.Bulk && !opt.Precopy {
			precopy = "have most of it copied while the process runs (--precopy)"
		}
		return rows.Refused(fmt.Errorf("%s would stop %s for about %s, its limit is %s; %s",
			what, s.Target.Describe(), rows.ShortDuration(cost.Stop), rows.ShortDuration(opt.MaxStop),
			oneOf(fmt.Sprintf("allow it (--max-stop %s)", rows.RoundUp(cost.Stop*3/2)), precopy, noStop)))
	}
	// The script needs some room beside the copy, which it reads in place.
	if need := cost.Bytes + cost.Bytes/8; cost.Available > 0 && need > cost.Available {
		if opt.Spool != "" {
			return rows.Refused(fmt.Errorf("%s needs %s on the disk of %s (--spool), and %s are left there; %s",
				what, rows.ShortBytes(need), opt.Spool, rows.ShortBytes(cost.Available),
				oneOf("name a folder on another disk", noCopy)))
		}
		spool := ""
		if opt.Bulk {
			spool = "keep the copy on a disk (--spool FOLDER)"
		}
		return rows.Refused(fmt.Errorf("%s needs %s of memory here, and %s are left; %s",
			what, rows.ShortBytes(need), rows.ShortBytes(cost.Available), oneOf(spool, noCopy)))
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

// usageOf is what reads a process's account; nil of what is no process.
func usageOf(t attach.Target) func() (attach.Usage, error) {
	if p, ok := t.(attach.Accounted); ok {
		return p.Usage
	}
	return nil
}
