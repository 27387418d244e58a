package fleet

import (
	"os"
	"strconv"
	"testing"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb/clustertest"
)

// TestLeaderIsKilled asks all of a fleet again and again, half of them by calling them and half by rows of the
// database, which is a cluster of three, while its leader is killed (RI_LEADER_KILLS times, RI_LEADER_EVERY apart) and
// comes back. Each run ends, each target has answered once, and nothing of the runs is left.
func TestLeaderIsKilled(t *testing.T) {
	kills, every, each := 2, time.Second, 10
	if text := os.Getenv("RI_LEADER_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills, every, each = n, 30*time.Second, 50
	}
	if text := os.Getenv("RI_LEADER_EVERY"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		every = d
	}
	s := newSite(t)
	s.end()
	c := clustertest.New(t, "ri", Schema)
	list := ""
	for n := range clustertest.Size {
		list += ",unix:" + c.Socket(n)
	}
	var err error
	if s.db, err = ParseDatabase(list[1:]); err != nil {
		t.Fatal(err)
	}
	for named, uncalled := range map[string]bool{"called": false, "uncalled": true} {
		sim := &Simulation{Database: s.db, Count: each, Targets: 1, Rows: []byte(`{"answer":"simulated"}` + "\n"),
			Version: "v1.4.0", Authority: s.pki, Uncalled: uncalled, Named: named, Say: func(text string) { t.Log(text) }}
		s.start(sim.Run)
	}
	s.await(2 * each)
	a := s.asker(s.identity("ann", "author"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range kills {
			time.Sleep(every)
			if n := c.Leader(); n >= 0 {
				c.Kill(n)
				time.Sleep(every / 4)
				c.Start(n)
			}
		}
	}()
	asked, longest := 0, time.Duration(0)
	for last := false; !last; {
		select {
		case <-ended:
			last = true
		default:
		}
		answers := map[string]int{}
		q := run("some")
		q.Folder = "/"
		report, err := a.Ask(t.Context(), q, func(o *Outcome, row rows.Row) {
			if row != nil {
				answers[o.Host]++
			}
		})
		if err != nil {
			t.Fatalf("run %d: %v", asked, err)
		}
		asked++
		longest = max(longest, report.Took)
		totals(t, report, map[string]int64{Answered: int64(2 * each)})
		byRow := 0
		for _, o := range report.Outcomes {
			if o.ByRow {
				byRow++
			}
			if answers[o.Host] != 1 {
				t.Errorf("run %d: %s answered %d times; it ended as %s: %s", asked, o.Host, answers[o.Host], o.State, o.Why)
			}
		}
		if byRow != each {
			t.Errorf("run %d: %d were asked by rows", asked, byRow)
		}
		if t.Failed() {
			break
		}
	}
	<-ended
	s.left(map[string]int{answerTable: 0, resultTable: 0})
	t.Logf("%d runs of %d targets, %d kills of the leader; the longest run took %v", asked, 2*each, kills, longest)
}
