package looks

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ri/attach"
	"ri/instruments/rows"
)

// collector is the Sink of a run: it keeps everything, in memory, and can be sealed while a script
// that doesn't end still writes into it.
type collector struct {
	mu     sync.Mutex
	sealed bool
	res    *rows.Result
	to     rows.Listener // nil: nobody listens
	open   bool          // nothing is held by what is looked at, so that remarks needn't wait
	held   bool          // the target stands while the script runs, so that nobody hears of progress
	early  rows.Sink     // gets what is given in the place of the result; nil: nobody does

	standing *atomic.Bool   // the target stands just now, as the script wanted it; nil: it never does
	waiting  []func() error // what somebody is to hear once it runs
	failed   error          // of the last that heard
}

// Collector is what takes what a plan's script gives.
func (s *Session) Collector(p *Plan, to rows.Listener, early rows.Sink) *collector {
	return &collector{
		res: &rows.Result{Recipe: p.Recipe.Name, Target: s.Info}, to: to,
		open: p.View == attach.Live || early != nil, held: p.View == attach.Stopped, early: early,
	}
}

// notes are told what a script left out, and what it looked for.
type notes interface {
	leaveOut(what string)
	checked(what, why string)
}

var errSealed = errors.New("the run has ended")

func (c *collector) add(f func(*rows.Result)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sealed {
		return errSealed
	}
	f(c.res)
	return nil
}

// tell has somebody hear of something, now or once the target runs. The caller holds mu.
func (c *collector) tell(say func() error) error {
	c.waiting = append(c.waiting, say)
	if c.standing == nil || !c.standing.Load() {
		c.tellAll()
	}
	return c.failed
}

func (c *collector) tellAll() {
	for _, say := range c.waiting {
		if c.failed == nil {
			c.failed = say()
		}
	}
	c.waiting = nil
}

// clear forgets what was given so far: it was not all of one moment.
func (c *collector) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.res
	r.Rows, r.Printed, r.Findings, r.Samples, r.Log, r.LeftOut, r.Checked, r.FindingsFirst = nil, nil, nil, nil, nil, nil,
		nil, false
}

// Seal takes the result away: what comes later is dropped.
func (c *collector) Seal() *rows.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	if c.tellAll(); c.failed != nil {
		c.res.Err = c.failed
	}
	return c.res
}

// hand gives something to whom it is for at once, and keeps it where nobody is.
func (c *collector) hand(give func(rows.Sink) error, keep func(*rows.Result)) (err error) {
	over := c.add(func(r *rows.Result) {
		if c.early == nil {
			keep(r)
		} else {
			err = c.tell(func() error { return give(c.early) })
		}
	})
	return errors.Join(over, err)
}

func (c *collector) Emit(row rows.Row) error {
	return c.hand(func(s rows.Sink) error { return s.Emit(row) }, func(r *rows.Result) {
		r.FindingsFirst = r.FindingsFirst || len(r.Rows) == 0 && len(r.Findings) > 0
		r.Rows = append(r.Rows, row)
	})
}

func (c *collector) Sample(s rows.Sample) error {
	return c.hand(func(to rows.Sink) error {
		return to.Sample(s)
	}, func(r *rows.Result) { r.Samples = append(r.Samples, s) })
}

func (c *collector) Sampled(took time.Duration) {
	_ = c.add(func(r *rows.Result) { r.Sampled = took })
}

func (c *collector) Finding(f rows.Finding) error {
	keep := func(r *rows.Result) { r.Findings = append(r.Findings, f) }
	if c.early != nil {
		_ = c.add(keep)
	}
	return c.hand(func(s rows.Sink) error { return s.Finding(f) }, keep)
}

// leaveOut notes what the script does without.
func (c *collector) leaveOut(what string) {
	_ = c.add(func(r *rows.Result) { r.LeftOut = append(r.LeftOut, what) })
}

// checked notes what the script looked for, or why it didn't.
func (c *collector) checked(what, why string) {
	_ = c.add(func(r *rows.Result) {
		if r.Checked == nil {
			r.Checked = &rows.Checked{}
		}
		if why == "" {
			r.Checked.Done = append(r.Checked.Done, what)
		} else {
			r.Checked.Omitted = append(r.Checked.Omitted, rows.Omitted{What: what, Why: why})
		}
	})
}

func (c *collector) Log(msg string) {
	_ = c.add(func(r *rows.Result) { // of a run that has ended nobody wants the log
		if c.open && c.to != nil {
			_ = c.tell(func() error { c.to.Log(msg); return nil })
		} else {
			r.Log = append(r.Log, msg)
		}
	})
}

func (c *collector) Progress(done, total int64, msg string) {
	if !c.held && c.to != nil && (c.standing == nil || !c.standing.Load()) {
		c.to.Progress(done, total, msg)
	}
}

func (c *collector) Print(text string) {
	_ = c.hand(func(s rows.Sink) error { s.Print(text); return nil }, func(r *rows.Result) {
		for line := range strings.SplitSeq(text, "\n") {
			r.Printed = append(r.Printed, rows.PrintedLine{Row: len(r.Rows), Text: line})
		}
	})
}
