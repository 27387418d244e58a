package rows

import (
	"fmt"
	"strings"

	"ri/inert"
)

// ChangeColumns is a change as a row: a diff.
var ChangeColumns = []Column{{Name: "path"}, {Name: "type"}, {Name: "before"}, {Name: "after"}, {Name: "addr"}}

// TransactionReport is what became of a change.
type TransactionReport struct {
	Number  int64 // in the journal; 0: it didn't get there
	State   string
	Comment string
	Changes []Row
	Made    bool // the target was changed
	DryRun  bool
	Journal string
	Waits   []string

	Undoable   bool // it changed memory, and did nothing else
	Perishable bool // undo is possible only until the next collection of garbage begins
}

// line says on stderr what became of a transaction.
func (t *TransactionReport) line() string {
	switch {
	case t.DryRun:
		if t.Perishable {
			return "nothing was changed (--dry-run); " + perishes
		}
		return "nothing was changed (--dry-run)"
	case t.Number == 0:
		return "no transaction: " + t.State
	}
	s := fmt.Sprintf("transaction %d %s", t.Number, t.State)
	if t.Made && t.Undoable {
		s += fmt.Sprintf("; ri undo %d takes it back", t.Number)
		if t.Perishable {
			s += ", but only until the next garbage collection begins: then nothing keeps alive what the pointer led to"
		}
	}
	if len(t.Waits) > 0 {
		s += fmt.Sprintf(" (waited: %s)", strings.Join(t.Waits[:min(len(t.Waits), 3)], ", "))
	}
	return s
}

// perishes is said of a change before it is made.
const perishes = "its undo would be possible only until the next garbage collection begins: then nothing keeps " +
	"alive what the pointer led to"

func (t *TransactionReport) row() Row {
	changes := []any{}
	for _, c := range t.Changes {
		changes = append(changes, withColumns(c, ChangeColumns))
	}
	var number any
	if t.Number > 0 {
		number = t.Number
	}
	return Row{{"number", number}, {"state", t.State}, {"comment", t.Comment}, {"dry_run", t.DryRun},
		{"journal", textOrNil(t.Journal)}, {"undo_until_collection", t.Perishable}, {"changes", changes}}
}

// Question is what is to be asked before the change is made: what would be changed, a line each, and the question
// itself. It is safe to print.
func (t *TransactionReport) Question(target string) string {
	cell := func(row Row, name string) string {
		v, _ := row.Get(name)
		return inert.Line(fmt.Sprint(v))
	}
	var b strings.Builder
	width := 0
	for _, c := range t.Changes {
		if _, whole := c.Get("type"); whole {
			width = max(width, len(cell(c, "path")))
		}
	}
	for _, c := range t.Changes {
		if _, whole := c.Get("type"); !whole {
			fmt.Fprintf(&b, "  %s\n", cell(c, "path"))
			continue
		}
		to := cell(c, "after")
		if to != ExpectedText {
			to = "-> " + to
		}
		fmt.Fprintf(&b, "  %-*s  %s  %s  %s (%s)\n", width, cell(c, "path"), cell(c, "before"), to, cell(c, "type"),
			cell(c, "addr"))
	}
	if t.Perishable {
		fmt.Fprintf(&b, "  Note: %s.\n", perishes)
	}
	fmt.Fprintf(&b, "Change this in %s?", inert.Line(target))
	return b.String()
}

// ExpectedText stands in the place of a new value where there is none: it must only be what it is.
const ExpectedText = "(expected)"
