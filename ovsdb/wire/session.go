package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/engine"
)

// session is one connection.
type session struct {
	server *Server
	*Peer
	more   Methods // nil: none
	cancel context.CancelFunc
	news   news

	telling sync.Mutex // from what monitors have to tell on, until it and what follows is written

	mu       sync.Mutex
	monitors map[string]*monitor // by the JSON of their ids
	waiting  map[string]context.CancelFunc
	ended    chan struct{}
	queue    chan func() // for databases elsewhere
	aware    bool        // it watches _Server
	all      sync.WaitGroup
}

type monitor struct {
	*engine.Monitor
	watch    *Watch
	db       *engine.DB
	id       any
	protocol engine.Protocol
}

// end ends a monitor.
func (m *monitor) end() {
	m.Cancel()
	m.watch.release()
}

func (w *Watch) release() {
	if w.Release != nil {
		w.Release()
	}
}

func newSession(s *Server, conn net.Conn, cancel context.CancelFunc) *session {
	one := &session{server: s, ended: make(chan struct{}), Peer: NewPeer(conn, s.Most), cancel: cancel,
		monitors: map[string]*monitor{}, waiting: map[string]context.CancelFunc{}}
	if s.More != nil {
		one.more = s.More(conn, one.Peer)
	}
	return one
}

// run reads requests until the connection or the context ends.
func (s *session) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	for {
		m, err := s.next()
		if errors.Is(err, ErrMessage) { // the connection ends, and who wrote it is told why
			_ = s.put(failure(&message{}, ovsdb.Errorf("syntax error", "%s", ovsdb.CleanString(err.Error()))))
		}
		if err != nil {
			return
		}
		switch {
		case s.more != nil && s.more.Take(ctx, &Request{Method: m.Method, Params: m.Params, peer: s.Peer, m: m}):
		case m.ID == nil:
			if m.Method == "cancel" && len(m.Params) == 1 {
				s.cancelWaiting(m.Params[0])
			}
		default:
			if own, ok := s.more.(Databases); ok && s.elsewhere(ctx, own, m) {
				continue
			}
			if s.request(ctx, m) != nil {
				return
			}
		}
	}
}

// end lets go what the connection had.
func (s *session) end() {
	s.cancel()
	s.conn.Close()
	close(s.ended)
	s.news.mu.Lock()
	s.news.over = true
	s.news.mu.Unlock()
	s.server.unlockAll(s) // nobody tells it of locks from now on
	if s.more != nil {
		s.more.End()
	}
	s.all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.monitors {
		m.end()
	}
	s.monitors = nil
}

// send writes what the monitors have to tell, then a message: who is told that a transaction is done has been told what
// it did.
func (s *session) send(m *message) error {
	s.telling.Lock()
	defer s.telling.Unlock()
	return s.write(m)
}

func (s *session) write(m *message) error {
	s.mu.Lock()
	all := make([]*monitor, 0, len(s.monitors))
	for _, one := range s.monitors {
		all = append(all, one)
	}
	s.mu.Unlock()
	for _, one := range all {
		if update := one.Take(); update != nil {
			if err := s.put(one.notification(update)); err != nil {
				return err
			}
		}
	}
	if m == nil {
		return nil
	}
	return s.put(m)
}

// lastTransaction stands for the last transaction, of a database that keeps no history: a client that asks since when
// it knows gets all anew, as from a standalone ovsdb-server.
var lastTransaction = ovsdb.UUID{}.String()

func (m *monitor) notification(update json.RawMessage) *message {
	switch m.protocol {
	case engine.Plain:
		return &message{Method: "update", Params: []any{m.id, update}}
	case engine.Conditional:
		return &message{Method: "update2", Params: []any{m.id, update}}
	}
	return &message{Method: "update3", Params: []any{m.id, lastTransaction, update}}
}

func result(m *message, v any) *message { return &message{ID: m.ID, Result: v, reply: true} }
func failure(m *message, e any) *message {
	if err, ok := e.(*ovsdb.Error); ok {
		e = err.JSON()
	}
	if err, ok := e.(error); ok {
		e = map[string]any{"error": "ovsdb error", "details": err.Error()}
	}
	return &message{ID: m.ID, Error: e, reply: true}
}

// request answers a request. The error ends the connection.
func (s *session) request(ctx context.Context, m *message) error {
	switch m.Method {
	case "transact":
		if db, err := s.lookup(m); err != nil {
			return s.send(failure(m, err))
		} else {
			return s.transact(ctx, m, db)
		}
	case "monitor", "monitor_cond", "monitor_cond_since":
		return s.monitor(m)
	case "monitor_cond_change":
		return s.changeMonitor(m)
	}
	return s.send(s.answer(m))
}

func (s *session) answer(m *message) *message {
	switch m.Method {
	case "echo":
		return result(m, m.Params)
	case "list_dbs":
		return result(m, s.server.names())
	case "get_server_id":
		return result(m, s.server.id.String())
	case "get_schema":
		db, err := s.lookup(m)
		if err != nil {
			return failure(m, err)
		}
		text, err := s.server.schemaText(db.Schema())
		if err != nil {
			return failure(m, err)
		}
		return result(m, text)
	case "convert":
		return s.convert(m)
	case "monitor_cancel":
		return s.cancelMonitor(m)
	case "lock", "steal":
		return s.server.lock(s, m)
	case "unlock":
		return s.server.unlock(s, m)
	case "set_db_change_aware":
		aware, ok := param(m, 0).(bool)
		if !ok || len(m.Params) != 1 {
			return failure(m, ovsdb.Syntaxf(m.Params, "", "%s: true or false parameter expected", m.Method))
		}
		s.mu.Lock()
		s.aware = aware
		s.mu.Unlock()
		return result(m, map[string]any{})
	}
	return failure(m, "unknown method")
}

func param(m *message, i int) any {
	if i < len(m.Params) {
		return m.Params[i]
	}
	return nil
}

func (s *session) lookup(m *message) (*engine.DB, error) {
	name, ok := param(m, 0).(string)
	if !ok {
		return nil, ovsdb.Syntaxf(m.Params, "", "%s request params must begin with <db-name>", m.Method)
	}
	if db := s.server.database(name); db != nil {
		return db, nil
	}
	return nil, ovsdb.Syntaxf(m.Params, "unknown database", "%s request specifies unknown database %s", m.Method, name)
}

// transact executes a transaction. One that waits is tried again when something has changed, beside other requests.
func (s *session) transact(ctx context.Context, m *message, db *engine.DB) error {
	begun := time.Now()
	request := &engine.Request{Params: any(m.Params), Owns: func(lock string) bool { return s.server.owns(s, lock) }}
	answer := db.Transact(request)
	if !answer.Waits {
		return s.send(result(m, answer.Results))
	}
	id := ovsdb.Text(m.ID)
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	if s.waiting[id] != nil {
		s.mu.Unlock()
		cancel()
		return s.send(failure(m, ovsdb.Syntaxf(m.Params, "", "%s: duplicate request ID", m.Method)))
	}
	s.waiting[id] = cancel
	s.mu.Unlock()
	s.all.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.waiting, id)
			s.mu.Unlock()
			cancel()
		}()
		for answer.Waits {
			if !wait(ctx, answer, begun) {
				s.send(failure(m, "canceled"))
				return
			}
			request.Elapsed = max(time.Since(begun), time.Millisecond)
			answer = db.Transact(request)
		}
		if s.send(result(m, answer.Results)) != nil {
			s.cancel()
		}
	})
	return nil
}

// wait waits until a transaction may be tried again; false if it was cancelled.
func wait(ctx context.Context, a engine.Answer, begun time.Time) bool {
	var timeout <-chan time.Time
	if a.Timeout >= 0 {
		timer := time.NewTimer(time.Until(begun.Add(a.Timeout)))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-a.Changed:
	case <-timeout:
	case <-ctx.Done():
		return false
	}
	return true
}

func (s *session) cancelWaiting(id any) {
	s.mu.Lock()
	cancel := s.waiting[ovsdb.Text(id)]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// monitor begins a monitor. Its first rows are written before anything that it tells afterwards.
func (s *session) monitor(m *message) error {
	db, err := s.lookup(m)
	if err != nil {
		return s.send(failure(m, err))
	}
	return s.beginMonitor(m, &Watch{DB: db})
}

// beginMonitor begins a monitor of a database, which is released when it ends.
func (s *session) beginMonitor(m *message, of *Watch) error {
	begun := false
	defer func() {
		if !begun {
			of.release()
		}
	}()
	protocol := map[string]engine.Protocol{"monitor": engine.Plain, "monitor_cond": engine.Conditional,
		"monitor_cond_since": engine.Since}[m.Method]
	if n := len(m.Params); protocol == engine.Conditional && n != 3 || protocol == engine.Since && n != 4 || n < 3 {
		return s.send(failure(m, ovsdb.Syntaxf(m.Params, "", "invalid parameters")))
	}
	if protocol == engine.Since {
		last, ok := m.Params[3].(string)
		if !ok {
			return s.send(failure(m, ovsdb.Syntaxf(m.Params[3], "", "last-txn-id must be string")))
		}
		if _, err := ovsdb.ParseUUID(last); err != nil {
			return s.send(failure(m, ovsdb.Syntaxf(m.Params[3], "", "last-txn-id must be UUID format.")))
		}
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	key := ovsdb.Text(m.Params[1])
	s.mu.Lock()
	taken := s.monitors[key] != nil
	s.mu.Unlock()
	if taken {
		return s.write(failure(m, ovsdb.Syntaxf(m.Params[1], "", "duplicate monitor ID")))
	}
	watch, initial, err := of.DB.Monitor(m.Params[2], protocol, s.tell)
	if err != nil {
		return s.write(failure(m, err))
	}
	var first any = initial
	if protocol == engine.Since {
		first = []any{false, lastTransaction, initial}
	}
	if err := s.write(result(m, first)); err != nil {
		watch.Cancel()
		return err
	}
	s.mu.Lock()
	s.monitors[key] = &monitor{watch, of, of.DB, m.Params[1], protocol}
	s.mu.Unlock()
	s.tell()
	begun = true
	if of.Lost != nil {
		s.all.Go(func() {
			select {
			case <-of.Lost:
				s.forget(of.DB)
			case <-s.ended:
			}
		})
	}
	return nil
}

func (s *session) changeMonitor(m *message) error {
	if len(m.Params) != 3 {
		return s.send(failure(m, ovsdb.Syntaxf(m.Params, "", "invalid parameters")))
	}
	s.telling.Lock()
	defer s.telling.Unlock()
	from, to := ovsdb.Text(m.Params[0]), ovsdb.Text(m.Params[1])
	s.mu.Lock()
	one, other := s.monitors[from], s.monitors[to]
	s.mu.Unlock()
	switch {
	case one == nil:
		return s.write(failure(m, ovsdb.Syntaxf(m.Params[0], "", "unknown monitor session")))
	case from != to && other != nil:
		return s.write(failure(m, ovsdb.Syntaxf(m.Params[1], "", "duplicate monitor ID")))
	}
	before, after, err := one.Change(m.Params[2])
	if err != nil {
		return s.write(failure(m, err))
	}
	if before != nil {
		if err := s.put(one.notification(before)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	delete(s.monitors, from)
	one.id = m.Params[1]
	s.monitors[to] = one
	s.mu.Unlock()
	if after != nil {
		if err := s.put(one.notification(after)); err != nil {
			return err
		}
	}
	return s.write(result(m, map[string]any{}))
}

func (s *session) cancelMonitor(m *message) *message {
	if len(m.Params) != 1 {
		return failure(m, "invalid parameters")
	}
	key := ovsdb.Text(m.Params[0])
	s.mu.Lock()
	one := s.monitors[key]
	delete(s.monitors, key)
	s.mu.Unlock()
	if one == nil {
		return failure(m, "unknown monitor")
	}
	one.end()
	return result(m, map[string]any{})
}

// forget ends what the session has of a database that is no longer what it was.
func (s *session) forget(db *engine.DB) {
	s.mu.Lock()
	aware := s.aware
	var gone []*monitor
	for key, m := range s.monitors {
		if m.db == db {
			gone = append(gone, m)
			delete(s.monitors, key)
		}
	}
	s.mu.Unlock()
	for _, m := range gone {
		m.end()
	}
	if !aware {
		s.cancel()
		return
	}
	for _, m := range gone {
		if s.send(&message{Method: "monitor_canceled", Params: []any{m.id}}) != nil {
			s.cancel()
		}
	}
}

func (s *session) convert(m *message) *message {
	db, err := s.lookup(m)
	if err != nil {
		return failure(m, err)
	}
	if len(m.Params) != 2 {
		return failure(m, ovsdb.Syntaxf(m.Params, "", "array expected"))
	}
	if err := db.Convert(m.Params[1]); err != nil {
		return failure(m, err)
	}
	s.all.Go(func() { s.server.replaced(db) })
	return result(m, map[string]any{})
}
