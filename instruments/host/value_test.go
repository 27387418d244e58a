package host

import (
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

func TestValues(t *testing.T) {
	space := startKinds(t)
	for _, test := range []struct{ source, want string }{
		{`local v = ri.var'main.all'; print(v.b, v.i8, v.i16, v.i32, v.i64, v.u8, v.u16, v.u32, v.u64, v.uptr)`,
			"true\t-128\t-32768\t-2147483648\t-9223372036854775808\t255\t65535\t4294967295\t18446744073709551615\t3735928559"},
		{`local v = ri.var'all'; print(v.f32, v.f64, ri.real(v.c128), ri.imag(v.c128), v.c128)`,
			"1.5\t3.1415926535898\t1\t2\t(1+2i)"},
		{`local v = ri.var'all'; print(v.text, v.empty == "", #v.raw, v.raw == "a\255\0b")`, "hello\ttrue\t4\ttrue"},
		{`ri.var'all'.long`, "ask:1: all.long: a string of 2097152 bytes: ri.text(ri.ref(v, field), max) reads a part"},
		{`local s, n = ri.text(ri.ref(ri.var'all', 'long'), 10); print(#s, n)`, "10\t2097152"},
		{`local v = ri.var'all'; print(v.promoted, v.deep, v.label, v.Base.promoted, v.Inner.deep)`,
			"from base\t5\tinner\tfrom base\t5"},
		{`local v = ri.var'all'; print(#v.array, v.array[0], v.array[3], #v.slice, v.slice[2], #v.none, #v.blank,
			ri.isnil(v.none), ri.isnil(v.blank))`,
			"4\t1\t4\t3\tc\t0\t0\ttrue\tfalse"},
		{`ri.var'all'.slice[3]`, "ask:1: all.slice[3]: "},
		{`ri.var'all'.slice[-1]`, "ask:1: all.slice[-1]: "},
		{`ri.var'all'.slice.x`, "ask:1: all.slice: []string is indexed by an integer from 0"},
		{`local v = ri.var'all'; print(ri.bytes(v.bytes), ri.bytes(v.bytes, 1, 3), ri.bytes("abc", 1))`, "bytes\tyt\tbc"},
		{`local v = ri.var'all'; print(v.nodes[0].value, v.nodes[1], v.nodes[2].next.value)`, "10\tnil\t13"},
		{`local v = ri.var'all'; print(v.state, ri.name(v, 'state'), ri.name(ri.ref(v, 'state')),
			ri.typeof(ri.ref(v, 'state')))`,
			"1\tmain.StateBusy\tmain.StateBusy\tmain.State"},
		{`local v = ri.var'all'; print(v.took, ri.duration(v.took), ri.time(v.when).unix, ri.time(v.when).text,
			ri.age(v.never), ri.age(v.when) > 0)`,
			"1500000000\t1.5s\t1700000000\t2023-11-14T22:13:20.000000005Z\tnil\ttrue"},
		{`local v = ri.var'all'; print(ri.deref(v.pointer), ri.deref(ri.deref(v.double)), v.nothing)`, "41\t41\tnil"},
		{`ri.var'all'.pointer.x`,
			"ask:1: all.pointer: a *int has no fields and no elements; ri.deref(v) is what it points to"},
		{`local v = ri.var'all'; print(v.square.side, ri.typeof(v.square), v.circle.radius, ri.typeof(v.circle), v.noShape,
			v.anything)`, "3\tmain.Square\t2\t*main.Circle\tnil\t42"},
		{`local v = ri.var'all'; print(ri.typeof(v.err), v.err.s, ri.typeof(ri.ref(v, 'err')))`,
			"*errors.errorString\twent wrong\terror"},
		{`local v = ri.var'all'; print(ri.func(v.f).name, v.noFunc, ri.func(v.closure).captured.captured,
			ri.func(v.f).line > 0, v.f)`, "main.double\tnil\t7\ttrue\tmain.double"},
		{`local v = ri.var'all'; print(#v.queue, ri.cap(v.queue), v.queue[1], ri.chan(v.queue).closed,
			ri.chan(v.shut).closed, v.noChan)`, "2\t5\t12\tfalse\ttrue\tnil"},
		{`local v = ri.var'all'; print(v.names.one, v.names['two'], v.names.four, #v.names)`, "1\t2\tnil\t3"},
		{`local v = ri.var'all'; print(v.byID[1].value, v.byID[ri.int'18446744073709551615'].value, v.byID[2])`,
			"100\t101\tnil"},
		{`local v = ri.var'all'; print(v.mixed.s, v.mixed[1], v.mixed[2.5], v.mixed[true], v.mixed[false])`,
			"string\tint\tfloat\tbool\tnil"},
		{`local v = ri.var'all'; print(v.noMap.x, #v.noMap, ri.isnil(v.noMap), ri.isnil(v.names))`, "nil\t0\ttrue\tfalse"},
		{`local v = ri.var'all'; for k, p in ri.pairs(v.points) do if k.x == 1 then print(k.y, p, v.points[k]) end end`,
			"2\tp12\tp12"},
		{`ri.var'all'.names[1]`, "ask:1: all.names: a map[string]int has keys of type string, not the number 1"},
		{`local v = ri.var'all'; print(v.pair.key, v.pair.value, ri.typeof(v.pair))`, "k\t9\tmain.Pair[string,int]"},
		{`local v = ri.var'all'; print(v.count, v.flag, v.head.value, v.config, ri.typeof(v.head),
			ri.typeof(ri.ref(v, 'count')))`, "77\ttrue\t0\tconfigured\t*main.Node\tsync/atomic.Int64"},
		{`local n = 0; for k, x in ri.pairs(ri.var'all'.sync) do n = n + x end; print(n)`, "777"},
		{`local t = {}; for i, x in ri.pairs(ri.var'all'.list) do t[#t+1] = i .. x end; print(table.concat(t, " "))`,
			"0x 1y 2z"},
		{`local list = require 'list'; local v = ri.var'all'; print(list.validate(v.list));
			print(list.validate(v.emptyList)); print((list.validate(v.badList)))`, "true\t3\ntrue\t0\nfalse"},
		{`local s = require('sync'); local m, r, g = s.mutex(ri.var'main.mutex'), s.rwmutex(ri.var'main.rwmutex'),
			s.waitgroup(ri.var'main.group'); print(m.locked, m.waiters, r.readers, r.locked, g.count,
			g.waiters)`, "true\t0\t2\tfalse\t3\t0"},
		{`for _ in ri.pairs(ri.var'all'.badList) do end`, "the list is broken: after"},
		{`local t = {}; for _, x in ri.pairs(ri.var'all'.ring) do t[#t+1] = x end; print(table.concat(t, " "))`, "0 1 2"},
		{`local walk = require 'walk'; print(walk.count(walk.linked(ri.var'main.first', 'next')));
			print((walk.validate_linked(ri.var'main.cycle', 'next')))`, "1000\nfalse"},
		{`for _ in ri.linked(ri.var'main.cycle', 'next') do end`, "the list is a ring: after"},
		{`for i, n in ri.linked(ri.var'main.broken', 'next') do print(i) end`,
			"main.broken.next.next.next: address 0x20 is not mapped"},
		{`for i, n in ri.linked(ri.var'main.first', 'value') do end`,
			"main.first.value leads to the number 0, not to a node"},
		{`local heap = require 'heap'; print(heap.validate(ri.var'all'.heap, function(a, b) return a < b end))`, "true\t2"},
		{`local sync = require 'sync'; print(sync.once(ri.var'all'.once), sync.validate_map(ri.var'all'.sync))`,
			"false\ttrue\t39"},
		{`local channel = require 'channel'; local s = channel.state(ri.var'all'.queue); print(s.len, s.receivers)`, "2\t0"},
		{`local t = {}; for i, x in ri.pairs(ri.var'all'.queue) do t[#t+1] = x end; print(table.concat(t, " "))`, "11 12"},
		{`local n = 0; for i, x in ri.pairs(ri.var'main.grid') do for j, y in ri.pairs(x) do n = n + 1 end end; print(n)`,
			"6"},
		{`for _, x in ri.pairs(nil) do print(x) end; print "done"`, "done"},
		{`ri.pairs(ri.var'all'.square)`,
			"ask:1: all.square: a main.Square has nothing to go through: ri.pairs takes arrays, slices, maps, channels, " +
				"container/list.List"},
		{`local v = ri.var'all'; print(v.sliceOfAny[0], v.sliceOfAny[1], v.sliceOfAny[2], v.sliceOfAny[3].y, v.matrix[0][1],
			v.structs[1].x)`, "1\ttwo\tnil\t6\t2\t2"},
		{`local n, c = ri.var'main.first', 0; while n do c = c + 1; n = n.next end; print(c)`, "1000"},
		{`local s = 0; for k, v in ri.pairs(ri.var'big') do s = s + v end; print(s, ri.var'big'.name500)`, "499500\t500"},
		{`main.all.text`, `"hello"`},
		{`print(main.first.next.value, type(string.rep))`, "1\tfunction"},
		{`main.firts`, "ask:1: "},
		{`mian.first`, `ask:1: no variable or package mian; did you mean main?`},
		{`(n or 0) + 1`, "1"}, // a global that nobody set is nil, as Lua has it
		{`x = 1; print(x)`, "1"},
		// keys of several types
		{`local m = ri.var'main.alike'; print(m[1], m[3], m.w, m[4], m[ri.ref'main.small'])`,
			"int\tfloat64\tstring\tnil\tuint8"},
		{`ri.var'main.alike'[2]`, "ask:1: main.alike[2]: ambiguous: map[interface {}]string has the keys int64 2, uint8 2"},
		{`print(ri.eval'main.alike[1]', ri.eval'main.alike["w"]', ri.eval'main.alike[1.0]')`, "int\tstring\tfloat64"},
		{`ri.eval'main.alike[2]'`, "ask:1: main.alike[2]: ambiguous: map[interface {}]string has the keys int64 2, uint8 2"},
		{`print(ri.var'main.byNode'[ri.var'main.first'])`, "nil"},
		{`ri.var'main.byNode'[ri.var'main.all'.pair]`,
			"ask:1: main.byNode: a map[*main.Node]int has keys of type *main.Node, not a main.Pair[string,int]"},
		{`ri.var'main.big'[ri.var'main.first']`,
			"ask:1: main.big: a map[string]int has keys of type string, not a *main.Node"},
		{`ri.var'main.big'[7]`, "ask:1: main.big: a map[string]int has keys of type string, not the number 7"},
		{`ri.eval'main.small + 1'`, "ask:1: main.small + 1: operators need Lua"},
		// errors
		{`ri.var'main.broken'.next.next.value`, "ask:1: main.broken.next.next.value: address 0x18 is not mapped"},
		{`ri.var'all'.tetx`, `ask:1: all: no field "tetx" in main.Everything; did you mean text?; it has Base, Inner, b, `},
		{`ri.var'all'.stat`, `did you mean state`},
		{`ri.var'all'.state.x`, "ask:1: "},
		{`ri.var'main.al'`, "ask:1: "},
		{`ri.typeof(ri.var'all'.state)`, "ask:1: ri.typeof: the number 1 has lost its Go type: ask its place"},
		{`local v = ri.var'all'; v.state = 2`, "ask:1: a main.Everything can't be assigned to"},
		{`ri.name(ri.var'all')`, "has no named constants"},
		// places
		{`print(ri.ref(ri.var'all', 'state'), ri.value(ri.ref(ri.var'all', 'state')), ri.value(ri.ref'main.all.state'))`,
			"all.state\t1\t1"},
		{`print(ri.addr(ri.ref(ri.var'all', 'slice')) - ri.addr(ri.var'all') == ri.type'main.Everything'.fields[21].offset)`,
			"true"},
		{`print(ri.ref(ri.ref(ri.var'all', 'structs'), 1), ri.value(ri.ref(ri.ref(ri.ref(ri.var'all', 'structs'), 1), 'y')))`,
			"all.structs[1]\t2"},
		{`print(ri.addr(ri.var'main.first') == ri.addr(ri.var'all'.head), ri.var'main.first' == ri.var'all'.head,
			ri.var'main.first' == ri.var'main.cycle')`, "true\ttrue\tfalse"},
		{`ri.ref(ri.var'all', 'state').x`, "ask:1: a place is unread: ri.value(place) reads it"},
		{`local n = ri.var'main.first'; print(ri.at(ri.addr(n), 'main.Node').value,
			ri.at(ri.hex(ri.addr(n.next)), 'main.Node').value)`, "0\t1"},
		{`print(ri.eval'main.all.nodes[2].next.value', ri.eval'main.first.next'.value)`, "13\t1"},
		{`local t = ri.type'main.Point'; print(t.name, t.kind, t.size, t.fields[2].name, t.fields[2].offset,
			t.fields[2].type)`, "main.Point\tstruct\t16\ty\t8\tint"},
		{`print(ri.typeof(ri.var'main.first'), ri.typeof(ri.var'all'), ri.typeof(ri.var'all'.names))`,
			"*main.Node\tmain.Everything\tmap[string]int"},
		{`print(#ri.memory(ri.addr(ri.var'main.first'), 16), ri.memory(ri.addr(ri.ref(ri.var'all', 'u16')),
			2) == "\255\255")`, "16\ttrue"},
		// finding
		{`local f = ri.find1'main.hidden'; print(f.secret, ri.typeof(f))`, "found in a frame\tmain.hidden"},
		{`for _, f in ipairs(ri.find'main.hidden') do print(f.value.secret, f.where:find('^goroutine %d+: main') ~= nil,
			f.goroutine > 0) break end`, "found in a frame\ttrue\ttrue"},
		{`ri.find1'main.intHea'`, "ask:1: "},
		{`print(#ri.vars'^main%.' == 0, #ri.vars'^main\\.(first|cycle)$')`, "true\t2"},
		// goroutines
		{`for g in ri.goroutines() do local s = g:stack(); for i, f in ipairs(s) do if f.func == "main.(*hidden).serve" then
			print(g.status, g.wait_reason, ri.locals(g, i).h.secret, g.start.func, f.line > 0) end end end`,
			"waiting\tchan receive\tfound in a frame\tmain.main.func2.gowrap1\ttrue"},
		{`for g in ri.goroutines{system = true} do if g.id == 1 then print(g.id, g.system) end end`, "1\tfalse"},
		{`ri.goroutine(1).stat`, `ask:1: a goroutine has no "stat"; did you mean`},
		{`ri.goroutines{sytem = true}`, "ask:1: unknown option \"sytem\"; there are system, status"},
		{`print(ri.target().describe, ri.target().go:match('^go1') ~= nil, ri.buildinfo().path)`, "kinds\ttrue\tkinds"},
		// dump
		{`ri.dump(ri.var'all'.pair, {oneline = true})`, `"main.Pair[string,int]{key: \"k\", value: 9}"`},
		{`ri.var'all'.structs[0]`, "main.Point{"},
		{`ri.var'main.cycle'`, "&main.Node{"},
		{`tostring(ri.var'all'.slice)`, `"[]string{\"a\", \"b\", \"c\"}"`},
	} {
		if got := ask(t, space, test.source); got != test.want &&
			(strings.HasPrefix(test.want, "true") || len(test.want) < 4 || !strings.Contains(got, test.want)) {
			t.Errorf("%s\n got  %s\n want %s", test.source, got, test.want)
		}
	}
}

func TestPathIsCut(t *testing.T) {
	space := startKinds(t)
	got := ask(t, space, `local n = ri.var'main.first'; for i = 1, 500 do n = n.next end; print(n.vlaue)`)
	if !strings.Contains(got, "(*main.Node)(0x") || strings.Count(got, ".next") > maxPath {
		t.Error(got)
	}
}

// Layouts of the runtime and the standard library changed over the releases; walkers look for fields.
func TestReleases(t *testing.T) {
	if testing.Short() {
		t.Skip("builds with other releases")
	}
	for _, toolchain := range testprogram.Releases {
		t.Run(toolchain, func(t *testing.T) {
			space := startKindsOf(t, toolchain)
			for _, test := range []struct{ source, want string }{
				{`ri.target().go`, `"` + toolchain + `"`},
				{`local n, c = 0, 0; for k, x in ri.pairs(ri.var'main.all'.sync) do n = n + x; c = c + 1 end; print(n, c)`,
					"777\t39"},
				{`local n = 0; for k, x in ri.pairs(ri.var'main.big') do n = n + x end; print(n, ri.var'main.big'.name7)`,
					"499500\t7"},
				{`local v = ri.var'main.all'; print(v.count, v.flag, v.head.value, v.config, v.names.two, v.mixed[2.5])`,
					"77\ttrue\t0\tconfigured\t2\tfloat"},
				{`local v = ri.var'main.all'; print(#v.queue, v.queue[0], ri.chan(v.shut).closed,
					require('channel').state(v.queue).senders)`, "2\t11\ttrue\t0"},
				{`local sync = require 'sync'; print(sync.once(ri.var'main.all'.once), sync.mutex(ri.var'main.mutex').locked,
					sync.rwmutex(ri.var'main.rwmutex').readers, sync.waitgroup(ri.var'main.group').count)`, "false\ttrue\t2\t3"},
				{`ri.find1'main.hidden'.secret`, `"found in a frame"`},
				{`for g in ri.goroutines() do local s = g:stack(); for i, f in ipairs(s) do
					if f.func == "main.(*hidden).serve" then print(g.wait_reason) end end end`, "chan receive"},
			} {
				if got := ask(t, space, test.source); got != test.want {
					t.Errorf("%s\n got  %s\n want %s", test.source, got, test.want)
				}
			}
		})
	}
}

// Memory read as what it isn't: any error will do, but no panic, and no end of the walk out of sight.
func TestGarbage(t *testing.T) {
	space := startKinds(t)
	got := ask(t, space, `
local bad, tried = {}, 0
local function try(f, ...)
  tried = tried + 1
  local ok, err = pcall(f, ...)
  if not ok and tostring(err):find("internal error") then bad[#bad + 1] = tostring(err) end
  return ok and err or nil
end
local function look(v)
  try(tostring, v)
  try(function() return #v end)
  try(function() local n = 0; for k, x in ri.pairs(v) do try(tostring, x); n = n + 1; if n == 50 then break end end end)
  try(ri.func, v) try(ri.chan, v) try(ri.time, v) try(ri.isnil, v) try(ri.cap, v) try(ri.deref, v) try(ri.bytes, v, 0,
  	4) try(ri.text, v, 4)
  try(function() return v[0] end) try(function() return v.x end) try(ri.name, v) try(ri.json, v)
end
local base = ri.addr(ri.var'main.all')
local heap = ri.addr(ri.var'main.first')
local fields = ri.type'main.Everything'.fields
for i = 0, 150 do
  for _, start in ipairs{base + i * 5, heap + i * 7, i * 3, ri.int'0x7fffffffffff0000' + i} do
    local v = try(ri.at, start, 'main.Everything')
    if v then for j = 1, #fields, 1 + i % 7 do
      local x = try(function() return v[fields[j].name] end)
      if type(x) == 'userdata' then look(x) end
    end end
  end
end
print(#bad, bad[1], tried > 1000)`)
	if got != "0\tnil\ttrue" {
		t.Error(got)
	}
}
