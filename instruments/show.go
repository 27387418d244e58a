package instruments

import (
	"fmt"
	"strings"
	"time"

	"ri/attach"
	"ri/inert"
)

// ShowRecipe writes all that is known of a recipe or of an instrument file.
func ShowRecipe(out *Output, c *Catalogue, name string) error {
	r, err := findRecipe(c, name)
	if err != nil {
		return Usage(err)
	}
	script, err := r.Script(c)
	if err != nil {
		return Usage(err)
	}
	if out.Format == Table {
		err = out.WriteText(showText(r, headerOf(script)))
	} else {
		err = out.WriteDocument(showRow(r, headerOf(script)))
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// showText is the page that people read.
func showText(r *Recipe, h *Header) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Name, inert.Cell(r.TitleOr(h)))
	if h.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", inert.Text(h.Description))
	}
	section := func(title string, rows []Row) {
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
func writeIndented(b *strings.Builder, rows []Row) {
	var table strings.Builder
	writeTable(&table, nil, rows, TableStyle{})
	_, body, _ := strings.Cut(table.String(), "\n")
	for line := range strings.SplitSeq(strings.TrimRight(body, "\n"), "\n") {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

func paramRows(r *Recipe, h *Header) (rows []Row) {
	for _, p := range h.Params {
		typ := string(p.Type)
		switch p.Type {
		case ParamEnum:
			typ = strings.Join(p.Values, "|")
		case ParamEnums:
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
			about = append(about, "default "+paramText(p.Default))
		}
		if p.Min != nil {
			about = append(about, "at least "+paramText(p.Min))
		}
		if p.Max != nil {
			about = append(about, "at most "+paramText(p.Max))
		}
		rows = append(rows, Row{{"name", p.Name}, {"type", typ}, {"about", strings.Join(about, ", ")}, {"help", p.Help}})
	}
	return rows
}

func columnRows(h *Header) (rows []Row) {
	for _, c := range h.Columns {
		rows = append(rows, Row{{"name", c.Name}, {"type", string(c.Type)}, {"help", columnHelp(c)}})
	}
	return rows
}

// keyText is a column's key as its header has it.
func keyText(k Key) any {
	if k == KeyAlone {
		return "alone"
	}
	return k == KeyPart
}

// columnHelp says of a column that it is of the key, and where to find it if tables don't have it.
func columnHelp(c Column) string {
	var marks []string
	switch c.Key {
	case KeyPart:
		marks = append(marks, "key")
	case KeyAlone:
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

func needRows(n Needs) (rows []Row) {
	for _, kind := range []struct {
		what  string
		names []string
	}{{"variable", n.Vars}, {"type", n.Types}, {"field", n.Fields}, {"function", n.Funcs}, {"runtime", n.Runtime}} {
		for _, name := range kind.names {
			rows = append(rows, Row{{"what", kind.what}, {"name", name}})
		}
	}
	return rows
}

// runRows says how the recipe runs and where it is from.
func runRows(r *Recipe, h *Header) (rows []Row) {
	add := func(what, value string) {
		if value != "" {
			rows = append(rows, Row{{"what", what}, {"value", value}})
		}
	}
	view, maxStop := viewOf(r)
	limits := r.Limits.withDefaults()
	add("category", h.Category)
	add("mode", string(r.Mode))
	add("view", string(view))
	add("longest stop", durationText(maxStop))
	add("limits", fmt.Sprintf("%s, %s, %s", durationText(limits.Time), shortBytes(limits.Memory), plural(int64(limits.Rows), "row")))
	add("lock", strings.Join(r.Locks, ", "))
	add("instrument", r.Instrument)
	add("from", r.Origin.String())
	for _, p := range r.Overrides {
		add("in place of", p.String())
	}
	return rows
}

// viewOf is the view and the stop that the recipe gets when no flag says otherwise.
func viewOf(r *Recipe) (attach.ViewKind, time.Duration) {
	view, maxStop := r.View, r.MaxStop
	if view == "" {
		view = attach.Snapshot
	}
	if maxStop == 0 {
		maxStop = attach.DefaultMaxStop
	}
	return view, maxStop
}

// showRow is the same as a JSON document.
func showRow(r *Recipe, h *Header) Row {
	view, maxStop := viewOf(r)
	limits := r.Limits.withDefaults()
	params := []any{}
	for _, p := range h.Params {
		var preset any
		if v, ok := r.Presets[p.Name]; ok {
			preset = v
		}
		params = append(params, Row{
			{"name", p.Name}, {"type", string(p.Type)}, {"required", p.Required}, {"default", p.Default}, {"preset", preset},
			{"min", p.Min}, {"max", p.Max}, {"values", texts(p.Values)}, {"help", p.Help},
		})
	}
	columns := []any{}
	for _, c := range h.Columns {
		columns = append(columns, Row{{"name", c.Name}, {"type", string(c.Type)}, {"key", keyText(c.Key)}, {"help", c.Help}})
	}
	return Row{
		{"name", r.Name}, {"title", r.TitleOr(h)}, {"description", h.Description}, {"category", h.Category},
		{"params", params}, {"columns", columns},
		{"needs", Row{
			{"vars", texts(h.Needs.Vars)}, {"types", texts(h.Needs.Types)},
			{"fields", texts(h.Needs.Fields)}, {"funcs", texts(h.Needs.Funcs)}, {"runtime", texts(h.Needs.Runtime)},
		}},
		{"sample", h.Sample}, {"mode", string(r.Mode)}, {"view", string(view)}, {"max_stop_ns", maxStop},
		{"limits", Row{{"time_ns", limits.Time}, {"memory", limits.Memory}, {"rows", int64(limits.Rows)}}},
		{"locks", texts(r.Locks)}, {"instrument", r.Instrument}, {"from", r.Origin.String()}, {"overrides", positions(r.Overrides)},
	}
}
