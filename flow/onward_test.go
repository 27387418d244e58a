package flow

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const chainDevice = `
name: chain
where: ['module =~ gateway']
egressWhere: ['module =~ store']
ingress: ['main.(*Gateway).handle']
egress: ['main.(*Store).serve']
steps: ['main.*']
paths: [r.id, m.id]
egressPaths: [q.id]
clear: [q.id]
keys: [{at: 'net.(*Conn).send', ingress: m.id, egress: q.id}]
tenants: {acme: {predicate: 'r.id > 0'}}
`

// TestOnward: a flow is known again by what it was sent on with, of several messages each, and from hop to hop, also
// where a hop sends it on before it is known of which flow it is.
func TestOnward(t *testing.T) {
	s := newSite(t)
	s.define()
	d, err := ReadDevice([]byte(chainDevice))
	s.must(err)
	s.must(s.admin.PutDevice(t.Context(), d))
	gw, near, far := s.host("gw", "gateway"), s.host("near", "store"), s.host("far", "store")
	for _, r := range []Request{{Key: &Key{Ingress: "m.id", Egress: "q.id"}},
		{Key: &Key{At: "os.Exit", Ingress: "m.id", Egress: "q.id"}}} {
		r.TenantID, r.Device = "acme", "chain"
		if _, err := s.rest.Create(t.Context(), &r); err == nil {
			t.Errorf("a key that the device doesn't have: %+v", r.Key)
		}
	}
	tr, err := s.rest.Create(t.Context(), &Request{TenantID: "acme", Device: "chain", Show: []string{"q.id"},
		Key: &Key{At: "net.(*Conn).send", Ingress: "m.id", Egress: "q.id"}})
	s.must(err)
	s.must(s.rest.Enable(t.Context(), "acme", tr.ID))
	in, mid, out := s.armed(gw, 1)[0], s.armed(near, 1)[0], s.armed(far, 1)[0]
	if !slices.Contains(in.Steps, "net.(*Conn).send") || !slices.Contains(mid.Show, "m.id") {
		t.Errorf("armed %+v and %+v", in.Arm, mid.Arm)
	}
	send := func(by *tracer, flow int64, id string) {
		by.rows <- Row{Flow: flow, What: whatStep, Func: "example.com/net.(*Conn).send", Values: map[string]any{"m.id": id}}
	}
	serve := func(by *tracer, flow int64, id string) {
		by.rows <- Row{Flow: flow, What: whatEnter, Func: "main.(*Store).serve", Values: map[string]any{"q.id": id}}
	}
	// The last hop comes first, then the middle one, which sends on before anybody knows of the flow.
	serve(out, 1, "c1")
	out.rows <- Row{Flow: 1, What: whatLeave}
	serve(mid, 1, "b1")
	send(mid, 1, "c1")
	mid.rows <- Row{Flow: 1, What: whatLeave}
	serve(out, 2, "b2")
	out.rows <- Row{Flow: 2, What: whatLeave}
	serve(out, 3, "other")
	in.rows <- Row{Flow: 1, What: whatEnter, Func: "main.(*Gateway).handle", Values: map[string]any{"r.id": "a"}}
	send(in, 1, "b1")
	send(in, 1, "b2")
	in.rows <- Row{Flow: 1, What: whatLeave}
	var flows []Seen
	s.until("the flow has all of its hops", func() bool {
		flows, err = s.rest.Flows(t.Context(), "acme", tr.ID)
		s.must(err)
		return len(flows) == 1 && len(flows[0].Hops) == 4
	})
	hosts := map[string]int{}
	for _, h := range flows[0].Hops {
		hosts[h.Host]++
	}
	if flows[0].Ambiguous || hosts["gw"] != 1 || hosts["near"] != 1 || hosts["far"] != 2 {
		t.Errorf("the flow: %+v", flows[0])
	}
}

// TestClocks: a host whose clock is seconds ahead has its flows followed, and it is told by how much.
func TestClocks(t *testing.T) {
	s := newSite(t)
	s.define()
	s.lease = 300 * time.Millisecond
	s.rest.clocks.Lease = s.lease
	go s.rest.Keep(t.Context())
	ahead := func(h *host) { h.clock = 7 * time.Second }
	gw, st := s.host("gw", "gateway"), s.host("st", "store", ahead)
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}})
	in, out := s.armed(gw, 1)[0], s.armed(st, 1)[0]
	in.rows <- Row{Flow: 1, What: whatEnter, Values: map[string]any{"r.id": "a"}}
	out.rows <- Row{Flow: 1, What: whatEnter, Values: map[string]any{"q.id": "a"}}
	var flows []Seen
	near := func(n *int64, want time.Duration) bool {
		return n != nil && time.Duration(*n) <= want+time.Millisecond && time.Duration(*n) > want-2*time.Second
	}
	s.until("the clocks are known", func() bool {
		var err error
		flows, err = s.rest.Flows(t.Context(), "acme", tr.ID)
		s.must(err)
		return len(flows) == 1 && len(flows[0].Hops) == 2 && near(flows[0].Hops[0].ClockOffset, 0) &&
			near(flows[0].Hops[1].ClockOffset, 7*time.Second)
	})
}

// chain has a request of the device chain, enabled.
func (s *site) chain() *Trace {
	s.t.Helper()
	s.define()
	d, err := ReadDevice([]byte(chainDevice))
	s.must(err)
	s.must(s.admin.PutDevice(s.t.Context(), d))
	tr, err := s.rest.Create(s.t.Context(), &Request{TenantID: "acme", Device: "chain", Show: []string{"q.id"},
		Key: &Key{At: "net.(*Conn).send", Ingress: "m.id", Egress: "q.id"}})
	s.must(err)
	s.must(s.rest.Enable(s.t.Context(), "acme", tr.ID))
	return tr
}

// What happens in a chain: a flow enters, is sent on by a goroutine, is served.
func entersAt(by *tracer, flow int64) {
	by.rows <- Row{Flow: flow, What: whatEnter, Goroutine: 1, Func: "main.(*Gateway).handle",
		Values: map[string]any{"r.id": "a"}}
}

func sends(by *tracer, flow, goroutine int64, id string) {
	by.rows <- Row{Flow: flow, What: whatStep, Goroutine: goroutine, Func: "example.com/net.(*Conn).send",
		Values: map[string]any{"m.id": id}}
}

func serves(by *tracer, flow int64, id string) {
	by.rows <- Row{Flow: flow, What: whatEnter, Goroutine: 1, Func: "main.(*Store).serve",
		Values: map[string]any{"q.id": id}}
}

// TestOnwardTakenBack: what a hop sent on is ambiguous once the hop is.
func TestOnwardTakenBack(t *testing.T) {
	s := newSite(t)
	gw, near, far := s.host("gw", "gateway"), s.host("near", "store"), s.host("far", "store")
	tr := s.chain()
	in, mid, out := s.armed(gw, 1)[0], s.armed(near, 1)[0], s.armed(far, 1)[0]
	entersAt(in, 1)
	sends(in, 1, 1, "same")
	serves(mid, 1, "same")
	sends(mid, 1, 1, "c1")
	serves(out, 1, "c1")
	s.until("the flow has three hops", func() bool {
		all, err := s.rest.Flows(t.Context(), "acme", tr.ID)
		s.must(err)
		return len(all) == 1 && len(all[0].Hops) == 3
	})
	entersAt(in, 2)
	sends(in, 2, 1, "same")
	s.until("what was sent on is ambiguous as well", func() bool {
		all, err := s.rest.Flows(t.Context(), "acme", tr.ID)
		s.must(err)
		ambiguous := map[string]bool{}
		for _, f := range all {
			for _, h := range f.Hops {
				ambiguous[h.Host] = ambiguous[h.Host] || h.Ambiguous
			}
		}
		return ambiguous["near"] && ambiguous["far"] && !ambiguous["gw"]
	})
}

// TestOnwardOfOthers: with follow: call, what another goroutine sends is nobody's, as it may serve another tenant.
func TestOnwardOfOthers(t *testing.T) {
	s := newSite(t)
	gw, near := s.host("gw", "gateway"), s.host("near", "store")
	tr := s.chain()
	in, mid := s.armed(gw, 1)[0], s.armed(near, 1)[0]
	entersAt(in, 1)
	sends(in, 1, 99, "another's")
	sends(in, 1, 1, "own")
	serves(mid, 1, "another's")
	serves(mid, 2, "own")
	s.until("its own is known again", func() bool {
		all, err := s.rest.Flows(t.Context(), "acme", tr.ID)
		s.must(err)
		return len(all) == 1 && len(all[0].Hops) == 2
	})
	for _, l := range near.log.all() {
		if l.Values["q.id"] == "another's" {
			t.Errorf("a tenant is told of another's: %+v", l)
		}
	}
}

// TestOnwardBoth: a process where flows enter and leave alike is refused, as what it sends on would be of both.
func TestOnwardBoth(t *testing.T) {
	s := newSite(t)
	s.define()
	s.host("gw", "gateway")
	d, err := ReadDevice([]byte(strings.Replace(chainDevice, "egressWhere: ['module =~ store']\n", "", 1)))
	s.must(err)
	s.must(s.admin.PutDevice(t.Context(), d))
	tr, err := s.rest.Create(t.Context(), &Request{TenantID: "acme", Device: "chain",
		Key: &Key{At: "net.(*Conn).send", Ingress: "m.id", Egress: "q.id"}})
	s.must(err)
	s.must(s.rest.Enable(t.Context(), "acme", tr.ID))
	s.state(tr.ID, "gw", StateRefused, "egressWhere")
}

// TestPresetsOfOthers: what clients say is no key of a tenant that can't tell its own where it leaves.
func TestPresetsOfOthers(t *testing.T) {
	const device = `
name: web
where: ['name == front']
egressWhere: ['name == svc']
ingress: ['net/http.serverHandler.ServeHTTP']
egress: ['net/http.serverHandler.ServeHTTP']
paths: [req.URL.Path, req.Host]
keys: [{preset: http-ports}, {preset: 'header:X-Id'}, {preset: traceparent}]
tenants:
  acme: {predicate: 'req.Host == "acme"'}
  bolt: {predicate: 'req.Host == "b"', egressPredicate: 'req.Host == "b"'}
`
	d, err := ReadDevice([]byte(device))
	if err != nil {
		t.Fatal(err)
	}
	for _, preset := range []string{"http-ports", "header:x-id", "traceparent"} {
		for tenant, may := range map[string]bool{"acme": false, "bolt": true} {
			r := &Request{TenantID: tenant, Device: "web", Key: &Key{Preset: preset}, Show: []string{"req.URL.Path"}}
			r.complete()
			if err := r.check(d); (err == nil) != may {
				t.Errorf("%s of %s: %v", preset, tenant, err)
			}
		}
	}
	for _, wrong := range []string{"{preset: nothing}", "{preset: 'header:a b'}", "{preset: dns, at: main.f}"} {
		if _, err := ReadDevice([]byte(strings.Replace(device, "{preset: traceparent}", wrong, 1))); err == nil {
			t.Errorf("%s is read", wrong)
		}
	}
}

// TestRemoteInClear: no token is sent in the clear to another machine.
func TestRemoteInClear(t *testing.T) {
	for at, may := range map[string]bool{"http://desk.example.com:8080": false, "http://127.0.0.1:8080": true,
		"http://localhost:8080/": true, "https://desk.example.com": true, "https://a:b@desk": false, "ftp://desk": false,
		"https://desk/traces": false} {
		if _, err := NewRemote(at, "token", "", nil); (err == nil) != may {
			t.Errorf("%s: %v", at, err)
		}
	}
}
