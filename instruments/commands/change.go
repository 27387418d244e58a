package commands

import (
	"context"
	"errors"
	"fmt"

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
	if files, only := entry.Files(); only {
		return undoFiles(ctx, out, entry, look)
	} else if len(files) > 0 {
		return rows.Refused(fmt.Errorf("transaction %d changed memory and files together, and that isn't taken back at "+
			"once: %s has what was there (ri log %d)", number, path, number))
	}
	if err := stillThere(entry); err != nil {
		return rows.Refused(err)
	}
	choice := looks.TargetChoice{PID: fmt.Sprint(entry.PID)}
	return changeAndTell(ctx, out, "undo", look, choice, func(space *values.Space, mappings []attach.Mapping,
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
func undoFiles(ctx context.Context, out *rows.Output, entry *change.Entry, look looks.Options) error {
	plan, err := change.UndoOfFiles(entry, func(path string, before, after []byte) func() error {
		return outside.Restore(path, before, after).Do
	})
	if err != nil {
		return rows.Refused(err)
	}
	report := &rows.TransactionReport{Comment: plan.Comment, DryRun: look.DryRun, State: "not made", Undoable: true}
	for _, a := range plan.Actions {
		report.Changes = append(report.Changes, rows.Of("path", a.Text))
	}
	res := &rows.Result{Recipe: "undo", Columns: rows.ChangeColumns, Rows: report.Changes, Transaction: report,
		Target: rows.Program{Kind: "files"}}
	if look.DryRun {
		return out.Conclude(res)
	}
	j, path, err := look.Agreed(ctx, "files", report, look.Yes)
	if err != nil {
		return err
	}
	defer j.Close()
	who := change.WhoAmI()
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
	return out.Conclude(res)
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
	s, p, err := looks.Explore(name, how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	res, err := s.Change(ctx, p, out, work)
	if err != nil {
		return err
	}
	return out.Conclude(res)
}
