package lang

import "slices"

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
	GroupHeap       = "The heap"
	GroupResults    = "Results"
	GroupProgram    = "The program and the look"
	GroupChanges    = "Changing"
)

// API lists the functions in ri, in the order of the manual.
func API() []Function { return slices.Concat(ofValues, ofProgram) }

// ofValues are the functions that work on values.
var ofValues = []Function{
	{"ri.var", "(name: string): value", "Reads a package variable, by its full name or a short one.",
		`print(ri.var'main.all'.text)`, "hello", GroupFind},
	{"ri.vars", "(pattern?: string): string[]",
		"Lists the full names of package variables that match a regular expression (Go's syntax).",
		`print(ri.vars[[^main\.(first|cycle)$]][1])`, "main.cycle", GroupFind},
	{"ri.types", "(pattern?: string): string[]",
		"Lists the full names of types that match a regular expression; ri.type describes one.",
		`print(table.concat(ri.types[[^main\.(Node|Inner)$]], ' '))`, "main.Inner main.Node", GroupFind},
	{"ri.find", "(type: string, {depth?: int, max?: int, all?: boolean}): {value, where: string, goroutine: int, " +
		"stack: boolean}[]",
		"Looks for values of a type in package variables, in goroutines' frames and closures, and, where those have none " +
			"(or in any case: all), through up to depth (3) pointers from them; with depth -1 not through any. What lies on " +
			"a stack may be left over there: from a variable that the code has no more use for nothing is followed.",
		`for _, f in ipairs(ri.find'main.hidden') do print(f.value.secret) break end`, "found in a frame", GroupFind},
	{"ri.find1", "(type: string, {depth?: int}): value, string",
		"Gives the first value that ri.find finds and where it was; an error if there is none.",
		`print(ri.find1'main.hidden'.secret)`, "found in a frame", GroupFind},
	{"ri.at", "(address: int|string, type: string): value", "Reads a value of a type at an address; nil at address 0.",
		`local n = ri.var'main.first'; print(ri.at(ri.addr(n), 'main.Node').value)`, "0", GroupFind},
	{"ri.eval", "(expr: string, names?: {[string]: any}): value",
		"Evaluates a Go selector expression: variables, fields, indexes, slices, keys, conversions, type assertions, " +
			"dereferences; composite literals as keys; find(T), the only value of a type, or find(T, 'where'), the one that " +
			"ri find shows at WHERE; no calls. names are values of the script that it may use.",
		`print(ri.eval'main.all.nodes[2].next.value')`, "13", GroupFind},

	{"ri.pairs", "(v: value): iterator",
		"Iterates over an array or slice (index, element), a map (key, element; the order of memory), a channel's buffer, " +
			"or a type with a walker in lib/ (container/list, container/ring, sync.Map). nil is empty; a key that is " +
			"nil is ri.null.",
		`for i, s in ri.pairs(ri.var'main.all'.slice) do print(i, s) end`, "0\ta\n1\tb\n2\tc", GroupContents},
	{"ri.null", "", "Stands for nil as the key that an iterator gives, since a nil would end the loop; also " +
		"m[ri.null]. Prints as nil, is null in JSON and rows, and equals only itself.",
		`for k in ri.pairs(ri.var'main.nilKeys') do if k == ri.null then print(k) end end`, "nil", GroupContents},
	{"ri.linked", "(head: value, field: string): iterator",
		"Iterates over a chain of structs (index from 0, node), along a field; an error where it leads back into itself. " +
			"ri.count and the like run it in Go.",
		`for i, n in ri.linked(ri.var'main.all'.nodes[2], 'next') do print(i, n.value) end`, "0\t12\n1\t13", GroupContents},
	{"ri.len", "(v: value|place): int",
		"The length of a string, array, slice, map or channel; as #v, but a place, a string and nil will do too.",
		`print(ri.len(ri.ref(ri.var'main.all', 'text')), #ri.var'main.all'.slice)`, "5\t3", GroupContents},
	{"ri.cap", "(v: value|place): int", "The capacity of an array, slice or channel.",
		`print(ri.cap(ri.var'main.all'.queue))`, "5", GroupContents},
	{"ri.isnil", "(v: any): boolean",
		"Whether a value is nil: tells a nil slice or map from an empty one. Other nils are Lua's nil.",
		`local all = ri.var'main.all'; print(ri.isnil(all.none), ri.isnil(all.blank))`, "true\tfalse", GroupContents},
	{"ri.text", "(v: value|place, max?: int): string, int",
		"A string's first max bytes (a MiB), and its full length: for strings that are too long to be read whole.",
		`print(ri.text(ri.ref(ri.var'main.all', 'text'), 2))`, "he\t5", GroupContents},
	{"ri.bytes", "(v: value|place|string, from?: int, to?: int): string",
		"Bytes [from, to) of a []byte, a byte array or a string, counted from 0.",
		`print(ri.bytes(ri.var'main.all'.bytes, 1, 3))`, "yt", GroupContents},
	{"ri.memory", "(address: int|string, n: int): string", "n bytes of memory.",
		`print(ri.hex(ri.memory(ri.addr(ri.var'main.first'.next), 4)))`, "01000000", GroupContents},
	{"ri.func", "(f: value): {name, file, line, pc, captured: table}",
		"What a func value holds: the function, and what a closure captured, by name.",
		`print(ri.func(ri.var'main.all'.f).name, ri.func(ri.var'main.all'.closure).captured.captured)`, "main.double\t7",
		GroupContents},
	{"ri.chan", "(c: value): {len, cap, closed, addr, elem}", "The state of a channel.",
		`local c = ri.chan(ri.var'main.all'.queue); print(c.len, c.cap, c.closed)`, "2\t5\tfalse", GroupContents},
	{"ri.time", "(t: value|place): {unix, nsec, text, zero}", "A time.Time: seconds since 1970, nanoseconds, RFC 3339.",
		`print(ri.time(ri.var'main.all'.when).text)`, "2023-11-14T22:13:20.000000005Z", GroupContents},
	{"ri.age", "(t: value|place): number?", "Seconds from a time.Time to the target's now; nil for the zero time.",
		`print(ri.age(ri.var'main.all'.never))`, "nil", GroupContents},
	{"ri.duration", "(nanoseconds: int): string", "A time.Duration as Go prints it. In Lua a Duration is its nanoseconds.",
		`print(ri.duration(ri.var'main.all'.took))`, "1.5s", GroupContents},
	{"ri.match", "(text: string, pattern: string): boolean",
		"Whether a pattern is part of a text, as it is written or as a regular expression (Go's syntax).",
		`print(ri.match('main.(*Node).walk', '(*Node)'), ri.match('main.walk', [[^main\.w.*k$]]))`, "true\ttrue",
		GroupContents},
	{"ri.real", "(c: value): number", "The real part of a complex number.",
		`print(ri.real(ri.var'main.all'.c128))`, "1", GroupContents},
	{"ri.imag", "(c: value): number", "The imaginary part of a complex number.",
		`print(ri.imag(ri.var'main.all'.c128))`, "2", GroupContents},
	{"ri.dump", "(v: any, {depth?: int, elems?: int, bytes?: int, oneline?: boolean}): string",
		"A value in Go syntax, as far as the bounds go; broken parts say why in their place.",
		`print(ri.dump(ri.var'main.all'.pair, {oneline = true}))`, `main.Pair[string,int]{key: "k", value: 9}`,
		GroupContents},
	{"ri.json", "(v: any): string",
		"JSON: integers exact, NaN and Inf as strings, a string that isn't UTF-8 as {\"$b64\": ...}.",
		`print(ri.json{id = ri.int'18446744073709551615', list = {1, 2}})`, `{"id":18446744073709551615,"list":[1,2]}`,
		GroupContents},
	{"ri.decode", "(text: string): any", "Reads JSON: objects and arrays are tables, integers are exact, null is nil.",
		`print(ri.decode('{"list": [1, 2.5]}').list[2])`, "2.5", GroupContents},
	{"ri.crc32", "(text: string): int", "The CRC-32 (IEEE) of bytes.",
		`print(ri.crc32('hello'))`, "907060870", GroupContents},
	{"ri.xor", "(a: string, b: string, ...): string", "The bytewise exclusive or of texts of the same length.",
		`print(ri.xor('abc', '   '))`, "ABC", GroupContents},

	{"ri.count", "(what: value|iterator, where?: condition): int",
		"Counts the elements of an array, slice, map, channel, container/list, of a chain (ri.linked) or of ri.where, in " +
			"Go: tens of millions a second.",
		`print(ri.count(ri.linked(ri.var'main.first', 'next')), ri.count(ri.var'main.big', {'value', '<', 10}))`,
		"1000\t10", GroupReductions},
	{"ri.sum", "(what: value|iterator, field?: string, where?: condition): number, int",
		"Adds up a part of the elements, and says how many were added. Integers are added exactly; a sum beyond 64 " +
			"bits is an error.",
		`print(ri.sum(ri.linked(ri.var'main.first', 'next'), 'value'), ri.sum(ri.var'main.all'.array))`, "499500\t10\t4",
		GroupReductions},
	{"ri.where", "(what: value|iterator, where: condition): iterator",
		"Iterates over the elements (index or key, element) for which a condition holds.",
		`for k, v in ri.where(ri.var'main.all'.names, {'value', '>=', 3}) do print(k, v) end`, "three\t3", GroupReductions},
	{"ri.group", "(what: value|iterator, by: string, sum?: string, where?: condition): {key, count: int, sum?: number}[]",
		"Counts the elements by what they have in a part, the largest group first, and adds up another part.",
		`for _, g in ipairs(ri.group(ri.var'main.jobs', 'owner.name', 'size')) do print(g.key, g.count, g.sum) end`,
		"ann\t3\t35\nbob\t2\t12\nnil\t1\t7", GroupReductions},
	{"ri.top", "(what: value|iterator, n: int, by?: string, where?: condition): {key, value, by: number}[]",
		"Gives the n elements with the largest numbers in a part, the largest first.",
		`for _, t in ipairs(ri.top(ri.var'main.jobs', 2, 'size', {'owner', '~=', nil})) do
  print(t.key, t.value.size, t.by)
end`, "4\t20\t20\n1\t10\t10", GroupReductions},

	{"ri.typeof", "(v: value|place): string", "The Go type. A number or string has lost it: ask its place.",
		`print(ri.typeof(ri.var'main.first'), ri.typeof(ri.ref(ri.var'main.all', 'state')))`, "*main.Node\tmain.State",
		GroupPlaces},
	{"ri.type", "(name: string|value|place): {name, kind, size, fields?, elem?, key?, len?, constants?}",
		"Describes a type; fields have name, offset, type, size, embedded.",
		`local t = ri.type'main.Point'; print(t.size, t.fields[2].name, t.fields[2].offset)`, "16\ty\t8", GroupPlaces},
	{"ri.has", "(v: value|place|type: string, field: string): boolean",
		"Whether a struct, or what a pointer points to, has a field. Ask it where versions of a program differ; " +
			"nil has none.",
		`local first = ri.var'main.first'; print(ri.has(first, 'next'), ri.has(first, 'previous'))`, "true\tfalse",
		GroupPlaces},
	{"ri.constant", "(v: value|place|type: string, name: string): int?",
		"What a constant of a named integer type is, by its name, with or without the package; nil if the program has " +
			"none of that name. ri.type lists them.",
		`print(ri.constant('main.State', 'StateBusy'), ri.constant(ri.ref(ri.var'main.all', 'state'), 'StateBusy'))`,
		"1\t1", GroupPlaces},
	{"ri.ref", "(v: value|place, field: string|index: int|key: any): place; (expr: string): place",
		"The place where a field, element or expression lives, unread. A field may be a path, 'head.next' or 'names[0]', " +
			"as it may for ri.addr and ri.name.",
		`print(ri.ref(ri.var'main.all', 'state'), ri.ref(ri.var'main.all', 'structs[1].y'), ri.ref'main.all.names')`,
		"main.all.state\tmain.all.structs[1].y\tmain.all.names", GroupPlaces},
	{"ri.value", "(p: place): any", "Reads what is at a place.",
		`print(ri.value(ri.ref(ri.var'main.all', 'state')))`, "1", GroupPlaces},
	{"ri.addr", "(v: value|place, field?): int",
		"The address: of a pointer, what it points to; else where the value lives. What to use as a table key for a " +
			"value; nil is 0.",
		`local n = ri.var'main.first'; print(ri.addr(n) == ri.addr(ri.var'main.all'.head))`, "true", GroupPlaces},
	{"ri.deref", "(p: value|place): any",
		"What a pointer to something else than a struct points to (v.field follows pointers to structs by itself).",
		`print(ri.deref(ri.var'main.all'.pointer))`, "41", GroupPlaces},
	{"ri.cast", "(v: value|place, type: string): value",
		"The memory of a value read as another type, as unsafe.Pointer does.",
		`print(ri.cast(ri.var'main.all'.structs[1], '[2]int')[0])`, "2", GroupPlaces},
	{"ri.name", "(v: value|place, field?): string",
		"The name of the constant that a named integer equals; its digits if there is none.",
		`print(ri.name(ri.var'main.all', 'state'))`, "main.StateBusy", GroupPlaces},

	{"ri.int", "(v: string|number): int",
		"An exact integer of 64 bits, from text (decimal, 0x, 0b) or an integral number.",
		`print(ri.int'9007199254740993' + 1)`, "9007199254740994", GroupNumbers},
	{"ri.float", "(v: int|number): number", "The nearest number.",
		`print(ri.float(ri.int'9007199254740993'))`, "9007199254740992", GroupNumbers},
	{"ri.cmp", "(a, b: int|number|string): int",
		"Compares: -1, 0 or 1. Lua itself can't compare an exact integer with a number.",
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
}
