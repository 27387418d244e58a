package flow

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
	"ri/serve/request"
)

// Store is the requests, tenants and devices of a fleet, for who signs with a certificate: an operator, or the REST
// server.
type Store struct {
	Database fleet.Database
	Identity *pki.Identity
	Say      func(string)
	Now      func() time.Time // nil: the clock

	client   *client.Client
	mostHops int // that are read of a request
	clocks   fleet.Clocks
	reading  chan struct{} // flows of so many requests are read at once
	trials   chan struct{} // and so many are tried

	making sync.Mutex // one request is made at a time

	mu   sync.Mutex
	keys map[string]hashKey // of what was enabled here, by keyID without a host
	// newestOf are the generations of definitions that were seen, by table and name.
	newestOf map[string]int64
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Open reaches the database, and holds a connection until the context ends.
func (s *Store) Open(ctx context.Context) error {
	if s.Identity == nil {
		return errors.New("requests for traces are signed: it takes a certificate (--tls FILE; ri pki issue makes one)")
	}
	c, err := s.Database.Ask(ctx, tables...)
	if err != nil {
		return err
	}
	s.mostHops, s.reading = mostHops, make(chan struct{}, mostReading)
	s.trials = make(chan struct{}, mostTrials)
	s.client, s.keys, s.newestOf = c, map[string]hashKey{}, map[string]int64{}
	return nil
}

// mostReading is of how many requests flows are read at once.
const mostReading = 4

// operator refuses who may not define tenants and devices.
func (s *Store) operator() error {
	if s.Identity.Kind != request.Operator.String() {
		return fmt.Errorf("tenants and devices are defined by operators, and %s is %s", s.Identity.Name, s.Identity.Kind)
	}
	return nil
}

// enabler refuses who may not make requests.
func (s *Store) enabler() error {
	if !slices.Contains(enablers, s.Identity.Kind) {
		return fmt.Errorf("requests are made by operators, or by ri serve --rest for tenants, and %s is %s", s.Identity.Name,
			s.Identity.Kind)
	}
	return nil
}

// rows gives the rows of a table.
func (s *Store) rows(ctx context.Context, table string, where []any) ([]ovsdb.Row, error) {
	all, err := fleet.Read(ctx, s.client, map[string]client.Watch{table: {Where: where}})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all[table], func(a, b ovsdb.Row) int { return strings.Compare(a["id"].Text(), b["id"].Text()) })
	return all[table], nil
}

// Tenants gives the tenants that an operator defined; told is told of rows that aren't believed.
func (s *Store) Tenants(ctx context.Context, told func(name string, err error)) ([]*Tenant, error) {
	all, err := s.rows(ctx, fleet.TenantTable, nil)
	if err != nil {
		return nil, err
	}
	var out []*Tenant
	for _, r := range all {
		t, err := s.readTenant(r)
		if err != nil {
			told(r["id"].Text(), err)
			continue
		}
		out = append(out, t)
	}
	return out, nil
}

// Devices gives the devices that an operator defined, of a tenant ("": all); told is told of rows that aren't believed.
func (s *Store) Devices(ctx context.Context, tenant string, told func(name string, err error)) ([]*Device, error) {
	all, err := s.rows(ctx, fleet.DeviceTable, nil)
	if err != nil {
		return nil, err
	}
	var out []*Device
	for _, r := range all {
		d, err := s.readDevice(r)
		if err != nil {
			told(r["id"].Text(), err)
			continue
		}
		if _, may := d.Tenants[tenant]; may || tenant == "" {
			out = append(out, d)
		}
	}
	return out, nil
}

// DeleteTenant takes a tenant away, with its tokens and its requests.
func (s *Store) DeleteTenant(ctx context.Context, name string) error {
	if err := s.operator(); err != nil {
		return err
	}
	traces, err := s.rows(ctx, fleet.TraceTable, fleet.Is("tenant", name))
	if err != nil {
		return err
	}
	ops := []client.Op{fleet.Remove(fleet.TenantTable, fleet.Is("id", name)),
		fleet.Remove(fleet.TokenTable, fleet.Is("tenant", name))}
	for _, t := range traces {
		ops = append(ops, forget(t["id"].Text())...)
	}
	return s.removed(ctx, fmt.Sprintf("no tenant %q", name), ops)
}

// DeleteDevice takes a device away: agents end what they traced of it.
func (s *Store) DeleteDevice(ctx context.Context, name string) error {
	if err := s.operator(); err != nil {
		return err
	}
	return s.removed(ctx, fmt.Sprintf("no device %q", name),
		[]client.Op{fleet.Remove(fleet.DeviceTable, fleet.Is("id", name))})
}

// removed makes a transaction of which the first operation must have deleted something.
func (s *Store) removed(ctx context.Context, missing string, ops []client.Op) error {
	got, err := s.client.Transact(ctx, ops...)
	if err == nil && got[0].Count == 0 {
		err = fmt.Errorf("%w: %s", ErrNotFound, missing)
	}
	return err
}

// tokenPrefix tells people, and programs that look for secrets, what it is.
const tokenPrefix = "ri_tenant_"

// MostTokenLife is how long a token may be good.
const MostTokenLife = 366 * 24 * time.Hour

// Token makes a token of a tenant. It is kept nowhere but by who is given it: the database has its hash.
func (s *Store) Token(ctx context.Context, tenant string, life time.Duration) (string, error) {
	if err := s.operator(); err != nil {
		return "", err
	}
	if life < time.Second || life > MostTokenLife {
		return "", invalid("a token is good for a second to %d days", int(MostTokenLife.Hours()/24))
	}
	of, err := s.tenant(ctx, tenant)
	if err != nil {
		return "", err
	}
	if of == nil {
		return "", fmt.Errorf("%w: no tenant %q that is believed (ri fleet tenant list lists them)", ErrNotFound, tenant)
	}
	random := make([]byte, 32)
	rand.Read(random)
	token := tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	now := s.now()
	r := fleet.Row("id", tokenHash(token), "tenant", tenant, "created", max(now.UnixMilli(), of.TokensSince),
		"expires",
		now.Add(life).UnixMilli(), "certificate", "", "signature", "")
	if err := fleet.Sign(s.Identity, fleet.TokenTable, r); err != nil {
		return "", err
	}
	_, _, err = s.client.Once(ctx, fleet.TokenTable, "id", r["id"].Text(), fleet.Put(fleet.TokenTable, r))
	return token, err
}

// RevokeTokens has all tokens of a tenant refused, and gives how many there were.
func (s *Store) RevokeTokens(ctx context.Context, tenant string) (int, error) {
	if err := s.operator(); err != nil {
		return 0, err
	}
	of, err := s.tenant(ctx, tenant)
	if err != nil {
		return 0, err
	}
	remove := fleet.Remove(fleet.TokenTable, fleet.Is("tenant", tenant))
	var got []client.Result
	if of == nil { // all its tokens are refused already
		got, err = s.client.Transact(ctx, remove)
	} else {
		of.TokensSince = max(of.TokensSince, s.now().UnixMilli()) + 1
		got, err = s.define(ctx, fleet.TenantTable, tenant, of, remove)
	}
	if err != nil {
		return 0, err
	}
	return int(got[0].Count), nil
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// errToken: a token that isn't good; who shows it isn't told why.
var errToken error = &nobody{errors.New("the token is not good: it is none of a tenant, has expired, or was revoked")}

// nobody: it isn't known who asks.
type nobody struct{ error }

// Nobody is the error of who isn't known, with the reason: it is answered with 401.
func Nobody(why error) error { return &nobody{why} }

// IsNobody tells whether an error is of who isn't known.
func IsNobody(err error) bool {
	var unknown *nobody
	return errors.As(err, &unknown)
}

// Bearer gives the tenant whose token it is.
func (s *Store) Bearer(ctx context.Context, token string) (string, error) {
	if !strings.HasPrefix(token, tokenPrefix) || len(token) > 200 {
		return "", errToken
	}
	all, err := fleet.Read(ctx, s.client, map[string]client.Watch{
		fleet.TokenTable: {Where: fleet.Is("id", tokenHash(token))}})
	if err != nil {
		return "", err
	}
	for _, r := range all[fleet.TokenTable] {
		if _, _, err := signedBy(s.Identity, fleet.TokenTable, r, operators); err != nil {
			s.Say(fmt.Sprintf("a token of %q is in the database that no operator signed: %v", r["tenant"].Text(), err))
			continue
		}
		t, err := s.tenant(ctx, r["tenant"].Text())
		if err != nil {
			return "", err
		}
		if t != nil && s.now().Before(time.UnixMilli(r["expires"].Int())) && r["created"].Int() >= t.TokensSince {
			return t.Name, nil
		}
	}
	return "", errToken
}

// ActsFor gives the tenants for whom somebody with a certificate may act.
func (s *Store) ActsFor(ctx context.Context, who pki.Holder) ([]string, error) {
	all, err := s.Tenants(ctx, func(string, error) {})
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, t := range all {
		if slices.Contains(t.Certificates, who.Name) && who.Kind != pki.Agent && who.Kind != pki.Tracer {
			found[t.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// Holder gives the tenant for whom somebody with a certificate may act; "" is all of them, for operators.
func (s *Store) Holder(ctx context.Context, who pki.Holder) (string, error) {
	if who.Kind == request.Operator.String() {
		return "", nil
	}
	names, err := s.ActsFor(ctx, who)
	if err != nil {
		return "", err
	}
	switch len(names) {
	case 0:
		return "", Nobody(fmt.Errorf("the certificate of %s is of no tenant", who.Name))
	case 1:
		return names[0], nil
	default:
		return "", Nobody(fmt.Errorf("the certificate of %s is of several tenants: use a token", who.Name))
	}
}

// believed gives the requests that are believed, of a tenant ("": all).
func (s *Store) believed(ctx context.Context, tenant, id string) ([]*Trace, error) {
	var where []any
	if id != "" {
		where = fleet.Is("id", id)
	} else if tenant != "" {
		where = fleet.Is("tenant", tenant)
	}
	all, err := fleet.Read(ctx, s.client, map[string]client.Watch{fleet.TraceTable: {Where: where},
		fleet.EnabledTable: {}})
	if err != nil {
		return nil, err
	}
	on := map[string]bool{}
	for _, r := range all[fleet.EnabledTable] {
		if e, err := readEnabling(s.Identity, r, s.now()); err == nil && e.trial == nil {
			on[e.trace] = true
		}
	}
	var out []*Trace
	for _, r := range all[fleet.TraceTable] {
		t, err := readTrace(s.Identity, r)
		if err != nil {
			s.Say(fmt.Sprintf("the request %q isn't believed: %v", r["id"].Text(), err))
			continue
		}
		if t.TenantID != tenant && tenant != "" {
			continue
		}
		t.Enabled = on[t.ID]
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Trace) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}
