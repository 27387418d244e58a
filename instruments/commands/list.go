package commands

import (
	"fmt"

	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// ListRecipes writes the recipes; with a target those that fit, and with all, or for programs, the rest behind them,
// with what the program lacks.
func ListRecipes(out *rows.Output, c *recipes.Catalogue, choice looks.TargetChoice, verbose, all bool) error {
	var session *looks.Session
	if choice.Given() {
		var err error
		if session, err = looks.OpenSession(choice); err != nil {
			return err
		}
		defer session.Close()
		out.Of = &rows.Result{Target: session.Info}
	}
	columns := []rows.Column{{Name: "name"}, {Name: "category"}, {Name: "title"}}
	if !verbose {
		columns = append(columns, rows.Column{Name: "from", Optional: true}) // where a recipe is none that ri brings
	}
	all = all || out.Format != rows.Table
	if session != nil && all {
		columns = append(columns, rows.Column{Name: "lacks", Cut: rows.CutPaths})
	}
	if verbose {
		columns = append(columns, rows.Column{Name: "from"}, rows.Column{Name: "overrides"})
	}
	var fit, rest []rows.Row
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil {
			out.Log(fmt.Sprintf("ri: warning: recipe %s can't be used: %v", r.Name, err))
			continue
		}
		row := rows.Of("name", r.Name, "category", recipes.HeaderOf(script).Category, "title", r.TitleOr(script.Header))
		fits := true
		if session != nil {
			lacks := recipes.ScriptLacks(session.File, script)
			fits = len(lacks) == 0
			if out.Format == rows.Table && !fits {
				lacks = []string{recipes.LacksText(lacks)}
			}
			if all {
				row = append(row, rows.Cell{Name: "lacks", Value: rows.Texts(lacks)})
			}
		}
		if !verbose && !r.BuiltIn() {
			row = append(row, rows.Cell{Name: "from", Value: r.From()})
		}
		if replaced := r.Replaced(); replaced != "" {
			out.Log("ri: warning: " + replaced)
		}
		if verbose {
			row = append(row, rows.Cell{Name: "from", Value: r.From()},
				rows.Cell{Name: "overrides", Value: recipes.Positions(r.Overrides)})
		}
		if out.Format != rows.Table {
			row = append(row, rows.Of("mode", string(r.Mode), "view", orNil(string(r.View)))...)
			if session != nil {
				row = append(row, rows.Cell{Name: "fits", Value: fits})
			}
		}
		if fits {
			fit = append(fit, row)
		} else {
			rest = append(rest, row)
		}
	}
	if all || session == nil {
		fit = append(fit, rest...)
	}
	if err := out.WriteRows(columns, fit); err != nil {
		return err
	}
	if n := int64(len(rest)); n > 0 && !all && session != nil {
		out.Log(fmt.Sprintf("%s more that the program lacks something for: --all", rows.Plural(n, "recipe")))
	}
	return out.Commit()
}
