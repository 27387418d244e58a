package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
)

func TestReductions(t *testing.T) {
	space := startKinds(t)
	for _, test := range []struct{ source, want string }{
		{`print(ri.count(nil), ri.count(ri.var'noInts'), ri.count(ri.var'ints'), ri.count(ri.var'jobValues'),
			ri.count(ri.var'jobsByKey'), ri.count(ri.var'jobQueue'), ri.count(ri.var'jobList'))`,
			"0\t0\t3\t3\t3\t2\t6"},
		{`print(ri.count(ri.ref'main.ints'), ri.count(ri.linked(nil, 'next')), ri.count(ri.linked(ri.var'first', 'next')))`,
			"3\t0\t1000"},
		{`print(ri.count(ri.linked(ri.var'jobs'[0], 'link.next')), ri.count(ri.linked(ri.var'jobs'[1], 'after')),
			ri.count(ri.var'all'.emptyList))`, "6\t5\t0"},
		{`print(ri.sum(ri.var'jobs', 'size'), ri.sum(ri.var'jobValues', 'size'), ri.sum(ri.var'jobsByKey', 'value.size'))`,
			"54\t6\t15\t2"},
		{`print(ri.sum(ri.var'jobList', 'size'), ri.sum(ri.var'jobQueue', 'size'), ri.sum(ri.var'anyJobs', 'size'))`,
			"54\t18\t154\t7"},
		{`print(ri.sum(ri.var'jobs', 'promoted'), ri.sum(ri.var'jobs', 'debt'), ri.sum(ri.var'jobs', 'times'),
			ri.sum(ri.var'jobs', 'weight'), ri.sum(ri.var'jobs', 'self.link.next.size'))`,
			"15\t-15\t-15\t27\t49\t5"},
		{`print(ri.sum(ri.var'jobs', 'left'))`, "ask:1: integer overflow: 110680464442257309675 is beyond 64 bits"},
		{`print(ri.sum(ri.var'big64', '', {'', '<', 6}), (ri.sum(ri.var'low64')), ri.sum(ri.var'noInts'),
			ri.sum(ri.var'floats', '', {'', '>', 1}))`, "5\t-2\t0\t3.75\t2"},
		{`print(ri.sum(ri.var'low64', nil, {{'', '<', 0}, {'', '>', -5}}))`, "-1\t1"},
		{`print(ri.sum(ri.var'big64', nil, {'', '==', ri.int'18446744073709551615'}))`, "beyond 64 bits"},
		{`print(ri.count(ri.var'low64', {'', '==', ri.int'-9223372036854775808'}), ri.count(ri.var'big64', {'', '>', -1}),
			ri.count(ri.var'ints', {'', '>=', 1.5}))`, "1\t3\t2"},
		{`print(ri.count(ri.var'words', {'', '==', 'b'}), ri.count(ri.var'words', {'', '<', 'b'}),
			ri.count(ri.var'words', {'', '~=', 'b'}))`, "2\t2\t2"},
		{`print(ri.count(ri.var'jobs', {'done', '==', true}), ri.count(ri.var'jobs', {'owner', '==', nil}),
			ri.count(ri.var'jobs', {'owner.name', '~=', 'ann'}), ri.count(ri.var'jobs', {'owner.name', '==', nil}))`,
			"1\t1\t3\t1"},
		{`print(ri.count(ri.var'jobs', {'state', '==', 'StateBusy'}),
			ri.count(ri.var'jobs', {'state', '==', 'main.StateIdle'}),
			ri.count(ri.var'jobs', {'self', '==', ri.var'jobs'[2]}))`, "3\t3\t1"},
		{`print(ri.count(ri.var'jobs', {'extra', '>', 6}), ri.count(ri.var'jobs', {'extra', '==', 'text'}),
			ri.count(ri.var'anyJobs', {'size', '==', nil}))`, "3\t1\t1"},
		{`print(ri.count(ri.var'floats', {'', '==', 0/0}), ri.count(ri.var'floats', {'', '~=', 0/0}))`, "0\t4"},
		{`for k, v in ri.where(ri.var'jobs', {{'size', '>', 5}, {'size', '<', 10}}) do print(k, v.size, ri.typeof(v)) end`,
			"2\t8\t*main.Job\n5\t7\t*main.Job"},
		{`for k, v in ri.where(ri.var'jobsByKey', {'key', '==', 'b'}) do print(k, v.size) end`, "b\t10"},
		{`for k, v in ri.where(ri.linked(ri.var'jobs'[0], 'link.next'), {'size', '==', 20}) do
			print(k, v.size, ri.typeof(v), v == ri.var'jobs'[4]) end`, "4\t20\t*main.Job\ttrue"},
		{`for k, v in ri.where(ri.var'jobList', {'owner', '==', nil}) do print(k, v.size) end`, "5\t7"},
		{`for k, v in ri.where(ri.var'jobQueue', {'size', '>', 0}) do print(k, v.size) end`, "0\t10\n1\t8"},
		{`local w = ri.where(ri.var'jobs', {'size', '>', 5});
			print(ri.count(w), ri.sum(w, 'size'), ri.count(ri.where(w, {'size', '<', 10})))`, "4\t45\t2"},
		{`for k in ri.where(nil, {'x', '==', 1}) do print(k) end; print(ri.count(ri.where(nil, {'x', '==', 1})))`, "0"},
		{`for _, g in ipairs(ri.group(ri.var'words')) do print(g.key, g.count) end`, "bad argument #2"},
		{`for _, g in ipairs(ri.group(ri.var'words', '')) do print(g.key, g.count, g.sum) end`,
			"b\t2\tnil\na\t1\tnil\n\t1\tnil"},
		{`for _, g in ipairs(ri.group(ri.var'jobs', 'owner')) do print(g.key and g.key.name, g.count) end`,
			"ann\t3\nbob\t2\nnil\t1"},
		{`for _, g in ipairs(ri.group(ri.var'jobs', 'state', 'weight', {'size', '>', 4})) do
			print(g.key, g.count, g.sum) end`, "0\t3\t16.5\n1\t2\t8.5"},
		{`for _, g in ipairs(ri.group(ri.var'jobs', 'extra')) do if g.key == 'text' then print(g.count) end end`, "1"},
		{`for _, g in ipairs(ri.top(ri.var'jobs', 2, 'left')) do print(g.key, g.by, g.value.size) end`,
			"0\t18446744073709551615\t5\n1\t18446744073709551614\t10"},
		{`for _, g in ipairs(ri.top(ri.var'floats', 9)) do print(g.key, g.value, g.by) end`,
			"3\t2.25\t2.25\n0\t1.5\t1.5\n2\t-Inf\t-Inf"},
		{`for _, g in ipairs(ri.top(ri.var'jobsByKey', 1, 'value.size')) do print(g.key, g.value.size, g.by) end`,
			"b\t10\t10"},
		{`print(#ri.top(ri.var'jobs', 0, 'size'), #ri.top(nil, 3, 'size'), #ri.group(nil, 'x'), ri.sum(nil, 'x'))`,
			"0\t0\t0\t0\t0"},
		// what is wrong is told with the Go path
		{`ri.count(ri.linked(ri.var'cycle', 'next'))`, "ask:1: cycle: node 3, (*main.Node)(0x"},
		{`ri.count(ri.linked(ri.var'cycle', 'next'))`, "the list is a ring: after 3 nodes it is at 0x"},
		{`ri.sum(ri.linked(ri.var'cycle', 'next'), 'value')`, "the list is a ring: after"},
		{`ri.count(ri.linked(ri.var'broken', 'next'))`,
			"broken: node 2, (*main.Node)(0x18).next: address 0x20 is not mapped"},
		{`ri.sum(ri.linked(ri.var'broken', 'next'), 'value')`,
			"broken: node 2, (*main.Node)(0x18).value: address 0x18 is not mapped"},
		{`ri.sum(ri.var'badJobs', 'size')`, "ask:1: badJobs[2].size: address 0x18 is not mapped"},
		{`for k, v in ri.where(ri.var'badJobs', {'size', '>', 1}) do print(k) end`,
			"badJobs[2].size: address 0x18 is not mapped"},
		{`ri.count(ri.var'all'.badList)`, "all.badList[3]: the list is a ring"},
		{`ri.sum(ri.var'jobs', 'sise')`, `ask:1: jobs: no field "sise" in main.Job; did you mean size?`},
		{`ri.sum(ri.var'jobsByKey', 'size')`, `what is asked of a map begins with key or value, as in "value.size"`},
		{`ri.sum(ri.var'jobs', 'owner.name')`, "jobs: owner.name has type string, which can't be added up"},
		{`ri.sum(ri.var'jobs', 'extra')`, "jobs[4].extra: a string can't be added up"},
		{`ri.sum(ri.var'anyJobs', 'owner.nam')`, `anyJobs[0].owner.nam: no field "nam" in main.Owner; did you mean name?`},
		{`ri.top(ri.var'jobs', 3, 'owner')`, "jobs: owner has type *main.Owner, which has no order"},
		{`ri.group(ri.var'jobs', 'link')`, "which is no single value: name a field of it"},
		{`ri.count(ri.var'jobs', {'size', '>', 'x'})`,
			`jobs: {"size", ">", the string "x"}: size has type int, which has no constant x`},
		{`ri.count(ri.var'jobs', {'owner.name', '>', 1})`, "owner.name has type string, not a number"},
		{`ri.count(ri.var'jobs', {'size', '=', 1})`, "a condition is {field, op, value}"},
		{`ri.count(ri.var'jobs', {'size', '<', nil})`, "nil has no order"},
		{`ri.count(ri.var'jobs', {'size', '<', {}})`, "a table can't be compared"},
		{`ri.count(ri.linked(ri.var'first', 'value'))`, "first: main.Node.value is of type int, not a *main.Node"},
		{`ri.count(ri.linked(ri.var'jobs'[0], 'other'))`, "main.Job.other is of type *main.Owner, not a *main.Job"},
		{`ri.count({1, 2})`, "bad argument #1"},
		{`ri.count(function() end)`, "bad argument #1"},
		{`ri.count(ri.var'all'.square)`, "all.square: a main.Square can't be gone through in Go"},
		{`ri.count(ri.var'all'.sync)`, "or loop in Lua with ri.pairs"},
	} {
		got := ask(t, space, test.source)
		if got != test.want && (!strings.HasPrefix(got, "ask:1") && !strings.Contains(got, "\nask") ||
			!strings.Contains(strings.ReplaceAll(got, "main.badJobs", "badJobs"), strings.TrimPrefix(test.want, "ask:1: "))) {
			t.Errorf("%s\n got  %s\n want %s", test.source, got, test.want)
		}
	}
}

// A reduction over garbage ends when the run does.
func TestReductionEnds(t *testing.T) {
	space := startKinds(t)
	h := New(Options{Space: space, Limits: Limits{Time: 50 * time.Millisecond},
		Folders: []fs.FS{os.DirFS("../../scripts/lua")}})
	defer h.Close()
	// An array of 2^40 nothings.
	script, err := CompileScript("test.lua",
		`while true do pcall(ri.count, ri.where(ri.cast(ri.var'main.noInts', '[]struct {}'), {'', '==', nil}));
			ri.count(ri.linked(ri.var'main.first', 'next'), {'value', '>', 5}) end`)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(context.Background(), script, nil); !errors.Is(err, ErrTime) {
		t.Error(err)
	}
}

// Releases with other maps and lists.
func TestReductionsOldGo(t *testing.T) {
	space := startKindsOf(t, "go1.20.14")
	const source = `print(ri.count(ri.var'jobsByKey', {'value', '~=', nil}), ri.sum(ri.var'jobsByKey', 'value.size'),
		ri.sum(ri.var'jobList', 'size'), ri.count(ri.linked(ri.var'jobs'[0], 'after')),
		(ri.sum(ri.var'records', 'value.size')))`
	if got := ask(t, space, source); got != "2\t15\t54\t6\t499500" {
		t.Error(got)
	}
}
