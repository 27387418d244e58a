package rows

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"ri/inert"
)

// TableStyle is how a table is written.
type TableStyle struct {
	Width  int  // columns of the terminal; 0: none, nothing is cut
	Colour bool // bold headers, red findings
	Wrap   bool // break the last column into lines instead of cutting it
}

const (
	columnGap = 2
	minColumn = 8 // no column is cut below this width

	shownElements = 10 // of a list that a finding has
)

// WriteText writes a result for people: printed lines and tables in the order in which the script gave them, then the
// findings. Where the script gave findings first, they come before the tables. cut says that cells were cut to the
// terminal's width. What is written goes out a line at a time, each by one call.
func WriteText(w io.Writer, r *Result, style TableStyle) (cut bool, err error) {
	row := 0
	flush := func(end int) {
		if end > row && err == nil {
			var c bool
			c, err = WriteTable(w, r.Columns, r.Rows[row:end], style)
			cut, row = cut || c, end
		}
	}
	say := func(text string) {
		if err == nil {
			_, err = io.WriteString(w, text)
		}
	}
	findings := func() {
		for _, f := range r.Findings {
			say(findingText(f, style))
		}
	}
	printed := r.Printed
	if r.FindingsFirst {
		for len(printed) > 0 && printed[0].Row == 0 {
			say(inert.Line(printed[0].Text) + "\n")
			printed = printed[1:]
		}
		findings()
		say("\n")
	}
	for _, p := range printed {
		flush(p.Row)
		say(inert.Line(p.Text) + "\n")
	}
	flush(len(r.Rows))
	if !r.FindingsFirst {
		if len(r.Rows) > 0 && len(r.Findings) > 0 {
			say("\n")
		}
		findings()
	}
	return cut, err
}

// WriteRows writes rows that no run gave (a list of processes, say) as a table.
func WriteRows(w io.Writer, columns []Column, rows []Row, style TableStyle) (cut bool, err error) {
	return WriteText(w, &Result{Columns: columns, Rows: rows}, style)
}

// WriteTable writes rows as a table, a line at a time. Columns are as wide as what stands in them: the rows are gone
// through once for that, and their cells' texts are made again for each line, so that a long table is held once, as
// rows.
// cut says that cells were cut to the terminal's width.
func WriteTable(w io.Writer, columns []Column, rows []Row, style TableStyle) (cut bool, err error) {
	l := newTableLayout(shownColumns(allColumns(columns, rows), rows), rows, style)
	line := make([]string, len(l.columns))
	for i := range line {
		line[i] = l.header(i)
	}
	if err := l.write(w, line, style.Colour); err != nil {
		return l.cut, err
	}
	for _, row := range rows {
		l.cells(row, line)
		if err := l.write(w, line, false); err != nil {
			return l.cut, err
		}
	}
	return l.cut, nil
}

// allColumns adds to the declared columns what rows have beside them.
func allColumns(columns []Column, rows []Row) []Column {
	seen := map[string]bool{}
	for _, c := range columns {
		seen[c.Name] = true
	}
	all := columns[:len(columns):len(columns)]
	for _, row := range rows {
		for _, c := range row {
			if !seen[c.Name] {
				seen[c.Name] = true
				all = append(all, Column{Name: c.Name})
			}
		}
	}
	return all
}

// shownColumns drops what is for JSON only, and the optional columns that no row has.
func shownColumns(columns []Column, rows []Row) []Column {
	return slices.DeleteFunc(slices.Clone(columns), func(c Column) bool {
		return c.Hidden || c.Optional && !slices.ContainsFunc(rows, func(r Row) bool {
			v, _ := r.Get(c.Name)
			return v != nil
		})
	})
}

// Text is a cell's text; a list in the last column stands one element a line.
func (col Column) Text(v any, last bool) string {
	switch v := v.(type) {
	case int64:
		switch {
		case col.Type == ColumnBytes && v >= 0:
			return ShortBytes(v)
		case col.Type == ColumnDuration:
			return DurationText(time.Duration(v))
		case col.Type == ColumnAddress:
			return fmt.Sprintf("%#x", v)
		}
	case uint64:
		if col.Type == ColumnAddress {
			return fmt.Sprintf("%#x", v)
		}
	}
	list, ok := v.([]any)
	if !ok || !last {
		return CellText(v)
	}
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = CellText(e)
	}
	return strings.Join(lines, "\n")
}

// fitWidths takes from the widest columns until the table fits; numbers are never cut.
func fitWidths(widths []int, columns []Column, aligns []text.Align, room int) []int {
	limits := slices.Clone(widths)
	if room <= 0 {
		return limits
	}
	over := columnGap*(len(widths)-1) - room
	for i, col := range columns {
		if col.Width > 0 {
			limits[i] = min(limits[i], max(col.Width, minColumn))
		}
		over += limits[i]
	}
	mayCut := make([]bool, len(columns))
	for i, col := range columns {
		mayCut[i] = aligns[i] != text.AlignRight && !col.Whole
	}
	for ; over > 0; over-- {
		widest := -1
		for i, w := range limits {
			if mayCut[i] && w > minColumn && (widest < 0 || w > limits[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		limits[widest]--
	}
	return limits
}

// columnAlign is what the column declares, else right for numbers.
func columnAlign(col Column, rows []Row) text.Align {
	switch col.Align {
	case "left":
		return text.AlignLeft
	case "right":
		return text.AlignRight
	}
	switch col.Type {
	case ColumnInt, ColumnFloat, ColumnDuration, ColumnBytes:
		return text.AlignRight
	case ColumnString, ColumnBool, ColumnTime, ColumnAddress:
		return text.AlignLeft
	}
	number := false
	for _, row := range rows {
		switch v, _ := row.Get(col.Name); {
		case v == nil:
		case !isNumber(v):
			return text.AlignLeft
		default:
			number = true
		}
	}
	if number {
		return text.AlignRight
	}
	return text.AlignLeft
}

func headerText(col Column) string {
	if col.AsIs {
		return inert.Cell(col.Name)
	}
	return strings.ToUpper(inert.Cell(strings.ReplaceAll(col.Name, "_", " ")))
}

var (
	importFolders = regexp.MustCompile(`[^\s()\[\],*&{}/]*/`)
	// majorVersion ends the path of a package, and is no part of its name: github.com/x/y/v2.T.
	majorVersion = regexp.MustCompile(`([^\s()\[\],*&{}/]/)v[0-9]+([.\s]|$)`)
)

// packageNames writes the types and variables of a text with their packages' names, as far as those can be told from
// the paths.
func packageNames(s string) string {
	s = majorVersion.ReplaceAllStringFunc(s, func(m string) string {
		parts := majorVersion.FindStringSubmatch(m)
		return strings.TrimSuffix(parts[1], "/") + parts[2]
	})
	return importFolders.ReplaceAllString(s, "")
}

// packagePath is what of a function's name or a path says least.
var packagePath = regexp.MustCompile(`[^\s(\[,/]*/`)

// snipLines cuts the lines of a cell to a width; of names, the paths of packages first, then their beginnings.
func snipLines(cell string, width int, left bool) string {
	lines := strings.Split(cell, "\n")
	for i, line := range lines {
		if left && text.StringWidth(line) > width {
			line = packagePath.ReplaceAllString(line, "")
			lines[i] = line
			if over := text.StringWidth(line) - width; over > 0 {
				runes := []rune(line)
				lines[i] = "…" + string(runes[min(over+1, len(runes)):])
			}
		} else if text.StringWidth(line) > width {
			lines[i] = text.Snip(line, width, "…")
		}
	}
	return strings.Join(lines, "\n")
}

// findingText is a finding as lines.
func findingText(f Finding, style TableStyle) string {
	var b strings.Builder
	severity := string(f.Severity)
	if severity == "" {
		severity = string(Warning)
	}
	if style.Colour {
		colour := text.FgYellow
		switch f.Severity {
		case Critical:
			colour = text.FgRed
		case Info:
			colour = text.FgCyan
		}
		severity = colour.Sprint(severity)
	}
	fmt.Fprintf(&b, "%s: %s\n", severity, inert.Line(f.What))
	part := func(label, s string) {
		if s != "" {
			fmt.Fprintf(&b, "  %s: %s\n", label, inert.Line(s))
		}
	}
	part("where", f.Where)
	for _, e := range f.Evidence {
		part("evidence", e)
	}
	part("next", f.Next)
	for _, c := range f.Extra {
		list, ok := c.Value.([]any)
		if more := len(list) - shownElements; ok && more > 1 {
			part(inert.Cell(c.Name), fmt.Sprintf("%s, and %d more (all of them with --json)", CellText(list[:shownElements]),
				more))
			continue
		}
		part(inert.Cell(c.Name), CellText(c.Value))
	}
	return b.String()
}
