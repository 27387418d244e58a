package rows

import (
	"encoding/json"
	"io"

	"ri/inert"
)

// writeDocument writes the document that every command gives with --json. All members are always there, in this order;
// what isn't known, or doesn't apply, is null. more are members that only this command has. docs/output.md says it to
// who reads it.
func writeDocument(w io.Writer, command string, r *Result, more Row) error {
	doc := Row{
		{"command", textOrNil(command)},
		{"recipe", textOrNil(r.Recipe)},
		{"params", nil},
		{"target", r.Target.row()},
		{"view", textOrNil(r.View)},
		{"stops", nil},
		{"stopped_ns", nil},
		{"interrupted", nil},
		{"read_bytes", nil},
		{"values", nil},
		{"locks", lockRows(r.Locks)},
		{"columns", columnCells(allColumns(r.Columns, r.Rows))},
		{"key", keyCells(r.Columns)},
		{"rows", rowsOf{r}},
		{"findings", findingRows(r.Findings)},
		{"checked", nil},
		{"not_checked", nil},
		{"printed", nil},
		{"left_out", textList(r.LeftOut)},
		{"transaction", nil},
		{"partial", len(r.Partial) > 0},
		{"errors", nil},
	}
	if r.Recipe != "" {
		doc.set("params", append(Row{}, r.Params...))
	}
	if r.View != "" { // it was looked at
		doc.set("stops", int64(r.Stats.Stops))
		doc.set("stopped_ns", int64(r.Stats.Stopped))
		doc.set("interrupted", int64(r.Stats.Interrupted))
		doc.set("read_bytes", r.Stats.BytesRead)
		doc.set("values", r.ValuesRead)
	}
	if r.Checked != nil {
		doc.set("checked", textList(r.Checked.Done))
		doc.set("not_checked", r.Checked.omitted())
	}
	lines := []any{}
	for _, p := range r.Printed {
		lines = append(lines, p.Text)
	}
	doc.set("printed", lines)
	if r.Transaction != nil {
		doc.set("transaction", r.Transaction.row())
	}
	problems := textList(r.Partial)
	if r.Err != nil {
		problems = append(problems, r.Err.Error())
	}
	doc.set("errors", problems)
	return writeJSON(w, append(doc, more...), false)
}

// set replaces the value of a cell that is there.
func (r Row) set(name string, v any) {
	for i := range r {
		if r[i].Name == name {
			r[i].Value = v
		}
	}
}

// textList is a list of texts that is empty where there are none.
func textList(texts []string) []any {
	all := make([]any, len(texts))
	for i, s := range texts {
		all[i] = s
	}
	return all
}

// textOrNil is null in place of an empty text, where that means that it isn't known.
func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// row is a program for JSON; nil where there is none.
func (p Program) row() any {
	if p.Kind == "" {
		return nil
	}
	var pid any
	if p.PID != 0 {
		pid = int64(p.PID)
	}
	return Row{
		{"kind", p.Kind},
		{"pid", pid},
		{"executable", textOrNil(p.Executable)},
		{"go", textOrNil(p.GoVersion)},
		{"module", textOrNil(p.Module)},
		{"version", textOrNil(p.Version)},
		{"build_id", textOrNil(p.BuildID)},
	}
}

// Unit is what a column's numbers count, as JSON has them; "" where they are no numbers, or count things. A time is a
// text, as RFC 3339 has it.
func (c Column) Unit() string {
	switch c.Type {
	case ColumnDuration:
		return "ns"
	case ColumnBytes:
		return "bytes"
	}
	return ""
}

func columnCells(columns []Column) []any {
	list := []any{}
	for _, c := range columns {
		name := json.RawMessage(inert.AppendJSON(nil, c.Name)) // as rows have it
		list = append(list, Row{{"name", name}, {"type", textOrNil(string(c.Type))}, {"unit", textOrNil(c.Unit())}})
	}
	return list
}

func keyCells(columns []Column) []any {
	ways := []any{}
	for _, way := range Keys(columns) {
		ways = append(ways, Texts(way))
	}
	return ways
}

// Checked is what a run looked for, whether or not it was found.
type Checked struct {
	Done    []string
	Omitted []Omitted
}

// Omitted is what was not looked for, and why.
type Omitted struct{ What, Why string }

func (c *Checked) omitted() []any {
	list := []any{}
	for _, o := range c.Omitted {
		list = append(list, Row{{"what", o.What}, {"why", textOrNil(o.Why)}})
	}
	return list
}
