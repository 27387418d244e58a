package recipes

import (
	_ "embed"
	"fmt"
	"strings"

	"ri/instruments/lang"
	"ri/instruments/rows"
)

// recipesStart is the part of the page of recipes that isn't made from the catalogue.
//
//go:embed recipes.md
var recipesStart string

// RecipesPage is docs/recipes.md: how a catalogue is written, and what each recipe of c is, as its instrument's header
// says.
func RecipesPage(c *Catalogue) (string, error) {
	var b strings.Builder
	b.WriteString(recipesStart)
	groups := map[string][]string{}
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil {
			return "", err
		}
		h := HeaderOf(script)
		var text strings.Builder
		writeRecipe(&text, r, h)
		groups[h.Category] = append(groups[h.Category], text.String())
	}
	b.WriteString("\n# What there is\n")
	for _, category := range rows.SortedKeys(groups) {
		fmt.Fprintf(&b, "\n## %s\n", category)
		for _, text := range groups[category] {
			b.WriteString(text)
		}
	}
	return b.String(), nil
}

// writeRecipe writes a recipe's chapter.
func writeRecipe(b *strings.Builder, r *Recipe, h *lang.Header) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n", r.Name, sentence(r.TitleOr(h)))
	if h.Description != "" {
		fmt.Fprintf(b, "\n%s\n", h.Description)
	}
	if rows := paramRows(r, h); len(rows) > 0 {
		b.WriteString("\n| parameter | type | | |\n| --- | --- | --- | --- |\n")
		writeMarkdownRows(b, rows)
	}
	if rows := columnRows(h); len(rows) > 0 {
		b.WriteString("\n| column | type | |\n| --- | --- | --- |\n")
		writeMarkdownRows(b, rows)
	}
	var run []string
	if r.Mode == Write {
		run = append(run, "changes the target (`--write`)")
	}
	if r.View != "" {
		run = append(run, "view "+string(r.View))
	}
	if len(r.Locks) > 0 {
		run = append(run, "waits for `"+strings.Join(r.Locks, "`, `")+"`")
	}
	if list := needRows(h.Needs); len(list) > 0 {
		run = append(run, fmt.Sprintf("needs %s of the program (`ri show %s`)", rows.Plural(int64(len(list)), "name"),
			r.Name))
	}
	if len(run) > 0 {
		fmt.Fprintf(b, "\n%s.\n", sentence(strings.Join(run, "; ")))
	}
	if h.Sample != "" {
		fmt.Fprintf(b, "\n```text\n%s\n```\n", h.Sample)
	}
}

// writeMarkdownRows writes rows of a table, the first cell as code.
func writeMarkdownRows(b *strings.Builder, list []rows.Row) {
	for _, row := range list {
		for i, c := range row {
			text := strings.Join(strings.Fields(strings.ReplaceAll(rows.CellText(c.Value), "|", `\|`)), " ")
			if i == 0 {
				text = "`" + text + "`"
			}
			fmt.Fprintf(b, "| %s ", text)
		}
		b.WriteString("|\n")
	}
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".")
}
