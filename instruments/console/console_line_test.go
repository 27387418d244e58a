package console

import (
	"strings"
	"testing"
)

// What people type that isn't Lua becomes Lua; what is Lua stays, and so do strings.
func TestTypedLines(t *testing.T) {
	known := func(name string) bool { return name == "h" || name == "len2" }
	isType := func(name string) bool { return name == "server.Server" || name == "main.Pair[int,string]" }
	isPackage := func(path string) bool { return path == "github.com/x/y.v3" }
	isVariable := func(name string) bool { return name == "store" }
	for _, c := range []struct{ typed, want string }{
		{"main.store", "main.store"},
		{"find(server.Server).clients", `(ri.find1"server.Server").clients`},
		{"#find( *server.Server ).clients", `#(ri.find1"server.Server").clients`},
		{"find(main.Pair[int,string])", `(ri.find1"main.Pair[int,string]")`},
		{"find(server.Nothing)", "find(server.Nothing)"},
		{"print(len(h), cap(h.x))", "print(ri.len(h), ri.cap(h.x))"},
		{`s:find("x") string.len("len(")`, `s:find("x") string.len("len(")`},
		{"'find(server.Server)' .. x", "'find(server.Server)' .. x"},
		{"[[len(x)]] .. [==[ len(x) ]] ]==]", "[[len(x)]] .. [==[ len(x) ]] ]==]"},
		{"x = 1 -- len(x)", "x = 1 -- len(x)"},
		{"(*main.T)(0xc000112000).name", `ri.at("0xc000112000", "main.T").name`},
		{"h.list[0:2]", `ri.eval("h.list[0:2]", {h = h})`},
		{"&h.list[0]", `ri.eval("&h.list[0]", {h = h})`},
		{"g.h[0:1]", `ri.eval("g.h[0:1]")`},
		{`h["a"].(*main.T)`, `ri.eval("h[\"a\"].(*main.T)", {h = h})`},
		{"string(h.bytes)", `ri.eval("string(h.bytes)", {h = h})`},
		{"string.format('%d', 1)", "string.format('%d', 1)"},
		{"github.com/x/y.v3.Var.field", `ri.eval("github.com/x/y.v3.Var.field")`},
		{"local n = len(h)", "n = ri.len(h)"},
		{"store.devices[0]", `ri.eval("store.devices[0]")`},
		{"&store", `ri.eval("&store")`},
		{"for i = 1, #store do end", "for i = 1, #store do end"},
		{strings.Repeat("abcdefgh.", 20) + "x[0:1]", `ri.eval("` + strings.Repeat("abcdefgh.", 20) + `x[0:1]")`},
	} {
		got, err := compileLine(c.typed, known, isType, isPackage, isVariable)
		if got.lua != c.want {
			t.Errorf("%s\n\tgives %s (%v)\n\twant  %s", c.typed, got.lua, err, c.want)
		}
	}
	_, err := compileLine("1 +", known, isType, isPackage, isVariable)
	if err == nil || !strings.Contains(err.Error(), "end of the file") {
		t.Errorf("1 +: %v", err)
	}
}

func TestOpenString(t *testing.T) {
	for text, want := range map[string]int{
		"": -1, "x": -1, "ri.var'": 6, "ri.var'main": 6, "ri.var'main'": -1, `f("a", 'b`: 7, `m["it's`: 2, "x -- 'a": -1,
		"a = 'x' .. \"y": 11,
	} {
		if got := openString(text); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// FuzzTypedLines: whatever is typed, nothing panics, and masks are as long as the text.
func FuzzTypedLines(f *testing.F) {
	for _, s := range []string{"find(server.Server)", "x[==[", "--[[", "len('", "for k, v in ri.pairs(x) do v.",
		"(*a.B)(0x1)", "a/b.c", "string(", "local x ="} {
		f.Add(s)
	}
	no := func(string) bool { return false }
	yes := func(string) bool { return true }
	f.Fuzz(func(t *testing.T, s string) {
		if got := maskStrings(s); len(got) != len(s) {
			t.Fatalf("%q: a mask of %d bytes", s, len(got))
		}
		_, _ = compileLine(s, no, yes, yes, yes)
		_, _ = compileLine(s, yes, no, no, no)
		openString(s)
		if chain := lastChain(s); len(chain) > len(s) {
			t.Fatalf("%q: the chain %q", s, chain)
		}
		chainLength(maskStrings(s))
		Incomplete(s)
	})
}

func TestIncomplete(t *testing.T) {
	for source, want := range map[string]bool{
		"1 + 1": false, "1 +": true, "for i = 1, 2 do": true, "for i = 1, 2 do\nend": false, "x = = 1": false, "f(": true,
		"main.store.": true, "x = [[a": true,
		"": false, "return": false,
	} {
		if got := Incomplete(source); got != want {
			t.Errorf("%q: %v", source, got)
		}
	}
}
