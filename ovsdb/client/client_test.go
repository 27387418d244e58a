package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ri/ovsdb"
	"ri/ovsdb/engine"
	"ri/ovsdb/wire"
)

const schema = `{"name": "jobs", "version": "1.0.0", "tables": {"Job": {"isRoot": true, "columns": {
	"id": {"type": "string"}, "step": {"type": "integer"},
	"tags": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
	"kin": {"type": {"key": {"type": "uuid", "refTable": "Job", "refType": "weak"}, "min": 0, "max": "unlimited"}}}}}}`

// engineServer serves an empty database of our own.
func engineServer(t *testing.T) (Remote, *engine.DB) {
	t.Helper()
	s, err := ovsdb.ParseSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	db := engine.New(s)
	server, err := wire.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Add(db); err != nil {
		t.Fatal(err)
	}
	return listen(t, server.Handle), db
}

// listen has connections handled at a place of its own.
func listen(t *testing.T, handle func(context.Context, net.Conn)) Remote {
	t.Helper()
	path := filepath.Join(shortDir(t), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { handle(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		all.Wait()
	})
	return unixRemote(path)
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ri") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func unixRemote(path string) Remote {
	return Remote{"unix:" + path, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}

// What a proxy does with a request.
type action int

const (
	pass    action = iota
	swallow        // it isn't answered
	refuse         // "unknown method"
	loseIt         // the server does it, and the connection ends before the answer
)

// proxy stands between, and does with requests what it is told.
func proxy(t *testing.T, to Remote, what func(method string) action) Remote {
	return listen(t, func(ctx context.Context, conn net.Conn) {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		back, err := to.Dial(ctx)
		if err != nil {
			return
		}
		defer back.Close()
		front, server := wire.NewPeer(conn, 0), wire.NewPeer(back, 0)
		go func() {
			for {
				r, err := server.Next()
				if err != nil {
					front.Close()
					return
				}
				front.Notify(r.Method, r.Params...)
			}
		}()
		for {
			r, err := front.Next()
			if err != nil {
				return
			}
			do := what(r.Method)
			switch do {
			case swallow:
				continue
			case refuse:
				r.Fail("unknown method")
				continue
			}
			j, err := server.Call(ctx, r.Method, r.Params...)
			var failure *wire.Failure
			switch {
			case do == loseIt:
				return
			case errors.As(err, &failure):
				r.Fail(failure.JSON)
			case err != nil:
				return
			default:
				r.Reply(j)
			}
		}
	})
}

func start(t *testing.T, config Config) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	config.Database = "jobs"
	config.Tell = func(s string) { t.Log(s) }
	c, err := New(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-c.Done()
	})
	return c
}

func insert(id string) Op {
	return Op{"op": "insert", "table": "Job", "row": map[string]any{"id": id}}
}

func transact(t *testing.T, c *Client, ops ...Op) []Result {
	t.Helper()
	out, err := c.Transact(t.Context(), ops...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMonitor: changes are told once, with the row before and after, by each of the three protocols, and what changed
// while there was no connection is told, too.
func TestMonitor(t *testing.T) {
	for name, old := range map[string][]string{"since": nil, "cond": {"monitor_cond_since"},
		"plain": {"monitor_cond_since", "monitor_cond"}} {
		t.Run(name, func(t *testing.T) {
			to, _ := engineServer(t)
			cut := atomic.Bool{}
			at := proxy(t, to, func(method string) action {
				if method == "echo" && cut.Swap(false) {
					return loseIt
				}
				for _, one := range old {
					if method == one {
						return refuse
					}
				}
				return pass
			})
			direct, c := start(t, Config{Remotes: []Remote{to}}), start(t, Config{Remotes: []Remote{at}})
			transact(t, direct, insert("a"), insert("b"))
			m, err := c.Monitor(t.Context(), map[string]Watch{"Job": {Columns: []string{"id", "step", "tags"}}})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]string{}
			follow := func(until string) {
				t.Helper()
				for {
					changes, err := m.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, one := range changes {
						row := one.New
						if row == nil {
							row = one.Old
						}
						text := fmt.Sprint(one.Old["step"].Int(), one.Old != nil, one.New["step"].Int(), one.New != nil,
							one.New["tags"].Strings())
						seen[row["id"].Text()] += text + ";"
					}
					if seen[until] != "" {
						return
					}
				}
			}
			follow("b")
			where := []any{[]any{"id", "==", "a"}}
			transact(t, direct, Op{"op": "mutate", "table": "Job", "where": where, "mutations": []any{[]any{"step", "+=", 4},
				[]any{"tags", "insert", []any{"map", []any{[]any{"k", "v"}}}}}}, insert("c"))
			follow("c")
			cut.Store(true)
			s, err := c.connected(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			s.peer.Begin("echo")
			transact(t, direct, Op{"op": "delete", "table": "Job", "where": where}, insert("d"))
			follow("d")
			want := map[string]string{"a": "0 false 0 true map[];0 true 4 true map[k:v];4 true 0 false map[];",
				"b": "0 false 0 true map[];", "c": "0 false 0 true map[];", "d": "0 false 0 true map[];"}
			if fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("told\n%v\nwant\n%v", seen, want)
			}
			if len(m.Rows("Job")) != 3 {
				t.Errorf("there are %d rows", len(m.Rows("Job")))
			}
		})
	}
}

// TestMonitorIsRefused: what no server has is an error at once, and the client goes on.
func TestMonitorIsRefused(t *testing.T) {
	at, _ := engineServer(t)
	c := start(t, Config{Remotes: []Remote{at}})
	if _, err := c.Monitor(t.Context(), map[string]Watch{"Nobody": {}}); err == nil ||
		!strings.Contains(err.Error(), "no table named Nobody") {
		t.Errorf("a table that isn't there: %v", err)
	}
	transact(t, c, insert("a"))
}

// TestNoAnswer: a server that takes connections and doesn't answer the first monitor is left for the next one.
func TestNoAnswer(t *testing.T) {
	to, _ := engineServer(t)
	silent := proxy(t, to, func(method string) action {
		if strings.HasPrefix(method, "monitor") {
			return swallow
		}
		return pass
	})
	late := proxy(t, to, func(method string) action {
		if method == "monitor_cond_since" {
			return swallow
		}
		return pass
	})
	c := start(t, Config{Remotes: []Remote{silent, late, to}, Patience: 300e6})
	transact(t, c, insert("a"))
	m, err := c.Monitor(t.Context(), map[string]Watch{"Job": {}})
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := c.Server(t.Context()); name != to.Name || len(m.Rows("Job")) != 1 {
		t.Errorf("the client is at %s, and has %v", name, m.Rows("Job"))
	}
	forgets := proxy(t, to, func(method string) action {
		if method == "transact" {
			return swallow
		}
		return pass
	})
	c = start(t, Config{Remotes: []Remote{forgets, to}, Patience: 300e6})
	if _, _, err := c.Once(t.Context(), "Job", "id", "b", insert("b")); err != nil {
		t.Errorf("a server that doesn't answer a transaction: %v", err)
	}
}

// TestLostReply: a transaction whose answer is lost is done once, and its author is told so; without a name nobody
// knows.
func TestLostReply(t *testing.T) {
	to, _ := engineServer(t)
	lose := atomic.Bool{}
	at := proxy(t, to, func(method string) action {
		if method == "transact" && lose.Swap(false) {
			return loseIt
		}
		return pass
	})
	c := start(t, Config{Remotes: []Remote{at}})
	lose.Store(true)
	if _, again, err := c.Once(t.Context(), "Job", "id", "x", insert("x")); err != nil || !again {
		t.Errorf("an answer was lost: again %v, %v", again, err)
	}
	if _, again, err := c.Once(t.Context(), "Job", "id", "y", insert("y")); err != nil || again {
		t.Errorf("no answer was lost: again %v, %v", again, err)
	}
	if _, _, err := c.Once(t.Context(), "Job", "id", "y", insert("y")); !errors.Is(err, ErrTaken) {
		t.Errorf("the name of another row: %v", err)
	}
	lose.Store(true)
	if _, err := c.Transact(t.Context(), insert("z")); !errors.Is(err, ErrUnknown) {
		t.Errorf("an answer was lost: %v", err)
	}
	guard := Wait("Job", []any{[]any{"id", "==", "z"}}, []string{"step"}, map[string]any{"step": 1})
	if _, err := c.Transact(t.Context(), guard, insert("w")); !Guarded(err) {
		t.Errorf("a guard that doesn't hold: %v", err)
	}
	var e *OpError
	if _, err := c.Transact(t.Context(), insert("v"), Op{"op": "lend"}); !errors.As(err, &e) || e.At != 1 {
		t.Errorf("an operation that there isn't: %v", err)
	}
	rows := transact(t, c, Op{"op": "select", "table": "Job", "where": []any{}, "columns": []string{"_uuid", "id"}})
	if len(rows[0].Rows) != 3 {
		t.Errorf("there are %v", rows[0].Rows)
	}
}

// TestStale: of a cluster's servers those that are behind what was seen, or alone, or don't lead, are left.
func TestStale(t *testing.T) {
	to, _ := engineServer(t)
	cluster := `["uuid","00000000-0000-4000-8000-00000000000c"]`
	member := func(index int, more string) Remote {
		return fakeServer(t, to, fmt.Sprintf(`{"name":"jobs","model":"clustered","cid":%s,"index":%d,%s}`, cluster, index,
			more))
	}
	whole := `"connected":true,"leader":true`
	leader, behind, ahead := member(7, whole), member(6, whole), member(8, whole)
	alone, follower := member(9, `"connected":false,"leader":false`), member(9, `"connected":true,"leader":false`)
	c := start(t, Config{Remotes: []Remote{alone, follower, leader, behind, ahead}, Leader: true})
	for _, want := range []Remote{leader, ahead} {
		if name, err := c.Server(t.Context()); err != nil || name != want.Name {
			t.Fatalf("the client is at %s (%v), want %s", name, err, want.Name)
		}
		s, _ := c.connected(t.Context(), nil)
		s.end(errors.New("the test ends it"))
		if want.Name == leader.Name {
			if _, err := c.connected(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := ovsdb.NewUUID()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan string, 100)
	d, err := New(ctx, Config{Database: "jobs", Remotes: []Remote{leader}, Cluster: &other,
		Tell: func(s string) { left <- s }})
	if err != nil {
		t.Fatal(err)
	}
	if why := <-left; !strings.Contains(why, "of the cluster "+other.String()) {
		t.Errorf("another cluster: %s", why)
	}
	cancel()
	<-d.Done()
}

// fakeServer is one whose _Server has a row of the test's choice; all else is passed on.
func fakeServer(t *testing.T, to Remote, row string) Remote {
	return listen(t, func(ctx context.Context, conn net.Conn) {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		back, err := to.Dial(ctx)
		if err != nil {
			return
		}
		defer back.Close()
		front, server := wire.NewPeer(conn, 0), wire.NewPeer(back, 0)
		go func() {
			for {
				if _, err := server.Next(); err != nil {
					return
				}
			}
		}()
		for {
			r, err := front.Next()
			if err != nil {
				return
			}
			if r.Method == "monitor_cond" && r.Params[0] == serverDB {
				var j any
				if err := ovsdb.Decode([]byte(`{"Database":{"00000000-0000-4000-8000-000000000001":{"initial":`+row+
					`}}}`), &j); err != nil {
					t.Error(err)
				}
				r.Reply(j)
				continue
			}
			j, err := server.Call(ctx, r.Method, r.Params...)
			if err != nil {
				return
			}
			r.Reply(j)
		}
	})
}
