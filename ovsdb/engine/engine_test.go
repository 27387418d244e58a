package engine

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ri/ovsdb"
)

const schema = `{"name": "shop", "version": "1.0.0", "tables": {"Item": {"isRoot": true,
	"indexes": [["name"]], "columns": {"name": {"type": "string"}, "left": {"type": "integer"},
	"asked": {"type": "integer", "ephemeral": true},
	"tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}}}}`

func parse(t testing.TB, text string) *ovsdb.Schema {
	t.Helper()
	s, err := ovsdb.ParseSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openFile(t testing.TB, path, text string) *DB {
	t.Helper()
	f, err := ovsdb.Open(path, parse(t, text), 0)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// transact makes a transaction and gives the answer as text.
func transact(t testing.TB, db *DB, params string) string {
	t.Helper()
	var j any
	if err := ovsdb.Decode([]byte(params), &j); err != nil {
		t.Fatal(err)
	}
	a := db.Transact(&Request{Params: j})
	if a.Waits {
		t.Fatalf("%s waits", params)
	}
	return ovsdb.Text(a.Results)
}

const names = `["shop", {"op": "select", "table": "Item", "where": [], "columns": ["name", "left", "asked"],
	"sort": ["name"]}]`

// TestFile: what was committed is there when the file is opened again, but for ephemeral columns; a file that was cut
// anywhere in its last record has all before it.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	db := openFile(t, path, schema)
	transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "pen", "left": 3, "asked": 9}}]`)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	transact(t, db, `["shop", {"op": "update", "table": "Item", "where": [], "row": {"left": 2}},
		{"op": "commit", "durable": true}]`)
	db.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		size int
		want string
	}{
		{len(whole), `[{"rows":[{"asked":0,"left":2,"name":"pen"}]}]`},
		{len(whole) - 1, `[{"rows":[{"asked":0,"left":3,"name":"pen"}]}]`},
		{int(before.Size()) + 1, `[{"rows":[{"asked":0,"left":3,"name":"pen"}]}]`},
		{int(before.Size()), `[{"rows":[{"asked":0,"left":3,"name":"pen"}]}]`},
	} {
		cut := filepath.Join(t.TempDir(), "cut.db")
		if err := os.WriteFile(cut, whole[:one.size], 0o600); err != nil {
			t.Fatal(err)
		}
		db := openFile(t, cut, schema)
		if got := transact(t, db, names); got != one.want {
			t.Errorf("cut at %d of %d: %s, want %s", one.size, len(whole), got, one.want)
		}
		db.Close()
	}
}

// TestFullDisk: a transaction that can't be written is refused, and is nowhere.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	f, err := ovsdb.Open(path, parse(t, schema), 0)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close() // writing fails from now on
	got := transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "pen"}}]`)
	if !strings.Contains(got, `"error":"I/O error"`) {
		t.Errorf("the answer is %s", got)
	}
	if got = transact(t, db, names); got != `[{"rows":[]}]` {
		t.Errorf("there is %s", got)
	}
}

func TestConvert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	db := openFile(t, path, schema)
	transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "pen", "left": 3, "tags": "blue"}}]`)
	convert := func(text string) error {
		var j any
		if err := ovsdb.Decode([]byte(text), &j); err != nil {
			t.Fatal(err)
		}
		return db.Convert(j)
	}
	var e *ovsdb.Error
	narrow := strings.Replace(schema, `"left": {"type": "integer"}`,
		`"left": {"type": {"key": {"type": "integer", "maxInteger": 2}}}`, 1)
	if err := convert(narrow); !errors.As(err, &e) || e.Tag != ovsdb.ConstraintTag {
		t.Errorf("a schema that forbids what is there: %v", err)
	}
	if err := convert(strings.Replace(schema, `"shop"`, `"other"`, 1)); err == nil {
		t.Error("a schema of another name was taken")
	}
	wide := strings.Replace(schema, `"left": {"type": "integer"},`, `"price": {"type": "real"},`, 1)
	if err := convert(wide); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = openFile(t, path, wide)
	defer db.Close()
	if got := transact(t, db, `["shop", {"op": "select", "table": "Item", "where": [], "columns": ["name", "price",
		"tags"]}]`); got != `[{"rows":[{"name":"pen","price":0,"tags":"blue"}]}]` {
		t.Errorf("after conversion: %s", got)
	}
}

// TestTogether: transactions of many at once are one after the other, and a monitor that is slow hears the sum.
func TestTogether(t *testing.T) {
	db := New(parse(t, schema))
	transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "pen"}}]`)
	m, first, err := db.Monitor(map[string]any{"Item": map[string]any{"columns": []any{"left"}}}, Plain, func() {})
	if err != nil || !strings.Contains(string(first), `{"new":{"left":0}}`) {
		t.Fatalf("%s, %v", first, err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				transact(t, db, `["shop", {"op": "mutate", "table": "Item", "where": [["name", "==", "pen"]],
					"mutations": [["left", "+=", 1]]}]`)
			}
		})
	}
	all.Wait()
	update := string(m.Take())
	if !strings.Contains(update, `{"old":{"left":0},"new":{"left":400}}`) || !json.Valid([]byte(update)) {
		t.Errorf("the monitor says %s", update)
	}
	if more := m.Take(); more != nil {
		t.Errorf("and then %s", more)
	}
	m.Cancel()
	transact(t, db, `["shop", {"op": "delete", "table": "Item", "where": []}]`)
	if more := m.Take(); more != nil {
		t.Errorf("and after its end %s", more)
	}
}

// FuzzTransact: no request makes the engine panic, and the database is as consistent as before.
func FuzzTransact(f *testing.F) {
	f.Add(`["shop",{"op":"insert","table":"Item","row":{"name":"a","tags":["set",["x"]]},"uuid-name":"n"}]`)
	f.Add(`["shop",{"op":"mutate","table":"Item","where":[["left","<",1]],"mutations":[["tags","delete",["set",["x"]]]]}]`)
	f.Add(`["shop",{"op":"wait","table":"Item","where":[],"columns":[],"until":"==","rows":[{"_uuid":["uuid","x"]}]}]`)
	f.Add(`["shop",{"op":"select","table":"Item","where":[["_uuid","includes",["set",[]]]],"columns":["_version"]}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var j any
		if ovsdb.Decode([]byte(text), &j) != nil {
			return
		}
		db := New(parse(t, schema))
		transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "pen", "tags": ["set", ["a", "b"]]}}]`)
		m, _, err := db.Monitor(map[string]any{"Item": map[string]any{}}, Conditional, func() {})
		if err != nil {
			t.Fatal(err)
		}
		a := db.Transact(&Request{Params: j})
		if _, err := json.Marshal(a.Results); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if update := m.Take(); update != nil && !json.Valid(update) {
			t.Errorf("%s: the monitor says %s", text, update)
		}
		transact(t, db, names)
	})
}
