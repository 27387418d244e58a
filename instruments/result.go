package instruments

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"ri/attach"
)

// Result is all that a run gave. It is complete before anything of it is printed,
// so that a slow or closed output never holds a target.
type Result struct {
	Recipe     string
	Params     Row // as they were used, defaults too
	Target     Program
	View       attach.ViewKind
	Stats      attach.Stats
	ValuesRead int64
	Locks      []LockReport
	// Transaction is the change that was made, or planned; nil where none was.
	Transaction *TransactionReport

	Columns  []Column
	Rows     []Row
	Printed  []PrintedLine
	Findings []Finding
	Samples  []Sample
	Profile  []ProfileValue // what the samples count
	Time     time.Time      // of the look
	Sampled  time.Duration  // for how long samples were taken; 0: they are of one moment
	Log      []string
	Notes    []string // of how memory was seen, for stderr

	Partial []string // why something is missing: a limit, a deadline
	Err     error    // why the script ended early, if it did; nil where only a limit was hit
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

// collector is the Sink of a run: it keeps everything, in memory, and can be sealed while a script
// that doesn't end still writes into it.
type collector struct {
	mu     sync.Mutex
	sealed bool
	res    *Result
	to     Listener // nil: nobody listens
	open   bool     // nothing is held by what is looked at, so that remarks needn't wait
	held   bool     // the target stands while the script runs, so that nobody hears of progress
	early  Sink     // gets what is given in the place of the result; nil: nobody does
}

// collector is what takes what a plan's script gives.
func (s *Session) collector(p *Plan, to Listener, early Sink) *collector {
	return &collector{
		res: &Result{Recipe: p.Recipe.Name, Target: s.Info}, to: to,
		open: p.View == attach.Live || early != nil, held: p.View == attach.Stopped, early: early,
	}
}

var errSealed = errors.New("the run has ended")

func (c *collector) add(f func(*Result)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sealed {
		return errSealed
	}
	f(c.res)
	return nil
}

// clear forgets what was given so far: it was not all of one moment.
func (c *collector) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.res
	r.Rows, r.Printed, r.Findings, r.Samples, r.Log = nil, nil, nil, nil, nil
}

// seal takes the result away: what comes later is dropped.
func (c *collector) seal() *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.res
}

// hand gives something to whom it is for at once, and keeps it where nobody is.
func (c *collector) hand(give func(Sink) error, keep func(*Result)) (err error) {
	over := c.add(func(r *Result) {
		if c.early == nil {
			keep(r)
		} else {
			err = give(c.early)
		}
	})
	return errors.Join(over, err)
}

func (c *collector) Emit(row Row) error {
	return c.hand(func(s Sink) error { return s.Emit(row) }, func(r *Result) { r.Rows = append(r.Rows, row) })
}

func (c *collector) Sample(s Sample) error {
	return c.hand(func(to Sink) error { return to.Sample(s) }, func(r *Result) { r.Samples = append(r.Samples, s) })
}

func (c *collector) Sampled(took time.Duration) {
	_ = c.add(func(r *Result) { r.Sampled = took })
}

func (c *collector) Finding(f Finding) error {
	keep := func(r *Result) { r.Findings = append(r.Findings, f) }
	return c.hand(func(s Sink) error { keep(c.res); return s.Finding(f) }, keep)
}

func (c *collector) Log(msg string) {
	_ = c.add(func(r *Result) { // of a run that has ended nobody wants the log
		if c.open && c.to != nil {
			c.to.Log(msg)
		} else {
			r.Log = append(r.Log, msg)
		}
	})
}

func (c *collector) Progress(done, total int64, msg string) {
	if !c.held && c.to != nil {
		c.to.Progress(done, total, msg)
	}
}

func (c *collector) Print(text string) {
	_ = c.hand(func(s Sink) error { s.Print(text); return nil }, func(r *Result) {
		for line := range strings.SplitSeq(text, "\n") {
			r.Printed = append(r.Printed, PrintedLine{len(r.Rows), line})
		}
	})
}

// handOver gives a sink what the result kept for it, and forgets it. Findings stay.
func (r *Result) handOver(to Sink) error {
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
		fmt.Fprintf(&b, "stopped %s (%s%s)", shortDuration(r.Stats.Stopped), plural(int64(r.Stats.Stops), "stop"), r.lockStops())
	}
	fmt.Fprintf(&b, ", read %s", shortBytes(r.Stats.BytesRead))
	if r.ValuesRead > 0 {
		fmt.Fprintf(&b, ", %s", plural(r.ValuesRead, "value"))
	}
	b.WriteString(r.lockWaits())
	return b.String()
}

// plural counts: "1 stop", "8,204 values".
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return thousands(n) + " " + word + "s"
}

// thousands writes n with commas.
func thousands(n int64) string {
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

// shortDuration writes a short time with two or three digits: "2.1 ms", "14 us", "1.25 s".
func shortDuration(d time.Duration) string {
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

// shortBytes writes a number of bytes: "412 KiB".
func shortBytes(n int64) string {
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
