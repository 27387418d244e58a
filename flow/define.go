package flow

import (
	"context"
	"fmt"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
)

// newest refuses a definition that is older than one that was seen here: whoever writes to the database could have
// kept it.
func (s *Store) newest(table string, r ovsdb.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, generation := table+" "+r["id"].Text(), r["generation"].Int()
	if generation < s.newestOf[id] {
		return errOlderOne
	}
	s.newestOf[id] = generation
	return nil
}

func (s *Store) readDevice(r ovsdb.Row) (*Device, error) {
	d, err := readDevice(s.Identity, r)
	if err == nil {
		err = s.newest(fleet.DeviceTable, r)
	}
	return d, err
}

func (s *Store) readTenant(r ovsdb.Row) (*Tenant, error) {
	t, err := readTenant(s.Identity, r)
	if err == nil {
		err = s.newest(fleet.TenantTable, r)
	}
	return t, err
}

// tenant gives a tenant as an operator defined it; nil: none did.
func (s *Store) tenant(ctx context.Context, name string) (*Tenant, error) {
	all, err := s.rows(ctx, fleet.TenantTable, fleet.Is("id", name))
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		t, err := s.readTenant(r)
		if err == nil {
			return t, nil
		}
		s.Say(fmt.Sprintf("the tenant %q isn't believed: %v", name, err))
	}
	return nil, nil
}

// define writes a definition in the place of an older one.
func (s *Store) define(ctx context.Context, table, name string, what any, more ...client.Op) ([]client.Result, error) {
	if err := s.operator(); err != nil {
		return nil, err
	}
	old, err := s.rows(ctx, table, fleet.Is("id", name))
	if err != nil {
		return nil, err
	}
	generation := s.now().UnixMilli()
	for _, r := range old {
		if _, _, err := signedBy(s.Identity, table, r, operators); err == nil { // others could say any
			generation = max(generation, r["generation"].Int()+1)
		}
	}
	r, err := definition(s.Identity, table, name, generation, what)
	if err != nil {
		return nil, err
	}
	return s.client.Transact(ctx, append(more, fleet.Remove(table, fleet.Is("id", name)), fleet.Put(table, r))...)
}

// PutTenant defines a tenant, or defines it anew. Its tokens stay good; those of one that isn't there aren't.
func (s *Store) PutTenant(ctx context.Context, t *Tenant) error {
	if err := t.check(); err != nil {
		return err
	}
	was, err := s.tenant(ctx, t.Name)
	if err != nil {
		return err
	}
	own := *t
	own.TokensSince = s.now().UnixMilli()
	if was != nil {
		own.TokensSince = was.TokensSince
	}
	_, err = s.define(ctx, fleet.TenantTable, t.Name, &own)
	return err
}

// PutDevice defines a device, or defines it anew: what was enabled of it is armed anew, by the new definition.
func (s *Store) PutDevice(ctx context.Context, d *Device) error {
	if err := d.check(); err != nil {
		return err
	}
	_, err := s.define(ctx, fleet.DeviceTable, d.Name, d)
	return err
}
