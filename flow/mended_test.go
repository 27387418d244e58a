package flow

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ri/fleet"
	"ri/ovsdb"
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
	first, second := ovsdb.NewUUID().String(), ovsdb.NewUUID().String()
	if n := take(first, window+fleet.Skew+time.Second); n != 0 {
		t.Error("what entered long ago has entered now")
	}
	if n := take("x\nPRIORITY=0", 0); n != 0 {
		t.Error("what has no id has entered")
	}
	if n := take(second, 0); n != 1 {
		t.Error("what entered isn't taken")
	}
	st.Agent.mu.Lock()
	one.match.expire(time.Now().Add(2 * window))
	st.Agent.mu.Unlock()
	if n := take(second, 0); n != 0 {
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

// TestOlder: definitions and tokens that were kept and are put back by who can write to the database are refused.
func TestOlder(t *testing.T) {
	s := newSite(t)
	s.define()
	h := s.host("gw", "gateway")
	tr := s.enabled(Request{})
	s.armed(h, 1)
	ctx := t.Context()
	kept := func(table, id string) func() {
		all, err := s.rest.rows(ctx, table, fleet.Is("id", id))
		s.must(err)
		return func() {
			_, err := s.rest.client.Transact(ctx, fleet.Remove(table, fleet.Is("id", id)), fleet.Put(table, all[0]))
			s.must(err)
		}
	}
	device := kept(fleet.DeviceTable, "gateway")
	d, _ := ReadDevice([]byte(strings.Replace(gatewayDevice, `r.tenant == "acme"`, `r.tenant == "acme2"`, 1)))
	s.must(s.admin.PutDevice(ctx, d))
	s.until("it is armed anew", func() bool {
		all := h.fake.running()
		return len(all) == 1 && all[0].When[0] == `r.tenant == "acme2"`
	})
	if _, err := s.rest.device(ctx, "gateway"); err != nil {
		t.Error(err)
	}
	device()
	s.state(tr.ID, "gw", StateRefused, "older than a definition")
	s.armed(h, 0)
	if _, err := s.rest.device(ctx, "gateway"); err == nil {
		t.Error("an older definition is believed")
	}
	h.stop()
	h = s.again(h)
	s.state(tr.ID, "gw", StateRefused, "older than a definition")

	token, err := s.admin.Token(ctx, "acme", time.Hour)
	s.must(err)
	other := s.store(s.rest.Identity) // has seen nothing
	row, tenant := kept(fleet.TokenTable, tokenHash(token)), kept(fleet.TenantTable, "acme")
	if n, err := s.admin.RevokeTokens(ctx, "acme"); n != 1 || err != nil {
		t.Errorf("revoked %d: %v", n, err)
	}
	row()
	s.must(s.admin.PutTenant(ctx, &Tenant{Name: "acme"}))
	if _, err := other.Bearer(ctx, token); !errors.Is(err, errToken) {
		t.Errorf("a token that was revoked is good again: %v", err)
	}
	next, err := s.admin.Token(ctx, "acme", time.Hour)
	s.must(err)
	if who, err := other.Bearer(ctx, next); who != "acme" || err != nil {
		t.Errorf("a token that was made later is of %q: %v", who, err)
	}
	tenant()
	if _, err := other.Bearer(ctx, token); !errors.Is(err, errToken) {
		t.Errorf("a token that was revoked is good again by an older tenant: %v", err)
	}
}

// TestPieces: what the database is told comes in pieces, and a request's summaries have an end.
func TestPieces(t *testing.T) {
	w := &words{}
	for range 10 {
		w.room(mostPiece / 4)
	}
	if len(w.pieces) != 3 {
		t.Errorf("%d pieces", len(w.pieces))
	}
	a := &Agent{Log: &memory{}, hops: map[string]pending{}, wake: make(chan struct{}, 1)}
	s := &session{a: a, e: &enabling{request: &Request{}}, status: &status{}}
	kept := 0
	for n := range 2 * mostKeptAll / mostKept {
		h := &hop{cookie: fmt.Sprint(n)}
		for range 2 {
			s.write(h, Line{Func: strings.Repeat("x", mostKept/2-200)})
		}
		kept += len(h.kept)
	}
	if kept > mostKeptAll || kept < mostKeptAll/2 {
		t.Errorf("%d bytes are kept", kept)
	}
}

// TestSweep: a hash key that is made while what is enabled is read isn't lost.
func TestSweep(t *testing.T) {
	s := newSite(t)
	s.define()
	tr := s.enabled(Request{Key: &Key{Ingress: "r.id", Egress: "q.id"}})
	s.rest.keys["gone"] = hashKey{}
	made := false
	s.rest.Now = func() time.Time { // it has been read
		if !made {
			made = true
			s.rest.mu.Lock()
			s.rest.keys["new"] = hashKey{}
			s.rest.mu.Unlock()
		}
		return time.Now()
	}
	s.must(s.rest.Sweep(t.Context()))
	_, on := s.rest.keys[keyID(tr.ID, s.generation(tr.ID), "")]
	_, fresh := s.rest.keys["new"]
	if _, gone := s.rest.keys["gone"]; gone || !on || !fresh {
		t.Errorf("it has the keys %v", s.rest.keys)
	}
}

// TestQuotas: a tenant's logs, states and budget leave others theirs, and logs of requests that go on stay.
func TestQuotas(t *testing.T) {
	f := LogsIn(t.TempDir())
	defer f.Close()
	there := func(tenant string) int {
		all, _ := filepath.Glob(filepath.Join(f.Folder, tenant, "*.jsonl"))
		return len(all)
	}
	write := func(tenant, trace string) error { return f.Write(Line{Tenant: tenant, Trace: trace}) }
	if err := errors.Join(write("bolt", "b1"), write("acme", "a0")); err != nil {
		t.Fatal(err)
	}
	for n := range 2 * mostLogs {
		trace := fmt.Sprint("done", n)
		if err := write("acme", trace); err != nil {
			t.Fatal(err)
		}
		f.Done(trace)
	}
	if _, err := os.Stat(filepath.Join(f.Folder, "acme", "a0.jsonl")); err != nil || there("acme") != mostLogs ||
		there("bolt") != 1 {
		t.Errorf("acme has %d logs, bolt %d, and of what goes on: %v", there("acme"), there("bolt"), err)
	}
	var err error
	for n := range mostLogs {
		if err = write("acme", fmt.Sprint("open", n)); err != nil {
			break
		}
	}
	if err == nil || there("acme") != mostLogs {
		t.Errorf("acme has %d logs: %v", there("acme"), err)
	}
	a := &Agent{statuses: map[string]*status{}}
	for n := range mostStatuses {
		a.statuses[fmt.Sprint(n)] = &status{tenant: "acme"}
	}
	if a.room("acme") > 0 || a.room("bolt") != mostStatuses {
		t.Errorf("there is room for %d of acme, %d of bolt", a.room("acme"), a.room("bolt"))
	}
	l, sum := newLedger(), 0.0
	for n := range 1000 {
		part, _, _ := l.allot(strconv.Itoa(n), "acme", 0.01)
		sum += part
	}
	if _, _, ok := l.allot("1", "bolt", 0.01); !ok || sum > hostBudget*tenantPart*1.001 {
		t.Errorf("acme was given %g of a host, and bolt %v", sum, ok)
	}
}

// TestAtOnce: who makes many requests at once has no more than the most.
func TestAtOnce(t *testing.T) {
	s := newSite(t)
	s.define()
	for range MostTraces - 1 {
		_, err := s.rest.Create(t.Context(), &Request{TenantID: "acme", Device: "gateway"})
		s.must(err)
	}
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			_, err := s.rest.Create(t.Context(), &Request{TenantID: "acme", Device: "gateway"})
			done <- err
		}()
	}
	refused := 0
	for range cap(done) {
		if errors.Is(<-done, ErrTooMany) {
			refused++
		}
	}
	if refused != cap(done)-1 {
		t.Errorf("%d of %d were refused", refused, cap(done))
	}
}

// TestAway: a database that is away is none of who asks; HEAD answers as GET does.
func TestAway(t *testing.T) {
	w := newWeb(t)
	w.ask("acme", "HEAD", "/traces", "", 200)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(gone, "GET", "/traces", nil)
	r.Header.Set("Authorization", "Bearer "+w.tokens["acme"])
	got := httptest.NewRecorder()
	(&Server{Store: w.rest, Say: func(string) {}}).Handler().ServeHTTP(got, r)
	if got.Code != 503 || strings.Contains(got.Body.String(), "context") || got.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("answered %d %s", got.Code, got.Body)
	}
}

// TestFollow: where others' flows pass too, what goroutines pass that a flow started isn't told of.
func TestFollow(t *testing.T) {
	s := newSite(t)
	s.define()
	h := s.host("gw", "gateway")
	pass := func(want ...string) {
		t.Helper()
		before := len(h.log.all())
		tr := s.enabled(Request{})
		one := s.armed(h, 1)[0]
		for _, r := range []Row{{What: whatEnter, Goroutine: 5}, {What: whatGo, Goroutine: 5, Started: 6},
			{What: whatStep, Goroutine: 6}, {What: whatStep, Goroutine: 5}, {What: whatEnd, Goroutine: 6},
			{What: whatLeave, Goroutine: 5}} {
			r.Flow = 1
			one.rows <- r
		}
		s.must(s.rest.Delete(t.Context(), "acme", tr.ID))
		s.armed(h, 0)
		var got []string
		for _, l := range h.log.all()[before:] {
			got = append(got, l.What)
		}
		if !slices.Equal(got, want) {
			t.Errorf("logged %v, want %v", got, want)
		}
	}
	pass(whatEnter, whatStep, whatLeave)
	d, err := ReadDevice([]byte("follow: goroutines\n" + gatewayDevice))
	s.must(err)
	s.must(s.admin.PutDevice(t.Context(), d))
	pass(whatEnter, whatGo, whatStep, whatStep, whatEnd, whatLeave)
	if _, err := ReadDevice([]byte("follow: all\n" + gatewayDevice)); err == nil {
		t.Error("follow: all")
	}
}

// TestWatchAgain: what fails to read what enters elsewhere is tried again until the session ends.
func TestWatchAgain(t *testing.T) {
	s := newSite(t)
	gone, cancel := context.WithCancel(t.Context())
	c, err := s.db.Open(gone, nil)
	s.must(err)
	cancel()
	a := &Agent{client: c, Every: 10 * time.Millisecond, said: map[string]string{}, Say: func(string) {}}
	one := &session{a: a, e: &enabling{trace: "x"}}
	one.ctx, one.end = context.WithCancel(t.Context())
	defer one.end()
	done := make(chan struct{})
	go func() { one.watch(); close(done) }()
	s.until("it says why", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.said["watch"] != ""
	})
	select {
	case <-done:
		t.Error("it gave up")
	case <-time.After(100 * time.Millisecond):
	}
	one.end()
	<-done
}
