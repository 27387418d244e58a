package rows

import (
	"fmt"
	"strings"
	"time"
)

// Result is all that a run gave. It is complete before anything of it is printed,
// so that a slow or closed output never holds a target.
type Result struct {
	Recipe     string
	Params     Row // as they were used, defaults too
	Target     Program
	View       string // how memory was seen: "live", "snapshot", "stopped"
	Stats      Stats
	ValuesRead int64
	Locks      []LockReport
	// Transaction is the change that was made, or planned; nil where none was.
	Transaction *TransactionReport

	Columns  []Column
	Rows     []Row
	Printed  []PrintedLine
	Findings []Finding
	// FindingsFirst says that the script gave findings before its first row, so that they are read first.
	FindingsFirst bool
	// Passed: rows were written as they came, and what the look cost was told.
	Passed  bool
	Samples []Sample
	Profile []ProfileValue // what the samples count
	Time    time.Time      // of the look
	Sampled time.Duration  // for how long samples were taken; 0: they are of one moment
	Log     []string
	Notes   []string // of how memory was seen, for stderr

	Partial []string // why something is missing: a limit, a deadline
	Checked *Checked // what was looked for; nil: it is no run that checks
	LeftOut []string // what the script did without, and why: what it gave is good all the same
	Err     error    // why the script ended early, if it did; nil where only a limit was hit
}

// Stats is what looking has cost the target.
type Stats struct {
	Stops     int
	Stopped   time.Duration // sum of the stops
	BytesRead int64         // copied out of the target
	// threads of C code that stops interrupted in system calls which may have returned EINTR, once for each stop
	Interrupted int
}

// Add adds what another look has cost.
func (s *Stats) Add(more Stats) {
	s.Stops += more.Stops
	s.Stopped += more.Stopped
	s.BytesRead += more.BytesRead
	s.Interrupted += more.Interrupted
}

// Program says what was looked at.
type Program struct {
	PID        int
	Kind       string // "process", "core", "dying": held in its last moment by ri watch
	Executable string
	GoVersion  string
	Module     string
	Version    string
	BuildID    string
}

// PrintedLine is a line that the script printed, and how many rows came before it.
type PrintedLine struct {
	Row  int
	Text string
}

// HandOver gives a sink what the result kept for it, and forgets it. Findings stay.
func (r *Result) HandOver(to Sink) error {
	defer func() { r.Log, r.Printed, r.Rows, r.Samples = nil, nil, nil, nil }()
	for _, line := range r.Log {
		to.Log(line)
	}
	printed := r.Printed
	printTo := func(rows int) {
		for len(printed) > 0 && printed[0].Row <= rows {
			to.Print(printed[0].Text)
			printed = printed[1:]
		}
	}
	for i, row := range r.Rows {
		printTo(i)
		if err := to.Emit(row); err != nil {
			return err
		}
	}
	printTo(len(r.Rows))
	for _, s := range r.Samples {
		if err := to.Sample(s); err != nil {
			return err
		}
	}
	if r.Sampled != 0 {
		to.Sampled(r.Sampled)
	}
	for _, f := range r.Findings {
		if err := to.Finding(f); err != nil {
			return err
		}
	}
	return nil
}

// Cost is the line that ends each run: "stopped 2.1 ms (1 stop), read 412 KiB, 8,204 values".
func (r *Result) Cost() string {
	var b strings.Builder
	switch {
	case r.Target.Kind == "core":
		b.WriteString("core")
	case r.Target.Kind == "dying":
		b.WriteString("in its last moment")
	case r.Stats.Stops == 0:
		b.WriteString("no stop")
	default:
		fmt.Fprintf(&b, "stopped %s (%s%s)", ShortDuration(r.Stats.Stopped), Plural(int64(r.Stats.Stops), "stop"),
			r.lockStops())
	}
	fmt.Fprintf(&b, ", read %s", ShortBytes(r.Stats.BytesRead))
	if r.ValuesRead > 0 {
		fmt.Fprintf(&b, ", %s", Plural(r.ValuesRead, "value"))
	}
	b.WriteString(r.lockWaits())
	if n := r.Stats.Interrupted; n > 0 {
		fmt.Fprintf(&b, "; %s of C code interrupted, which may return EINTR", Plural(int64(n), "system call"))
	}
	return b.String()
}

// Plural counts: "1 stop", "8,204 values".
func Plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return Thousands(n) + " " + word + "s"
}

// Thousands writes n with commas.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// ShortDuration writes a short time with two or three digits: "2.1 ms", "14 us", "1.25 s".
func ShortDuration(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f us", float64(d)/float64(time.Microsecond))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// ShortBytes writes a number of bytes: "412 KiB".
func ShortBytes(n int64) string {
	f := float64(n)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if f < 1024 {
			if unit == "B" || f >= 99.95 {
				return fmt.Sprintf("%.0f %s", f, unit)
			}
			return fmt.Sprintf("%.1f %s", f, unit)
		}
		f /= 1024
	}
	return fmt.Sprintf("%.1f TiB", f)
}

// Table gives the rows as text: the declared columns and those that rows have beside them, and each row's cells, safe
// to print. A list in the last column is a line an element; what wasn't given is "-".
func (r *Result) Table() (columns []Column, cells [][]string) {
	columns = allColumns(r.Columns, r.Rows)
	index := make(map[string]int, len(columns))
	for i, col := range columns {
		index[col.Name] = i
	}
	for _, row := range r.Rows {
		line := make([]string, len(columns))
		for i := range line {
			line[i] = CellText(nil)
		}
		for _, c := range row {
			line[index[c.Name]] = columns[index[c.Name]].Text(c.Value, index[c.Name] == len(columns)-1)
		}
		cells = append(cells, line)
	}
	return columns, cells
}

// JSON is a result as ri run --json gives it.
func (r *Result) JSON() ([]byte, error) {
	var b strings.Builder
	if err := writeDocument(&b, "run", r, nil); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", r.Recipe, err)
	}
	return []byte(b.String()), nil
}
