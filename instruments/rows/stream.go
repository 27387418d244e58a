package rows

import (
	"fmt"
	"io"
	"slices"

	"ri/inert"
)

// Stream writes rows as they come, for what has no end of its own: as NDJSON each at once; as a table under columns
// that are as wide as those of the first rows; as JSON one document at the end. A row of a table that is the first to
// have an optional column begins the table anew.
type Stream struct {
	out     *Output
	columns []Column
	layout  *tableLayout
	had     map[string]bool // optional columns that some row has had
	pending []Row
	line    []string
	written int
	wanted  *arranged // nil: all
}

// atOnce is how many rows a table waits for to know how wide its columns are.
const atOnce = 24

// NewStream begins a stream of rows.
func (o *Output) NewStream(columns []Column) *Stream {
	s := &Stream{out: o, columns: columns}
	if !o.Arrange.None() { // what is wrong with it was said before
		s.wanted, _ = o.Arrange.compile(columns, false)
	}
	return s
}

// Wants tells whether a row is one of those that are asked for.
func (s *Stream) Wants(row Row) bool { return s.wanted == nil || s.wanted.fits(row) }

// Row takes a row.
func (s *Stream) Row(row Row) error {
	if !s.Wants(row) {
		return nil
	}
	s.written++
	switch s.out.Format {
	case NDJSON:
		return s.out.writeLine(withColumns(row, s.columns))
	case JSON:
		s.pending = append(s.pending, row)
		return nil
	}
	if s.pending = append(s.pending, row); s.layout == nil && len(s.pending) < atOnce {
		return nil
	}
	return s.Flush()
}

// Flush writes the rows of a table that wait for others.
func (s *Stream) Flush() error {
	if s.out.Format != Table || len(s.pending) == 0 {
		return nil
	}
	columns := s.optional()
	err := s.out.Write(func(w io.Writer) error {
		w = inert.NewWriter(w)
		if s.layout == nil {
			style := s.out.Style()
			s.layout = newTableLayout(columns, s.pending, style)
			s.line = make([]string, len(s.layout.columns))
			for i := range s.line {
				s.line[i] = s.layout.header(i)
			}
			if err := s.layout.write(w, s.line, style.Colour); err != nil {
				return err
			}
		}
		for _, row := range s.pending {
			s.layout.cells(row, s.line)
			if err := s.layout.write(w, s.line, false); err != nil {
				return err
			}
		}
		return nil
	})
	s.pending = s.pending[:0]
	return err
}

// optional notes which optional columns the rows have that wait, and gives the columns of a table with them.
func (s *Stream) optional() []Column {
	all := slices.Clone(s.columns)
	for i, c := range all {
		if !c.Optional || c.Hidden {
			continue
		}
		if !s.had[c.Name] && len(shownColumns(all[i:i+1], s.pending)) > 0 {
			if s.had == nil {
				s.had = map[string]bool{}
			}
			s.had[c.Name], s.layout = true, nil
		}
		all[i].Optional = !s.had[c.Name]
	}
	return shownColumns(all, s.pending)
}

// End writes what is left, with members of the document of JSON that only this command has.
func (s *Stream) End(more Row) error {
	if s.out.Format == JSON {
		return s.out.WriteResultAnd(s.out.result(s.columns, s.pending), more)
	}
	if err := s.Flush(); err != nil {
		return err
	}
	if s.layout != nil && s.layout.cut && !s.out.Quiet {
		fmt.Fprintln(s.out.Stderr, cutText)
	}
	return nil
}
