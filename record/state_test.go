package record

import (
	"bytes"
	"context"
	"crypto/sha256"
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
var shapes = []string{
	"name0", "name1", "name2", "password0", "password1", "password2", "street", "line0", "line1", "bytes", "tag0",
	"tag1", "key", "value", "any", "panic", "named", "arraykey", "syncmapkey", "syncmapvalue", "queued", "slack",
	"logged", "log", "bearer", "headername", "headervalue", "captured", "unique", "builder", "json", "stale",
	"stalebytes", "label", "labelvalue", "parked", "sending", "uri", "running", "cells", "grid", "chanbytes",
	"chanrunes", "netip", "addrport", "swapped", "cutoff", "rest", "overlay", "gone", "deleted", "long", "zone",
	"contextkey", "contextvalue", "pooled", "buffered", "pattern", "alternative", "old", "new", "user", "pw",
	"path", "query", "raw", "pointer", "atomicvalue", "listed", "integer", "hashed", "attrkey", "attrvalue", "data",
	"wide", "laterunes", "timer", "boxed", "nested", "matrix", "stackrest", "aeskey", "basicpass", "basicuser",
	"boxedid", "boxedint", "boxedrunes", "bufslk", "bytekey", "captwords", "cleaned", "cleanup", "cookiename",
	"cookiepath", "cookievalue", "deferred", "deferwords", "embedded", "filename", "finobj", "finfn", "floats",
	"formkey", "formvalue", "fragment", "grown", "hmac", "host", "iface", "joined", "jwt", "listkey", "listvalue",
	"looped", "macked", "methodvalue", "notanumber", "oncevalue", "outer", "inpanic", "patherr", "peerip",
	"peerzone", "ptrs", "pooledbytes", "pooledstruct", "queuederr", "queuedfunc", "queuedstruct", "rawquery",
	"reqbody", "reqhost", "ring", "runekeys", "runelists", "socket", "stackrunes", "structid", "structkey",
	"structvalue", "taken", "tmpl", "tmplname", "tree", "union", "uuid", "uuidkey", "uuids", "view", "spilled0",
	"spilled1", "spilled2", "spillwords"}

// keyShapes are names of the keys that the program plants, which are no texts; see testdata/secrets.
var keyShapes = []string{
	"aes", "boxed", "boxpair", "buffer", "captured", "deferred", "floats", "gcm", "generic", "held", "heldpair",
	"id", "ids0", "ids1", "integer", "ip", "local", "localpair", "mapkey", "mapvalue", "mapwords", "narrow",
	"nested", "netip", "pair", "pointer", "pooled", "queued", "queuedpair", "rat", "sharedkey", "sharedvalue",
	"signing", "slack", "structkey", "taken", "words", "halves", "halveskey", "halvesvalue", "quad", "quads",
	"numbered", "named", "list", "atomics", "atomic", "unique", "tagged"}

// keyOf gives the key that the program plants under a name.
func keyOf(name string) []byte {
	sum := sha256.Sum256([]byte("key of " + name))
	return sum[:16]
}

// hiddenKeys are all eight bytes that stand side by side in a key, as they are, as numbers of the other endianness, and
// written.
func hiddenKeys() (pieces map[uint64]string, written map[string][]byte) {
	pieces, written = map[uint64]string{}, map[string][]byte{}
	for _, name := range keyShapes {
		key := keyOf(name)
		for i := 0; i+8 <= len(key); i++ {
			pieces[binary.LittleEndian.Uint64(key[i:])] = "the key " + name
			pieces[binary.BigEndian.Uint64(key[i:])] = "the key " + name + ", reversed"
			a, b := binary.BigEndian.Uint32(key[i:]), binary.BigEndian.Uint32(key[i+4:])
			pieces[uint64(a)|uint64(b)<<32] = "the key " + name + ", in reversed words" // as round keys
		}
		written["the key "+name+" in hex"] = []byte(hex.EncodeToString(key))
		written["the key "+name+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(key)[:20])
		written["the key "+name+" in base64 of URLs"] = []byte(base64.RawURLEncoding.EncodeToString(key)[:20])
		for i := range 2 {
			half := binary.LittleEndian.Uint64(key[8*i:])
			written[fmt.Sprint("the key ", name, " as a number, ", i)] = []byte(fmt.Sprint(half))
			written[fmt.Sprint("the key ", name, " as a hex number, ", i)] = []byte(fmt.Sprintf("%x", half))
		}
		written["the key "+name+" as a list"] = []byte(strings.ReplaceAll(strings.Trim(fmt.Sprint(key), "[]"), " ", ","))
	}
	return pieces, written
}

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
local plain = ri.var 'main.plain'
for _, f in ipairs { 'tokens', 'header', 'block', 'mac', 'routes', 'byBytes', 'ids', 'one', 'byUUID', 'boxedInt',
    'boxedID', 'values', 'view', 'viewed', 'slack', 'grown', 'pool', 'file', 'tcp', 'unixAddr',
    'address', 'values2', 'template', 'structs', 'errs', 'funcs', 'deferred', 'method', 'once',
    'letters', 'joined', 'number', 'pathErr', 'union', 'unions', 'floats', 'complex', 'bools', 'tree',
    'embedded', 'pointers', 'runeKeys', 'address2', 'interface2', 'cookie', 'request', 'ring', 'when',
    'zones' } do
  pcall(function() print(f, plain[f]) end)
  pcall(function() print(ri.text(ri.ref('main.plain.' .. f), 100000)) end)
  pcall(function() ri.emit { v = ri.eval('main.plain.' .. f) } end)
  pcall(function() for k, v in ri.pairs(plain[f]) do print(k, v) end end)
  pcall(function() for i = 0, #plain[f] - 1 do print(plain[f][i]) end end)
end
local keys = ri.var 'main.keys'
for _, f in ipairs { 'block', 'gcm', 'id', 'ids', 'byID', 'values', 'routes', 'boxed', 'pair', 'boxpair', 'words',
    'narrow', 'numbers', 'integer', 'rat', 'queue', 'pairs', 'pointer', 'captured', 'pool', 'signing',
    'address', 'ip', 'floats', 'generic', 'shared', 'nested', 'slack', 'bytes', 'halves', 'halfsOf', 'quads',
    'quad', 'numbered', 'named', 'list', 'atomics', 'atomic', 'unique', 'tagged' } do
  pcall(function() print(f, keys[f]) end)
  pcall(function() print(ri.text(ri.ref('main.keys.' .. f), 100000)) end)
  pcall(function() ri.emit { v = ri.eval('main.keys.' .. f) } end)
  pcall(function() for k, v in ri.pairs(keys[f]) do print(k, v) end end)
  pcall(function() for i = 0, #keys[f] - 1 do print(keys[f][i]) end end)
end
for _, v in ipairs { 'ids[0].hi', 'one.hi', 'one.lo', 'union.words[0]', 'union.words[1]', 'unions[0].words[0]' } do
  pcall(function() print(ri.eval('main.plain.' .. v)) end)
end
for _, v in ipairs { 'halves.hi', 'halves.lo', 'quad.A', 'quads[0].B', 'numbered.k0', 'named.first', 'list.word',
    'list.next.word', 'atomics[0]', 'atomics[1]', 'atomic[0]', 'tagged[0].u.W0' } do
  pcall(function() print(ri.eval('main.keys.' .. v)) end)
end
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
	for _, name := range []string{"name0", "password1", "street", "tag1", "key", "value", "any", "queued", "bearer",
		"jwt", "structkey", "cookievalue", "formvalue", "patherr"} {
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

// TestSecretsKept records the same with a rule that keeps all: then the search finds them, or it would prove nothing.
func TestSecretsKept(t *testing.T) {
	_, raw, _ := recordAll(t, program(t), Options{Heap: true,
		Policy: &redact.Policy{Rules: []redact.Rule{{Action: redact.Keep, Type: "*"}, {Action: redact.Keep, Package: "*"},
			{Action: redact.Keep, Variable: "*"}}}})
	reader, err := format.Open(bytes.NewReader(raw), int64(len(raw)), "r")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, b := range reader.Blocks() {
		data, err := reader.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range found(b.Name, data) {
			fmt.Fprintln(&all, what)
		}
	}
	for _, name := range []string{"name0", "street", "value", "jwt", "structvalue", "cookievalue", "formvalue"} {
		if !strings.Contains(all.String(), name+" ") {
			t.Errorf("%s isn't found where it is kept", name)
		}
	}
	for _, name := range []string{"id", "ids0", "boxed", "pair", "words", "mapvalue", "structkey", "pointer"} {
		if !strings.Contains(all.String(), "the key "+name+" ") {
			t.Errorf("the key %s isn't found where it is kept", name)
		}
	}
}

func search(t *testing.T, where string, data []byte) {
	t.Helper()
	for _, what := range found(where, data) {
		t.Errorf("%s, of %s", what, where)
	}
}

// found says what of the secrets is in some bytes, and where.
func found(where string, data []byte) (list []string) {
	say := func(what string, at int) {
		list = append(list, fmt.Sprintf("%s is at %d: %.60q", what, at, data[max(0, at-16):]))
	}
	for _, forms := range []map[string][]byte{writtenKeys, hiddenForms} {
		for name, text := range forms {
			if at := bytes.Index(data, text); at >= 0 {
				say(name, at)
			}
		}
	}
	// Names of fields, and what looks like them by chance.
	named := strings.Contains(where, "symbols") || strings.Contains(where, "typed") || where == "the file" ||
		strings.Contains(where, format.LookBlock(0)[:5]) // times of the CPU in digits
	word := uint64(0)
	for i, b := range data {
		word = word>>8 | uint64(b)<<56
		if i < 7 {
			continue
		}
		if name, ok := keyPieces[word]; ok {
			say(name, i-7)
		}
		if name, ok := textPieces[word]; ok && !named {
			say(name, i-7)
		}
	}
	return list
}

var (
	hiddenForms            = hidden()
	textPieces             = pieces()
	keyPieces, writtenKeys = hiddenKeys()
)

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
		{`local a, b = ri.var 'main.customers'[0].Name, ri.var 'main.customers'[1].Name; print(a < b)`, "", "ordering texts"},
		{`print(ri.var 'main.customers'[0].Name >= 'm')`, "", "ordering texts"},
		{`print('m' > ri.var 'main.customers'[0].Name)`, "", "ordering texts"},
		{`print(('to ' .. ri.var 'main.customers'[0].Name) <= 'to you')`, "", "ordering texts"},
		{`print(ri.cmp(ri.var 'main.customers'[0].Name, 'x') < 0)`, "", "a token stands for it"},
		{`print(math.max(ri.var 'main.customers'[0].Name, ri.var 'main.customers'[1].Name))`, "", "a token stands for it"},
		{`local t = {}; for i = 0, 2 do t[i + 1] = {ri.var 'main.customers'[i].Name} end
			table.sort(t, function(a, b) return a[1] < b[1] end); print(#t)`, "3", ""},
		{`local t = {}; for i = 0, 2 do t[i + 1] = ri.var 'main.customers'[i].Name end; table.sort(t); print(#t)`, "3", ""},
		{`local a = ri.var 'main.customers'[0].Name; print(#a, a:len(), string.len(a), #('to ' .. a))`,
			fmt.Sprintf("%[1]d\t%[1]d\t%[1]d\t%[2]d", len(planted("name0")), len(planted("name0"))+3), ""},
		{`local t = {}; t[ri.var 'main.customers'[0].Name] = 1; print(t.GET)`, "", "looking a text up in a table"},
		{`local t = {}; t[ri.var 'main.customers'[0].Name] = 1; print(t[1], #t)`, "nil\t0", ""},
		{`local t = {[ri.var 'main.customers'[0].Name] = 1}; print(t.GET)`, "", "looking a text up in a table"},
		{`local t = {GET = 1}; print(rawget(t, ri.var 'main.customers'[0].Name))`, "", "looking a text up in a table"},
		{`print(rawequal(ri.var 'main.customers'[0].Name, 'x'))`, "", "comparing a text with another"},
		{`print(tonumber(ri.var 'main.customers'[0].Name))`, "", "tonumber"},
		{`print(ri.var 'main.customers'[0].Name + 1)`, "", "cannot perform add operation"},
		{`print(('%.2s'):format(ri.var 'main.customers'[0].Name))`, "", "a part of a text"},
		{`print(ri.token(('%-40s'):format(ri.var 'main.customers'[0].Name)))`, "true", ""},
		{`print(loadstring("return ri.var 'main.customers'[0].Name == 'x'")())`, "", "a token stands for it"},
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
