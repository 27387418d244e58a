package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"ri/ovsdb"
)

// Request is a transaction as a client asks for it.
type Request struct {
	Params   any // of "transact": the database's name, then operations, decoded with json.Number
	ReadOnly bool
	// Elapsed is how long the client has waited already.
	Elapsed time.Duration
	// Owns tells whether the client owns a lock; nil: none.
	Owns func(lock string) bool
	// May says why there may be no such operation; nil: all may be. The error is of type *ovsdb.Error.
	May func(operation string) error
	// Commit is told what the transaction changes, and with which comment, before it is done; an error, of type
	// *ovsdb.Error, is why it isn't. It must not call the database.
	Commit func(changes []Change, comment string) error
}

// Answer is the outcome of a transaction.
type Answer struct {
	Results []any // what "transact" gives
	// Waits: a "wait" doesn't hold yet, and there are no results; it may when Changed is closed, or ends after Timeout
	// since the beginning (none if it is negative).
	Waits   bool
	Timeout time.Duration
	Changed <-chan struct{}
}

// execution is a transaction at work.
type execution struct {
	*Txn
	request *Request
	durable bool
	timeout int64 // the shortest of its waits, in milliseconds
}

// errWaits: a "wait" isn't fulfilled. Without anybody who tries again it is an error of this text.
var errWaits = &ovsdb.Error{Tag: "not supported", Details: "triggers not supported"}

// Transact executes a transaction.
func (db *DB) Transact(request *Request) Answer {
	db.mu.Lock()
	defer db.mu.Unlock()
	params, ok := request.Params.([]any)
	if !ok {
		return failed(ovsdb.Syntaxf(request.Params, "", "array expected"))
	}
	if len(params) == 0 || params[0] != db.schema.Name {
		return failed(ovsdb.Syntaxf(request.Params, "", "database name expected as first parameter"))
	}
	x := &execution{Txn: db.begin(), request: request, timeout: math.MaxInt64}
	results := []any{}
	n := len(params) - 1
	for i := 1; i <= n; i++ {
		result, err := x.operation(params[i], fmt.Sprintf("ovsdb operation %d of %d", i, n))
		if err == errWaits {
			timeout := time.Duration(-1)
			if x.timeout < math.MaxInt64/int64(time.Millisecond) {
				timeout = time.Duration(x.timeout) * time.Millisecond
			}
			return Answer{Waits: true, Timeout: timeout, Changed: db.changed}
		}
		if err != nil {
			results = append(results, errorJSON(err))
			for len(results) < n {
				results = append(results, nil)
			}
			return Answer{Results: results}
		}
		results = append(results, result)
	}
	x.told = request.Commit
	if err := db.commit(x.Txn, x.durable); err != nil {
		results = append(results, errorJSON(err))
	}
	return Answer{Results: results}
}

func failed(err *ovsdb.Error) Answer { return Answer{Results: []any{err.JSON()}} }

func errorJSON(err error) any {
	if e, ok := err.(*ovsdb.Error); ok {
		return e.JSON()
	}
	return map[string]any{"error": "ovsdb error", "details": err.Error()}
}

// operation executes one operation. An error in its form goes before any other.
func (x *execution) operation(j any, called string) (result any, err error) {
	o := ovsdb.NewObject(j, called)
	name, ok := o.Member("op", ovsdb.IsID).(string)
	readOnly := false
	if ok {
		var run func(*ovsdb.Object) (any, error)
		switch name {
		case "insert":
			run = x.insertRow
		case "select":
			run, readOnly = x.selectRows, true
		case "update":
			run = x.updateRows
		case "mutate":
			run = x.mutateRows
		case "delete":
			run = x.deleteRows
		case "wait":
			run, readOnly = x.wait, true
		case "commit":
			run = x.commitDurably
		case "abort":
			run, readOnly = func(*ovsdb.Object) (any, error) {
				return nil, ovsdb.Errorf("aborted", "aborted by request")
			}, true
		case "comment":
			run, readOnly = x.addComment, true
		case "assert":
			run, readOnly = x.assertLock, true
		default:
			o.Fail("No operation \"%s\"", name)
		}
		if run != nil && x.request.May != nil {
			if err := x.request.May(name); err != nil {
				return nil, err
			}
		}
		if run != nil {
			result, err = run(o)
		}
	}
	if form := o.Finish(); form != nil {
		return nil, form
	}
	if err == nil && !readOnly {
		err = x.mayWrite(name)
	}
	return result, err
}

func (x *execution) mayWrite(operation string) error {
	if x.request.ReadOnly || x.db.readOnly {
		return ovsdb.Errorf("not allowed", "%s operation not allowed when database server is in read only mode", operation)
	}
	if strings.HasPrefix(x.db.schema.Name, "_") {
		return ovsdb.Errorf("not allowed", "%s operation not allowed on table in reserved database %s", operation,
			x.db.schema.Name)
	}
	return nil
}

func (x *execution) table(o *ovsdb.Object) *Table {
	name, ok := o.Member("table", ovsdb.IsID).(string)
	if !ok {
		return nil
	}
	t := x.db.tables[name]
	if t == nil {
		o.Fail("No table named %s.", name)
	}
	return t
}

// values reads a <row>: the columns that it names, in order, with their values.
func (t *Table) values(j any, names ovsdb.Names) (columns []int, data []ovsdb.Datum, err error) {
	members, ok := j.(map[string]any)
	if !ok {
		return nil, nil, ovsdb.Syntaxf(j, "", "row must be JSON object")
	}
	for name := range members {
		i, ok := t.index[name]
		if !ok {
			return nil, nil, ovsdb.Syntaxf(j, "unknown column", "No column %s in table %s.", name, t.schema.Name)
		}
		columns = append(columns, i)
	}
	slices.Sort(columns)
	for _, i := range columns {
		d, err := t.columns[i].Type.FromJSON(members[t.columns[i].Name], names)
		if err != nil {
			return nil, nil, err
		}
		data = append(data, d)
	}
	return columns, data, nil
}

// set makes a row that has values in some columns; _uuid and _version are taken as they are.
func (r *Row) set(columns []int, data []ovsdb.Datum) {
	for n, i := range columns {
		switch i {
		case idColumn:
			r.id = data[n].UUIDs()[0] // the column has one element
		case versionColumn:
			r.version = data[n].UUIDs()[0]
		default:
			r.fields[i-firstColumn] = data[n]
		}
	}
}

func (x *execution) insertRow(o *ovsdb.Object) (any, error) {
	t := x.table(o)
	given, hasID := o.Member("uuid", ovsdb.IsString|ovsdb.IsOptional).(string)
	called, hasName := o.Member("uuid-name", ovsdb.IsID|ovsdb.IsOptional).(string)
	row := o.Member("row", ovsdb.IsObject)
	if err := o.Err(); err != nil {
		return nil, err
	}
	id := ovsdb.NewUUID()
	if hasID {
		var err error
		if id, err = ovsdb.ParseUUID(given); err != nil {
			return nil, ovsdb.Syntaxf(given, "", "bad uuid")
		}
		if t.rows[id] != nil || x.changes[t][id] != nil {
			return nil, ovsdb.Syntaxf(given, "duplicate uuid", "This UUID would duplicate a UUID already present within "+
				"the \"%s\" table or deleted from this table within the same transaction.", t.schema.Name)
		}
	}
	if hasName {
		n := x.named(called)
		if n.created {
			return nil, ovsdb.Syntaxf(called, "duplicate uuid-name", "This \"uuid-name\" appeared on an earlier "+
				"\"insert\" operation.")
		}
		n.created = true
		if hasID {
			n.id = id
		}
		id = n.id
	}
	columns, data, err := t.values(row, x)
	if err != nil {
		return nil, err
	}
	r := t.empty(id)
	r.set(columns, data)
	r.id = id
	for i, c := range t.columns[firstColumn:] {
		if d := r.fields[i]; len(d.Keys) == 1 { // it may be a default, which constraints don't allow
			if err := c.Type.Constraints(d); err != nil {
				return nil, err
			}
		}
	}
	x.insert(r)
	return map[string]any{"uuid": []any{"uuid", id.String()}}, nil
}

func (x *execution) selectRows(o *ovsdb.Object) (any, error) {
	t := x.table(o)
	where := o.Member("where", ovsdb.IsArray)
	names := o.Member("columns", ovsdb.IsArray|ovsdb.IsOptional)
	order := o.Member("sort", ovsdb.IsArray|ovsdb.IsOptional)
	if err := o.Err(); err != nil {
		return nil, err
	}
	c, err := t.ParseCondition(where, x)
	if err != nil {
		return nil, err
	}
	columns, err := t.columnSet(names)
	if err != nil {
		return nil, err
	}
	by, err := sortKey(t, order)
	if err != nil {
		return nil, err
	}
	rows := distinct(x.query(t, c), columns)
	if len(by) > 0 {
		slices.SortStableFunc(rows, func(a, b *Row) int {
			for _, i := range by {
				if order := a.field(i).Compare(b.field(i)); order != 0 {
					return order
				}
			}
			return 0
		})
	}
	columns = byName(t, columns)
	b := []byte("[")
	for n, r := range rows {
		if n > 0 {
			b = append(b, ',')
		}
		b = r.appendJSON(b, columns)
	}
	return map[string]any{"rows": json.RawMessage(append(b, ']'))}, nil
}

// byName orders columns by name: JSON as Open vSwitch's tests have it.
func byName(t *Table, columns []int) []int {
	columns = slices.Clone(columns)
	slices.SortFunc(columns, func(a, b int) int { return strings.Compare(t.columns[a].Name, t.columns[b].Name) })
	return columns
}

// distinct leaves one of each kind of row.
func distinct(rows []*Row, columns []int) []*Row {
	if slices.Contains(columns, idColumn) {
		return rows
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(rows, func(r *Row) bool {
		key := r.key(columns)
		was := seen[key]
		seen[key] = true
		return was
	})
}

func (x *execution) where(t *Table, j any) ([]*Row, error) {
	c, err := t.ParseCondition(j, x)
	if err != nil {
		return nil, err
	}
	return x.query(t, c), nil
}

func (x *execution) updateRows(o *ovsdb.Object) (any, error) {
	t := x.table(o)
	where := o.Member("where", ovsdb.IsArray)
	row := o.Member("row", ovsdb.IsObject)
	if err := o.Err(); err != nil {
		return nil, err
	}
	columns, data, err := t.values(row, x)
	if err != nil {
		return nil, err
	}
	for _, i := range columns {
		if c := t.columns[i]; c.Fixed {
			return nil, ovsdb.Syntaxf(o.JSON, ovsdb.ConstraintTag, "Cannot update immutable column %s in table %s.",
				c.Name, t.schema.Name)
		}
	}
	rows, err := x.where(t, where)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		for n, i := range columns {
			if r.field(i).Compare(data[n]) != 0 {
				x.update(r, columns, data)
				break
			}
		}
	}
	return map[string]any{"count": len(rows)}, nil
}

func (x *execution) mutateRows(o *ovsdb.Object) (any, error) {
	t := x.table(o)
	where := o.Member("where", ovsdb.IsArray)
	list := o.Member("mutations", ovsdb.IsArray)
	if err := o.Err(); err != nil {
		return nil, err
	}
	mutations, err := t.ParseMutations(list, x)
	if err != nil {
		return nil, err
	}
	rows, err := x.where(t, where)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		for _, m := range mutations {
			has := x.row(t, r.id).field(m.column)
			d, err := m.apply(has, t.columns[m.column])
			if err != nil {
				return nil, err
			}
			x.update(r, []int{m.column}, []ovsdb.Datum{d})
		}
	}
	return map[string]any{"count": len(rows)}, nil
}

func (x *execution) deleteRows(o *ovsdb.Object) (any, error) {
	where := o.Member("where", ovsdb.IsArray)
	t := x.table(o)
	if err := o.Err(); err != nil {
		return nil, err
	}
	rows, err := x.where(t, where)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		x.delete(r)
	}
	return map[string]any{"count": len(rows)}, nil
}

func (x *execution) wait(o *ovsdb.Object) (any, error) {
	timeout, hasTimeout := o.Member("timeout", ovsdb.IsInteger|ovsdb.IsOptional).(json.Number)
	where := o.Member("where", ovsdb.IsArray)
	names := o.Member("columns", ovsdb.IsArray|ovsdb.IsOptional)
	until, _ := o.Member("until", ovsdb.IsString).(string)
	rows, _ := o.Member("rows", ovsdb.IsArray).([]any)
	t := x.table(o)
	if err := o.Err(); err != nil {
		return nil, err
	}
	c, err := t.ParseCondition(where, x)
	if err != nil {
		return nil, err
	}
	columns, err := t.columnSet(names)
	if err != nil {
		return nil, err
	}
	limit := int64(math.MaxInt64)
	if hasTimeout {
		if limit, _, _ = ovsdb.Number(timeout); limit < 0 {
			return nil, ovsdb.Syntaxf(timeout, "", "timeout must be nonnegative")
		}
		x.timeout = min(x.timeout, limit)
	}
	if until != "==" && until != "!=" {
		return nil, ovsdb.Syntaxf(until, "", "\"until\" must be \"==\" or \"!=\"")
	}
	expected := map[string]bool{}
	for _, j := range rows {
		set, data, err := t.values(j, x)
		if err != nil {
			return nil, err
		}
		r := t.empty(ovsdb.UUID{})
		r.version = ovsdb.UUID{}
		r.set(set, data)
		expected[r.key(columns)] = true
	}
	actual := map[string]bool{}
	same := true
	for _, r := range x.query(t, c) {
		key := r.key(columns)
		same = same && expected[key]
		actual[key] = true
	}
	same = same && len(actual) == len(expected)
	if same == (until == "==") {
		return map[string]any{}, nil
	}
	elapsed := x.request.Elapsed.Milliseconds()
	switch {
	case !hasTimeout || elapsed < limit:
		return nil, errWaits
	case elapsed > 0:
		return nil, ovsdb.Errorf("timed out", "\"wait\" timed out after %d ms", elapsed)
	}
	return nil, ovsdb.Errorf("timed out", "\"where\" clause test failed")
}

func (x *execution) commitDurably(o *ovsdb.Object) (any, error) {
	durable, _ := o.Member("durable", ovsdb.IsBoolean).(bool)
	x.durable = x.durable || durable
	return map[string]any{}, nil
}

func (x *execution) addComment(o *ovsdb.Object) (any, error) {
	if text, ok := o.Member("comment", ovsdb.IsString).(string); ok {
		x.comment = append(x.comment, text)
	}
	return map[string]any{}, nil
}

func (x *execution) assertLock(o *ovsdb.Object) (any, error) {
	lock, ok := o.Member("lock", ovsdb.IsID).(string)
	if ok && (x.request.Owns == nil || !x.request.Owns(lock)) {
		return nil, ovsdb.Errorf("not owner", "Asserted lock %s not held.", lock)
	}
	return map[string]any{}, nil
}
