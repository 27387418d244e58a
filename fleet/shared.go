package fleet

import (
	"context"
	"regexp"
	"slices"

	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
)

// What follows is for other rooms that keep rows of their own in the database, by the same rules: package flow.

// Row makes a row of names and values in turn.
func Row(pairs ...any) ovsdb.Row { return row(pairs...) }

// List is a set of texts.
func List(d ovsdb.Datum) []string { return list(d) }

// Is is the condition that a column has a value.
func Is(column string, value any) []any { return is(column, value) }

// Insert inserts a row, once, however often it is sent.
func Insert(table string, r ovsdb.Row) []client.Op { return insert(table, r) }

// Put inserts a row.
func Put(table string, r ovsdb.Row) client.Op { return insert(table, r)[1] }

// Update writes some columns of the row with the same id.
func Update(table string, r ovsdb.Row, names ...string) client.Op { return update(table, r, names...) }

// Remove deletes rows.
func Remove(table string, where []any) client.Op { return remove(table, where) }

// Sign puts a certificate and a signature into a row.
func Sign(who *pki.Identity, table string, r ovsdb.Row) error { return sign(who, table, r) }

// Signer says who signed a row, if the signature is good now.
func Signer(own *pki.Identity, table string, r ovsdb.Row) (pki.Holder, []byte, error) {
	return signer(own, table, r)
}

// Open begins to look for a server, until the context ends.
func (db Database) Open(ctx context.Context, tell func(string)) (*client.Client, error) {
	return db.open(ctx, tell)
}

// Ask opens the database, and says at once if it can't be reached, or lacks one of the tables.
func (db Database) Ask(ctx context.Context, tables ...string) (*client.Client, error) {
	return db.ask(ctx, tables...)
}

// CheckTables says what a server's schema lacks of tables.
func CheckTables(s *ovsdb.Schema, tables ...string) error { return checkSchema(s, tables...) }

// Read gives the rows of tables as they are now.
func Read(ctx context.Context, c *client.Client, tables map[string]client.Watch) (map[string][]ovsdb.Row, error) {
	return read(ctx, c, tables)
}

// Skew is how far clocks may differ.
const Skew = skew

// Believed is an agent whose row is signed by itself, and what it tells of.
type Believed struct {
	ID, Name    string
	Labels      map[string]string
	Certificate []byte
	Targets     []Target
}

// Agents gives the agents that signed their rows and have not gone.
func (a *Asker) Agents(ctx context.Context, c *client.Client) ([]Believed, error) {
	all, err := count(ctx, c, a.Identity, a.now())
	if err != nil {
		return nil, err
	}
	var out []Believed
	for _, h := range sorted(all.hosts) {
		if h.signed == "" || h.why != nil || h.state == Gone {
			continue
		}
		_, certificate, err := signer(a.Identity, hostTable, h.row)
		if err != nil {
			continue
		}
		one := Believed{ID: h.id, Name: h.name, Labels: h.labels, Certificate: certificate}
		for _, t := range all.targets {
			if t["host"].Text() == h.id {
				one.Targets = append(one.Targets, targetOf(t))
			}
		}
		out = append(out, one)
	}
	return out, nil
}

func targetOf(r ovsdb.Row) Target {
	return Target{PID: int(r["pid"].Int()), Start: uint64(r["start"].Int()), Name: r["name"].Text(),
		Module: r["module"].Text(), Version: r["version"].Text(), Go: r["go"].Text(), User: r["user"].Text(),
		Container: r["container"].Text(), Symbols: truth(r["symbols"])}
}

var conditionName = regexp.MustCompile(`^\s*([^\s=!<>~]+)`)

// Match gives those targets of a host of which all conditions hold. What a condition names and the host lacks is a
// label of others, and the condition doesn't hold.
func Match(where []string, name string, labels map[string]string, targets []Target) ([]Target, error) {
	m := &Member{id: "here"}
	h := &host{row: row("id", m.id), id: m.id, name: name, labels: labels, state: Here}
	all := &census{hosts: map[string]*host{m.id: h}}
	byID := map[string]Target{}
	for _, t := range targets {
		r := m.targetRow(t)
		byID[r["id"].Text()] = t
		all.targets = append(all.targets, r)
	}
	for label := range labels {
		all.labels = append(all.labels, label)
	}
	for _, text := range where {
		for _, one := range conditions(text) {
			found := conditionName.FindStringSubmatch(one)
			if found != nil && !slices.Contains(all.labels, found[1]) && !slices.Contains(Reserved, found[1]) {
				all.labels = append(all.labels, found[1])
			}
		}
	}
	r := all.table()
	if err := choose(r, where); err != nil {
		return nil, err
	}
	var out []Target
	for _, one := range r.Rows {
		id, _ := one.Get(idCell)
		text, _ := id.(string)
		out = append(out, byID[text])
	}
	return out, nil
}
