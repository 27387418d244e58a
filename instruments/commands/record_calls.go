package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/probe/compile"
	"ri/probe/kernel"
	"ri/record/boundary"
	"ri/record/calls"
	"ri/record/tap"
	"ri/trace"
)

// CallsOptions say which calls are recorded, and what of them is kept.
type CallsOptions struct {
	File        string
	Of          []string // types, packages, functions
	Also, Not   []string
	Command     []string // is started, and recorded from its first call
	Policy      string
	KeyFile     string
	DenyNumbers bool
	For         time.Duration
	Limit       uint64
	Budget      float64
	Bytes       int  // of a call
	Text, Elems int  // bytes of a text, elements of a list
	DryRun      bool // only say what the boundary is
}

func (o CallsOptions) check(choice looks.TargetChoice) error {
	switch {
	case len(o.Of) == 0:
		return rows.Usagef("ri record calls needs a boundary: a type, a package or functions, such as raft.Node")
	case len(o.Command) > 0 && choice.Given():
		return rows.Usagef("a process (-p PID) and a command (-- COMMAND) exclude each other")
	case len(o.Command) == 0 && choice.PID == "":
		return rows.Usagef("calls are recorded of a process (-p PID), or of a command that is started (-- COMMAND)")
	case o.DryRun:
		return nil
	case o.File == "" || o.File == "-":
		return rows.Usagef("ri record calls writes into a file: name one that isn't there yet (-o FILE)")
	case o.For <= 0 || o.Limit == 0:
		return rows.Usagef("--limit and --for can be raised, and not left out: a recording of calls has an end")
	}
	return notThere(o.File)
}

// RecordCalls records calls at a boundary.
func RecordCalls(ctx context.Context, out *rows.Output, choice looks.TargetChoice, o CallsOptions) error {
	if err := o.check(choice); err != nil {
		return err
	}
	opt, err := (RecordOptions{Policy: o.Policy, KeyFile: o.KeyFile, DenyNumbers: o.DenyNumbers}).redaction()
	if err != nil {
		return err
	}
	var child *started
	if len(o.Command) > 0 {
		if child, err = startStopped(o.Command); err != nil {
			return rows.Refused(err)
		}
		defer child.end()
		choice.PID = strconv.Itoa(child.pid)
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := boundary.Of(s.File, o.Of, boundary.Options{Also: o.Also, Not: o.Not})
	if err != nil {
		return rows.Usage(err)
	}
	r, err := tap.New(ctx, s.Process(), b, tap.Options{Policy: opt.Policy, Key: opt.Key, KeyKept: opt.KeyKept,
		By: OwnVersion(), For: o.For, Limit: o.Limit, Budget: o.Budget, FromStart: child != nil,
		Limits: compile.Limits{Depth: 14, Text: o.Text, Elems: o.Elems, Bytes: o.Bytes},
		Armed: func(f kernel.Forecast) {
			out.Log(trace.ArmedText(f))
			child.run()
		}})
	if err != nil {
		return err
	}
	defer r.Close()
	sayBoundary(out, r.Boundary())
	if o.DryRun {
		return out.Commit()
	}
	var end *calls.End
	var sum *trace.Summary
	var ended error
	defer rows.Finishing()()
	err = newFile(o.File, func(file *os.File) error {
		if end, sum, ended = r.Record(ctx, file, filepath.Dir(o.File)); end == nil {
			return ended
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := reportCalls(out, o.File, end, sum, child != nil); err != nil {
		return err
	}
	if ended != nil {
		return ended
	}
	return out.Commit()
}

// sayBoundary says what goes in and out, before anything is probed.
func sayBoundary(out *rows.Output, b calls.Boundary) {
	out.Log(fmt.Sprintf("boundary of %s: %s in, %s out", strings.Join(b.Of, ", "),
		rows.Plural(int64(len(b.In)), "function"), rows.Plural(int64(len(b.Out)), "function")))
	for _, f := range b.In {
		out.Log("  in   " + f.Name)
	}
	for _, f := range b.Out {
		through := ""
		if f.Interface != "" {
			through = " (" + f.Interface + ")"
		}
		out.Log("  out  " + f.Name + through)
	}
	for _, m := range b.Missed {
		out.Log("  not recorded: " + m.What + ": " + m.Why)
	}
}

func reportCalls(out *rows.Output, path string, end *calls.End, sum *trace.Summary, fromStart bool) error {
	for _, line := range sum.Text()[1:] {
		out.Log(line)
	}
	if end.Short > 0 {
		out.Log(fmt.Sprintf("%d times something didn't fit into what a call takes along: --elems 4 leaves room for what "+
			"lies deeper, --bytes, --text and --elems are the limits", end.Short))
	}
	if !fromStart {
		out.Log("what receivers held when it began is there as far as their first call took it along, what the library's " +
			"goroutines did then isn't: where a replay lacks that, record from the start (-- COMMAND instead of -p)")
	}
	if out.Format != rows.Table {
		byFunction := rows.Row{}
		for name, n := range end.Calls {
			byFunction = append(byFunction, rows.Cell{Name: name, Value: n})
		}
		return out.WriteOne(rows.Of("file", path, "events", end.Events, "calls", byFunction, "open", end.Open,
			"missing", end.Missing, "lost", int64(end.Lost), "refused", int64(end.Refused), "ended", end.Why,
			"whole", end.Whole()))
	}
	whole := "nothing is missing"
	if !end.Whole() {
		whole = fmt.Sprintf("NOT WHOLE: something is missing in %s, %d were lost, %d refused by the budget",
			rows.Plural(end.Missing, "event"), end.Lost, end.Refused)
	}
	return out.WriteText(fmt.Sprintf("%s: %s; %d calls had not returned; %s; ended: %s\n"+
		"read it before it is sent: ri recording check %s\n", path, rows.Plural(end.Events, "event"), end.Open, whole,
		end.Why, path))
}
