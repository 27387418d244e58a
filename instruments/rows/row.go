package rows

import (
	"encoding/base64"
	"strings"
	"time"
)

// Row is what a script emits: names and values in the order of the instrument's
// columns (names that no column declares follow, sorted).
//
// A value is one of: nil, bool, int64, uint64 (only beyond int64), float64, string,
// [Bytes] (a string that isn't UTF-8), time.Time, time.Duration, [Address],
// [Missing], [GoText], []any, or Row (nested).
type Row []Cell

// Cell is one named value of a Row.
type Cell struct {
	Name  string
	Value any
}

// Typed gives a cell that came as JSON the type that its column has.
func (c Cell) Typed(columns []Column) Cell {
	for _, col := range columns {
		if col.Name != c.Name {
			continue
		}
		switch v := c.Value.(type) {
		case int64:
			if col.Type == ColumnDuration {
				c.Value = time.Duration(v)
			}
		case string:
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil && col.Type == ColumnTime {
				c.Value = t
			}
		}
	}
	return c
}

// Of is a row of names and values in turn: Of("pid", int64(7), "name", "nats-server"). It panics where a name is no
// string.
func Of(pairs ...any) Row {
	row := make(Row, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		row = append(row, Cell{Name: pairs[i].(string), Value: pairs[i+1]})
	}
	return row
}

// Get gives the value called name, and whether there is one.
func (r Row) Get(name string) (any, bool) {
	for _, c := range r {
		if c.Name == name {
			return c.Value, true
		}
	}
	return nil, false
}

// Bytes is a string that isn't valid UTF-8: JSON shows it as {"$b64": ...}.
type Bytes []byte

// Base64 is the text in {"$b64": ...}.
func (b Bytes) Base64() string { return base64.StdEncoding.EncodeToString(b) }

// String replaces what isn't UTF-8, for people.
func (b Bytes) String() string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// Address is a Go value that was emitted as it is: its text in Go syntax on one line,
// and where it lives.
type Address struct {
	Addr uint64 // 0 if the value lives in no memory
	Type string
	Text string
}

// GoText is a value that people read in Go syntax; in JSON it is Plain.
type GoText struct {
	Text  string
	Plain any
}

func (g GoText) String() string { return g.Text }

// Missing is why there is no value: JSON shows it as {"$missing": ...}.
type Missing string

// String is the reason as a comment, as what is missing in a Go value has it.
func (m Missing) String() string { return "/* " + string(m) + " */" }

// String is the value's text, as a table shows it.
func (a Address) String() string { return a.Text }

// Severity of a finding.
type Severity string

const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Finding is a conclusion: something is wrong (exit code 3).
type Finding struct {
	Severity Severity // default Warning
	What     string   // the conclusion, one line
	Where    string   // goroutines, file:line, Go path
	Evidence []string // what speaks for it
	Next     string   // what to look at next
	Extra    Row      // further keys that the script gave
}

// Listener hears of a look while it is under way, and never while the target is held. Calls don't overlap.
type Listener interface {
	Log(msg string)                         // ri.log: a remark
	Progress(done, total int64, msg string) // ri.progress; total 0: not known
}

// Sink takes what a script gives. Errors of Emit, Finding and Sample end the script. Calls don't overlap.
type Sink interface {
	Listener
	Emit(row Row) error
	Finding(f Finding) error
	Sample(s Sample) error
	Sampled(took time.Duration) // samples were taken for so long
	Print(text string)          // print(...): a line without its newline
}
