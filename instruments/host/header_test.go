package host

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ri/instruments/rows"
)

const goodHeader = `--- Requests queued in the request handler.
local walk = require 'walk'
local function age(r) return ri.age(r.queued) end
return {
  title = "Requests queued",
  description = [[
Lists what waits.
]],
  category = "target",
  params = {
    { name = "limit", type = "int", default = 100, min = 1, max = 1000000, help = "at most" },
    { name = "older", type = "duration", default = "5s" },
    { name = "from", type = "expr", required = true },
    { name = "order", type = "enum", values = { "age", "id" }, default = "age" },
  },
  needs = { vars = { "main.store" }, types = { "main.Object" }, fields = { "main.Object.fid" }, funcs = {"main.main"} },
  columns = {
    { name = "id", help = "request number", type = "int", align = "right", width = 12, key = true },
    { name = "age", type = "duration" },
  },
  sample = [[
ID  AGE
1   5s
]],
  run = function(p)
    for i = 1, p.limit do ri.emit{ id = i, age = p.older } end
  end,
}
`

func TestHeader(t *testing.T) {
	folder := fstest.MapFS{"lib/walk.lua": {Data: []byte("return {}")}}
	for _, folders := range [][]fs.FS{nil, {folder}} {
		s, err := CompileScript("requests.lua", goodHeader, folders...)
		if err != nil {
			t.Fatal(err)
		}
		h := s.Header
		if h.Title != "Requests queued" || h.Description != "Lists what waits." || h.Category != "target" ||
			h.Sample != "ID  AGE\n1   5s" {
			t.Errorf("%+v", h)
		}
		if len(h.Params) != 4 || h.Params[0].Default != int64(100) || h.Params[0].Max != int64(1000000) ||
			h.Params[1].Default != 5*time.Second ||
			!h.Params[2].Required || h.Params[3].Default != "age" || h.Params[0].Line != 11 {
			t.Errorf("%+v", h.Params)
		}
		if len(h.Columns) != 2 || h.Columns[0] != (rows.Column{Name: "id", Help: "request number", Type: rows.ColumnInt,
			Align: "right", Width: 12, Key: rows.KeyPart, Line: 18}) {
			t.Errorf("%+v", h.Columns)
		}
		if h.Needs.Fields[0] != "main.Object.fid" || h.Needs.Vars[0] != "main.store" {
			t.Errorf("%+v", h.Needs)
		}
	}
}

func TestInstrument(t *testing.T) {
	s, err := CompileScript("requests.lua", goodHeader)
	if err != nil {
		t.Fatal(err)
	}
	out := &sink{}
	h := New(Options{Sink: out, Folders: []fs.FS{fstest.MapFS{"lib/walk.lua": {Data: []byte("return {}")}}}})
	defer h.Close()
	if err := h.Run(t.Context(), s, map[string]any{"limit": int64(2), "older": 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if len(out.rows) != 2 || len(out.rows[1]) != 2 || out.rows[1][0] != (rows.Cell{Name: "id", Value: int64(2)}) ||
		out.rows[1][1] != (rows.Cell{Name: "age", Value: 5 * time.Second}) {
		t.Error(out.rows)
	}
}

func TestHeaderErrors(t *testing.T) {
	head := "return {\n  title = 'T',\n"
	tail := "  run = function() end,\n}\n"
	for _, test := range []struct{ source, want string }{
		{head + "  titel = 'x',\n" + tail, `x.lua:3: unknown key "titel" in the instrument's header; there are title, `},
		{head + "  params = { { name = 'a', type = 'integer' } },\n" + tail,
			`x.lua:3: parameter a: unknown type "integer"; there are string, int, `},
		{head + "  params = {\n { name = 'a', type = 'int', defualt = 1 } },\n" + tail,
			`x.lua:4: unknown key "defualt" in params[1]`},
		{head + "  params = { { name = 'a', type = 'int', default = 'x' } },\n" + tail, `parameter a: default "x" is no int`},
		{head + "  params = { { name = 'a', type = 'int', default = 1.5 } },\n" + tail, `parameter a: default 1.5 is no int`},
		{head + "  params = { { name = 'a', type = 'int', default = 5, max = 4 } },\n" + tail,
			`the default is out of its own range`},
		{head + "  params = { { name = 'a', type = 'string', min = 4 } },\n" + tail, `type string has no min`},
		{head + "  params = { { name = 'a', type = 'enum' } },\n" + tail, `values belong to type enum`},
		{head + "  params = { { name = 'a', type = 'enum', values = {'x'}, default = 'y' } },\n" + tail,
			`none of its values`},
		{head + "  params = { { name = 'a', type = 'int' }, { name = 'a', type = 'int' } },\n" + tail,
			`parameter a is declared twice`},
		{head + "  params = { { name = 'a b', type = 'int' } },\n" + tail, `parameter name "a b" is no name`},
		{head + "  params = { a = { type = 'int' } },\n" + tail, `x.lua:3: params must be a list; it has the key "a"`},
		{head + "  params = 'a',\n" + tail, `x.lua:3: params must be a list, is string`},
		{head + "  columns = { 'id' },\n" + tail, `x.lua:3: columns[1] must be a table, is string`},
		{head + "  columns = { { name = 'id', width = 'x' } },\n" + tail, `column id: width must be a number`},
		{head + "  columns = { { name = 'id', align = 'centre' } },\n" + tail, `align is left or right`},
		{head + "  columns = { { name = 'id', type = 'time.Duration' } },\n" + tail, `column id: unknown type`},
		{head + "  columns = { { name = 'id', key = 'yes' } },\n" + tail, `columns[1].key is true or "alone", not "yes"`},
		{head + "  columns = { { name = 'age', type = 'duration', key = true } },\n" + tail,
			`column age: a measure is no key`},
		{head + "  needs = { var = {'x'} },\n" + tail, `unknown key "var" in needs`},
		{head + "  needs = { vars = 'x' },\n" + tail, `needs.vars must be a list`},
		{head + "  needs = { fields = {'fid'} },\n" + tail, `has no type before it`},
		{head + "  title = 5,\n" + tail, `title must be a string, is number`},
		{head + "  ri.emit{},\n" + tail, `x.lua:3: ri.emit is not available while the file loads`},
		{head + "  x.y.z,\n" + tail, `x.lua:3: `},
		{head + "}", `x.lua:1: run must be a function, is nil`},
		{"return { run = function() end }", `x.lua:1: title is missing`},
		{"while true do end\nreturn { run = function() end }", `time limit reached`},
		{"local t = {}\nlocal M = { title = 'T', run = 1 }\nreturn M", `x.lua:2: run must be a function`},
	} {
		_, err := CompileScript("x.lua", test.source)
		if testing.Short() && strings.Contains(test.want, "limit") {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\n got  %v\n want %s", test.source, err, test.want)
		}
	}
}

func TestBareScript(t *testing.T) {
	for _, source := range []string{"print 'x'", "return 1", "return {a = 1}", "", "local t = {}\nreturn t",
		"return print"} {
		s, err := CompileScript("x.lua", source)
		if err != nil || s.Header != nil {
			t.Errorf("%s: %v, %v", source, s, err)
		}
	}
}

func FuzzCompileScript(f *testing.F) {
	f.Add(goodHeader)
	f.Add("return { run = function() end, title = '', params = {{}}, columns = {{}}, needs = {} }")
	f.Add("return { title = {}, params = { {name=1,type={}} } }")
	f.Add("#!/usr/bin/ri\nreturn 1")
	f.Add("return 'a'..1 ..ri.int'1'..{}")
	f.Fuzz(func(t *testing.T, source string) {
		if strings.Contains(source, "while") || strings.Contains(source, "for") || strings.Contains(source, "goto") ||
			strings.Contains(source, "repeat") || strings.Contains(source, "function") && strings.Contains(source, "(") &&
			!strings.HasPrefix(source, "return {") {
			return // may take its whole five seconds, which isn't what is looked for
		}
		if s, err := CompileScript("fuzz.lua", source); err == nil && s == nil {
			t.Error("neither a script nor an error")
		}
	})
}
