package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"ri/files"
	"ri/fleet"
	"ri/flow"
	"ri/instruments/rows"
	"ri/otlp"
	"ri/ovsdb/client"
	"ri/record/redact"
	"ri/serve"
	"ri/serve/method"
	"ri/serve/pki"
)

// RequestsChoice is where a command finds requests.
type RequestsChoice struct {
	Rest string // a server of requests; "": the fleet's database
	CA   string // the file of its authority; "": who one is says it
}

// Requests gives a command the requests of a fleet: of its database, or of a server of requests.
func (c FleetChoice) Requests(ctx context.Context, out *rows.Output, of RequestsChoice, load IdentityLoader,
	f func(context.Context, flow.Requests) error) error {
	if of.Rest == "" {
		if of.CA != "" {
			return rows.Usagef("--ca is of a server of requests: --rest URL")
		}
		a, err := c.Asker(out, load)
		if err != nil {
			return err
		}
		return Flows(ctx, out, a, func(ctx context.Context, s *flow.Store) error { return f(ctx, s) })
	}
	own, err := load(c.TLS)
	if err != nil {
		return rows.Refused(err)
	}
	r, err := flow.NewRemote(of.Rest, os.Getenv(tokenVariable), of.CA, own)
	if err == nil {
		err = f(ctx, r)
	}
	return flowsEnded(out, err)
}

// tokenVariable has a tenant's token.
const tokenVariable = "RI_TOKEN"

// Flows gives a command the tenants, devices and requests of a fleet.
func Flows(ctx context.Context, out *rows.Output, a *fleet.Asker,
	f func(context.Context, *flow.Store) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &flow.Store{Database: a.Database, Identity: a.Identity, Say: out.Log}
	if err := s.Open(ctx); err != nil {
		return rows.Refused(err)
	}
	return flowsEnded(out, f(ctx, s))
}

// flowsEnded is how a command of flows ends.
func flowsEnded(out *rows.Output, err error) error {
	switch {
	case err == nil:
		return out.Commit()
	case errors.Is(err, flow.ErrInvalid):
		return rows.Usage(err)
	case errors.Is(err, rows.ErrUsage):
		return err
	}
	return rows.Refused(err)
}

// traceFlows has an agent of a fleet follow flows. Who has no certificate can't know who enabled what.
func traceFlows(agent *serve.Agent, m *fleet.Member, to flow.Writer) func(context.Context, *client.Client) {
	f := &flow.Agent{Folder: agent.Folder, ID: agent.ID, Name: m.Name, Labels: m.Labels,
		Identity: agent.Identity, Scan: newScan(agent.Only), Say: agent.Say,
		Trace: flow.ByAgent(agent.Connect, agent.Version, agent.Say), Redact: redactor, Log: to}
	return func(ctx context.Context, c *client.Client) {
		f.Client = c
		if err := f.Run(ctx); err != nil && ctx.Err() == nil {
			agent.Say("flows: " + err.Error())
		}
	}
}

// open begins to give an agent's flows to where they go.
func (s FlowSinks) open(folder, host string) (flow.Writer, error) {
	all := flow.Both{flow.LogsIn(folder)}
	if s.OTLP != "" {
		to, err := openSpans(s.OTLP, []otlp.Attr{{Key: "host.name", Value: host}})
		if err != nil {
			return nil, err
		}
		all = append(all, flow.NewSpans(to))
	}
	if s.Journald {
		to, err := flow.NewJournal(flow.JournalSocket)
		if err != nil {
			return nil, rows.Refused(fmt.Errorf("--journald: %w", err))
		}
		all = append(all, to)
	}
	return all, nil
}

// redactor makes the tokens that a recording has in the place of texts.
func redactor(key [redact.KeySize]byte) flow.Redactor {
	tokens := redact.NewTokens(key)
	return func(text string) string { return strings.ToValidUTF8(string(tokens.Of([]byte(text))), "\ufffd") }
}

// ServeRequests serves requests for traces over HTTP.
func ServeRequests(ctx context.Context, out *rows.Output, db, remote string, own *pki.Identity) error {
	if db == "" {
		return rows.Usagef("--rest: where is the fleet's database? --db METHOD")
	}
	place, err := fleet.ParseDatabase(db)
	if err != nil {
		return rows.Usage(fmt.Errorf("--db: %w", err))
	}
	place.Identity = own
	s := &flow.Server{Store: &flow.Store{Database: place, Identity: own, Say: out.Log}, Say: out.Log}
	if s.Methods, err = method.ParseList(remote); err != nil {
		return rows.Usage(fmt.Errorf("--rest: %w", err))
	}
	return rows.Refused(s.Serve(ctx))
}

// unbelieved tells of rows that nobody believes.
func unbelieved(out *rows.Output, what string) func(string, error) {
	return func(name string, err error) { out.Log(fmt.Sprintf("%s %q isn't believed: %v", what, name, err)) }
}

// FleetTenantCreate defines a tenant by a file.
func FleetTenantCreate(ctx context.Context, out *rows.Output, s *flow.Store, file string) error {
	text, err := files.Read(file, 1<<20)
	if err != nil {
		return rows.Usage(err)
	}
	t, err := flow.ReadTenant(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := s.PutTenant(ctx, t); err != nil {
		return err
	}
	out.Log(fmt.Sprintf("defined the tenant %s", t.Name))
	return nil
}

// FleetTenants lists the tenants, or shows one.
func FleetTenants(ctx context.Context, out *rows.Output, s *flow.Store, name string) error {
	all, err := s.Tenants(ctx, unbelieved(out, "the tenant"))
	if err != nil {
		return err
	}
	var list []rows.Row
	for _, t := range all {
		if t.Name == name || name == "" {
			list = append(list, rows.Of("tenant", t.Name, "certificates", strings.Join(t.Certificates, ", ")))
		}
	}
	if name != "" && len(list) == 0 {
		return fmt.Errorf("there is no tenant %q", name)
	}
	return out.WriteRows([]rows.Column{{Name: "tenant", Key: rows.KeyAlone}, {Name: "certificates"}}, list)
}

// FleetToken makes a token of a tenant, and prints it.
func FleetToken(ctx context.Context, out *rows.Output, s *flow.Store, tenant, expire string, revoke bool) error {
	if revoke {
		n, err := s.RevokeTokens(ctx, tenant)
		if err == nil {
			out.Log(fmt.Sprintf("revoked %s of %s", rows.Plural(int64(n), "token"), tenant))
		}
		return err
	}
	life, err := daysOrDuration(expire)
	if err != nil {
		return rows.Usage(fmt.Errorf("--expire: %w", err))
	}
	token, err := s.Token(ctx, tenant, life)
	if err != nil {
		return err
	}
	out.Log(fmt.Sprintf("a token of %s, good until %s; it is shown this once", tenant,
		time.Now().Add(life).Format("2006-01-02 15:04")))
	if out.Format != rows.Table {
		return out.WriteOne(rows.Of("tenant", tenant, "token", token))
	}
	return out.WriteText(token + "\n")
}

// daysOrDuration reads 30d, or a duration of Go.
func daysOrDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is no number of days, such as 30d", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// FleetDeviceCreate defines a device by a file.
func FleetDeviceCreate(ctx context.Context, out *rows.Output, s *flow.Store, file string) error {
	text, err := files.Read(file, 1<<20)
	if err != nil {
		return rows.Usage(err)
	}
	d, err := flow.ReadDevice(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := s.PutDevice(ctx, d); err != nil {
		return err
	}
	out.Log(fmt.Sprintf("defined the device %s", d.Name))
	return nil
}

// FleetDevices lists the devices, or shows one.
func FleetDevices(ctx context.Context, out *rows.Output, s *flow.Store, name string) error {
	all, err := s.Devices(ctx, "", unbelieved(out, "the device"))
	if err != nil {
		return err
	}
	var list []rows.Row
	for _, d := range all {
		if d.Name != name && name != "" {
			continue
		}
		for tenant, access := range d.Tenants {
			list = append(list, rows.Of("device", d.Name, "tenant", tenant, "predicate", access.Predicate, "share",
				access.Share, "budget", d.Budget, "where", strings.Join(d.Where, " && "), "ingress", strings.Join(d.Ingress, ", "),
				"egress", strings.Join(d.Egress, ", "), "steps", strings.Join(d.Steps, ", "), "paths",
				strings.Join(append(d.Paths, d.EgressPaths...), ", "), "clear", strings.Join(d.Clear, ", ")))
		}
	}
	if name != "" && len(list) == 0 {
		return fmt.Errorf("there is no device %q", name)
	}
	columns := []rows.Column{{Name: "device", Key: rows.KeyPart}, {Name: "tenant", Key: rows.KeyPart},
		{Name: "predicate"}, {Name: "share"}, {Name: "budget"}, {Name: "where"}, {Name: "ingress"}, {Name: "egress"},
		{Name: "steps"}, {Name: "paths"}, {Name: "clear"}}
	return out.WriteRows(columns, list)
}

// FleetTraceCreate makes a request.
func FleetTraceCreate(ctx context.Context, out *rows.Output, s flow.Requests, r *flow.Request) error {
	t, err := s.Create(ctx, r)
	if err != nil {
		return err
	}
	out.Log("created, and not enabled: ri fleet trace enable " + t.ID)
	if t.Unchecked != "" {
		out.Log("whether its expressions fit the programs isn't known yet: " + t.Unchecked)
	}
	if out.Format != rows.Table {
		return out.WriteOne(rows.Of("id", t.ID))
	}
	return out.WriteText(t.ID + "\n")
}

// FleetTraces lists the requests, or shows one.
func FleetTraces(ctx context.Context, out *rows.Output, s flow.Requests, id string) error {
	var all []*flow.Trace
	if id != "" {
		t, err := s.Find(ctx, id)
		if err != nil {
			return err
		}
		all = append(all, t)
	} else {
		var err error
		if all, err = s.List(ctx, ""); err != nil {
			return err
		}
	}
	var list []rows.Row
	for _, t := range all {
		key := any(nil)
		if t.Key != nil {
			key = t.Key.Ingress + " -> " + t.Key.Egress
		}
		list = append(list, rows.Of("id", t.ID, "tenant", t.TenantID, "name", t.Name, "device", t.Device, "enabled",
			t.Enabled, "condition", t.Condition, "flows", int64(t.MaxFlowsPerHost), "expires", t.Expires, "show",
			strings.Join(t.Show, ", "), "key", key, "created", t.Created))
	}
	columns := []rows.Column{{Name: "id", Key: rows.KeyAlone, Whole: true}, {Name: "tenant"}, {Name: "name"},
		{Name: "device"}, {Name: "enabled", Type: rows.ColumnBool}, {Name: "condition"},
		{Name: "flows", Type: rows.ColumnInt}, {Name: "expires"}, {Name: "show"}, {Name: "key"},
		{Name: "created", Type: rows.ColumnTime}}
	return out.WriteRows(columns, list)
}

// FleetTraceDo does something to the request of which the id begins so.
func FleetTraceDo(ctx context.Context, out *rows.Output, s flow.Requests, id, done string,
	f func(ctx context.Context, tenant, id string) error) error {
	t, err := s.Find(ctx, id)
	if err == nil {
		err = f(ctx, "", t.ID)
	}
	if err == nil {
		out.Log(done + " " + t.ID)
	}
	return err
}

// FleetTraceHosts lists how it stands with a request at each host.
func FleetTraceHosts(ctx context.Context, out *rows.Output, s flow.Requests, id string) error {
	t, err := s.Find(ctx, id)
	if err != nil {
		return err
	}
	all, err := s.Hosts(ctx, "", t.ID)
	if err != nil {
		return err
	}
	var list []rows.Row
	for _, h := range all {
		list = append(list, rows.Of("host", h.Host, "state", h.State, "done", h.Done, "targets", h.Targets, "hits", h.Hits,
			"matched", h.Matched, "ambiguous", h.Ambiguous, "why", h.Why, "updated", h.Updated))
	}
	columns := []rows.Column{{Name: "host", Key: rows.KeyAlone}, {Name: "state"}, {Name: "done"},
		{Name: "targets", Type: rows.ColumnInt}, {Name: "hits", Type: rows.ColumnInt},
		{Name: "matched", Type: rows.ColumnInt}, {Name: "ambiguous", Type: rows.ColumnInt}, {Name: "why"},
		{Name: "updated", Type: rows.ColumnTime}}
	return out.WriteRows(columns, list)
}

// FleetTraceFlows lists the flows of a request, a line for each hop.
func FleetTraceFlows(ctx context.Context, out *rows.Output, s flow.Requests, id string) error {
	t, err := s.Find(ctx, id)
	if err != nil {
		return err
	}
	all, err := s.Flows(ctx, "", t.ID)
	if err != nil {
		return err
	}
	var list []rows.Row
	for _, f := range all {
		for _, h := range f.Hops {
			name := any(nil)
			if f.Flow != "" {
				name = f.Flow
			}
			lines := []any{}
			for _, l := range h.Log {
				lines = append(lines, string(l))
			}
			one := rows.Of("flow", name, "cookie", h.Cookie, "host", h.Host, "side", h.Side, "rows", h.Rows, "ambiguous",
				h.Ambiguous, "time", h.Time)
			if out.Format != rows.Table {
				one = append(one, rows.Cell{Name: "log", Value: lines})
			}
			list = append(list, one)
		}
	}
	columns := []rows.Column{{Name: "flow", Whole: true}, {Name: "cookie", Whole: true}, {Name: "host"}, {Name: "side"},
		{Name: "rows", Type: rows.ColumnInt}, {Name: "ambiguous", Type: rows.ColumnBool},
		{Name: "time", Type: rows.ColumnTime}}
	if out.Format != rows.Table {
		columns = append(columns, rows.Column{Name: "log"})
	}
	return out.WriteRows(columns, list)
}
