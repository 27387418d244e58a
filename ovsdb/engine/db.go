package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"ri/ovsdb"
)

// DB is a database. It is safe for concurrent use.
type DB struct {
	mu       sync.Mutex
	schema   *ovsdb.Schema
	tables   map[string]*Table
	file     *ovsdb.File // nil: in memory only
	readOnly bool
	watchers map[*Table]*watchers // the monitors
	// changed is closed, and made anew, when a transaction is committed: those that wait try again.
	changed    chan struct{}
	compaction error // of the last automatic one
	// initials are first rows of monitors, as they are now, by what was asked for.
	initials map[string]json.RawMessage
}

// New makes an empty database in memory.
func New(schema *ovsdb.Schema) *DB {
	db := &DB{watchers: map[*Table]*watchers{}, changed: make(chan struct{}), initials: map[string]json.RawMessage{}}
	db.reset(schema)
	return db
}

func (db *DB) reset(schema *ovsdb.Schema) {
	db.schema, db.tables = schema, map[string]*Table{}
	for name, t := range schema.Tables {
		db.tables[name] = newTable(t)
	}
}

// Open makes a database of what is in a file, which must be open for writing, and keeps it there. The file must not be
// used otherwise meanwhile. The error says which record contradicts the schema, of type *ovsdb.Error, wrapped.
func Open(file *ovsdb.File) (*DB, error) {
	db := New(file.Schema)
	x := db.begin()
	for name, t := range db.tables {
		for id, columns := range file.Rows(name) {
			r := t.empty(id)
			for column, d := range columns {
				if i, ok := t.index[column]; ok {
					r.fields[i-firstColumn] = d
				}
			}
			x.insert(r)
		}
	}
	if err := db.commitMemory(x); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path, err)
	}
	db.file = file
	file.Forget()
	return db, nil
}

// SetReadOnly has all transactions refused that would change something.
func (db *DB) SetReadOnly(on bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.readOnly = on
}

// Schema of the database.
func (db *DB) Schema() *ovsdb.Schema {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.schema
}

// Table finds a table.
func (db *DB) Table(name string) *Table {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.tables[name]
}

// Changed is closed when the next transaction is committed that changes something.
func (db *DB) Changed() <-chan struct{} {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.changed
}

// commit writes a transaction that is prepared, to the file first, and tells the monitors. Errors are of type
// *ovsdb.Error; then nothing has changed.
func (db *DB) commit(x *Txn, durable bool) error {
	if err := x.prepare(); err != nil {
		return err
	}
	if x.told != nil {
		if err := x.told(x.list(), strings.Join(x.comment, "\n")); err != nil {
			return err
		}
	}
	if db.file != nil {
		if record := x.record(); record != nil {
			if err := db.file.Commit(record, durable); err != nil {
				return &ovsdb.Error{Tag: "I/O error", Details: err.Error()}
			}
		}
	}
	db.apply(x)
	if db.file != nil && db.file.Grown() {
		// The transaction is done. If there is no room for a second file, the first one is as good as it was.
		_, _, db.compaction = db.file.CompactTo(db.everything())
	}
	return nil
}

// Compaction is the error that the last automatic compaction ended with, nil if there was none.
func (db *DB) Compaction() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.compaction
}

func (db *DB) commitMemory(x *Txn) error {
	if err := x.prepare(); err != nil {
		return err
	}
	db.apply(x)
	return nil
}

// record is what the file gets: columns that last and have changed; nil if nothing is to be written.
func (x *Txn) record() *ovsdb.Transaction {
	var record *ovsdb.Transaction
	for _, c := range x.order {
		if c.nothing || c.old == nil && c.new == nil {
			continue
		}
		row := ovsdb.Row{}
		if c.new == nil {
			row = nil
		} else {
			for i, column := range c.table.columns[firstColumn:] {
				if column.Ephemeral || !c.changed[i+firstColumn] {
					continue
				}
				d := c.new.fields[i]
				if c.old == nil && d.Compare(column.Type.Default()) == 0 {
					continue
				}
				row[column.Name] = d
			}
			if len(row) == 0 && c.old != nil {
				continue
			}
		}
		if record == nil {
			record = ovsdb.NewTransaction(strings.Join(x.comment, "\n"))
		}
		record.Put(c.table.schema.Name, c.id, row)
	}
	return record
}

// apply replaces rows, with their indexes and references, and notes changes for monitors and those that wait.
func (db *DB) apply(x *Txn) {
	any := false
	for _, c := range x.order { // all that go first, so that keys of indexes can change places
		if c.nothing {
			continue
		}
		any = any || c.old != c.new
		if c.old != nil {
			s := c.table.rows[c.id]
			for n, columns := range c.table.indexes {
				if key := c.old.key(columns); c.table.unique[n][key] == s {
					delete(c.table.unique[n], key)
				}
			}
			c.table.left(s)
			db.link(c.old, -1)
			if c.new == nil {
				delete(c.table.rows, c.id)
			}
		}
	}
	for _, c := range x.order {
		if c.nothing || c.new == nil {
			continue
		}
		s := c.table.rows[c.id]
		if s == nil {
			s = &stored{}
			c.table.rows[c.id] = s
		}
		s.row, s.refs = c.new, c.refs
		c.table.entered(s)
		for n, columns := range c.table.indexes {
			c.table.unique[n][c.new.key(columns)] = s
		}
	}
	for _, c := range x.order {
		if !c.nothing && c.new != nil {
			db.link(c.new, 1)
		}
	}
	if !any {
		return
	}
	clear(db.initials)
	for m := range db.concerned(x) {
		m.note(x)
	}
	close(db.changed)
	db.changed = make(chan struct{})
}

// link counts a row's weak references at the rows that they lead to.
func (db *DB) link(r *Row, by int) {
	from := link{r.table, r.id}
	for i, column := range r.table.columns[firstColumn:] {
		db.references(column, r.fields[i], true, func(to *Table, id ovsdb.UUID) error {
			s := to.rows[id]
			if s == nil {
				return nil
			}
			if s.from == nil {
				s.from = map[link]int{}
			}
			if s.from[from] += by; s.from[from] <= 0 {
				delete(s.from, from)
			}
			return nil
		})
	}
}

// Compact writes the file anew. before and after are its sizes in bytes.
func (db *DB) Compact() (before, after int64, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.file == nil {
		return 0, 0, nil
	}
	return db.file.CompactTo(db.everything())
}

// everything is all that the file has to hold.
func (db *DB) everything() *ovsdb.Transaction {
	t := ovsdb.NewTransaction("compacting database online")
	for name, table := range db.tables {
		for id, s := range table.rows {
			row := ovsdb.Row{}
			for i, column := range table.columns[firstColumn:] {
				if d := s.row.fields[i]; !column.Ephemeral && d.Compare(column.Type.Default()) != 0 {
					row[column.Name] = d
				}
			}
			t.Put(name, id, row)
		}
	}
	return t
}

// Close lets the file go. Monitors get nothing more.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.readOnly = true
	if db.file == nil {
		return nil
	}
	return db.file.Close()
}
