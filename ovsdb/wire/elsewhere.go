package wire

import (
	"context"

	"ri/ovsdb"
	"ri/ovsdb/engine"
)

// Databases, if what Server.More gives implements it, are the connection's own, in the place of the server's. What is
// asked of them is done beside what is read, one after the other.
type Databases interface {
	Names(context.Context) ([]string, error)
	// Database finds one; nil: there is none.
	Database(ctx context.Context, name string) (Database, error)
}

// Database stands for something that lies elsewhere. Errors that are of type *ovsdb.Error arrive as they are.
type Database interface {
	Schema(context.Context) (any, error)
	// Transact is given what "transact" has as its parameters, and gives its result.
	Transact(ctx context.Context, params []any, owns func(lock string) bool) ([]any, error)
	// Watch gives a database that follows this one, as far as the monitor-requests are about it.
	Watch(ctx context.Context, requests any) (*Watch, error)
}

// Watch is a database that follows another.
type Watch struct {
	DB      *engine.DB
	Lost    <-chan struct{} // closed when it can't follow any more
	Release func()          // it is no longer needed
}

// maxQueued is how many requests to databases elsewhere may wait for those before them.
const maxQueued = 64

// elsewhere has a request done by the connection's own databases; false: it isn't theirs.
func (s *session) elsewhere(ctx context.Context, own Databases, m *message) bool {
	switch m.Method {
	case "list_dbs", "get_schema", "transact", "monitor", "monitor_cond", "monitor_cond_since", "monitor_cond_change",
		"monitor_cancel", "convert":
	default:
		return false
	}
	if s.queue == nil {
		s.queue = make(chan func(), maxQueued)
		s.all.Go(func() {
			for {
				select {
				case f := <-s.queue:
					f()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	asked, cancel := context.WithCancel(ctx)
	id := ovsdb.Text(m.ID)
	s.mu.Lock()
	taken := s.waiting[id] != nil
	if !taken {
		s.waiting[id] = cancel
	}
	s.mu.Unlock()
	if taken {
		cancel()
		_ = s.send(failure(m, ovsdb.Syntaxf(m.Params, "", "%s: duplicate request ID", m.Method)))
		return true
	}
	done := func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
		cancel()
	}
	select {
	case s.queue <- func() {
		defer done()
		if err := s.own(asked, own, m); err != nil {
			s.cancel()
		}
	}:
	default:
		done()
		_ = s.send(failure(m, ovsdb.Errorf("resources exhausted", "%d requests wait already", maxQueued)))
	}
	return true
}

// own does a request. The error is the connection's.
func (s *session) own(ctx context.Context, own Databases, m *message) error {
	switch m.Method {
	case "list_dbs":
		names, err := own.Names(ctx)
		if err != nil {
			return s.send(failure(m, err))
		}
		return s.send(result(m, names))
	case "monitor_cond_change":
		return s.changeMonitor(m)
	case "monitor_cancel":
		return s.send(s.cancelMonitor(m))
	case "convert":
		return s.send(failure(m, ovsdb.Errorf("not supported", "this database has the schema of what it stands for")))
	}
	name, ok := param(m, 0).(string)
	if !ok {
		return s.send(failure(m, ovsdb.Syntaxf(m.Params, "", "%s request params must begin with <db-name>", m.Method)))
	}
	db, err := own.Database(ctx, name)
	if err == nil && db == nil {
		err = ovsdb.Syntaxf(m.Params, "unknown database", "%s request specifies unknown database %s", m.Method, name)
	}
	if err != nil {
		return s.send(failure(m, err))
	}
	switch m.Method {
	case "get_schema":
		schema, err := db.Schema(ctx)
		if err != nil {
			return s.send(failure(m, err))
		}
		return s.send(result(m, schema))
	case "transact":
		results, err := db.Transact(ctx, m.Params, func(lock string) bool { return s.server.owns(s, lock) })
		switch {
		case ctx.Err() != nil:
			return s.send(failure(m, "canceled"))
		case err != nil:
			return s.send(failure(m, err))
		}
		return s.send(result(m, results))
	}
	if len(m.Params) < 3 {
		return s.send(failure(m, ovsdb.Syntaxf(m.Params, "", "invalid parameters")))
	}
	watch, err := db.Watch(ctx, m.Params[2])
	if err != nil {
		return s.send(failure(m, err))
	}
	return s.beginMonitor(m, watch)
}
