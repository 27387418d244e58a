package host

import (
	"testing"
	"testing/fstest"
)

func TestNeedsSymbols(t *testing.T) {
	folder := fstest.MapFS{
		"plain.lua":  {Data: []byte(`local m = {} function m.hex(n) return ri.hex(n) end return m`)},
		"reads.lua":  {Data: []byte(`local m = {} function m.first() return ri.var'main.first' end return m`)},
		"inner.lua":  {Data: []byte(`return require'reads'`)},
		"mutual.lua": {Data: []byte(`local other = require'plain' return {again = function() return require'mutual' end}`)},
	}
	for _, test := range []struct {
		source string
		want   bool
	}{
		{`print(ri.buildinfo().go) ri.emit{a = ri.bit.band(1, 2)}`, false},
		{`local function f() for i = 1, 2 do if i then return {x = ri.var'main.x'} end end end`, true},
		{`for g in ri.goroutines() do print(g.id) end`, true},
		{`local all = ri print(all.buildinfo())`, true},
		{`print(ri[1])`, true},
		{`local m = require'plain' print(m.hex(1))`, false},
		{`local m = require'reads'`, true},
		{`local m = require'inner'`, true},
		{`local m = require'mutual'`, false},
		{`local m = require('re' .. 'ads')`, true},
		{`return {title = 't', params = {{name = 'e', type = 'expr'}}, run = function(p) print(p.e) end}`, true},
		{`return {title = 't', params = {{name = 'e', type = 'string'}}, run = function(p) print(p.e) end}`, false},
	} {
		script, err := CompileScript("test.lua", test.source, folder)
		if err != nil {
			t.Fatal(err)
		}
		if got := script.NeedsSymbols(); got != test.want {
			t.Errorf("%s: %v", test.source, got)
		}
	}
}
