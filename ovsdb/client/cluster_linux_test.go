package client

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ri/ovsdb/clustertest"
)

// cluster is three real ovsdb-servers.
type cluster struct {
	*clustertest.Cluster
	t *testing.T
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{clustertest.New(t, "jobs", schema), t}
}

func (c *cluster) remotes() (out []Remote) {
	for n := range clustertest.Size {
		out = append(out, unixRemote(c.Socket(n)))
	}
	return out
}

// leader finds who leads, over a client that takes nobody else.
func (c *cluster) leader(finder *Client, not *session) (int, *session) {
	c.t.Helper()
	s, err := finder.connected(c.t.Context(), not)
	if err != nil {
		c.t.Fatal(err)
	}
	n := slices.IndexFunc(c.remotes(), func(r Remote) bool { return r.Name == s.name })
	return n, s
}

// TestLeaderIsKilled: while several clients write and watch, the leader of a cluster is killed with SIGKILL, again and
// again. No row of which a client was told that it is there is lost, none is there twice, and all monitors end with
// what the cluster has.
func TestLeaderIsKilled(t *testing.T) {
	c := newCluster(t)
	finder := start(t, Config{Remotes: c.remotes(), Leader: true})
	const writers, kills = 3, 3
	var acknowledged [writers][]string
	var stop atomic.Bool
	var written [writers]atomic.Int64
	var all sync.WaitGroup
	var monitors []*Monitor
	for w := range writers {
		remotes := c.remotes()
		// Each begins at another server; one takes leaders only.
		client := start(t, Config{Remotes: append(remotes[w:], remotes[:w]...), Leader: w == 0, Patience: 10 * time.Second})
		for range 3 {
			m, err := client.Monitor(t.Context(), map[string]Watch{"Job": {Columns: []string{"id"}}})
			if err != nil {
				t.Fatal(err)
			}
			monitors = append(monitors, m)
		}
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("w%d-%d", w, n)
				if _, _, err := client.Once(t.Context(), "Job", "id", id, insert(id)); err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				acknowledged[w] = append(acknowledged[w], id)
				written[w].Add(1)
			}
		})
	}
	progress := func() { // each writer has written something since
		var was [writers]int64
		for w := range written {
			was[w] = written[w].Load()
		}
		for {
			m := monitors[0]
			if _, err := m.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			moved := 0
			for w := range written {
				if written[w].Load() > was[w]+2 {
					moved++
				}
			}
			if moved == writers {
				return
			}
		}
	}
	var last *session
	for range kills {
		progress()
		var n int
		n, last = c.leader(finder, last)
		c.Kill(n)
		progress()
		c.Start(n)
	}
	progress()
	stop.Store(true)
	all.Wait()
	rows := transact(t, finder, Op{"op": "select", "table": "Job", "where": []any{}, "columns": []string{"_uuid", "id"}})
	count := map[string]int{}
	for _, row := range rows[0].Rows {
		id, _ := row["id"].(string)
		count[id]++
	}
	total := 0
	for w := range writers {
		total += len(acknowledged[w])
		for _, id := range acknowledged[w] {
			if count[id] != 1 {
				t.Errorf("%s was acknowledged, and is there %d times", id, count[id])
			}
		}
	}
	if len(count) != total {
		t.Errorf("%d rows were acknowledged, and there are %d", total, len(count))
	}
	for n, m := range monitors {
		for len(m.Rows("Job")) != len(count) {
			if _, err := m.Next(t.Context()); err != nil {
				t.Fatalf("monitor %d has %d rows of %d: %v", n, len(m.Rows("Job")), len(count), err)
			}
		}
	}
	t.Logf("%d rows, %d kills of the leader", total, kills)
}

// TestLeaderIsTransferred: who leads hands over, as it does when it compacts its file. A client of leaders moves on,
// and all of its monitors with it.
func TestLeaderIsTransferred(t *testing.T) {
	c := newCluster(t)
	client := start(t, Config{Remotes: c.remotes(), Leader: true})
	var monitors []*Monitor
	for range 4 {
		m, err := client.Monitor(t.Context(), map[string]Watch{"Job": {}})
		if err != nil {
			t.Fatal(err)
		}
		monitors = append(monitors, m)
	}
	var last *session
	for round := range 4 {
		var n int
		n, last = c.leader(client, last)
		id := fmt.Sprint(round)
		if _, _, err := client.Once(t.Context(), "Job", "id", id, insert(id)); err != nil {
			t.Fatal(err)
		}
		c.Transfer(n)
	}
	for n, m := range monitors {
		for len(m.Rows("Job")) != 4 {
			if _, err := m.Next(t.Context()); err != nil {
				t.Fatalf("monitor %d has %d rows: %v", n, len(m.Rows("Job")), err)
			}
		}
	}
}
