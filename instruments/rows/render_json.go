package rows

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"ri/inert"
)

// rowsOf stands in a document for a result's rows, which are written one after the other.
type rowsOf struct{ *Result }

// writeJSON writes a value, indented unless it is to be one line. Of a document each value is written by itself, and of
// rows each row, so that no more than that is held.
func writeJSON(w io.Writer, v any, oneLine bool) error {
	j := jsonWriter{w: w, oneLine: oneLine}
	doc, ok := v.(Row)
	if !ok {
		j.value("", v)
		j.raw("\n")
		return j.err
	}
	if len(doc) == 0 {
		j.raw("{}\n")
		return j.err
	}
	for i, c := range doc {
		if i == 0 {
			j.raw("{")
		} else {
			j.raw(",")
		}
		j.newLine(jsonIndent)
		j.raw(string(inert.AppendJSON(nil, c.Name)) + ":")
		if !oneLine {
			j.raw(" ")
		}
		j.value(jsonIndent, c.Value)
	}
	j.newLine("")
	j.raw("}\n")
	return j.err
}

const jsonIndent = "  "

// jsonWriter writes JSON until something fails.
type jsonWriter struct {
	w       io.Writer
	oneLine bool
	text    []byte
	out     bytes.Buffer
	err     error
}

func (j *jsonWriter) raw(s string) {
	if j.err == nil {
		_, j.err = io.WriteString(j.w, s)
	}
}

func (j *jsonWriter) newLine(indent string) {
	if !j.oneLine {
		j.raw("\n" + indent)
	}
}

// value writes a value that stands behind indent.
func (j *jsonWriter) value(indent string, v any) {
	if rows, ok := v.(rowsOf); ok {
		j.rows(indent, rows.Result)
		return
	}
	if j.err != nil {
		return
	}
	j.text = AppendJSON(j.text[:0], v)
	text := j.text
	if !j.oneLine {
		j.out.Reset()
		if j.err = json.Indent(&j.out, text, indent, jsonIndent); j.err != nil {
			return
		}
		text = j.out.Bytes()
	}
	_, j.err = j.w.Write(text)
}

func (j *jsonWriter) rows(indent string, r *Result) {
	for i, row := range r.Rows {
		if i == 0 {
			j.raw("[")
		} else {
			j.raw(",")
		}
		j.newLine(indent + jsonIndent)
		j.value(indent+jsonIndent, withColumns(row, r.Columns))
	}
	if len(r.Rows) == 0 {
		j.raw("[]")
		return
	}
	j.newLine(indent)
	j.raw("]")
}

// writeNDJSON writes a row a line; after them a finding a line, as {"$finding": {...}}.
func writeNDJSON(w io.Writer, r *Result) error {
	j := jsonWriter{w: w, oneLine: true}
	for _, row := range r.Rows {
		j.value("", withColumns(row, r.Columns))
		j.raw("\n")
	}
	for _, f := range findingRows(r.Findings) {
		j.value("", Row{{"$finding", f}})
		j.raw("\n")
	}
	return j.err
}

// withColumns puts the declared columns first, in their order, null where the row has none.
func withColumns(row Row, columns []Column) Row {
	full := make(Row, 0, max(len(row), len(columns)))
	for _, col := range columns {
		v, _ := row.Get(col.Name)
		full = append(full, Cell{col.Name, v})
	}
	for _, c := range row {
		if _, declared := full.Get(c.Name); !declared {
			full = append(full, c)
		}
	}
	return full
}

func findingRows(findings []Finding) []any {
	list := make([]any, len(findings))
	for i, f := range findings {
		list[i] = f.Row()
	}
	return list
}

// Row is the finding as a row: severity, what, where, evidence (a list), next, and what the script gave besides.
func (f Finding) Row() Row {
	evidence := make([]any, len(f.Evidence))
	for i, e := range f.Evidence {
		evidence[i] = e
	}
	severity := f.Severity
	if severity == "" {
		severity = Warning
	}
	return append(Of("severity", string(severity), "what", f.What, "where", f.Where, "evidence", evidence, "next",
		f.Next), f.Extra...)
}

// AppendJSON writes a value exactly: integers with all digits, NaN and infinities as
// strings, a string that isn't UTF-8 as {"$b64": ...}, a duration in nanoseconds.
func AppendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return appendJSONFloat(b, v)
	case string:
		return appendJSONString(b, v)
	case Bytes:
		return AppendJSON(b, Row{{"$b64", v.Base64()}})
	case GoText:
		return AppendJSON(b, v.Plain)
	case Missing:
		return AppendJSON(b, Row{{"$missing", string(v)}})
	case time.Time:
		return appendJSONString(b, v.Format(time.RFC3339Nano))
	case time.Duration:
		return strconv.AppendInt(b, int64(v), 10)
	case Address:
		return AppendJSON(b, Row{
			{"$addr", "0x" + strconv.FormatUint(v.Addr, 16)},
			{"$type", v.Type},
			{"text", v.Text},
		})
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, e)
		}
		return append(b, ']')
	case Row:
		b = append(b, '{')
		for i, c := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(inert.AppendJSON(b, c.Name), ':')
			b = AppendJSON(b, c.Value)
		}
		return append(b, '}')
	}
	text, err := json.Marshal(v)
	if err != nil {
		return appendJSONString(b, err.Error())
	}
	return append(b, text...)
}

func appendJSONFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"+Inf"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Inf"`...)
	}
	text, _ := json.Marshal(f) // can't fail: f is finite
	return append(b, text...)
}

func appendJSONString(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		return AppendJSON(b, Bytes(s))
	}
	return inert.AppendJSON(b, s)
}
