package commands

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"ri/change"
	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/instruments/tables"
	"ri/ovsdb"
	"ri/record"
	"ri/record/redact"
	"ri/values/heap"
)

// TablesOptions are what is asked of a process as a database; with neither names nor a transaction, its schema.
type TablesOptions struct {
	Database string   // its name; "": made of the process's
	Names    []string // tables whose rows are wanted
	Transact string   // what RFC 7047 has as the parameters of "transact"
	Owns     []string // the asker's locks
	// Redacted: only what recordings keep is shown, with tokens of this key, in hexadecimal ("": a new one).
	Redacted bool
	Key      string
}

// tabled is a process as a database, while it is asked.
type tabled struct {
	TablesOptions
	session *looks.Session
	all     []*tables.Table
	schema  *ovsdb.Schema
	text    map[string]any // the schema
	id      string         // of the process
}

// Tables shows a process as a database of OVSDB: its schema, rows, or what becomes of a transaction. What is shown is
// JSON as RFC 7047 has it.
func Tables(ctx context.Context, out *rows.Output, c *recipes.Catalogue, o TablesOptions, look looks.Options,
	choice looks.TargetChoice) error {
	if o.Transact != "" && len(o.Names) > 0 {
		return rows.Usagef("tables by name and --transact exclude each other")
	}
	if choice.PID == "" {
		return rows.Usagef("ri tables has a process as a database: -p PID")
	}
	var x tables.Transaction
	if o.Transact != "" {
		if err := ovsdb.Decode([]byte(o.Transact), &x.Params); err != nil || len(x.Params) == 0 {
			return rows.Usagef(`--transact is a JSON array: ["DATABASE", {"op": "select", "table": "goroutines", "where": []}]`)
		}
		if name, ok := x.Params[0].(string); ok && o.Database == "" && ovsdb.ID(name) {
			o.Database = name
		}
		x.Owns, x.Changes = o.Owns, look.Write && !o.Redacted
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	a := &tabled{TablesOptions: o, session: s}
	if err := a.describe(c, look); err != nil {
		return err
	}
	switch {
	case o.Transact != "":
		x.Identity = a.id
		if err := a.transact(ctx, &x, choice); err != nil {
			return err
		}
		return a.write(out, x.Results())
	case len(o.Names) > 0:
		found, err := a.rows(ctx, choice)
		if err != nil {
			return err
		}
		return a.write(out, found)
	}
	return a.write(out, a.text)
}

func (a *tabled) describe(c *recipes.Catalogue, look looks.Options) (err error) {
	if err := a.session.NeedSymbols(); err != nil {
		return err
	}
	target, ok := a.session.Target.(change.Target)
	if !ok {
		return rows.Refused(fmt.Errorf("%s is no process", a.session.Target.Describe()))
	}
	a.id = target.Identity()
	if a.Database == "" {
		a.Database = fmt.Sprintf("%s_%d", ovsdb.Name(filepath.Base(a.session.Info.Executable)), a.session.Info.PID)
	}
	reading := look
	reading.Write, reading.Yes = false, false
	a.all = tables.Of(a.session, c, reading)
	a.text = tables.Schema(a.Database, a.all)
	a.schema, err = ovsdb.ParseSchema([]byte(ovsdb.Text(a.text)))
	return err
}

func (a *tabled) write(out *rows.Output, v any) error {
	err := out.Write(func(w io.Writer) error {
		_, err := io.WriteString(w, inertJSON(ovsdb.Text(v))+"\n")
		return err
	})
	if err != nil {
		return err
	}
	return out.Commit()
}

// inertJSON is the same JSON with all escaped that a terminal might obey.
func inertJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case inert.Is(string(r)):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// transact does a transaction: on one look, or, where it changes something, as one transaction of ri.
func (a *tabled) transact(ctx context.Context, x *tables.Transaction, choice looks.TargetChoice) error {
	read, changed := x.Needs(a.all)
	if len(changed) > 0 && x.Changes {
		if len(read) > 1 {
			x.Fail("not supported", "a transaction that changes something is about one table, as ri changes what one look "+
				"of one instrument found")
			return nil
		}
		return a.change(ctx, x, changed[0])
	}
	found := map[string]map[ovsdb.UUID]ovsdb.Row{}
	if len(read) > 0 {
		results, err := a.look(ctx, read, choice)
		if err != nil {
			return err
		}
		for i, r := range results {
			if !x.Looked(read[i], r, a.Redacted) {
				return nil
			}
			found[read[i].Name], _, _ = read[i].Rows(a.id, r.Rows)
		}
	}
	x.Do(a.schema, found, nil)
	return nil
}

func (a *tabled) change(ctx context.Context, x *tables.Transaction, t *tables.Table) error {
	p := *t.Plan
	p.Look.Write, p.Look.Yes = true, true
	p.After = x.Guard(a.schema, t)
	if err := a.session.CheckPlan(ctx, &p); err != nil {
		return err
	}
	r, err := a.session.Run(ctx, &p, nil)
	switch {
	case err != nil && !errors.Is(err, change.ErrConflict):
		return err
	case err == nil && r.Transaction == nil && !x.Looked(t, r, false):
		return nil
	case err == nil:
		err = r.Err
	}
	x.Ended(err)
	return nil
}

// rows are those of the tables that are named, as the rows of an "insert" have them, by table and UUID.
func (a *tabled) rows(ctx context.Context, choice looks.TargetChoice) (map[string]any, error) {
	var named []*tables.Table
	for _, name := range a.Names {
		t := a.table(name)
		if t == nil {
			return nil, rows.Usagef("%s has no table %s (ri tables -p %s lists them)", a.session.Target.Describe(),
				rows.QuoteName(name), choice.PID)
		}
		named = append(named, t)
	}
	results, err := a.look(ctx, named, choice)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for i, r := range results {
		var x tables.Transaction
		if !x.Looked(named[i], r, a.Redacted) {
			return nil, fmt.Errorf("%s", ovsdb.Text(x.Results()[0]))
		}
		found, _, _ := named[i].Rows(a.id, r.Rows)
		table := map[string]any{}
		for id, row := range found {
			columns := map[string]any{}
			for name, d := range row {
				columns[name] = d.JSON(a.schema.Tables[named[i].Name].Column(name).Type)
			}
			table[id.String()] = columns
		}
		out[named[i].Name] = table
	}
	return out, nil
}

func (a *tabled) table(name string) *tables.Table {
	for _, t := range a.all {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// unheard is of who needs to hear nothing of what is read.
type unheard struct{}

func (unheard) Begin(*looks.Look) error { return nil }
func (unheard) Leaving(*looks.Look)     {}
func (unheard) Again(*looks.Look)       {}
func (unheard) Answers() *heap.Answers  { return nil }
func (unheard) End(*looks.Look) error   { return nil }

// look has tables looked at together, once.
func (a *tabled) look(ctx context.Context, list []*tables.Table, choice looks.TargetChoice) ([]*rows.Result, error) {
	var plans []*looks.Plan
	for _, t := range list {
		if err := a.session.CheckPlan(ctx, t.Plan); err != nil {
			return nil, err
		}
		plans = append(plans, t.Plan)
	}
	if a.Redacted {
		return a.redacted(ctx, plans)
	}
	results, whole, err := a.session.Together(ctx, plans, plans[0].Look, nil, unheard{})
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		r.Partial = append(r.Partial, whole.Partial...)
	}
	return results, whole.Err
}

// redacted looks as RunRedacted does.
func (a *tabled) redacted(ctx context.Context, plans []*looks.Plan) ([]*rows.Result, error) {
	key := redact.NewKey()
	if a.Key != "" {
		b, err := hex.DecodeString(strings.TrimSpace(a.Key))
		if err != nil || len(b) != len(key) {
			return nil, rows.Usagef("the tokens' key has %d hexadecimal digits", 2*len(key))
		}
		copy(key[:], b)
	}
	for _, p := range plans {
		if err := forViewers(p); err != nil {
			return nil, err
		}
	}
	fd, err := unix.MemfdCreate("ri-redacted", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a recording in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "a recording in memory")
	defer file.Close()
	recorder := record.New(a.session, record.Options{Policy: &redact.Policy{}, Key: key, Look: plans[0].Look,
		Version: OwnVersion()})
	_, seen, whole, err := recorder.State(ctx, plans, file, nil)
	if err != nil {
		return nil, err
	}
	recorded, err := looks.OpenSession(looks.TargetChoice{Recording: fmt.Sprintf("/proc/self/fd/%d", fd)})
	if err != nil {
		return nil, err
	}
	defer recorded.Close()
	var results []*rows.Result
	for i, p := range plans {
		r, err := recorded.Run(ctx, p, nil)
		if err != nil {
			return nil, err
		}
		r.Partial = append(append(r.Partial, seen[i].Partial...), whole.Partial...)
		results = append(results, r)
	}
	return results, nil
}
