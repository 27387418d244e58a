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
