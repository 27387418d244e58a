package client

import (
	"fmt"
	"maps"

	"ri/ovsdb"
)

// apply changes the rows as a <table-updates> or <table-updates2> says. A server that tells of what can't be is not
// believed: the error ends the connection. m.mu is held.
func (m *Monitor) apply(updates any) ([]Change, error) {
	tables, ok := updates.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no table updates: %s", short(updates))
	}
	var out []Change
	for name, list := range tables {
		table, rows := m.schema.Tables[name], m.rows[name]
		byID, ok := list.(map[string]any)
		if table == nil || rows == nil || !ok {
			return nil, fmt.Errorf("an update of the table %q, which isn't watched", name)
		}
		for text, update := range byID {
			id, err := ovsdb.ParseUUID(text)
			if err != nil {
				return nil, err
			}
			members, ok := update.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("row %s of %s: %s", id, name, short(update))
			}
			old := rows[id]
			row, err := m.row(table, old, members)
			if err != nil {
				return nil, fmt.Errorf("row %s of %s: %w", id, name, err)
			}
			if row == nil {
				delete(rows, id)
			} else {
				rows[id] = row
			}
			out = append(out, Change{name, id, old, row})
		}
	}
	return out, nil
}

// row gives a row as it is after an update, nil if it is deleted.
func (m *Monitor) row(table *ovsdb.Table, old ovsdb.Row, update map[string]any) (ovsdb.Row, error) {
	for kind, columns := range update {
		switch kind {
		case "initial", "insert", "new":
			if kind == "insert" && old != nil {
				return nil, fmt.Errorf("it is inserted, and was there")
			}
			row := make(ovsdb.Row, len(table.Columns))
			if err := m.values(table, columns, row, false); err != nil {
				return nil, err
			}
			for name, c := range table.Columns {
				if _, said := row[name]; !said && m.watches(table.Name, name) {
					row[name] = c.Type.Default()
				}
			}
			return row, nil
		case "modify":
			if old == nil {
				return nil, fmt.Errorf("it is modified, and wasn't there")
			}
			row := maps.Clone(old)
			return row, m.values(table, columns, row, true)
		case "delete":
			if old == nil {
				return nil, fmt.Errorf("it is deleted, and wasn't there")
			}
			return nil, nil
		}
	}
	if _, ok := update["old"]; ok && old != nil { // without "new": it is deleted
		return nil, nil
	}
	return nil, fmt.Errorf("an update without a row: %s", short(update))
}

func (m *Monitor) watches(table, column string) bool {
	columns := m.tables[table].Columns
	if columns == nil {
		return true
	}
	for _, one := range columns {
		if one == column {
			return true
		}
	}
	return false
}

// values reads columns into a row; diff: what they are told is differences.
func (m *Monitor) values(table *ovsdb.Table, columns any, row ovsdb.Row, diff bool) error {
	members, ok := columns.(map[string]any)
	if !ok {
		return fmt.Errorf("no row: %s", short(columns))
	}
	for name, value := range members {
		if name == "_uuid" || name == "_version" {
			continue
		}
		c := table.Columns[name]
		if c == nil {
			return fmt.Errorf("no column %q", name)
		}
		d, err := c.Type.Lenient(value)
		if err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
		if diff {
			if d, err = row[name].ApplyDiff(c.Type, d); err != nil {
				return fmt.Errorf("column %s: %w", name, err)
			}
		}
		row[name] = d
	}
	return nil
}
