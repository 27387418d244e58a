package looks

import (
	"context"
	"errors"
	"fmt"

	"ri/attach"
	"ri/change"
	"ri/instruments/rows"
	"ri/values"
)

// JournalPath is the journal to use.
func (l Options) JournalPath() (string, error) {
	if l.Journal != "" {
		return l.Journal, nil
	}
	return change.DefaultJournal()
}

// Asker is asked before something is done that can't be taken back lightly.
type Asker interface {
	// MayChange tells whether the change may be made in the target, which it describes ("pid 4711 (nats-server)") and
	// which runs meanwhile. The error says why there is no answer: the cause of ctx, where that ended.
	MayChange(ctx context.Context, target string, t *rows.TransactionReport) (bool, error)
	// MayForget tells whether so many transactions may be taken out of a journal.
	MayForget(ctx context.Context, journal string, transactions int) (bool, error)
}

// Agreed has a person agree to what a report shows, unless that is done, and opens the journal that it is written into.
func (l Options) Agreed(ctx context.Context, target string, report *rows.TransactionReport, done bool) (*change.Journal,
	string, error) {
	if !done {
		if yes, err := l.Ask.MayChange(ctx, target, report); err != nil || !yes {
			if err == nil {
				err = rows.Refused(errors.New("not confirmed; nothing was changed"))
			}
			return nil, "", err
		}
	}
	path, err := l.JournalPath()
	if err != nil {
		return nil, "", rows.Refused(err)
	}
	j, err := change.OpenJournal(path)
	if err != nil {
		return nil, "", rows.Refused(fmt.Errorf("nothing was changed: %w", err))
	}
	return j, path, nil
}

func newTransactionReport(plan *change.Plan, p *Plan) *rows.TransactionReport {
	return &rows.TransactionReport{Comment: plan.Comment, DryRun: p.Look.DryRun, Changes: changeRows(plan),
		State: "not made", Undoable: undoable(plan), Perishable: plan.Perishable()}
}

// undoable tells whether ri undo can take a plan back: of what is no memory only files, by themselves.
func undoable(plan *change.Plan) bool {
	for _, a := range plan.Actions {
		if a.File == "" || len(plan.Changes) > 0 {
			return false
		}
	}
	return true
}

func changeRows(p *change.Plan) []rows.Row {
	var list []rows.Row
	for _, c := range p.Changes {
		row := rows.Of("path", c.Path, "type", c.Type, "before", c.BeforeText, "after", c.AfterText,
			"addr", rows.AddressCell(c.Addr))
		if c.Operation == change.Wait {
			row[3].Value = rows.ExpectedText
		}
		if c.Overwritten != "" {
			row = append(row, rows.Cell{Name: "since", Value: "the program has made it " + c.Overwritten})
		}
		list = append(list, row)
	}
	for _, a := range p.Actions {
		list = append(list, rows.Of("path", a.Text))
	}
	return list
}

// Allowed refuses a change that nobody allowed, before anything is looked at.
func (look Options) Allowed(what string) error {
	if look.DryRun {
		return nil
	}
	if !look.Write {
		return rows.Refused(fmt.Errorf("%s changes the target: ri only looks unless --write is given; --dry-run shows "+
			"what would be changed", what))
	}
	if !look.Yes && look.Ask == nil {
		return rows.Usagef("%s asks before it changes something, and there is no terminal to ask on: say --yes, or "+
			"--dry-run to see what would be changed", what)
	}
	return nil
}

// Work works a change out on what a look sees; identity is the process's.
type Work func(space *values.Space, mappings []attach.Mapping, identity string) (*change.Plan, error)

// Change works a change out on a snapshot of a process, commits it, and gives what became of it.
func (s *Session) Change(ctx context.Context, p *Plan, to rows.Listener, work Work) (*rows.Result, error) {
	target, err := s.changeable()
	if err != nil {
		return nil, err
	}
	mappings, err := s.Target.Mappings()
	if err != nil {
		return nil, ViewError(err)
	}
	res, err := s.transact(ctx, p, func(p *Plan) (*rows.Result, *change.Plan, error) {
		var plan *change.Plan
		var planErr error
		res, err := s.Look(ctx, p, s.Collector(p, to, nil), func(_ context.Context, look *Look, _ rows.Sink) error {
			plan, planErr = work(look.Space, mappings, target.Identity())
			return nil // an error in memory that is in motion isn't the last word: a snapshot comes
		})
		if err != nil || res.Err != nil || len(res.Partial) > 0 {
			return res, nil, err
		}
		return res, plan, changeError(planErr)
	})
	if err != nil {
		return nil, err
	}
	if res.Columns = rows.ChangeColumns; res.Transaction != nil {
		res.Rows = res.Transaction.Changes
	}
	return res, nil
}

// staleTries is how often a plan is worked out anew because collections come between it and its stop.
const staleTries = 6

// transact works a plan out, and commits it. A plan that grew stale is worked out again; if a person has agreed to
// another one meanwhile, that is a conflict. What comes of a look that was cut short is not made. All stops, those of
// looks too, take no more than the plan's MaxStop together.
func (s *Session) transact(ctx context.Context, p *Plan,
	plan func(*Plan) (*rows.Result, *change.Plan, error)) (*rows.Result, error) {
	if err := s.mayTake(p); err != nil {
		return nil, err
	}
	var agreed *change.Plan
	var cost rows.Stats
	within := *p
	for try := 1; ; try++ {
		res, next, err := plan(&within)
		if err == nil && len(res.Partial) > 0 && (p.Look.Write || p.Look.DryRun) {
			res.Transaction = &rows.TransactionReport{State: "not made, since the look was cut short", DryRun: p.Look.DryRun}
			return res, nil
		}
		if err != nil || next == nil {
			return res, err
		}
		if agreed != nil && !next.Same(agreed) {
			return nil, fmt.Errorf("what was agreed to is no longer what would be changed; nothing was changed: %w",
				change.ErrConflict)
		}
		within.MaxStop -= res.Stats.Stopped
		if err := s.commit(ctx, res, next, &within, agreed != nil); err != nil {
			return nil, err
		}
		cost.Add(res.Stats)
		res.Stats, within.MaxStop = cost, p.MaxStop-cost.Stopped
		if !errors.Is(res.Err, change.ErrStale) || try == staleTries || within.MaxStop <= 0 {
			return res, nil
		}
		agreed = next
	}
}

// mayTake refuses a change, before there is any stop, to which bringing the target to a stand takes longer than all of
// it may: of thousands of threads each has to come to its stop.
func (s *Session) mayTake(p *Plan) error {
	t, ok := s.Target.(attach.Stoppable)
	if !ok || !p.Look.Write || p.Look.DryRun {
		return nil
	}
	least := t.ChangeStop()
	if least <= p.MaxStop {
		return nil
	}
	return rows.Refused(fmt.Errorf("to bring all threads of %s to a stand for a change takes about %s, and it may be "+
		"held for %s; nothing was changed, and nothing stopped: allow it (--max-stop %s)", s.Target.Describe(),
		rows.ShortDuration(least), rows.DurationText(p.MaxStop), rows.DurationText(rows.RoundUp(2*least))))
}

// changing gives what begins a transaction for a script; nil where the run only looks.
func (s *Session) changing(p *Plan) (func(*values.Space, string) (*change.Plan, error), error) {
	if p.View == attach.Live || !p.Look.Write && !p.Look.DryRun {
		return nil, nil
	}
	if err := p.Look.Allowed("this run"); err != nil {
		return nil, err
	}
	if _, err := s.changeable(); err != nil {
		return nil, err
	}
	mappings, err := s.Target.Mappings()
	if err != nil {
		return nil, ViewError(err)
	}
	return func(space *values.Space, comment string) (*change.Plan, error) {
		return change.NewPlan(space, mappings, comment)
	}, nil
}

// changeable gives the target as one that can be changed.
func (s *Session) changeable() (change.Target, error) {
	t, ok := s.Target.(change.Target)
	if !ok {
		return nil, rows.Refused(fmt.Errorf("%s can only be looked at: changes need a running process", s.Target.Describe()))
	}
	return t, nil
}

// changeError marks the error of a change that wasn't made as a refusal, unless it says something else.
func changeError(err error) error {
	if errors.Is(err, change.ErrConflict) || errors.Is(err, change.ErrAborted) || errors.Is(err, attach.ErrExited) {
		return err
	}
	return rows.Refused(err)
}

// commit shows a plan, asks, and makes its changes; what became of it is added to the result.
func (s *Session) commit(ctx context.Context, res *rows.Result, plan *change.Plan, p *Plan, agreed bool) error {
	opt := p.Look
	report := newTransactionReport(plan, p)
	res.Transaction = report
	if s.endsHere(res, plan, p) {
		return nil
	}
	target, err := s.changeable()
	if err != nil {
		return err
	}
	j, path, err := opt.Agreed(ctx, s.Target.Describe(), report, opt.Yes || agreed)
	if err != nil {
		return err
	}
	defer j.Close()
	if damage := j.Damage(); damage != "" {
		res.Notes = append(res.Notes, damage)
	}
	outcome, err := change.Commit(ctx, target, plan, j,
		change.Options{File: s.File, Bias: s.Bias, MaxStop: p.MaxStop, Locks: commitLocks(p), Who: p.who()})
	report.Number, report.Journal, report.Waits, report.Changes = outcome.Number, path, outcome.Waits, changeRows(plan)
	if outcome.State != "" {
		report.State, report.Made = string(outcome.State), outcome.State == change.Committed
	}
	res.Stats.Add(rows.Stats(outcome.Stats))
	switch {
	case err != nil && outcome.Number > 0 && outcome.State == change.RolledBack:
		res.Err = changeError(fmt.Errorf("transaction %d was not made: %w", outcome.Number, err))
	case err != nil:
		res.Err = changeError(err)
	}
	if outcome.Warning != "" {
		res.Err = errors.Join(res.Err, errors.New(outcome.Warning))
	}
	return nil
}

// endsHere says whether there is nothing more to do about a plan, and notes why.
func (s *Session) endsHere(res *rows.Result, plan *change.Plan, p *Plan) bool {
	switch {
	case plan.Aborted != "":
		res.Err = changeError(fmt.Errorf("%w: %s", change.ErrAborted, plan.Aborted))
	case p.Look.DryRun:
	case plan.Empty():
		res.Transaction.State = "not needed: all is as it is to be"
	case p.MaxStop <= 0:
		res.Err = rows.Refused(fmt.Errorf("nothing was changed: to work the change out, %s was stopped for %s, and all "+
			"stops of a change may take no more than that together: allow longer ones (--max-stop %s)",
			s.Target.Describe(), rows.ShortDuration(res.Stats.Stopped), rows.RoundUp(3*res.Stats.Stopped)))
	default:
		return false
	}
	return true
}

// who is by whom, and by what, a change is made.
func (p *Plan) who() change.Who {
	who := change.WhoAmI()
	who.Recipe, who.Parameters, who.Label = p.Recipe.Name, map[string]string{}, p.Look.Label
	for name, v := range p.Params {
		who.Parameters[name] = fmt.Sprint(v)
	}
	return who
}

// commitLocks are those that must be free when a change is made; a person may say to go ahead all the same.
func commitLocks(p *Plan) []string {
	if p.Look.IgnoreLock {
		return nil
	}
	return p.Recipe.Locks
}

// refused marks a script's error as a refusal where a change was refused.
func refused(r *rows.Result) {
	if errors.Is(r.Err, change.ErrRefused) && !errors.Is(r.Err, change.ErrConflict) {
		r.Err = rows.Refused(r.Err)
	}
}
