package recipes

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ri/instruments/lang"
)

// What editors get is Lua, names every function, and knows no type that it doesn't declare.
func TestAnnotations(t *testing.T) {
	text := lang.Annotations()
	if _, _, err := lang.CompileLua("ri.lua", text); err != nil {
		t.Fatal(err)
	}
	for _, f := range lang.API() {
		if f.Signature != "" && !strings.Contains(text, "\nfunction "+f.Name+"(") {
			t.Errorf("%s is missing", f.Name)
		}
	}
	for _, want := range []string{
		"---@param name string\n---@return value\nfunction ri.var(name) end",
		"---@param max? integer\n---@return string\n---@return integer\nfunction ri.text(v, max) end",
		"---@return {value: any, where: string, goroutine: integer, stack: boolean}[]\nfunction ri.find(type, options) end",
		"---@overload fun(expr: string): place\n",
		"---@class heap\nlocal h = {}\n", "---@param f fun(tx: transaction)\nfunction ri.change(why, f) end",
		"---@return fun(): goroutine\nfunction ri.goroutines(options) end", "\nfunction g:stack(max) end",
		"\nfunction g:labels() end",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not in it:\n%s", want)
		}
	}
}

// What ri brings has no mistakes that ri lint finds, also where a file is named by itself.
func TestBuiltInScriptsLint(t *testing.T) {
	c := &Catalogue{library: os.DirFS("../../scripts/lua")}
	files, err := filepath.Glob("../../scripts/lua/*/*.lua")
	if err != nil || len(files) < 80 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		for _, p := range c.lintScript(file) {
			t.Errorf("%s:%d: %s", file, p.line, p.text)
		}
	}
}

func TestLint(t *testing.T) {
	c := &Catalogue{library: os.DirFS("../../scripts/lua")}
	for _, test := range []struct{ name, source, want string }{
		{"good", "local n = 0\nfor k in ri.pairs(ri.var 'main.x') do n = n + 1 end\nprint(n)", ""},
		{"syntax", "x = = 1", "1: "},
		{"global", "print(conut)", "1: no variable conut"},
		{"function", "\nri.emti{}", "2: no function ri.emti; did you mean ri.emit?"},
		{"module", "local l = require 'lits'", "1: require: no module"},
		{"header", "return { titel = 'x', run = function() end }", "1: "},
		{"parameter", "return { title = 'x', params = {{ name = 'limit', type = 'int' }},\nrun = " +
			"function(p)\nprint(p.limt) end }", "3: the header declares no parameter limt; did you mean limit?"},
		{"column", "return { title = 'x', columns = {{ name = 'count' }},\nrun = function()\nri.emit { cuont = 1 } end }",
			"3: the header declares no column cuont; did you mean count?"},
		{"key", "return { title = 'x', columns = {{ name = 'id', key = true }, { name = 'count' }},\nrun = " +
			"function()\nri.emit { id = 1 }\nri.emit { count = 1 } end }", "4: a row without its key: no id"},
	} {
		file := filepath.Join(t.TempDir(), test.name+".lua")
		if err := os.WriteFile(file, []byte(test.source), 0o644); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range c.lintScript(file) {
			got = append(got, strings.TrimSpace(strings.Join([]string{strconv.Itoa(p.line), p.text}, ": ")))
		}
		if text := strings.Join(got, "\n"); test.want == "" && text != "" || !strings.HasPrefix(text, test.want) {
			t.Errorf("%s: %q, want %q", test.name, text, test.want)
		}
	}
}
