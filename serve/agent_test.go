package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ri/ovsdb/wire"
	"ri/serve/client"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
	"ri/serve/worker"
)

// TestMain is the worker of the agents that the tests have: it says what it was asked for, and does nothing; a shell
// does so for as long as something may be typed.
func TestMain(m *testing.M) {
	if worker.Is() {
		if worker.Become() == nil {
			fmt.Println(strings.Join(os.Args[1:], " "))
			if strings.Contains(os.Args[1], "check") {
				fmt.Print(strings.Repeat("much\n", 1<<20))
			}
			if strings.Contains(os.Args[1], "shell") {
				_, _ = io.Copy(io.Discard, os.Stdin)
			}
		}
		return
	}
	os.Exit(m.Run())
}

// atSite is an agent of a site, over TLS.
type atSite struct {
	t      *testing.T
	agent  *Agent
	at     method.Method
	pki    *pki.Authority
	folder string // of the authority
	dir    string // of the agent's certificate
}

func parse(t *testing.T, text string) method.Method {
	t.Helper()
	all, err := method.ParseList(text)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func startAgent(t *testing.T) *atSite {
	t.Helper()
	s := &atSite{t: t, folder: filepath.Join(t.TempDir(), "pki"), dir: t.TempDir()}
	if err := pki.Init(s.folder, "here"); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.pki, err = pki.Open(s.folder); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	listening := make(chan struct{}, 8)
	s.agent = &Agent{Folder: filepath.Join(t.TempDir(), "agent"), Version: "v1.4.0",
		Methods:  []method.Method{parse(t, fmt.Sprintf("pssl:%d:127.0.0.1", port))},
		Identity: s.identity(pki.Wish{Name: "db7", Kind: pki.Agent, Hosts: []string{"127.0.0.1"}, Life: time.Hour}),
		Output:   1 << 20, Say: func(string) { listening <- struct{}{} }}
	s.at = parse(t, fmt.Sprintf("ssl:127.0.0.1:%d", port))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.agent.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-listening:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return s
}

func (s *atSite) identity(w pki.Wish) *pki.Identity {
	s.t.Helper()
	text, err := s.pki.Issue(w)
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.dir, w.Name+".pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	i, err := pki.Load(path, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return i
}

// speak connects, and speaks the protocol without ri's client: it takes all that the agent sends.
func (s *atSite) speak(who *pki.Identity) *wire.Peer {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := s.at.Dial(ctx, client.Options{Identity: who}.Config)
	if err != nil {
		s.t.Fatal(err)
	}
	peer := wire.NewPeer(conn, 0)
	s.t.Cleanup(func() { peer.Close() })
	go func() {
		for {
			r, err := peer.Next()
			if err != nil {
				return
			}
			_ = r.Reply(map[string]any{})
		}
	}()
	return peer
}

var greeting = request.Greeting{Protocol: request.Protocol, Version: "v1.4.2"}

func asked(line string) map[string]any {
	r := request.Request{Folder: "/"}
	for word := range strings.FieldsSeq(line) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(word, "--"), "="); ok && strings.HasPrefix(word, "--") {
			r.Flags = append(r.Flags, request.Flag{Name: name, Value: value})
		} else if strings.HasPrefix(word, ":") {
			r.Args = append(r.Args, word[1:])
		} else {
			r.Command = append(r.Command, word)
		}
	}
	return map[string]any{"command": r.Command, "flags": r.Flags, "args": r.Args, "folder": r.Folder}
}

// TestRoles has a certificate of each role try each kind of request, by the protocol: what its role doesn't cover, and
// what nobody may, is refused.
func TestRoles(t *testing.T) {
	s := startAgent(t)
	// each line with the least role that may
	requests := map[string]request.Role{
		"version":                        request.Viewer,
		"run --pid=1 :goroutines":        request.Viewer,
		"run --pid=1 :./mine.lua":        request.Author,
		"run --pid=1 --view=stopped :x":  request.Author,
		"run --pid=1 --write=true :x":    request.Operator,
		"exec --pid=1 --eval=true :1":    request.Author,
		"print --pid=1 :main.x":          request.Author,
		"shell --pid=1":                  request.Author,
		"trace --pid=1 :main.f":          request.Author,
		"record --pid=1 --output=/x":     request.Author,
		"record calls --pid=1 :main.T":   request.Author,
		"core --pid=1 --output=/x":       request.Author,
		"log":                            request.Author,
		"set --pid=1 --yes=true :x :1":   request.Operator,
		"undo :1":                        request.Operator,
		"log truncate --yes=true":        request.Operator,
		"dlv --pid=1":                    request.Operator + 1, // from another machine it needs --allow
		"serve":                          request.Operator + 1,
		"pki issue :x":                   request.Operator + 1,
		"nonsense":                       request.Operator + 1,
		"run --pid=1 --nonsense=1 :x":    request.Operator + 1,
		"log --journal=/etc/passwd":      request.Operator + 1,
		"run --core=/etc/shadow :x":      request.Operator + 1,
		"version :--journal=/etc/passwd": request.Operator + 1,
		"worker-of-an-agent":             request.Operator + 1,
		"watch --pid=1 --on-exit=reboot": request.Operator + 1,
	}
	for role := request.Viewer; role <= request.Operator; role++ {
		peer := s.speak(s.identity(pki.Wish{Name: "a-" + role.String(), Kind: role.String(), Life: time.Hour}))
		call := func(method string, params ...any) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err := peer.Call(ctx, method, params...)
			return err
		}
		if err := call(request.Run, 1, asked("version")); err == nil {
			t.Errorf("%s: a request before who it is", role)
		}
		if err := call(request.Hello, greeting); err != nil {
			t.Fatal(err)
		}
		id := 1
		for line, least := range requests {
			id++
			err := call(request.Run, id, asked(line))
			if refused := failed(err); refused != (role < least) || err != nil && !refused {
				t.Errorf("%s asks for %s: %v", role, line, err)
			}
		}
		if refused := failed(call(request.Put, 1, "/x", "text")); refused != (role < request.Author) {
			t.Errorf("%s sends a file: refused %v", role, refused)
		}
		for _, m := range []string{request.Input, request.Signal, request.Resize} {
			if !failed(call(m, 77, 9, 9)) {
				t.Errorf("%s: %s of a request that isn't there", role, m)
			}
		}
	}
}

func failed(err error) bool {
	var failure *wire.Failure
	return errors.As(err, &failure)
}

// TestNobody has those without a good certificate call, and one that was revoked while it was connected.
func TestNobody(t *testing.T) {
	s := startAgent(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	hello := func(who *pki.Identity) error {
		_, err := s.speak(who).Call(ctx, request.Hello, greeting)
		return err
	}
	if err := hello(s.identity(pki.Wish{Name: "old", Kind: "operator", Life: -time.Hour})); err == nil {
		t.Error("an expired certificate is let in")
	}
	ann := s.identity(pki.Wish{Name: "ann", Kind: "operator", Life: time.Hour})
	peer := s.speak(ann)
	for _, ask := range []func() (any, error){
		func() (any, error) { return peer.Call(ctx, request.Hello, greeting) },
		func() (any, error) { return peer.Call(ctx, request.Run, 1, asked("version")) },
	} {
		if _, err := ask(); err != nil {
			t.Fatal(err)
		}
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
	if _, err := peer.Call(ctx, request.Run, 2, asked("version")); !failed(err) {
		t.Errorf("what was revoked asks on: %v", err)
	}
	if err := hello(ann); err == nil {
		t.Error("a revoked certificate is let in")
	}
}

// TestVersions has releases too far apart say so at either end, and what is printed without end be ended.
func TestVersions(t *testing.T) {
	s := startAgent(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ann := s.identity(pki.Wish{Name: "ann", Kind: "viewer", Life: time.Hour})
	dial := func(version string) error {
		c, err := client.Dial(ctx, []method.Method{s.at}, client.Options{Identity: ann, Version: version,
			Say: func(string) {}})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := dial("v1.5.0"); err != nil {
		t.Error(err)
	}
	if err := dial("v1.6.0"); err == nil || !strings.Contains(err.Error(), "v1.6.0") ||
		!strings.Contains(err.Error(), "v1.4.0") {
		t.Errorf("v1.6.0 asks v1.4.0: %v", err)
	}
	peer := s.speak(ann)
	if _, err := peer.Call(ctx, request.Hello, greeting); err != nil {
		t.Fatal(err)
	}
	answer, err := peer.Call(ctx, request.Run, 1, asked("check --pid=1"))
	var ending request.Ending
	if err == nil {
		err = request.Into(answer, &ending)
	}
	if err != nil || ending.Code != refused || !strings.Contains(ending.Why, "--max-output") {
		t.Errorf("4 MiB of 1 MiB: %+v, %v", ending, err)
	}
}
