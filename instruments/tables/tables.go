// Package tables has a Go process as a database of OVSDB: instruments that declare columns are tables, a row each, and
// their key columns the index. What a transaction reads is of one look; what it changes is one guarded transaction.
//
// What may not come in: connections, who may do what, how a process is looked at.
package tables

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/instruments/lang"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/ovsdb"
)

// Table is an instrument as a table.
type Table struct {
	Name    string
	Plan    *looks.Plan
	columns []column
	index   []string // columns that name a row together
}

type column struct {
	rows.Column
	name string
	typ  ovsdb.BaseType
}

// Of are the tables of a session's program: its reading recipes that need no parameter, declare columns, and are
// content with one look at what they touch. One that traces, looks at what comes by, or copies all memory is none.
func Of(s *looks.Session, c *recipes.Catalogue, look looks.Options) []*Table {
	var out []*Table
	taken := map[string]bool{}
	for _, p := range s.Fitting(c, look, nil) {
		h := recipes.HeaderOf(p.Script)
		if len(h.Columns) == 0 || h.Less || len(h.Modules) > 0 || p.Traces() || p.View == attach.Live ||
			slices.Contains(h.Needs.Runtime, "heap") || slices.ContainsFunc(h.Params, aboutPlace) {
			continue
		}
		t := &Table{Name: ovsdb.Name(p.Recipe.Name), Plan: p}
		if taken[t.Name] {
			continue
		}
		taken[t.Name] = true
		p.Once = true
		everything(p, h)
		t.describe(h.Columns)
		out = append(out, t)
	}
	return out
}

// aboutPlace tells whether a parameter says which place of the program the instrument is about.
func aboutPlace(p lang.Param) bool {
	return p.Default == nil && (p.Type == lang.ParamExpr || p.Type == lang.ParamAddress || p.Type == lang.ParamGoType)
}

// mostRows is the limit of an instrument that has one: a table has all rows.
const mostRows = 1_000_000

// everything lifts the limit of rows that an instrument has for people.
func everything(p *looks.Plan, h *lang.Header) {
	for _, param := range h.Params {
		if param.Name != "limit" || param.Type != lang.ParamInt {
			continue
		}
		most := int64(mostRows)
		if m, ok := param.Max.(int64); ok {
			most = min(most, m)
		}
		p.Params["limit"] = most
	}
}

func (t *Table) describe(columns []rows.Column) {
	alone := false
	for _, c := range columns {
		one := column{Column: c, name: ovsdb.Name(c.Name)}
		if slices.ContainsFunc(t.columns, func(other column) bool { return other.name == one.name }) {
			continue
		}
		switch c.Type {
		case rows.ColumnInt, rows.ColumnBytes, rows.ColumnDuration:
			one.typ.Type = ovsdb.Integer
		case rows.ColumnFloat:
			one.typ.Type = ovsdb.Real
		case rows.ColumnBool:
			one.typ.Type = ovsdb.Boolean
		default:
			one.typ.Type = ovsdb.String
		}
		t.columns = append(t.columns, one)
		switch c.Key {
		case rows.KeyAlone:
			alone = true
		case rows.KeyPart:
			t.index = append(t.index, one.name)
		}
	}
	if alone { // rows of several kinds: no columns name all of them
		t.index = nil
	}
}

// Changeable tells whether some column of the table may be changed.
func (t *Table) Changeable() bool {
	return slices.ContainsFunc(t.columns, func(c column) bool { return c.Change })
}

// Schema is the database's schema, as JSON.
func Schema(database string, tables []*Table) map[string]any {
	all := map[string]any{}
	for _, t := range tables {
		columns := map[string]any{}
		for _, c := range t.columns {
			columns[c.name] = map[string]any{"mutable": c.Change,
				"type": map[string]any{"key": string(c.typ.Type), "min": 0, "max": 1}}
		}
		table := map[string]any{"columns": columns, "isRoot": true}
		if t.index != nil {
			table["indexes"] = []any{t.index}
		}
		all[t.Name] = table
	}
	return map[string]any{"name": database, "version": "1.0.0", "tables": all}
}

// Rows are the rows of a look as the database has them. A row's UUID follows from the process, the table and the row's
// key, so that it is the same for the same thing in each look. What has the same key in one look is told apart by its
// order; where the key is the table's index, only the first is a row, and the others are counted.
func (t *Table) Rows(identity string, list []rows.Row) (found map[ovsdb.UUID]ovsdb.Row, ids []ovsdb.UUID, twice int) {
	found, ids = map[ovsdb.UUID]ovsdb.Row{}, make([]ovsdb.UUID, len(list))
	met := map[string]int{}
	declared := recipes.HeaderOf(t.Plan.Script).Columns
	for i, r := range list {
		key := r.Key(declared)
		n := met[key]
		met[key]++
		if n > 0 && t.index != nil {
			twice++
			continue
		}
		ids[i] = uuid(identity, t.Name, key, n)
		row := ovsdb.Row{}
		for _, c := range t.columns {
			if v, ok := r.Get(c.Name); ok {
				row[c.name] = c.datum(v)
			}
		}
		found[ids[i]] = row
	}
	return found, ids, twice
}

func uuid(identity, table, key string, n int) (id ovsdb.UUID) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", identity, table, key, n))
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8
	return id
}

// datum is a value as the database has it; what it can't have is empty.
func (c column) datum(v any) (none ovsdb.Datum) {
	if v == nil {
		return none
	}
	switch c.typ.Type {
	case ovsdb.Integer:
		switch n := v.(type) {
		case int64:
			return ovsdb.Scalar(n)
		case time.Duration:
			return ovsdb.Scalar(int64(n))
		}
		return none
	case ovsdb.Real:
		switch f := v.(type) {
		case float64:
			if !math.IsNaN(f) && !math.IsInf(f, 0) {
				return ovsdb.Scalar(f)
			}
		case int64:
			return ovsdb.Scalar(float64(f))
		}
		return none
	case ovsdb.Boolean:
		if b, ok := v.(bool); ok {
			return ovsdb.Scalar(b)
		}
		return none
	}
	return ovsdb.Scalar(ovsdb.CleanString(c.text(v)))
}

func (c column) text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case rows.Bytes:
		return x.String()
	case time.Time:
		return x.Format(time.RFC3339Nano)
	case rows.GoText:
		return x.Text
	case rows.Address:
		if c.Type == rows.ColumnAddress {
			return fmt.Sprintf("0x%x", x.Addr)
		}
		return x.Text
	}
	return strings.TrimSpace(string(rows.AppendJSON(nil, v)))
}
