package engine

import (
	"hash/maphash"

	"ri/ovsdb"
)

// A finder has things by a value of a column: the rows that have it, or the monitors that wait for it. Without it each
// transaction of a thousand clients would ask all of them, and each question look through all rows.

// mayFind tells whether values of a column are found by their text: equal ones have the same, others another.
func (t *Table) mayFind(column int) bool {
	if column == idColumn {
		return true
	}
	of := t.columns[column].Type
	return column != versionColumn && of.Key.Type != ovsdb.Real && (of.Value == nil || of.Value.Type != ovsdb.Real)
}

// text is a column's value in a row, as a finder has it.
func (r *Row) text(column int) string {
	return string(r.field(column).Append(nil, r.table.columns[column].Type))
}

// rowFinder has the rows of a table by a hash of a column's value, so that it is small whatever the values are: there
// may be others among those that it finds.
type rowFinder map[uint64]map[*stored]bool

var hashSeed = maphash.MakeSeed()

func (f rowFinder) add(text string, s *stored) {
	key := maphash.String(hashSeed, text)
	if f[key] == nil {
		f[key] = map[*stored]bool{}
	}
	f[key][s] = true
}

func (f rowFinder) remove(text string, s *stored) {
	key := maphash.String(hashSeed, text)
	if delete(f[key], s); len(f[key]) == 0 {
		delete(f, key)
	}
}

// finder gives the rows by the value of a column. It is made when it is asked for first, and kept.
func (t *Table) finder(column int) rowFinder {
	if f := t.finders[column]; f != nil {
		return f
	}
	f := rowFinder{}
	for _, s := range t.rows {
		f.add(s.row.text(column), s)
	}
	t.finders[column] = f
	return f
}

// entered notes a row that a table has from now on, left one that it has no longer, for the finders that there are.
func (t *Table) entered(s *stored) {
	for column, f := range t.finders {
		f.add(s.row.text(column), s)
	}
}

func (t *Table) left(s *stored) {
	for column, f := range t.finders {
		f.remove(s.row.text(column), s)
	}
}

// with gives rows among which are all that fulfil a clause, false if these may be any.
func (t *Table) with(c clause) (map[*stored]bool, bool) {
	switch {
	case c.function == never:
		return nil, true
	case c.function != equal || !t.mayFind(c.column):
		return nil, false
	case c.column == idColumn:
		id, _ := c.arg.Keys[0].(ovsdb.UUID)
		if s := t.rows[id]; s != nil {
			return map[*stored]bool{s: true}, true
		}
		return nil, true
	}
	text := string(c.arg.Append(nil, t.columns[c.column].Type))
	for n, columns := range t.indexes {
		if len(columns) == 1 && columns[0] == c.column {
			if s := t.unique[n][text+"\n"]; s != nil {
				return map[*stored]bool{s: true}, true
			}
			return nil, true
		}
	}
	return t.finder(c.column)[maphash.String(hashSeed, text)], true
}

// anyOf gives rows among which are all that fulfil one of some clauses, as a monitor asks, false if these may be any.
func (t *Table) anyOf(where Condition) (map[*stored]bool, bool) {
	switch len(where) {
	case 0:
		return nil, false
	case 1:
		return t.with(where[0])
	}
	out := map[*stored]bool{}
	for _, c := range where {
		found, ok := t.with(c)
		if !ok {
			return nil, false
		}
		for s := range found {
			out[s] = true
		}
	}
	return out, true
}

// allOf gives rows among which are all that fulfil a condition, as a transaction asks, false if that may be any.
func (t *Table) allOf(where Condition) (map[*stored]bool, bool) {
	for _, c := range where { // the most selective come first
		if found, ok := t.with(c); ok {
			return found, true
		}
	}
	return nil, false
}

// watchers are the monitors of a table: by what their conditions ask for, and those that each change may concern.
type watchers struct {
	all map[*Monitor]bool
	by  map[sought]map[*Monitor]bool
	// columns by which some are found: how many, and whether as a value or as an element of a set.
	columns map[asked]int
}

type asked struct {
	column  int
	element bool
}

type sought struct {
	asked
	text string
}

// sought is what a monitor's clauses ask for; false if any change may concern it.
func (w *watched) sought(p Protocol) (out []sought, ok bool) {
	if p == Plain || len(w.where) == 0 {
		return nil, false
	}
	for _, c := range w.where {
		if c.function == never {
			continue
		}
		if c.function == always || !w.table.mayFind(c.column) {
			return nil, false
		}
		of := w.table.columns[c.column].Type
		switch {
		case c.function == equal:
			out = append(out, sought{asked{c.column, false}, string(c.arg.Append(nil, of))})
		case c.function == includes && of.Value == nil && len(c.arg.Keys) == 1:
			out = append(out, sought{asked{c.column, true}, string(c.arg.Append(nil, of))})
		default:
			return nil, false
		}
	}
	return out, true
}

// enlist has a monitor be asked about a table's changes that may concern it.
func (db *DB) enlist(m *Monitor, w *watched) {
	list := db.watchers[w.table]
	if list == nil {
		list = &watchers{map[*Monitor]bool{}, map[sought]map[*Monitor]bool{}, map[asked]int{}}
		db.watchers[w.table] = list
	}
	what, ok := w.sought(m.protocol)
	if !ok {
		list.all[m] = true
		return
	}
	for _, s := range what {
		if list.by[s] == nil {
			list.by[s] = map[*Monitor]bool{}
		}
		if !list.by[s][m] {
			list.by[s][m] = true
			list.columns[s.asked]++
		}
	}
}

// dismiss is the end of that.
func (db *DB) dismiss(m *Monitor, w *watched) {
	list := db.watchers[w.table]
	if list == nil {
		return
	}
	delete(list.all, m)
	what, _ := w.sought(m.protocol)
	for _, s := range what {
		if !list.by[s][m] {
			continue
		}
		if delete(list.by[s], m); len(list.by[s]) == 0 {
			delete(list.by, s)
		}
		if list.columns[s.asked]--; list.columns[s.asked] == 0 {
			delete(list.columns, s.asked)
		}
	}
}

// concerned are the monitors to which a transaction may have to be told: those that it concerns are among them.
func (db *DB) concerned(x *Txn) map[*Monitor]bool {
	out := map[*Monitor]bool{}
	for _, c := range x.order {
		list := db.watchers[c.table]
		if list == nil || c.nothing || c.old == c.new {
			continue
		}
		for m := range list.all {
			out[m] = true
		}
		for a := range list.columns {
			for _, r := range []*Row{c.old, c.new} {
				if r == nil {
					continue
				}
				if !a.element {
					for m := range list.by[sought{a, r.text(a.column)}] {
						out[m] = true
					}
					continue
				}
				of := c.table.columns[a.column].Type
				for _, key := range r.field(a.column).Keys {
					for m := range list.by[sought{a, string(ovsdb.Datum{Keys: []ovsdb.Atom{key}}.Append(nil, of))}] {
						out[m] = true
					}
				}
			}
		}
	}
	return out
}
