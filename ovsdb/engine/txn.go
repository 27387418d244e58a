package engine

import (
	"slices"
	"strings"

	"ri/ovsdb"
)

// Txn is a transaction that is being made. What it changes lies beside the database until it is committed.
type Txn struct {
	db      *DB
	changes map[*Table]map[ovsdb.UUID]*change
	order   []*change // as they came
	names   map[string]*name
	comment []string
	keys    map[indexKey]*change // of the rows that it changes
	told    func([]Change, string) error
}

// change is what a transaction does to a row. Without old it is inserted, without new deleted; with neither it was
// inserted and went again.
type change struct {
	table    *Table
	id       ovsdb.UUID
	old, new *Row
	refs     int // strong references from other rows, once they are counted
	changed  []bool
	nothing  bool
}

// name is a row's name within a transaction ("uuid-name").
type name struct {
	id      ovsdb.UUID
	created bool
}

func (db *DB) begin() *Txn {
	return &Txn{db: db, changes: map[*Table]map[ovsdb.UUID]*change{}, names: map[string]*name{},
		keys: map[indexKey]*change{}}
}

// Named implements ovsdb.Names.
func (x *Txn) Named(text string, _ *ovsdb.BaseType) ovsdb.UUID { return x.named(text).id }

func (x *Txn) named(text string) *name {
	n := x.names[text]
	if n == nil {
		n = &name{id: ovsdb.NewUUID()}
		x.names[text] = n
	}
	return n
}

// row is a row as the transaction sees it, nil if there is none.
func (x *Txn) row(t *Table, id ovsdb.UUID) *Row {
	if c := x.changes[t][id]; c != nil {
		return c.new
	}
	if s := t.rows[id]; s != nil {
		return s.row
	}
	return nil
}

// change gives what the transaction does to a row, nil if there is no such row.
func (x *Txn) change(t *Table, id ovsdb.UUID) *change {
	if c := x.changes[t][id]; c != nil {
		return c
	}
	s := t.rows[id]
	if s == nil {
		return nil
	}
	return x.add(&change{table: t, id: id, old: s.row, new: s.row, refs: s.refs})
}

func (x *Txn) add(c *change) *change {
	if x.changes[c.table] == nil {
		x.changes[c.table] = map[ovsdb.UUID]*change{}
	}
	c.changed = make([]bool, len(c.table.columns))
	x.changes[c.table][c.id] = c
	x.order = append(x.order, c)
	return c
}

func (x *Txn) insert(r *Row) { x.add(&change{table: r.table, id: r.id, new: r}) }

// update replaces columns of a row.
func (x *Txn) update(r *Row, columns []int, from []ovsdb.Datum) {
	c := x.change(r.table, r.id)
	row := c.new.with()
	for n, i := range columns {
		row.fields[i-firstColumn] = from[n]
	}
	c.new = row
}

func (x *Txn) delete(r *Row) { x.change(r.table, r.id).new = nil }

// each calls f for every change once, those included that f adds.
func (x *Txn) each(f func(c *change) error) error {
	for i := 0; i < len(x.order); i++ {
		if c := x.order[i]; !c.nothing {
			if err := f(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare finds out what a transaction changes, and whether it may: references, garbage, numbers of rows, indexes. What
// has to change besides is added. Errors are of type *ovsdb.Error. The order of the steps is that of Open vSwitch.
func (x *Txn) prepare() error {
	for _, c := range x.order {
		x.compare(c)
	}
	steps := []func(*change) error{x.countReferences, x.referredTo, x.collect, x.maxRows, x.weakReferences,
		x.uniqueness}
	for _, step := range steps {
		if err := x.each(step); err != nil {
			return err
		}
	}
	for _, c := range x.order {
		if c.old != nil && c.new != nil && slices.Contains(c.changed, true) {
			c.new = c.new.with()
			c.new.version = ovsdb.NewUUID()
			c.changed[versionColumn] = true
		}
	}
	return nil
}

// compare notes which columns a change changes; one that changes nothing is left out.
func (x *Txn) compare(c *change) {
	switch {
	case c.old == nil && c.new == nil:
		c.nothing = true
	case c.old == nil || c.new == nil:
		for i := range c.changed {
			c.changed[i] = true
		}
	default:
		c.nothing = true
		for i := range c.old.fields {
			if c.old.fields[i].Compare(c.new.fields[i]) != 0 {
				c.changed[i+firstColumn], c.nothing = true, false
			}
		}
	}
	if c.nothing && c.old != nil {
		delete(x.changes[c.table], c.id)
	}
}

// references calls f for each reference that a datum has: to a row of table to.
func (db *DB) references(c *ovsdb.Column, d ovsdb.Datum, weak bool, f func(to *Table, id ovsdb.UUID) error) error {
	for n, b := range []*ovsdb.BaseType{&c.Type.Key, c.Type.Value} {
		if b == nil || b.RefTable == "" || b.Weak != weak {
			continue
		}
		atoms := d.Keys
		if n == 1 {
			atoms = d.Values
		}
		for _, a := range atoms {
			id, _ := a.(ovsdb.UUID)
			if err := f(db.tables[b.RefTable], id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *Txn) countReferences(c *change) error {
	for i, column := range c.table.columns[firstColumn:] {
		if !c.changed[i+firstColumn] {
			continue
		}
		count := func(r *Row, by int) error {
			if r == nil {
				return nil
			}
			return x.db.references(column, r.fields[i], false, func(to *Table, id ovsdb.UUID) error {
				if id == c.id { // a row that refers to itself isn't kept by that
					return nil
				}
				target := x.change(to, id)
				if target == nil {
					return ovsdb.Errorf("referential integrity violation",
						"Table %s column %s row %s references nonexistent row %s in table %s.", c.table.schema.Name,
						column.Name, c.id, id, to.schema.Name)
				}
				target.refs += by
				return nil
			})
		}
		// The new ones first: a row that both have must not seem to be gone meanwhile.
		if err := count(c.new, 1); err != nil {
			return err
		}
		if err := count(c.old, -1); err != nil {
			return err
		}
	}
	return nil
}

func (x *Txn) referredTo(c *change) error {
	if c.new == nil && c.refs > 0 {
		return ovsdb.Errorf("referential integrity violation", "cannot delete %s row %s because of %d remaining "+
			"reference(s)", c.table.schema.Name, c.id, c.refs)
	}
	return nil
}

// collect deletes a row that nothing refers to, and what only it referred to.
func (x *Txn) collect(c *change) error {
	pending := []*change{c}
	for len(pending) > 0 {
		c := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if c.new == nil || c.refs > 0 || c.table.schema.IsRoot {
			continue
		}
		row := c.new
		c.new = nil
		for i := range c.changed {
			c.changed[i] = true
		}
		for i, column := range c.table.columns[firstColumn:] {
			x.db.references(column, row.fields[i], false, func(to *Table, id ovsdb.UUID) error {
				if target := x.change(to, id); id != c.id && target != nil {
					target.refs--
					pending = append(pending, target)
				}
				return nil
			})
		}
	}
	return nil
}

func (x *Txn) maxRows(c *change) error {
	most := c.table.schema.MaxRows
	if most == ovsdb.Unlimited {
		return nil
	}
	n := len(c.table.rows)
	for _, c := range x.changes[c.table] {
		switch {
		case c.old == nil && c.new != nil:
			n++
		case c.old != nil && c.new == nil:
			n--
		}
	}
	if n > most {
		return ovsdb.Errorf(ovsdb.ConstraintTag, "transaction causes \"%s\" table to contain %d rows, greater than the "+
			"schema-defined limit of %d row(s)", c.table.schema.Name, n, most)
	}
	return nil
}

// weakReferences takes references to rows that aren't there out of a row, and looks again at the rows that refer to one
// which goes.
func (x *Txn) weakReferences(c *change) error {
	if c.old != nil && c.new == nil {
		if s := c.table.rows[c.id]; s != nil {
			for from := range s.from {
				if source := x.change(from.table, from.id); source != nil && source.new != nil {
					if err := x.dropDead(source); err != nil {
						return err
					}
				}
			}
		}
	}
	if c.new == nil {
		return nil
	}
	return x.dropDead(c)
}

func (x *Txn) dropDead(c *change) error {
	for i, column := range c.table.columns[firstColumn:] {
		has := c.new.fields[i]
		dead := map[ovsdb.UUID]bool{}
		zero := false
		x.db.references(column, has, true, func(to *Table, id ovsdb.UUID) error {
			if x.row(to, id) == nil {
				dead[id] = true
				zero = zero || id == ovsdb.UUID{}
			}
			return nil
		})
		if len(dead) == 0 {
			continue
		}
		left := ovsdb.Datum{}
		if has.Values != nil {
			left.Values = []ovsdb.Atom{}
		}
		for k, key := range has.Keys {
			gone := column.Type.Key.Weak && isDead(dead, key)
			if has.Values != nil {
				gone = gone || column.Type.Value.Weak && isDead(dead, has.Values[k])
			}
			if gone {
				continue
			}
			left.Keys = append(left.Keys, key)
			if has.Values != nil {
				left.Values = append(left.Values, has.Values[k])
			}
		}
		row := c.new.with()
		row.fields[i] = left
		c.new = row
		c.changed[i+firstColumn] = true
		if len(left.Keys) < column.Type.Min {
			return tooFew(c, column, len(has.Keys)-len(left.Keys), zero)
		}
	}
	return nil
}

func isDead(dead map[ovsdb.UUID]bool, a ovsdb.Atom) bool {
	id, ok := a.(ovsdb.UUID)
	return ok && dead[id]
}

func tooFew(c *change, column *ovsdb.Column, gone int, zero bool) error {
	if zero && c.old == nil {
		return ovsdb.Errorf(ovsdb.ConstraintTag, "Weak reference column \"%s\" in \"%s\" row %s (inserted within this "+
			"transaction) contained all-zeros UUID (probably as the default value for this column) but deleting this "+
			"value caused a constraint volation because this column is not allowed to be empty.", column.Name,
			c.table.schema.Name, c.id)
	}
	inserted := ""
	if c.old == nil {
		inserted = "(inserted within this transaction) "
	}
	return ovsdb.Errorf(ovsdb.ConstraintTag, "Deletion of %d weak reference(s) to deleted (or never-existing) rows from "+
		"column \"%s\" in \"%s\" row %s %scaused this column to become empty, but constraints on this column disallow "+
		"an empty column.", gone, column.Name, c.table.schema.Name, c.id, inserted)
}

// uniqueness checks that no other row has the same values in the columns of an index.
func (x *Txn) uniqueness(c *change) error {
	if c.new == nil {
		return nil
	}
	for n, columns := range c.table.indexes {
		key := c.new.key(columns)
		if s := c.table.unique[n][key]; s != nil && s.row.id != c.id && x.changes[c.table][s.row.id] == nil {
			return x.duplicate(columns, s.row, c.new)
		}
		if other := x.keys[indexKey{c.table, n, key}]; other != nil && other.new != nil {
			return x.duplicate(columns, other.new, c.new)
		}
		x.keys[indexKey{c.table, n, key}] = c
	}
	return nil
}

type indexKey struct {
	table *Table
	index int
	key   string
}

func (x *Txn) duplicate(columns []int, a, b *Row) error {
	t := a.table
	for i := range t.columns { // in an order that doesn't depend on UUIDs
		kind := t.columns[i].Type
		if kind.Key.Type == ovsdb.UUIDs || kind.Value != nil && kind.Value.Type == ovsdb.UUIDs {
			continue
		}
		if order := a.field(i).Compare(b.field(i)); order != 0 {
			if order < 0 {
				a, b = b, a
			}
			break
		}
	}
	names := make([]string, len(columns))
	for n, i := range columns {
		names[n] = `"` + t.columns[i].Name + `"`
	}
	s := ""
	if len(columns) > 1 {
		s = "s"
	}
	return ovsdb.Errorf(ovsdb.ConstraintTag, "Transaction causes multiple rows in \"%s\" table to have identical "+
		"values (%s) for index on column%s %s.  First row, with UUID %s, %s  Second row, with UUID %s, %s",
		t.schema.Name, a.english(columns), s, english(names), a.id, x.history(columns, a), b.id, x.history(columns, b))
}

// history says where a row that another one equals comes from.
func (x *Txn) history(columns []int, r *Row) string {
	c := x.changes[r.table][r.id]
	switch {
	case c == nil || !slices.Contains(c.changed, true):
		return "existed in the database before this transaction and was not modified by the transaction."
	case c.old == nil:
		return "was inserted by this transaction."
	case c.old.sameIn(r, columns):
		return "existed in the database before this transaction, which modified some of the row's columns but not any " +
			"columns in this index."
	}
	return "had the following index values before the transaction: " + c.old.english(columns) + "."
}

func (r *Row) english(columns []int) string {
	texts := make([]string, len(columns))
	for n, i := range columns {
		texts[n] = r.field(i).Format(r.table.columns[i].Type)
	}
	return english(texts)
}

// english is "a", "a and b", "a, b, and c".
func english(list []string) string {
	if len(list) < 3 {
		return strings.Join(list, " and ")
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + ", and " + list[last]
}
