package fleet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/attach/proc"
	"ri/instruments/rows"
	"ri/ovsdb/client"
	"ri/serve"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/worker"
)

// TestMain is the worker of the agents that the tests have: what it is asked for says what it does.
func TestMain(m *testing.M) {
	if worker.Is() {
		if worker.Become() != nil {
			return
		}
		line := strings.Join(os.Args[1:], " ")
		last := os.Args[len(os.Args)-1]
		if file, ok := strings.CutPrefix(last, "until="); ok {
			for _, err := os.Stat(file); err != nil; _, err = os.Stat(file) {
				time.Sleep(time.Millisecond)
			}
		}
		switch last {
		case "finds":
			fmt.Println(`{"$finding":{"severity":"critical","what":"it is wrong","where":"here"}}`)
			os.Exit(3)
		case "fails":
			fmt.Fprintln(os.Stderr, "ri: it can't be done")
			os.Exit(1)
		case "stops":
			fmt.Println(`{"stopped":true}`)
			worker.Agent{}.Took(40 * time.Millisecond)
		case "hangs":
			time.Sleep(time.Hour)
		case "much":
			for n := range 40000 {
				fmt.Printf(`{"n":%d,"text":"%s"}`+"\n", n, strings.Repeat("x", 40))
			}
		default:
			fmt.Printf(`{"line":%q,"big":9007199254740993,"list":[1,"two"]}`+"\n", line)
		}
		return
	}
	os.Exit(m.Run())
}

// site is a database, an authority, and agents.
type site struct {
	t   *testing.T
	dir string // short: sockets lie in it
	pki *pki.Authority
	end func() // of the database's server
	db  Database
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "ri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := pki.Init(filepath.Join(dir, "pki"), "here"); err != nil {
		t.Fatal(err)
	}
	authority, err := pki.Open(filepath.Join(dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, pki: authority}
	socket := filepath.Join(dir, "db")
	s.serve(socket)
	if s.db, err = ParseDatabase("unix:" + socket); err != nil {
		t.Fatal(err)
	}
	return s
}

// serve serves the site's database until the test ends: ours, from a file.
func (s *site) serve(socket string) {
	s.t.Helper()
	listening := make(chan struct{}, 1)
	listens, err := method.ParseList("punix:" + socket)
	if err != nil {
		s.t.Fatal(err)
	}
	server := &Server{File: filepath.Join(s.dir, "file"), Methods: listens, Say: func(string) { listening <- struct{}{} }}
	s.end = s.start(server.Serve)
	<-listening
}

// start has something go on until the test ends.
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
	return identity(s.t, s.pki, filepath.Join(s.dir, name+".pem"), pki.Wish{Name: name, Kind: kind, Life: time.Hour})
}

func identity(t *testing.T, a *pki.Authority, path string, w pki.Wish) *pki.Identity {
	t.Helper()
	text, err := a.Issue(w)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.Load(path, "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// agent is one of a site, and the processes that it tells of.
type agent struct {
	*Member
	mu      sync.Mutex
	targets []Target
	clock   time.Duration // by which its clock is ahead
	stop    func()
}

// agent starts one that can be called, or can't.
func (s *site) agent(name string, targets int, called bool, change ...func(*agent)) *agent {
	s.t.Helper()
	a := &agent{}
	for range targets {
		a.targets = append(a.targets, startProcess(s.t))
	}
	at := &serve.Agent{Folder: filepath.Join(s.dir, name), Version: "v1.4.0", Output: 64 << 20,
		Identity: s.identity(name, pki.Agent), Say: func(text string) { s.t.Log(name, text) }}
	if called {
		socket := filepath.Join(s.dir, name+".sock")
		at.Methods, _ = method.ParseList("punix:" + socket)
	}
	a.Member = &Member{Database: s.db, Folder: at.Folder, Name: name, Version: at.Version, Identity: at.Identity,
		Labels: map[string]string{"env": "test", "name_of": name}, Connect: at.Connect, Say: at.Say,
		Every: 50 * time.Millisecond, Scan: func() ([]Target, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			return slices.Clone(a.targets), nil
		}, Now: func() time.Time {
			a.mu.Lock()
			defer a.mu.Unlock()
			return time.Now().Add(a.clock)
		}}
	for _, m := range at.Methods {
		a.Methods = append(a.Methods, m.Published(nil)...)
	}
	for _, f := range change {
		f(a)
	}
	var err error
	if at.ID, err = a.ID(); err != nil {
		s.t.Fatal(err)
	}
	at.Beside = func(ctx context.Context) {
		if err := a.Run(ctx); err != nil {
			s.t.Error(err)
		}
	}
	a.stop = s.start(at.Serve)
	return a
}

// startProcess starts one that does nothing until the test ends.
func startProcess(t *testing.T) Target {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	stat, err := proc.ReadStat(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return Target{PID: cmd.Process.Pid, Start: stat.StartTime, Name: "cat", Module: "example.com/cat"}
}

func (s *site) asker(who *pki.Identity) *Asker {
	return &Asker{Database: s.db, Identity: who, Version: "v1.4.0", Say: func(text string) { s.t.Log(text) }}
}

// await waits until so many targets are known.
func (s *site) await(targets int) {
	s.t.Helper()
	c, err := s.db.ask(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := c.Monitor(s.t.Context(), map[string]client.Watch{targetTable: {}, hostTable: {}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer m.Close()
	for len(m.Rows(targetTable)) != targets {
		if _, err := m.Next(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// ask asks, checks that the totals add up, and gives them, with what was answered.
func (s *site) ask(a *Asker, q *Question) (*Report, []rows.Row) {
	s.t.Helper()
	return s.askIn(s.t.Context(), a, q)
}

func (s *site) askIn(ctx context.Context, a *Asker, q *Question) (*Report, []rows.Row) {
	s.t.Helper()
	var got []rows.Row
	ended := map[*Outcome]int{}
	q.Folder = "/"
	report, err := a.Ask(ctx, q, func(o *Outcome, row rows.Row) {
		if row == nil {
			ended[o]++
			return
		}
		got = append(got, row)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	sum := int64(0)
	for _, state := range Endings {
		sum += report.Totals()[state]
	}
	if sum != int64(len(report.Outcomes)) || len(ended) != len(report.Outcomes) {
		s.t.Errorf("%d targets, of which %d ended; the totals are %v", len(report.Outcomes), len(ended), report.Totals())
	}
	s.t.Log(report.Text())
	return report, got
}

func totals(t *testing.T, r *Report, want map[string]int64) {
	t.Helper()
	if got := r.Totals(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
		for _, o := range r.Outcomes {
			t.Logf("%s %s %s: %s", o.Host, o.Target, o.State, o.Why)
		}
	}
}

func run(args ...string) *Question { return &Question{Command: []string{"run"}, Args: args} }
