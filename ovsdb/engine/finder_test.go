package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ri/ovsdb"
)

// TestFinders: monitors by condition are told of the rows that come and go by it, and of no others, however rows are
// found; and a transaction finds what a look at all rows does.
func TestFinders(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	db := New(parse(t, strings.Replace(schema, `"indexes": [["name"]], `, "", 1)))
	item := db.Table("Item")
	where := func() string {
		clauses := []string{`["name","==","n%d"]`, `["left","==",%d]`, `["tags","includes","t%d"]`,
			`["tags","==",["set",["t%d"]]]`, `["left","<",%d]`, `["tags","includes",["set",["t%d","u1"]]]`}
		var out []string
		for range 1 + random.IntN(2) {
			out = append(out, fmt.Sprintf(clauses[random.IntN(len(clauses))], random.IntN(4)))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	condition := func(text string) Condition {
		var j any
		if err := ovsdb.Decode([]byte(text), &j); err != nil {
			t.Fatal(err)
		}
		c, err := item.ParseCondition(j, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	type watcher struct {
		m     *Monitor
		where string
		has   map[string]bool
	}
	take := func(w *watcher, text json.RawMessage) {
		var update map[string]map[string]map[string]any
		if len(text) > 0 {
			if err := json.Unmarshal(text, &update); err != nil {
				t.Fatal(err)
			}
		}
		for id, row := range update["Item"] {
			for kind := range row {
				if was := w.has[id]; was != (kind == "delete" || kind == "modify") {
					t.Errorf("%s: %s of a row that it has: %v", w.where, kind, was)
				}
				if w.has[id] = true; kind == "delete" {
					delete(w.has, id)
				}
			}
		}
	}
	begin := func() *watcher {
		w := &watcher{where: where(), has: map[string]bool{}}
		var j any
		if err := ovsdb.Decode([]byte(`{"Item": [{"where": `+w.where+`}]}`), &j); err != nil {
			t.Fatal(err)
		}
		m, initial, err := db.Monitor(j, Conditional, func() {})
		if err != nil {
			t.Fatal(err)
		}
		w.m = m
		take(w, initial)
		return w
	}
	all := []*watcher{}
	for range 20 {
		all = append(all, begin())
	}
	value := func() string {
		return fmt.Sprintf(`{"name": "n%d", "left": %d, "tags": ["set", ["t%d", "u%d"]]}`, random.IntN(4), random.IntN(4),
			random.IntN(4), random.IntN(2))
	}
	for n := range 1000 {
		var ops []string
		for range 1 + random.IntN(3) {
			switch random.IntN(4) {
			case 0, 1:
				ops = append(ops, `{"op": "insert", "table": "Item", "row": `+value()+`}`)
			case 2:
				ops = append(ops, `{"op": "update", "table": "Item", "where": `+where()+`, "row": `+value()+`}`)
			case 3:
				ops = append(ops, `{"op": "delete", "table": "Item", "where": `+where()+`}`)
			}
		}
		transact(t, db, `["shop",`+strings.Join(ops, ",")+"]")
		x, c := db.begin(), condition(where())
		var want []*Row
		for _, s := range item.rows {
			if c.Match(s.row) {
				want = append(want, s.row)
			}
		}
		slices.SortFunc(want, func(a, b *Row) int { return slices.Compare(a.id[:], b.id[:]) })
		if got := x.query(item, c); !slices.Equal(got, want) {
			t.Fatalf("%d rows are found, and there are %d", len(got), len(want))
		}
		for i, w := range all {
			if random.IntN(3) == 0 { // it is told of several transactions together
				continue
			}
			take(w, w.m.Take())
			want, c := map[string]bool{}, condition(w.where)
			for id, s := range item.rows {
				if c.MatchAny(s.row) {
					want[id.String()] = true
				}
			}
			if !maps.Equal(w.has, want) {
				t.Fatalf("%s: it knows %d rows of %d", w.where, len(w.has), len(want))
			}
			if n%10 == 0 && random.IntN(10) == 0 {
				w.m.Cancel()
				all[i] = begin()
			}
		}
	}
	for _, w := range all {
		w.m.Cancel()
	}
	list := db.watchers[item]
	if len(list.all)+len(list.by)+len(list.columns) > 0 {
		t.Errorf("of monitors that have ended there are left %v", list)
	}
}

// TestManyMonitors: what a transaction costs doesn't grow with how many monitors there are that it doesn't concern.
func TestManyMonitors(t *testing.T) {
	cost := func(monitors int) time.Duration {
		db := New(parse(t, schema))
		for n := range monitors {
			requests := map[string]any{"Item": []any{map[string]any{"where": []any{[]any{"name", "==", fmt.Sprint(n)}}}}}
			if _, _, err := db.Monitor(requests, Conditional, func() { t.Error("told of another's") }); err != nil {
				t.Fatal(err)
			}
		}
		least := time.Hour
		for n := range 20 {
			begun := time.Now()
			transact(t, db, fmt.Sprintf(`["shop", {"op": "insert", "table": "Item", "row": {"name": "new-%d"}}]`, n))
			least = min(least, time.Since(begun))
		}
		return least
	}
	if few, many := cost(10), cost(20000); many > 20*few+time.Millisecond {
		t.Errorf("with 10 monitors %v, with 20000 %v", few, many)
	}
}
