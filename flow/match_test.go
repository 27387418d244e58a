package flow

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"ri/fleet"
)

// TestFollowed: what enters at one host is known again where it leaves at another, whichever is told first; what has
// the key of two flows is told apart.
func TestFollowed(t *testing.T) {
	s := newSite(t)
	s.define()
	gw, st := s.host("gw", "gateway"), s.host("st", "store")
	tr := s.enabled(Request{Key: &Key{Ingress: "r.path + r.id", Egress: "q.key + q.id"}, Show: []string{"r.id", "q.id"}})
	in, out := s.armed(gw, 1)[0], s.armed(st, 1)[0]
	if out.Functions[0] != "main.(*Store).serve" || len(out.When) != 0 {
		t.Errorf("where flows leave is armed %+v", out.Arm)
	}
	enter := func(flow int64, path string, id any) {
		in.rows <- Row{Flow: flow, What: whatEnter, Values: map[string]any{"r.path": path, "r.id": id}}
		in.rows <- Row{Flow: flow, What: whatLeave}
	}
	leave := func(flow int64, path string, id any) {
		out.rows <- Row{Flow: flow, What: whatEnter, Func: "main.(*Store).serve",
			Values: map[string]any{"q.key": path, "q.id": id}}
		out.rows <- Row{Flow: flow, What: whatStep, Func: "main.read"}
		out.rows <- Row{Flow: flow, What: whatLeave}
	}
	counts := func(matched, ambiguous int64) {
		t.Helper()
		s.until("matches are counted", func() bool {
			all, err := s.rest.Hosts(t.Context(), "", tr.ID)
			s.must(err)
			for _, h := range all {
				if h.Host == "st" && h.Matched == matched && h.Ambiguous == ambiguous {
					return true
				}
			}
			return false
		})
	}
	leave(1, "/a", "1") // it outran the database
	leave(2, "/other", "9")
	enter(1, "/a", "1")
	counts(1, 0)
	enter(2, "/b", "2")
	leave(3, "/b", "2")
	counts(2, 0)
	lines := st.log.all()
	if len(lines) != 6 || lines[0].Flow == "" || lines[0].Flow == lines[3].Flow || lines[1].Func != "main.read" {
		t.Errorf("logged where flows leave: %+v", lines)
	}
	if first := gw.log.all()[0]; first.Flow != lines[0].Flow || first.Cookie == lines[0].Cookie {
		t.Errorf("%+v entered, and %+v left", first, lines[0])
	}
	// Nobody reads keys in the database.
	rows, err := s.rest.rows(t.Context(), fleet.FlowTable, nil)
	s.must(err)
	if len(rows) != 2 || len(rows[0]["hash"].Text()) != 32 {
		t.Errorf("published %v", rows)
	}
	// Two flows of one key: what was matched isn't any more.
	enter(3, "/b", "2")
	counts(1, 1)
	leave(4, "/b", "2")
	counts(1, 2)
	flows, err := s.rest.Flows(t.Context(), "acme", tr.ID)
	s.must(err)
	s.until("the hops are told of", func() bool {
		flows, err = s.rest.Flows(t.Context(), "acme", tr.ID)
		s.must(err)
		n := 0
		for _, f := range flows {
			n += len(f.Hops)
			if f.Ambiguous && len(f.Hops) != 2 {
				return false
			}
		}
		return n == 6 && len(flows) == 4
	})
	s.must(s.rest.Disable(t.Context(), "acme", tr.ID))
	rows, err = s.rest.rows(t.Context(), fleet.FlowTable, nil)
	s.must(err)
	keys, err := s.rest.rows(t.Context(), fleet.KeyTable, nil)
	s.must(err)
	if len(rows)+len(keys) != 0 {
		t.Errorf("disabled, %d hashes and %d keys are left", len(rows), len(keys))
	}
}

// TestWindow: what waits for longer than the window is forgotten, and more of it than there is room for.
func TestWindow(t *testing.T) {
	m, now := newMatcher(), time.Now()
	old := &hop{hash: "h"}
	m.leave(old, now)
	if got := m.enter("h", "f", now.Add(window+1)); len(got) != 0 || old.flow != "" {
		t.Error("what left long ago is of a flow")
	}
	late := &hop{hash: "h"}
	m.leave(late, now.Add(2*window+2))
	if late.flow != "" {
		t.Error("what entered long ago is the flow of what leaves")
	}
	for range 3 * mostCandidates {
		h := &hop{hash: "x"}
		m.leave(h, now.Add(2*window+3))
		m.wait(h, Line{})
	}
	if len(m.left) > mostCandidates || len(m.hops["x"]) > mostCandidates || m.lines > mostLines {
		t.Errorf("%d wait, with %d lines", len(m.left), m.lines)
	}
	for n := range 3 * mostEntered {
		m.enter(strconv.Itoa(n%7), strconv.Itoa(n), now.Add(2*window+3))
		if n == 10 {
			m.expire(now.Add(4 * window))
		}
	}
	m.expire(now.Add(5 * window))
	if len(m.flows)+len(m.hops)+len(m.left)+len(m.entered)+m.lines != 0 {
		t.Errorf("something is left: %d %d %d", len(m.flows), len(m.hops), m.lines)
	}
	now = now.Add(5 * window)
	twice := &hop{hash: "two"}
	m.leave(twice, now.Add(3*window))
	m.enter("two", "f", now.Add(3*window))
	m.enter("two", "f", now.Add(3*window)) // told again
	if twice.flow != "f" || twice.ambiguous {
		t.Errorf("a flow that was told twice: %+v", twice)
	}
	m.enter("two", "g", now.Add(3*window))
	if !twice.ambiguous {
		t.Error("two flows of one key, and the hop is of one")
	}
	between := &hop{hash: "b"}
	m.enter("b", "f", now.Add(5*window))
	m.leave(between, now.Add(5*window+window/2))
	m.enter("b", "g", now.Add(6*window+window/4)) // the first is forgotten by then
	if !between.ambiguous {
		t.Error("what left between two flows of one key is of one")
	}
}

// TestLateHost: an agent that came after the enabling waits for the hash key, and gets it.
func TestLateHost(t *testing.T) {
	s := newSite(t)
	s.define()
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}})
	h := s.host("gw", "gateway")
	s.state(tr.ID, "gw", StateWaiting, "hash key")
	s.must(s.rest.Sweep(t.Context()))
	s.armed(h, 1)
	// A key that somebody else sealed is none.
	h2 := s.host("gw2", "gateway")
	other := newHashKey()
	id := keyID(tr.ID, s.generation(tr.ID), h2.ID)
	sealed, err := sealKey(h2.Identity.Certificate(), other, id)
	s.must(err)
	_, err = s.rest.client.Transact(t.Context(), fleet.Put(fleet.KeyTable, fleet.Row("id", id, "trace", tr.ID,
		"generation", s.generation(tr.ID), "host", h2.ID, "sealed", sealed)))
	s.must(err)
	s.state(tr.ID, "gw2", StateRefused, "another key")
}

func (s *site) generation(trace string) int64 {
	all, err := s.rest.rows(s.t.Context(), fleet.EnabledTable, fleet.Is("id", trace))
	s.must(err)
	return all[0]["generation"].Int()
}

// TestMany: of many flows that enter at two hosts and leave at three, in whatever order, each is known again, and none
// is taken for another; those of one key are told apart.
func TestMany(t *testing.T) {
	s := newSite(t)
	s.define()
	in := []*host{s.host("gw1", "gateway"), s.host("gw2", "gateway")}
	out := []*host{s.host("st1", "store"), s.host("st2", "store"), s.host("st3", "store")}
	const flows, twice = 400, 20
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}, Show: []string{"r.id", "q.id"},
		MaxFlowsPerHost: flows})
	tracers := map[*host]*tracer{}
	for _, h := range append(in, out...) {
		tracers[h] = s.armed(h, 1)[0]
	}
	hit := func(h *host, n int) {
		name := "r.id"
		if h == out[n%3] {
			name = "q.id"
		}
		one := tracers[h]
		one.rows <- Row{Flow: int64(n + 1), What: whatHit, Values: map[string]any{name: fmt.Sprint(n % (flows - twice))}}
	}
	began := time.Now()
	for n := range flows { // the last of them have the keys of the first
		enters, leaves := in[n%2], out[n%3]
		if n >= flows-twice {
			time.Sleep(time.Millisecond)
		}
		if n%5 == 0 {
			hit(leaves, n)
			hit(enters, n)
		} else {
			hit(enters, n)
			hit(leaves, n)
		}
	}
	s.until("they are published", func() bool {
		for _, h := range in {
			h.Agent.mu.Lock()
			waiting := len(h.flows)
			h.Agent.mu.Unlock()
			if waiting > 0 {
				return false
			}
		}
		return true
	})
	slow := time.Since(began) > window/2 // then not all of them are of one time
	var matched, ambiguous int64
	all := func() bool {
		hosts, err := s.rest.Hosts(t.Context(), "", tr.ID)
		s.must(err)
		matched, ambiguous = 0, 0
		for _, h := range hosts {
			matched += h.Matched
			ambiguous += h.Ambiguous
		}
		return matched+ambiguous == flows && ambiguous == 2*twice
	}
	for !all() && time.Since(began) < 3*window {
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%d matched, %d ambiguous after %v", matched, ambiguous, time.Since(began))
	if !all() && !slow {
		t.Error("not all have been told of")
	}
	ids := map[string]any{} // what entered, by flow
	for _, h := range in {
		for _, l := range h.log.all() {
			ids[l.Flow] = l.Values["r.id"]
		}
	}
	wrong, taken := 0, map[string]bool{}
	for _, h := range out {
		for _, l := range h.log.all() {
			if l.What == whatAmbiguous {
				taken[l.Cookie] = true
			}
		}
	}
	for _, h := range out {
		for _, l := range h.log.all() {
			if l.Flow != "" && !taken[l.Cookie] && ids[l.Flow] != l.Values["q.id"] {
				wrong++
			}
		}
	}
	if wrong != 0 || len(ids) != flows {
		t.Errorf("%d of %d are taken for another", wrong, len(ids))
	}
}
