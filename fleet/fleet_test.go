package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ri/instruments/rows"
	"ri/serve/pki"
)

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

// TestReasons: what only differs by the host, its address and the process is one reason.
func TestReasons(t *testing.T) {
	outcome := func(name string, pid int, why string) *Outcome {
		at := "unix:/run/" + name + "/s"
		return &Outcome{ID: name + "/1", Host: name, Target: fmt.Sprintf("store:%d", pid), State: Gone,
			Why: fmt.Sprintf(why, at), host: &host{row: row("methods", []string{at})}}
	}
	lost := "%s: the connection was lost: EOF"
	a, b := outcome("db7", 4711, lost), outcome("web-12", 12, lost)
	c := outcome("db7", 4711, "%s: another agent answers there")
	if a.Reason() != b.Reason() || a.Reason() == c.Reason() {
		t.Errorf("%q, %q, %q", a.Reason(), b.Reason(), c.Reason())
	}
}

// TestMaxStopTotal: nobody else is asked once targets were stopped for as long as all may be, and never so many at once
// that they could be for longer.
func TestMaxStopTotal(t *testing.T) {
	s := newSite(t)
	s.agent("h1", 3, true)
	s.agent("h2", 3, true)
	s.await(6)
	for _, atOnce := range []int{1, 4} {
		q := run("stops")
		q.MaxStop, q.MaxStopTotal, q.AtOnce = 50*time.Millisecond, 120*time.Millisecond, atOnce
		report, _ := s.ask(s.asker(nil), q)
		totals(t, report, map[string]int64{Answered: 2, NotAsked: 4})
		if got := report.Stopped(); got != 80*time.Millisecond {
			t.Errorf("%d at once: stopped for %v", atOnce, got)
		}
		for _, o := range report.Outcomes {
			if o.State == NotAsked && !strings.Contains(o.Why, "80.0 ms in all, and --max-stop-total is 120 ms") {
				t.Errorf("not asked because %s", o.Why)
			}
		}
	}
	q := run("stops")
	q.MaxStopTotal = 30 * time.Millisecond // no stop of a target may be longer than that
	report, _ := s.ask(s.asker(nil), q)
	totals(t, report, map[string]int64{Answered: 1, NotAsked: 5})
}

// TestChangeIsFoundAgain: a run that changes names its targets before it asks any, and those that it asked when it is
// over; what can't be undone is said.
func TestChangeIsFoundAgain(t *testing.T) {
	s := newSite(t)
	s.agent("h1", 2, true)
	gone := s.agent("h2", 1, false)
	s.await(3)
	op := s.asker(s.identity("op", "operator"))
	q := run("fails")
	q.Write, q.Canary = true, 1
	report, _ := s.ask(op, q)
	totals(t, report, map[string]int64{Refused: 1, NotAsked: 2})
	back, err := op.Undo(t.Context(), report.Run, false)
	if err != nil || len(back.Only) != 1 || back.Only[0] != report.Outcomes[0].ID {
		t.Errorf("of what may have been changed: %+v, %v", back, err)
	}
	q = run("some")
	q.Write = true
	report, got := s.ask(op, q)
	totals(t, report, map[string]int64{Answered: 3})
	for _, row := range got {
		if line, _ := row.Get("line"); !strings.Contains(fmt.Sprint(line), "--write=true --yes=true --label="+report.Run) {
			t.Errorf("a target was told %v", line)
		}
	}
	gone.stop()
	s.await(2)
	if back, err = op.Undo(t.Context(), report.Run[:8], true); err != nil {
		t.Fatal(err)
	}
	back.Write = true
	undone, got := s.ask(op, back)
	totals(t, undone, map[string]int64{Answered: 2, Gone: 1})
	for _, row := range got {
		if line, _ := row.Get("line"); !strings.Contains(fmt.Sprint(line), "--labelled="+report.Run+" --force=true") {
			t.Errorf("a target was told %v", line)
		}
	}
	c, err := s.db.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged := row("id", report.Run, "targets", []string{"another"})
	if _, err := c.Transact(t.Context(), update(runTable, forged, "targets")); err != nil {
		t.Fatal(err)
	}
	if _, err := op.Undo(t.Context(), report.Run, false); !errors.Is(err, pki.ErrForged) {
		t.Errorf("a run that was altered is undone: %v", err)
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
