package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"ri/change"
	"ri/fleet"
	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/serve/request"
)

// FleetQuestion completes what a command line asks of many.
func FleetQuestion(q *fleet.Question) error {
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	q.Folder = folder
	for _, name := range request.Environment {
		if value, set := os.LookupEnv(name); set && name != "TERM" && name != "COLUMNS" && name != "LINES" {
			q.Env = append(q.Env, name+"="+value)
		}
	}
	return nil
}

// FleetColumns are the columns that a recipe has here, as far as it is known here; agents may have others.
func FleetColumns(c *recipes.Catalogue, name string) []rows.Column {
	recipe, err := recipes.FindRecipe(c, name)
	if err != nil {
		return nil
	}
	script, err := recipe.Script(c)
	if err != nil {
		return nil
	}
	return recipes.HeaderOf(script).Columns
}

// fleetColumns name the target of a row.
var fleetColumns = []rows.Column{{Name: "host", Key: rows.KeyPart}, {Name: "target", Key: rows.KeyPart}}

// gathered is what many have answered.
type gathered struct {
	out     *rows.Output
	columns []rows.Column
	stream  *rows.Stream // nil: all is shown at the end
	result  *rows.Result
	ended   int64
	failed  error
	// changes is what becomes of a target that is changed, which its rows say; "": they are an answer.
	changes string
	keep    string                        // the folder of files that targets make
	held    map[*fleet.Outcome][]rows.Row // of changes, until it is known what became of them
}

// FleetAsk asks many, and shows what they answer: rows with a host and a target, as they come (NDJSON) or at the end.
func FleetAsk(ctx context.Context, out *rows.Output, a *fleet.Asker, q *fleet.Question, columns []rows.Column,
	look looks.Options) error {
	all := slices.Concat(fleetColumns, columns)
	g := &gathered{out: out, changes: changing(q), held: map[*fleet.Outcome][]rows.Row{},
		keep: q.Keep}
	if g.changes != "" {
		all = changeColumns
	}
	g.columns, g.result = all, &rows.Result{Columns: all}
	agree(a, look)
	if len(columns) > 0 {
		if err := out.Arrange.Check(all); err != nil {
			return err
		}
	}
	arrange := out.Arrange
	if out.Format == rows.NDJSON && len(arrange.Sort)+len(arrange.Group) == 0 && arrange.Limit == 0 {
		g.stream = out.NewStream(all)
	}
	if os.Getenv("GOGC") == "" { // thousands of hosts are read at once, and then what they answer passes through
		defer debug.SetGCPercent(debug.SetGCPercent(askGCPercent))
	}
	report, err := a.Ask(ctx, q, g.take)
	if report == nil {
		return err
	}
	if err == nil {
		err = g.show(report)
	}
	fmt.Fprintln(out.Stderr, report.Text()) // whatever else isn't said
	g.explain(report)
	g.hint(q, report)
	switch totals := report.Totals(); {
	case err != nil:
		return err
	case g.failed != nil:
		return g.failed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case slices.ContainsFunc(report.Outcomes, (*fleet.Outcome).Conflicts):
		return rows.Said(change.ErrConflict)
	case totals[fleet.Answered] < int64(len(report.Outcomes)) || g.partial(report):
		return rows.Said(rows.ErrPartial)
	case len(g.result.Findings) > 0:
		return rows.Said(rows.ErrFound)
	}
	return nil
}

func (g *gathered) partial(report *fleet.Report) bool {
	return slices.ContainsFunc(report.Outcomes, (*fleet.Outcome).Partial)
}

// take is told of one row after the other.
func (g *gathered) take(o *fleet.Outcome, row rows.Row) {
	if row == nil {
		g.ended++
		g.settle(o)
		g.out.Progress(g.ended, 0, "targets have ended")
		if g.stream != nil && o.State != fleet.Answered {
			g.note(g.out.WriteOne(rows.Row{{Name: "$target", Value: o.Row()}}))
		}
		return
	}
	if f, ok := row[0].Value.(rows.Row); ok && row[0].Name == fleet.FindingCell {
		g.result.Findings = append(g.result.Findings, finding(o, f))
		if g.stream != nil {
			g.note(g.out.WriteOne(o.Named(row)))
		}
		return
	}
	if g.changes != "" {
		g.held[o] = append(g.held[o], row)
		return
	}
	named := o.Named(row)
	for i, c := range named {
		if g.keep != "" && c.Name == "file" { // its agent calls it otherwise
			c.Value = filepath.Join(g.keep, o.File)
		}
		named[i] = c.Typed(g.columns)
	}
	g.add(named)
}

func (g *gathered) add(row rows.Row) {
	if g.stream != nil {
		g.note(g.stream.Row(row))
		return
	}
	g.result.Rows = append(g.result.Rows, row)
}

func (g *gathered) note(err error) {
	if g.failed == nil {
		g.failed = err
	}
}

// finding is one of a target among those of others.
func finding(o *fleet.Outcome, f rows.Row) rows.Finding {
	out := rows.Finding{Severity: rows.Warning, Where: o.Host + " " + o.Target}
	for _, c := range f {
		text, _ := c.Value.(string)
		switch c.Name {
		case "severity":
			out.Severity = rows.Severity(text)
		case "what":
			out.What = text
		case "where":
			if text != "" {
				out.Where += ": " + text
			}
		case "next":
			out.Next = text
		case "evidence":
			list, _ := c.Value.([]any)
			for _, e := range list {
				out.Evidence = append(out.Evidence, rows.CellText(e))
			}
		default:
			out.Extra = append(out.Extra, c)
		}
	}
	out.Extra = append(rows.Of("host", o.Host, "target", o.Target), out.Extra...)
	return out
}

// show writes what was gathered.
func (g *gathered) show(report *fleet.Report) error {
	totals := rows.Row{}
	for _, state := range fleet.Endings {
		totals = append(totals, rows.Cell{Name: strings.ReplaceAll(state, " ", "_"), Value: report.Totals()[state]})
	}
	totals = append(rows.Of("run", report.Run, "targets", int64(len(report.Outcomes))), totals...)
	totals = append(totals, rows.Cell{Name: "stopped", Value: report.Stopped()})
	arrange := g.out.Arrange
	var err error
	switch {
	case g.stream != nil:
		if err = g.stream.End(nil); err == nil {
			err = g.out.WriteOne(rows.Row{{Name: "$totals", Value: totals}})
		}
	case g.out.Format == rows.JSON:
		if err = arrange.Apply(g.result); err != nil {
			return err
		}
		if n := int64(len(report.Outcomes)) - report.Totals()[fleet.Answered]; n > 0 {
			g.result.Partial = append(g.result.Partial, fmt.Sprintf("%d of %s did not answer", n,
				rows.Plural(int64(len(report.Outcomes)), "target")))
		}
		targets := []any{}
		for _, o := range report.Outcomes {
			targets = append(targets, o.Row())
		}
		err = g.out.WriteResultAnd(g.result, rows.Of("totals", totals, "targets", targets))
	default:
		if err = arrange.Apply(g.result); err != nil {
			return err
		}
		if g.changes != "" {
			err = g.out.WriteAdvice(g.result.Columns, g.result.Rows)
		} else if len(g.result.Rows)+len(g.result.Findings) > 0 {
			g.result.FindingsFirst = len(g.result.Findings) > 0
			err = g.out.WriteResult(g.result)
		}
	}
	if err != nil {
		return err
	}
	return g.out.Commit()
}

const askGCPercent = 300

// mostReasons is how many reasons are told of why targets didn't answer; JSON has all.
const mostReasons = 20

// explain says of those that didn't answer why, those of one reason together.
func (g *gathered) explain(report *fleet.Report) {
	if g.out.Quiet {
		return
	}
	told := g.changes != "" && g.out.Format == rows.Table // by rows
	count, example := map[string]int{}, map[string]*fleet.Outcome{}
	var reasons []string
	for _, o := range report.Outcomes {
		if o.State == fleet.Answered || told && o.State != fleet.NotAsked {
			continue
		}
		reason := o.Reason()
		if count[reason]++; count[reason] == 1 {
			reasons = append(reasons, reason)
			example[reason] = o
		}
	}
	for i, reason := range reasons {
		if i == mostReasons {
			fmt.Fprintf(g.out.Stderr, "and %d other reasons (--json has all)\n", len(reasons)-i)
			return
		}
		o := example[reason]
		more := ""
		if n := count[reason] - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintln(g.out.Stderr, inert.Line(fmt.Sprintf("%s %s%s %s: %s", o.Host, o.Target, more, o.State, o.Why)))
	}
}
