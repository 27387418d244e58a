package flow

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestScale follows RI_FLOWS flows, 20,000 at each enabling, from two hosts to RI_FLOW_HOSTS (three), as fast as at
// most 2,000 wait to be known again; how many were and how fast is logged. The agents, their database and the server of
// requests are all in this process.
func TestScale(t *testing.T) {
	total, err := strconv.Atoi(os.Getenv("RI_FLOWS"))
	if err != nil {
		t.Skip("a measurement: RI_FLOWS=100000")
	}
	const most, waiting = 2 * MostFlows, 2_000
	s := newSite(t)
	s.define()
	in := []*host{s.host("gw1", "gateway"), s.host("gw2", "gateway")}
	leaving := int64(3)
	if n, err := strconv.Atoi(os.Getenv("RI_FLOW_HOSTS")); err == nil {
		leaving = int64(n)
	}
	var out []*host
	for i := range leaving {
		out = append(out, s.host(fmt.Sprint("st", i), "store"))
	}
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}, Show: []string{"r.id", "q.id"},
		MaxFlowsPerHost: MostFlows})
	matched := func() (matched, ambiguous int64) {
		for _, h := range out {
			h.Agent.mu.Lock()
			for _, one := range h.sessions {
				matched += one.status.matched
				ambiguous += one.status.ambiguous
			}
			h.Agent.mu.Unlock()
		}
		return matched, ambiguous
	}
	var all, told int64
	began, busy := time.Now(), time.Duration(0)
	for all < int64(total) {
		tracers := map[*host]*tracer{}
		for _, h := range append(in, out...) {
			tracers[h] = s.armed(h, 1)[0]
		}
		round := time.Now()
		n := int64(0)
		for ; n < most && all+n < int64(total); n++ {
			for {
				if m, a := matched(); n-m-a < waiting || time.Since(round) > 10*time.Minute {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			enter := Row{Flow: n + 1, What: whatHit, Values: map[string]any{"r.id": fmt.Sprint(all + n)}}
			leave := Row{Flow: n + 1, What: whatHit, Values: map[string]any{"q.id": fmt.Sprint(all + n)}}
			if n%5 == 0 {
				tracers[out[n%leaving]].rows <- leave
				tracers[in[n%2]].rows <- enter
			} else {
				tracers[in[n%2]].rows <- enter
				tracers[out[n%leaving]].rows <- leave
			}
		}
		for end := time.Now().Add(2 * window); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if m, a := matched(); m+a >= n {
				break
			}
		}
		m, a := matched()
		busy += time.Since(round)
		all, told = all+n, told+m
		t.Logf("%d flows in %v: %d known again, %d ambiguous", n, time.Since(round), m, a)
		s.must(s.rest.Disable(t.Context(), "acme", tr.ID))
		for _, h := range append(in, out...) {
			s.armed(h, 0)
		}
		s.must(s.rest.Enable(t.Context(), "acme", tr.ID))
	}
	entered, wrong := map[string]any{}, 0
	for _, h := range in {
		for _, l := range h.log.all() {
			entered[l.Flow] = l.Values["r.id"]
		}
	}
	for _, h := range out {
		for _, l := range h.log.all() {
			if l.Values["q.id"] != entered[l.Flow] {
				wrong++
			}
		}
	}
	t.Logf("%d flows, %.3f %% known again, %d wrong; %.0f a second, %v in all", all, 100*float64(told)/float64(all), wrong,
		float64(all)/busy.Seconds(), time.Since(began))
	if wrong > 0 || float64(told) < 0.999*float64(all) {
		t.Errorf("%d of %d were known again, %d wrong", told, all, wrong)
	}
}
