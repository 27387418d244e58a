package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
)

// Reserved are the columns of hosts and targets, so that no label has such a name.
var Reserved = []string{"host", "target", "pid", "name", "module", "version", "go", "user", "container", "symbols",
	"state", "ri", "methods", "lease", "since", "signed", "targets"}

// CheckLabels refuses labels that no condition could name.
func CheckLabels(labels map[string]string) error {
	for name, value := range labels {
		if name == "" || strings.ContainsAny(name, " \t\n=!<>~,&\"'$") {
			return fmt.Errorf("--labels %s=%s: a label's name has no spaces and none of = ! < > ~ , & $ or quotes", name, value)
		}
		if slices.Contains(Reserved, name) {
			return fmt.Errorf("--labels %s=%s: %s is what all hosts or targets have; give the label another name", name, value,
				name)
		}
	}
	return nil
}

// skew is how far clocks may differ.
const skew = 2 * time.Minute

// host is an agent as who asks knows it.
type host struct {
	row    ovsdb.Row
	id     string
	name   string
	labels map[string]string
	state  string // here, late, gone
	signed string // who signed its row: its name, "" if nobody did
	why    error  // why its row isn't believed
}

// States of a host.
const (
	Here = "here"
	Late = "late" // its lease is over by less than clocks may differ
	Gone = "gone"
)

// census is what the database has of hosts and targets.
type census struct {
	hosts   map[string]*host // by id
	targets []ovsdb.Row
	labels  []string // that some host has
}

// count reads hosts and targets. What an agent says of itself is held against its certificate where who asks has one.
func count(ctx context.Context, c *client.Client, own *pki.Identity, now time.Time) (*census, error) {
	all, err := read(ctx, c, map[string]client.Watch{hostTable: {}, targetTable: {}})
	if err != nil {
		return nil, err
	}
	out := &census{hosts: map[string]*host{}, targets: all[targetTable]}
	labels := map[string]bool{}
	for _, r := range all[hostTable] {
		h := &host{row: r, id: r["id"].Text(), name: r["name"].Text(), labels: r["labels"].Strings()}
		lease := time.UnixMilli(r["lease"].Int())
		switch {
		case now.Before(lease):
			h.state = Here
		case now.Before(lease.Add(skew)):
			h.state = Late
		default:
			h.state = Gone
		}
		if own != nil {
			who, _, err := signer(own, hostTable, r)
			switch {
			case err == nil && pki.IsAgent(who) != nil:
				h.why = pki.IsAgent(who)
			case err == nil && who.Name != h.name:
				h.why = fmt.Errorf("%w: it says that it is %s, and %s signed that", pki.ErrForged, h.name, who.Name)
			case err == nil:
				h.signed = who.Name
			case !errors.Is(err, errUnsigned):
				h.why = err
			}
		}
		out.hosts[h.id] = h
		for name := range h.labels {
			labels[name] = true
		}
	}
	out.labels = slices.Sorted(maps.Keys(labels))
	return out, nil
}

// Asker is who asks many.
type Asker struct {
	Database Database
	Identity *pki.Identity // who one is, for agents; nil: nobody
	Version  string
	Say      func(string)
	// Agree has a person agree to a change of what is where; nil: it was agreed to.
	Agree func(ctx context.Context, what, where string) error
	Now   func() time.Time // nil: the clock
}

func (a *Asker) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// census is what is in the database now.
func (a *Asker) census(ctx context.Context) (*census, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c, err := a.Database.ask(ctx)
	if err != nil {
		return nil, rows.Refused(err)
	}
	return count(ctx, c, a.Identity, a.now())
}

// Hosts lists the agents.
func (a *Asker) Hosts(ctx context.Context, where []string) (*rows.Result, error) {
	all, err := a.census(ctx)
	if err != nil {
		return nil, err
	}
	many := map[string]int64{}
	for _, t := range all.targets {
		many[t["host"].Text()]++
	}
	r := &rows.Result{Columns: []rows.Column{{Name: "host", Key: rows.KeyPart}, {Name: "state"},
		{Name: "targets", Type: rows.ColumnInt}, {Name: "ri"}, {Name: "since", Type: rows.ColumnTime},
		{Name: "lease", Type: rows.ColumnTime}, {Name: "signed"}}}
	r.Columns = append(r.Columns, labelColumns(all.labels)...)
	r.Columns = append(r.Columns, rows.Column{Name: "methods"})
	for _, h := range sorted(all.hosts) {
		one := rows.Of("host", h.name, "state", h.state, "targets", many[h.id], "ri", h.row["version"].Text(),
			"since", time.UnixMilli(h.row["since"].Int()), "lease", time.UnixMilli(h.row["lease"].Int()), "signed", h.belief())
		one = append(one, h.labelCells(all.labels)...)
		r.Rows = append(r.Rows, append(one, rows.Cell{Name: "methods", Value: rows.Texts(list(h.row["methods"]))}))
	}
	return r, choose(r, where)
}

// belief is what a person should know of whether the row is the agent's own.
func (h *host) belief() any {
	switch {
	case h.why != nil:
		return h.why.Error()
	case h.signed != "":
		return "by " + h.signed
	}
	return nil
}

func sorted(hosts map[string]*host) []*host {
	return slices.SortedFunc(maps.Values(hosts), func(a, b *host) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.id, b.id))
	})
}

func labelColumns(labels []string) (out []rows.Column) {
	for _, l := range labels {
		out = append(out, rows.Column{Name: l, AsIs: true})
	}
	return out
}

func (h *host) labelCells(labels []string) (out rows.Row) {
	for _, l := range labels {
		if v, ok := h.labels[l]; ok {
			out = append(out, rows.Cell{Name: l, Value: v})
		} else {
			out = append(out, rows.Cell{Name: l, Value: nil})
		}
	}
	return out
}

// Targets lists the processes that agents tell of.
func (a *Asker) Targets(ctx context.Context, where []string) (*rows.Result, error) {
	all, err := a.census(ctx)
	if err != nil {
		return nil, err
	}
	r := all.table()
	if err := choose(r, where); err != nil {
		return nil, err
	}
	for i, one := range r.Rows { // the last cell names the target's row: nobody reads it
		r.Rows[i] = one[:len(one)-1]
	}
	return r, nil
}

// idCell is a cell of a target's row that isn't shown: its id.
const idCell = "$id"

// table is all targets as rows, by host and pid. The last cell of each is its id.
func (all *census) table() *rows.Result {
	r := &rows.Result{Columns: []rows.Column{{Name: "host", Key: rows.KeyPart}, {Name: "target", Key: rows.KeyPart},
		{Name: "pid", Type: rows.ColumnInt}, {Name: "name"}, {Name: "module", Cut: rows.CutPaths}, {Name: "version"},
		{Name: "go"}, {Name: "user"}, {Name: "container", Width: 12, Optional: true},
		{Name: "symbols", Type: rows.ColumnBool}, {Name: "state"}}}
	r.Columns = append(r.Columns, labelColumns(all.labels)...)
	type place struct {
		h   *host
		pid int64
		id  string
		t   ovsdb.Row
	}
	var places []place
	for _, t := range all.targets {
		if h := all.hosts[t["host"].Text()]; h != nil { // what a host that left had goes with it
			places = append(places, place{h, t["pid"].Int(), t["id"].Text(), t})
		}
	}
	slices.SortFunc(places, func(x, y place) int {
		return cmp.Or(strings.Compare(x.h.name, y.h.name), cmp.Compare(x.pid, y.pid), strings.Compare(x.id, y.id))
	})
	for _, p := range places {
		h, t := p.h, p.t
		one := rows.Of("host", h.name, "target", targetName(t), "pid", t["pid"].Int(), "name", orNil(t["name"].Text()),
			"module", orNil(t["module"].Text()), "version", orNil(t["version"].Text()), "go", orNil(t["go"].Text()),
			"user", orNil(t["user"].Text()), "container", orNil(t["container"].Text()), "symbols", truth(t["symbols"]),
			"state", h.state)
		one = append(one, h.labelCells(all.labels)...)
		r.Rows = append(r.Rows, append(one, rows.Cell{Name: idCell, Value: t["id"].Text()}))
	}
	return r
}

// Reason is why a target ended as it did, without what is its own: those that have one in common are told together.
func (o *Outcome) Reason() string {
	own := []string{}
	if o.host != nil {
		for _, m := range list(o.host.row["methods"]) {
			_, address, _ := strings.Cut(m, ":")
			own = append(own, m, "", address, "")
		}
	}
	own = append(own, o.Target, "", o.Host, "")
	for n := 0; n < len(own); n += 2 {
		if own[n] == "" { // it would be found everywhere
			own[n] = o.ID
		}
	}
	return o.State + ": " + strings.NewReplacer(own...).Replace(o.Why)
}

// targetName is how people know a target on its host.
func targetName(t ovsdb.Row) string { return fmt.Sprintf("%s:%d", t["name"].Text(), t["pid"].Int()) }

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func truth(d ovsdb.Datum) bool { return len(d.Keys) == 1 && d.Keys[0] == true }

// choose keeps the rows of which conditions hold: each may have several, joined by &&.
func choose(r *rows.Result, where []string) error {
	a := rows.Arrangement{}
	for _, text := range where {
		a.Where = append(a.Where, conditions(text)...)
	}
	return a.Apply(r)
}

// conditions takes a text apart at each && that isn't in quotes.
func conditions(text string) (out []string) {
	quote, from := byte(0), 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '&' && strings.HasPrefix(text[i:], "&&"):
			out = append(out, text[from:i])
			from = i + 2
			i++
		}
	}
	return append(out, text[from:])
}

// ownBoot is of this machine, since when it came up.
func ownBoot() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}
