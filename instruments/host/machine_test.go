package host

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/instruments/lang"
	"ri/instruments/rows"
)

// sink keeps what a script gives.
type sink struct {
	rows     []rows.Row
	findings []rows.Finding
	printed  []string
	logged   []string
}

func (s *sink) Emit(r rows.Row) error         { s.rows = append(s.rows, r); return nil }
func (s *sink) Finding(f rows.Finding) error  { s.findings = append(s.findings, f); return nil }
func (s *sink) Sample(rows.Sample) error      { return nil }
func (s *sink) Sampled(time.Duration)         {}
func (s *sink) Log(m string)                  { s.logged = append(s.logged, m) }
func (s *sink) Progress(int64, int64, string) {}
func (s *sink) Print(t string)                { s.printed = append(s.printed, t) }

// runLua runs Lua text without a target and gives what it printed.
func runLua(t *testing.T, source string, opt Options) (string, error) {
	t.Helper()
	out := &sink{}
	opt.Sink = out
	h := New(opt)
	defer h.Close()
	script, err := CompileScript("test.lua", source)
	if err != nil {
		return "", err
	}
	err = h.Run(context.Background(), script, nil)
	return strings.Join(out.printed, "\n"), err
}

func TestLua(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		// exact integers
		{`print(ri.int'9007199254740993')`, "9007199254740993"},
		{`print(ri.int'-9223372036854775808', ri.int'18446744073709551615')`, "-9223372036854775808\t18446744073709551615"},
		{`print(ri.int'9007199254740993' + 1)`, "9007199254740994"},
		{`print(1 + ri.int'9007199254740993')`, "9007199254740994"},
		{`print(ri.int'9007199254740993' - ri.int'9007199254740992')`, "1"},
		{`print(type(ri.int'9007199254740993' - ri.int'9007199254740990'))`, "number"},
		{`print(type(ri.int'9007199254740992'), type(ri.int'9007199254740993'))`, "number\tuserdata"},
		{`print(ri.int'9007199254740993' == ri.int'9007199254740992' + ri.int'1')`, "false"}, // numbers in Lua round
		{`print(ri.int'9007199254740995' == ri.int'9007199254740994' + 1)`, "true"},
		{`local t = {}; t[ri.int'0x20000000000001'] = 'x'; print(t[ri.int'9007199254740993'])`, "x"},
		{`print(ri.int'9223372036854775807' < ri.int'9223372036854775808',
			ri.int'9007199254740993' <= ri.int'9007199254740993')`, "true\ttrue"},
		{`print(-ri.int'9007199254740993', ri.int'9007199254740993' * 2, ri.int'9007199254740993' % 10)`,
			"-9007199254740993\t18014398509481986\t3"},
		{`print(ri.int'-9007199254740993' % 10)`, "7"},
		{`print(ri.int'9007199254740994' / 2)`, "4503599627370497"},
		{`print("a" .. ri.int'9007199254740993' .. 1 .. "b")`, "a90071992547409931b"},
		{`print(string.format("%d %x %5d|%-5d|%05d", ri.int'9223372036854775809', ri.int'18446744073709551615', 42, 42, 42))`,
			"9223372036854775809 ffffffffffffffff    42|42   |00042"},
		{`print(string.format("%s %q %5.2f %g %c %%", "x", 'a"b', 3.14159, 1e20, 65))`, `x "a\"b"  3.14 1e+20 A %`},
		{`print(string.format("%x %X %o", 255, 255, 8), string.format("%x", -1))`, "ff FF 10\tffffffffffffffff"},
		{`print(ri.cmp(ri.int'9007199254740993', 5), ri.cmp(1, 2), ri.cmp("a", "a"), ri.cmp(2^53, ri.int'9007199254740993'))`,
			"1\t-1\t0\t-1"},
		{`print(ri.bit.band(0xff, 0x0f), ri.bit.bor(1, 2, 4), ri.bit.bxor(3, 1), ri.bit.bnot(0), ri.bit.lshift(1, 63),
			ri.bit.rshift(ri.int'0x8000000000000000', 63))`,
			"15\t7\t2\t18446744073709551615\t9223372036854775808\t1"},
		{`print(tonumber'9007199254740993', tonumber'0x10', tonumber('ff', 16), tonumber'1e3', tonumber'x', tonumber'1_0')`,
			"9007199254740993\t16\t255\t1000\tnil\tnil"},
		{`print(ri.float(ri.int'9007199254740993'))`, "9007199254740992"},
		{`print(math.max(1, ri.int'9007199254740993'), math.min(3, 2), math.floor(ri.int'9007199254740993'))`,
			"9007199254740993\t2\t9007199254740993"},
		{`print(ri.hex(255), ri.hex(ri.int'18446744073709551615'), ri.hex'ab')`, "0xff\t0xffffffffffffffff\t6162"},
		{`print(table.concat({1, ri.int'9007199254740993', 'x'}, ','))`, "1,9007199254740993,x"},
		{`print(ri.json{a=1, b=ri.int'18446744073709551615', c={1,2,{x=0/0}}, d="\255", e={}})`,
			`{"a":1,"b":18446744073709551615,"c":[1,2,{"x":"NaN"}],"d":{"$b64":"/w=="},"e":[]}`},
		{`print(ri.duration(1500000000), ri.duration(250))`, "1.5s\t250ns"},
		// strings
		{`print(("a,b,,c"):gsub(",", ";"))`, "a;b;;c\t3"},
		{`print(("hello world"):match("(%w+) (%w+)"))`, "hello\tworld"},
		{`print(("key = value"):find("(%w+)%s*=%s*(%w+)"))`, "1\t11\tkey\tvalue"},
		{`for w in ("one two three"):gmatch("%a+") do print(w) end`, "one\ntwo\nthree"},
		{`print(("abc"):gsub("", "-"))`, "-a-b-c-\t4"},
		{`print(("abc"):gsub("%w", "%0%0"), ("x"):rep(3))`, "aabbcc\txxx"},
		{`print(("THE (quick) fox"):find("%((%a+)%)"))`, "5\t11\tquick"},
		{`print(("a.b"):find(".", 1, true), ("a.b"):find("b", -1))`, "2\t3\t3"},
		{`print(("f(a(b)c)d"):match("%b()"), ("[[x]]"):match("^%[+(.-)%]+$"))`, "(a(b)c)\tx"},
		{`print(("$name is $age"):gsub("%$(%w+)", {name = "Bob", age = 42}))`, "Bob is 42\t2"},
		{`print(("abc"):gsub("%w", function(c) if c == "b" then return "X" end end))`, "aXc\t3"},
		{`print(("THE (quick) fox"):find("%f[%a]%a+%f[%A]"))`, "1\t3"},
		{`print(("  trim  "):match("^%s*(.-)%s*$") .. "|")`, "trim|"},
		// the machine
		{`print(pcall(function() error("x", 0) end))`, "false\tx"},
		{`local n = 0; local function count() n = n + 1 end; pcall(error, 'x'); count(); print(n)`, "1"},
		{`local n = 0; local function f() n = n + 1; error{n} end; for i = 1, 3 do local ok, e = pcall(f);
			assert(not ok and e[1] == i) end; print(n)`, "3"},
		{`local n = 0; print(xpcall(function(a, b) n = a + b; error("x", 0) end, function(e) return e .. "!" end, 1, 2));
			print(n)`, "false\tx!\n3"},
		{`print(pcall(function(...) return select('#', ...), ... end, 1, nil, 3))`, "true\t3\t1\tnil\t3"},
		{`print(pcall(pcall, error, "x"))`, "true\tfalse\tx"},
		{`local co = coroutine.wrap(function() local ok, e = pcall(function() error("in", 0) end); coroutine.yield(e);
			return "end" end); print(co(), co())`, "in\tend"},
		{`print(pcall(5))`, "false\ttest.lua:1: attempt to call a non-function object"},
		{`print(select('#', 1, nil, 3), unpack({1, 2}))`, "3\t1\t2"},
		{`local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1); return b * 2 end); print(co(1), co(5))`,
			"2\t10"},
		{`local t = setmetatable({}, {__tostring = function() return "T" end}); print(tostring(t), "<" .. t .. ">")`,
			"T\t<T>"},
		{`local function f(...) return (...) .. "x", 2 end; print(f("a", "b"))`, "ax\t2"},
		{`print(#"abc" .. 1 + 2)`, "33"},
		{`return 1 + 1, "x"`, "2\t\"x\""},
		{`return {a = 1, 2, {b = "c"}}`, `{2, {b = "c"}, a = 1}`},
		{`print(os.time{year=2020, month=1, day=1, hour=12} > 0, type(os.clock()))`, "true\tnumber"},
		{`print(loadstring("return 1 + 1")(), loadstring("x ="))`, "2\tnil\tloadstring: syntax error at the end of the file"},
	} {
		got, err := runLua(t, test.source, Options{})
		if err != nil || got != test.want {
			t.Errorf("%s\n got  %s (%v)\n want %s", test.source, got, err, test.want)
		}
	}
}

func TestLuaErrors(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{`return ri.int'9223372036854775807' * 4`, "test.lua:1: integer overflow: 36893488147419103228 is beyond 64 bits"},
		{`return -ri.int'18446744073709551615'`, "test.lua:1: integer overflow"},
		{`return ri.int'9007199254740993' % 0`, "test.lua:1: integer modulo by zero"},
		{"local x\nreturn 9007199254740993",
			"test.lua:2: the number 9007199254740993 is beyond 2^53, Lua would round it: write ri.int'9007199254740993'"},
		{`return 99999999999999999999999`, "ri.int"},
		{`return ri.int'12x'`, `test.lua:1: ri.int: "12x" is no integer of 64 bits`},
		{`return ri.int(1.5)`, "test.lua:1: ri.int: the number 1.5 is no integer"},
		{`return 1 < ri.int'9007199254740993'`, "ri.cmp(a, b)"},
		{`return ri.int'9007199254740993' + {}`, "test.lua:1: can't calculate with the integer 9007199254740993 and a table"},
		{`local t = nil; return t.x`, "test.lua:1: "},
		{`ri.var'x'`, "test.lua:1: ri.var: there is no target"},
		{`ri.emit{1}`, "test.lua:1: ri.emit: a row is {column = value, ...}"},
		{`ri.emit{x = print}`, "test.lua:1: ri.emit: column x: a function can't be in a row"},
		{`ri.finding{where = "x"}`, "ri.finding: what is missing"},
		{`ri.finding{what = "x", severity = "bad"}`, "severity is info, warning or critical"},
		{`x = `, "test.lua: syntax error at the end of the file"},
		{"x = 1\ny = = 2", "test.lua:2: syntax error near \"=\""},
		{"\x1bLua", "compiled Lua is not loaded"},
		{`error{code = 5}`, "error object: {code = 5}"},
		{`require 'nothing'`, `test.lua:1: require: no module "nothing" in the script folders`},
		{`require '../x'`, "test.lua:1: require: \"../x\" is no module name"},
		{`require '/etc/passwd'`, "is no module name"},
		{`require 'a/../../x'`, "is no module name"},
		{`ri.again(1)`, "test.lua:1: ri.again: this target can be looked at once only"},
		{`return string.format("%d", "x")`, "integer expected"},
		{`return string.format("%d")`, "no argument for \"%d\""},
		{`return string.format("%z", 1)`, "%z is not known"},
		{`return string.format("%9999d", 1)`, "too wide"},
		{`return ("x"):match("(")`, "test.lua:1: pattern"},
		{`return ("x"):match("[")`, "test.lua:1: pattern"},
		{`return ("x"):match("%")`, "test.lua:1: pattern"},
		{`return "a" .. {}`, "test.lua:1: can't join a table to a string"},
		{`return "a" .. nil`, "test.lua:1: can't join nil to a string"},
		{`setmetatable("", {})`, "test.lua:1: bad argument #1"},
	} {
		_, err := runLua(t, test.source, Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s\n got  %v\n want %s", test.source, err, test.want)
		}
		if err != nil && !errors.Is(err, lang.ErrScript) {
			t.Errorf("%s: %v isn't ErrScript", test.source, err)
		}
	}
}

func TestSandbox(t *testing.T) {
	for _, name := range []string{
		"io", "package", "module", "dofile", "loadfile", "load", "collectgarbage", "newproxy", "getfenv", "setfenv",
		"_printregs",
		"os.execute", "os.exit", "os.getenv", "os.remove", "os.rename", "os.setenv", "os.tmpname", "os.setlocale",
		"debug.getinfo", "debug.getlocal", "debug.setmetatable", "debug.getupvalue", "string.dump", "channel",
	} {
		got, err := runLua(t, "local v = _G; for k in ('"+name+"'):gmatch('%a[%w_]*') do v = v and v[k] end; print(v)",
			Options{})
		if err != nil || got != "nil" {
			if !strings.HasPrefix(name, "_") {
				t.Errorf("%s is there: %s, %v", name, got, err)
			}
		}
	}
	if got, err := runLua(t, `print(_G._printregs, getmetatable(ri.int'9007199254740993'), getmetatable(""))`,
		Options{}); got != "nil\tnil\tnil" {
		t.Error(got, err)
	}
}

func TestRequire(t *testing.T) {
	folder := fstest.MapFS{
		"lib/list.lua":    {Data: []byte("loads = (loads or 0) + 1\nreturn {n = loads}")},
		"nats/common.lua": {Data: []byte("return {name = 'nats'}")},
		"loop.lua":        {Data: []byte("return require 'loop'")},
		"broken.lua":      {Data: []byte("\nerror 'oh'")},
		"syntax.lua":      {Data: []byte("\n\nx = = 1")},
		"uses.lua":        {Data: []byte("return ri.emit{x = 1}")},
	}
	opt := func() Options { return Options{Folders: []fs.FS{folder}} }
	for _, test := range []struct{ source, want string }{
		{`print(require('list').n, require('lib.list').n, require('lib/list').n, require 'nats.common'.name)`,
			"1\t1\t1\tnats"},
		{`require 'loop'`, "module loop.lua requires itself"},
		{`require 'broken'`, "broken.lua:2: oh"},
		{`require 'syntax'`, "syntax.lua:3: syntax error"},
		{`require 'uses'`, "uses.lua:1: ri.emit is not available while the file loads"},
	} {
		got, err := runLua(t, test.source, opt())
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s\n got  %s\n want %s", test.source, got, test.want)
		}
	}
}

// What lies beside a script gets between neither the script and the library, nor the library's own modules.
func TestRequireElsewhere(t *testing.T) {
	own := fstest.MapFS{
		"timers.lua": {Data: []byte("return {own = true}")}, "other.lua": {Data: []byte("return {own = true}")},
	}
	library := fstest.MapFS{
		"lib/timers.lua": {Data: []byte("return {name = 'library'}")},
		"lib/check.lua":  {Data: []byte("return {other = require 'other', timers = require 'timers'}")},
		"lib/other.lua":  {Data: []byte("return {name = 'library'}")},
	}
	folders := []fs.FS{own, library}
	for source, want := range map[string]string{
		"require('timers').name": "library", "require('other').own": "true", "require('check').other.name": "library",
		"require('check').timers == require('timers')": "true", "require('check').other == require('other')": "false",
	} {
		script, err := CompileScript("timers.lua", "print("+source+")", folders...)
		if err != nil {
			t.Fatal(err)
		}
		out := &sink{}
		h := New(Options{Sink: out, Folders: folders})
		err = h.Run(t.Context(), script, nil)
		h.Close()
		if got := strings.Join(out.printed, " "); err != nil || got != want {
			t.Errorf("%s\n got %q, %v\n want %s", source, got, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		source string
		is     error
		limits Limits
	}{
		{`while true do end`, ErrTime, Limits{Time: 20 * time.Millisecond}},
		{`while true do pcall(function() while true do end end) end`, ErrTime, Limits{Time: 20 * time.Millisecond}},
		{`repeat local ok = xpcall(function() while true do end end, function() return 1 end) until false`, ErrTime,
			Limits{Time: 20 * time.Millisecond}},
		{`coroutine.wrap(function() while true do end end)()`, ErrTime, Limits{Time: 20 * time.Millisecond}},
		{`while true do coroutine.create(function() end) end`, ErrTime, Limits{Time: 100 * time.Millisecond}},
		{`return (("a"):rep(200000)):find((".-"):rep(20) .. "b")`, ErrTime, Limits{Time: 20 * time.Millisecond}},
		{`return (("a"):rep(10000)):find(("a*"):rep(30) .. "b")`, ErrTime, Limits{Time: 20 * time.Millisecond}},
		{`local t = {}; for i = 1, 1e9 do t[i] = {i} end`, ErrMemory, Limits{Memory: 32 << 20}},
		{`local t = {}; while true do t[#t + 1] = ("x"):rep(1000000) .. #t end`, ErrMemory, Limits{Memory: 32 << 20}},
		{`local s = "x"; while true do s = s .. s end`, lang.ErrScript, Limits{}},
		{`local s = ("x"):rep(64 * 2^20); return s..s..s..s..s..s..s..s`, lang.ErrScript, Limits{}},
		{`return ("x"):rep(1e9)`, lang.ErrScript, Limits{}},
		{`return ("x"):rep(1e6):gsub(".", ("y"):rep(1e6))`, lang.ErrScript, Limits{}},
		{`local t = {}; for i = 1, 100 do t[i] = ("x"):rep(1e6) end; return table.concat(t)`, lang.ErrScript, Limits{}},
		{`return unpack({}, 1, 1e8)`, lang.ErrScript, Limits{}},
		{`local function f() return 1 + f() end; f()`, lang.ErrScript, Limits{}},
		{`local t = setmetatable({}, {}); getmetatable(t).__index = function(t, k) return t[k .. "x"] end; return t.x`,
			lang.ErrScript, Limits{}},
		{`local function f() return coroutine.wrap(f)() end; f()`, lang.ErrScript, Limits{}},
		{`local function f() local ok, e = pcall(f); if not ok then error(e) end end; f()`, lang.ErrScript, Limits{}},
		{`for i = 1, 10 do ri.emit{i = i} end`, ErrRows, Limits{Rows: 5}},
		{`for i = 1, 10 do pcall(ri.emit, {i = i}) end`, ErrRows, Limits{Rows: 5}},
	} {
		_, err := runLua(t, test.source, Options{Limits: test.limits})
		if !errors.Is(err, test.is) {
			t.Errorf("%s: %v, want %v", test.source, err, test.is)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the view is over")
	out := &sink{}
	h := New(Options{Sink: cancelOnPrint{out, func() { cancel(why) }}})
	defer h.Close()
	script, err := CompileScript("test.lua", "print 'x'\nwhile true do end")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(ctx, script, nil); !errors.Is(err, why) {
		t.Error(err)
	}
	// The machine is good for another run.
	again, _ := CompileScript("test.lua", "ri.emit{x = 1}")
	if err := h.Run(context.Background(), again, nil); err != nil || len(out.rows) != 1 {
		t.Error(err, out.rows)
	}
}

type cancelOnPrint struct {
	*sink
	cancel func()
}

func (c cancelOnPrint) Print(string) { c.cancel() }

func TestDeepSource(t *testing.T) {
	for _, source := range []string{
		"return " + strings.Repeat("- ", 100000) + "1",
		"return " + strings.Repeat("not ", 100000) + "1",
		"return " + strings.Repeat("{", 100000) + strings.Repeat("}", 100000),
		"return 1" + strings.Repeat("+1", 100000),
		"return 'a'" + strings.Repeat("..'a'", 100000),
		strings.Repeat("do ", 100000) + strings.Repeat("end ", 100000),
		strings.Repeat("x", 2<<20),
	} {
		if _, err := CompileScript("deep.lua", source); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.30s: %v", source, err)
		}
	}
}

func TestPanicIsContained(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	var m map[string]int
	h.lua.SetGlobal("broken", h.function(func(*lua.LState) int { m["x"] = 1; return 0 }))
	script, err := CompileScript("test.lua", "\nbroken()")
	if err != nil {
		t.Fatal(err)
	}
	err = h.Run(context.Background(), script, nil)
	if err == nil || !strings.Contains(err.Error(), "test.lua:2: internal error: assignment to entry in nil map") {
		t.Error(err)
	}
	var e *lang.ScriptError
	if !errors.As(err, &e) || e.File != "test.lua" || e.Line != 2 {
		t.Errorf("%#v", e)
	}
}

func TestAgain(t *testing.T) {
	looks := 0
	out := &sink{}
	h := New(Options{Sink: out, Again: func(ctx context.Context, wait time.Duration, _ attach.ViewKind) (over, err error) {
		if wait != 1500*time.Millisecond {
			t.Error(wait)
		}
		looks++
		if looks == 2 {
			return nil, errors.New("the target is gone")
		}
		return errors.New("it was too long"), nil
	}})
	defer h.Close()
	script, err := CompileScript("test.lua",
		"local lasted, why = ri.again(1.5)\nri.emit{lasted = lasted, why = why}\nri.again(1.5)")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(context.Background(), script, nil); err == nil ||
		err.Error() != "test.lua:3: ri.again: the target is gone" || len(out.rows) != 1 {
		t.Error(err, out.rows)
	} else if want := rows.Of("lasted", false, "why", "it was too long"); !reflect.DeepEqual(out.rows[0], want) {
		t.Errorf("%v, not %v", out.rows[0], want)
	}
}

// A cause that ended the script can be asked for.
func TestCause(t *testing.T) {
	gone := errors.New("the target is gone")
	h := New(Options{Again: func(context.Context, time.Duration, attach.ViewKind) (over, err error) { return nil, gone }})
	defer h.Close()
	script, err := CompileScript("test.lua", "ri.again(1)")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(context.Background(), script, nil); !errors.Is(err, gone) || !errors.Is(err, lang.ErrScript) {
		t.Error(err)
	}
}

// TestAddressesAsKeys: addresses of package variables are keys like any other, not places in a list.
func TestAddressesAsKeys(t *testing.T) {
	out, err := runLua(t, `local t = {}; for i = 1, 1000 do t[0x400000 + 8 * i] = i end; print(#t, t[0x400008])`,
		Options{Limits: Limits{Time: 5 * time.Second}})
	if err != nil || out != "0\t1" {
		t.Errorf("got %q, %v", out, err)
	}
}
