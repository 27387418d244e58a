package wire

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ri/ovsdb"
	"ri/ovsdb/engine"
)

const ordinals = `{"name": "ordinals", "version": "5.1.3", "cksum": "12345678 9", "tables": {"ordinals": {
	"columns": {"number": {"type": "integer"}, "name": {"type": "string"}}, "indexes": [["number"]]}}}`

// serve serves a database on a Unix socket until the returned function is called.
func serve(t *testing.T, db *engine.DB) (at string, end func()) {
	t.Helper()
	s, err := NewServer()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(db); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ri") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "db.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(end)
	return "unix:" + path, end
}

func open(t *testing.T, schema string) *engine.DB {
	t.Helper()
	s, err := ovsdb.ParseSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	return engine.New(s)
}

// client runs ovsdb-client and gives what it prints.
func client(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ovsdb-client"); err != nil {
		t.Skip("ovsdb-client isn't here: apt-get install openvswitch-common")
	}
	all := append([]string{"--timeout=60", "-vconsole:off"}, args...)
	out, err := exec.Command("ovsdb-client", all...).CombinedOutput()
	if err != nil {
		t.Fatalf("ovsdb-client %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

var anyUUID = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

func uuidFilter(text string) string {
	seen := map[string]string{}
	return anyUUID.ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			seen[id] = "<" + strconv.Itoa(len(seen)) + ">"
		}
		return seen[id]
	})
}

// TestClient has ovsdb-client do all that it can.
func TestClient(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ordinals.db")
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
	at, end := serve(t, db)

	check := func(want string, args ...string) {
		t.Helper()
		if got := uuidFilter(client(t, args...)); got != want {
			t.Errorf("ovsdb-client %s:\n%s\nwant\n%s", strings.Join(args, " "), got, want)
		}
	}
	check("_Server\nordinals", "list-dbs", at)
	check("5.1.3", "get-schema-version", at, "ordinals")
	check("12345678 9", "get-schema-cksum", at, "ordinals")
	check("Table\n--------\nordinals", "list-tables", at, "ordinals")
	check(`[{"uuid":["uuid","<0>"]},{}]`, "transact", at, `["ordinals", {"op": "insert", "table": "ordinals",
		"row": {"number": 1, "name": "one"}}, {"op": "commit", "durable": true}]`)
	check("ordinals table\n_uuid                                name number\n"+
		"------------------------------------ ---- ------\n"+
		"<0> one  1", "dump", at, "ordinals")
	check(`[{"rows":[{"name":"one"}]}]`, "query", at, `["ordinals", {"op": "select", "table": "ordinals", "where": [],
		"columns": ["name"]}]`)
	check("no", "needs-conversion", at, textFile(t, ordinals))
	check("", "wait", at, "ordinals", "connected")
	wider := strings.Replace(ordinals, `"name": {"type": "string"}`,
		`"name": {"type": "string"}, "kind": {"type": "string"}`, 1)
	check("yes", "needs-conversion", at, textFile(t, wider))
	check("", "convert", at, textFile(t, wider))
	check("no", "needs-conversion", at, textFile(t, wider))

	backup := client(t, "backup", at, "ordinals")
	check(`[{"count":1}]`, "transact", at, `["ordinals", {"op": "delete", "table": "ordinals", "where": []}]`)
	restore := exec.Command("ovsdb-client", "--timeout=60", "restore", at, "ordinals")
	saved, err := os.Open(textFile(t, backup+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	restore.Stdin = saved
	if out, err := restore.CombinedOutput(); err != nil {
		t.Errorf("restore: %v\n%s", err, out)
	}
	check(`[{"rows":[{"name":"one","number":1}]}]`, "query", at, `["ordinals", {"op": "select", "table": "ordinals",
		"where": [], "columns": ["name", "number"]}]`)
	end()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	out, err := exec.Command("ovsdb-tool", "query", path, `["ordinals", {"op": "select", "table": "ordinals",
		"where": [], "columns": ["number"]}]`).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"number":1`) {
		t.Errorf("ovsdb-tool query: %v\n%s", err, out)
	}
}

func textFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pidOf(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
