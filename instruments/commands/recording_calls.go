package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"ri/files"
	"ri/instruments/rows"
	"ri/record"
	"ri/record/calls"
)

// errNotHere is of what only recordings of state can do.
var errNotHere = errors.New("that is for recordings of state; one of calls is JSON already, a line an event")

// errNotStreams is of what recordings of streams don't have.
var errNotStreams = errors.New("that is for recordings of state; one of streams is read by ri recording info, " +
	"verify, check and export, and ri replay runs the program on it")

// openCalls opens a recording of calls; nil where the file is something else, which others say.
func openCalls(path string) (*os.File, *calls.Reader, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, nil, nil
	}
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	if _, err := f.Seek(0, io.SeekStart); err != nil || !calls.Is(head[:n]) {
		f.Close()
		return nil, nil, nil
	}
	r, err := calls.NewReader(f)
	if err != nil {
		f.Close()
		return nil, nil, rows.Refused(fmt.Errorf("%s: %w", path, err))
	}
	return f, r, nil
}

// drain reads all events.
func drain(path string, r *calls.Reader) error {
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return rows.Refused(fmt.Errorf("%s: %w", path, err))
		}
	}
}

// callsInfo says what a recording of calls is of.
func callsInfo(out *rows.Output, path string, r *calls.Reader) error {
	ended := drain(path, r)
	if ended != nil && !errors.Is(ended, calls.ErrCutShort) {
		return ended
	}
	h := &r.Header
	if out.Format != rows.Table {
		row := rows.Of("file", path, "cut_short", r.End == nil, "module", h.Program.Module, "go", h.Program.Go,
			"made", h.Made, "from_start", h.FromStart, "in", int64(len(h.Boundary.In)), "out", int64(len(h.Boundary.Out)),
			"missed", int64(len(h.Boundary.Missed)))
		if r.End != nil {
			row = append(row, rows.Of("events", r.End.Events, "open", r.End.Open, "missing", r.End.Missing, "lost",
				int64(r.End.Lost), "refused", int64(r.End.Refused), "ended", r.End.Why, "whole", r.End.Whole())...)
		}
		return out.WriteOne(row)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "calls at %s in %s %s, %s\nmade %s\n", strings.Join(h.Boundary.Of, ", "), h.Program.Module,
		h.Program.Version, h.Program.Go, h.Made.Format("2006-01-02 15:04:05 MST"))
	fmt.Fprintf(&b, "boundary: %s in, %s out, %d not recorded\n", rows.Plural(int64(len(h.Boundary.In)), "function"),
		rows.Plural(int64(len(h.Boundary.Out)), "function"), len(h.Boundary.Missed))
	switch {
	case r.End == nil:
		b.WriteString("cut short: there is no end mark\n")
	default:
		whole := "whole"
		if !r.End.Whole() {
			whole = fmt.Sprintf("NOT WHOLE: %d events lack something, %d were lost, %d refused by the budget", r.End.Missing,
				r.End.Lost, r.End.Refused)
		}
		fmt.Fprintf(&b, "%s, %d calls had not returned, ended: %s; %s\n", rows.Plural(r.End.Events, "event"), r.End.Open,
			r.End.Why, whole)
	}
	fmt.Fprintf(&b, "next: ri recording check %s shows what is in clear; ri replay %s --library DIR runs it\n", path, path)
	return out.WriteText(b.String())
}

// callsCheck is RecordingCheck of a recording of calls.
func callsCheck(out *rows.Output, path string, r *calls.Reader, words []string, opt AuditOptions) error {
	if opt.HTML != "" {
		return rows.Usagef("--html is for recordings of state")
	}
	audit, err := record.CheckCalls(r, words, opt.All)
	if err != nil {
		return rows.Refused(fmt.Errorf("%s: %w", path, err))
	}
	return reportAudit(out, path, audit, len(words))
}
