package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"ri/ovsdb"
	"ri/ovsdb/wire"
)

// session is a connection to a server.
type session struct {
	client *Client
	name   string
	peer   *wire.Peer
	end    context.CancelCauseFunc
	schema *ovsdb.Schema

	mu       sync.Mutex
	monitors map[string]*Monitor // by their ids on this connection
	about    *Monitor            // the row of the database in _Server; nil: the server has no _Server
	plain    bool                // it knows neither monitor_cond_since nor conditions
	noSince  bool
}

const serverDB = "_Server"

// begin finds out whether the server will do, begins what is watched, and has the client use it. The context says how
// long it may take.
func (s *session) begin(ctx context.Context) error {
	var refused *wire.Failure
	if _, err := s.peer.Call(ctx, "set_db_change_aware", true); err != nil && !errors.As(err, &refused) {
		return s.late("set_db_change_aware", err)
	}
	if err := s.watchServer(ctx); err != nil {
		return err
	}
	if err := s.fit(); err != nil {
		return err
	}
	schema, err := s.getSchema(ctx, s.client.config.Database)
	if err != nil {
		return err
	}
	s.schema = schema
	watched := map[*Monitor]bool{}
	for {
		if err := s.fit(); err != nil { // which may have changed since
			return err
		}
		missing := s.client.serve(s, watched)
		if len(missing) == 0 {
			return nil
		}
		for _, m := range missing {
			watched[m] = true
			if err := s.watch(ctx, m); errors.As(err, &refused) {
				m.fail(fmt.Errorf("%s refuses to watch: %w", s.name, err))
			} else if err != nil {
				return err
			}
		}
	}
}

func (s *session) late(method string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer to %s within %s: %w", method, s.client.config.Patience, err)
	}
	return err
}

func (s *session) getSchema(ctx context.Context, database string) (*ovsdb.Schema, error) {
	j, err := s.peer.Call(ctx, "get_schema", database)
	if err != nil {
		return nil, s.late("get_schema "+database, err)
	}
	return ovsdb.SchemaFromJSON(j)
}

// watchServer watches what the server says of the database, if it does.
func (s *session) watchServer(ctx context.Context) error {
	schema, err := s.getSchema(ctx, serverDB)
	var refused *wire.Failure
	if errors.As(err, &refused) {
		return nil // before Open vSwitch 2.9
	}
	if err != nil {
		return err
	}
	table := schema.Tables["Database"]
	if table == nil {
		return fmt.Errorf("its database %s has no table Database: %w", serverDB, ErrUnfit)
	}
	var columns []string
	for _, name := range []string{"name", "model", "connected", "leader", "cid", "index"} {
		if table.Columns[name] != nil {
			columns = append(columns, name)
		}
	}
	m := newMonitor(serverDB, map[string]Watch{"Database": {Columns: columns}})
	s.mu.Lock()
	s.about = m
	s.mu.Unlock()
	return s.watchIn(ctx, m, schema)
}

// fit tells whether the server will do, as it describes itself.
func (s *session) fit() error {
	s.mu.Lock()
	about := s.about
	s.mu.Unlock()
	if about == nil {
		return nil
	}
	c := s.client
	var here []ovsdb.Row
	for _, row := range about.Rows("Database") {
		if row["name"].Text() == c.config.Database && (c.config.Cluster == nil || hasID(row["cid"], *c.config.Cluster)) {
			here = append(here, row)
		}
	}
	if len(here) == 0 {
		if c.config.Cluster != nil {
			return fmt.Errorf("it has no database %s of the cluster %s: %w", c.config.Database, c.config.Cluster, ErrUnfit)
		}
		return fmt.Errorf("it has no database %s: %w", c.config.Database, ErrUnfit)
	}
	row := here[0]
	is := func(column string) bool { return len(row[column].Keys) == 1 && row[column].Keys[0] == true }
	if row["model"].Text() != "clustered" {
		return nil
	}
	switch {
	case !is("connected"):
		return fmt.Errorf("it has lost its cluster: %w", ErrUnfit)
	case c.config.Leader && !is("leader"):
		return fmt.Errorf("it doesn't lead its cluster: %w", ErrUnfit)
	}
	ids := row["cid"].UUIDs()
	if len(ids) != 1 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := row["index"].Int(); at < c.index[ids[0]] {
		return fmt.Errorf("it is behind: it has entry %d of the log, and %d was seen: %w", at, c.index[ids[0]], ErrUnfit)
	} else {
		c.index[ids[0]] = at
	}
	return nil
}

func hasID(d ovsdb.Datum, id ovsdb.UUID) bool { return d.Find(id) >= 0 }

// listen takes what the server tells until the connection ends.
func (s *session) listen() error {
	for {
		r, err := s.peer.Next()
		if errors.Is(err, io.EOF) {
			err = errors.New("the server ended the connection")
		}
		if err != nil {
			return err
		}
		switch r.Method {
		case "update", "update2", "update3":
			if err := s.update(r.Method, r.Params); err != nil {
				return err
			}
		case "monitor_canceled":
			return errors.New("the server no longer has the database, or has another schema for it")
		}
	}
}

func (s *session) update(method string, params []any) error {
	want := 2
	if method == "update3" {
		want = 3
	}
	if len(params) != want {
		return fmt.Errorf("%s with %d parameters", method, len(params))
	}
	id, _ := params[0].(string)
	s.mu.Lock()
	m, about := s.monitors[id], s.about
	s.mu.Unlock()
	if m == nil {
		return nil // of one that was cancelled
	}
	last := ""
	if method == "update3" {
		last, _ = params[1].(string)
	}
	if err := m.take(s, params[want-1], last); err != nil {
		return fmt.Errorf("%s of %s: %w", method, m.database, err)
	}
	if m == about {
		return s.fit()
	}
	return nil
}

// watch begins a monitor on this connection.
func (s *session) watch(ctx context.Context, m *Monitor) error { return s.watchIn(ctx, m, s.schema) }

func (s *session) watchIn(ctx context.Context, m *Monitor, schema *ovsdb.Schema) error {
	last := m.begin(s, schema)
	id := "ri" + strconv.Itoa(m.id)
	if m.database == serverDB {
		id = "server"
	}
	s.mu.Lock()
	s.monitors[id] = m
	noSince, plain := s.noSince, s.plain
	s.mu.Unlock()
	var refused *wire.Failure
	ask := func(method string, more ...any) (any, error) {
		j, err := s.peer.Call(ctx, method, append([]any{m.database, id, m.requests(method != "monitor")}, more...)...)
		if errors.As(err, &refused) && refused.JSON == "unknown method" {
			return nil, errOld
		}
		if err != nil {
			return nil, s.late(method+" of "+m.database, err)
		}
		return j, nil
	}
	if !noSince && m.database != serverDB {
		j, err := ask("monitor_cond_since", last)
		if err == nil {
			list, ok := j.([]any)
			if !ok || len(list) != 3 {
				return fmt.Errorf("monitor_cond_since is answered by %s", short(j))
			}
			found, _ := list[0].(bool)
			last, _ = list[1].(string)
			return m.first(s, list[2], found, last)
		}
		if err != errOld {
			return err
		}
		s.mu.Lock()
		s.noSince = true
		s.mu.Unlock()
	}
	if !plain {
		j, err := ask("monitor_cond")
		if err == nil {
			return m.first(s, j, false, "")
		}
		if err != errOld {
			return err
		}
		s.mu.Lock()
		s.plain = true
		s.mu.Unlock()
	}
	if m.conditional() {
		return fmt.Errorf("it can't watch by a condition, being older than Open vSwitch 2.6: %w", ErrUnfit)
	}
	j, err := ask("monitor")
	if err != nil {
		return err
	}
	return m.first(s, j, false, "")
}

var errOld = errors.New("the server doesn't know this method")

func short(j any) string {
	text, err := json.Marshal(j)
	if err != nil || len(text) > 200 {
		text = append(text[:min(len(text), 200)], "..."...)
	}
	return string(text)
}
