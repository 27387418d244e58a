package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestOutsideByTLS has a script ask a database that is called by TLS: as who runs it, and at an agent as
// that. Who isn't of the site, or isn't who was called, or was revoked, is believed nothing.
func TestOutsideByTLS(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "3")
	s := newFleetSite(t)
	s.must("pki", "issue", "desk", "--agent", "--host", "127.0.0.1", "--pki", "pki", "-o", "desk.pem")
	s.must("pki", "init", "--pki", "other")
	s.must("pki", "issue", "eve", "--role", "operator", "--pki", "other", "-o", "eve.pem")
	port := freePort(t)
	s.background(riCommand("fleet", "db", s.file("file"), "--remote", fmt.Sprintf("pssl:%d:127.0.0.1", port), "--tls",
		s.file("desk.pem")), "listening at")
	at := fmt.Sprintf("ssl:127.0.0.1:%d", port)
	script := `local ovsdb = require "ovsdb"
	return { title = "hosts", category = "test", modules = { "ovsdb" }, params = { { name = "at", type = "string" } },
		run = function(p) print(#ovsdb.select(p.at, "ri", "Host", {}, { "name" }), "hosts") end }`
	if err := os.WriteFile(s.file("ask.lua"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(tls, at string, args ...string) told {
		cmd := append([]string{"run", s.file("ask.lua"), "at=" + at, "-p", fmt.Sprint(p.pid)}, args...)
		return tellAs(s.dir, "", []string{"RI_TLS=" + tls}, cmd...)
	}
	other := strings.Replace(at, "127.0.0.1", "localhost", 1)
	allowed := "--allow=ovsdb=" + at
	for _, c := range []struct {
		what, tls, at, says string
		code                int
		args                []string
	}{
		{"who is of the site", "ann.pem", at, "hosts", 0, []string{allowed}},
		{"who has no certificate", "none.pem", at, "no such file", 2, []string{allowed}},
		{"who is of another site", "eve.pem", at, "certificate", 1, []string{allowed}},
		{"another name of it", "ann.pem", other, "certificate", 1, []string{"--allow=ovsdb=" + other}},
		{"what nobody allowed", "ann.pem", at, "--allow", 4, nil},
	} {
		if r := ask(s.file(c.tls), c.at, c.args...); r.code != c.code || !strings.Contains(r.out+r.err, c.says) {
			t.Errorf("%s: %+v", c.what, r)
		}
	}
	// at an agent: as that, whoever asks
	a := startAgent(t, "--tls", s.file("db7.pem"), allowed)
	if r := ask(s.file("none.pem"), at, "--at", a.at); r.code != 0 || !strings.Contains(r.out, "hosts") {
		t.Errorf("at an agent: %+v", r)
	}
	s.must("pki", "revoke", "desk", "--pki", "pki")
	crl, err := os.ReadFile(s.file("pki/crl.pem"))
	if err == nil {
		err = os.WriteFile(s.file("crl.pem"), crl, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for what, args := range map[string][]string{"here": {allowed}, "at an agent": {"--at", a.at}} {
		if r := ask(s.file("ann.pem"), at, args...); r.code != 1 || !strings.Contains(r.err, "revoked") {
			t.Errorf("a database whose certificate was revoked, %s: %+v", what, r)
		}
	}
}
