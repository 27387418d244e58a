package flow

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
)

// TestArmed: what is enabled is armed where a process matches, as the device says, and ends when it is disabled; flows
// are logged and counted, and limited.
func TestArmed(t *testing.T) {
	s := newSite(t)
	s.define()
	h := s.host("gw", "gateway")
	other := s.host("elsewhere", "other")
	tr := s.enabled(Request{Condition: `r.id>100&&hasPrefix(r.path,"/x")`, Show: []string{"r.id", "r.path"},
		MaxFlowsPerHost: 2})
	one := s.armed(h, 1)[0]
	if want := []string{`r.tenant == "acme"`, `r.id > 100 && hasPrefix(r.path, "/x")`}; !slices.Equal(one.When, want) {
		t.Errorf("armed with the conditions %q", one.When)
	}
	if one.PID != 4711 || one.Start != 17 || one.Limit != 2 ||
		!slices.Equal(one.Functions, []string{"main.(*Gateway).handle"}) ||
		!slices.Equal(one.Show, []string{"r.id", "r.path"}) || one.For > DefaultExpiry || one.Budget > 0.005 {
		t.Errorf("armed %+v", one.Arm)
	}
	s.state(tr.ID, "gw", StateArmed, "")
	values := map[string]any{"r.id": 7, "r.path": "/secret"}
	one.rows <- Row{Flow: 1, What: whatEnter, Goroutine: 5, Func: "main.(*Gateway).handle", Values: values}
	one.rows <- Row{Flow: 1, What: whatStep, Goroutine: 5, Func: "main.look", Values: map[string]any{"r.tenant": "acme"}}
	one.rows <- Row{Flow: 2, What: whatEnter, Undecided: true, Values: values} // perhaps another tenant's
	one.rows <- Row{Flow: 2, What: whatStep, Values: values}
	one.rows <- Row{Flow: 1, What: whatLeave, Duration: 1234}
	one.rows <- Row{Flow: 3, What: whatEnter, Values: values}
	one.rows <- Row{Flow: 4, What: whatEnter, Values: values} // one too many
	s.state(tr.ID, "gw", StateDone, doneFlows)
	lines := h.log.all()
	if len(lines) != 4 || lines[0].Values["r.path"] != "token7" || lines[0].Values["r.id"] != 7 || lines[1].Values != nil {
		t.Errorf("logged %+v", lines)
	}
	var flows []Seen
	s.until("the flows are told of", func() (ok bool) {
		var err error
		flows, err = s.rest.Flows(t.Context(), "acme", tr.ID)
		return err == nil && len(flows) == 2 && len(flows[0].Hops[0].Log) == 3
	})
	if flows[0].Flow != lines[0].Flow || flows[0].Hops[0].Host != "gw" {
		t.Errorf("flows %+v", flows)
	}
	if flows, err := s.admin.Flows(t.Context(), "", tr.ID); err != nil || len(flows[0].Hops[0].Log) != 0 {
		t.Errorf("who didn't enable it reads its log: %v %v", flows, err)
	}
	s.must(s.rest.Disable(t.Context(), "acme", tr.ID))
	s.armed(h, 0)
	s.must(s.rest.Enable(t.Context(), "acme", tr.ID)) // anew: the limit as well
	if again := s.armed(h, 1)[0]; again.Limit != 2 {
		t.Errorf("enabled anew, it may have %d flows", again.Limit)
	}
	if got := s.state(tr.ID, "gw", StateArmed, ""); got.Hits != 0 {
		t.Errorf("enabled anew: %+v", got)
	}
	s.must(s.rest.Delete(t.Context(), "acme", tr.ID))
	s.armed(h, 0)
	if len(other.fake.armed) != 0 {
		t.Error("a host was armed that has nothing of the device")
	}
}

// TestEnds: expiry, the end of the process, an agent that is started anew, and a tracer that can't or must not go on.
func TestEnds(t *testing.T) {
	s := newSite(t)
	s.define()
	h := s.host("gw", "gateway")
	tr := s.enabled(Request{Expires: "1m"})
	s.armed(h, 1)[0].rows <- Row{Flow: 1, What: whatEnter}
	h.mu.Lock()
	h.targets[0].PID, h.targets[0].Start = 4712, 99 // it was started anew
	h.mu.Unlock()
	s.until("the new process is traced", func() bool {
		all := h.fake.running()
		return len(all) == 1 && all[0].PID == 4712 && all[0].Limit == DefaultFlows-1
	})
	h.stop()
	if len(h.fake.running()) != 0 {
		t.Error("an agent that ended left something armed")
	}
	h = s.again(h)
	if one := s.armed(h, 1)[0]; one.Limit != DefaultFlows-1 {
		t.Errorf("an agent that was started anew forgot how many flows there were: %+v", one.Arm)
	}
	s.armed(h, 1)[0].end <- endBudget
	s.state(tr.ID, "gw", StateDone, doneBudget)
	h.mu.Lock()
	h.clock = 2 * time.Minute
	h.mu.Unlock()
	s.armed(h, 0)

	h.mu.Lock()
	h.clock = 0
	h.mu.Unlock()
	h.fake.refuses = errors.New("no such function")
	tr = s.enabled(Request{})
	s.state(tr.ID, "gw", StateRefused, "no such function")
	h.fake.refuses = nil
	tr = s.enabled(Request{Expires: "1s"})
	s.state(tr.ID, "gw", StateDone, doneExpiry)
	s.armed(h, 0)
}

// again starts a host's agent anew, with its folder.
func (s *site) again(old *host) *host {
	h := &host{Agent: &Agent{Database: s.db, Folder: old.Folder, ID: old.ID, Name: old.Name, Labels: old.Labels,
		Identity: old.Identity, Redact: old.Redact, Say: old.Say, Every: old.Every}, fake: &fake{}, log: old.log,
		targets: old.targets}
	h.Log, h.Trace = h.log, h.fake.trace
	h.Scan = func() ([]fleet.Target, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Clone(h.targets), nil
	}
	h.Now = func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return time.Now().Add(h.clock)
	}
	h.stop = s.start(h.Run)
	return h
}

// TestUnbelieved: rows that were altered, replayed, or signed by who may not, arm nothing, and the agent says why.
func TestUnbelieved(t *testing.T) {
	s := newSite(t)
	s.define()
	h := s.host("gw", "gateway")
	ctx := t.Context()
	c := s.rest.client
	write := func(table string, r ovsdb.Row) {
		t.Helper()
		id := r["id"].Text()
		_, err := c.Transact(ctx, fleet.Remove(table, fleet.Is("id", id)), fleet.Put(table, r))
		s.must(err)
	}
	row := func(table, id string) ovsdb.Row {
		t.Helper()
		all, err := s.rest.rows(ctx, table, fleet.Is("id", id))
		s.must(err)
		if len(all) != 1 {
			t.Fatalf("%d rows %s of %s", len(all), id, table)
		}
		return all[0]
	}
	clone := func(r ovsdb.Row) ovsdb.Row {
		out := ovsdb.Row{}
		for k, v := range r {
			out[k] = v
		}
		return out
	}

	tr := s.enabled(Request{Condition: "r.id == 1"})
	s.armed(h, 1)
	good := row(fleet.EnabledTable, tr.ID)
	altered := clone(good)
	altered["spec"] = ovsdb.Scalar(strings.Replace(good["spec"].Text(), "r.id == 1", "r.id != 1", 1))
	write(fleet.EnabledTable, altered)
	s.armed(h, 0)
	s.state(tr.ID, "gw", StateRefused, "did not sign this")
	write(fleet.EnabledTable, good)
	s.armed(h, 1)
	s.must(s.rest.Disable(ctx, "acme", tr.ID))
	s.armed(h, 0)
	write(fleet.EnabledTable, good) // what was disabled
	s.state(tr.ID, "gw", StateRefused, "replay")
	s.must(s.rest.Disable(ctx, "acme", tr.ID))
	s.must(s.rest.Enable(ctx, "acme", tr.ID))
	s.armed(h, 1)
	write(fleet.EnabledTable, good) // an older one
	s.state(tr.ID, "gw", StateRefused, "replay")
	s.armed(h, 0)
	s.must(s.rest.Delete(ctx, "acme", tr.ID))

	// Who has no certificate that enables.
	for who, kind := range map[string]string{"vic": "viewer", "ann": "author", "agent2": "agent"} {
		id := s.identity(who, kind)
		r, err := enabledRow(id, &Trace{ID: ovsdb.NewUUID().String(), Request: Request{TenantID: "acme", Device: "gateway",
			MaxFlowsPerHost: 1, Expires: "1m"}}, time.Now().UnixMilli(), time.Now().Add(time.Minute), hashKey{}, nil)
		s.must(err)
		write(fleet.EnabledTable, r)
		s.until("it is refused of "+who, func() bool { return s.said(r["id"].Text(), "who is "+kind) })
	}
	// What a tracer's certificate would have armed beyond the device.
	for _, r := range []Request{
		{TenantID: "acme", Condition: "r.secret == 1"},
		{TenantID: "acme", Show: []string{"r.secret"}},
		{TenantID: "acme", Key: &Key{Ingress: "r.secret", Egress: "q.id"}},
		{TenantID: "nobody"},
		{TenantID: "acme", Device: "other"},
		{TenantID: "acme", MaxFlowsPerHost: MostFlows + 1},
		{TenantID: "acme", Expires: "100h"},
	} {
		if r.Device == "" {
			r.Device = "gateway"
		}
		r.complete()
		row, err := enabledRow(s.rest.Identity, &Trace{ID: ovsdb.NewUUID().String(), Request: r}, time.Now().UnixMilli(),
			time.Now().Add(time.Minute), hashKey{}, nil)
		s.must(err)
		write(fleet.EnabledTable, row)
		s.until("it is refused", func() bool { return s.said(row["id"].Text(), "") })
	}
	// A device that no operator signed, or that was altered.
	device := row(fleet.DeviceTable, "gateway")
	tr = s.enabled(Request{})
	s.armed(h, 1)
	altered = clone(device)
	altered["spec"] = ovsdb.Scalar(strings.Replace(device["spec"].Text(), "r.tenant == ", "r.tenant != ", 1))
	write(fleet.DeviceTable, altered)
	s.state(tr.ID, "gw", StateRefused, "did not sign this")
	s.armed(h, 0)
	d, _ := ReadDevice([]byte(gatewayDevice))
	forged, err := definition(s.rest.Identity, fleet.DeviceTable, "gateway", 1, d)
	s.must(err)
	write(fleet.DeviceTable, forged)
	s.state(tr.ID, "gw", StateRefused, "who is tracer")
	write(fleet.DeviceTable, device)
	s.armed(h, 1)
	_, err = c.Transact(ctx, client.Op{"op": "delete", "table": fleet.DeviceTable, "where": []any{}})
	s.must(err)
	s.state(tr.ID, "gw", StateRefused, "isn't there")
	s.armed(h, 0)
}

// said tells whether an agent refused a request, for a reason.
func (s *site) said(trace, why string) bool {
	all, err := s.rest.rows(s.t.Context(), fleet.StateTable, fleet.Is("trace", trace))
	s.must(err)
	return len(all) == 1 && all[0]["state"].Text() == StateRefused && strings.Contains(all[0]["why"].Text(), why)
}

// TestLease: a database that is silent for longer than the lease leaves nothing armed.
func TestLease(t *testing.T) {
	s := newSite(t)
	s.define()
	h := s.host("gw", "gateway", func(h *host) { h.Lease = 400 * time.Millisecond })
	s.enabled(Request{})
	s.armed(h, 1)
	s.until("it has ended, and was armed again", func() bool {
		running := len(h.fake.running())
		h.fake.mu.Lock()
		armed := len(h.fake.armed)
		h.fake.mu.Unlock()
		if armed == 1 && running == 1 { // as if, until it is noticed: it may be heard just then
			h.Agent.mu.Lock()
			h.heard = h.heard.Add(-time.Hour)
			h.Agent.mu.Unlock()
		}
		return armed >= 2
	})
	s.armed(h, 1)
}
