package engine

import (
	"crypto/sha256"
	"maps"
	"slices"

	"ri/ovsdb"
)

// A database may stand for something that lies elsewhere: its rows are put in by Load, and what a transaction changes
// is told to who asked for it (Request.Commit) before it is done.

// Load makes the tables that are named have just these rows, as one transaction: monitors hear of what differs. A row's
// _version follows from its values, so that it is the same whoever loads the same row. Errors are of type *ovsdb.Error;
// then nothing has changed.
func (db *DB) Load(tables map[string]map[ovsdb.UUID]ovsdb.Row) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	x := db.begin()
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		t := db.tables[name]
		if t == nil {
			return ovsdb.Errorf(ovsdb.SyntaxTag, "No table named %s.", name)
		}
		for id, s := range t.rows {
			if _, stays := tables[name][id]; !stays {
				x.delete(s.row)
			}
		}
		for id, values := range tables[name] {
			r := t.empty(id)
			for column, d := range values {
				if i, ok := t.index[column]; ok && i >= firstColumn {
					r.fields[i-firstColumn] = d
				}
			}
			if c := x.change(t, id); c != nil {
				c.new = r
			} else {
				x.insert(r)
			}
		}
	}
	if err := x.prepare(); err != nil {
		return err
	}
	for _, c := range x.order {
		if c.new != nil && !c.nothing {
			c.new.version = c.new.digest()
		}
	}
	db.apply(x)
	return nil
}

// digest is a version that follows from the row's values.
func (r *Row) digest() (id ovsdb.UUID) {
	all := make([]int, 0, len(r.table.columns))
	for i := range r.table.columns {
		if i != versionColumn {
			all = append(all, i)
		}
	}
	sum := sha256.Sum256([]byte(r.key(all)))
	copy(id[:], sum[:])
	return id
}

// Change is what a transaction does to a row: the columns that it changes, as they were and as they are to be. Old is
// nil of a row that it inserts, New of one that it deletes.
type Change struct {
	Table    string
	ID       ovsdb.UUID
	Old, New ovsdb.Row
}

// list is what a transaction that is prepared changes, in its order.
func (x *Txn) list() []Change {
	var out []Change
	for _, c := range x.order {
		if c.nothing || c.old == nil && c.new == nil {
			continue
		}
		one := Change{Table: c.table.schema.Name, ID: c.id}
		pick := func(r *Row) ovsdb.Row {
			if r == nil {
				return nil
			}
			row := ovsdb.Row{}
			for i, column := range c.table.columns {
				if i >= firstColumn && c.changed[i] {
					row[column.Name] = r.field(i)
				}
			}
			return row
		}
		one.Old, one.New = pick(c.old), pick(c.new)
		out = append(out, one)
	}
	return out
}
