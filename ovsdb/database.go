package ovsdb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Database is a database's contents.
type Database struct {
	Schema *Schema
	tables map[string]map[UUID]Row
}

// NewDatabase makes an empty one.
func NewDatabase(s *Schema) *Database {
	db := &Database{Schema: s, tables: map[string]map[UUID]Row{}}
	for name := range s.Tables {
		db.tables[name] = map[UUID]Row{}
	}
	return db
}

// Rows are a table's rows, which must not be changed.
func (db *Database) Rows(table string) map[UUID]Row { return db.tables[table] }

// Transaction is a record of the file: what it changes, when, and a comment.
type Transaction struct {
	Date    time.Time
	Comment string
	tables  map[string]map[UUID]Row // a nil Row: deleted
	diff    bool                    // columns hold differences, not values: what Open vSwitch 2.15 and later write
}

// NewTransaction begins one.
func NewTransaction(comment string) *Transaction {
	return &Transaction{Date: time.Now(), Comment: comment, tables: map[string]map[UUID]Row{}}
}

// Put inserts a row, or changes the named columns of one.
func (t *Transaction) Put(table string, id UUID, row Row) {
	if t.tables[table] == nil {
		t.tables[table] = map[UUID]Row{}
	}
	t.tables[table][id] = row
}

// Delete deletes a row.
func (t *Transaction) Delete(table string, id UUID) { t.Put(table, id, nil) }

// json is the transaction as a record has it.
func (t *Transaction) json(s *Schema) ([]byte, error) {
	b := strconv.AppendInt([]byte(`{"_date":`), t.Date.UnixMilli(), 10)
	if t.Comment != "" {
		b = AppendText(append(b, `,"_comment":`...), CleanString(t.Comment))
	}
	for _, name := range slices.Sorted(maps.Keys(t.tables)) {
		table := s.Tables[name]
		if table == nil {
			return nil, fmt.Errorf("no table %s in schema %s: %w", name, s.Name, ErrSchema)
		}
		b = append(AppendText(append(b, ','), name), ':')
		separator := byte('{')
		for id, row := range t.tables[name] {
			b = append(append(append(b, separator, '"'), id.String()...), '"', ':')
			separator = ','
			var err error
			if b, err = table.appendRow(b, row); err != nil {
				return nil, err
			}
		}
		if separator == '{' {
			b = append(b, '{')
		}
		b = append(b, '}')
	}
	return append(b, '}'), nil
}

// appendRow appends a row, or null for one that is deleted.
func (t *Table) appendRow(b []byte, row Row) ([]byte, error) {
	if row == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '{')
	for column, d := range row {
		c, ok := t.Columns[column]
		if !ok {
			return nil, fmt.Errorf("no column %s in table %s: %w", column, t.Name, ErrSchema)
		}
		if err := c.Type.check(d); err != nil {
			return nil, fmt.Errorf("column %s of table %s: %w", column, t.Name, err)
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = d.Append(append(AppendText(b, column), ':'), c.Type)
	}
	return append(b, '}'), nil
}

// parseTransaction reads a record. Columns that the schema doesn't have are an error: they'd be lost.
func parseTransaction(s *Schema, text []byte) (*Transaction, error) {
	var j map[string]any
	if err := decode(text, &j); err != nil {
		return nil, err
	}
	t := &Transaction{tables: map[string]map[UUID]Row{}}
	for name, v := range j {
		switch name {
		case "_date":
			n, _ := v.(json.Number)
			ms, _ := n.Int64()
			if ms < 1<<31 { // seconds, as Open vSwitch wrote before 2.0
				ms *= 1000
			}
			t.Date = time.UnixMilli(ms)
			continue
		case "_comment":
			t.Comment, _ = v.(string)
			continue
		case "_is_diff":
			t.diff, _ = v.(bool)
			continue
		}
		table, rows := s.Tables[name], map[string]any(nil)
		if table != nil {
			rows, _ = v.(map[string]any)
		}
		if rows == nil {
			return nil, fmt.Errorf("table %q: %w", name, ErrSchema)
		}
		for key, columns := range rows {
			id, err := ParseUUID(key)
			if err != nil {
				return nil, err
			}
			if columns == nil {
				t.Delete(name, id)
				continue
			}
			list, ok := columns.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("row %s of table %s is no object: %w", key, name, ErrValue)
			}
			row := Row{}
			for column, value := range list {
				c, ok := table.Columns[column]
				if !ok {
					return nil, fmt.Errorf("column %q of table %s: %w", column, name, ErrSchema)
				}
				if row[column], err = c.Type.read(value, nil, true); err != nil {
					return nil, fmt.Errorf("column %s of table %s: %w", column, name, err)
				}
			}
			t.Put(name, id, row)
		}
	}
	return t, nil
}

// resolve makes values of a record's differences. The error says that they don't fit the rows that are there.
func (db *Database) resolve(t *Transaction) error {
	if !t.diff {
		return nil
	}
	for name, rows := range t.tables {
		for id, change := range rows {
			old, existed := db.tables[name][id]
			if !existed {
				continue
			}
			for column, d := range change {
				value, err := old[column].ApplyDiff(db.Schema.Tables[name].Columns[column].Type, d)
				if err != nil {
					return fmt.Errorf("row %s of table %s, column %s: %w", id, name, column, err)
				}
				change[column] = value
			}
		}
	}
	t.diff = false
	return nil
}

// apply makes a transaction's changes.
func (db *Database) apply(t *Transaction) {
	for name, rows := range t.tables {
		table := db.tables[name]
		for id, change := range rows {
			if change == nil {
				delete(table, id)
				continue
			}
			row := Row{}
			old, existed := table[id]
			if existed {
				maps.Copy(row, old)
			} else {
				for column, c := range db.Schema.Tables[name].Columns {
					row[column] = c.Type.Default()
				}
			}
			for column, d := range change {
				row[column] = d
			}
			table[id] = row
		}
	}
}

// collect drops rows of tables that aren't roots and that nothing refers to.
func (db *Database) collect() {
	for {
		used := map[UUID]bool{}
		for name, rows := range db.tables {
			for column, c := range db.Schema.Tables[name].Columns {
				if c.Type.Key.Type != UUIDs {
					continue
				}
				for _, row := range rows {
					for _, id := range row[column].UUIDs() {
						used[id] = true
					}
				}
			}
		}
		dropped := false
		for name, rows := range db.tables {
			if db.Schema.Tables[name].IsRoot {
				continue
			}
			for id := range rows {
				if !used[id] {
					delete(rows, id)
					dropped = true
				}
			}
		}
		if !dropped {
			return
		}
	}
}

// everything is one transaction that makes the whole contents.
func (db *Database) everything(comment string) *Transaction {
	t := NewTransaction(comment)
	for name, rows := range db.tables {
		for id, row := range rows {
			t.Put(name, id, row)
		}
	}
	return t
}
