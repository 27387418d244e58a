package fleet

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
)

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
