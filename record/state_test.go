package record

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/record/format"
	"ri/record/redact"
	"ri/symbols/testprogram"
)

// plantedName gives what the program plants under a name.
func planted(name string) string {
	return fmt.Sprintf("planted-%s-%d", name, len(name)*7919+4000000007)
}

// shapes are names of what the program plants; see testdata/secrets.
var shapes = []string{"name0", "name1", "name2", "password0", "password1", "password2", "street", "line0",
	"line1", "bytes", "tag0", "tag1", "key", "value", "any", "panic", "named", "arraykey", "syncmapkey",
	"syncmapvalue", "queued", "slack", "logged", "log", "bearer", "headername", "headervalue", "captured",
	"unique", "builder", "json", "stale", "stalebytes", "label", "labelvalue", "parked", "sending", "uri",
	"running", "cells", "grid", "chanbytes", "chanrunes", "netip", "addrport", "swapped", "cutoff", "rest",
	"overlay", "gone", "deleted", "long", "zone", "contextkey", "contextvalue", "pooled", "buffered", "pattern",
	"alternative", "old", "new", "user", "pw", "path", "query", "raw", "pointer", "atomicvalue", "listed",
	"integer", "hashed", "attrkey", "attrvalue", "data", "wide", "laterunes", "timer", "boxed", "nested",
	"matrix", "stackrest"}

// secrets are what must not be in a file, and in which form it would be.
func hidden() map[string][]byte {
	out := map[string][]byte{}
	add := func(name string, text []byte) {
		out[name] = text
		out[name+" in hex"] = []byte(hex.EncodeToString(text))
		for shift := range 3 { // as part of a longer text
			b := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), text...))
			if b = b[4 : len(b)-4]; len(b) >= 8 { // less is found by chance
				out[fmt.Sprint(name, " in base64, ", shift)] = []byte(b)
			}
		}
		var wide []byte
		for _, u := range utf16.Encode([]rune(string(text))) {
			wide = append(wide, byte(u), byte(u>>8))
		}
		out[name+" in UTF-16"] = wide
	}
	for _, name := range shapes {
		add(name, []byte(planted(name)))
		add(name+", in capitals", []byte(strings.ToUpper(planted(name))))
	}
	add("the environment", []byte("planted-in-the-environment"))
	add("an argument", []byte("planted-in-an-argument"))
	add("a key that is an array", []byte("plantid!"))
	add("words", []byte(planted("words"))[:24])
	var runes, ints []byte
	for _, b := range []byte(planted("runes"))[:8] {
		runes = append(runes, b, 0, 0, 0)
	}
	for _, b := range []byte(planted("ints"))[:6] {
		ints = append(ints, b, 0, 0, 0, 0, 0, 0, 0)
	}
	out["runes"], out["ints"] = runes, ints
	for _, name := range shapes { // six letters, a number each
		for _, size := range []int{2, 4, 8} {
			var wide []byte
			for _, b := range []byte(planted(name))[8:14] {
				wide = append(append(wide, b), make([]byte, size-1)...)
			}
			out[fmt.Sprintf("%s in numbers of %d bytes", name, size)] = wide
		}
	}
	out["a constant of a secret's name"] = []byte("planted-constant-4000000000")
	return out
}

// pieces are all eight bytes that stand side by side in what was planted, but for what all of it begins with; and the
// same reversed, as a number of the other endianness has them.
func pieces() map[uint64]string {
	out := map[uint64]string{}
	for _, name := range shapes {
		text := []byte(planted(name))
		for i := 4; i+8 <= len(text); i++ {
			piece := text[i : i+8]
			out[binary.LittleEndian.Uint64(piece)] = fmt.Sprintf("%q of %s", piece, name)
			out[binary.BigEndian.Uint64(piece)] = fmt.Sprintf("%q of %s, reversed", piece, name)
		}
	}
	return out
}

// everything reads all that can be reached, in every way that a script can.
const everything = `
for _, v in ipairs { 'customers', 'byName', 'byID', 'concurrent', 'queue', 'logged', 'header', 'handler', 'interned',
    'builder', 'parsed', 'fromEnv', 'args', 'lock', 'stale', 'number', 'blocked', 'more' } do
  pcall(function() print(ri.text(ri.ref('main.' .. v), 100000)) end)
  pcall(function() ri.emit { v = ri.eval('main.' .. v) } end)
end
for i = 0, 2 do
  local c = ri.var 'main.customers'[i]
  for _, f in ipairs { 'Name', 'Address', 'Notes', 'Tags', 'Extra', 'Any', 'Err', 'Runes', 'Words', 'Numbers', 'pin',
      'Password', 'Full' } do
    pcall(function() print(f, c[f]) end)
    pcall(function() for k, v in ri.pairs(c[f]) do print(k, v) end end)
  end
end
for _, v in ipairs { 'queue', 'byID', 'byName', 'header', 'parsed' } do
  pcall(function() for k, v in ri.pairs(ri.var('main.' .. v)) do print(k, v) end end)
end
pcall(function() for k, v in ri.pairs(ri.var 'main.concurrent') do print(k, v) end end)
local more = ri.var 'main.more'
for _, f in ipairs { 'cells', 'grid', 'bytes', 'runes', 'letters', 'peer', 'bound', 'swapped', 'rest',
    'under', 'over', 'emptied', 'zone', 'context', 'pool', 'writer', 'pattern', 'replacer', 'url', 'raw',
    'atomic', 'value', 'list', 'integer', 'hash', 'attrs', 'data', 'wide', 'late', 'password', 'timer',
    'array', 'nested', 'matrix' } do
  pcall(function() print(f, more[f]) end)
  pcall(function() print(ri.text(more[f], 100000)) end)
  pcall(function() for k, v in ri.pairs(more[f]) do print(k, v) end end)
end
pcall(function() print(#more.slice) end)
for i = 0, 31 do
  pcall(function() print(more.cells[i].letter, more.grid[i].letter) end)
  pcall(function() print(more.wide[i], more.matrix[i][0]) end)
end
for _, f in ipairs { 'A', 'B', 'C' } do pcall(function() print(more.under[f]) end) end
for _, g in ipairs(ri.stacks()) do print(#g.ids) end
`

func recordAll(t *testing.T, pid int, opt Options) (path string, raw []byte, h *Header) {
	t.Helper()
	catalogue, _, err := recipes.OpenCatalogue(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	s, err := looks.OpenSession(looks.TargetChoice{PID: fmt.Sprint(pid)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	look := looks.Options{MaxStop: time.Minute, MaxTime: time.Hour}
	opt.Look, opt.Key = look, redact.NewKey()
	r := New(s, opt)
	plans := s.Fitting(catalogue, look, nil)
	p, err := looks.PrepareLua(catalogue, "", everything, nil, look)
	if err != nil {
		t.Fatal(err)
	}
	plans = append(plans, p)
	file, err := os.Create(filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h, results, _, err := r.State(context.Background(), plans, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res := results[len(results)-1]; res.Err != nil || len(res.Printed) < 50 {
		t.Fatalf("what reads everything read %d lines: %v", len(res.Printed), res.Err)
	}
	var seen strings.Builder
	for _, res := range results {
		for _, line := range res.Printed {
			seen.WriteString(line.Text)
		}
		for _, row := range res.Rows {
			fmt.Fprint(&seen, row)
		}
	}
	for _, name := range []string{"name0", "password1", "street", "tag1", "key", "value", "any", "queued", "bearer"} {
		if !strings.Contains(seen.String(), planted(name)) {
			t.Errorf("the instruments never saw %s: the test proves nothing of it", name)
		}
	}
	if raw, err = os.ReadFile(file.Name()); err != nil {
		t.Fatal(err)
	}
	return file.Name(), raw, h
}

// program starts the program that is full of secrets.
func program(t *testing.T) (pid int) {
	cmd := exec.Command(testprogram.Build(t, filepath.Join("testdata", "secrets"), testprogram.Variant{Name: "local"}),
		"planted-in-an-argument")
	cmd.Env = append(os.Environ(), "PLANTED=planted-in-the-environment")
	testprogram.Ready(t, cmd)
	return cmd.Process.Pid
}

// TestSecrets records a program full of secrets with all instruments, and a script that reads all that it can, and then
// with all that is reachable: none of them is in the file.
func TestSecrets(t *testing.T) {
	pid := program(t)
	for _, heap := range []bool{false, true} {
		t.Run(fmt.Sprint("heap=", heap), func(t *testing.T) {
			_, raw, h := recordAll(t, pid, Options{Heap: heap})
			reader, err := format.Open(bytes.NewReader(raw), int64(len(raw)), "r")
			if err != nil {
				t.Fatal(err)
			}
			if h.Counts.Tokens < 30 || h.Counts.Kept < 10_000 {
				t.Errorf("too little was recorded: %+v", h.Counts)
			}
			search(t, "the file", raw)
			for i, b := range reader.Blocks() {
				data, err := reader.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				search(t, fmt.Sprint("block ", i, ", ", b.Name), data)
			}
		})
	}
}

func search(t *testing.T, where string, data []byte) {
	t.Helper()
	for name, text := range hidden() {
		if at := bytes.Index(data, text); at >= 0 {
			t.Errorf("%s is in %s at %d: %.60q", name, where, at, data[max(0, at-16):])
		}
	}
	// Names of fields, and what looks like them by chance.
	if strings.Contains(where, "symbols") || strings.Contains(where, "typed") || where == "the file" {
		return
	}
	planted := pieces()
	word := uint64(0)
	for i, b := range data {
		word = word>>8 | uint64(b)<<56
		if name, ok := planted[word]; ok && i >= 7 {
			t.Errorf("%s is in %s at %d: %.60q", name, where, i-7, data[max(0, i-23):])
		}
	}
}

// TestTokens asks a recording for what was not kept: texts are equal where they were, and to compare them with what is
// known, or to take them apart, is an error.
func TestTokens(t *testing.T) {
	path, _, _ := recordAll(t, program(t), Options{})
	s, err := looks.OpenSession(looks.TargetChoice{Recording: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, x := range []struct{ lua, want, err string }{
		{`local a, b = ri.var 'main.customers'[0].Name, ri.var 'main.customers'[1].Name
			print(a == b, a ~= b, a == a, ri.token(a), #ri.typeof(ri.ref'main.customers[0].Name'))`,
			"false\ttrue\ttrue\ttrue\t6", ""},
		{`print(ri.var 'main.customers'[1].Name == ri.var 'main.customers'[0].Next.Name)`, "true", ""},
		{`print(ri.len(ri.ref 'main.customers[0].Name'))`, fmt.Sprint(len(planted("name0"))), ""},
		{`local n = 0; for k, v in ri.pairs(ri.var 'main.byName') do if k == v.Name then n = n + 1 end end; print(n)`,
			"3", ""},
		{`local seen = {}; for i = 0, 2 do seen[ri.var 'main.customers'[i].Tags[0]] = i end
			print(seen[ri.var 'main.customers'[0].Tags[0]])`, "2", ""},
		{`print(ri.var 'main.customers'[0].Name == '')`, "false", ""},
		{`print(ri.var 'main.customers'[0].Name == nil)`, "false", ""},
		{`print(ri.token('to ' .. ri.var 'main.customers'[0].Name))`, "true", ""},
		{`print(ri.var 'main.customers'[0].Name == 'x')`, "", "a token stands for it"},
		{`print('x' ~= ri.var 'main.customers'[0].Name)`, "", "a token stands for it"},
		{`print(('to ' .. ri.var 'main.customers'[0].Name) == 'to you')`, "", "a token stands for it"},
		{`print(ri.var 'main.customers'[0].Name:find 'plan')`, "", "string.find"},
		{`print(ri.var 'main.customers'[0].Name:sub(1, 2))`, "", "string.sub"},
		{`local t = {x = 1}; print(t[ri.var 'main.customers'[0].Name])`, "", "a token stands for it"},
		{`print(ri.var 'main.byName'['x'])`, "", "a token stands for it"},
		{`print(ri.match(ri.var 'main.customers'[0].Name, 'x'))`, "", "a token stands for it"},
		{`print(ri.count(ri.var 'main.customers', {where = 'Name == x'}))`, "", ""},
		{`print(ri.var 'main.customers'[0].pin)`, "", "was not kept"},
		{`print(ri.var 'main.customers'[0].Numbers[0])`, "", "was not kept"},
		{`print(ri.var 'main.customers'[0].Words[0])`, "", "was not kept"},
		{`print(#ri.var 'main.customers'[0].Numbers)`, fmt.Sprint(len(planted("ints"))), ""},
	} {
		plan, err := looks.PrepareLua(&recipes.Catalogue{}, "", x.lua, nil, looks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Run(context.Background(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, line := range res.Printed {
			got += line.Text
		}
		switch {
		case x.want == "" && x.err == "":
		case x.err == "" && (res.Err != nil || got != x.want):
			t.Errorf("%s\n\tis %q, want %q; %v", x.lua, got, x.want, res.Err)
		case x.err != "" && (res.Err == nil || !strings.Contains(res.Err.Error(), x.err)):
			t.Errorf("%s\n\tis %q and ends with %v, want %q", x.lua, got, res.Err, x.err)
		}
	}
}
