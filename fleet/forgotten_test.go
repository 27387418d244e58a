package fleet

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// between is a way to a database that has it forget some of what it is sent, as a follower of a cluster forgets what it
// handed to a leader that died: the connection stays, and no answer comes.
type between struct {
	t *testing.T

	mu     sync.Mutex
	forget func(text string) bool
	lost   int
	conns  []net.Conn
}

// newBetween gives a way, and where it begins.
func newBetween(s *site, forget func(text string) bool) (*between, Database) {
	s.t.Helper()
	b := &between{t: s.t, forget: forget}
	socket := filepath.Join(s.dir, "between")
	l, err := net.Listen("unix", socket)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close(); b.hangUp() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go b.pass(near, filepath.Join(s.dir, "db"))
		}
	}()
	db, err := ParseDatabase("unix:" + socket)
	if err != nil {
		s.t.Fatal(err)
	}
	db.patience = 500 * time.Millisecond
	return b, db
}

// hangUp ends all connections.
func (b *between) hangUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

func (b *between) pass(near net.Conn, to string) {
	defer near.Close()
	far, err := net.Dial("unix", to)
	if err != nil {
		b.t.Error(err)
		return
	}
	defer far.Close()
	b.mu.Lock()
	b.conns = append(b.conns, near)
	b.mu.Unlock()
	go func() {
		_, _ = io.Copy(near, far)
		near.Close()
	}()
	in := json.NewDecoder(near)
	for {
		var text json.RawMessage
		if in.Decode(&text) != nil {
			return
		}
		b.mu.Lock()
		forget := b.forget(string(text))
		if forget {
			b.lost++
		}
		b.mu.Unlock()
		if !forget {
			if _, err := far.Write(text); err != nil {
				return
			}
		}
	}
}

// once is true of the first text in which all words are.
func once(words ...string) func(string) bool {
	done := false
	return func(text string) bool {
		if done {
			return false
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		done = true
		return true
	}
}

// TestForgottenTransaction: whatever a server forgets of an order, of who asks or of the agent, it is followed once and
// answered, and nothing of it is left.
func TestForgottenTransaction(t *testing.T) {
	for name, words := range map[string][]string{
		"the order":    {`"insert"`, `"table":"Run"`, `"hosts":"`},
		"it is taken":  {`"insert"`, `"table":"Run_Target"`},
		"a piece":      {`"insert"`, `"table":"Run_Result"`},
		"the answer":   {`"update"`, `"table":"Run_Target"`},
		"it is read":   {`"select"`, `"table":"Run_Result"`},
		"it is over":   {`"delete"`, `"table":"Run_Target"`},
		"how it ended": {`"update"`, `"totals"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b, db := newBetween(s, once(words...))
			s.db.patience = db.patience
			real := s.db
			s.db = db
			s.agent("h", 1, false)
			s.db = real
			s.await(1)
			ann := s.asker(s.identity("ann", "author"))
			ann.Database = db
			report, got := s.ask(ann, run("some"))
			totals(t, report, map[string]int64{Answered: 1})
			if len(got) != 1 {
				t.Errorf("%d rows", len(got))
			}
			s.left(map[string]int{answerTable: 0, resultTable: 0})
			if b.lost != 1 {
				t.Errorf("%d were forgotten", b.lost)
			}
			if list, err := ann.Runs(t.Context()); err != nil || len(list.Rows) != 1 {
				t.Errorf("%v, %v", list, err)
			} else if state, _ := list.Rows[0].Get("state"); state != Done {
				t.Errorf("the run is %v", state)
			}
		})
	}
}

// TestServerIsLostAtIt: an order that an agent is at goes on when its connection to the database ends while it has
// something else to write there, too.
func TestServerIsLostAtIt(t *testing.T) {
	s := newSite(t)
	b, db := newBetween(s, func(text string) bool {
		return strings.Contains(text, `"update"`) && strings.Contains(text, `"table":"Host"`)
	})
	s.db.patience = db.patience
	real := s.db
	s.db = db
	s.agent("h", 1, false, func(a *agent) { a.Lease = 2 * time.Second }) // it is renewed, in vain, meanwhile
	s.db = real
	s.await(1)
	ended := make(chan *Report)
	go func() {
		report, _ := s.ask(s.asker(s.identity("ann", "author")), run("some", "until="+filepath.Join(s.dir, "go")))
		ended <- report
	}()
	for lost := 0; lost < 3; { // it has failed since it began
		if text, _ := os.ReadDir(filepath.Join(s.dir, "h", "requests")); len(text) > 0 {
			b.mu.Lock()
			lost = b.lost
			b.mu.Unlock()
		}
		time.Sleep(time.Millisecond)
	}
	b.hangUp()
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	totals(t, <-ended, map[string]int64{Answered: 1})
}
