package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	"ri/attach/proc"
	"ri/fleet"
	"ri/instruments/rows"
	"ri/serve"
	"ri/serve/method"
	"ri/serve/pki"
)

// FleetChoice is how a command of a fleet finds it.
type FleetChoice struct {
	DB  string // where the database is
	TLS string // the file of who one is
}

// Asker is who asks the fleet. load reads who one is, "" meaning the default; nil: nobody.
func (c FleetChoice) Asker(out *rows.Output, load IdentityLoader) (*fleet.Asker, error) {
	if c.DB == "" {
		return nil, rows.Usagef("where is the fleet's database? --db METHOD, or RI_DB: unix:FILE, ssl:HOST[:PORT] or " +
			"tcp:HOST[:PORT]")
	}
	db, err := fleet.ParseDatabase(c.DB)
	if err != nil {
		return nil, rows.Usage(fmt.Errorf("--db: %w", err))
	}
	if db.Identity, err = load(c.TLS); err != nil {
		return nil, rows.Refused(err)
	}
	return &fleet.Asker{Database: db, Identity: db.Identity, Version: OwnVersion(), Say: out.Log}, nil
}

// FlowSinks are where an agent gives flows to, besides files.
type FlowSinks struct {
	OTLP     string // the URL of a receiver
	Journald bool   // systemd's journal
}

// JoinFleet has an agent register in a fleet's database while it serves.
func JoinFleet(agent *serve.Agent, db string, labels map[string]string, sinks FlowSinks) error {
	place, err := fleet.ParseDatabase(db)
	if err != nil {
		return rows.Usage(fmt.Errorf("--db: %w", err))
	}
	if err := fleet.CheckLabels(labels); err != nil {
		return rows.Usage(err)
	}
	place.Identity = agent.Identity
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	if agent.Identity != nil {
		name = agent.Identity.Name
	}
	m := &fleet.Member{Database: place, Folder: agent.Folder, Name: name, Version: agent.Version, Labels: labels,
		Methods: published(agent), Identity: agent.Identity, Scan: newScan(agent.Only), Connect: agent.Connect,
		Say: agent.Say}
	if agent.ID, err = m.ID(); err != nil {
		return rows.Refused(fmt.Errorf("the agent's folder: %w", err))
	}
	if agent.Identity != nil {
		to, err := sinks.open(agent.Folder, name)
		if err != nil {
			return err
		}
		m.Beside = traceFlows(agent, m, to)
	} else if sinks != (FlowSinks{}) {
		return rows.Usagef("--otlp and --journald give flows away, and an agent without a certificate follows none (--tls)")
	}
	agent.Beside = func(ctx context.Context) {
		if err := m.Run(ctx); err != nil && ctx.Err() == nil {
			agent.Say("the fleet: " + err.Error())
		}
	}
	return nil
}

// published are the methods at which an agent that listens can be called.
func published(agent *serve.Agent) (out []string) {
	for _, m := range agent.Methods {
		out = append(out, m.Published(agent.Hosts())...)
	}
	return out
}

// containerID is what runtimes of containers have in the path of a cgroup.
var containerID = regexp.MustCompile(`[0-9a-f]{64}`)

// newScan gives a look at the Go processes here, but for ri's own.
func newScan(only []string) func() ([]fleet.Target, error) {
	var lister proc.Lister
	type life struct {
		pid   int
		start uint64
	}
	containers := map[life]string{} // of those that are here: it stays as long as the process
	own, _ := os.Executable()
	return func() ([]fleet.Target, error) {
		all, err := lister.List()
		if err != nil {
			return nil, err
		}
		var out []fleet.Target
		here := map[life]string{}
		for _, p := range all.Go {
			if p.Executable == own || len(only) > 0 && only[0] != strconv.Itoa(p.PID) {
				continue
			}
			t := targetOf(p)
			who := life{p.PID, p.StartTime}
			if id, ok := containers[who]; ok {
				t.Container = id
			} else if groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID)); err == nil {
				if id := containerID.FindString(string(groups)); id != "" {
					t.Container = id[:12]
				}
			}
			here[who] = t.Container
			out = append(out, t)
		}
		containers = here
		return out, nil
	}
}

func targetOf(p proc.GoProcess) fleet.Target {
	return fleet.Target{PID: p.PID, Start: p.StartTime, Name: p.Name, Module: p.Module, Version: p.ModuleVersion,
		Go: p.GoVersion, User: p.User, Symbols: p.HasSymbols}
}

// FleetSchema prints the schema of the database, for ovsdb-tool.
func FleetSchema(out *rows.Output) error {
	if err := out.WriteText(fleet.Schema); err != nil {
		return err
	}
	return out.Commit()
}

// FleetDB serves a fleet's database.
func FleetDB(ctx context.Context, out *rows.Output, s *fleet.Server, remote string) error {
	if remote == "" {
		return rows.Usagef("say where to listen: --remote punix:FILE, pssl:[PORT][:IP] or ptcp:[PORT][:IP]")
	}
	var err error
	if s.Methods, err = method.ParseList(remote); err != nil {
		return rows.Usage(err)
	}
	s.Say = out.Log
	if os.Getenv("GOGC") == "" { // it is idle for the most part, and holds thousands of connections
		debug.SetGCPercent(50)
	}
	return rows.Refused(s.Serve(ctx))
}

// FleetHosts lists the agents of a fleet.
func FleetHosts(ctx context.Context, out *rows.Output, a *fleet.Asker, where []string) error {
	return listed(out, where, func() (*rows.Result, error) { return a.Hosts(ctx, where) })
}

// FleetTargets lists the processes of a fleet.
func FleetTargets(ctx context.Context, out *rows.Output, a *fleet.Asker, where []string) error {
	return listed(out, where, func() (*rows.Result, error) { return a.Targets(ctx, where) })
}

func listed(out *rows.Output, where []string, list func() (*rows.Result, error)) error {
	r, err := list()
	if err != nil {
		return err
	}
	for _, line := range r.Log {
		out.Log(line)
	}
	if len(r.Rows) == 0 && len(r.Log) == 0 {
		out.Log("nobody has registered (ri serve --db METHOD)")
	}
	return errors.Join(out.WriteRows(r.Columns, r.Rows), out.Commit())
}

// FleetLabels reads NAME=VALUE.
func FleetLabels(words []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, w := range words {
		name, value, found := strings.Cut(w, "=")
		if !found {
			return nil, rows.Usagef("--labels %s: write NAME=VALUE", rows.QuoteName(w))
		}
		labels[name] = value
	}
	return labels, nil
}

// IdentityLoader reads who one is from a file; "": from where it is usually.
type IdentityLoader func(path string) (*pki.Identity, error)

// FleetRuns lists what was asked.
func FleetRuns(ctx context.Context, out *rows.Output, a *fleet.Asker) error {
	r, err := a.Runs(ctx)
	if err != nil {
		return err
	}
	if len(r.Rows) == 0 {
		out.Log("nothing was asked so far (ri fleet run, check, exec, print)")
	}
	return errors.Join(out.WriteRows(r.Columns, r.Rows), out.Commit())
}

// FleetShow says what a run was.
func FleetShow(ctx context.Context, out *rows.Output, a *fleet.Asker, id string) error {
	row, err := a.Show(ctx, id)
	if err != nil {
		return err
	}
	if out.Format != rows.Table {
		return errors.Join(out.WriteOne(row), out.Commit())
	}
	var lines []rows.Row
	for _, c := range row {
		if c.Value != nil {
			lines = append(lines, rows.Of("what", c.Name, "value", c.Value))
		}
	}
	return errors.Join(out.WriteAdvice([]rows.Column{{Name: "what"}, {Name: "value"}}, lines), out.Commit())
}

// FleetCancel ends a run.
func FleetCancel(ctx context.Context, out *rows.Output, a *fleet.Asker, id string) error {
	whole, err := a.Cancel(ctx, id)
	if err != nil {
		return err
	}
	out.Log("run " + whole + " has ended")
	return out.Commit()
}
