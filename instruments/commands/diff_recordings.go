package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/record"
	"ri/values"
)

// DiffRecordings says what changed between two recordings: in an expression's value, or in the rows of a recipe (what
// is a recipe's name is one, what ends in .lua is a script), told apart by their key columns; of no name, in those of
// all recipes that both were made with.
func DiffRecordings(ctx context.Context, out *rows.Output, c *recipes.Catalogue, files []string, identity string,
	args []string, depth int,
	how looks.Options) error {
	if len(files) != 2 {
		return rows.Usagef("ri diff compares two recordings: -r BEFORE -r AFTER")
	}
	if depth < 1 {
		return rows.Usagef("--depth %d: must be 1 or more", depth)
	}
	var two [2]*looks.Session
	for i, file := range files {
		s, err := looks.OpenSession(looks.TargetChoice{Recording: file, Identity: identity})
		if err != nil {
			return err
		}
		defer s.Close()
		for _, note := range s.Missing() {
			out.Log("note: " + note)
		}
		two[i] = s
	}
	d := recordingDiff{out: out, two: two, depth: depth, how: how,
		took: two[1].Target.Written().Sub(two[0].Target.Written())}
	if len(args) > 0 {
		_, err := c.Recipe(args[0])
		if err != nil && len(args) == 1 && !strings.HasSuffix(args[0], ".lua") {
			return d.expression(ctx, args[0])
		}
		return d.recipes(ctx, c, []string{args[0]}, args[1:])
	}
	names, err := d.both(c)
	if err != nil {
		return err
	}
	return d.recipes(ctx, c, names, nil)
}

// recordingDiff is what is compared.
type recordingDiff struct {
	out   *rows.Output
	two   [2]*looks.Session
	depth int
	how   looks.Options
	took  time.Duration // between the two
}

// both are the recipes that both recordings were made with and that are here. A recording keeps no script, so of those
// it was made with it only knows the names.
func (d *recordingDiff) both(c *recipes.Catalogue) (names []string, err error) {
	var made [2][]string
	for i, s := range d.two {
		var h record.Header
		if err := json.Unmarshal(s.Target.(*recorded.Recording).File().Header(), &h); err != nil {
			return nil, rows.Refused(fmt.Errorf("%s: its header: %w", s.Target.Describe(), err))
		}
		for _, r := range h.Recipes {
			made[i] = append(made[i], r.Recipe)
		}
	}
	var scripts []string
	for _, name := range made[0] {
		_, err := c.Recipe(name)
		switch {
		case !slices.Contains(made[1], name) || slices.Contains(names, name) || slices.Contains(scripts, name):
		case err != nil:
			scripts = append(scripts, name)
		default:
			names = append(names, name)
		}
	}
	how := fmt.Sprintf("the two were made with %s, of which the catalogue here has no recipe, and a recording keeps no "+
		"script: name the file, as in ri diff -r BEFORE -r AFTER ./FILE.lua", strings.Join(scripts, ", "))
	switch {
	case len(scripts) > 0 && len(names) == 0:
		return nil, rows.Usagef("%s", how)
	case len(scripts) > 0:
		d.out.Log("note: not compared: " + how)
	}
	if len(names) == 0 {
		return nil, rows.Usagef("the two were made with no recipe in common: name one, or an expression")
	}
	return names, nil
}

var recordingDiffColumns = []rows.Column{
	{Name: "recipe", Key: rows.KeyPart, Optional: true}, {Name: "change", Help: "new, gone or changed"},
	{Name: "row", Key: rows.KeyPart, Help: "its key columns", Width: 60}, {Name: "column", Key: rows.KeyPart},
	{Name: "before", Width: 60}, {Name: "after", Width: 60}}

// recipes compares the rows of recipes.
func (d *recordingDiff) recipes(ctx context.Context, c *recipes.Catalogue, names, params []string) error {
	total := &rows.Result{Recipe: "diff", Target: d.two[1].Info, Columns: recordingDiffColumns}
	compared := 0
	for _, name := range names {
		plan, err := looks.Prepare(c, name, params, d.how)
		if err != nil {
			if len(names) > 1 { // a recipe of whoever made the recording
				d.out.Log(fmt.Sprintf("note: not compared: %s: %v", name, err))
				continue
			}
			return err
		}
		if plan.Recipe.Mode == recipes.Write {
			return rows.Usagef("recipe %s changes its target; ri diff only looks", name)
		}
		var got [2]*rows.Result
		for i, s := range d.two {
			if got[i], err = s.Run(ctx, plan, d.out); err != nil {
				return err
			}
			total.Stats.Add(got[i].Stats)
			if why := got[i].Err; why != nil && len(names) == 1 {
				return d.out.Conclude(got[i])
			} else if why != nil {
				d.out.Log(fmt.Sprintf("note: not compared: %s of %s: %v", name, s.Target.Describe(), why))
			}
			total.Partial = append(total.Partial, got[i].Partial...)
		}
		if got[0].Err != nil || got[1].Err != nil {
			continue
		}
		changed := d.changed(got[0], got[1])
		if len(names) > 1 {
			for i := range changed {
				changed[i] = append(rows.Of("recipe", name), changed[i]...)
			}
		}
		compared += len(got[1].Rows)
		total.Rows = append(total.Rows, changed...)
	}
	if len(total.Rows) == 0 {
		words := fmt.Sprintf("nothing of %s changed", rows.Plural(int64(compared), "row"))
		if compared == 0 {
			words = "there are no rows to compare (what a script prints is not compared)"
		}
		sayEmpty(d.out, total, words)
	}
	return d.out.Conclude(total)
}

// changed compares two looks by the key columns.
func (d *recordingDiff) changed(before, after *rows.Result) (list []rows.Row) {
	key := func(r rows.Row) string { return r.Key(after.Columns) }
	var parts []string
	for _, way := range rows.Keys(after.Columns) {
		parts = append(parts, way...)
	}
	for _, p := range rows.Compare(before.Rows, after.Rows, key) {
		switch {
		case p.Before == nil:
			list = append(list, rows.Of("change", "new", "row", key(*p.After), "column", nil, "before", nil,
				"after", rows.CellText(*p.After)))
		case p.After == nil:
			list = append(list, rows.Of("change", "gone", "row", key(*p.Before), "column", nil, "before",
				rows.CellText(*p.Before),
				"after", nil))
		default:
			for _, cell := range *p.After {
				was, _ := p.Before.Get(cell.Name)
				if slices.Contains(parts, cell.Name) || rows.CellText(was) == rows.CellText(cell.Value) {
					continue
				}
				list = append(list, rows.Of("change", "changed", "row", key(*p.After), "column", cell.Name,
					"before", d.shown(after.Columns, cell.Name, was), "after", d.shown(after.Columns, cell.Name, cell.Value)))
			}
		}
	}
	return list
}

// shown is a value of a column as it is shown: durations by their unit, in a table.
func (d *recordingDiff) shown(columns []rows.Column, name string, v any) any {
	i := slices.IndexFunc(columns, func(c rows.Column) bool { return c.Name == name })
	if n, ok := v.(int64); ok && i >= 0 && columns[i].Type == rows.ColumnDuration && d.out.Format == rows.Table {
		return rows.DurationText(time.Duration(n))
	}
	return v
}

// expression compares a value.
func (d *recordingDiff) expression(ctx context.Context, expr string) error {
	opt := values.LeafOptions{Depth: d.depth, Elems: maxLeaves, Limit: maxLeaves}
	var leaves [2][]values.Leaf
	var last *rows.Result
	cut := false
	for i, s := range d.two {
		plan, err := looks.ExplorePlan("diff", d.how)
		if err != nil {
			return err
		}
		if err := s.CheckExpr(ctx, expr); err != nil {
			return err
		}
		list, more, res, err := leavesOf(ctx, s, plan, d.out, expr, opt)
		if err != nil {
			return err
		}
		if res.Err != nil || len(res.Partial) > 0 {
			return d.out.Conclude(res)
		}
		leaves[i], cut, last = list, cut || more, res
	}
	return concludeDiff(d.out, last, leaves[0], leaves[1], cut, d.took)
}
