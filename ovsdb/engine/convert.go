package engine

import (
	"ri/ovsdb"
)

// Convert gives the database another schema of the same name. Tables and columns that the new one lacks are dropped;
// values that it doesn't allow are an error, of type *ovsdb.Error, and nothing has changed. Monitors end.
func (db *DB) Convert(j any) error {
	schema, err := ovsdb.SchemaFromJSON(j)
	if err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if schema.Name != db.schema.Name {
		return ovsdb.Errorf("invalid parameters", "new schema name (%s) does not match database name (%s)", schema.Name,
			db.schema.Name)
	}
	if db.readOnly {
		return ovsdb.Errorf("not allowed", "conversion is not allowed for read-only database %s", schema.Name)
	}
	next := New(schema)
	x := next.begin()
	for name, old := range db.tables {
		t := next.tables[name]
		if t == nil {
			continue
		}
		for id, s := range old.rows {
			r := t.empty(id)
			for i, c := range t.columns[firstColumn:] {
				was := old.schema.Columns[c.Name]
				if was == nil {
					continue
				}
				// Read anew, as what the old one writes: types may have changed.
				var value any
				d := s.row.Column(c.Name)
				if err := ovsdb.Decode(d.Append(nil, was.Type), &value); err != nil {
					return err
				}
				if r.fields[i], err = c.Type.FromJSON(value, nil); err != nil {
					return err
				}
			}
			x.insert(r)
		}
	}
	if err := next.commitMemory(x); err != nil {
		return err
	}
	if db.file != nil {
		if err := db.file.Convert(schema, next.everything()); err != nil {
			return &ovsdb.Error{Tag: "I/O error", Details: err.Error()}
		}
	}
	db.schema, db.tables = schema, next.tables
	clear(db.watchers)
	clear(db.initials)
	close(db.changed)
	db.changed = make(chan struct{})
	return nil
}

// Internal inserts a row into a database that clients can't change (_Server), and gives its UUID.
func (db *DB) Internal(table string, values ovsdb.Row) (ovsdb.UUID, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[table]
	x := db.begin()
	r := t.empty(ovsdb.NewUUID())
	for name, d := range values {
		r.fields[t.index[name]-firstColumn] = d
	}
	x.insert(r)
	return r.id, db.commitMemory(x)
}

// InternalUpdate replaces values of such a row.
func (db *DB) InternalUpdate(table string, id ovsdb.UUID, values ovsdb.Row) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	t := db.tables[table]
	x := db.begin()
	if r := x.row(t, id); r != nil {
		for name, d := range values {
			x.update(r, []int{t.index[name]}, []ovsdb.Datum{d})
		}
	}
	return db.commitMemory(x)
}

// InternalDelete deletes such a row.
func (db *DB) InternalDelete(table string, id ovsdb.UUID) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	x := db.begin()
	if r := x.row(db.tables[table], id); r != nil {
		x.delete(r)
	}
	return db.commitMemory(x)
}
