package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"ri/ovsdb"
)

// Kinds of changes that a monitor tells of.
const (
	onInitial = 1 << iota
	onInsert
	onDelete
	onModify
)

// Protocol is which of the three protocols of monitoring a client speaks.
type Protocol int

const (
	Plain       Protocol = iota // "monitor" of RFC 7047
	Conditional                 // "monitor_cond" of ovsdb-server(7): conditions, and differences
	Since                       // "monitor_cond_since": the same, with an id of the last transaction
)

// Monitor tells a client what changes in some columns of some tables. What it hasn't been asked for yet is merged: it
// is bounded by the rows that the tables have, however slowly the client reads.
type Monitor struct {
	db       *DB
	protocol Protocol
	tables   map[*Table]*watched
	pending  map[*Table]map[ovsdb.UUID]*pair
	signal   func()
}

// watched is a table of a monitor.
type watched struct {
	table   *Table
	columns []watchedColumn // by name
	kinds   int             // of all columns together
	where   Condition
}

type watchedColumn struct{ position, kinds int }

// pair is a row before and after what the client hasn't seen.
type pair struct{ old, new *Row }

// Monitor begins to watch. requests is <monitor-requests> of RFC 7047, section 4.1.5. signal is called when there is
// something new, once until it is taken; it must not block, nor call the database. initial is a <table-updates>. Errors
// are of type *ovsdb.Error.
func (db *DB) Monitor(requests any, protocol Protocol, signal func()) (m *Monitor, initial json.RawMessage, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	list, ok := requests.(map[string]any)
	if !ok {
		return nil, nil, ovsdb.Syntaxf(requests, "", "monitor-requests must be object")
	}
	m = &Monitor{db: db, protocol: protocol, signal: signal, tables: map[*Table]*watched{},
		pending: map[*Table]map[ovsdb.UUID]*pair{}}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		t := db.tables[name]
		if t == nil {
			return nil, nil, ovsdb.Errorf(ovsdb.SyntaxTag, "no table named %s", name)
		}
		w := &watched{table: t}
		parts, ok := list[name].([]any)
		if !ok {
			parts = []any{list[name]}
		}
		for _, part := range parts {
			if err := m.request(w, part); err != nil {
				return nil, nil, err
			}
		}
		slices.SortFunc(w.columns, func(a, b watchedColumn) int { return a.position - b.position })
		m.tables[t] = w
	}
	for _, w := range m.tables {
		db.enlist(m, w)
	}
	// Many who ask for the same get the same text, which is in memory once however slowly they read it.
	same := fmt.Sprint(protocol, ovsdb.Text(requests))
	if initial = db.initials[same]; initial == nil {
		initial = m.initial()
		if len(db.initials) == maxInitials {
			clear(db.initials)
		}
		db.initials[same] = initial
	}
	return m, initial, nil
}

// maxInitials is for how many kinds of monitors the first rows are kept until the next transaction.
const maxInitials = 4

// initial is the rows that are there.
func (m *Monitor) initial() json.RawMessage {
	var out update
	for _, w := range m.sorted() {
		if w.kinds&onInitial == 0 {
			continue
		}
		out.table(w.table.schema.Name)
		where := w.where
		if m.protocol == Plain {
			where = nil
		}
		for _, r := range sortedRows(w.table, where) {
			m.compose(&out, w, pair{new: r}, onInitial)
		}
	}
	return slices.Clip(out.finish())
}

// sortedRows are those that a condition finds: few of many, often.
func sortedRows(t *Table, where Condition) []*Row {
	var out []*Row
	if found, ok := t.anyOf(where); ok {
		for s := range found {
			if where.MatchAny(s.row) {
				out = append(out, s.row)
			}
		}
	} else {
		for _, s := range t.rows {
			if where.MatchAny(s.row) {
				out = append(out, s.row)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Row) int { return slices.Compare(a.id[:], b.id[:]) })
	return out
}

func (m *Monitor) sorted() []*watched {
	out := slices.Collect(maps.Values(m.tables))
	slices.SortFunc(out, func(a, b *watched) int {
		if a.table.schema.Name < b.table.schema.Name {
			return -1
		}
		return 1
	})
	return out
}

// request reads one <monitor-request>.
func (m *Monitor) request(w *watched, j any) error {
	t := w.table
	o := ovsdb.NewObject(j, "table "+t.schema.Name)
	var where any
	if m.protocol != Plain {
		where = o.Member("where", ovsdb.IsArray|ovsdb.IsOptional)
	}
	names := o.Member("columns", ovsdb.IsArray|ovsdb.IsOptional)
	selection := o.Member("select", ovsdb.IsObject|ovsdb.IsOptional)
	if err := o.Finish(); err != nil {
		return err
	}
	kinds := onInitial | onInsert | onDelete | onModify
	if selection != nil {
		o := ovsdb.NewObject(selection, "table "+t.schema.Name+" select")
		for n, kind := range []string{"initial", "insert", "delete", "modify"} {
			if o.Member(kind, ovsdb.IsBoolean|ovsdb.IsOptional) == false {
				kinds &^= 1 << n
			}
		}
		if err := o.Finish(); err != nil {
			return err
		}
	}
	w.kinds |= kinds
	if err := w.add(names, kinds); err != nil {
		return err
	}
	if where == nil {
		return nil
	}
	c, err := t.ParseCondition(where, nil)
	w.where = c
	return err
}

func (w *watched) add(names any, kinds int) error {
	t := w.table
	if names == nil {
		for i := range t.columns {
			if i != idColumn {
				if err := w.addColumn(names, i, kinds); err != nil {
					return err
				}
			}
		}
		return nil
	}
	list, _ := names.([]any)
	for _, e := range list {
		name, ok := e.(string)
		if !ok {
			return ovsdb.Syntaxf(names, "", "array of column names expected")
		}
		i, ok := t.index[name]
		if !ok {
			return ovsdb.Syntaxf(names, "", "%s is not a valid column name", name)
		}
		if err := w.addColumn(names, i, kinds); err != nil {
			return err
		}
	}
	return nil
}

func (w *watched) addColumn(names any, i, kinds int) error {
	if slices.ContainsFunc(w.columns, func(c watchedColumn) bool { return c.position == i }) {
		return ovsdb.Syntaxf(names, "", "column %s mentioned more than once", w.table.columns[i].Name)
	}
	w.columns = append(w.columns, watchedColumn{i, kinds})
	return nil
}

// note takes what a transaction changes.
func (m *Monitor) note(x *Txn) {
	was := len(m.pending) > 0
	for _, c := range x.order {
		w := m.tables[c.table]
		if w == nil || c.nothing || c.old == c.new {
			continue
		}
		if c.old != nil && c.new != nil && !w.cares(c) {
			continue
		}
		rows := m.pending[c.table]
		// Of many monitors by condition most have nothing to do with a row: they aren't woken for it.
		if rows[c.id] == nil && m.kind(w, pair{c.old, c.new}, w.where, w.where) == 0 {
			continue
		}
		if rows == nil {
			rows = map[ovsdb.UUID]*pair{}
			m.pending[c.table] = rows
		}
		p := rows[c.id]
		if p == nil {
			rows[c.id] = &pair{c.old, c.new}
			continue
		}
		p.new = c.new
		if p.old == nil && p.new == nil { // it came and went
			if delete(rows, c.id); len(rows) == 0 {
				delete(m.pending, c.table)
			}
		}
	}
	if !was && len(m.pending) > 0 {
		m.signal()
	}
}

// cares: a column changed that is watched, or that the condition asks for.
func (w *watched) cares(c *change) bool {
	for _, column := range w.columns {
		if c.changed[column.position] {
			return true
		}
	}
	for _, one := range w.where {
		if one.function != always && c.changed[one.column] {
			return true
		}
	}
	return false
}

// Take gives what has changed since it was called last, as a <table-updates>, nil if nothing has.
func (m *Monitor) Take() json.RawMessage {
	m.db.mu.Lock()
	defer m.db.mu.Unlock()
	return m.take()
}

func (m *Monitor) take() json.RawMessage {
	if len(m.pending) == 0 {
		return nil
	}
	var out update
	for _, w := range m.sorted() {
		rows := m.pending[w.table]
		out.table(w.table.schema.Name)
		ids := slices.SortedFunc(maps.Keys(rows), func(a, b ovsdb.UUID) int { return slices.Compare(a[:], b[:]) })
		for _, id := range ids {
			p := *rows[id]
			if kind := m.kind(w, p, w.where, w.where); kind != 0 {
				m.compose(&out, w, p, kind)
			}
		}
	}
	clear(m.pending)
	if out.empty() {
		return nil
	}
	return out.finish()
}

// kind says what a change is to the client: a row that comes to fulfil the condition is inserted.
func (m *Monitor) kind(w *watched, p pair, before, after Condition) int {
	had := p.old != nil && (m.protocol == Plain || before.MatchAny(p.old))
	has := p.new != nil && (m.protocol == Plain || after.MatchAny(p.new))
	switch {
	case had && has:
		return onModify
	case has:
		return onInsert
	case had:
		return onDelete
	}
	return 0
}

// Change replaces conditions. requests is an object of arrays by table. update has the rows that come and go by it, and
// what has changed besides, nil if there is nothing. Errors are of type *ovsdb.Error.
func (m *Monitor) Change(requests any) (before, after json.RawMessage, err error) {
	m.db.mu.Lock()
	defer m.db.mu.Unlock()
	list, ok := requests.(map[string]any)
	if !ok {
		return nil, nil, ovsdb.Errorf(ovsdb.SyntaxTag, "monitor-cond-change-requests must be object")
	}
	changed := map[*watched]Condition{}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		w := m.tables[m.db.tables[name]]
		switch {
		case m.db.tables[name] == nil:
			return nil, nil, ovsdb.Errorf(ovsdb.SyntaxTag, "no table named %s", name)
		case w == nil:
			return nil, nil, ovsdb.Errorf(ovsdb.SyntaxTag, "no table named %s in monitor session", name)
		}
		parts, ok := list[name].([]any)
		if !ok {
			return nil, nil, ovsdb.Errorf(ovsdb.SyntaxTag, "table %s no monitor-cond-change JSON array", name)
		}
		for _, part := range parts {
			o := ovsdb.NewObject(part, "table "+name)
			columns := o.Member("columns", ovsdb.IsArray|ovsdb.IsOptional)
			where := o.Member("where", ovsdb.IsArray|ovsdb.IsOptional)
			if err := o.Finish(); err != nil {
				return nil, nil, err
			}
			if columns != nil {
				return nil, nil, ovsdb.Syntaxf(part, "", "changing columns is unsupported")
			}
			c, err := w.table.ParseCondition(where, nil)
			if err != nil {
				return nil, nil, err
			}
			changed[w] = c
		}
	}
	before = m.take()
	var out update
	for _, w := range m.sorted() {
		c, ok := changed[w]
		if !ok {
			continue
		}
		out.table(w.table.schema.Name)
		for _, r := range sortedRows(w.table, nil) {
			p := pair{r, r}
			if kind := m.kind(w, p, w.where, c); kind == onInsert || kind == onDelete {
				m.compose(&out, w, p, kind)
			}
		}
		m.db.dismiss(m, w)
		w.where = c
		m.db.enlist(m, w)
	}
	if !out.empty() {
		after = out.finish()
	}
	return before, after, nil
}

// Cancel ends a monitor.
func (m *Monitor) Cancel() {
	m.db.mu.Lock()
	defer m.db.mu.Unlock()
	for _, w := range m.tables {
		m.db.dismiss(m, w)
	}
	clear(m.pending)
}

// compose adds a <row-update>, or its newer form, unless the client doesn't ask for changes of the kind.
func (m *Monitor) compose(out *update, w *watched, p pair, kind int) {
	if w.kinds&kind == 0 {
		return
	}
	changed := func(i int) bool { return p.old.field(i).Compare(p.new.field(i)) != 0 }
	if kind == onModify && !slices.ContainsFunc(w.columns, func(c watchedColumn) bool { return changed(c.position) }) &&
		!slices.ContainsFunc(w.where, func(c clause) bool { return c.function != always && changed(c.column) }) {
		return
	}
	id := p.new
	if id == nil {
		id = p.old
	}
	b := []byte("{")
	switch {
	case m.protocol == Plain:
		if kind&(onDelete|onModify) != 0 {
			b = w.object(append(b, `"old":`...), p.old, kind, func(i int) bool { return kind == onDelete || changed(i) })
		}
		if kind&(onInitial|onInsert|onModify) != 0 {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = w.object(append(b, `"new":`...), p.new, kind, func(int) bool { return true })
		}
	case kind == onDelete:
		b = append(b, `"delete":null`...)
	case kind == onModify:
		diff := p.new.with()
		for i, c := range w.table.columns[firstColumn:] {
			diff.fields[i] = p.old.fields[i].Diff(c.Type, p.new.fields[i])
		}
		b = w.object(append(b, `"modify":`...), diff, kind, changed)
	default:
		word := `"insert":`
		if kind == onInitial {
			word = `"initial":`
		}
		b = w.object(append(b, word...), p.new, kind, func(i int) bool {
			return p.new.field(i).Compare(w.table.columns[i].Type.Default()) != 0
		})
	}
	out.row(id.id, append(b, '}'))
}

// object appends those columns that are watched for a kind of change, and wanted.
func (w *watched) object(b []byte, r *Row, kind int, wanted func(i int) bool) []byte {
	var columns []int
	for _, c := range w.columns {
		if c.kinds&kind != 0 && wanted(c.position) {
			columns = append(columns, c.position)
		}
	}
	return r.appendJSON(b, columns)
}

// update is a <table-updates> that is being written.
type update struct {
	b       []byte
	name    string
	inTable bool
}

func (u *update) table(name string) {
	if u.inTable {
		u.b, u.inTable = append(u.b, '}'), false
	}
	u.name = name
}

func (u *update) row(id ovsdb.UUID, row []byte) {
	switch {
	case u.inTable:
		u.b = append(u.b, ',')
	case len(u.b) > 0:
		u.b = append(ovsdb.AppendText(append(u.b, ','), u.name), ":{"...)
	default:
		u.b = append(ovsdb.AppendText([]byte("{"), u.name), ":{"...)
	}
	u.inTable = true
	u.b = append(ovsdb.AppendText(u.b, id.String()), ':')
	u.b = append(u.b, row...)
}

func (u *update) empty() bool { return len(u.b) == 0 }

func (u *update) finish() json.RawMessage {
	if u.empty() {
		return json.RawMessage("{}")
	}
	u.table("")
	return json.RawMessage(append(u.b, '}'))
}
