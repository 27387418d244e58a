package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// ovsdbClient runs the real ovsdb-client until it succeeds: a look on a busy machine may come to its limits.
func ovsdbClient(t *testing.T, args ...string) string {
	t.Helper()
	var out []byte
	err := eventually("ovsdb-client "+args[0], func() (bool, error) {
		var err error
		out, err = exec.Command("ovsdb-client", args...).CombinedOutput()
		return err == nil && !strings.Contains(string(out), "resources exhausted"), nil
	})
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestProcessAsDatabase has the real ovsdb-client look at a NATS server, change it, and watch its clients come and go.
func TestProcessAsDatabase(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("ovsdb-client"); err != nil {
		t.Skip("ovsdb-client isn't here: apt-get install openvswitch-common")
	}
	s := startNATS(t, "2.15", "")
	ann := s.connect(t, "ann", "", false)
	ann.flush()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	startAgent(t, "-p", fmt.Sprint(s.pid), "--stop-budget", "0",
		"--remote", fmt.Sprintf("ptcp:%d:127.0.0.1", port), "--tcp-role", "viewer")
	viewer := fmt.Sprintf("tcp:127.0.0.1:%d", port)
	t.Run("viewer", func(t *testing.T) {
		db := strings.TrimSpace(ovsdbClient(t, "list-dbs", viewer))
		if !strings.HasSuffix(db, fmt.Sprintf("_%d", s.pid)) {
			t.Fatalf("the databases are %q", db)
		}
		out := ovsdbClient(t, "dump", viewer, db, "nats_clients", "cid", "name", "kind")
		if !strings.Contains(out, "cid") || strings.Contains(out, "ann") {
			t.Errorf("a viewer sees\n%s", out)
		}
		if again := ovsdbClient(t, "dump", viewer, db, "nats_clients", "cid", "name", "kind"); again != out {
			t.Errorf("tokens of two looks differ:\n%s\n%s", out, again)
		}
		out = ovsdbClient(t, "transact", viewer, fmt.Sprintf(`["%s",{"op":"update","table":"nats_logging","where":[],
			"row":{"debug":1}}]`, db))
		if !strings.Contains(out, "not allowed") {
			t.Errorf("a viewer's change: %s", out)
		}
	})
	t.Run("operator", func(t *testing.T) { operatorOfDatabase(t, s) })
}

func operatorOfDatabase(t *testing.T, s natsServer) {
	a := startAgent(t, "-p", fmt.Sprint(s.pid), "--monitor", "200ms", "--monitor-budget", "0", "--stop-budget", "0")
	db := strings.TrimSpace(ovsdbClient(t, "list-dbs", a.at))
	if out := ovsdbClient(t, "list-tables", a.at, db); !strings.Contains(out, "nats_clients") ||
		!strings.Contains(out, "goroutines") {
		t.Errorf("tables:\n%s", out)
	}
	if out := ovsdbClient(t, "get-schema", a.at, db); !strings.Contains(out, `"indexes":[["cid"]]`) {
		t.Errorf("schema:\n%s", out)
	}
	dump := func() string { return ovsdbClient(t, "dump", a.at, db, "nats_clients", "_uuid", "name") }
	first := dump()
	if !strings.Contains(first, "ann") || dump() != first {
		t.Errorf("two looks at the same client:\n%s\n%s", first, dump())
	}
	transact := func(ops string) string { return ovsdbClient(t, "transact", a.at, `["`+db+`",`+ops+`]`) }
	for _, op := range []string{`{"op":"delete","table":"nats_clients","where":[]}`,
		`{"op":"insert","table":"nats_clients","row":{"cid":7}}`} {
		if out := transact(op); !strings.Contains(out, `"error":"not allowed"`) {
			t.Errorf("%s: %s", op, out)
		}
	}
	set := `{"op":"wait","table":"nats_logging","where":[],"columns":["debug"],"until":"==","rows":[{"debug":0}],
		"timeout":0},{"op":"update","table":"nats_logging","where":[],"row":{"debug":1}},
		{"op":"comment","comment":"ticket 42"}`
	if out := transact(set); strings.TrimSpace(out) != `[{},{"count":1},{}]` {
		t.Fatalf("a change: %s", out)
	}
	if out := transact(set); !strings.Contains(out, "timed out") {
		t.Errorf("a change whose guard doesn't hold: %s", out)
	}
	stdout, stderr, _ := askRi(t, "log")
	if !strings.Contains(stdout, "nats_logging: ticket 42") {
		t.Errorf("the journal: %s %s", stdout, stderr)
	}
	monitor := exec.Command("ovsdb-client", "monitor", a.at, db, "nats_clients", "name")
	var said text
	monitor.Stdout, monitor.Stderr = &said, &said
	if err := monitor.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { monitor.Process.Kill(); monitor.Wait() })
	hears := func(what string) {
		t.Helper()
		if err := eventually("the monitor says "+what, func() (bool, error) {
			for line := range strings.Lines(said.String()) {
				if f := strings.Fields(line); len(f) == 3 && f[1]+" "+f[2] == what {
					return true, nil
				}
			}
			return false, nil
		}); err != nil {
			t.Fatalf("%v:\n%s", err, said.String())
		}
	}
	hears("initial ann")
	bob := s.connect(t, "bob", "", false)
	bob.flush()
	hears("insert bob")
	bob.conn.Close()
	hears("delete bob")
	if p, err := os.FindProcess(s.pid); err == nil {
		p.Kill()
	}
	if err := monitor.Wait(); err == nil {
		t.Errorf("the monitor ended well, though the process has died:\n%s", said.String())
	}
}
