package report

import (
	"errors"

	"ri/instruments/rows"
	"ri/secrets"
)

// A report is made to be sent. What nobody may see is masked in it, whatever recipe found it: see package secrets.

// mask masks a result, and gives how much.
func mask(r *rows.Result) int {
	m := masker{}
	r.Params = m.row(r.Params)
	for i := range r.Rows {
		for j := range r.Rows[i] { // columns are the instrument's own names, and no names of what is in them
			r.Rows[i][j].Value = m.value("", r.Rows[i][j].Value)
		}
	}
	for i := range r.Printed {
		r.Printed[i].Text = m.text(r.Printed[i].Text)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.What, f.Where, f.Next, f.Extra = m.text(f.What), m.text(f.Where), m.text(f.Next), m.row(f.Extra)
		m.texts(f.Evidence)
	}
	m.texts(r.Log)
	m.texts(r.Notes)
	m.texts(r.Partial)
	if r.Err != nil {
		if text := m.text(r.Err.Error()); text != r.Err.Error() {
			r.Err = &maskedError{text, r.Err}
		}
	}
	return m.n
}

// maskedError is an error whose text has something masked.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Is(target error) bool {
	return errors.Is(e.err, target)
}

// masker counts.
type masker struct{ n int }

func (m *masker) text(s string) string {
	shown, n := secrets.Text(s)
	m.n += n
	return shown
}

func (m *masker) texts(list []string) {
	for i, s := range list {
		list[i] = m.text(s)
	}
}

func (m *masker) row(row rows.Row) rows.Row {
	for i := range row {
		row[i].Value = m.value(row[i].Name, row[i].Value)
	}
	return row
}

// value masks a cell's value; name is what it is called by the program, "" if by nobody.
func (m *masker) value(name string, v any) any {
	if name != "" && v != nil && secrets.Name(name) {
		m.n++
		return secrets.Masked
	}
	switch v := v.(type) {
	case string:
		return m.text(v)
	case rows.Bytes:
		if shown := m.text(string(v)); shown != string(v) {
			return shown
		}
		return v
	case rows.Address:
		v.Text = m.text(v.Text)
		return v
	case []any:
		for i := range v {
			v[i] = m.value("", v[i])
		}
		return v
	case rows.Row:
		return m.row(v)
	}
	return v
}
