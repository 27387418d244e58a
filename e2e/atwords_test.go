package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAtSaysWhy does what a stranger does wrong: each time it is said what, in words that help.
func TestAtSaysWhy(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "10")
	s := newFleetSite(t)
	s.must("pki", "issue", "here", "--agent", "--host", "127.0.0.1", "--pki", "pki", "-o", "here.pem")
	port := freePort(t)
	a := startAgent(t, "--remote", fmt.Sprintf("pssl:%d:127.0.0.1", port), "--tls", s.file("here.pem"))
	at := fmt.Sprintf("ssl:127.0.0.1:%d", port)
	ask := func(tls string, args ...string) told {
		return tellAs(s.dir, "", []string{"RI_TLS=" + s.file(tls)}, args...)
	}
	for _, c := range []struct {
		says string
		code int
		args []string
	}{
		{"does it speak TLS (ssl:127.0.0.1:", 4, []string{"--at", strings.Replace(at, "ssl:", "tcp:", 1), "ps"}},
		{"--at asks one, and neither makes nor ends it", 2, []string{"--at", at, "serve", "--disarm"}},
		{"hosts.yaml", 2, []string{"--at", "db77", "ps"}},
		{"connection refused", 4, []string{"--at", fmt.Sprintf("ssl:127.0.0.1:%d", freePort(t)), "ps"}},
	} {
		if r := ask("ann.pem", c.args...); r.code != c.code || !strings.Contains(r.err, c.says) || r.out != "" {
			t.Errorf("ri %v: %+v", c.args, r)
		}
	}
	if r := ask("ann.pem", "--at", at, "doctor"); !strings.Contains(r.out, "ann has the role author: ") {
		t.Errorf("ri doctor doesn't say who one is: %+v", r)
	}
	if err := a.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the agent has ended: %v", err)
	}

	// a certificate that expires while it is used
	s.must("pki", "issue", "brief", "--role", "author", "--for", "4s", "--pki", "pki", "-o", "brief.pem")
	r := ask("brief.pem", "--at", at, "exec", "-p", fmt.Sprint(p.pid), "--view", "live", "--max-time", "5m", "-e",
		"while true do end")
	if r.code != 1 || !strings.Contains(r.err, "the certificate of brief expired at ") {
		t.Errorf("an expired certificate: %+v", r)
	}
	if r := ask("brief.pem", "--at", at, "ps"); r.code != 4 || !strings.Contains(r.err, "has expired") {
		t.Errorf("an expired certificate, again: %+v", r)
	}
	log, err := os.ReadFile(filepath.Join(a.folder, "requests.log"))
	if err != nil || !strings.Contains(string(log), `"why":"the connection was lost"}`) ||
		!strings.Contains(string(log), `"caller":"brief","role":"author","from":"127.0.0.1:`) {
		t.Errorf("%v: the agent wrote down\n%s", err, log)
	}
	goesOn(t, p)
}
