package pki

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is an authority with certificates in files.
type site struct {
	t   *testing.T
	dir string
	*Authority
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	if err := Init(dir, "here"); err != nil {
		t.Fatal(err)
	}
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, dir, a}
}

func (s *site) identity(w Wish) *Identity {
	s.t.Helper()
	text, err := s.Issue(w)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.load(text)
}

func (s *site) load(text []byte) *Identity {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "own.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	i, err := Load(path, filepath.Join(s.dir, CRLFile))
	if err != nil {
		s.t.Fatal(err)
	}
	return i
}

// shake has two shake hands, and gives what each of them says of it.
func shake(t *testing.T, calls, called *tls.Config) (of, by error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			defer conn.Close()
			secure := tls.Server(conn, called)
			if err = secure.Handshake(); err == nil {
				_, err = secure.Write([]byte("."))
			}
		}
		done <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), calls)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	return err, <-done
}

// TestWhoIsLetIn has all kinds of holders call an agent: who is no good is refused, by whichever end knows it.
func TestWhoIsLetIn(t *testing.T) {
	here, there := newSite(t), newSite(t)
	year := 24 * 365 * time.Hour
	agent := here.identity(Wish{Name: "db7", Kind: Agent, Hosts: []string{"db7", "127.0.0.1"}, Life: year})
	ann := here.identity(Wish{Name: "ann", Kind: "author", Life: year})
	ok := func(name string, asks, answers *Identity, host string, want error) {
		t.Helper()
		of, by := shake(t, asks.Config(IsAgent, host), answers.Config(IsAsker, ""))
		switch got := errors.Join(of, by); {
		case want == nil && got != nil:
			t.Errorf("%s: %v", name, got)
		case want != nil && !errors.Is(got, want):
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	ok("a person", ann, agent, "db7", nil)
	ok("a person, by address", ann, agent, "127.0.0.1", nil)
	ok("another name", ann, agent, "db8", ErrNobody)
	ok("an agent asks", agent, agent, "db7", ErrNobody)
	ok("a person answers", ann, ann, "", ErrNobody)
	ok("another site's agent", ann, there.identity(Wish{Name: "db7", Kind: Agent, Hosts: []string{"db7"}, Life: year}),
		"db7", ErrNobody)
	ok("another site's person", there.identity(Wish{Name: "ann", Kind: "operator", Life: year}), agent, "", ErrNobody)
	ok("an expired person", here.identity(Wish{Name: "old", Kind: "operator", Life: -time.Hour}), agent, "db7", ErrNobody)
	if _, err := here.Revoke("ann"); err != nil {
		t.Fatal(err)
	}
	ok("a revoked person", ann, agent, "db7", ErrRevoked)
	renewed, err := here.Renew("ann", year)
	if err != nil {
		t.Fatal(err)
	}
	ok("a person with a new certificate", here.load(renewed), agent, "db7", nil)
	old := ann.Config(IsAgent, "db7")
	old.MaxVersion, old.MinVersion = tls.VersionTLS12, tls.VersionTLS12
	if of, by := shake(t, old, agent.Config(IsAsker, "")); of == nil || by == nil {
		t.Errorf("TLS 1.2: %v, %v", of, by)
	}
	without := here.load(renewed).Config(IsAgent, "db7")
	without.Certificates = nil
	if _, by := shake(t, without, agent.Config(IsAsker, "")); by == nil {
		t.Error("somebody without a certificate is let in")
	}
}

// TestNames has no name leave the authority's folder, and none be given out twice.
func TestNames(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"", ".", "../x", "a/b", "-x", strings.Repeat("x", 65), "a\x1b"} {
		if _, err := s.Issue(Wish{Name: name, Kind: "viewer", Life: time.Hour}); err == nil {
			t.Errorf("%q is a name", name)
		}
		if _, err := s.Revoke(name); err == nil {
			t.Errorf("%q was revoked", name)
		}
	}
	s.identity(Wish{Name: "ann", Kind: "viewer", Life: time.Hour})
	if _, err := s.Issue(Wish{Name: "ann", Kind: "operator", Life: time.Hour}); !errors.Is(err, ErrExists) {
		t.Errorf("ann twice: %v", err)
	}
	if err := Init(s.dir, "again"); !errors.Is(err, ErrExists) {
		t.Errorf("an authority twice: %v", err)
	}
	all, err := s.List()
	if err != nil || len(all) != 1 || all[0].Kind != "viewer" || all[0].Revoked {
		t.Errorf("listed: %+v, %v", all, err)
	}
}

// TestRevokedLater has the first list of what was revoked come after the agent has started, and go again: who was
// revoked stays out.
func TestRevokedLater(t *testing.T) {
	s := newSite(t)
	text, err := s.Issue(Wish{Name: "db7", Kind: Agent, Hosts: []string{"db7"}, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "db7.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	agent, err := Load(filepath.Join(dir, "db7.pem"), "")
	if err != nil {
		t.Fatal(err)
	}
	ann := s.identity(Wish{Name: "ann", Kind: "author", Life: time.Hour})
	if _, err := agent.Good(ann.own.Leaf, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke("ann"); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(s.dir, CRLFile))
	if err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(dir, CRLFile)
	if err := os.WriteFile(there, list, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Good(ann.own.Leaf, ""); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked, and then: %v", err)
	}
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Good(ann.own.Leaf, ""); err == nil {
		t.Error("with the list gone, who was revoked is let in")
	}
}
