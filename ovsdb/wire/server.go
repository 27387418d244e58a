package wire

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"

	"ri/ovsdb"
	"ri/ovsdb/engine"
)

// Server serves databases on connections. It is safe for concurrent use.
type Server struct {
	// Most is how many bytes a message may have; 0: MaxMessage.
	Most int
	// More, if it isn't nil, is called for each connection, before anything is read of it: what it gives has the first
	// look at each request.
	More func(net.Conn, *Peer) Methods

	id ovsdb.UUID

	mu        sync.Mutex
	databases map[string]*served
	sessions  map[*session]bool
	locks     map[string][]*session // those that hold or wait for a lock: the first holds it
	about     *engine.DB            // _Server
	schemas   map[*ovsdb.Schema]json.RawMessage
}

// schemaText is a schema as get_schema gives it: each client asks for it first.
func (s *Server) schemaText(schema *ovsdb.Schema) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := s.schemas[schema]; text != nil {
		return text, nil
	}
	text, err := json.Marshal(schema.JSON())
	if err != nil {
		return nil, err
	}
	if len(s.schemas) >= mostSchemas { // of databases that were converted
		clear(s.schemas)
	}
	s.schemas[schema] = text
	return text, nil
}

const mostSchemas = 16

// Methods are others than databases', on the same connection.
type Methods interface {
	// Take takes a request or notification, or leaves it to the databases. It is called for one at a time, and nothing
	// more is read meanwhile. The context is the connection's.
	Take(context.Context, *Request) bool
	// End is called once the connection has ended; it returns when all that was begun on it has.
	End()
}

type served struct {
	db  *engine.DB
	row ovsdb.UUID // in the table Database of _Server
}

// NewServer makes a server that serves the database _Server alone.
func NewServer() (*Server, error) {
	schema, err := ovsdb.ParseSchema(serverSchema)
	if err != nil {
		return nil, err
	}
	s := &Server{id: ovsdb.NewUUID(), databases: map[string]*served{}, sessions: map[*session]bool{},
		locks: map[string][]*session{}, about: engine.New(schema), schemas: map[*ovsdb.Schema]json.RawMessage{}}
	return s, s.Add(s.about)
}

// Add serves a database. An error if there is one of its name.
func (s *Server) Add(db *engine.DB) error {
	name := db.Schema().Name
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.databases[name] != nil {
		return ovsdb.Errorf("duplicate database", "a database %s is served already", name)
	}
	row, err := s.about.Internal("Database", describe(db))
	if err != nil {
		return err
	}
	s.databases[name] = &served{db, row}
	return nil
}

// Remove ends the service of a database: its monitors are cancelled, and clients that don't know of _Server are
// disconnected, to look anew.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	gone := s.databases[name]
	delete(s.databases, name)
	all := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	if gone == nil {
		return
	}
	s.about.InternalDelete("Database", gone.row)
	for _, one := range all {
		one.forget(gone.db)
	}
}

// replaced has clients look anew at a database whose schema has changed.
func (s *Server) replaced(db *engine.DB) {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.sessions))
	one := s.databases[db.Schema().Name]
	s.mu.Unlock()
	if one != nil {
		s.about.InternalUpdate("Database", one.row, describe(db))
	}
	for _, session := range all {
		session.forget(db)
	}
}

// describe is a database's row in _Server.
func describe(db *engine.DB) ovsdb.Row {
	schema := db.Schema()
	return ovsdb.Row{"name": ovsdb.Scalar(schema.Name), "model": ovsdb.Scalar("standalone"),
		"connected": ovsdb.Scalar(true), "leader": ovsdb.Scalar(true),
		"schema": ovsdb.Scalar(ovsdb.Text(schema.JSON()))}
}

func (s *Server) database(name string) *engine.DB {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.databases[name]; one != nil {
		return one.db
	}
	return nil
}

func (s *Server) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.databases))
}

// Serve accepts connections until the context ends, then closes them and waits for what they had begun.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		all.Go(func() { s.Handle(ctx, conn) })
	}
}

// Handle serves one connection until it ends, or the context does.
func (s *Server) Handle(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	one := newSession(s, conn, cancel)
	s.mu.Lock()
	s.sessions[one] = true
	s.mu.Unlock()
	one.run(ctx)
	s.mu.Lock()
	delete(s.sessions, one)
	s.mu.Unlock()
	one.end()
}
