package flow

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/fleet"
	"ri/serve/method"
	"ri/serve/pki"
)

// site is a database, an authority, an operator's store and that of a REST server.
type site struct {
	t     *testing.T
	dir   string
	pki   *pki.Authority
	db    fleet.Database
	admin *Store
	rest  *Store
	lease time.Duration // of agents; 0: as usual
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "ri") // sockets' names are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := pki.Init(filepath.Join(dir, "pki"), "here"); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir}
	if s.pki, err = pki.Open(filepath.Join(dir, "pki")); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{}, 1)
	socket := filepath.Join(dir, "db")
	listens, _ := method.ParseList("punix:" + socket)
	server := &fleet.Server{File: filepath.Join(dir, "file"), Methods: listens,
		Say: func(string) { listening <- struct{}{} }}
	s.start(server.Serve)
	<-listening
	if s.db, err = fleet.ParseDatabase("unix:" + socket); err != nil {
		t.Fatal(err)
	}
	s.admin = s.store(s.identity("root", "operator"))
	s.rest = s.store(s.identity("rest", pki.Tracer))
	return s
}

func (s *site) start(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

func (s *site) identity(name, kind string) *pki.Identity {
	s.t.Helper()
	text, err := s.pki.Issue(pki.Wish{Name: name, Kind: kind, Life: time.Hour, Hosts: []string{"127.0.0.1"}})
	path := filepath.Join(s.dir, name+".pem")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	var id *pki.Identity
	if err == nil {
		id, err = pki.Load(path, "")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *site) store(who *pki.Identity) *Store {
	s.t.Helper()
	st := &Store{Database: s.db, Identity: who, Say: func(text string) { s.t.Log(text) }}
	if err := st.Open(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return st
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

const gatewayDevice = `
name: gateway
where: ['module =~ gateway']
egressWhere: ['module =~ store']
ingress: ['main.(*Gateway).handle']
egress: ['main.(*Store).serve']
steps: ['main.*']
paths: [r.id, r.path, r.tenant]
egressPaths: [q.id, q.key]
clear: [r.id]
keys: [{ingress: r.path + r.id, egress: q.key+q.id}, {ingress: r.id, egress: q.id}, {ingress: r.id, egress: q.key}]
budget: 1%
tenants:
  acme: {predicate: 'r.tenant == "acme"', share: 50%}
  bolt: {predicate: 'r.tenant == "bolt"', share: 50%}
`

// define has the tenants acme and bolt, and the device gateway.
func (s *site) define() {
	s.t.Helper()
	for _, name := range []string{"acme", "bolt"} {
		s.must(s.admin.PutTenant(s.t.Context(), &Tenant{Name: name, Certificates: []string{name + "-ann"}}))
	}
	d, err := ReadDevice([]byte(gatewayDevice))
	s.must(err)
	s.must(s.admin.PutDevice(s.t.Context(), d))
}

// fake is tracers that a test speaks for.
type fake struct {
	mu      sync.Mutex
	armed   []*tracer
	refuses error
	tries   func(Arm) error // of trials; nil: all fits
}

type tracer struct {
	Arm
	rows  chan Row
	end   chan string
	ended chan struct{}
}

func (f *fake) trace(ctx context.Context, a Arm, each func(Row) error) (string, error) {
	if a.Trial {
		if f.tries == nil {
			return endLimit, nil
		}
		return endLimit, f.tries(a)
	}
	t := &tracer{a, make(chan Row), make(chan string, 1), make(chan struct{})}
	defer close(t.ended)
	f.mu.Lock()
	if f.refuses != nil {
		defer f.mu.Unlock()
		return "", f.refuses
	}
	f.armed = append(f.armed, t)
	f.mu.Unlock()
	if err := each(Row{What: WhatArmed}); err != nil {
		return "", err
	}
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case why := <-t.end:
			return why, nil
		case r := <-t.rows:
			if err := each(r); err != nil {
				return "", err
			}
		}
	}
}

// running are those that have not ended.
func (f *fake) running() (out []*tracer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.armed {
		select {
		case <-t.ended:
		default:
			out = append(out, t)
		}
	}
	return out
}

// host is an agent of a test.
type host struct {
	*Agent
	fake    *fake
	log     *memory
	mu      sync.Mutex
	targets []fleet.Target
	clock   time.Duration
	stop    func()
}

type memory struct {
	mu    sync.Mutex
	lines []Line
}

func (m *memory) Write(l Line) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, l)
	return nil
}

func (m *memory) Close() error { return nil }

func (m *memory) all() []Line {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lines)
}

// host starts an agent with processes of a module, and its place in the fleet.
func (s *site) host(name, module string, change ...func(*host)) *host {
	s.t.Helper()
	h := &host{fake: &fake{}, log: &memory{}, targets: []fleet.Target{{PID: 4711, Start: 17, Name: module,
		Module: "example.com/" + module}}}
	who := s.identity(name, pki.Agent)
	say := func(text string) { s.t.Log(name, text) }
	scan := func() ([]fleet.Target, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Clone(h.targets), nil
	}
	now := func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return time.Now().Add(h.clock)
	}
	m := &fleet.Member{Now: now, Lease: s.lease, Database: s.db,
		Folder: filepath.Join(s.dir, name), Name: name, Version: "v1.4.0", Identity: who,
		Labels: map[string]string{"env": "test"}, Say: say, Every: 50 * time.Millisecond, Scan: scan}
	id, err := m.ID()
	s.must(err)
	h.Agent = &Agent{Database: s.db, Folder: m.Folder, ID: id, Name: name, Labels: m.Labels, Identity: who, Scan: scan,
		Trace: h.fake.trace, Redact: func([keySize]byte) Redactor {
			return func(text string) string {
				if len(text) < 6 { // ids
					return text
				}
				return "token" + fmt.Sprint(len(text))
			}
		}, Log: h.log, Say: say, Every: 50 * time.Millisecond, Now: now}
	for _, f := range change {
		f(h)
	}
	stopMember := s.start(m.Run)
	stopAgent := s.start(h.Run)
	h.stop = func() { stopAgent(); stopMember() }
	s.until("the agent "+name+" is known", func() bool {
		all, err := (&fleet.Asker{Database: s.db, Identity: s.rest.Identity}).Agents(s.t.Context(), s.rest.client)
		return err == nil && slices.ContainsFunc(all, func(b fleet.Believed) bool {
			return b.Name == name && len(b.Targets) == len(h.targets)
		})
	})
	return h
}

// until waits until something is so.
func (s *site) until(what string, so func() bool) {
	s.t.Helper()
	for begun := time.Now(); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			s.t.Fatalf("it never came to be that %s", what)
		}
	}
}

// armed waits until a host has so many tracers, and gives them.
func (s *site) armed(h *host, n int) []*tracer {
	s.t.Helper()
	s.until(fmt.Sprintf("%s has %d tracers", h.Name, n), func() bool { return len(h.fake.running()) == n })
	return h.fake.running()
}

// state waits until a host says something of a request.
func (s *site) state(trace, host, state, why string) HostState {
	s.t.Helper()
	var last []HostState
	var got HostState
	defer func() {
		if s.t.Failed() {
			s.t.Logf("hosts: %+v", last)
		}
	}()
	s.until(fmt.Sprintf("%s is %s at %s (%s)", trace, state, host, why), func() bool {
		all, err := s.rest.Hosts(s.t.Context(), "", trace)
		s.must(err)
		last = all
		for _, one := range all {
			if one.Host == host && one.State == state && strings.Contains(one.Why+" "+one.Done, why) {
				got = one
				return true
			}
		}
		return false
	})
	return got
}

// enabled makes a request of acme, and enables it.
func (s *site) enabled(r Request) *Trace {
	s.t.Helper()
	if r.TenantID == "" {
		r.TenantID = "acme"
	}
	r.Device = "gateway"
	t, err := s.rest.Create(s.t.Context(), &r)
	s.must(err)
	s.must(s.rest.Enable(s.t.Context(), "acme", t.ID))
	return t
}
