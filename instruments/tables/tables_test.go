package tables

import (
	"math"
	"strings"
	"testing"
	"time"

	"ri/instruments/host"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/ovsdb"
)

func table(t *testing.T, columns string) *Table {
	t.Helper()
	script, err := host.CompileScript("a-table.lua", `return { title = "t", columns = { `+columns+
		` }, run = function() end }`)
	if err != nil {
		t.Fatal(err)
	}
	one := &Table{Name: "a_table", Plan: &looks.Plan{Script: script}}
	one.describe(script.Header.Columns)
	return one
}

func schema(t *testing.T, tables ...*Table) *ovsdb.Schema {
	t.Helper()
	s, err := ovsdb.ParseSchema([]byte(ovsdb.Text(Schema("d", tables))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRows(t *testing.T) {
	one := table(t, `{ name = "id", type = "int", key = true }, { name = "f", type = "float" },
		{ name = "b", type = "bool" }, 
		{ name = "d", type = "duration" }, { name = "at", type = "time" }, { name = "a", type = "address" }, { name = "x" }`)
	s := schema(t, one)
	if got := s.Tables["a_table"].Indexes; len(got) != 1 || got[0][0] != "id" {
		t.Errorf("indexes %v", got)
	}
	list := []rows.Row{
		rows.Of("id", int64(1), "f", 1.5, "b", true, "d", time.Second, "at", time.Unix(0, 0).UTC(),
			"a", rows.Address{Addr: 16}, "x", "tab\x00"),
		rows.Of("id", int64(2), "f", math.NaN(), "x", []any{int64(1), "two"}),
		rows.Of("id", uint64(math.MaxUint64), "x", rows.Bytes("\xff")),
		rows.Of("id", int64(1), "x", "again"),
	}
	found, ids, twice := one.Rows("process", list)
	if len(found) != 3 || twice != 1 {
		t.Fatalf("%d rows, %d twice", len(found), twice)
	}
	want := []string{`{"a":"0x10","at":"1970-01-01T00:00:00Z","b":true,"d":1000000000,"f":1.5,"id":1,"x":"tab` +
		"\ufffd" + `"}`,
		`{"id":2,"x":"[1,\"two\"]"}`, `{"x":"` + "\ufffd" + `"}`}
	for i, w := range want {
		row := map[string]any{}
		for name, d := range found[ids[i]] {
			if len(d.Keys) > 0 {
				row[name] = d.JSON(s.Tables["a_table"].Column(name).Type)
			}
		}
		if got := ovsdb.Text(row); got != w {
			t.Errorf("row %d: %s, want %s", i, got, w)
		}
	}
	_, again, _ := one.Rows("process", list[1:2])
	_, other, _ := one.Rows("another process", list[1:2])
	if again[0] != ids[1] || other[0] == ids[1] {
		t.Errorf("the same row is %v, then %v, in another process %v", ids[1], again[0], other[0])
	}
	keyless := table(t, `{ name = "x" }`)
	found, _, twice = keyless.Rows("p", []rows.Row{rows.Of("x", "a"), rows.Of("x", "a")})
	if len(found) != 2 || twice != 0 {
		t.Errorf("rows without a key: %v, %d", found, twice)
	}
}

// TestTransaction does transactions on rows; without a process nothing is changed.
func TestTransaction(t *testing.T) {
	one := table(t, `{ name = "id", type = "int", key = true }, { name = "limit", type = "int", change = true },
		{ name = "name", type = "string" }`)
	s := schema(t, one)
	found, _, _ := one.Rows("p", []rows.Row{rows.Of("id", int64(1), "limit", int64(5), "name", "a"),
		rows.Of("id", int64(2), "limit", int64(6), "name", "b")})
	for _, c := range []struct {
		ops     string
		changes bool
		want    string // what the results contain
	}{
		{`{"op":"select","table":"a_table","where":[["id",">",1]],"columns":["name"]}`, false, `[{"rows":[{"name":"b"}]}]`},
		{`{"op":"select","table":"none","where":[]}`, false, `No table named none`},
		{`{"op":"comment","comment":"c"},{"op":"abort"}`, false, `[{},{"details":"aborted by request","error":"aborted"}]`},
		{`{"op":"wait","table":"a_table","where":[],"columns":["id"],"until":"==","rows":[]}`, false, `timed out`},
		{`{"op":"wait","table":"a_table","where":[],"columns":["id"],"until":"!=","rows":[],"timeout":0}`, false, `[{}]`},
		{`{"op":"assert","lock":"mine"}`, false, `[{}]`},
		{`{"op":"assert","lock":"yours"}`, false, `not owner`},
		{`{"op":"insert","table":"a_table","row":{"id":3}}`, true, `not allowed`},
		{`{"op":"delete","table":"a_table","where":[]}`, true, `not allowed`},
		{`{"op":"update","table":"a_table","where":[],"row":{"limit":7}}`, false, `the role operator`},
		{`{"op":"update","table":"a_table","where":[],"row":{"name":"x"}}`, true, `Cannot update immutable column name`},
		{`{"op":"mutate","table":"a_table","where":[],"mutations":[["id","+=",1]]}`, true, `immutable`},
		{`{"op":"update","table":"a_table","where":[["id","==",1]],"row":{"limit":["set",[]]}}`, true,
			`always has a value`},
		{`{"op":"update","table":"a_table","where":[["id","==",1]],"row":{"limit":7}}`, true,
			`column limit of this row can't be changed`},
		{`{"op":"update","table":"a_table","where":[["id","==",9]],"row":{"limit":7}}`, true, `[{"count":0}]`},
	} {
		x := &Transaction{Identity: "p", Owns: []string{"mine"}, Changes: c.changes}
		if err := ovsdb.Decode([]byte(`["d",`+c.ops+`]`), &x.Params); err != nil {
			t.Fatal(err)
		}
		if _, changed := x.Needs([]*Table{one}); len(changed) > 0 && c.changes {
			given := &host.Given{Rows: []rows.Row{rows.Of("id", int64(1), "limit", int64(5), "name", "a")}}
			if err := x.Guard(s, one)(given); err != nil {
				t.Errorf("%s: %v", c.ops, err)
			}
		} else {
			x.Do(s, map[string]map[ovsdb.UUID]ovsdb.Row{one.Name: found}, nil)
		}
		if got := ovsdb.Text(x.Results()); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.ops, got, c.want)
		}
	}
}
