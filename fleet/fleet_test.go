package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"ri/ovsdb"
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
		switch os.Args[len(os.Args)-1] {
		case "finds":
			fmt.Println(`{"$finding":{"severity":"critical","what":"it is wrong","where":"here"}}`)
			os.Exit(3)
		case "fails":
			fmt.Fprintln(os.Stderr, "ri: it can't be done")
			os.Exit(1)
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

// TestSchema: ours reads it, and so does ovsdb-tool.
func TestSchema(t *testing.T) {
	s, err := ParsedSchema()
	if err != nil {
		t.Fatal(err)
	}
	for table, columns := range signed {
		for _, c := range columns {
			if s.Tables[table].Column(c) == nil {
				t.Errorf("%s has no column %s", table, c)
			}
		}
	}
	for name, table := range s.Tables {
		for _, c := range table.Columns {
			if c.Ephemeral {
				t.Errorf("%s.%s is ephemeral: clusters have no such columns", name, c.Name)
			}
		}
	}
}

// TestAskMany: agents that can be called are asked, those are that match, and what they answer is theirs.
func TestAskMany(t *testing.T) {
	s := newSite(t)
	for n := range 3 {
		s.agent(fmt.Sprintf("h%d", n), 2, true)
	}
	s.await(6)
	a := s.asker(nil)
	report, got := s.ask(a, run("some", "k=v"))
	totals(t, report, map[string]int64{Answered: 6})
	if len(got) != 6 {
		t.Errorf("%d rows: %v", len(got), got)
	}
	for _, row := range got {
		line, _ := row.Get("line")
		if big, _ := row.Get("big"); big != int64(9007199254740993) || !strings.Contains(fmt.Sprint(line), "run --pid=") ||
			!strings.HasSuffix(fmt.Sprint(line), " some k=v") {
			t.Errorf("a target answered %v", row)
		}
	}
	q := run("some")
	q.Where = []string{"name_of == h1 && env =~ 'a&&b|test'"}
	report, _ = s.ask(a, q)
	totals(t, report, map[string]int64{Answered: 2})
	report, _ = s.ask(a, run("fails"))
	totals(t, report, map[string]int64{Refused: 6})
	if why := report.Outcomes[0].Why; why != "it can't be done" {
		t.Errorf("refused because %q", why)
	}
	q = run("finds")
	q.Canary = 2
	report, got = s.ask(a, q)
	totals(t, report, map[string]int64{Answered: 2, NotAsked: 4})
	if len(got) != 2 || report.Outcomes[0].Host == report.Outcomes[1].Host {
		t.Errorf("canaries on %s and %s gave %v", report.Outcomes[0].Host, report.Outcomes[1].Host, got)
	}
	q = run("hangs")
	q.Timeout = 300 * time.Millisecond
	report, _ = s.ask(a, q)
	totals(t, report, map[string]int64{TimedOut: 6})
	q = run("some")
	q.Where = []string{"env == prod"}
	if _, err := a.Ask(t.Context(), q, nil); !errors.Is(err, rows.ErrRefused) {
		t.Errorf("no target matches: %v", err)
	}
	q.Where = []string{"nothing == prod"}
	if _, err := a.Ask(t.Context(), q, nil); !errors.Is(err, rows.ErrUsage) {
		t.Errorf("no such column: %v", err)
	}
}

// TestComeAndGo: what ends is not asked any more, what has its number isn't it, and a host that leaves takes its
// targets with it.
func TestComeAndGo(t *testing.T) {
	s := newSite(t)
	h := s.agent("h", 2, true)
	other := s.agent("other", 1, true, func(a *agent) { a.targets[0].Start++ })
	s.await(3)
	report, _ := s.ask(s.asker(nil), run("some"))
	totals(t, report, map[string]int64{Answered: 2, Gone: 1})
	h.mu.Lock()
	h.targets = h.targets[:1]
	h.mu.Unlock()
	s.await(2)
	other.stop()
	s.await(1)
	list, err := s.asker(nil).Hosts(t.Context(), nil)
	if err != nil || len(list.Rows) != 1 {
		t.Errorf("there are %v: %v", list, err)
	}
}

// TestClocks: a host whose lease is over isn't waited for, and an order of another time isn't followed.
func TestClocks(t *testing.T) {
	s := newSite(t)
	s.agent("behind", 1, true, func(a *agent) { a.clock = -10 * time.Minute })
	s.agent("ahead", 1, false, func(a *agent) { a.clock = 3 * time.Minute })
	s.agent("near", 1, false, func(a *agent) { a.clock = 90 * time.Second })
	s.await(3)
	report, _ := s.ask(s.asker(s.identity("ann", "author")), run("some"))
	for _, o := range report.Outcomes {
		want := map[string]string{"behind": Gone + "hasn't been heard of", "ahead": Refused + "clock",
			"near": Answered}[o.Host]
		if !strings.HasPrefix(want, o.State) || !strings.Contains(o.Why, strings.TrimPrefix(want, o.State)) {
			t.Errorf("%s: %s, %s; want %s", o.Host, o.State, o.Why, want)
		}
	}
}

// TestServerComesBack: agents are there again when the database's server is, also when it has lost all that it had.
func TestServerComesBack(t *testing.T) {
	s := newSite(t)
	s.agent("h", 2, true)
	s.await(2)
	s.end()
	if err := os.Remove(filepath.Join(s.dir, "file")); err != nil {
		t.Fatal(err)
	}
	s.serve(filepath.Join(s.dir, "db"))
	s.await(2)
	report, _ := s.ask(s.asker(nil), run("some"))
	totals(t, report, map[string]int64{Answered: 2})
}

// TestInterrupted: what is under way when who asks is interrupted ends at the agents, and the rest isn't asked.
func TestInterrupted(t *testing.T) {
	s := newSite(t)
	s.agent("h", 3, true)
	s.agent("away", 1, false)
	s.await(4)
	ctx, cancel := context.WithCancel(t.Context())
	q := run("hangs")
	q.AtOnce = 2
	go func() { // when the first two are under way
		for {
			busy := 0
			text, _ := os.ReadDir(filepath.Join(s.dir, "h", "requests"))
			if busy = len(text); busy > 0 {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	report, _ := s.askIn(ctx, s.asker(s.identity("ann", "author")), q)
	if n := report.Totals(); n[Answered] > 0 || n[NotAsked] < 1 {
		t.Errorf("%v", n)
	}
}

// TestByRow: agents that can't be called are asked by rows; what they answer can't be read in the database, and isn't
// left there.
func TestByRow(t *testing.T) {
	s := newSite(t)
	s.agent("h1", 2, false)
	s.agent("h2", 1, false)
	s.await(3)
	report, _ := s.ask(s.asker(nil), run("some"))
	totals(t, report, map[string]int64{Gone: 3})
	ann := s.asker(s.identity("ann", "author"))
	report, got := s.ask(ann, run("some", "secret=word"))
	totals(t, report, map[string]int64{Answered: 3})
	if len(got) != 3 || !report.Outcomes[0].ByRow {
		t.Errorf("%v", got)
	}
	report, _ = s.ask(ann, run("much"))
	totals(t, report, map[string]int64{Answered: 3})
	if o := report.Outcomes[0]; o.Code != exitPartial || !strings.Contains(o.Why, "1048576 bytes") || o.Rows < 1000 {
		t.Errorf("a large answer: %+v", o)
	}
	report, _ = s.ask(ann, run("fails"))
	totals(t, report, map[string]int64{Refused: 3})
	q := run("hangs")
	q.Timeout = 300 * time.Millisecond
	report, _ = s.ask(ann, q)
	totals(t, report, map[string]int64{TimedOut: 3})
	vic := s.asker(s.identity("vic", "viewer"))
	report, _ = s.ask(vic, &Question{Command: []string{"exec"}, Args: []string{"x.lua"}})
	totals(t, report, map[string]int64{Refused: 3})
	if why := report.Outcomes[0].Why; !strings.Contains(why, "needs the role author") {
		t.Errorf("a viewer's script: %s", why)
	}
	s.left(map[string]int{answerTable: 0, resultTable: 0})
	text, err := os.ReadFile(filepath.Join(s.dir, "file"))
	if err != nil || strings.Contains(string(text), "9007199254740993") {
		t.Errorf("what was answered can be read in the database's file: %v", err)
	}
}

// left waits until tables have so many rows.
func (s *site) left(want map[string]int) {
	s.t.Helper()
	c, err := s.db.ask(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for table, n := range want {
		m, err := c.Monitor(s.t.Context(), map[string]client.Watch{table: {}})
		if err != nil {
			s.t.Fatal(err)
		}
		for len(m.Rows(table)) != n {
			if _, err := m.Next(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
		}
		m.Close()
	}
}

// TestCancel: a run is ended from elsewhere, by its author or an operator; it is listed; and what it asked is asked
// again by its author alone, if it is as it was asked.
func TestCancel(t *testing.T) {
	s := newSite(t)
	s.agent("h", 2, true)
	s.await(2)
	annID := s.identity("ann", "author")
	ann, bob, op := s.asker(annID), s.asker(s.identity("bob", "author")), s.asker(s.identity("op", "operator"))
	done := make(chan *Report)
	go func() {
		report, _ := s.ask(ann, run("hangs"))
		done <- report
	}()
	id := ""
	for id == "" {
		list, err := op.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Rows {
			v, _ := r.Get("run")
			id, _ = v.(string)
		}
	}
	if _, err := bob.Cancel(t.Context(), id); !errors.Is(err, errNotYours) {
		t.Errorf("another author cancels: %v", err)
	}
	if _, err := op.Cancel(t.Context(), id[:6]); err != nil {
		t.Error(err)
	}
	if n := (<-done).Totals(); n[Answered] > 0 {
		t.Errorf("%v", n)
	}
	shown, err := ann.Show(t.Context(), id)
	if state, _ := shown.Get("state"); err != nil || state != Cancelled {
		t.Errorf("%v, %v", shown, err)
	}
	if signed, _ := shown.Get("signed"); signed != "by ann, author" {
		t.Errorf("it is signed %v", signed)
	}
	if _, err := bob.Again(t.Context(), id); err == nil || !strings.Contains(err.Error(), "ann asked it") {
		t.Errorf("another asks again: %v", err)
	}
	q, err := ann.Again(t.Context(), id)
	if err != nil || q.Text() != "run hangs" {
		t.Fatalf("%v, %v", q, err)
	}
	c, err := s.db.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged := row("id", id, "request", `{"Command": ["exec"], "Args": ["evil.lua"]}`)
	if _, err := c.Transact(t.Context(), update(runTable, forged, "request")); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Again(t.Context(), id); !errors.Is(err, pki.ErrForged) {
		t.Errorf("what was altered is asked again: %v", err)
	}
}

// TestForged: a row that isn't what its author signed, or was there before, or is too late, does nothing, and the agent
// says why.
func TestForged(t *testing.T) {
	s := newSite(t)
	h := s.agent("h", 1, false)
	s.await(1)
	ann := s.asker(s.identity("ann", "author"))
	foreign := filepath.Join(t.TempDir(), "pki")
	if err := pki.Init(foreign, "elsewhere"); err != nil {
		t.Fatal(err)
	}
	authority, err := pki.Open(foreign)
	if err != nil {
		t.Fatal(err)
	}
	eve := identity(t, authority, filepath.Join(t.TempDir(), "eve"), pki.Wish{Name: "ann", Kind: "operator",
		Life: time.Hour})
	agentToo := s.identity("another", pki.Agent)
	c, err := s.db.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := count(t.Context(), c, ann.Identity, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := all.matching(nil)
	if err != nil {
		t.Fatal(err)
	}
	order := func(change func(ovsdb.Row), by *pki.Identity, after func(ovsdb.Row)) ovsdb.Row {
		t.Helper()
		now := ann.now()
		asking := &asking{Asker: ann, q: run("some"), run: ovsdb.NewUUID().String(), ends: now.Add(time.Minute)}
		asking.q.Folder = "/"
		r, err := asking.order(outcomes[0], time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(r)
		}
		if by != nil {
			if err := sign(by, runTable, r); err != nil {
				t.Fatal(err)
			}
		}
		if after != nil {
			after(r)
		}
		return r
	}
	at := func(d time.Duration) ovsdb.Datum { return ovsdb.Scalar(time.Now().Add(d).UnixMilli()) }
	replayed := order(nil, nil, nil)
	for _, test := range []struct {
		name string
		row  ovsdb.Row
		why  string // "": it is done
	}{
		{"good", replayed, ""},
		{"replayed", replayed, "replay"},
		{"unsigned", order(nil, nil, func(r ovsdb.Row) { r["signature"] = ovsdb.Scalar("") }), "isn't signed"},
		{"altered", order(nil, nil, func(r ovsdb.Row) {
			r["request"] = ovsdb.Scalar(strings.Replace(r["request"].Text(), "some", "other", 1))
		}), "did not sign this"},
		{"prolonged", order(nil, nil, func(r ovsdb.Row) { r["expires"] = at(30 * time.Minute) }), "did not sign this"},
		{"another id", order(nil, nil, func(r ovsdb.Row) { r["id"] = ovsdb.Scalar("another") }), "did not sign this"},
		{"another site's", order(nil, eve, nil), "no good certificate"},
		{"an agent's", order(nil, agentToo, nil), "is an agent"},
		{"another author", order(func(r ovsdb.Row) { r["author"] = ovsdb.Scalar("bob") }, ann.Identity, nil),
			"says that bob wrote it"},
		{"expired", order(func(r ovsdb.Row) { r["created"], r["expires"] = at(-90*time.Second), at(-time.Second) },
			ann.Identity, nil), "expired"},
		{"clock behind", order(func(r ovsdb.Row) { r["created"], r["expires"] = at(-3*time.Minute), at(time.Minute) },
			ann.Identity, nil), "clock"},
		{"clock ahead", order(func(r ovsdb.Row) { r["created"], r["expires"] = at(3*time.Minute), at(4*time.Minute) },
			ann.Identity, nil), "clock"},
		{"good for days", order(func(r ovsdb.Row) { r["expires"] = at(48 * time.Hour) }, ann.Identity, nil), "more than 1h"},
		{"nonsense", order(func(r ovsdb.Row) { r["request"] = ovsdb.Scalar(`{"Question": 7}`) }, ann.Identity, nil),
			"request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := h.done(t)
			id := test.row["id"].Text() + "/" + outcomes[0].ID
			m, err := c.Monitor(t.Context(), map[string]client.Watch{answerTable: {Where: is("id", id)}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if _, err := c.Transact(t.Context(), insert(runTable, test.row)...); err != nil {
				t.Fatal(err)
			}
			var answer ovsdb.Row
			for answer == nil || answer["state"].Text() == Running {
				changes, err := m.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, one := range changes {
					answer = one.New
				}
			}
			why := answer["why"].Text()
			switch state := answer["state"].Text(); {
			case test.why == "" && (state != Answered || h.done(t) != before+1):
				t.Errorf("it isn't done: %s, %s", state, why)
			case test.why != "" && (state != Refused || !strings.Contains(why, test.why) || h.done(t) != before):
				t.Errorf("%s because %q, want %q; %d was done", state, why, test.why, h.done(t)-before)
			}
			// The answer goes, or a replay would find it.
			if _, err := c.Transact(t.Context(), remove(runTable, is("id", test.row["id"].Text())),
				remove(answerTable, is("id", id)), remove(resultTable, is("target", id))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// done counts what an agent has done.
func (a *agent) done(t *testing.T) int {
	t.Helper()
	f, err := os.Open(filepath.Join(a.Folder, "requests.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), `"request":"run `)
}

// TestSeenIsKept: an order that was seen before the agent was started anew isn't followed.
func TestSeenIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seen")
	now := time.Now()
	s, err := openSeen(path, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.add("one", now.Add(time.Minute), now), s.add("two", now.Add(time.Hour), now)); err != nil {
		t.Fatal(err)
	}
	if s, err = openSeen(path, now.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if s.has("one") || !s.has("two") || s.since("two") {
		t.Errorf("%v", s.ids)
	}
	if err := s.add("two", now, now); !errors.Is(err, errReplay) {
		t.Errorf("again: %v", err)
	}
}
