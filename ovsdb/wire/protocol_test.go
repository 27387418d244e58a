package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/engine"
)

// peer is a client that says what it is told to.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *json.Decoder
}

func dial(t *testing.T, at string) *peer {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(at, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return &peer{t, conn, json.NewDecoder(conn)}
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// hear reads a message and gives its text, with UUIDs numbered.
func (p *peer) hear(want string) {
	p.t.Helper()
	var j any
	if err := p.in.Decode(&j); err != nil {
		p.t.Fatalf("%v, where %s was to come", err, want)
	}
	if got := uuidFilter(ovsdb.Text(j)); got != want {
		p.t.Errorf("heard\n%s\nwant\n%s", got, want)
	}
}

func (p *peer) ask(text, want string) {
	p.t.Helper()
	p.say(text)
	p.hear(want)
}

func TestConditionChange(t *testing.T) {
	at, _ := serve(t, open(t, ordinals))
	p := dial(t, at)
	p.ask(`{"id":1,"method":"transact","params":["ordinals",{"op":"insert","table":"ordinals","row":{"number":1},
		"uuid":"10000000-0000-0000-0000-000000000000"},{"op":"insert","table":"ordinals","row":{"number":2},
		"uuid":"20000000-0000-0000-0000-000000000000"}]}`,
		`{"error":null,"id":1,"result":[{"uuid":["uuid","<0>"]},{"uuid":["uuid","<1>"]}]}`)
	p.ask(`{"id":2,"method":"monitor_cond","params":["ordinals","m",{"ordinals":[{"columns":["number"],
		"where":[["number","==",1]]}]}]}`,
		`{"error":null,"id":2,"result":{"ordinals":{"<0>":{"initial":{"number":1}}}}}`)
	p.ask(`{"id":3,"method":"monitor_cond_change","params":["m",["n"],{"ordinals":[{"where":[["number","==",2]]}]}]}`,
		`{"id":null,"method":"update2","params":[["n"],{"ordinals":{"<0>":{"delete":null},"<1>":{"insert":{"number":2}}}}]}`)
	p.hear(`{"error":null,"id":3,"result":{}}`)
	p.ask(`{"id":4,"method":"monitor_cancel","params":["m"]}`, `{"error":"unknown monitor","id":4,"result":null}`)
	p.ask(`{"id":5,"method":"monitor_cancel","params":[["n"]]}`, `{"error":null,"id":5,"result":{}}`)
}

func TestWaits(t *testing.T) {
	at, _ := serve(t, open(t, ordinals))
	p := dial(t, at)
	wait := `{"op":"wait","table":"ordinals","where":[["number","==",7]],"columns":["number"],"until":"==",
		"rows":[{"number":7}]`
	p.say(`{"id":"w","method":"transact","params":["ordinals",` + wait + `}]}`)
	p.say(`{"id":"late","method":"transact","params":["ordinals",` + wait + `,"timeout":1}]}`)
	var j map[string]any
	if err := p.in.Decode(&j); err != nil || j["id"] != "late" ||
		!strings.Contains(ovsdb.Text(j["result"]), "timed out") {
		t.Errorf("%v, %v: it must have timed out", j, err)
	}
	p.ask(`{"id":"e","method":"echo","params":[1.5,"x"]}`, `{"error":null,"id":"e","result":[1.5,"x"]}`)
	dial(t, at).ask(`{"id":0,"method":"transact","params":["ordinals",{"op":"insert","table":"ordinals",
		"row":{"number":7}}]}`, `{"error":null,"id":0,"result":[{"uuid":["uuid","<0>"]}]}`)
	p.hear(`{"error":null,"id":"w","result":[{}]}`)
	p.say(`{"id":"c","method":"transact","params":["ordinals",{"op":"wait","table":"ordinals","where":[],"until":"==",
		"columns":["number"],"rows":[]}]}`)
	p.ask(`{"id":null,"method":"cancel","params":["c"]}`, `{"error":"canceled","id":"c","result":null}`)
}

func TestLocks(t *testing.T) {
	at, _ := serve(t, open(t, ordinals))
	a, b := dial(t, at), dial(t, at)
	locked := func(is string) string { return `{"error":null,"id":1,"result":{"locked":` + is + `}}` }
	assert := `{"id":2,"method":"transact","params":["ordinals",{"op":"assert","lock":"x"}]}`
	a.ask(`{"id":1,"method":"lock","params":["x"]}`, locked("true"))
	b.ask(`{"id":1,"method":"lock","params":["x"]}`, locked("false"))
	a.ask(assert, `{"error":null,"id":2,"result":[{}]}`)
	b.ask(assert, `{"error":null,"id":2,"result":[{"details":"Asserted lock x not held.","error":"not owner"}]}`)
	a.ask(`{"id":3,"method":"unlock","params":["x"]}`, `{"error":null,"id":3,"result":{}}`)
	b.hear(`{"id":null,"method":"locked","params":["x"]}`)
	a.ask(`{"id":1,"method":"steal","params":["x"]}`, locked("true"))
	b.hear(`{"id":null,"method":"stolen","params":["x"]}`)
	a.ask(`{"id":3,"method":"unlock","params":["x"]}`, `{"error":null,"id":3,"result":{}}`)
	b.hear(`{"id":null,"method":"locked","params":["x"]}`) // whom it was stolen from has waited for it
	a.ask(`{"id":1,"method":"steal","params":["x"]}`, locked("true"))
	b.hear(`{"id":null,"method":"stolen","params":["x"]}`)
	b.ask(`{"id":4,"method":"unlock","params":["x"]}`, `{"error":null,"id":4,"result":{}}`)
	b.ask(`{"id":1,"method":"lock","params":["x"]}`, locked("false"))
	a.conn.Close() // who goes lets go
	b.hear(`{"id":null,"method":"locked","params":["x"]}`)
}

// TestReplication has a real server follow ours, and make a cluster of our file.
func TestReplication(t *testing.T) {
	if _, err := exec.LookPath("ovsdb-server"); err != nil {
		t.Skip("ovsdb-server isn't here: apt-get install openvswitch-switch")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "ordinals.db")
	schema, err := ovsdb.ParseSchema([]byte(ordinals))
	if err != nil {
		t.Fatal(err)
	}
	file, err := ovsdb.Open(path, schema, 0)
	if err != nil {
		t.Fatal(err)
	}
	db, err := engine.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at, _ := serve(t, db)
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	follower, socket := filepath.Join(dir, "follower.db"), filepath.Join(filepath.Dir(strings.TrimPrefix(at, "unix:")),
		"follower.sock")
	run("ovsdb-tool", "create", follower, textFile(t, ordinals))
	server := exec.Command("ovsdb-server", "-vconsole:off", "--sync-from="+at, "--remote=punix:"+socket,
		"--unixctl="+socket+".ctl", follower)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	client(t, "transact", at, `["ordinals",{"op":"insert","table":"ordinals","row":{"number":3,"name":"three"}}]`)
	client(t, "wait", "unix:"+socket, "ordinals", "connected")
	client(t, "transact", "unix:"+socket, `["ordinals",{"op":"wait","table":"ordinals","where":[["number","==",3]],
		"columns":["name"],"until":"==","rows":[{"name":"three"}]}]`)
	run("ovsdb-tool", "create-cluster", filepath.Join(dir, "cluster.db"), path, "unix:"+filepath.Join(dir, "raft"))
	if got := client(t, "dump", "unix:"+socket, "ordinals", "ordinals", "number"); !strings.Contains(got, "3") {
		t.Errorf("the follower has %s", got)
	}
}

// FuzzReader: no stream of bytes makes the reader panic, hang or take much memory.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"id":1,"method":"echo","params":[]} {"id":2,"result":null,"error":null}`))
	f.Add([]byte(`{"method":"` + strings.Repeat("[", 300)))
	f.Add([]byte(`{"a\"}":"\\"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newReader(strings.NewReader(string(data)))
		for {
			if _, err := r.next(); err != nil {
				if !errors.Is(err, ErrMessage) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%v", err)
				}
				return
			}
		}
	})
}

// TestReaderRooms: messages of all lengths are read as they were written, however they come, and two readers never
// have one room.
func TestReaderRooms(t *testing.T) {
	var sent []string
	var stream strings.Builder
	for _, n := range []int{0, 100, readAtOnce - 40, readAtOnce, readAtOnce + 1, roomy - 40, roomy, roomy + 1,
		4 * roomy, 70_000, 1, 2, 300} {
		text := strings.Repeat("x", n)
		sent = append(sent, text)
		fmt.Fprintf(&stream, ` {"id":%d,"method":"say","params":["%s"]}`, n, text)
	}
	var all sync.WaitGroup
	for _, at := range []int{1, 7, readAtOnce - 1, readAtOnce, 1000, roomy, 1 << 20} {
		all.Go(func() {
			r := newReader(pieces{strings.NewReader(stream.String()), at})
			for _, want := range sent {
				m, err := r.next()
				if err != nil || len(m.Params) != 1 || m.Params[0] != want {
					t.Errorf("%d bytes at a time: a message of %d came as %v: %v", at, len(want), m, err)
					return
				}
			}
			if _, err := r.next(); err != io.EOF {
				t.Errorf("%d bytes at a time: the end is %v", at, err)
			}
		})
	}
	all.Wait()
}

// pieces reads so many bytes at a time.
type pieces struct {
	io.Reader
	at int
}

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.at)]) }
