package rows

import (
	"bytes"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// tableLayout is how a table's cells stand: what each column shows, how wide it is, on which side.
type tableLayout struct {
	columns []Column
	index   map[string]int
	aligns  []text.Align
	limits  []int  // to which cells are cut; -1: this column's aren't
	widths  []int  // of what then stands in the columns
	wrap    int    // the width at which cells of the last column are broken into lines; 0: they aren't
	short   bool   // paths of packages are left out, in columns that are cut so
	cut     bool   // something was
	line    []byte // that is being written
}

func newTableLayout(columns []Column, rows []Row, style TableStyle) *tableLayout {
	n := len(columns)
	l := &tableLayout{columns: columns, index: make(map[string]int, n), aligns: make([]text.Align, n),
		limits: make([]int, n)}
	for i, col := range columns {
		l.index[col.Name], l.aligns[i], l.limits[i] = i, columnAlign(col, rows), -1
	}
	l.widths = l.measure(rows)
	if style.Width <= 0 {
		return l
	}
	if style.Wrap {
		l.wrapLast(style.Width)
	}
	if l.total() > style.Width {
		l.leaveOutPaths(rows)
	}
	natural := l.widths
	for i, limit := range fitWidths(natural, columns, l.aligns, style.Width) {
		if limit < natural[i] {
			l.limits[i], l.cut = limit, true
		}
	}
	if l.cut {
		l.widths = l.measure(rows) // a cell that lost a path may be shorter than it had to be
	}
	return l
}

// total is how wide the table is.
func (l *tableLayout) total() int {
	total := columnGap * (len(l.widths) - 1)
	for _, w := range l.widths {
		total += w
	}
	return total
}

// measure gives each column's width, its header's too.
func (l *tableLayout) measure(rows []Row) []int {
	widths := make([]int, len(l.columns))
	for i := range widths {
		widths[i] = text.StringWidth(l.header(i))
	}
	line := make([]string, len(widths))
	for _, row := range rows {
		l.cells(row, line)
		for i, cell := range line {
			for part := range strings.SplitSeq(cell, "\n") {
				widths[i] = max(widths[i], textWidth(part))
			}
		}
	}
	return widths
}

// textWidth is text.StringWidth, for what is mostly ASCII.
func textWidth(s string) int {
	for i := range len(s) {
		if s[i] >= 0x7f || s[i] < ' ' {
			return text.StringWidth(s)
		}
	}
	return len(s)
}

// wrapLast breaks the cells of the last column at spaces, to what the other columns leave.
func (l *tableLayout) wrapLast(room int) {
	last := len(l.widths) - 1
	room = max(room-l.total()+l.widths[last], 4*minColumn)
	l.wrap, l.widths[last] = room, min(room, l.widths[last])
}

// leaveOutPaths leaves out the paths of packages, in columns that are cut so.
func (l *tableLayout) leaveOutPaths(rows []Row) {
	for i, col := range l.columns {
		if col.Cut != CutPaths {
			continue
		}
		for _, row := range rows {
			if v, _ := row.Get(col.Name); v != nil {
				long := l.text(i, v)
				if packageNames(long) != long {
					l.short, l.cut = true, true
					l.widths = l.measure(rows)
					return
				}
			}
		}
	}
}

func (l *tableLayout) header(i int) string {
	name := headerText(l.columns[i])
	if l.limits[i] >= 0 {
		return text.Snip(name, l.limits[i], "…")
	}
	return name
}

// cells fills line with a row's texts.
func (l *tableLayout) cells(row Row, line []string) {
	for i := range line {
		line[i] = CellText(nil)
	}
	for _, c := range row {
		if i, shown := l.index[c.Name]; shown {
			line[i] = l.text(i, c.Value)
		}
	}
}

// text is what a column shows of a value.
func (l *tableLayout) text(i int, v any) string {
	col, last := l.columns[i], i == len(l.columns)-1
	cell := col.Text(v, last)
	if last && l.wrap > 0 {
		cell = text.WrapSoft(cell, l.wrap)
	}
	if l.short && col.Cut == CutPaths {
		cell = packageNames(cell)
	}
	if l.limits[i] >= 0 {
		cell = snipLines(cell, l.limits[i], col.Cut == "left" || col.Cut == CutPaths)
	}
	return cell
}

// write writes the lines of a row's cells; nothing stands behind the last of a line.
func (l *tableLayout) write(w io.Writer, cells []string, bold bool) error {
	for more := true; more; {
		more = false
		l.line = l.line[:0]
		if bold {
			l.line = append(l.line, text.Bold.EscapeSeq()...)
		}
		for i := range cells {
			part, rest, goesOn := strings.Cut(cells[i], "\n")
			cells[i], more = rest, more || goesOn
			space := max(l.widths[i]-textWidth(part), 0)
			if l.aligns[i] == text.AlignRight {
				l.line = appendSpaces(l.line, space)
				l.line = appendSpaces(append(l.line, part...), columnGap)
			} else {
				l.line = appendSpaces(append(l.line, part...), space+columnGap)
			}
		}
		l.line = bytes.TrimRight(l.line, " ")
		if bold {
			l.line = append(l.line, text.Reset.EscapeSeq()...)
		}
		l.line = append(l.line, '\n')
		if _, err := w.Write(l.line); err != nil {
			return err
		}
	}
	return nil
}

func appendSpaces(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}
