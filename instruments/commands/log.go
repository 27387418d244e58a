package commands

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/attach/process"
	"ri/change"
	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

// ShowLog writes the journal: a line a transaction; with detail 1 what each changed, with 2 the values too.
func ShowLog(ctx context.Context, out *rows.Output, detail int, look looks.Options) error {
	path, err := look.JournalPath()
	if err != nil {
		return rows.Refused(err)
	}
	j, err := change.ReadJournal(path)
	if err != nil {
		return rows.Refused(err)
	}
	if damage := j.Damage(); damage != "" {
		fmt.Fprintf(out.Stderr, "ri: warning: %s\n", damage)
	}
	entries := j.Entries()
	if out.Format != rows.Table {
		var rows []rows.Row
		for _, e := range entries {
			rows = append(rows, entryRow(e, today(ctx, e)))
		}
		return errors.Join(out.WriteRows(nil, rows), out.Commit())
	}
	if len(entries) == 0 {
		if !out.Quiet {
			fmt.Fprintf(out.Stderr, "no transactions in %s\n", path)
		}
		return nil
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d  %s  %s", e.Number, timeText(e.Date), inert.Line(e.Plan.Comment))
		if e.State != change.Committed {
			fmt.Fprintf(&b, "  (%s)", stateText(e))
		}
		b.WriteByte('\n')
		if said := today(ctx, e); said != "" {
			fmt.Fprintf(&b, "    %s\n", inert.Line(said))
		}
		if detail > 0 {
			writeDetail(&b, e, detail)
		}
	}
	if err := out.WriteText(b.String()); err != nil {
		return err
	}
	return out.Commit()
}

func stateText(e *change.Entry) string {
	s := string(e.State)
	if e.State == change.Begun {
		s = "unknown: its outcome was not written"
	}
	if e.Reason != "" {
		s += ": " + inert.Line(e.Reason)
	}
	return s
}

// writeDetail says who, where and what.
func writeDetail(b *strings.Builder, e *change.Entry, detail int) {
	fmt.Fprintf(b, "    %s@%s: %s\n", inert.Line(e.User), inert.Line(e.Host), inert.Line(e.Command))
	fmt.Fprintf(b, "    pid %d (%s), started %s\n", e.PID, inert.Line(e.Executable), timeText(e.Started))
	if e.Label != "" {
		fmt.Fprintf(b, "    label %s\n", inert.Line(e.Label))
	}
	for _, c := range e.Plan.Changes {
		switch {
		case c.Type == change.FileType:
			fmt.Fprintf(b, "    replace %s: %s -> %s\n", inert.Line(c.Path), inert.Line(c.BeforeText), inert.Line(c.AfterText))
		case c.Type == change.ActionType:
			fmt.Fprintf(b, "    %s\n", inert.Line(c.Path))
		case detail == 1:
			fmt.Fprintf(b, "    %s %s\n", c.Operation, inert.Line(c.Path))
		case c.Operation == change.Wait:
			fmt.Fprintf(b, "    %s %s: is %s\n", c.Operation, inert.Line(c.Path), inert.Line(c.BeforeText))
		default:
			fmt.Fprintf(b, "    %s %s: %s -> %s (%s at %#x)\n", c.Operation, inert.Line(c.Path), inert.Line(c.BeforeText),
				inert.Line(c.AfterText), inert.Line(c.Type), c.Addr)
		}
		if c.Overwritten != "" {
			fmt.Fprintf(b, "        the program has since made it %s\n", inert.Line(c.Overwritten))
		}
	}
}

// today says of a transaction without an outcome what memory says; "" for all others.
func today(ctx context.Context, e *change.Entry) string {
	if e.State != change.Begun && e.State != change.Unknown {
		return ""
	}
	t, err := process.Open(e.PID)
	if err != nil {
		return e.Today(nil)
	}
	defer t.Close()
	if p, ok := t.(change.Target); !ok || p.Identity() != e.Identity {
		return e.Today(nil)
	}
	view, err := t.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return "memory can't be read: " + err.Error()
	}
	defer view.Close()
	return e.Today(view)
}

func entryRow(e *change.Entry, said string) rows.Row {
	params := rows.Row{}
	for name, v := range e.Parameters {
		params = append(params, rows.Cell{Name: name, Value: v})
	}
	slices.SortFunc(params, func(a, b rows.Cell) int { return strings.Compare(a.Name, b.Name) })
	changes := []any{}
	for _, c := range e.Plan.Changes {
		pointers := []any{}
		for _, w := range c.Words {
			pointers = append(pointers, rows.Of("addr", rows.AddressCell(w.Addr), "bytes", hex.EncodeToString(w.Bytes)))
		}
		changes = append(changes, rows.Of("operation", string(c.Operation), "path", c.Path, "type", c.Type,
			"addr", rows.AddressCell(c.Addr), "before", c.BeforeText, "after", c.AfterText,
			"before_bytes", hex.EncodeToString(c.Before), "after_bytes", hex.EncodeToString(c.After), "pointers", pointers,
			"overwritten", orNil(c.Overwritten)))
	}
	state := e.State
	if state == change.Begun {
		state = change.Unknown
	}
	var undoes any
	if e.Plan.Undoes > 0 {
		undoes = e.Plan.Undoes
	}
	return rows.Of("number", e.Number, "date", e.Date.UTC().Format("2006-01-02T15:04:05.000Z"),
		"comment", e.Plan.Comment, "label", orNil(e.Label), "state", string(state), "reason", orNil(e.Reason),
		"today", orNil(said), "undoes", undoes, "user", orNil(e.User), "host", orNil(e.Host), "command", orNil(e.Command),
		"recipe", orNil(e.Recipe), "params", params, "pid", int64(e.PID),
		"started", e.Started.UTC().Format("2006-01-02T15:04:05.000Z"), "executable", orNil(e.Executable),
		"build_id", orNil(e.BuildID), "changes", changes)
}

// CompactLog writes the journal anew.
func CompactLog(out *rows.Output, look looks.Options) error {
	j, err := openJournal(out, look)
	if err != nil {
		return err
	}
	defer j.Close()
	before, after, err := j.Compact()
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Stderr, "%s: %s, was %s\n", j.Path(), rows.ShortBytes(after), rows.ShortBytes(before))
	return nil
}

// TruncateLog forgets all transactions up to a number, if whoever can be asked agrees.
func TruncateLog(ctx context.Context, out *rows.Output, upTo int64, look looks.Options) error {
	path, err := look.JournalPath()
	if err != nil {
		return rows.Refused(err)
	}
	had, err := change.ReadJournal(path)
	if err != nil {
		return rows.Refused(err)
	}
	some, last := 0, int64(0)
	for _, e := range had.Entries() {
		if e.Number <= upTo {
			some, last = some+1, e.Number
		}
	}
	switch {
	case some == 0:
		fmt.Fprintf(out.Stderr, "nothing to forget: %s has no such transactions\n", path)
		return nil
	case look.Yes:
	case look.Ask == nil:
		return rows.Usagef("ri log truncate asks before it forgets what was changed, and there is no terminal to ask " +
			"on: say --yes")
	default:
		if yes, err := look.Ask.MayForget(ctx, path, some); err != nil || !yes {
			if err == nil {
				err = rows.Refused(errors.New("not confirmed; nothing was forgotten"))
			}
			return err
		}
	}
	j, err := openJournal(out, look)
	if err != nil {
		return err
	}
	defer j.Close()
	n, err := j.Truncate(last) // and not what came meanwhile
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Stderr, "%s forgotten\n", rows.Plural(int64(n), "transaction"))
	return nil
}

func openJournal(out *rows.Output, look looks.Options) (*change.Journal, error) {
	path, err := look.JournalPath()
	if err != nil {
		return nil, rows.Refused(err)
	}
	j, err := change.OpenJournal(path)
	if err != nil {
		return nil, rows.Refused(err)
	}
	if damage := j.Damage(); damage != "" {
		fmt.Fprintf(out.Stderr, "ri: warning: %s\n", damage)
	}
	return j, nil
}

// timeText is a moment in the journal, in local time.
func timeText(t time.Time) string { return t.Format("2006-01-02 15:04:05") }
