package host

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"ri/instruments/lang"
)

// Nothing of one run may be in the next, since the first is a rehearsal.
func TestEachRunIsTheFirst(t *testing.T) {
	folder := fstest.MapFS{"counter.lua": {Data: []byte(
		`local n = 0; loads = (loads or 0) + 1; return {next = function() n = n + 1; return n, loads end}`)}}
	for _, test := range []struct{ name, source, want string }{
		{"global", `n = (n or 0) + 1; print(n, _G.n)`, "1\t1"},
		{"by _G", `_G.n = (_G.n or 0) + 1; print(n)`, "1"},
		{"library", `string.twice = string.twice and 'left' or function(s) return s .. s end; print(('a'):twice())`, "aa"},
		{"ri", `ri.mine = (ri.mine or 0) + 1; ri.bit.mine = (ri.bit.mine or 0) + 1; print(ri.mine, ri.bit.mine)`, "1\t1"},
		{"base", `local old = print; print = function() old('wrapped') end; old('once')`, "once"},
		{"module", `print(require'counter'.next())`, "1\t1"},
		{"loadstring", `loadstring'm = (m or 0) + 1'(); print(m)`, "1"},
		{"metatable of globals",
			`print(getmetatable(_G)); setmetatable(_G, {__index = function() return 7 end}); print(nothing)`, "nil\n7"},
		{"coroutine", `coroutine.wrap(function() c = (c or 0) + 1 end)(); print(c)`, "1"},
	} {
		out := &sink{}
		h := New(Options{Sink: out, Folders: []fs.FS{folder}})
		script, err := CompileScript("test.lua", test.source, folder)
		if err != nil {
			t.Fatal(err)
		}
		for run := range 3 {
			out.printed = nil
			if err := h.Run(context.Background(), script, nil); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if got := strings.Join(out.printed, "\n"); got != test.want {
				t.Errorf("%s: run %d prints %q, want %q", test.name, run+1, got, test.want)
			}
		}
		h.Close()
	}

	// An instrument's file is run anew too.
	out := &sink{}
	h := New(Options{Sink: out})
	defer h.Close()
	script, err := CompileScript("test.lua", `local n = 0; return {title = "t", run = function() n = n + 1; print(n) end}`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Run(context.Background(), script, nil); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(out.printed, " ") != "1 1" {
		t.Errorf("an instrument's locals: %v", out.printed)
	}
}

func TestMemo(t *testing.T) {
	out := &sink{}
	h := New(Options{Sink: out})
	defer h.Close()
	run := func(source string) error {
		script, err := CompileScript("test.lua", source)
		if err != nil {
			t.Fatal(err)
		}
		return h.Run(context.Background(), script, nil)
	}
	for range 2 {
		if err := run(`print(ri.memo'n'); ri.memo('n', (ri.memo'n' or 0) + 1); ri.memo('big', ri.int'9007199254740993');
			print(ri.memo'big')`); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(out.printed, " "); got != "nil 9007199254740993 1 9007199254740993" {
		t.Error(got)
	}
	if err := run(`ri.memo('t', {})`); err == nil ||
		!strings.Contains(err.Error(), "test.lua:1: ri.memo keeps numbers, strings and booleans, not a table") {
		t.Error(err)
	}
}

func TestTracebackIsLua(t *testing.T) {
	traceback := func(source string) string {
		_, err := runLua(t, source, Options{})
		var s *lang.ScriptError
		if !errors.As(err, &s) {
			t.Fatalf("%s: %v", source, err)
		}
		return s.Traceback
	}
	if got := traceback(`error"x"`); got != "" {
		t.Errorf("of one line: %q", got)
	}
	got := traceback("local function f() return ri.hex({}) .. '' end\nlocal function g() return pcall(f) and 1, f() .. " +
		"'' end\nlocal x = g() .. ''")
	if strings.Contains(got, "[G]") || strings.Contains(got, "[pcall]") || strings.Count(got, "test.lua:") != 3 {
		t.Errorf("%q", got)
	}
}
