package flow

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"ri/fleet"
)

// TestBlind: what is disabled ends though the processes can't be looked at, or the look never ends; a session whose
// connection ended is armed anew.
func TestBlind(t *testing.T) {
	s := newSite(t)
	s.define()
	fails, hang := make(chan struct{}), make(chan struct{})
	defer close(hang)
	h := s.host("gw", "gateway", func(h *host) {
		scan := h.Scan
		h.Lease = 2 * time.Second
		h.Scan = func() ([]fleet.Target, error) {
			select {
			case <-fails:
				<-hang
				return nil, errors.New("no processes")
			default:
				return scan()
			}
		}
	})
	tr := s.enabled(Request{})
	s.armed(h, 1)
	h.Agent.mu.Lock()
	h.sessions[tr.ID].end()
	h.Agent.mu.Unlock()
	s.until("it is armed anew", func() bool {
		h.fake.mu.Lock()
		defer h.fake.mu.Unlock()
		return len(h.fake.armed) == 2
	})
	s.armed(h, 1)
	close(fails)
	time.Sleep(200 * time.Millisecond)
	s.must(s.rest.Disable(t.Context(), "acme", tr.ID))
	s.armed(h, 0)
}

// TestElsewhere: what entered long ago elsewhere, and what was told already, hasn't entered now.
func TestElsewhere(t *testing.T) {
	s := newSite(t)
	s.define()
	gw, st := s.host("gw", "gateway"), s.host("st", "store")
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}})
	s.armed(st, 1)
	one := st.sessions[tr.ID]
	take := func(id string, age time.Duration) int {
		r := fleet.Row("id", id, "trace", tr.ID, "generation", one.e.generation, "host", gw.ID, "hash", "h", "time",
			time.Now().Add(-age).UnixMilli(), "certificate", "", "signature", "")
		s.must(fleet.Sign(gw.Identity, fleet.FlowTable, r))
		one.elsewhere(r)
		st.Agent.mu.Lock()
		defer st.Agent.mu.Unlock()
		return len(one.match.entered)
	}
	if n := take("a", window+fleet.Skew+time.Second); n != 0 {
		t.Error("what entered long ago has entered now")
	}
	if n := take("b", 0); n != 1 {
		t.Error("what entered isn't taken")
	}
	st.Agent.mu.Lock()
	one.match.expire(time.Now().Add(2 * window))
	st.Agent.mu.Unlock()
	if n := take("b", 0); n != 0 {
		t.Error("what was told already has entered now")
	}
}

// TestAgain: a tracer that its limit ended is started again; of too many open flows the oldest give way, and what comes
// of one that waited for too long isn't kept.
func TestAgain(t *testing.T) {
	s := newSite(t)
	s.define()
	s.host("gw", "gateway")
	st := s.host("st", "store")
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}})
	s.armed(st, 1)[0].end <- endLimit
	s.until("it is started again", func() bool {
		all := st.fake.running()
		st.fake.mu.Lock()
		defer st.fake.mu.Unlock()
		return len(all) == 1 && len(st.fake.armed) == 2
	})
	out := s.armed(st, 1)[0]
	for n := range mostOpen + 1 {
		out.rows <- Row{Flow: int64(n + 1), What: whatEnter, Values: map[string]any{"q.id": strconv.Itoa(n)}}
		if n == 0 {
			out.rows <- Row{Flow: 0, What: whatEnter, Values: map[string]any{"q.id": "first"}}
		}
	}
	out.rows <- Row{Flow: 0, What: whatStep} // the rows before it have been taken
	st.Agent.mu.Lock()
	for _, one := range st.sessions[tr.ID].armings {
		if n := len(one.hops); n > mostOpen || n < mostOpen/2 {
			t.Errorf("%d flows are open", n)
		}
	}
	st.Agent.mu.Unlock()
	m, h := newMatcher(), &hop{hash: "x"}
	m.leave(h, time.Now())
	m.expire(time.Now().Add(2 * window))
	if m.wait(h, Line{}); m.lines != 0 {
		t.Error("a line waits that nobody will release")
	}
}
