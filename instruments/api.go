package instruments

// Function documents one function that scripts have.
type Function struct {
	Name      string // "ri.var", "list.each"
	Signature string // parameters and results with their types, as lua-language-server writes them
	Doc       string // first sentence: what it does
	Example   string // Lua; run on the program in testdata/kinds by a test
	Output    string // what the example prints; "": it is not run, or what it prints varies
	Group     string
}

// Groups of functions, in the order of the manual.
const (
	GroupFind       = "Finding values"
	GroupContents   = "What is in a value"
	GroupReductions = "Counting, adding up, choosing"
	GroupPlaces     = "Types, places and addresses"
	GroupNumbers    = "Exact integers"
	GroupGoroutines = "Goroutines"
	GroupResults    = "Results"
	GroupProgram    = "The program and the look"
)

// API lists the functions in ri, in the order of the manual.
func API() []Function { return append([]Function(nil), api...) }

var api = []Function{
	{"ri.var", "(name: string): value", "Reads a package variable, by its full name or a short one.",
		`print(ri.var'main.all'.text)`, "hello", GroupFind},
	{"ri.vars", "(pattern?: string): string[]", "Lists the full names of package variables that match a regular expression (Go's syntax).",
		`print(ri.vars[[^main\.(first|cycle)$]][1])`, "main.cycle", GroupFind},
	{"ri.types", "(pattern?: string): string[]", "Lists the full names of types that match a regular expression; ri.type describes one.",
		`print(table.concat(ri.types[[^main\.(Node|Inner)$]], ' '))`, "main.Inner main.Node", GroupFind},
	{"ri.find", "(type: string, {depth?: int, max?: int}): {value, where: string, goroutine: int}[]",
		"Looks for values of a type in package variables, in goroutines' frames and closures, and, where those have none, through up to depth (3) pointers from them.",
		`for _, f in ipairs(ri.find'main.hidden') do print(f.value.secret) break end`, "found in a frame", GroupFind},
	{"ri.find1", "(type: string, {depth?: int}): value, string", "Gives the first value that ri.find finds and where it was; an error if there is none.",
		`print(ri.find1'main.hidden'.secret)`, "found in a frame", GroupFind},
	{"ri.at", "(address: int|string, type: string): value", "Reads a value of a type at an address; nil at address 0.",
		`local n = ri.var'main.first'; print(ri.at(ri.addr(n), 'main.Node').value)`, "0", GroupFind},
	{"ri.eval", "(expr: string): value", "Evaluates a Go selector expression: variables, fields, indexes, keys, conversions, dereferences; composite literals as keys; find(T), the only value of a type; no calls.",
		`print(ri.eval'main.all.nodes[2].next.value')`, "13", GroupFind},

	{"ri.pairs", "(v: value): iterator", "Iterates over an array or slice (index, element), a map (key, element; the order of memory), a channel's buffer, or a type with a walker in lib/ (container/list, container/ring, sync.Map). nil is empty; a key that is nil is ri.null.",
		`for i, s in ri.pairs(ri.var'main.all'.slice) do print(i, s) end`, "0\ta\n1\tb\n2\tc", GroupContents},
	{"ri.null", "", "Stands for nil as the key that an iterator gives, since a nil would end the loop; also m[ri.null]. Prints as nil, is null in JSON and rows, and equals only itself.",
		`for k in ri.pairs(ri.var'main.nilKeys') do if k == ri.null then print(k) end end`, "nil", GroupContents},
	{"ri.linked", "(head: value, field: string): iterator", "Iterates over a chain of structs (index from 0, node), along a field; an error where it leads back into itself. ri.count and the like run it in Go.",
		`for i, n in ri.linked(ri.var'main.all'.nodes[2], 'next') do print(i, n.value) end`, "0\t12\n1\t13", GroupContents},
	{"ri.len", "(v: value|place): int", "The length of a string, array, slice, map or channel; as #v, but a place, a string and nil will do too.",
		`print(ri.len(ri.ref(ri.var'main.all', 'text')), #ri.var'main.all'.slice)`, "5\t3", GroupContents},
	{"ri.cap", "(v: value|place): int", "The capacity of an array, slice or channel.",
		`print(ri.cap(ri.var'main.all'.queue))`, "5", GroupContents},
	{"ri.isnil", "(v: any): boolean", "Whether a value is nil: tells a nil slice or map from an empty one. Other nils are Lua's nil.",
		`local all = ri.var'main.all'; print(ri.isnil(all.none), ri.isnil(all.blank))`, "true\tfalse", GroupContents},
	{"ri.text", "(v: value|place, max?: int): string, int", "A string's first max bytes (a MiB), and its full length: for strings that are too long to be read whole.",
		`print(ri.text(ri.ref(ri.var'main.all', 'text'), 2))`, "he\t5", GroupContents},
	{"ri.bytes", "(v: value|place|string, from?: int, to?: int): string", "Bytes [from, to) of a []byte, a byte array or a string, counted from 0.",
		`print(ri.bytes(ri.var'main.all'.bytes, 1, 3))`, "yt", GroupContents},
	{"ri.memory", "(address: int|string, n: int): string", "n bytes of memory.",
		`print(ri.hex(ri.memory(ri.addr(ri.var'main.first'.next), 4)))`, "01000000", GroupContents},
	{"ri.func", "(f: value): {name, file, line, pc, captured: table}", "What a func value holds: the function, and what a closure captured, by name.",
		`print(ri.func(ri.var'main.all'.f).name, ri.func(ri.var'main.all'.closure).captured.captured)`, "main.double\t7", GroupContents},
	{"ri.chan", "(c: value): {len, cap, closed, addr, elem}", "The state of a channel.",
		`local c = ri.chan(ri.var'main.all'.queue); print(c.len, c.cap, c.closed)`, "2\t5\tfalse", GroupContents},
	{"ri.time", "(t: value|place): {unix, nsec, text, zero}", "A time.Time: seconds since 1970, nanoseconds, RFC 3339.",
		`print(ri.time(ri.var'main.all'.when).text)`, "2023-11-14T22:13:20.000000005Z", GroupContents},
	{"ri.age", "(t: value|place): number?", "Seconds from a time.Time to the target's now; nil for the zero time.",
		`print(ri.age(ri.var'main.all'.never))`, "nil", GroupContents},
	{"ri.duration", "(nanoseconds: int): string", "A time.Duration as Go prints it. In Lua a Duration is its nanoseconds.",
		`print(ri.duration(ri.var'main.all'.took))`, "1.5s", GroupContents},
	{"ri.match", "(text: string, pattern: string): boolean", "Whether a pattern is part of a text, as it is written or as a regular expression (Go's syntax).",
		`print(ri.match('main.(*Node).walk', '(*Node)'), ri.match('main.walk', [[^main\.w.*k$]]))`, "true\ttrue", GroupContents},
	{"ri.real", "(c: value): number", "The real part of a complex number.",
		`print(ri.real(ri.var'main.all'.c128))`, "1", GroupContents},
	{"ri.imag", "(c: value): number", "The imaginary part of a complex number.",
		`print(ri.imag(ri.var'main.all'.c128))`, "2", GroupContents},
	{"ri.dump", "(v: any, {depth?: int, elems?: int, bytes?: int, oneline?: boolean}): string", "A value in Go syntax, as far as the bounds go; broken parts say why in their place.",
		`print(ri.dump(ri.var'main.all'.pair, {oneline = true}))`, `main.Pair[string,int]{key: "k", value: 9}`, GroupContents},
	{"ri.json", "(v: any): string", "JSON: integers exact, NaN and Inf as strings, a string that isn't UTF-8 as {\"$b64\": ...}.",
		`print(ri.json{id = ri.int'18446744073709551615', list = {1, 2}})`, `{"id":18446744073709551615,"list":[1,2]}`, GroupContents},

	{"ri.count", "(what: value|iterator, where?: condition): int",
		"Counts the elements of an array, slice, map, channel, container/list, of a chain (ri.linked) or of ri.where, in Go: tens of millions a second.",
		`print(ri.count(ri.linked(ri.var'main.first', 'next')), ri.count(ri.var'main.big', {'value', '<', 10}))`, "1000\t10", GroupReductions},
	{"ri.sum", "(what: value|iterator, field?: string, where?: condition): number, int",
		"Adds up a part of the elements, and says how many were added. Integers are added exactly; a sum beyond 64 bits is an error.",
		`print(ri.sum(ri.linked(ri.var'main.first', 'next'), 'value'), ri.sum(ri.var'main.all'.array))`, "499500\t10\t4", GroupReductions},
	{"ri.where", "(what: value|iterator, where: condition): iterator",
		"Iterates over the elements (index or key, element) for which a condition holds.",
		`for k, v in ri.where(ri.var'main.all'.names, {'value', '>=', 3}) do print(k, v) end`, "three\t3", GroupReductions},
	{"ri.group", "(what: value|iterator, by: string, sum?: string, where?: condition): {key, count: int, sum?: number}[]",
		"Counts the elements by what they have in a part, the largest group first, and adds up another part.",
		`for _, g in ipairs(ri.group(ri.var'main.jobs', 'owner.name', 'size')) do print(g.key, g.count, g.sum) end`, "ann\t3\t35\nbob\t2\t12\nnil\t1\t7", GroupReductions},
	{"ri.top", "(what: value|iterator, n: int, by?: string, where?: condition): {key, value, by: number}[]",
		"Gives the n elements with the largest numbers in a part, the largest first.",
		`for _, t in ipairs(ri.top(ri.var'main.jobs', 2, 'size', {'owner', '~=', nil})) do print(t.key, t.value.size, t.by) end`, "4\t20\t20\n1\t10\t10", GroupReductions},

	{"ri.typeof", "(v: value|place): string", "The Go type. A number or string has lost it: ask its place.",
		`print(ri.typeof(ri.var'main.first'), ri.typeof(ri.ref(ri.var'main.all', 'state')))`, "*main.Node\tmain.State", GroupPlaces},
	{"ri.type", "(name: string|value|place): {name, kind, size, fields?, elem?, key?, len?, constants?}", "Describes a type; fields have name, offset, type, size, embedded.",
		`local t = ri.type'main.Point'; print(t.size, t.fields[2].name, t.fields[2].offset)`, "16\ty\t8", GroupPlaces},
	{"ri.ref", "(v: value|place, field: string|index: int|key: any): place; (expr: string): place", "The place where a field, element or expression lives, unread.",
		`print(ri.ref(ri.var'main.all', 'state'), ri.ref'main.all.names')`, "main.all.state\tmain.all.names", GroupPlaces},
	{"ri.value", "(p: place): any", "Reads what is at a place.",
		`print(ri.value(ri.ref(ri.var'main.all', 'state')))`, "1", GroupPlaces},
	{"ri.addr", "(v: value|place, field?): int", "The address: of a pointer, what it points to; else where the value lives. What to use as a table key for a value; nil is 0.",
		`local n = ri.var'main.first'; print(ri.addr(n) == ri.addr(ri.var'main.all'.head))`, "true", GroupPlaces},
	{"ri.deref", "(p: value|place): any", "What a pointer to something else than a struct points to (v.field follows pointers to structs by itself).",
		`print(ri.deref(ri.var'main.all'.pointer))`, "41", GroupPlaces},
	{"ri.cast", "(v: value|place, type: string): value", "The memory of a value read as another type, as unsafe.Pointer does.",
		`print(ri.cast(ri.var'main.all'.structs[1], '[2]int')[0])`, "2", GroupPlaces},
	{"ri.name", "(v: value|place, field?): string", "The name of the constant that a named integer equals; its digits if there is none.",
		`print(ri.name(ri.var'main.all', 'state'))`, "main.StateBusy", GroupPlaces},

	{"ri.int", "(v: string|number): int", "An exact integer of 64 bits, from text (decimal, 0x, 0b) or an integral number.",
		`print(ri.int'9007199254740993' + 1)`, "9007199254740994", GroupNumbers},
	{"ri.float", "(v: int|number): number", "The nearest number.",
		`print(ri.float(ri.int'9007199254740993'))`, "9007199254740992", GroupNumbers},
	{"ri.cmp", "(a, b: int|number|string): int", "Compares: -1, 0 or 1. Lua itself can't compare an exact integer with a number.",
		`print(ri.cmp(ri.int'9007199254740993', 5))`, "1", GroupNumbers},
	{"ri.hex", "(v: int|string): string", "An integer as 0x..., a string's bytes as hexadecimal digits.",
		`print(ri.hex(255), ri.hex'ab')`, "0xff\t6162", GroupNumbers},
	{"ri.bit.band", "(a, b, ...: int): int", "Bitwise and, on 64 bits without sign.",
		`print(ri.bit.band(0xff, 0x0f))`, "15", GroupNumbers},
	{"ri.bit.bor", "(a, b, ...: int): int", "Bitwise or.",
		`print(ri.bit.bor(1, 2, 4))`, "7", GroupNumbers},
	{"ri.bit.bxor", "(a, b, ...: int): int", "Bitwise exclusive or.",
		`print(ri.bit.bxor(3, 1))`, "2", GroupNumbers},
	{"ri.bit.bnot", "(a: int): int", "All 64 bits turned over.",
		`print(ri.bit.bnot(0))`, "18446744073709551615", GroupNumbers},
	{"ri.bit.lshift", "(a, n: int): int", "Shifts left by n; bits beyond 64 are lost.",
		`print(ri.bit.lshift(1, 10))`, "1024", GroupNumbers},
	{"ri.bit.rshift", "(a, n: int): int", "Shifts right by n, zeros come in.",
		`print(ri.bit.rshift(1024, 10))`, "1", GroupNumbers},

	{"ri.goroutines", "({system?: boolean, status?: string}): iterator of goroutine", "Iterates over goroutines, without the runtime's own unless system. A goroutine has id, addr, status, wait_reason, wait (seconds, nil where not recorded), parent, created_by and start ({func, file, line}), thread, system.",
		`for g in ri.goroutines() do if g.id == 1 then print(g.start.func) end end`, "runtime.main", GroupGoroutines},
	{"ri.stacks", "({system?: boolean, depth?: int, labels?: boolean, wait?: number}): {count: int, ids: int[], status, wait_reason, wait?, frames, labels?: table, broken?}[]", "Groups goroutines by state and stack (its innermost depth functions, 256), in Go, so that a hundred thousand take no time. ids are the first thousand; wait is the longest, frames are as ri.stack gives them. With labels those with different pprof labels are different groups; with wait only those known to wait for so many seconds count.",
		`for _, s in ipairs(ri.stacks()) do if s.ids[1] == 1 then print(s.count, s.frames[#s.frames - 1].func) end end`, "1\truntime.main", GroupGoroutines},
	{"ri.goroutine", "(id: int): goroutine?", "The goroutine with an id.",
		`print(ri.goroutine(1).id)`, "1", GroupGoroutines},
	{"ri.stack", "(g: goroutine, max?: int): {func, file, line, pc, inlined}[], string?", "A goroutine's frames, innermost first, and where unwinding broke off if it did; also g:stack(max).",
		`local s = ri.goroutine(1):stack(); print(s[#s - 1].func)`, "runtime.main", GroupGoroutines},
	{"ri.locals", "(g: goroutine, frame: int): table, int", "Arguments and locals of a frame (from 1) by name, and how many optimised code no longer holds; also g:locals(frame).",
		"for g in ri.goroutines() do\n  for i, f in ipairs(g:stack()) do\n    if f.func == 'main.(*hidden).serve' then print(g:locals(i).h.secret) end\n  end\nend", "found in a frame", GroupGoroutines},
	{"ri.labels", "(g: goroutine): table", "A goroutine's pprof labels; also g:labels().",
		`print(ri.labels(ri.goroutine(1)).job)`, "nil", GroupGoroutines},

	{"ri.emit", "(row: table)", "Gives a row. Declared columns are always in it; others follow in the order in which they were written.",
		`ri.emit{id = 1, name = ri.var'main.all'.text}`, "", GroupResults},
	{"ri.sample", "(frames: {func, file?, line?, pc?}[], value: int|int[], labels?: table)", "Gives a stack, innermost frame first, with what the header's profile declares to be counted. --pprof FILE and --folded FILE write these to a file; nothing is kept where neither was asked for.",
		`for _, s in ipairs(ri.stacks()) do ri.sample(s.frames, s.count) end`, "", GroupResults},
	{"ri.finding", "({what: string, severity?: 'info'|'warning'|'critical', where?: string, evidence?: string|string[], next?: string})", "Gives a conclusion: something is wrong. ri then exits with code 3.",
		`ri.finding{severity = 'critical', what = 'the queue is full', where = 'main.all.queue', next = 'who receives?'}`, "", GroupResults},
	{"ri.log", "(...)", "Writes to standard error.",
		`ri.log('looked at', 3, 'nodes')`, "", GroupResults},
	{"ri.progress", "(done: int, total?: int, message?: string)", "Says how far a long run is.",
		`ri.progress(10, 100, 'nodes')`, "", GroupResults},
	{"print", "(...)", "Prints a line to the result, for scripts without rows.",
		`print('x', 1)`, "x\t1", GroupResults},

	{"ri.params", "(): table", "The parameters, as run gets them.",
		`print(ri.params().limit)`, "nil", GroupProgram},
	{"ri.target", "(): {pid, describe, view, go}", "What is looked at, how, and the Go release that built it.",
		`print(ri.target().view)`, "live", GroupProgram},
	{"ri.buildinfo", "(): {go, path, version, id, settings: table, modules: {path, version, replaced}[]}", "The program's build information.",
		`print(ri.buildinfo().settings.GOARCH)`, "amd64", GroupProgram},
	{"ri.now", "(): number", "The target's now, in seconds since 1970.",
		`print(ri.now() > 1.7e9)`, "true", GroupProgram},
	{"ri.memo", "(key: string, value?: number|string|boolean): any", "Keeps a value for the script's next run on this target, or gives the one that was kept. A script runs on live memory first and then, from the start, on what is consistent: what the first run searched for, the second need only check.",
		`print(ri.memo('answer', 42), ri.memo'answer')`, "42\t42", GroupProgram},
	{"ri.atlimit", "(f: function)", "Has f called if a limit (of time, or of the stop) ends the script: it emits what was gathered so far. It has half a second, and nothing of the target can be read any more.",
		`local sum = 0; ri.atlimit(function() ri.emit{sum = sum} end)`, "", GroupProgram},
	{"ri.again", "(seconds: number)", "Waits (the target runs), then takes a new look at it. Values from before stay addresses: what they lead to may be gone.",
		`ri.again(0.5)`, "", GroupProgram},
	{"require", "(module: string): any", "Loads a module from the script folders, once: require 'list' is lib/list.lua.",
		`print(require('list').validate(ri.var'main.all'.list))`, "true\t3", GroupProgram},
}
