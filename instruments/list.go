package instruments

import "fmt"

// ListRecipes writes the recipes; with a target, those that fit first, and for the rest what the program lacks.
func ListRecipes(out *Output, c *Catalogue, choice TargetChoice, verbose bool) error {
	var session *Session
	if choice.Given() {
		var err error
		if session, err = OpenSession(choice); err != nil {
			return err
		}
		defer session.Close()
	}
	columns := []Column{{Name: "name"}, {Name: "category"}, {Name: "title"}}
	if session != nil {
		columns = append(columns, Column{Name: "lacks", Cut: cutPaths})
	}
	if verbose {
		columns = append(columns, Column{Name: "from"}, Column{Name: "overrides"})
	}
	var fit, rest []Row
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil {
			out.Log(fmt.Sprintf("ri: warning: recipe %s can't be used: %v", r.Name, err))
			continue
		}
		row := Row{{"name", r.Name}, {"category", headerOf(script).Category}, {"title", r.TitleOr(script.Header)}}
		fits := true
		if session != nil {
			lacks := scriptLacks(session.File, script)
			fits = len(lacks) == 0
			if out.Format == Table && !fits {
				lacks = []string{lacksText(lacks)}
			}
			row = append(row, Cell{"lacks", texts(lacks)})
		}
		if verbose {
			row = append(row, Cell{"from", r.Origin.String()}, Cell{"overrides", positions(r.Overrides)})
		}
		if out.Format != Table {
			row = append(row, Cell{"mode", string(r.Mode)}, Cell{"view", string(r.View)})
			if session != nil {
				row = append(row, Cell{"fits", fits})
			}
		}
		if fits {
			fit = append(fit, row)
		} else {
			rest = append(rest, row)
		}
	}
	if err := out.WriteRows(columns, append(fit, rest...)); err != nil {
		return err
	}
	return out.Commit()
}
