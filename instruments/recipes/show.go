package recipes

import (
	"fmt"
	"strings"
	"time"

	"ri/attach"
	"ri/files"
	"ri/inert"
	"ri/instruments/lang"
	"ri/instruments/rows"
)

// ShowRecipe writes all that is known of a recipe or of an instrument file.
func ShowRecipe(out *rows.Output, c *Catalogue, name string) error {
	r, err := FindRecipe(c, name)
	if err != nil {
		return rows.Usage(err)
	}
	script, err := r.Script(c)
	if err != nil {
		return rows.Usage(err)
	}
	if out.Format == rows.Table {
		err = out.WriteText(showText(r, HeaderOf(script)))
	} else {
		err = out.WriteOne(showRow(r, HeaderOf(script)))
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// showText is the page that people read.
func showText(r *Recipe, h *lang.Header) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Name, inert.Cell(r.TitleOr(h)))
	if h.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", inert.Text(h.Description))
	}
	section := func(title string, rows []rows.Row) {
		if len(rows) > 0 {
			fmt.Fprintf(&b, "\n%s\n", title)
			writeIndented(&b, rows)
		}
	}
	section("Parameters (NAME=VALUE)", paramRows(r, h))
	section("Columns", columnRows(h))
	section("Needs of the program", needRows(h.Needs))
	section("Run", runRows(r, h))
	if h.Sample != "" {
		fmt.Fprintf(&b, "\nSample\n")
		for line := range strings.SplitSeq(h.Sample, "\n") {
			fmt.Fprintf(&b, "  %s\n", strings.TrimRight(inert.Line(line), " "))
		}
	}
	return b.String()
}

// writeIndented writes rows as a table without a header line.
func writeIndented(b *strings.Builder, list []rows.Row) {
	var table strings.Builder
	_, _ = rows.WriteTable(&table, nil, list, rows.TableStyle{})
	_, body, _ := strings.Cut(table.String(), "\n")
	for line := range strings.SplitSeq(strings.TrimRight(body, "\n"), "\n") {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

func paramRows(r *Recipe, h *lang.Header) (list []rows.Row) {
	for _, p := range h.Params {
		typ := string(p.Type)
		switch p.Type {
		case lang.ParamEnum:
			typ = strings.Join(p.Values, "|")
		case lang.ParamEnums:
			typ = "some of " + strings.Join(p.Values, ",")
		}
		var about []string
		preset, isPreset := r.Presets[p.Name]
		switch {
		case isPreset:
			about = append(about, "preset "+preset)
		case p.Required:
			about = append(about, "required")
		case p.Default != nil && p.Default != "":
			about = append(about, "default "+lang.ParamText(p.Default))
		}
		if p.Min != nil {
			about = append(about, "at least "+lang.ParamText(p.Min))
		}
		if p.Max != nil {
			about = append(about, "at most "+lang.ParamText(p.Max))
		}
		list = append(list, rows.Of("name", p.Name, "type", typ, "about", strings.Join(about, ", "), "help", p.Help))
	}
	return list
}

func columnRows(h *lang.Header) (list []rows.Row) {
	for _, c := range h.Columns {
		list = append(list, rows.Of("name", c.Name, "type", string(c.Type), "help", columnHelp(c)))
	}
	return list
}

// keyText is a column's key as its header has it.
func keyText(k rows.Key) any {
	if k == rows.KeyAlone {
		return "alone"
	}
	return k == rows.KeyPart
}

// columnHelp says of a column that it is of the key, and where to find it if tables don't have it.
func columnHelp(c rows.Column) string {
	var marks []string
	switch c.Key {
	case rows.KeyPart:
		marks = append(marks, "key")
	case rows.KeyAlone:
		marks = append(marks, "key where it is there")
	}
	if c.Hidden {
		marks = append(marks, "in JSON")
	}
	if marks == nil {
		return c.Help
	}
	return strings.TrimSpace(c.Help + " (" + strings.Join(marks, "; ") + ")")
}

func needRows(n lang.Needs) (list []rows.Row) {
	for _, kind := range []struct {
		what  string
		names []string
	}{{"variable", n.Vars}, {"type", n.Types}, {"field", n.Fields}, {"function", n.Funcs}, {"runtime", n.Runtime}} {
		for _, name := range kind.names {
			list = append(list, rows.Of("what", kind.what, "name", name))
		}
	}
	return list
}

// runRows says how the recipe runs and where it is from.
func runRows(r *Recipe, h *lang.Header) (list []rows.Row) {
	add := func(what, value string) {
		if value != "" {
			list = append(list, rows.Of("what", what, "value", value))
		}
	}
	view, maxStop := ViewOf(r)
	limits := r.Limits.WithDefaults()
	add("category", h.Category)
	add("mode", string(r.Mode))
	add("view", string(view))
	add("longest stop", rows.DurationText(maxStop))
	add("limits", fmt.Sprintf("%s of the CPU, %s of memory, %s, %s of output", rows.DurationText(limits.Time),
		rows.ShortBytes(limits.Memory), rows.Plural(int64(limits.Rows), "row"), rows.ShortBytes(limits.Output)))
	add("lock", strings.Join(r.Locks, ", "))
	add("instrument", r.Instrument)
	add("from", r.From())
	for _, p := range r.Overrides {
		add("in place of", p.String())
	}
	return list
}

// ViewOf is the view and the stop that the recipe gets when no flag says otherwise.
func ViewOf(r *Recipe) (attach.ViewKind, time.Duration) {
	view, maxStop := r.View, r.MaxStop
	if view == "" {
		view = attach.Snapshot
	}
	if maxStop == 0 {
		maxStop = attach.DefaultMaxStop
	}
	return view, maxStop
}

// orNull is null in place of an empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// showRow is the same for programs.
func showRow(r *Recipe, h *lang.Header) rows.Row {
	view, maxStop := ViewOf(r)
	limits := r.Limits.WithDefaults()
	params := []any{}
	for _, p := range h.Params {
		var preset any
		if v, ok := r.Presets[p.Name]; ok {
			preset = v
		}
		params = append(params, rows.Of(
			"name", p.Name, "type", string(p.Type), "required", p.Required, "default", p.Default, "preset", preset,
			"min", p.Min, "max", p.Max, "values", rows.Texts(p.Values), "help", p.Help,
		))
	}
	columns := []any{}
	for _, c := range h.Columns {
		columns = append(columns, rows.Of("name", c.Name, "type", orNull(string(c.Type)), "unit", orNull(c.Unit()), "key",
			keyText(c.Key), "help", orNull(c.Help)))
	}
	return rows.Of(
		"name", r.Name, "title", r.TitleOr(h), "description", orNull(h.Description), "category", orNull(h.Category),
		"params", params, "columns", columns,
		"needs", rows.Of(
			"vars", rows.Texts(h.Needs.Vars), "types", rows.Texts(h.Needs.Types),
			"fields", rows.Texts(h.Needs.Fields), "funcs", rows.Texts(h.Needs.Funcs), "runtime", rows.Texts(h.Needs.Runtime),
		),
		"sample", orNull(h.Sample), "mode", string(r.Mode), "view", string(view), "max_stop_ns", maxStop,
		"limits", rows.Of("time_ns", limits.Time, "memory_bytes", limits.Memory, "rows",
			int64(limits.Rows), "output_bytes", limits.Output),
		"locks", rows.Texts(r.Locks), "instrument", r.Instrument, "from", r.Origin.String(), "owner",
		files.Owner(r.Origin.File), "overrides",
		Positions(r.Overrides),
	)
}
