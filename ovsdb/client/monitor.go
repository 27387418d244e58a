package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"ri/ovsdb"
	"ri/ovsdb/wire"
)

// Watch is what to watch of a table.
type Watch struct {
	Columns []string // nil: all
	Where   []any    // clauses of which one must hold, as the protocol has them; nil: all rows
}

// Change is a row before and after; nil: it wasn't there, or isn't.
type Change struct {
	Table    string
	ID       ovsdb.UUID
	Old, New ovsdb.Row
}

// Monitor has a copy of the rows that it watches. It outlives connections: what changed meanwhile is told as a change.
type Monitor struct {
	database string
	tables   map[string]Watch
	id       int
	client   *Client

	mu      sync.Mutex
	session *session // that it is told by
	schema  *ovsdb.Schema
	loading bool // the first rows of this session aren't here; what comes meanwhile is queued
	queue   []queued
	loaded  bool // it has had its first rows, from some session
	rows    map[string]map[ovsdb.UUID]ovsdb.Row
	last    string // the transaction that the rows are of
	pending map[key]Change
	changed chan struct{} // closed, and made anew, when there is something to read
	err     error         // it has ended
}

type key struct {
	table string
	id    ovsdb.UUID
}

type queued struct {
	update any
	last   string
}

const noTransaction = "00000000-0000-0000-0000-000000000000"

func newMonitor(database string, tables map[string]Watch) *Monitor {
	m := &Monitor{database: database, tables: tables, rows: map[string]map[ovsdb.UUID]ovsdb.Row{}, last: noTransaction,
		pending: map[key]Change{}, changed: make(chan struct{})}
	for name := range tables {
		m.rows[name] = map[ovsdb.UUID]ovsdb.Row{}
	}
	return m
}

// Monitor begins to watch, and waits for the first rows, over as many servers as it takes. A server's refusal (no such
// table) is an error at once.
func (c *Client) Monitor(ctx context.Context, tables map[string]Watch) (*Monitor, error) {
	m := newMonitor(c.config.Database, tables)
	c.mu.Lock()
	c.nextID++
	m.id, m.client = c.nextID, c
	c.monitors[m.id] = m
	s := c.session
	c.mu.Unlock()
	if s != nil { // else whoever is found begins it
		patience, stop := context.WithTimeout(ctx, c.config.Patience)
		err := s.watch(patience, m)
		stop()
		var refused *wire.Failure
		if errors.As(err, &refused) {
			m.fail(fmt.Errorf("%s refuses to watch: %w", s.name, err))
		} else if err != nil && ctx.Err() == nil {
			s.end(err)
		}
	}
	for {
		m.mu.Lock()
		loaded, changed, err := m.loaded, m.changed, m.err
		m.mu.Unlock()
		switch {
		case err != nil:
			c.forget(m)
			return nil, err
		case loaded:
			return m, nil
		}
		select {
		case <-changed:
		case <-c.done: // before it knew of this monitor
			m.fail(errors.New("the OVSDB client has ended"))
		case <-ctx.Done():
			c.forget(m)
			return nil, context.Cause(ctx)
		}
	}
}

func (c *Client) forget(m *Monitor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.monitors, m.id)
}

// Close ends the monitor.
func (m *Monitor) Close() {
	m.client.forget(m)
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	m.fail(errors.New("the monitor was closed"))
	if s == nil {
		return
	}
	id := fmt.Sprintf("ri%d", m.id)
	s.mu.Lock()
	delete(s.monitors, id)
	s.mu.Unlock()
	go s.peer.Begin("monitor_cancel", id)
}

func (m *Monitor) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
		m.wake()
	}
}

// wake has readers look. m.mu is held.
func (m *Monitor) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Next waits for changes, and gives all that there are, in no order: of a row that changed more than once the sum. The
// first time they are the rows that are there.
func (m *Monitor) Next(ctx context.Context) ([]Change, error) {
	for {
		m.mu.Lock()
		if len(m.pending) > 0 {
			var out []Change
			for _, c := range m.pending {
				out = append(out, c)
			}
			clear(m.pending)
			m.mu.Unlock()
			return out, nil
		}
		changed, err := m.changed, m.err
		m.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Changed tells that something has changed, for who waits for other things too and reads Rows: nil, at most one at a
// time, or the error that ends it. It takes what Next would give.
func (m *Monitor) Changed(ctx context.Context) <-chan error {
	changed := make(chan error, 1)
	go func() {
		for {
			if _, err := m.Next(ctx); err != nil {
				select {
				case changed <- err: // it is heard of, whatever waits there
				case <-ctx.Done():
				}
				return
			}
			select {
			case changed <- nil:
			default:
			}
		}
	}()
	return changed
}

// Rows gives the rows of a table as they are known. They must not be changed.
func (m *Monitor) Rows(table string) map[ovsdb.UUID]ovsdb.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows[table])
}

// conditional: some table is watched by a condition.
func (m *Monitor) conditional() bool {
	for _, w := range m.tables {
		if w.Where != nil {
			return true
		}
	}
	return false
}

// requests is <monitor-cond-requests>, or without conditions <monitor-requests>.
func (m *Monitor) requests(conditions bool) map[string]any {
	out := map[string]any{}
	for name, w := range m.tables {
		one := map[string]any{}
		if w.Columns != nil {
			one["columns"] = w.Columns
		}
		if w.Where != nil && conditions {
			one["where"] = w.Where
		}
		out[name] = []any{one}
	}
	return out
}

// begin has the monitor told by a session from now on, and gives the transaction that its rows are of.
func (m *Monitor) begin(s *session, schema *ovsdb.Schema) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session, m.loading, m.queue = s, true, nil
	if m.schema != nil && ovsdb.Text(m.schema.JSON()) != ovsdb.Text(schema.JSON()) {
		m.last = noTransaction // values may be of other types
	}
	m.schema = schema
	return m.last
}

// first takes the first rows of a session. found: they are what has changed since the transaction that the monitor had.
func (m *Monitor) first(s *session, updates any, found bool, last string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != s {
		return nil
	}
	was := m.rows
	if !found {
		m.rows = map[string]map[ovsdb.UUID]ovsdb.Row{}
		for name := range m.tables {
			m.rows[name] = map[ovsdb.UUID]ovsdb.Row{}
		}
	}
	changes, err := m.apply(updates)
	if err != nil {
		return fmt.Errorf("the first rows of %s: %w", m.database, err)
	}
	if !found { // what is new is what differs from what was there
		changes = compare(was, m.rows)
	}
	m.note(changes)
	m.last = last
	if last == "" {
		m.last = noTransaction
	}
	m.loading = false
	for _, q := range m.queue {
		if err := m.more(q); err != nil {
			return err
		}
	}
	m.queue, m.loaded = nil, true
	m.wake()
	return nil
}

// take takes an update.
func (m *Monitor) take(s *session, update any, last string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.session != s:
		return nil
	case m.loading:
		m.queue = append(m.queue, queued{update, last})
		return nil
	}
	defer m.wake()
	return m.more(queued{update, last})
}

func (m *Monitor) more(q queued) error {
	changes, err := m.apply(q.update)
	if err != nil {
		return err
	}
	m.note(changes)
	if q.last != "" {
		m.last = q.last
	}
	return nil
}

// note adds changes to those that nobody has read.
func (m *Monitor) note(changes []Change) {
	for _, c := range changes {
		k := key{c.Table, c.ID}
		if before, ok := m.pending[k]; ok {
			c.Old = before.Old
		}
		if c.Old == nil && c.New == nil {
			delete(m.pending, k)
			continue
		}
		m.pending[k] = c
	}
}

// compare gives what has to change for some rows to become others.
func compare(was, is map[string]map[ovsdb.UUID]ovsdb.Row) []Change {
	var out []Change
	for table, rows := range is {
		for id, row := range rows {
			if old := was[table][id]; old == nil || !same(old, row) {
				out = append(out, Change{table, id, old, row})
			}
		}
	}
	for table, rows := range was {
		for id, row := range rows {
			if is[table][id] == nil {
				out = append(out, Change{table, id, row, nil})
			}
		}
	}
	return out
}

func same(a, b ovsdb.Row) bool {
	return maps.EqualFunc(a, b, func(x, y ovsdb.Datum) bool { return x.Compare(y) == 0 })
}
