package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ri/fleet"
	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// changeColumns are those of changes of many: what became of each target that was asked.
var changeColumns = []rows.Column{{Name: "host", Key: rows.KeyPart}, {Name: "target", Key: rows.KeyPart},
	{Name: "result"}, {Name: "path", Optional: true}, {Name: "before", Optional: true}, {Name: "after", Optional: true},
	{Name: "type", Hidden: true}, {Name: "addr", Hidden: true}, {Name: "why", Optional: true}}

// changing is what is said of a target that a question changed, "" where targets give rows of their own.
func changing(q *fleet.Question) string {
	name := ""
	if len(q.Command) == 1 {
		name = q.Command[0]
	}
	switch {
	case name != "set" && name != "undo":
		return ""
	case q.DryRun:
		return "would change"
	case name == "undo":
		return "undone"
	}
	return "changed"
}

// agree has a person agree to a change of many, if there is one to be asked.
func agree(a *fleet.Asker, look looks.Options) {
	if look.Yes || look.Ask == nil {
		return
	}
	a.Agree = func(ctx context.Context, what, where string) error {
		report := &rows.TransactionReport{Changes: []rows.Row{rows.Of("path", "ri fleet "+what)}}
		yes, err := look.Ask.MayChange(ctx, where, report)
		if err == nil && !yes {
			err = rows.Refused(errors.New("not confirmed; nothing was changed"))
		}
		return err
	}
}

// FleetMayRun refuses a recipe that changes something unless that is allowed, before anybody is asked. What isn't known
// here agents may know.
func FleetMayRun(c *recipes.Catalogue, name string, look looks.Options) error {
	recipe, err := recipes.FindRecipe(c, name)
	if err != nil || recipe.Mode != recipes.Write {
		return nil
	}
	return look.Allowed("recipe " + recipe.Name)
}

// FleetUndo takes back what a run has changed, each target by its own journal.
func FleetUndo(ctx context.Context, out *rows.Output, a *fleet.Asker, run string, force bool, q *fleet.Question,
	look looks.Options) error {
	back, err := a.Undo(ctx, run, force)
	if err != nil {
		return err
	}
	q.Command, q.Flags, q.Undoes, q.Only = back.Command, back.Flags, back.Undoes, back.Only
	return FleetAsk(ctx, out, a, q, nil, look)
}

// settle tells what became of a target whose changes were held until it ended.
func (g *gathered) settle(o *fleet.Outcome) {
	if g.changes == "" || o.State == fleet.NotAsked { // of all of those there is one reason
		return
	}
	held := slices.DeleteFunc(g.held[o], func(r rows.Row) bool {
		after, _ := r.Get("after")
		return after == rows.ExpectedText // it was only to be what it is
	})
	delete(g.held, o)
	if len(held) == 0 {
		held = []rows.Row{{}}
	}
	for _, r := range held {
		before, changed := r.Get("before")
		after, _ := r.Get("after")
		result, why := g.changes, any(nil)
		switch {
		case o.Conflicts():
			result, why = "conflict", o.Why
		case o.State != fleet.Answered:
			result, why = o.State, o.Why
		case !changed && g.changes == "undone":
			result, why = "nothing", "it wasn't changed, or was undone before"
		case before == after:
			result = "as it is"
		}
		if g.stream != nil && !changed && o.State != fleet.Answered {
			continue // $target says it
		}
		named := rows.Of("host", o.Host, "target", o.Target, "result", result)
		for _, c := range r {
			if c.Name != "since" || result == g.changes {
				named = append(named, c)
			}
		}
		g.add(append(named, rows.Cell{Name: "why", Value: why}))
	}
}

// hint says how what was changed is taken back.
func (g *gathered) hint(q *fleet.Question, report *fleet.Report) {
	maybe := slices.ContainsFunc(report.Outcomes, func(o *fleet.Outcome) bool {
		return o.State == fleet.Answered && (o.Rows > 0 || g.changes == "") || o.State == fleet.TimedOut
	})
	if q.Write && maybe && !g.out.Quiet {
		fmt.Fprintln(g.out.Stderr, inert.Line(fmt.Sprintf("ri fleet undo %.8s --write takes it back", report.Run)))
	}
}
