package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
)

// device gives a device as an operator defined it.
func (s *Store) device(ctx context.Context, name string) (*Device, error) {
	all, err := s.rows(ctx, fleet.DeviceTable, fleet.Is("id", name))
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		d, err := s.readDevice(r)
		if err == nil {
			return d, nil
		}
		s.Say(fmt.Sprintf("the device %q isn't believed: %v", name, err))
	}
	return nil, invalid("device: you have no device %q", name)
}

// Create makes a request, which isn't enabled.
func (s *Store) Create(ctx context.Context, r *Request) (*Trace, error) {
	if err := s.enabler(); err != nil {
		return nil, err
	}
	if r.TenantID == "" {
		return nil, invalid("tenantId: say whose it is")
	}
	r.complete()
	d, err := s.device(ctx, r.Device)
	if err == nil {
		err = r.check(d)
	}
	if err != nil {
		return nil, err
	}
	of, err := s.tenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	if of == nil {
		return nil, invalid("tenantId: no operator defined a tenant %q (ri fleet tenant create)", r.TenantID)
	}
	unknown, err := s.try(ctx, r, d)
	if err != nil {
		return nil, err
	}
	s.making.Lock() // until it is there, so that it is counted
	defer s.making.Unlock()
	has, err := s.List(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	if len(has) >= MostTraces {
		return nil, fmt.Errorf("%w: %s has %d requests, which is the most: delete one", ErrTooMany, r.TenantID, len(has))
	}
	t := &Trace{ID: ovsdb.NewUUID().String(), Request: *r, Created: s.now().UTC().Truncate(time.Millisecond),
		Unchecked: unknown}
	row, err := traceRow(s.Identity, t)
	if err != nil {
		return nil, err
	}
	_, _, err = s.client.Once(ctx, fleet.TraceTable, "id", t.ID, fleet.Put(fleet.TraceTable, row))
	return t, err
}

// List gives the requests of a tenant, the oldest first; "": of all.
func (s *Store) List(ctx context.Context, tenant string) ([]*Trace, error) {
	return s.believed(ctx, tenant, "")
}

// Get gives a request. A tenant ("": any) finds none of another's.
func (s *Store) Get(ctx context.Context, tenant, id string) (*Trace, error) {
	if _, err := ovsdb.ParseUUID(id); err != nil {
		return nil, fmt.Errorf("%w: no request %q", ErrNotFound, id)
	}
	all, err := s.believed(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no request %q", ErrNotFound, id)
	}
	return all[0], nil
}

// Find gives the request of which the id begins so.
func (s *Store) Find(ctx context.Context, begin string) (*Trace, error) {
	all, err := s.List(ctx, "")
	if err != nil {
		return nil, err
	}
	return find(all, begin)
}

// withdraw has nothing left of an enabling but what it found.
func withdraw(id string) []client.Op {
	return []client.Op{fleet.Remove(fleet.EnabledTable, fleet.Is("id", id)),
		fleet.Remove(fleet.KeyTable, fleet.Is("trace", id)), fleet.Remove(fleet.FlowTable, fleet.Is("trace", id))}
}

// found deletes what an enabling found.
func found(id string) []client.Op {
	return []client.Op{fleet.Remove(fleet.StateTable, fleet.Is("trace", id)),
		fleet.Remove(fleet.HopTable, fleet.Is("trace", id))}
}

func forget(id string) []client.Op {
	return slices.Concat([]client.Op{fleet.Remove(fleet.TraceTable, fleet.Is("id", id))}, withdraw(id), found(id))
}

// Delete takes a request away; agents end what they trace for it. Who may delete any ("") may also delete one that
// isn't believed, as those whose author's certificate was revoked.
func (s *Store) Delete(ctx context.Context, tenant, id string) error {
	_, err := s.Get(ctx, tenant, id)
	_, malformed := ovsdb.ParseUUID(id)
	if err != nil && (tenant != "" || malformed != nil || !errors.Is(err, ErrNotFound)) {
		return err
	}
	return s.removed(ctx, fmt.Sprintf("no request %q", id), forget(id))
}

// Enable has agents arm a request. One that is enabled stays as it is.
func (s *Store) Enable(ctx context.Context, tenant, id string) error {
	if err := s.enabler(); err != nil {
		return err
	}
	t, err := s.Get(ctx, tenant, id)
	if err != nil || t.Enabled {
		return err
	}
	d, err := s.device(ctx, t.Device)
	if err == nil {
		err = t.Request.check(d) // it may have been defined anew since
	}
	if err != nil {
		return err
	}
	old, err := s.rows(ctx, fleet.EnabledTable, fleet.Is("id", t.ID))
	if err != nil {
		return err
	}
	now := s.now()
	generation := now.UnixMilli()
	for _, r := range old { // it has expired, or isn't believed
		if e, err := readEnabling(s.Identity, r, time.UnixMilli(r["generation"].Int())); err == nil {
			generation = max(generation, e.generation+1)
		}
	}
	key := newHashKey()
	r, err := enabledRow(s.Identity, t, generation, now.Add(t.life()), key, nil)
	if err != nil {
		return err
	}
	var all []fleet.Believed
	if t.Key != nil {
		if all, err = s.agents(ctx); err != nil {
			return err
		}
	}
	sealed, err := seal(all, t, d, generation, key, nil)
	if err != nil {
		return err
	}
	ops := slices.Concat(withdraw(t.ID), found(t.ID), []client.Op{fleet.Put(fleet.EnabledTable, r)}, sealed)
	if _, err := s.client.Repeat(ctx, ops...); err != nil {
		return err
	}
	s.mu.Lock()
	s.keys[keyID(t.ID, generation, "")] = key
	s.mu.Unlock()
	return nil
}

// agents gives the agents of the fleet.
func (s *Store) agents(ctx context.Context) ([]fleet.Believed, error) {
	asker := &fleet.Asker{Database: s.Database, Identity: s.Identity, Say: s.Say, Now: s.Now}
	return asker.Agents(ctx, s.client)
}

// seal makes the rows with the hash key of an enabling for those agents of its device that have none.
func seal(agents []fleet.Believed, t *Trace, d *Device, generation int64, key hashKey,
	has map[string]bool) ([]client.Op, error) {
	if t.Key == nil {
		return nil, nil
	}
	var ops []client.Op
	for _, a := range agents {
		id := keyID(t.ID, generation, a.ID)
		if has[id] {
			continue
		}
		in, err1 := fleet.Match(d.Where, a.Name, a.Labels, a.Targets)
		out, err2 := fleet.Match(d.egressWhere(), a.Name, a.Labels, a.Targets)
		if err1 != nil || err2 != nil || len(in)+len(out) == 0 {
			continue
		}
		sealed, err := sealKey(a.Certificate, key, id)
		if err != nil {
			return nil, err
		}
		ops = append(ops, fleet.Put(fleet.KeyTable, fleet.Row("id", id, "trace", t.ID, "generation", generation, "host", a.ID,
			"sealed", sealed)))
	}
	return ops, nil
}

// sweeping is how often agents that came later are looked for.
const sweeping = 5 * time.Second

// Keep has what was enabled here go on until the context ends: see [Store.Sweep].
func (s *Store) Keep(ctx context.Context) {
	go func() {
		for ctx.Err() == nil {
			_ = s.clocks.Watch(ctx, s.client) // it is an estimate: nobody is told
			select {
			case <-ctx.Done():
			case <-time.After(sweeping):
			}
		}
	}()
	tick := time.NewTicker(sweeping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Say("agents that came later have no hash key: " + err.Error())
		}
	}
}

// Sweep gives agents that came since the hash keys of what was enabled here, and takes away what has expired.
func (s *Store) Sweep(ctx context.Context) error {
	s.mu.Lock()
	own := maps.Clone(s.keys) // those that are made meanwhile are of enablings that aren't read
	s.mu.Unlock()
	all, err := fleet.Read(ctx, s.client, map[string]client.Watch{fleet.EnabledTable: {},
		fleet.KeyTable: {Columns: []string{"id"}}})
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, r := range all[fleet.KeyTable] {
		has[r["id"].Text()] = true
	}
	var agents []fleet.Believed
	asked := false
	on := map[string]bool{}
	for _, r := range all[fleet.EnabledTable] {
		if s.now().After(time.UnixMilli(r["expires"].Int()).Add(fleet.Skew)) {
			if _, err := s.client.Repeat(ctx, withdraw(r["id"].Text())...); err != nil {
				return err
			}
			continue
		}
		e, err := readEnabling(s.Identity, r, s.now())
		if err != nil {
			continue
		}
		key, ours := own[keyID(e.trace, e.generation, "")]
		if !ours {
			continue
		}
		on[keyID(e.trace, e.generation, "")] = true
		if e.request.Key == nil {
			continue
		}
		d, err := s.device(ctx, e.request.Device)
		if err != nil {
			continue
		}
		if !asked { // once for all
			if agents, err = s.agents(ctx); err != nil {
				return err
			}
			asked = true
		}
		ops, err := seal(agents, &Trace{ID: e.trace, Request: *e.request}, d, e.generation, key, has)
		if err != nil {
			return err
		}
		if len(ops) > 0 {
			if _, err := s.client.Transact(ctx, ops...); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range own {
		if !on[id] {
			delete(s.keys, id)
		}
	}
	return nil
}

// Disable has agents end what they trace for a request.
func (s *Store) Disable(ctx context.Context, tenant, id string) error {
	t, err := s.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	_, err = s.client.Repeat(ctx, withdraw(t.ID)...)
	return err
}

// Enabled is whether a request is enabled, since when, and until when.
type Enabled struct {
	Enabled bool       `json:"enabled"`
	Since   *time.Time `json:"since,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	By      string     `json:"by,omitempty"`
}

// Enabled tells whether a request is enabled.
func (s *Store) Enabled(ctx context.Context, tenant, id string) (*Enabled, error) {
	t, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	all, err := s.rows(ctx, fleet.EnabledTable, fleet.Is("id", t.ID))
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if e, err := readEnabling(s.Identity, r, s.now()); err == nil {
			since, expires := time.UnixMilli(e.generation).UTC(), e.expires.UTC()
			return &Enabled{true, &since, &expires, e.by.Name}, nil
		}
	}
	return &Enabled{}, nil
}

// HostState is what an agent says of a request.
type HostState struct {
	Host      string    `json:"host"`
	State     string    `json:"state"`
	Why       string    `json:"why,omitempty"`
	Done      string    `json:"done,omitempty"`
	Targets   int64     `json:"targets"`
	Hits      int64     `json:"hits"`
	Matched   int64     `json:"matched"`
	Ambiguous int64     `json:"ambiguous"`
	Updated   time.Time `json:"updated"`
}

// Hosts gives what agents say of a request. What an agent didn't sign isn't told.
func (s *Store) Hosts(ctx context.Context, tenant, id string) ([]HostState, error) {
	t, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	all, err := s.rows(ctx, fleet.StateTable, fleet.Is("trace", t.ID))
	if err != nil {
		return nil, err
	}
	out := []HostState{}
	for _, r := range all {
		who, _, err := signedBy(s.Identity, fleet.StateTable, r, agents)
		if err != nil || who.Name != r["name"].Text() {
			s.Say(fmt.Sprintf("what %q says of the request %s isn't believed: %v", r["name"].Text(), t.ID, err))
			continue
		}
		h := HostState{Host: who.Name, State: r["state"].Text(), Why: r["why"].Text(), Done: r["done"].Text(),
			Targets: r["targets"].Int(), Hits: r["hits"].Int(), Matched: r["matched"].Int(),
			Ambiguous: r["ambiguous"].Int(), Updated: time.UnixMilli(r["updated"].Int()).UTC()}
		switch {
		case (h.State == StateArmed || h.State == StateArming) && !t.Enabled: // the agent's last word was before that
			h.State, h.Done, h.Targets = StateDone, "disabled", 0
		case h.State == StateArmed && s.now().Sub(h.Updated) > fleet.Skew+DefaultLease:
			h.State, h.Why = StateSilent, "its agent hasn't been heard of since"
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b HostState) int { return strings.Compare(a.Host, b.Host) })
	return out, nil
}
