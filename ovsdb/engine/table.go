package engine

import (
	"maps"
	"slices"

	"ri/ovsdb"
)

// Row is a row as it is at one time. It is never changed.
type Row struct {
	table   *Table
	id      ovsdb.UUID
	version ovsdb.UUID
	fields  []ovsdb.Datum // by Table.columns
}

// ID is the row's _uuid.
func (r *Row) ID() ovsdb.UUID { return r.id }

// Column gives a column's value by name; _uuid and _version are columns, too.
func (r *Row) Column(name string) ovsdb.Datum {
	i, ok := r.table.index[name]
	if !ok {
		return ovsdb.Datum{}
	}
	return r.field(i)
}

// Positions of the columns that each table has; those of the schema follow, by name.
const (
	idColumn = iota
	versionColumn
	firstColumn
)

func (r *Row) field(i int) ovsdb.Datum {
	switch i {
	case idColumn:
		return ovsdb.Scalar(r.id)
	case versionColumn:
		return ovsdb.Scalar(r.version)
	}
	return r.fields[i-firstColumn]
}

// with is a copy that may be changed until it is given away.
func (r *Row) with() *Row {
	c := *r
	c.fields = slices.Clone(r.fields)
	return &c
}

// Table is a table with its rows.
type Table struct {
	schema  *ovsdb.Table
	columns []*ovsdb.Column // by position
	index   map[string]int
	rows    map[ovsdb.UUID]*stored
	unique  []map[string]*stored // by index of the schema, by the values of its columns
	indexes [][]int              // positions of the columns of each index
	finders map[int]rowFinder    // by column
}

// stored is a row in its table, with what refers to it.
type stored struct {
	row  *Row
	refs int          // strong references from other rows
	from map[link]int // how many weak references each row has to it
}

type link struct {
	table *Table
	id    ovsdb.UUID
}

func newTable(schema *ovsdb.Table) *Table {
	t := &Table{schema: schema, index: map[string]int{}, rows: map[ovsdb.UUID]*stored{},
		finders: map[int]rowFinder{}}
	names := append([]string{"_uuid", "_version"}, slices.Sorted(maps.Keys(schema.Columns))...)
	for i, name := range names {
		t.columns = append(t.columns, schema.Column(name))
		t.index[name] = i
	}
	for _, columns := range schema.Indexes {
		t.unique = append(t.unique, map[string]*stored{})
		t.indexes = append(t.indexes, t.positions(columns))
	}
	return t
}

func (t *Table) positions(columns []string) []int {
	out := make([]int, len(columns))
	for i, name := range columns {
		out[i] = t.index[name]
	}
	return out
}

// columnSet gives positions of columns: of all if names is nil.
func (t *Table) columnSet(names any) ([]int, error) {
	if names == nil {
		out := make([]int, len(t.columns))
		for i := range out {
			out[i] = i
		}
		return out, nil
	}
	set, err := t.schema.ColumnSet(names)
	return t.positions(set), err
}

// empty is a row with defaults.
func (t *Table) empty(id ovsdb.UUID) *Row {
	r := &Row{table: t, id: id, version: ovsdb.NewUUID(), fields: make([]ovsdb.Datum, len(t.columns)-firstColumn)}
	for i, c := range t.columns[firstColumn:] {
		r.fields[i] = c.Type.Default()
	}
	return r
}

// key has the values of some columns as one text: equal for equal values only.
func (r *Row) key(columns []int) string {
	var b []byte
	for _, i := range columns {
		b = append(r.field(i).Append(b, r.table.columns[i].Type), '\n')
	}
	return string(b)
}

// appendJSON appends the columns as a JSON object, in the order of their names.
func (r *Row) appendJSON(b []byte, columns []int) []byte {
	b = append(b, '{')
	for n, i := range columns {
		if n > 0 {
			b = append(b, ',')
		}
		c := r.table.columns[i]
		b = append(ovsdb.AppendText(b, c.Name), ':')
		b = r.field(i).Append(b, c.Type)
	}
	return append(b, '}')
}

// sameIn tells whether two rows of a table have the same values in some columns.
func (r *Row) sameIn(other *Row, columns []int) bool {
	for _, i := range columns {
		if r.field(i).Compare(other.field(i)) != 0 {
			return false
		}
	}
	return true
}
