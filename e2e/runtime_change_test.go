package e2e

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// changeable changes what tables say can be changed, as a client of OVSDB does, and takes it back. The program says
// that it goes by it.
func (p *runtimeTarget) changeable(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal.db")
	transact := func(ops string) string {
		t.Helper()
		out, _, _ := askRi(t, "tables", "-p", fmt.Sprint(p.pid), "--write", "--journal", journal, "--max-stop", "10s",
			"--transact", `["x",`+ops+`]`)
		return strings.TrimSpace(out)
	}
	most := func() float64 {
		t.Helper()
		var truth struct {
			SQL struct{ MaxOpenConnections float64 }
		}
		p.truth(t, &truth)
		return truth.SQL.MaxOpenConnections
	}
	was := most()
	guarded := fmt.Sprintf(`{"op":"wait","table":"sql","where":[],"columns":["max"],"until":"==","rows":[{"max":%v}],
		"timeout":0},{"op":"update","table":"sql","where":[],"row":{"max":17,"max_lifetime":3600000000000}}`, was)
	if out := transact(guarded); out != `[{},{"count":1}]` || most() != 17 {
		t.Errorf("the pool's limit: %s; the program says %v", out, most())
	}
	if out := transact(guarded); !strings.Contains(out, "timed out") || most() != 17 {
		t.Errorf("a guard that doesn't hold: %s; the program says %v", out, most())
	}
	undo := func(n string) {
		t.Helper()
		if _, errs, code := askRi(t, "undo", n, "--journal", journal, "--write", "--yes", "--max-stop", "10s"); code != 0 {
			t.Errorf("undo: %d %s", code, errs)
		}
	}
	if undo("1"); most() != was {
		t.Errorf("after undo the program says %v, and said %v", most(), was)
	}

	server := one(t, p.rows(t, "http-servers"), "the first server", func(r row) bool {
		return r.number("read_timeout") == float64(2*time.Hour)
	})
	address := server.text("address")
	if "http://"+address != p.facts["http"] {
		t.Errorf("the server listens at %s, and is said to at %s", p.facts["http"], address)
	}
	change := fmt.Sprintf(`{"op":"update","table":"http_servers","where":[["address","==",%q]],
		"row":{"read_header_timeout":%d}}`, address, 50*time.Millisecond)
	if out := transact(change); out != `[{"count":1}]` {
		t.Fatalf("the server's timeout: %s", out)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n") // and no more: without the timeout it would be waited for
	if answer, err := io.ReadAll(conn); err != nil {
		t.Errorf("a client that says no more: %q, %v", answer, err)
	}
	undo("3")
}
