package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ri/ovsdb/wire"
	"ri/serve/client"
	"ri/serve/pki"
	"ri/serve/request"
)

// TestFilesInAdvance sends files for requests that never come, without anything in them: what an agent keeps of all
// connections is bounded, and let go with the connection.
func TestFilesInAdvance(t *testing.T) {
	defer func(most int64) { maxPut = most }(maxPut)
	maxPut = 1 << 20
	s := startAgent(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ann := s.identity(pki.Wish{Name: "ann", Kind: "author", Life: time.Hour})
	connect := func() *wire.Peer {
		p := s.speak(ann)
		if _, err := p.Call(ctx, request.Hello, greeting); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, other := connect(), connect()
	put := func(p *wire.Peer, i int) error {
		_, err := p.Call(ctx, request.Put, i, fmt.Sprint("/", i, strings.Repeat("x", 10_000)), "")
		return err
	}
	refused := 0
	for i := range 200 {
		if err := put(one, i); failed(err) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused < 90 || refused > 110 {
		t.Errorf("of 200 paths of 10 kB %d were refused, where 1 MiB may be kept", refused)
	}
	if err := put(other, 1); !failed(err) {
		t.Errorf("another connection: %v", err)
	}
	one.Close()
	for put(other, 1) != nil { // once the agent knows
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMalformed says what is no message, too deep, too long or half a one: whoever does is told what is wrong, where
// there is something to be told of, and the connection ends; others go on.
func TestMalformed(t *testing.T) {
	s := startAgent(t)
	ann := s.identity(pki.Wish{Name: "ann", Kind: "viewer", Life: time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	other := s.speak(ann)
	for _, one := range []struct{ says, told string }{
		{strings.Repeat("[", 1000), "where an object should begin"},
		{`{"params":` + strings.Repeat("[", 1000), "nested more than 200 deep"},
		{`{"method":"` + strings.Repeat("x", 3<<20), "longer than 2048 KiB"},
		{"{\"method\":\"\xff\"}", "not UTF-8"},
		{`{"method":7,"params":[],"id":1}`, "the method is no string"},
		{`{"id":1,"meth`, ""},
	} {
		conn, err := s.at.Dial(ctx, client.Options{Identity: ann}.Config)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(conn, one.says)
			if one.told == "" {
				_ = conn.(*tls.Conn).CloseWrite()
			}
		}()
		told, err := io.ReadAll(conn)
		conn.Close()
		if len(told) == 0 && errors.Is(err, syscall.ECONNRESET) {
			continue // it was still being said when the connection ended
		}
		if !strings.Contains(string(told), one.told) || one.told == "" && len(told) > 0 {
			t.Errorf("%.20q: %q", one.says, told)
		}
	}
	if _, err := other.Call(ctx, request.Hello, greeting); err != nil {
		t.Errorf("another connection: %v", err)
	}
}

// TestNoLongerGood has a certificate expire, and another be revoked, while requests are under way: they are ended, with
// their connections, and written down.
func TestNoLongerGood(t *testing.T) {
	defer func(often time.Duration) { rechecks = often }(rechecks)
	rechecks = 50 * time.Millisecond
	s := startAgent(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shell := asked("shell --pid=1")
	shell["input"] = true
	begin := func(wish pki.Wish) (ended func() error) {
		p := s.speak(s.identity(wish))
		if _, err := p.Call(ctx, request.Hello, greeting); err != nil {
			t.Fatal(err)
		}
		answer, err := p.Begin(request.Run, 1, shell)
		if err != nil {
			t.Fatal(err)
		}
		return func() error {
			_, err := answer(ctx)
			return err
		}
	}
	brief := begin(pki.Wish{Name: "brief", Kind: "author", Life: 3 * time.Second})
	ann := begin(pki.Wish{Name: "ann", Kind: "author", Life: time.Hour})
	_ = begin(pki.Wish{Name: "good", Kind: "author", Life: time.Hour})
	if err := brief(); err == nil || ctx.Err() != nil {
		t.Errorf("of who has expired: %v", err)
	}
	if _, err := s.pki.Revoke("ann"); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(s.folder, pki.CRLFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, pki.CRLFile), list, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := ann(); err == nil || ctx.Err() != nil {
		t.Errorf("of who was revoked: %v", err)
	}
	for said := ""; ctx.Err() == nil; { // once the workers have ended
		log, err := os.ReadFile(filepath.Join(s.agent.Folder, LogName))
		if err != nil {
			t.Fatal(err)
		}
		if said = string(log); strings.Count(said, "the connection was lost") == 2 && strings.Contains(said, "revoked") {
			return
		}
	}
	t.Error("the log doesn't say what was lost")
}
