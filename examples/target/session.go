package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// SessionState is the state of a session.
type SessionState uint8

const (
	SessionNew    SessionState = iota // connected, has not said its name
	SessionOpen                       // serves requests
	SessionClosed                     // the connection has ended
)

func (s SessionState) String() string {
	switch s {
	case SessionNew:
		return "SessionNew"
	case SessionOpen:
		return "SessionOpen"
	case SessionClosed:
		return "SessionClosed"
	}
	return fmt.Sprintf("SessionState(%d)", uint8(s))
}

// maxContents is the most that a client may put into an object.
const maxContents = 1 << 24

// Session is a client's connection. A client sends lines, of which names are
// escaped as in the path of a URL, and has each answered, in any order:
//
//	HELLO client             WELCOME id
//	GET tag name             OK tag length, then the contents; or ERR tag message
//	PUT tag name length,     OK tag 0; or ERR tag message
//	  then the contents
//	DELETE tag name          OK tag 0; or ERR tag message
//
// HELLO comes first. Tags are the client's own numbers.
type Session struct {
	id      uint64
	client  string // the name that it gave itself
	conn    net.Conn
	opened  time.Time
	state   SessionState // guarded by mu
	mu      sync.Mutex
	writer  *bufio.Writer // guarded by mu
	pending atomic.Int64  // requests not answered yet

	Counters
}

// SessionTable has all sessions.
type SessionTable struct {
	listener net.Listener
	handler  *Handler
	byID     sync.Map // uint64 to *Session
	nextID   atomic.Uint64
	open     atomic.Int64
	ended    atomic.Int64 // sessions that ended, broken ones included
	broken   atomic.Int64 // those that ended by an error
}

func listenSessions(address string, h *Handler) (*SessionTable, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	t := &SessionTable{listener: listener, handler: h}
	go t.accept()
	return t, nil
}

func (t *SessionTable) accept() {
	for {
		conn, err := t.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Printf("sessions: %v", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		session := &Session{
			id:     t.nextID.Add(1),
			conn:   conn,
			opened: time.Now(),
			writer: bufio.NewWriter(conn),
		}
		t.byID.Store(session.id, session)
		t.open.Add(1)
		go t.converse(session)
	}
}

// converse serves a session until its connection ends.
func (t *SessionTable) converse(s *Session) {
	err := s.receive(t.handler)
	s.conn.Close()
	s.mu.Lock()
	s.state = SessionClosed
	s.mu.Unlock()
	t.byID.Delete(s.id)
	t.open.Add(-1)
	t.ended.Add(1)
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		t.broken.Add(1)
		log.Printf("session %d of %q: %v", s.id, s.client, err)
	}
}

// receive takes requests until it can't: it never returns nil.
func (s *Session) receive(h *Handler) error {
	reader := bufio.NewReader(s.conn)
	line, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	client, ok := cutPrefix(strings.TrimSpace(line), "HELLO ")
	if !ok {
		return fmt.Errorf("want HELLO, got %q", line)
	}
	s.mu.Lock()
	s.client, s.state = client, SessionOpen
	s.mu.Unlock()
	if err := s.send("WELCOME "+strconv.FormatUint(s.id, 10), nil); err != nil {
		return err
	}
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return err
		}
		tag, request, err := s.parse(strings.Fields(line), reader)
		if err != nil {
			return fmt.Errorf("%q: %v", strings.TrimSpace(line), err)
		}
		request.session = s
		request.done = func(r *Request) { s.answer(tag, r.err, r.data) }
		s.pending.Add(1)
		if err := h.submit(request); err != nil {
			s.answer(tag, err, nil)
		}
	}
}

func cutPrefix(s, prefix string) (string, bool) {
	return strings.TrimPrefix(s, prefix), strings.HasPrefix(s, prefix)
}

func (s *Session) parse(words []string, reader io.Reader) (tag string, r *Request, err error) {
	if len(words) < 3 {
		return "", nil, errors.New("too few words")
	}
	name, err := url.PathUnescape(words[2])
	if err != nil {
		return "", nil, err
	}
	r = &Request{object: name}
	switch words[0] {
	case "GET":
		r.op = OpGet
		s.reads.Add(1)
	case "DELETE":
		r.op = OpDelete
		s.writes.Add(1)
	case "PUT":
		r.op = OpPut
		s.writes.Add(1)
		if len(words) < 4 {
			return "", nil, errors.New("no length")
		}
		length, err := strconv.Atoi(words[3])
		if err != nil || length < 0 || length > maxContents {
			return "", nil, errors.New("bad length")
		}
		r.data = make([]byte, length)
		if _, err := io.ReadFull(reader, r.data); err != nil {
			return "", nil, err
		}
		r.values = Values{owner: s.client, mtime: time.Now().Round(0).UTC()}
	default:
		return "", nil, errors.New("unknown command")
	}
	return words[1], r, nil
}

// answer sends the answer to one request. A client that is gone will not miss
// it: the reader of the connection notices too.
func (s *Session) answer(tag string, err error, data []byte) {
	s.pending.Add(-1)
	if err != nil {
		s.errors.Add(1)
		s.send(fmt.Sprintf("ERR %s %s", tag, strings.ReplaceAll(err.Error(), "\n", " ")), nil)
		return
	}
	s.send(fmt.Sprintf("OK %s %d", tag, len(data)), data)
}

func (s *Session) send(line string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	s.writer.WriteString(line)
	s.writer.WriteByte('\n')
	s.writer.Write(data)
	return s.writer.Flush()
}

// all returns the sessions in the order of their ids.
func (t *SessionTable) all() []*Session {
	var sessions []*Session
	t.byID.Range(func(_, value interface{}) bool {
		sessions = append(sessions, value.(*Session))
		return true
	})
	sort.Slice(sessions, func(i, j int) bool { return sessions[i].id < sessions[j].id })
	return sessions
}

// close ends all sessions.
func (t *SessionTable) close() {
	t.listener.Close()
	t.byID.Range(func(_, value interface{}) bool {
		value.(*Session).conn.Close()
		return true
	})
}
