package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ri/attach"
	"ri/attach/process"
	"ri/change"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/outside"
	"ri/values"
)

// Set changes what an expression stands for. was is the value that it must have now, nil if any will do.
func Set(ctx context.Context, out *rows.Output, expr, value string, was *string, look looks.Options,
	choice looks.TargetChoice) error {
	if err := look.Allowed("ri set"); err != nil {
		return err
	}
	return changeAndTell(ctx, out, "set", look, choice, func(space *values.Space, mappings []attach.Mapping,
		_ string) (*change.Plan, error) {
		plan, err := change.NewPlan(space, mappings, "set "+expr+" "+value)
		if err != nil {
			return nil, err
		}
		at, err := plan.At(expr)
		if err != nil {
			return nil, err
		}
		if was != nil {
			expected, err := plan.Parse(at, *was)
			if err != nil {
				return nil, fmt.Errorf("--was: %w", err)
			}
			if err := plan.Wait(at, expected); err != nil {
				return nil, err
			}
		}
		to, err := plan.Parse(at, value)
		if err != nil {
			return nil, err
		}
		return plan, plan.Update(at, to)
	})
}

// Undo takes a transaction of the journal back.
func Undo(ctx context.Context, out *rows.Output, number int64, force bool, look looks.Options) error {
	if err := look.Allowed("ri undo"); err != nil {
		return err
	}
	path, err := look.JournalPath()
	if err != nil {
		return rows.Refused(err)
	}
	j, err := change.ReadJournal(path)
	if err != nil {
		return rows.Refused(err)
	}
	entry, err := j.Entry(number)
	if err != nil {
		return rows.Refused(err)
	}
	if _, only := entry.Files(); !only {
		if err := stillThere(entry); err != nil {
			return rows.Refused(err)
		}
	}
	res, err := undo(ctx, out, entry, path, force, look)
	if err != nil {
		return err
	}
	return out.Conclude(res)
}

// UndoLabelled takes back, one after the other, what a journal has of a process under a label. What isn't there, or was
// taken back before, is none of it, and then nothing is done.
func UndoLabelled(ctx context.Context, out *rows.Output, label string, force bool, look looks.Options,
	choice looks.TargetChoice) error {
	if err := look.Allowed("ri undo"); err != nil {
		return err
	}
	if err := choice.Need(); err != nil {
		return err
	}
	path, err := look.JournalPath()
	if err != nil {
		return rows.Refused(err)
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	target, ok := s.Target.(change.Target)
	pid, identity := s.Target.PID(), ""
	if ok {
		identity = target.Identity()
	}
	s.Close()
	j, err := change.ReadJournal(path)
	if err != nil {
		return rows.Refused(err)
	}
	entries := j.Labelled(label, identity)
	if len(entries) == 0 {
		out.Log(fmt.Sprintf("nothing to undo: the journal %s has nothing labelled %s of process %d that wasn't taken back",
			path, rows.QuoteName(label), pid))
		return nil
	}
	var all *rows.Result
	for i, e := range entries {
		// Of a place that several changed, what the last undo would have left isn't there in a dry run.
		force := force || look.DryRun && slices.ContainsFunc(entries[:i], e.Meets)
		res, err := undo(ctx, out, e, path, force, look)
		switch {
		case err != nil && all == nil:
			return err
		case err != nil:
			all.Err = err
		case all == nil:
			all = res
		default:
			all.Log = append(all.Log, fmt.Sprintf("transaction %d %s", all.Transaction.Number, all.Transaction.State))
			all.Rows, all.Notes = append(all.Rows, res.Rows...), append(all.Notes, res.Notes...)
			all.Stats.Add(res.Stats)
			all.Transaction, all.Err = res.Transaction, res.Err
		}
		if all.Err != nil {
			break
		}
	}
	return out.Conclude(all)
}

// undo takes back a transaction, of a process that is there or of files.
func undo(ctx context.Context, out *rows.Output, entry *change.Entry, path string, force bool,
	look looks.Options) (*rows.Result, error) {
	number := entry.Number
	if files, only := entry.Files(); only {
		return undoFiles(ctx, entry, look)
	} else if len(files) > 0 {
		return nil, rows.Refused(fmt.Errorf("transaction %d changed memory and files together, and that isn't taken back at "+
			"once: %s has what was there (ri log %d)", number, path, number))
	}
	choice := looks.TargetChoice{PID: fmt.Sprint(entry.PID)}
	return made(ctx, out, "undo", look, choice, func(space *values.Space, mappings []attach.Mapping,
		identity string) (*change.Plan, error) {
		plan, err := change.Undo(space, mappings, entry, identity, force)
		if err == nil && len(plan.Changes) == 0 {
			err = fmt.Errorf("all that transaction %d changed is as it was before: there is nothing to undo: %w", number,
				change.ErrRefused)
		}
		return plan, err
	})
}

// undoFiles puts back what a transaction replaced, if it is still what the transaction made it. It needs no process.
func undoFiles(ctx context.Context, entry *change.Entry, look looks.Options) (*rows.Result, error) {
	plan, err := change.UndoOfFiles(entry, func(path string, before, after []byte) func() error {
		return outside.Restore(path, before, after).Do
	})
	if err != nil {
		return nil, rows.Refused(err)
	}
	report := &rows.TransactionReport{Comment: plan.Comment, DryRun: look.DryRun, State: "not made", Undoable: true}
	for _, a := range plan.Actions {
		report.Changes = append(report.Changes, rows.Of("path", a.Text))
	}
	res := &rows.Result{Recipe: "undo", Columns: rows.ChangeColumns, Rows: report.Changes, Transaction: report,
		Target: rows.Program{Kind: "files"}}
	if look.DryRun {
		return res, nil
	}
	j, path, err := look.Agreed(ctx, "files", report, look.Yes)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	who := change.WhoAmI()
	who.Label = look.Label
	who.PID, who.Started, who.Identity, who.Executable = entry.PID, entry.Started, entry.Identity, entry.Executable
	outcome, err := change.Act(plan, j, who)
	report.Number, report.Journal, report.State, report.Made = outcome.Number, path, string(outcome.State),
		outcome.State == change.Committed
	if errors.Is(err, outside.ErrChanged) {
		err = fmt.Errorf("%w: %w", err, change.ErrConflict)
	}
	res.Err = err
	if outcome.Warning != "" {
		res.Err = errors.Join(res.Err, errors.New(outcome.Warning))
	}
	return res, nil
}

// stillThere refuses an undo in a process that has ended, whether or not another has its pid now.
func stillThere(e *change.Entry) error {
	t, err := process.Open(e.PID)
	if err == nil {
		defer t.Close()
	}
	p, ok := t.(change.Target)
	gone := errors.Is(err, attach.ErrNoProcess) || errors.Is(err, attach.ErrExited) || errors.Is(err, attach.ErrZombie)
	if gone || ok && p.Identity() != e.Identity {
		return fmt.Errorf("transaction %d changed pid %d (%s) on %s, started %s, and that process has ended or is on "+
			"another machine: memory is gone with its process, so there is nothing to undo here",
			e.Number, e.PID, e.Executable, e.Host, timeText(e.Started))
	}
	return nil
}

// changeAndTell opens a process, changes it, and tells what became of it.
func changeAndTell(ctx context.Context, out *rows.Output, name string, how looks.Options, choice looks.TargetChoice,
	work looks.Work) error {
	res, err := made(ctx, out, name, how, choice, work)
	if err != nil {
		return err
	}
	return out.Conclude(res)
}

// made opens a process, changes it, and gives what became of it.
func made(ctx context.Context, out *rows.Output, name string, how looks.Options, choice looks.TargetChoice,
	work looks.Work) (*rows.Result, error) {
	s, p, err := looks.Explore(name, how, choice)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Change(ctx, p, out, work)
}
