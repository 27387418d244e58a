package fleet

import (
	"fmt"
	"slices"
	"sync"

	"ri/ovsdb"
	"ri/ovsdb/client"
)

// Name is the database's.
const Name = "ri"

// Tables of the database.
const (
	hostTable   = "Host"
	targetTable = "Target"
	runTable    = "Run"
	answerTable = "Run_Target"
	resultTable = "Run_Result"
)

// ownTables are what every release of this database has; who needs others says so, since a database may be older.
var ownTables = []string{hostTable, targetTable, runTable, answerTable, resultTable}

// Tables of package flow, which says who writes what.
const (
	TenantTable  = "Tenant"
	TokenTable   = "Tenant_Token"
	DeviceTable  = "Device"
	TraceTable   = "Trace"
	EnabledTable = "Trace_Enabled"
	KeyTable     = "Trace_Key"
	StateTable   = "Trace_Host"
	FlowTable    = "Flow"
	HopTable     = "Flow_Hop"
)

// Schema is the database's, as ovsdb-tool create takes it. Times are milliseconds since 1970.
//
// A Host and its Targets are written by that agent alone, a Run by who asks, a Run_Target and its Run_Results by the
// agent that answers (who asks deletes what it has read).
const Schema = `{
  "name": "ri",
  "version": "1.1.0",
  "tables": {
    "Host": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "name": {"type": "string"},
        "labels": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "version": {"type": "string"},
        "methods": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "boot": {"type": "string"},
        "since": {"type": "integer"},
        "lease": {"type": "integer"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Target": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "host": {"type": "string", "mutable": false},
        "pid": {"type": "integer"},
        "start": {"type": "integer"},
        "name": {"type": "string"},
        "module": {"type": "string"},
        "version": {"type": "string"},
        "go": {"type": "string"},
        "user": {"type": "string"},
        "container": {"type": "string"},
        "symbols": {"type": "boolean"}}},
    "Run": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "whole": {"type": "string", "mutable": false},
        "author": {"type": "string"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"},
        "created": {"type": "integer"},
        "expires": {"type": "integer"},
        "request": {"type": "string"},
        "hosts": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "targets": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "state": {"type": "string"},
        "totals": {"type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}},
        "digest": {"type": "string"},
        "cancel": {"type": "string"}}},
    "Run_Target": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "run": {"type": "string", "mutable": false},
        "host": {"type": "string", "mutable": false},
        "target": {"type": "string", "mutable": false},
        "state": {"type": "string"},
        "why": {"type": "string"},
        "code": {"type": "integer"},
        "stopped": {"type": "integer"},
        "pieces": {"type": "integer"},
        "digest": {"type": "string"},
        "expires": {"type": "integer"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Run_Result": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "run": {"type": "string", "mutable": false},
        "host": {"type": "string", "mutable": false},
        "target": {"type": "string", "mutable": false},
        "number": {"type": "integer"},
        "data": {"type": "string"}}},
    "Tenant": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "generation": {"type": "integer"},
        "spec": {"type": "string"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Tenant_Token": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "tenant": {"type": "string"},
        "created": {"type": "integer"},
        "expires": {"type": "integer"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Device": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "generation": {"type": "integer"},
        "spec": {"type": "string"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Trace": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "tenant": {"type": "string", "mutable": false},
        "created": {"type": "integer"},
        "spec": {"type": "string"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Trace_Enabled": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "generation": {"type": "integer"},
        "expires": {"type": "integer"},
        "spec": {"type": "string"},
        "commitment": {"type": "string"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Trace_Key": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "trace": {"type": "string", "mutable": false},
        "generation": {"type": "integer"},
        "host": {"type": "string", "mutable": false},
        "sealed": {"type": "string"}}},
    "Trace_Host": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "trace": {"type": "string", "mutable": false},
        "host": {"type": "string", "mutable": false},
        "name": {"type": "string"},
        "generation": {"type": "integer"},
        "state": {"type": "string"},
        "why": {"type": "string"},
        "done": {"type": "string"},
        "targets": {"type": "integer"},
        "hits": {"type": "integer"},
        "matched": {"type": "integer"},
        "ambiguous": {"type": "integer"},
        "updated": {"type": "integer"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Flow": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "trace": {"type": "string", "mutable": false},
        "generation": {"type": "integer"},
        "host": {"type": "string", "mutable": false},
        "hash": {"type": "string"},
        "time": {"type": "integer"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}},
    "Flow_Hop": {
      "isRoot": true, "indexes": [["id"]],
      "columns": {
        "id": {"type": "string", "mutable": false},
        "trace": {"type": "string", "mutable": false},
        "generation": {"type": "integer"},
        "host": {"type": "string", "mutable": false},
        "flow": {"type": "string"},
        "side": {"type": "string"},
        "ambiguous": {"type": "boolean"},
        "time": {"type": "integer"},
        "rows": {"type": "integer"},
        "sealed": {"type": "string"},
        "certificate": {"type": "string"},
        "signature": {"type": "string"}}}}}
`

// parsed is the schema that this release knows.
var parsed = sync.OnceValue(func() *ovsdb.Schema {
	s, err := ovsdb.ParseSchema([]byte(Schema))
	if err != nil {
		return &ovsdb.Schema{Name: Name} // a test reads it
	}
	return s
})

// ParsedSchema is Schema, for an engine.
func ParsedSchema() (*ovsdb.Schema, error) { return ovsdb.ParseSchema([]byte(Schema)) }

// row makes a row of names and values in turn.
func row(pairs ...any) ovsdb.Row {
	r := ovsdb.Row{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case int:
			r[name] = ovsdb.Scalar(int64(v))
		case []string:
			v = slices.Compact(slices.Sorted(slices.Values(v)))
			r[name] = ovsdb.Set(v...)
		case map[string]string:
			d := ovsdb.Map(v)
			d.Sort()
			r[name] = d
		case map[string]int64:
			d := ovsdb.Datum{Values: []ovsdb.Atom{}}
			for key, n := range v {
				d.Keys, d.Values = append(d.Keys, key), append(d.Values, n)
			}
			d.Sort()
			r[name] = d
		default:
			r[name] = ovsdb.Scalar(v)
		}
	}
	return r
}

// columns is a row as the protocol has it.
func columns(table string, r ovsdb.Row) map[string]any {
	out := map[string]any{}
	t := parsed().Tables[table]
	for name, d := range r {
		if c := t.Column(name); c != nil {
			out[name] = d.JSON(c.Type)
		}
	}
	return out
}

// list is a set of texts.
func list(d ovsdb.Datum) (out []string) {
	for _, k := range d.Keys {
		if s, ok := k.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// numbers is a map of texts to integers.
func numbers(d ovsdb.Datum) map[string]int64 {
	out := map[string]int64{}
	for i, k := range d.Keys {
		s, ok := k.(string)
		if !ok || i >= len(d.Values) {
			continue
		}
		if n, ok := d.Values[i].(int64); ok {
			out[s] = n
		}
	}
	return out
}

func is(column string, value any) []any { return []any{[]any{column, "==", value}} }

// insert is guarded: it is done once, however often it is sent.
func insert(table string, r ovsdb.Row) []client.Op {
	id := r["id"].Text()
	return []client.Op{client.Wait(table, is("id", id), []string{"id"}),
		{"op": "insert", "table": table, "row": columns(table, r)}}
}

func update(table string, r ovsdb.Row, names ...string) client.Op {
	some := ovsdb.Row{}
	for _, name := range names {
		some[name] = r[name]
	}
	return client.Op{"op": "update", "table": table, "where": is("id", r["id"].Text()), "row": columns(table, some)}
}

func remove(table string, where []any) client.Op {
	return client.Op{"op": "delete", "table": table, "where": where}
}

// checkSchema says what is wrong with a server's schema: which of the tables that are needed it lacks.
func checkSchema(s *ovsdb.Schema, needed ...string) error {
	for _, name := range needed {
		t := parsed().Tables[name]
		theirs := s.Tables[name]
		if theirs == nil {
			return fmt.Errorf("its database %s has no table %s: it is of another release (ri fleet schema prints this one's)",
				s.Name, name)
		}
		for _, c := range t.Columns {
			if theirs.Column(c.Name) == nil {
				return fmt.Errorf("its table %s has no column %s: it is of another release (ri fleet schema prints this one's)",
					name, c.Name)
			}
		}
	}
	return nil
}
