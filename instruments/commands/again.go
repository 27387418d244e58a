package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// changeColumn says what became of a row since the look before: + it is new, ~ it changed.
var changeColumn = rows.Column{Name: "change", Help: "since the look before: + new, ~ changed", Optional: true}

// CheckAgain says what is wrong with looking again and again, before anybody looks. Errors: rows.ErrUsage.
func CheckAgain(out *rows.Output, plan *looks.Plan, choice looks.TargetChoice, interval time.Duration) error {
	switch {
	case interval < 100*time.Millisecond:
		return rows.Usagef("--watch %s: must be 100ms or more: each look stops the process", interval)
	case choice.PID == "" && choice.Given():
		return rows.Usagef("--watch: %s doesn't change", choice.Still())
	case plan.Traces():
		return rows.Usagef("--watch: recipe %s shows what passes by as it comes", plan.Recipe.Name)
	case plan.Recipe.Mode == recipes.Write:
		return rows.Usagef("--watch: recipe %s changes its target; only looks are made again", plan.Recipe.Name)
	case out.Format == rows.JSON:
		return rows.Usagef("--json is one document, which needs an end: --watch goes with a table or --ndjson")
	case out.Temp != nil:
		return rows.Usagef("-o FILE appears when all is done, and --watch has no end; write to a pipe")
	}
	return nil
}

// Again looks every interval, until ctx ends it. On a terminal the table is refreshed in place; elsewhere each look is
// a table under its time, or as NDJSON its rows with it. Rows that are new or have changed since the look before are
// marked: rows are told apart by their key columns, and without any by all that is in them.
func Again(ctx context.Context, out *rows.Output, interval time.Duration,
	look func(context.Context) (*rows.Result, error)) error {
	w := &watching{screen: screen{out: out}}
	defer w.leave()
	ctx, end := w.quits(ctx)
	defer end()
	next := time.Now()
	for n, failed := 0, 0; ; n++ {
		if n > 0 {
			var err error
			if next, err = waitUntil(ctx, next.Add(interval)); err != nil {
				return w.ended(err)
			}
		}
		res, err := look(ctx)
		switch why := missed(err, res); {
		case why != "" && n > 0 && failed < maxMissed && context.Cause(ctx) == nil:
			if failed++; !w.on {
				out.Log("a look was missed: " + why)
			}
			continue
		case err != nil:
			return w.ended(err)
		case res.Err != nil || len(res.Partial) > 0:
			w.leave()
			return out.Conclude(res)
		}
		failed = 0
		if err := w.show(res); err != nil {
			return err
		}
		if out.Unread() {
			return nil
		}
	}
}

// watching is what Again shows.
type watching struct {
	screen
	before []rows.Row
	any    bool // there was a look before
}

// ended leaves the terminal.
func (w *watching) ended(err error) error {
	w.leave()
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// show shows a look.
func (w *watching) show(res *rows.Result) error {
	if err := w.out.Arrange.Apply(res); err != nil {
		return err
	}
	marked, what := w.mark(res)
	w.before, w.any = res.Rows, true
	columns := append([]rows.Column{changeColumn}, res.Columns...)
	if w.out.Format == rows.NDJSON {
		for i, row := range marked {
			marked[i] = append(rows.Of("time", res.Time), row...)
		}
		return w.write(append([]rows.Column{{Name: "time", Type: rows.ColumnTime}}, columns...), marked)
	}
	head := fmt.Sprintf("%s  %s  %s  %s", res.Time.Format("15:04:05"), res.Recipe, what, res.Cost())
	style, height, ok := w.room()
	var body strings.Builder
	if ok && len(marked) > height-3 {
		head += fmt.Sprintf("  (the first %d: --sort, --limit)", height-3)
		marked = marked[:height-3]
	}
	for _, line := range res.Printed {
		body.WriteString(line.Text + "\n")
	}
	if len(marked) > 0 {
		if _, err := rows.WriteTable(&body, columns, marked, style); err != nil {
			return err
		}
	}
	for _, f := range res.Findings {
		fmt.Fprintf(&body, "%s: %s\n", f.Severity, f.What)
	}
	if ok {
		return w.draw(head, body.String(), style)
	}
	return w.out.WriteText(head + "\n" + body.String() + "\n")
}

// write writes rows that are arranged already.
func (w *watching) write(columns []rows.Column, list []rows.Row) error {
	arrange := w.out.Arrange
	defer func() { w.out.Arrange = arrange }()
	w.out.Arrange = nil
	return w.out.WriteRows(columns, list)
}

// mark gives the rows with what became of each, and counts it.
func (w *watching) mark(res *rows.Result) (marked []rows.Row, what string) {
	keyed := len(rows.Keys(res.Columns)) > 0
	all := func(r rows.Row) string { return string(rows.AppendJSON(nil, r)) }
	key := func(r rows.Row) string {
		if keyed {
			return r.Key(res.Columns)
		}
		return all(r)
	}
	added, changed, gone := 0, 0, 0
	for _, p := range rows.Compare(w.before, res.Rows, key) {
		if p.After == nil {
			gone++
			continue
		}
		var mark any
		switch {
		case !w.any:
		case p.Before == nil:
			mark = "+"
			added++
		case all(*p.Before) != all(*p.After):
			mark = "~"
			changed++
		}
		marked = append(marked, append(rows.Of(changeColumn.Name, mark), *p.After...))
	}
	what = rows.Plural(int64(len(marked)), "row")
	if w.any {
		what += fmt.Sprintf(": %d new, %d changed, %d gone", added, changed, gone)
	}
	return marked, what
}
