package tables

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"ri/change"
	"ri/instruments/host"
	"ri/instruments/rows"
	"ri/ovsdb"
	"ri/ovsdb/engine"
)

// Transaction is what a client asks for with "transact".
type Transaction struct {
	Database string
	Identity string // of the process
	Params   []any  // the database's name, then the operations
	Owns     []string
	// Changes: it may change something.
	Changes bool

	results []any
	failed  *ovsdb.Error // why it can't be looked at
}

// Tags of errors beside those of the engine. Those of RFC 7047 are used where it has one.
const (
	notAllowed   = "not allowed"
	notSupported = "not supported"
	noLook       = "I/O error"
	exhausted    = "resources exhausted"
	timedOut     = "timed out"
	conflict     = "conflict"
)

// Needs are the tables that the transaction is about, and which of them it changes. What is malformed is left to Do.
func (x *Transaction) Needs(all []*Table) (read, changed []*Table) {
	add := func(to *[]*Table, name any) {
		i := slices.IndexFunc(all, func(t *Table) bool { return t.Name == name })
		if i >= 0 && !slices.Contains(*to, all[i]) {
			*to = append(*to, all[i])
		}
	}
	for _, op := range x.operations() {
		switch op["op"] {
		case "update", "mutate":
			add(&changed, op["table"])
			fallthrough
		case "select", "wait":
			add(&read, op["table"])
		}
	}
	return read, changed
}

func (x *Transaction) operations() []map[string]any {
	var list []map[string]any
	for _, p := range x.Params[min(1, len(x.Params)):] {
		if op, ok := p.(map[string]any); ok {
			list = append(list, op)
		}
	}
	return list
}

// May refuses an operation that a process has no sense for, or that isn't the asker's.
func (x *Transaction) May(op string) error {
	switch op {
	case "insert", "delete":
		return ovsdb.Errorf(notAllowed, "%s: the rows of a process are what it has in its memory: they come and go with "+
			"it, and only columns that are mutable can be changed", op)
	case "update", "mutate":
		if !x.Changes {
			return ovsdb.Errorf(notAllowed, "%s changes the process, which needs the role operator", op)
		}
	}
	return nil
}

// Do does the transaction on what looks found, by table.
func (x *Transaction) Do(schema *ovsdb.Schema, found map[string]map[ovsdb.UUID]ovsdb.Row,
	commit func([]engine.Change, string) error) {
	db := engine.New(schema)
	if err := db.Load(found); err != nil {
		x.Fail(noLook, err.Error())
		return
	}
	answer := db.Transact(&engine.Request{Params: any(x.Params), May: x.May, Commit: commit,
		Owns: func(lock string) bool { return slices.Contains(x.Owns, lock) }})
	x.results = answer.Results
	if answer.Waits {
		x.Fail(timedOut, "\"wait\" doesn't hold, and the process is looked at once for each transaction")
	}
}

// Results are what "transact" gives.
func (x *Transaction) Results() []any {
	if x.failed == nil {
		return x.results
	}
	list := []any{x.failed.JSON()}
	for len(list) < len(x.Params)-1 {
		list = append(list, nil)
	}
	return list
}

// Fail has the transaction fail as a whole, before its first operation.
func (x *Transaction) Fail(tag, details string) {
	x.failed = ovsdb.Errorf(tag, "%s", ovsdb.CleanString(details))
}

// Looked notes what went wrong in the look of a table; true: nothing did.
func (x *Transaction) Looked(t *Table, r *rows.Result, quiet bool) bool {
	switch why := ""; {
	case r.Err != nil && quiet:
		x.Fail(noLook, "table "+t.Name+": its recipe failed; what it said may be the program's, and isn't for viewers")
	case r.Err != nil:
		x.Fail(noLook, "table "+t.Name+": "+r.Err.Error())
	case len(r.Partial) > 0:
		if why = ": " + r.Partial[0]; quiet {
			why = ""
		}
		x.Fail(exhausted, "table "+t.Name+": a limit was hit, so that rows are missing"+why)
	default:
		return true
	}
	return false
}

// Guard is called with what a changing look of a table gave: it does the transaction on that, and has what it changes
// made, guarded by what was read. It may be called for several looks; the last counts.
func (x *Transaction) Guard(schema *ovsdb.Schema, t *Table) func(*host.Given) error {
	return func(given *host.Given) error {
		x.results, x.failed = nil, nil
		found, ids, _ := t.Rows(x.Identity, given.Rows)
		var refused error
		x.Do(schema, map[string]map[ovsdb.UUID]ovsdb.Row{t.Name: found}, func(list []engine.Change, why string) error {
			refused = x.change(given, t, ids, list, why)
			var known *ovsdb.Error
			if refused != nil && !errors.As(refused, &known) {
				tag := "constraint violation"
				if errors.Is(refused, change.ErrConflict) {
					tag = conflict
				}
				return ovsdb.Errorf(tag, "%s", ovsdb.CleanString(refused.Error()))
			}
			return refused
		})
		if refused != nil {
			given.Forget()
		}
		return nil
	}
}

// change puts changes into the transaction of ri.
func (x *Transaction) change(given *host.Given, t *Table, ids []ovsdb.UUID, list []engine.Change, why string) error {
	if len(list) == 0 {
		return nil
	}
	if why == "" {
		why = "a transaction of OVSDB"
	}
	given.Begin(fmt.Sprintf("%s: %s", t.Name, why))
	waited := x.waited(t)
	for _, c := range list {
		i := slices.Index(ids, c.ID)
		if i < 0 || c.New == nil {
			return ovsdb.Errorf(notAllowed, "row %s of table %s", c.ID, t.Name)
		}
		for _, name := range waited { // what a "wait" was about has to hold when the change is made, too
			if _, changes := c.New[name]; !changes {
				if err := given.Wait(i, t.column(name).Name); err != nil {
					return err
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.New)) {
			to := c.New[name]
			if len(to.Keys) == 0 {
				return ovsdb.Errorf("constraint violation", "column %s of table %s always has a value", name, t.Name)
			}
			if err := given.Update(i, t.column(name).Name, to.Keys[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Table) column(name string) column {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
	return t.columns[i]
}

// waited are the columns that may change and that some "wait" of the transaction is about.
func (x *Transaction) waited(t *Table) (names []string) {
	for _, op := range x.operations() {
		if op["op"] != "wait" || op["table"] != t.Name {
			continue
		}
		columns, named := op["columns"].([]any)
		for _, c := range t.columns {
			if c.Change && (!named || slices.Contains(columns, any(c.name))) && !slices.Contains(names, c.name) {
				names = append(names, c.name)
			}
		}
	}
	return names
}

// Ended notes how the transaction of ri ended; nil: it was made.
func (x *Transaction) Ended(err error) {
	if err == nil || x.failed != nil {
		return
	}
	tag := noLook
	if errors.Is(err, change.ErrConflict) {
		tag = conflict
	}
	x.results = append(x.results, ovsdb.Errorf(tag, "%s", ovsdb.CleanString(err.Error())).JSON())
}

// Failed tells whether some operation, or the whole, failed.
func (x *Transaction) Failed() bool {
	return slices.ContainsFunc(x.Results(), func(r any) bool {
		e, ok := r.(map[string]any)
		return ok && e["error"] != nil
	})
}
