package commands

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"ri/instruments/rows"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Where the value that Top looks at is a list or a map, what people want to compare are its elements: each has a row,
// and what changes in them has columns, with rates beside counts.

// maxTopElements is how many elements of a list or map Top looks at.
const maxTopElements = 1000

// topElement is an element, and its parts by their paths from it.
type topElement struct {
	key   string
	parts map[string]topRow
	order []string // of parts, as they stand in the value
}

// elementsOf are the elements of a list or map, as they stand in the value; nil where it is none, or elements have no
// numbers.
func elementsOf(expr string, rows []topRow) []*topElement {
	byKey := map[string]*topElement{}
	var elements []*topElement
	numbers := false
	for _, r := range rows {
		if r.element == "" {
			continue
		}
		e := byKey[r.element]
		if e == nil {
			e = &topElement{key: strings.TrimSuffix(strings.TrimPrefix(r.element, "["), "]"), parts: map[string]topRow{}}
			byKey[r.element] = e
			elements = append(elements, e)
		}
		part := strings.Replace(r.path, expr+r.element+".", "", 1)
		if part == r.path {
			part = strings.Replace(r.path, expr+r.element, "", 1)
		}
		if part == "" {
			part = "value"
		}
		if _, twice := e.parts[part]; twice || strings.ContainsAny(part, "[") { // lists in elements have no columns
			continue
		}
		e.parts[part] = r
		e.order = append(e.order, part)
		numbers = numbers || r.numeric
	}
	if !numbers {
		return nil
	}
	return elements
}

// elementTable is a table with a row for each element, the one first that changes fastest, and as many columns as there
// is room for: what has changed, then other numbers.
func (t *topScreen) elementTable(elements []*topElement, room int, style rows.TableStyle) (what, body string) {
	slices.SortStableFunc(elements, func(a, b *topElement) int { return compareKeys(a.key, b.key) })
	parts := t.elementParts(elements)
	if len(t.moved) > 0 {
		slices.SortStableFunc(elements, func(a, b *topElement) int {
			return cmp.Compare(math.Abs(b.parts[t.moved[0]].rate), math.Abs(a.parts[t.moved[0]].rate))
		})
	}
	shown := elements[:min(len(elements), room)]
	for n := min(len(parts), 12); ; n-- {
		var b strings.Builder
		cut := writeElements(&b, shown, parts[:max(n, 0)], t.moved, style)
		if !cut || n <= 1 {
			return fmt.Sprintf("%s of %s", rows.Plural(int64(len(shown)), "element"), rows.Thousands(int64(len(elements)))),
				b.String()
		}
	}
}

// compareKeys is the order of keys: numbers by what they are, others by text.
func compareKeys(a, b string) int {
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	if digits(a) && digits(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}
	return cmp.Compare(a, b)
}

// elementParts are the columns: a text that names the elements, what has changed, in a steady order, and what else are
// numbers.
func (t *topScreen) elementParts(elements []*topElement) (parts []string) {
	total := map[string]float64{}
	var name string
	var numbers []string
	seen := map[string]bool{}
	for _, e := range elements {
		for _, part := range e.order {
			r := e.parts[part]
			if r.changed && r.rated && r.numeric {
				total[part] += math.Abs(r.rate)
			}
			if seen[part] {
				continue
			}
			seen[part] = true
			switch {
			case r.numeric:
				numbers = append(numbers, part)
			case name == "" && strings.HasPrefix(r.text, `"`) && r.text != `""`:
				name = part
			}
		}
	}
	fresh := slices.DeleteFunc(rows.SortedKeys(total), func(part string) bool { return slices.Contains(t.moved, part) })
	slices.SortStableFunc(fresh, func(a, b string) int { return cmp.Compare(total[b], total[a]) })
	t.moved = append(t.moved, fresh...)
	if name != "" {
		parts = append(parts, name)
	}
	parts = append(parts, t.moved...)
	for _, part := range numbers {
		if !slices.Contains(t.moved, part) {
			parts = append(parts, part)
		}
	}
	return parts
}

// writeElements writes the table; what has changed has its rate beside it.
func writeElements(b *strings.Builder, elements []*topElement, parts, moved []string,
	style rows.TableStyle) (cut bool) {
	columns := []rows.Column{{Name: "key", Whole: true}}
	names := shortParts(parts)
	var list []rows.Row
	for _, e := range elements {
		row := rows.Of("key", cutLine(e.key, max(style.Width/3, 16)))
		for i, part := range parts {
			r, has := e.parts[part]
			var value, rate any
			if has {
				value = r.text
			}
			if has && r.rated && r.rate != 0 {
				rate = r.rate
			}
			row = append(row, rows.Cell{Name: names[i], Value: value})
			if slices.Contains(moved, part) {
				row = append(row, rows.Cell{Name: names[i] + "/s", Value: rate})
			}
		}
		list = append(list, row)
	}
	for i, part := range parts {
		number := slices.ContainsFunc(elements, func(e *topElement) bool { return e.parts[part].numeric })
		column := rows.Column{Name: names[i]}
		if number {
			column.Align = "right"
		}
		columns = append(columns, column)
		if slices.Contains(moved, part) {
			columns = append(columns, rows.Column{Name: names[i] + "/s", Type: rows.ColumnFloat})
		}
	}
	cut, _ = rows.WriteTable(b, columns, list, style) // a builder takes all
	return cut || tableWidth(b.String()) > style.Width
}

// tableWidth is how wide the widest line is: numbers aren't cut, so it may be more than the terminal has.
func tableWidth(table string) (width int) {
	for line := range strings.Lines(table) {
		width = max(width, text.StringWidthWithoutEscSequences(strings.TrimRight(line, " \n")))
	}
	return width
}

// shortParts are the last names of paths, where those are enough to tell them apart.
func shortParts(parts []string) []string {
	last := func(part string) string { return part[strings.LastIndexByte(part, '.')+1:] }
	count := map[string]int{"key": 1}
	for _, part := range parts {
		count[last(part)]++
	}
	names := slices.Clone(parts)
	for i, part := range parts {
		if short := last(part); count[short] == 1 && !strings.ContainsAny(part, "([") {
			names[i] = short
		}
	}
	return names
}
