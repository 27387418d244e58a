package host

import (
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	space := startKinds(t)
	for _, test := range []struct{ source, want string }{
		// nil
		{`local n, nils = 0, 0; for k, v in ri.pairs(ri.var'main.nilKeys') do n = n + 1;
			if k == ri.null then nils = nils + 1; print(k, v, ri.json{k}) end end; print(n, nils)`, "nil\tnone\t[null]\n2\t1"},
		{`local t = {}; for k, v in ri.pairs(ri.var'main.anyKeys') do t[#t + 1] = tostring(v) end; table.sort(t);
			print(table.concat(t, " "))`, "none one point"},
		{`local t = {}; for k, v in ri.pairs(ri.var'main.nilSync') do t[#t + 1] = k .. "=" .. v end; table.sort(t);
			print(table.concat(t, " "))`, "a=some nil=none"},
		{`print(require'walk'.count(ri.pairs(ri.var'main.nilKeys')), require'walk'.count(ri.pairs(ri.var'main.nilSync')))`,
			"2\t2"},
		{`print(ri.var'main.nilKeys'[ri.null], ri.var'main.anyKeys'[ri.null], ri.var'main.corners'[{1, 2}],
			ri.isnil(ri.null), ri.dump(ri.null))`, "none\tnone\t12\ttrue\tnil"},
		{`ri.null.x`, `ri.null is a nil key: it has no "x"`},
		{`ri.var'main.places'[ri.null]`, `ask:1: main.places: ri.null is no main.Place`},
		// structs and arrays
		{`local m = ri.var'main.places'; print(m[{Container = "a", Key = 1}], m[{"b", 2, {3, 4}}],
			m[{Container = "b", Key = 2, At = {x = 3, y = 4}}], m[{"b", 2}], m[{}])`, "a1\tb2\tb2\tnil\tnil"},
		{`local m = ri.var'main.corners'; print(m[{1, 2}], m[{}], m[{2, 1}])`, "12\t00\tnil"},
		{`print(ri.var'main.all'.points[{x = 3, y = 4}])`, "p34"},
		{`ri.var'main.places'[{Contianer = "a"}]`, `no field "Contianer" in main.Place; did you mean Container?`},
		{`ri.var'main.places'[{1}]`, `ask:1: main.places: 1 of main.Place: the number 1 is no string`},
		{`ri.var'main.corners'[{1, 2, 3}]`, `[2]int has no part 3`},
		{`ri.var'main.all'.names[{1}]`, `a table is a struct or an array, not a string`},
		{`print(ri.eval'main.places[main.Place{"a", 1, main.Point{}}]',
			ri.eval'main.places[main.Place{Container: "b", Key: 2, At: main.Point{3, 4}}]')`, "a1\tb2"},
		{`print(ri.eval'main.corners[[2]int{1, 2}]', ri.eval'main.corners[[2]int{1: 0}]',
			ri.eval'main.anyPlace[main.Place{"a", 1, main.Point{}}]', ri.eval'main.nilKeys[nil]')`, "12\t00\t1\tnone"},
		{`ri.eval'main.places[main.Place{"a"}]'`, `main.Place has 3 fields, 1 are given`},
		{`ri.eval'main.places[main.Place{Kye: 1}]'`, `no field "Kye" in main.Place`},
		{`ri.eval'main.Place{"a", 1, main.Point{}}'`, `main.Place{"a", 1, main.Point{}} is no value of the program`},
		// what Lua has no name for
		{`ri.emmit{}`, "ask:1: no function ri.emmit; did you mean ri.emit?"},
		{`os.exit(1)`, "ask:1: no function os.exit"},
		{`("x"):uper()`, "ask:1: no function string.uper; did you mean string.upper?"},
		{`table.cat{}`, "ask:1: no function table.cat; did you mean table.concat"},
		{`for k in pairs(main.places) do end`,
			"ask:1: pairs goes through Lua's tables; through a map[main.Place]string: ri.pairs(v)"},
		{`ipairs(main.all.slice)`, "through a []string: ri.pairs(v)"},
		{`#main.nilSync`, "main.nilSync: a sync.Map has no length; require'walk'.count(ri.pairs(v)) counts"},
		{`mian.all`, "ask:1: no variable or package mian; did you mean main?"},
		{`prnt(1)`, "ask:1: no function prnt; did you mean print?"},
	} {
		if got := ask(t, space, test.source); got != test.want &&
			(strings.HasPrefix(test.want, "true") || len(test.want) < 4 || !strings.Contains(got, test.want)) {
			t.Errorf("%s\n got  %s\n want %s", test.source, got, test.want)
		}
	}
}

// In a file packages are no globals.
func TestPackageInFile(t *testing.T) {
	space := startKinds(t)
	for source, want := range map[string]string{
		"return main.cells": "test.lua:1: attempt to index a non-table object(nil) with key " +
			"'cells' (main is a package of the program: in a file use ri.var'main.cells')",
		"return mian.cells":                           "test.lua:1: no variable or package mian; did you mean main?",
		"n = (n or 0) + 1\nlocal t = nil; return t.x": "test.lua:2: attempt to index a non-table object(nil) with key 'x'",
	} {
		if _, err := runLua(t, source, Options{Space: space}); err == nil || err.Error() != want {
			t.Errorf("%s\n got  %v\n want %s", source, err, want)
		}
	}
}

func TestFindInExpression(t *testing.T) {
	space := startKinds(t)
	for _, test := range []struct{ source, want string }{
		{`print(ri.eval'find(main.hidden).secret', ri.eval'find(*main.hidden).secret', ri.eval'find(main.Everything).text')`,
			"found in a frame\tfound in a frame\thello"},
		{`ri.eval'find(main.hiden)'`, "hidden"},
		{`ri.eval'find(main.Node).value'`, "find(main.Node): there are "},
		{`ri.eval'find(main.Node).value'`, "(main.first)"},
		{`ri.eval'find(main.intHea)'`, "main.intHea"},
	} {
		if got := ask(t, space, test.source); got != test.want && !strings.Contains(got, test.want) {
			t.Errorf("%s\n got  %s\n want %s", test.source, got, test.want)
		}
	}
}
