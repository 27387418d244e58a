package rows

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"ri/files"
	"ri/inert"
)

// Format is how results are written.
type Format int

const (
	Table Format = iota
	JSON
	NDJSON
)

// Output is where results go: stdout, or a file that appears whole or not at all.
type Output struct {
	Format Format
	Quiet  bool
	Stdout *os.File
	Stderr *inert.Writer
	// Command is who writes, as it is typed: "run", "fleet runs".
	Command string
	// Of is what rows that no recipe gave are of: the program, and what a look at it cost; nil: of no program.
	Of *Result
	// Arrange is which rows are wanted, and in what order; nil: as they are.
	Arrange *Arrangement

	path       string
	Temp       *unnamedFile
	profiles   []profileOutput
	unread     bool
	progress   bool      // a line of progress stands on the terminal
	progressed time.Time // when progress was heard of last
	instead    bool      // a profile goes to Stdout, in place of the result
}

// OpenOutput prepares stdout, or the file path if it isn't "": what can fail fails before the target is touched.
func OpenOutput(path string, format Format, quiet bool, stdout *os.File, stderr io.Writer) (*Output, error) {
	o := &Output{Format: format, Quiet: quiet, Stdout: stdout, Stderr: inert.NewWriter(stderr)}
	if path == "" || path == "-" {
		return o, nil
	}
	if err := files.Outside(path); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return nil, fmt.Errorf("-o %s: is a folder; name a file", path)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // a pipe or device can't be renamed over
		if err != nil {
			return nil, fmt.Errorf("-o %s: %w", path, UnwrapPath(err))
		}
		o.Stdout = f
		return o, nil
	}
	temp, err := NewUnnamedFile(path)
	if err != nil {
		return nil, fmt.Errorf("-o %s: %w", path, UnwrapPath(err))
	}
	o.path, o.Temp = path, temp
	return o, nil
}

// WriteResult writes what a run gave.
func (o *Output) WriteResult(r *Result) error { return o.WriteResultAnd(r, nil) }

// WriteResultAnd is WriteResult, with members that only this command's document of JSON has.
func (o *Output) WriteResultAnd(r *Result, more Row) error {
	switch o.Format {
	case JSON:
		return o.Write(func(w io.Writer) error { return writeDocument(w, o.Command, r, more) })
	case NDJSON:
		for _, p := range r.Printed {
			fmt.Fprintln(o.Stderr, inert.Line(p.Text))
		}
		return o.Write(func(w io.Writer) error { return writeNDJSON(w, r) })
	}
	return o.writeTable(func(w io.Writer, style TableStyle) (bool, error) { return WriteText(w, r, style) })
}

// result is what rows that no recipe gave are part of.
func (o *Output) result(columns []Column, rows []Row) *Result {
	r := Result{}
	if o.Of != nil {
		r = Result{Target: o.Of.Target, View: o.Of.View, Stats: o.Of.Stats, ValuesRead: o.Of.ValuesRead, Locks: o.Of.Locks}
	}
	r.Columns, r.Rows = columns, rows
	return &r
}

// WriteRows writes rows that no recipe gave.
func (o *Output) WriteRows(columns []Column, rows []Row) error {
	r := o.result(columns, rows)
	if !o.Arrange.None() {
		if err := o.Arrange.Apply(r); err != nil {
			return err
		}
		for _, line := range r.Log {
			o.Log(line)
		}
	}
	return o.WriteResult(r)
}

// WriteAdvice is WriteRows, with nothing of the last column cut.
func (o *Output) WriteAdvice(columns []Column, rows []Row) error {
	if o.Format != Table {
		return o.WriteRows(columns, rows)
	}
	return o.writeTable(func(w io.Writer, style TableStyle) (bool, error) {
		style.Wrap = true
		return WriteRows(w, columns, rows, style)
	})
}

// WriteOne writes what a command has to say of one thing, for programs: a row.
func (o *Output) WriteOne(row Row) error {
	for i, c := range row {
		if text, ok := c.Value.(string); ok { // a file that was made, for example
			row[i].Value = files.AsNamed(text)
		}
	}
	return o.WriteResultAnd(o.result(nil, []Row{row}), nil)
}

// WriteSaid writes a text to people, and a row to programs.
func (o *Output) WriteSaid(text string, row Row) error {
	if o.Format == Table {
		return o.WriteText(text)
	}
	return o.WriteOne(row)
}

// writeLine writes a row that comes before the end, as a line of NDJSON.
func (o *Output) writeLine(row Row) error {
	return o.Write(func(w io.Writer) error { return writeJSON(w, row, true) })
}

// WriteText writes text for people. In the document of JSON it is what was printed.
func (o *Output) WriteText(s string) error {
	s = files.AsNamed(s)
	switch o.Format {
	case JSON:
		r := o.result(nil, nil)
		for line := range strings.Lines(s) {
			r.Printed = append(r.Printed, PrintedLine{Text: strings.TrimSuffix(line, "\n")})
		}
		return o.WriteResultAnd(r, nil)
	case NDJSON:
		_, err := io.WriteString(o.Stderr, s)
		return err
	}
	return o.Write(func(w io.Writer) error { _, err := io.WriteString(inert.NewWriter(w), s); return err })
}

const cutText = "cut to the terminal's width (…, or packages without their paths): | cat or --json shows all"

func (o *Output) writeTable(render func(io.Writer, TableStyle) (bool, error)) error {
	cut := false
	err := o.Write(func(w io.Writer) (err error) {
		cut, err = render(inert.NewWriter(w), o.Style())
		return err
	})
	if cut && err == nil && !o.Quiet {
		fmt.Fprintln(o.Stderr, cutText)
	}
	return err
}

func (o *Output) Style() TableStyle {
	if o.Temp != nil || !term.IsTerminal(int(o.Stdout.Fd())) {
		return TableStyle{}
	}
	width, _, err := term.GetSize(int(o.Stdout.Fd()))
	if err != nil {
		width = 80
	}
	colour := os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return TableStyle{Width: width, Colour: colour}
}

// Write writes bytes as they are: documents, profiles, screens. Text for people goes through [inert.Writer] first. What
// is rendered leaves as it comes, so that a result is held once. A reader that closed its end is no error: it has what
// it wanted, and no more is rendered.
func (o *Output) Write(render func(io.Writer) error) error {
	to := io.Writer(o.Stdout)
	if o.Temp != nil {
		to = o.Temp
	}
	w := writers.Get().(*bufio.Writer) // rows that come one by one are as many writes
	w.Reset(to)
	defer func() {
		w.Reset(nil)
		writers.Put(w)
	}()
	err := render(w)
	if err == nil {
		err = w.Flush()
	}
	if errors.Is(err, syscall.EPIPE) && o.Temp == nil {
		o.unread = true
		return nil
	}
	return err
}

// Unread tells that who read the results has closed its end: more of what has no end of its own is in vain.
func (o *Output) Unread() bool { return o.unread }

// writeAtOnce is how much is written by one call.
const writeAtOnce = 64 << 10

var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeAtOnce) }}

// Commit makes the file appear. Without it, Close leaves what was there before.
func (o *Output) Commit() error {
	if o.Temp == nil {
		return nil
	}
	temp := o.Temp
	o.Temp = nil
	defer temp.Drop()
	err := temp.Sync()
	if err == nil {
		err = temp.Replace(o.path)
	}
	if err != nil {
		return fmt.Errorf("-o %s: %w", o.path, UnwrapPath(err))
	}
	return nil
}

// Close drops a file that wasn't committed.
func (o *Output) Close() {
	for _, p := range o.profiles {
		p.out.Close()
	}
	if o.Temp != nil {
		o.Temp.Drop()
		o.Temp = nil
	}
}
