package rows

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/term"

	"ri/inert"
)

// Conclude writes a result to its output and what is to be said about it to stderr. The error says how the run ended,
// and has no text where all is said.
func (o *Output) Conclude(r *Result) error {
	if o.progress {
		_ = o.Stderr.Control(eraseLine)
	}
	if err := o.Arrange.Apply(r); err != nil {
		return err
	}
	for _, line := range r.Log {
		o.Log(line)
	}
	unwritten := o.writeAll(r)
	if unwritten != nil { // what was done to the target is told all the same
		fmt.Fprintf(o.Stderr, "ri: the result could not be written: %v\n", unwritten)
	}
	o.sayProblems(r)
	for _, line := range append(r.LockWarnings(), r.Notes...) {
		fmt.Fprintf(o.Stderr, "ri: warning: %s\n", line)
	}
	if r.Transaction != nil && (!o.Quiet || unwritten != nil) {
		fmt.Fprintln(o.Stderr, r.Transaction.line())
	}
	if !o.Quiet && !r.Passed {
		fmt.Fprintln(o.Stderr, r.Cost())
	}
	table := o.Format == Table && !r.Passed && len(r.Columns) > 0
	if table && r.Err == nil && len(r.Partial) == 0 && r.Empty() && !o.Quiet {
		fmt.Fprintln(o.Stderr, "no rows")
	}
	if ended := r.Ended(); ended != nil && (unwritten == nil || r.Err != nil) {
		return Said(ended)
	}
	return Said(unwritten)
}

// sayProblems says why something is missing, and what the output is worth all the same.
func (o *Output) sayProblems(r *Result) {
	for _, why := range r.Partial {
		fmt.Fprintf(o.Stderr, "ri: the output is partial: %s\n", why)
	}
	if r.Err == nil {
		return
	}
	fmt.Fprintf(o.Stderr, "ri: %s\n", ErrorText(r.Err))
	switch {
	case r.Empty(), o.Quiet:
	case r.Transaction != nil && r.Transaction.Made:
		fmt.Fprintf(o.Stderr, "ri: the output shows what was changed\n")
	case r.Transaction != nil:
		fmt.Fprintf(o.Stderr, "ri: the output shows what was to be changed\n")
	default:
		fmt.Fprintf(o.Stderr, "ri: the output holds what was found until then\n")
	}
}

// writeAll writes the result and its profiles, and makes their files appear.
func (o *Output) writeAll(r *Result) error {
	failed := r.Err != nil && r.Empty()
	if !failed || o.Format == JSON {
		if !o.instead {
			if err := o.WriteResult(r); err != nil {
				return err
			}
		}
		if err := o.Commit(); err != nil {
			return err
		}
	}
	if failed {
		return nil
	}
	return o.writeProfiles(r)
}

func (r *Result) Empty() bool { return len(r.Rows)+len(r.Findings)+len(r.Printed)+len(r.Samples) == 0 }

// traced is an error that knows the script's stack.
type traced interface{ Trace() string }

// ErrorText is an error with Lua's stack where that says more than the error.
func ErrorText(err error) string {
	var t traced
	if errors.As(err, &t) && t.Trace() != "" {
		return err.Error() + "\n" + t.Trace()
	}
	return err.Error()
}

// Log writes a script's remark to stderr.
func (o *Output) Log(msg string) {
	if !o.Quiet {
		fmt.Fprintln(o.Stderr, msg)
	}
}

// eraseLine makes the line of progress an empty one.
const eraseLine = "\r\x1b[K"

// progressInterval is how often progress is shown.
const progressInterval = 200 * time.Millisecond

// Progress shows on a terminal how far a run is; elsewhere nothing.
func (o *Output) Progress(done, total int64, msg string) {
	if o.Quiet || time.Since(o.progressed) < progressInterval {
		return
	}
	o.progressed = time.Now()
	if f := o.Stderr.File(); f == nil || !term.IsTerminal(int(f.Fd())) {
		return
	}
	o.progress = true
	text := Thousands(done)
	if total > 0 {
		text = fmt.Sprintf("%s of %s (%d %%)", text, Thousands(total), 100*done/total)
	}
	_ = o.Stderr.Control(eraseLine + inert.Line(msg) + " " + text + "\r")
}
