package rows

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
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
// terminal's width.
func WriteText(w io.Writer, r *Result, style TableStyle) (cut bool, err error) {
	var b strings.Builder
	row := 0
	flush := func(end int) {
		if end > row {
			cut = WriteTable(&b, r.Columns, r.Rows[row:end], style) || cut
			row = end
		}
	}
	findings := func() {
		for _, f := range r.Findings {
			writeFinding(&b, f, style)
		}
	}
	printed := r.Printed
	if r.FindingsFirst {
		for len(printed) > 0 && printed[0].Row == 0 {
			b.WriteString(inert.Line(printed[0].Text) + "\n")
			printed = printed[1:]
		}
		findings()
		b.WriteString("\n")
	}
	for _, p := range printed {
		flush(p.Row)
		b.WriteString(inert.Line(p.Text) + "\n")
	}
	flush(len(r.Rows))
	if !r.FindingsFirst {
		if len(r.Rows) > 0 && len(r.Findings) > 0 {
			b.WriteString("\n")
		}
		findings()
	}
	_, err = io.WriteString(w, b.String())
	return cut, err
}

// WriteRows writes rows that no run gave (a list of processes, say) as a table.
func WriteRows(w io.Writer, columns []Column, rows []Row, style TableStyle) (cut bool, err error) {
	return WriteText(w, &Result{Columns: columns, Rows: rows}, style)
}

// trailingSpaces are those that end a line, before the end of colours too.
var trailingSpaces = regexp.MustCompile(`(?m) +((?:\x1b\[0m)?)$`)

func WriteTable(b *strings.Builder, columns []Column, rows []Row, style TableStyle) (cut bool) {
	columns = shownColumns(allColumns(columns, rows), rows)
	cells, widths := layOut(columns, rows)
	if style.Wrap && style.Width > 0 {
		widths[len(widths)-1] = wrapLast(cells, widths, style.Width)
	}
	cut = leaveOutPaths(columns, cells, widths, style.Width)
	limits := fitWidths(widths, columns, rows, style.Width)

	t := table.NewWriter()
	t.SetStyle(plainStyle(style.Colour))
	configs := make([]table.ColumnConfig, len(columns))
	header := make(table.Row, len(columns))
	for i, col := range columns {
		align := columnAlign(col, rows)
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align}
		header[i] = headerText(col)
		if limits[i] < widths[i] {
			cut = true
			header[i] = text.Snip(headerText(col), limits[i], "…")
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(header)
	for _, line := range cells {
		out := make(table.Row, len(line))
		for i, cell := range line {
			out[i] = snipLines(cell, limits[i], columns[i].Cut == "left" || columns[i].Cut == CutPaths)
		}
		t.AppendRow(out)
	}
	b.WriteString(trailingSpaces.ReplaceAllString(t.Render(), "$1") + "\n")
	return cut
}

func plainStyle(colour bool) table.Style {
	style := table.StyleDefault
	style.Name = "ri"
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box = table.StyleBoxDefault
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = strings.Repeat(" ", columnGap)
	style.Format.Header = text.FormatDefault
	style.Color = table.ColorOptions{}
	if colour {
		style.Color.Header = text.Colors{text.Bold}
	}
	return style
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

// layOut gives each cell's text and each column's natural width.
func layOut(columns []Column, rows []Row) (cells [][]string, widths []int) {
	widths = make([]int, len(columns))
	for i, col := range columns {
		widths[i] = text.StringWidth(headerText(col))
	}
	index := make(map[string]int, len(columns))
	for i, col := range columns {
		index[col.Name] = i
	}
	for _, row := range rows {
		line := make([]string, len(columns))
		for i := range line {
			line[i] = CellText(nil)
		}
		for _, c := range row {
			i, shown := index[c.Name]
			if !shown {
				continue
			}
			line[i] = columnText(columns[i], c.Value, i == len(columns)-1)
			for part := range strings.SplitSeq(line[i], "\n") {
				widths[i] = max(widths[i], text.StringWidth(part))
			}
		}
		cells = append(cells, line)
	}
	return cells, widths
}

// wrapLast breaks the last cells of rows at spaces, to what the other columns leave, and gives their new width.
func wrapLast(cells [][]string, widths []int, room int) int {
	last := len(widths) - 1
	for _, w := range widths[:last] {
		room -= w + columnGap
	}
	room = max(room, 4*minColumn)
	for _, line := range cells {
		line[last] = text.WrapSoft(line[last], room)
	}
	return min(room, widths[last])
}

// columnText is a cell's text; a list in the last column stands one element a line.
func columnText(col Column, v any, last bool) string {
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

// leaveOutPaths leaves out the paths of packages, in columns that are cut so, if the table doesn't fit with them.
func leaveOutPaths(columns []Column, cells [][]string, widths []int, room int) (did bool) {
	total := columnGap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	if room <= 0 || total <= room {
		return false
	}
	for i, col := range columns {
		if col.Cut != CutPaths {
			continue
		}
		widths[i] = text.StringWidth(headerText(col))
		for _, line := range cells {
			short := packageNames(line[i])
			did = did || short != line[i]
			line[i] = short
			for part := range strings.SplitSeq(short, "\n") {
				widths[i] = max(widths[i], text.StringWidth(part))
			}
		}
	}
	return did
}

// fitWidths takes from the widest columns until the table fits; numbers are never cut.
func fitWidths(widths []int, columns []Column, rows []Row, room int) []int {
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
		mayCut[i] = columnAlign(col, rows) != text.AlignRight && !col.Whole
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

func writeFinding(b *strings.Builder, f Finding, style TableStyle) {
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
	fmt.Fprintf(b, "%s: %s\n", severity, inert.Line(f.What))
	part := func(label, s string) {
		if s != "" {
			fmt.Fprintf(b, "  %s: %s\n", label, inert.Line(s))
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
}
