package rows

import (
	"fmt"
	"strings"
)

// Table gives the rows as text: the declared columns and those that rows have beside them, and each row's cells, safe to print. A list in the last column is
// a line an element; what wasn't given is "-".
func (r *Result) Table() (columns []Column, cells [][]string) {
	columns = allColumns(r.Columns, r.Rows)
	index := make(map[string]int, len(columns))
	for i, col := range columns {
		index[col.Name] = i
	}
	for _, row := range r.Rows {
		line := make([]string, len(columns))
		for i := range line {
			line[i] = CellText(nil)
		}
		for _, c := range row {
			line[index[c.Name]] = columnText(columns[index[c.Name]], c.Value, index[c.Name] == len(columns)-1)
		}
		cells = append(cells, line)
	}
	return columns, cells
}

// JSON is a result as ri run --json gives it.
func (r *Result) JSON() ([]byte, error) {
	var b strings.Builder
	if err := WriteJSON(&b, r); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", r.Recipe, err)
	}
	return []byte(b.String()), nil
}
