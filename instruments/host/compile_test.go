package host

import (
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"ri/instruments/lang"
)

// The machine's compiler gets some loops wrong when they are compiled as they stand.
func TestLoops(t *testing.T) {
	const prelude = `
local function upto(n) return function(_, c) c = c + 1; if c <= n then return c end end, nil, 0 end
local m = {upto = upto, n = 3, inner = {upto = upto}}
function m:method(n) return upto(n or self.n) end
local function r(...) return {upto = upto, n = 3, inner = {upto = upto, method = m.method, n = 3}, method = m.method,
	[1] = upto, get = function() return m end} end
local function maker() return upto end
local key = "upto"
local out = {}
`
	for _, head := range []string{
		"upto(3)", "m.upto(3)", "m.inner.upto(3)", "r().upto(3)", "r().inner.upto(3)", "r(1, 2).upto(3)", "r{}.upto(r().n)",
		"r''.inner.upto(3)",
		"r():method()", "r():method(3)", "r().inner:method(3)", "r().get().upto(3)", "r():get().upto(3)",
		"r().get():method(r().n)",
		"maker()(3)", "(maker())(r().n)", "r()[1](3)", "r()[key](3)", "r()['up' .. 'to'](3)", "m[key](3)",
		"(r() or m).upto(3)", "(nil or r()).upto(3)",
		"(r() and r()).inner.upto(r().n)", "upto(r().n)", "m.upto(r().get().n)", "m:method(r().n)", "m:method((r().n))",
		"upto(#'abc')", "({upto = upto}).upto(3)", "(function() return upto(3) end)()", "r().upto(1 + 2)",
		"r().upto(r().n), nil, 0, print",
		"(r().upto(3)), nil, 0", "r().upto(3), (nil), 0", "pcall(r) and r().upto(3), nil, 0",
		"(('upto'):gsub('x', 'y')) and r().upto(3), nil, 0",
		"require'loops'.upto(3)", "require('loops').inner.upto(require 'loops'.n)",
	} {
		for _, body := range []string{
			"for x in %s do out[#out + 1] = x end",
			"for x in %s do local y = x; out[#out + 1] = y; if y == 3 then break end end",
			"local a, b, c = 1, 2, 3; for x, z in %s do out[#out + 1] = x end; assert(a + b + c == 6)",
			"local function f(p, q) for x in %s do out[#out + 1] = x end; return p + q end; assert(f(1, 2) == 3)",
			"for i = 1, 1 do for x in %s do out[#out + 1] = (function() return x end)() end end",
			"for x in %s do for y in r().upto(0) do end; out[#out + 1] = x; goto next; ::next:: end",
		} {
			loop := strings.ReplaceAll(body, "%s", head)
			got, err := runLua(t, prelude+loop+"\nprint(table.concat(out, ' '))", Options{Folders: []fs.FS{loopFolder}})
			if err != nil || got != "1 2 3" {
				t.Errorf("%s\n got %q, %v", loop, got, err)
			}
		}
	}
}

// Calls of calls elsewhere.
func TestCalls(t *testing.T) {
	const prelude = `
local function r(...) return {f = function(a) return a or 3 end, g = {f = function(a) return a or 3 end}, n = 3,
	m = function(self, a) return a or self.n end} end
local function c(x) return function(y) return x + y end end
`
	for _, expr := range []string{
		"r().f()", "r().g.f()", "r().g.f(3)", "r():m()", "r():m(r().n)", "c(1)(2)", "c(r().f(1))(r().g.f(2))",
		"r(r().f()).g.f(r().n)", "(r()).f()", "r()['f']()",
	} {
		for _, form := range []string{
			"print(%s)", "local x = %s; print(x)", "local a, x = 1, %s; print(x)", "x = %s; print(x)",
			"local t = {%s}; print(t[1])", "local t = {a = %s}; print(t.a)",
			"local t = {}; t.x = %s; print(t.x)", "local t = {}; t[%s] = 1; print((next(t)))", "if %s == 3 then print(3) end",
			"for i = %s, %s do print(i) end",
			"local function f(a) a = %s; return a end; print(f(1))",
			"local function f(a, b) b = %s; a = %s; return a + b - 3 end; print(f(1, 2))",
			"local function f(...) return %s end; print(f(1))", "repeat local x = %s; print(x) until x == %s",
			"while %s ~= 3 do end print(%s)", "local x; x = %s; print(x)",
			"print(%s + 0)", "print((%s) .. '')", "print(%s and %s)", "print(not %s or %s)",
			"local a, b = %s, %s; print(a + b - 3)", "return print(%s)",
		} {
			source := strings.ReplaceAll(form, "%s", expr)
			got, err := runLua(t, prelude+source, Options{})
			if err != nil || got != "3" {
				t.Errorf("%s\n got %q, %v", source, got, err)
			}
		}
	}
}

// All that is assigned is evaluated before any of it is assigned.
func TestAssignments(t *testing.T) {
	const prelude = `
local a, b, t = 1, 2, {n = 3, 10, 20}
local function same(...) return ... end
local function reads() return a end
`
	for assignment, want := range map[string]string{
		"a, b = b, a":                           "2 1 3 10 20",
		"a, b = 5, a":                           "5 1 3 10 20",
		"a, b = a + 1, a + 1":                   "2 2 3 10 20",
		"a, b = nil, same(a)":                   "nil 1 3 10 20",
		"a, b = 5, reads()":                     "5 1 3 10 20",
		"a, b = 5, (function() return a end)()": "5 1 3 10 20",
		"a, b = 5, {a}; b = b[1]":               "5 1 3 10 20",
		"a, b = 'x', a .. 'y'":                  "x 1y 3 10 20",
		"a, b = nil, not a":                     "nil false 3 10 20",
		"a, b = same(a, 7)":                     "1 7 3 10 20",
		"a, b = b":                              "2 nil 3 10 20",
		"a, b = b, same(a), print":              "2 1 3 10 20",
		"a, b = 4, same(a, 9)":                  "4 1 3 10 20",
		"a, t[a] = 2, 11":                       "2 2 3 11 20",
		"t[a], a = 11, 2":                       "2 2 3 11 20",
		"t[1], t[2] = t[2], t[1]":               "1 2 3 20 10",
		"t[1], t[1] = 11, 12":                   "1 2 3 11 20",
		"local u = t; u, u.n = nil, 4":          "1 2 4 10 20",
		"local u = t; u.n, u = 4, nil":          "1 2 4 10 20",
		"local u = t; u, t, u.n = t, u, a":      "1 2 1 10 20",
		"a, t.n, b = t.n, b, a":                 "3 1 2 10 20",
	} {
		source := prelude + assignment + "\nprint(table.concat({tostring(a), tostring(b), t.n, t[1], t[2]}, ' '))"
		for _, form := range []string{source, "local function f() " + source + " end f()",
			strings.Replace(source, "local a, b, t =", "a, b, t =", 1)} {
			if got, err := runLua(t, form, Options{}); err != nil || got != want {
				t.Errorf("%s\n got %q, %v\n want %s", form, got, err, want)
			}
		}
	}
}

func TestGoto(t *testing.T) {
	for source, want := range map[string]string{
		"local x\nfor i = 1, 2 do\n  goto nowhere\nend\nlocal y": "test.lua:3: no visible label 'nowhere' for <goto>",
		"\nbreak": "test.lua:2: no loop to break",
	} {
		if _, err := CompileScript("test.lua", source); err == nil || err.Error() != want {
			t.Errorf("%q\n got  %v\n want %s", source, err, want)
		}
	}
}

var loopFolder = fstest.MapFS{"loops.lua": {Data: []byte(`
local function upto(n) return function(_, c) c = c + 1; if c <= n then return c end end, nil, 0 end
return {upto = upto, inner = {upto = upto}, n = 3}`)}}

// What would have the parser keep much is refused before it is parsed, and nothing else is.
func TestDeepSources(t *testing.T) {
	fill := func(begin, part, end string) string {
		return begin + strings.Repeat(part, (lang.MaxSource-len(begin)-len(end))/len(part)) + end
	}
	for name, source := range map[string]string{
		"braces": fill("return ", "{{", ""), "a table": fill("x = ", "{a = ", ""), "parentheses": fill("return ", "(", ""),
		"indexes": fill("return a", "[a", ""), "calls": fill("return ", "f(", ""), "not": fill("return ", "not ", "1"),
		"minus": fill("return ", "- ", "1"), "length": fill("return ", "#", "a"), "power": fill("return ", "1^", "1"),
		"concat": fill("return ", "a..", "a"), "do": fill("", "do ", ""), "if": fill("", "if a then ", ""),
		"while": fill("", "while a do ", ""), "for": fill("", "for i=1,2 do ", ""), "repeat": fill("", "repeat ", ""),
		"functions": fill("", "function f() ", ""), "else": fill("", "if a then else ", ""),
		"mixed": fill("return ", "{f(-a[not ", ""),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := lang.CompileLua(name, source)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "deep") && !strings.Contains(err.Error(), "syntax error") {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: %d MiB were allocated", name, took>>20)
		}
	}
	for name, source := range map[string]string{
		"a list":      "return {" + strings.Repeat("-1, 'a' .. b, ", 5000) + "}",
		"statements":  strings.Repeat("x = -a ^ b f(-1, #t) ", 2000),
		"differences": "return " + strings.Repeat("a - ", 150) + "a",
		"blocks":      strings.Repeat("if not a then f() elseif not b then g() else h() end ", 1000),
		"150 deep":    "return " + strings.Repeat("{", 150) + strings.Repeat("}", 150),
	} {
		if _, _, err := lang.CompileLua(name, source); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
