package lang

// ofProgram are the functions for the program as a whole, and for what a script makes of it.
var ofProgram = []Function{
	{"ri.goroutines", "({system?: boolean, status?: string}): iterator of goroutine",
		"Iterates over goroutines, without the runtime's own unless system. A goroutine has id, addr, status, " +
			"wait_reason, wait (seconds, nil where not recorded), parent, created_by and start ({func, file, line}), " +
			"thread, system.",
		`for g in ri.goroutines() do if g.id == 1 then print(g.start.func) end end`, "runtime.main", GroupGoroutines},
	{"ri.stacks", "({system?: boolean, depth?: int, labels?: boolean, wait?: number, all?: boolean}): {count: int, " +
		"ids: int[], status, wait_reason, wait?, frames, labels?: table, broken?}[]",
		"Groups goroutines by state and stack (its innermost depth functions, 256), in Go, so that a hundred thousand " +
			"take no time. ids are the first thousand, with all all of them; wait is the longest, frames are as ri.stack " +
			"gives them. With labels " +
			"those with different pprof labels are different groups; with wait only those known to wait for so many " +
			"seconds count.",
		`for _, s in ipairs(ri.stacks()) do if s.ids[1] == 1 then print(s.count, s.frames[#s.frames - 1].func) end end`,
		"1\truntime.main", GroupGoroutines},
	{"ri.waits", "({all?: boolean, names?: boolean, senders?: boolean, max?: int, users?: boolean, " +
		"channels?: boolean}): {locks, " +
		"channels, more: int, wakes?, may?, unheld?, unread?}",
		"Tells who waits for which lock (Mutex, RWMutex, WaitGroup) and channel, and infers who holds the locks: " +
			"Go records no holder, so it is worked out from the machine code of the functions on the stacks. With " +
			"all, locks that are held and that nobody waits for too. Those that most wait for come first, then by " +
			"address. A lock has addr, kind, name, locked, readers, leaving, count, waiters (how many wait), " +
			"want, rwant and waiting (queues), holders ({id, reader, state, deferred, possibly, " +
			"evidence, at, site}), candidates (those that may have it, where no holder is found); a channel addr, " +
			"name, elem, len, cap, closed, timer, senders, receivers; a queue has count, ids, wait, selects (how " +
			"many wait for other channels too) and several (for how many in all, by the place in ids). With senders " +
			"only channels that somebody waits to send to; more is how many channels max left out; with channels = " +
			"false there are none, which costs less. With users, a WaitGroup and a channel have users: the " +
			"goroutines whose code still comes to Done, or to a receive from (or, where somebody waits to receive, " +
			"to a send to) that very one, see ri.users; may.done, may.receive and may.send are those whose code " +
			"comes to one that can't be told: by number, the types that a channel's elements may have, '' for any. " +
			"wakes are the sync.Conds and semaphore.Weighteds (kind is Cond, Weighted) that goroutines wait for of which " +
			"others need something: addr, name, waiting, and the users whose code comes to Signal, Broadcast or Release. " +
			"Channels then are those with senders, and those that somebody receives from who holds what others wait " +
			"for.",
		`for _, l in ipairs(ri.waits().locks) do
  if l.name == 'main.contended' then print(l.kind, l.locked, l.want.count) end
end`, "", GroupGoroutines},
	{"ri.users", "({addr: int, kind: 'send'|'receive'|'done'}[]): {id: int, certain: boolean}[][]",
		"Tells for each channel or WaitGroup which goroutines have a function on their stacks that sends, receives or " +
			"calls Done, or calls one that does, by their machine code: with certain it is that very channel, " +
			"without it may be.",
		`print(#ri.users{{addr = ri.addr(ri.var'main.all'.queue), kind = 'send'}})`, "1", GroupGoroutines},
	{"ri.later", "({addr: int, kind: 'send'|'receive'|'done', elem?: string}[], heap?: heap, may?: table): " +
		"{why?: string, guess?: bool, may: int[]}[]",
		"Tells for each channel or WaitGroup whether somebody may still come who sends, receives or calls Done, though " +
			"no goroutine is about to (see ri.users): by code that goroutines may still come to, however deep, and, given " +
			"the heap, by func values and methods that something alive leads to, where they have what leads there too. elem " +
			"is the type of a channel's elements, may what ri.waits gives with users. why names such a function, guess says " +
			"that types which would tell better aren't known, may has those goroutines of the given ones of which it may be.",
		`print(ri.later{{addr = ri.addr(ri.var'main.all'.queue), kind = 'send'}}[1].why)`, "", GroupGoroutines},
	{"ri.locking", "(g: goroutine): {holds: {addr: int, kind, holder}[], tries: {addr: int, kind, reader: boolean, " +
		"site}[]}",
		"Tells of one goroutine which locks it holds, as ri.waits infers it, and which locked ones it calls TryLock for in " +
			"a loop that it is in. It may run, in a stop.",
		`print(#ri.locking(ri.goroutine(1)).tries)`, "0", GroupGoroutines},
	{"ri.triers", "(): goroutine[]",
		"The goroutines that are in a loop around TryLock, and run, are ready to run, or sleep: at most 256.",
		`print(#ri.triers())`, "0", GroupGoroutines},
	{"ri.mark", "(): mark",
		"Notes what each goroutine is doing, for a later look: after ri.again, mark:still(id) tells whether a goroutine " +
			"has waited all the time. mark.count is how many there were.",
		`local m = ri.mark(); print(m:still(1))`, "", GroupGoroutines},
	{"ri.goroutine", "(id: int, addr?: int): goroutine?",
		"The goroutine with an id; where its runtime.g is, if it is known, saves the search.",
		`print(ri.goroutine(1).id)`, "1", GroupGoroutines},
	{"ri.stack", "(g: goroutine, max?: int): {func, file, line, pc, cfa, inlined}[], string?",
		"A goroutine's frames, innermost first, and where unwinding broke off if it did; also g:stack(max). cfa is where " +
			"a frame ends on the stack and its caller's begins. Of a stack that is too deep, g:outermost(max) gives the " +
			"functions at its outer end, as far as they are found.",
		`local s = ri.goroutine(1):stack(); print(s[#s - 1].func)`, "runtime.main", GroupGoroutines},
	{"ri.loops", "(pc: int): boolean, boolean",
		"Whether the machine code of the function around an address, such as a frame's pc, has a loop; whether it writes " +
			"memory other than its own frame.",
		`print((ri.loops(ri.func(ri.var'main.all'.f).pc)))`, "false", GroupGoroutines},
	{"ri.loop", "(pc: int, ...): {func, file, line, low: int, high: int, ends: boolean, counts: boolean, asks: boolean, " +
		"stores: boolean, nested: boolean, calls: string[], around: table?}?",
		"What the machine code says of the innermost loop that has one or several places of a function in it, " +
			"such as frames' pcs: where it begins; whether it has a way out (other than a panic); whether a way out " +
			"depends on what the loop itself leads on (a counter, say); whether it asks memory, or what it calls, " +
			"for something else; whether it writes memory other than its frame; whether it has loops in it; which " +
			"functions it calls ('' for those that the code doesn't name); around is the same of the next loop that it is in. " +
			"nil where there is no such loop.",
		`print(ri.loop(ri.func(ri.var'main.all'.f).pc))`, "nil", GroupGoroutines},
	{"ri.syscall", "(g: goroutine): {result: int, waits: boolean}?",
		"The system call that a goroutine's thread has just come back from, and what the kernel gave (a negative number: " +
			"the error's); waits: it was in it, and the stop interrupted it. nil where its thread is elsewhere, or in a view " +
			"without a stop.",
		`print(ri.syscall(ri.goroutine(1)))`, "nil", GroupGoroutines},
	{"ri.locals", "(g: goroutine, frame: int): table, int, {name, type, argument, result, value?, dynamic?, lost?}[]",
		"Arguments and locals of a frame (from 1) by name, and how many optimised code no longer holds; then all of them " +
			"in order, with the type that an interface holds (dynamic) and why a value is lost; also g:locals(frame).",
		"for g in ri.goroutines() do\n  for i, f in ipairs(g:stack()) do\n    if f.func == 'main.(*hidden).serve' then " +
			"print(g:locals(i).h.secret) end\n  end\nend", "found in a frame", GroupGoroutines},
	{"ri.labels", "(g: goroutine): table", "A goroutine's pprof labels; also g:labels().",
		`print(ri.labels(ri.goroutine(1)).job)`, "nil", GroupGoroutines},
	{"ri.threads", "({stacks?: bool}?): {id: int, addr: int, goroutine?: int, dying: int, throwing: bool, signal?, " +
		"stacks: {stack, pc, frames, signal?, fatal?}[], broken?: string}[]",
		"The threads that the runtime knows, with what each does on its stacks, innermost first: stack is signal, system " +
			"or goroutine; signal ({number, name, code, address, sender?}) is what interrupted that part, fatal the text " +
			"that runtime.throw or runtime.fatal was called with. dying isn't 0 in a thread that ends the program. In a live " +
			"view there are no stacks.",
		`print(ri.threads{stacks = false}[1].dying)`, "0", GroupGoroutines},
	{"ri.polled", "(): value[]",
		"The netpoller's descriptors that are in use (runtime.pollDesc): fd, who waits (rg, wg), deadlines (rd, wd).",
		`for _, pd in ipairs(ri.polled()) do print(pd.fd, pd.rg) end`, "", GroupGoroutines},

	{"ri.heap", "({optional?: boolean}): heap",
		"Looks at all objects of the heap, as the collector does: from package variables, goroutines' stacks and " +
			"finalizers on, through all pointers. What is reached is alive, and has the type that led to it. In a snapshot " +
			"it has all memory copied (a longer stop than usual), and in the rehearsal before that it is empty. The walk is " +
			"made once for each look; of a million objects it takes some 300 ms and a few bytes each. With optional, nil and " +
			"why where the copy would cost more than is allowed, instead of a run that is refused.",
		`print(ri.heap())`, "heap", GroupHeap},
	{"h:types", "(): iterator of {type: string, count: int, bytes: int, untyped: boolean, pointers?: int}",
		"Iterates over the live objects by type, the largest sum of bytes first. What the runtime makes of a type is " +
			"named so: \"[]T\" is the store behind a slice, \"string data\" are strings' bytes; maps, channels and closures " +
			"have names of their own. Bytes are those that the allocator gave. What no typed pointer leads to is untyped, by " +
			"the size of its slots, with how many words of it are pointers.",
		`local n = 0; for t in ri.heap():types() do n = n + t.count end; print(n > 100)`, "true", GroupHeap},
	{"h:object", "(addr: int|value): {addr: int, size: int, type: string, live: boolean, exact: boolean}?",
		"The object that an address lies in: where it begins, the size of its slot, its type, whether anything leads to " +
			"it, and whether the type is sure; nil outside the heap.",
		`print(ri.heap():object(ri.var'main.first').type)`, "main.Node", GroupHeap},
	{"h:waiting", "(): {goroutine: goroutine, reason: string, never: boolean, waits_on: {addr: int, object?: int, " +
		"type?: string, field?: string}[]}[]",
		"The goroutines that wait for a channel, lock, WaitGroup or Cond, with what each waits for: several things for a " +
			"select, none for nil channels; object and type are those of the object that it is part of, field is where in it " +
			"(\".mu.sema\"). never: nothing can wake it any more.",
		`for _, w in ipairs(ri.heap():waiting()) do print(w.goroutine.id, w.reason, w.never) end`, "", GroupHeap},
	{"h:blocked", "(): {goroutine: goroutine, reason: string, never: boolean, waits_on: {addr: int, object?: int, " +
		"type?: string, field?: string}[]}[]",
		"Those of h:waiting() that nothing can wake any more: what they wait for is reached from no package variable and " +
			"no goroutine but those that are blocked themselves. Decided as Go 1.26's goroutine leak profile does, for all " +
			"releases: certain, whatever the program does.",
		`print(#ri.heap():blocked() <= #ri.heap():waiting())`, "true", GroupHeap},
	{"h:blocked_groups",
		"(): {count: int, ids: int[], goroutine: goroutine, reason: string, wait?: number, waits_on: table[]}[]",
		"Those of h:blocked() that were created in one place and wait in the same way, together: goroutine is one of " +
			"them.",
		`print(#ri.heap():blocked_groups() <= #ri.heap():blocked())`, "true", GroupHeap},
	{"h:never", "(id: int): boolean", "Whether nothing can wake a goroutine any more: it is one of h:blocked().",
		`print(ri.heap():never(1))`, "false", GroupHeap},
	{"h:path", "(addr: int|value): {text: string, root: string, goroutine?: int, steps: {addr: int, type: string, " +
		"text: string}[]}?, string?",
		"A way from a root to the object at an address, one of the shortest: text is all of it as one would write it in " +
			"Go, steps are the objects on it. nil and why, where nothing leads there.",
		`print(ri.heap():path(ri.var'main.first'.next).text)`, "main.first.next", GroupHeap},
	{"h:retainers", "(type: string): {count: int, bytes: int, holder?: string, root: string, goroutine?: int, " +
		"created_by?: {func, file, line}, example: int}[]",
		"Who keeps the objects of a type, the most bytes first: by the object that the first way to each leads through " +
			"(past the stores of slices and maps) and what that hangs off, a package variable or goroutines that are in the " +
			"same function. example is one of the objects; h:path(example) is its way.",
		`print(ri.heap():retainers('main.Node')[1].root)`, "", GroupHeap},
	{"h:instances", "(type: string, max?: int): int[]",
		"Addresses of live objects of a type, a thousand unless told otherwise.",
		`for _, addr in ipairs(ri.heap():instances('main.Node')) do print(ri.at(addr, 'main.Node').value) end`, "",
		GroupHeap},
	{"h:users", "(addr: int|value, most?: int): {variables: string[], goroutines: {goroutine: goroutine, waits: " +
		"boolean, never: " +
		"boolean}[], other: string[], truncated: boolean}?, string?",
		"All package variables and goroutines from which a way leads to the object at an address. waits: the goroutine " +
			"waits itself, for a channel, lock, WaitGroup or Cond; never: nothing can wake it. How a goroutine waits for the " +
			"object is no way to it. The first call takes as long as the walk. Where more than most objects lead to it, four " +
			"million unless told otherwise, not all are gone through: truncated.",
		`for _, name in ipairs(ri.heap():users(ri.var'main.first').variables) do
  if name == 'main.first' then print(name) end
end`, "main.first", GroupHeap},
	{"h:refs", "(addr: int|value): {holder: string, name: string, field: string, types: string[], variable: boolean, " +
		"closure: boolean}[]",
		"Where pointers to the object at an address are, up to 64 places, without those on stacks: holder is a " +
			"package variable, the function of a closure, or the type of another object, name that without import " +
			"paths, and with field, which selects the place in it; types are the structs that it is in, the " +
			"outermost first. The first call takes as long as the walk.",
		`for _, r in ipairs(ri.heap():refs(ri.var'main.first')) do if r.name == 'main.first' then print(r.name) end end`,
		"main.first", GroupHeap},
	{"h:biggest", "(max?: int): {kind: 'map'|'slice'|'string'|'chan', type: string, addr: int, bytes: int, len?: " +
		"int, cap?: int, keeps?: int, kept?: {type: string, count: int, bytes: int}[]}[]",
		"The largest maps, stores behind slices, strings and channels, 20 of each unless told otherwise, by bytes: with a " +
			"map's tables and a channel's buffer. A store doesn't know its slice's length. keeps is how many bytes " +
			"were reached first by a way through it, and kept of which types these are, the five with most of them.",
		`for _, c in ipairs(ri.heap():biggest(1)) do if c.kind == 'map' then print(c.type) end end`, "", GroupHeap},
	{"h:finalizers", "(): {kind: 'finalizer'|'cleanup', type: string, func: string, count: int, live: int, addr: int}[]",
		"What runs when objects are gone, by the objects' type and the function: how many, and to how many " +
			"something still leads.",
		`for _, f in ipairs(ri.heap():finalizers()) do print(f.type, f.func, f.count) end`, "", GroupHeap},
	{"h:stacks", "(): iterator of {frames: {func: string}[], count: int, bytes: int}",
		"Iterates over the live objects by what holds them, for ri.sample: an object's type, the type of what holds it, " +
			"and so on to the root. Empty where no profile was asked for (--pprof, --folded).",
		`for s in ri.heap():stacks() do ri.sample(s.frames, s.count) end`, "", GroupHeap},
	{"ri.spans", "(): {use: 'objects'|'stacks', size: int, pointers: boolean, spans: int, bytes: int, slots: " +
		"int, used: int}[]",
		"The allocator's spans (runs of pages) by what they are for and, of those with objects, the size of their slots " +
			"(0: one large object each) and whether the objects hold pointers. Needs no walk.",
		`for _, s in ipairs(ri.spans()) do
  if s.use == 'objects' and s.size == 16 then print(s.used <= s.slots) break end
end`, "true", GroupHeap},
	{"ri.finalizing", "(): {func: string, count: int}[]",
		"The finalizers that wait to be run, by function, most first: their objects are gone, and keep their memory until " +
			"then. The one that runs just now is among them. Needs no walk.",
		`local n = 0; for _, f in ipairs(ri.finalizing()) do n = n + f.count end; print(n >= 0)`, "true", GroupHeap},
	{"h:stats", "(): {objects: int, bytes: int, typed: int, spans: int, span_bytes: int, slots: int, guessed: int}",
		"Figures: live objects and their bytes, those of them under a type; spans (runs of pages that objects live in), " +
			"their bytes and slots; bytes that were gone through word by word for want of a type.",
		`local s = ri.heap():stats(); print(s.objects > 100, s.typed <= s.bytes)`, "true\ttrue", GroupHeap},

	{"ri.emit", "(row: table, places?: table)",
		"Gives a row. Declared columns are always in it; others follow in the order in which they were written. places " +
			"has, by column, where what is declared with change = true lies (ri.ref), so that it can be changed.",
		`ri.emit{id = 1, name = ri.var'main.all'.text}`, "", GroupResults},
	{"ri.sample", "(frames: {func, file?, line?, pc?}[], value: int|int[], labels?: table)",
		"Gives a stack, innermost frame first, with what the header's profile declares to be counted. --pprof FILE and " +
			"--folded FILE write these to a file; nothing is kept where neither was asked for.",
		`for _, s in ipairs(ri.stacks()) do ri.sample(s.frames, s.count) end`, "", GroupResults},
	{"ri.finding", "({what: string, severity?: 'info'|'warning'|'critical', where?: string, evidence?: " +
		"string|string[], next?: string})", "Gives a conclusion: something is wrong. ri then exits with code 3.",
		`ri.finding{severity = 'critical', what = 'the queue is full', where = 'main.all.queue', next = 'who receives?'}`,
		"", GroupResults},
	{"ri.leaveout", "(what: string)",
		"Says that a part of the answer is missing, and why. It is printed, is in JSON under left_out, and ri exits " +
			"with code 5 where nothing was found.",
		`ri.leaveout('the heap (its copy would stop the process for too long)')`,
		"left out: the heap (its copy would stop the process for too long)", GroupResults},
	{"ri.checked", "(what: string, why?: string)",
		"Says that something was looked for, whether or not it was found; with a reason, that it was not. It is in JSON " +
			"under checked and not_checked, and is printed nowhere.",
		`ri.checked('deadlock') ri.checked('heap-growth', 'it needs two looks')`, "", GroupResults},
	{"ri.masked", "(name: string, value: string): string, int",
		"What may be shown of a value that the program calls by a name, and how much of it is masked: all of what is " +
			"called a password, token or key (words in names count: dbPass, DBPASS), and what looks like one. " +
			"ri.masked(list) is the same for the arguments of a command.",
		`print(ri.masked('DB_URL', 'postgres://app:hunter2@db/shop'))`, "postgres://app:(masked)@db/shop\t1", GroupResults},
	{"ri.token", "(text: string): bool",
		"Tells whether a text stands for one that was not kept, as in a recording, or was made of such. Nothing " +
			"is known of it but whether it equals another. To compare it with a known text, or to take it apart, is " +
			"an error.",
		`print(ri.token('x'))`, "false", GroupResults},
	{"ri.log", "(...)", "Writes to standard error.",
		`ri.log('looked at', 3, 'nodes')`, "", GroupResults},
	{"ri.progress", "(done: int, total?: int, message?: string)", "Says how far a long run is.",
		`ri.progress(10, 100, 'nodes')`, "", GroupResults},
	{"print", "(...)", "Prints a line to the result, for scripts without rows.",
		`print('x', 1)`, "x\t1", GroupResults},

	{"ri.instruction", "(pc: int): {text, access, base, index, offset, size, length}",
		"Decodes the machine instruction at an address: access is read, write or empty, base + offset the memory " +
			"that it is about.",
		`print(ri.instruction(ri.goroutine(1):stack()[1].pc).length > 0)`, "true", GroupProgram},
	{"ri.params", "(): table", "The parameters, as run gets them.",
		`print(ri.params().limit)`, "nil", GroupProgram},
	{"ri.target", "(): {pid, kind, describe, view, go, ends, less, looks, plugins}",
		"What is looked at, how, and the Go release that built it. The kind is process, core, recording, or " +
			"dying: a process that ri watch holds in its last moment; looks is how often the process of a recording " +
			"was looked at; ends says how that ends (`exit status 2`), and is nil of others. less says why an " +
			"instrument that has less = true sees live memory, though it was to have a copy. plugins are the modules that " +
			"were loaded later, whose code ri doesn't read.",
		`print(ri.target().view)`, "live", GroupProgram},
	{"ri.buildinfo", "(): {go, path, version, id, settings: table, modules: {path, version, replaced}[]}",
		"The program's build information.",
		`print(ri.buildinfo().settings.GOARCH)`, "amd64", GroupProgram},
	{"ri.cpu", "({seconds?: number, hz?: int}): {event, kernel: boolean, hz, seconds, samples: int, lost: int, " +
		"threads: int, stacks: {count: int, frames}[]}",
		"Samples where the process's threads spend their CPU time, for some seconds (5), hz (99) times in each second of " +
			"it, without a stop; frames are as ri.stack gives them, those that aren't Go's by the file in brackets.",
		`for _, s in ipairs(ri.cpu{seconds = 1}.stacks) do print(s.count, s.frames[1].func) end`, "", GroupProgram},
	{"ri.descriptors", "(): {fd: int, kind, path, position: int, flags, socket?: {protocol, local_address, " +
		"local_port?: int, remote_address, state, receive: int, send: int}, problem?}[], string?",
		"The process's open file descriptors and sockets, from /proc: of the moment of the call, not of the look. Where " +
			"they can't be had, as of a core, an empty list, and why.",
		`local all, why = ri.descriptors(); print(#all, why)`, "", GroupProgram},
	{"ri.ends", "(): table, string?",
		"Who has the other ends of the process's pipes and connections: by descriptor, a list of {pid: int, name, fd: int, " +
			"itself: boolean, goroutine?: int, func?}. Of a pipe these are who writes what it reads, or reads what it writes; " +
			"of a TCP connection or a Unix socket who has its peer, if it is on this machine. goroutine waits there, if the " +
			"other is a Go program. A descriptor that isn't there has no other end, or it isn't known; an empty list means " +
			"that nobody holds it any more, as far as ri may see. Where it can't be had, an empty table, and why.",
		`local ends, why = ri.ends(); print(type(ends), why)`, "", GroupProgram},
	{"ri.children", "(): {pid: int, name, state, started, command: string[]}[], string?",
		"The process's children, those too that have ended and that nobody has waited for (state Z). Where they can't be " +
			"had, an empty list, and why.",
		`local all, why = ri.children(); print(#all, why)`, "", GroupProgram},
	{"ri.usage", "(): {at, resident: int, file: int, swap: int, threads: int, cpu, max_descriptors: int}?, string?",
		"What the kernel accounts to the process, from /proc, at the moment of the call: bytes in memory, of them those " +
			"of files, CPU seconds since the start, the limit of descriptors (0: none). Where it can't be had, as of a core, " +
			"nil, and why.",
		`local u, why = ri.usage(); print(u and u.threads or why)`, "", GroupProgram},
	{"ri.now", "(): number", "The target's now, in seconds since 1970.",
		`print(ri.now() > 1.7e9)`, "true", GroupProgram},
	{"ri.nanotime", "(): int?",
		"What runtime.nanotime says in the target at the look, in nanoseconds: its timers, deadlines and waits count in " +
			"that. nil where it isn't known, as of a core.",
		`local now = ri.nanotime(); if now then print(now) end`, "", GroupProgram},
	{"ri.memo", "(key: string, value?: number|string|boolean): any",
		"Keeps a value for the script's next run on this target, or gives the one that was kept. A script runs on live " +
			"memory first and then, from the start, on what is consistent: what the first run searched for, the second " +
			"need only check.",
		`print(ri.memo('answer', 42), ri.memo'answer')`, "42\t42", GroupProgram},
	{"ri.atlimit", "(f: function)",
		"Has f called if a limit (of time, or of the stop) ends the script: it emits what was gathered so far. It has " +
			"half a second, and nothing of the target can be read any more.",
		`local sum = 0; ri.atlimit(function() ri.emit{sum = sum} end)`, "", GroupProgram},
	{"ri.again", "(seconds: number, view?: 'live'|'stopped'): boolean, string?",
		"Waits (the target runs), then takes a new look at it: without a stop if view is 'live'; if it is 'stopped', held " +
			"until the next ri.again. Values from before stay addresses: what they lead to may be gone. A heap from before " +
			"still tells what was noted (object, stats, waiting, blocked, blocked_groups, never, instances), and no more. " +
			"False, and why, where the look before was over before that: it was held for as long as it may be. An error where " +
			"there can be no such look; the script that catches it sees the target live.",
		`ri.again(0.5)`, "", GroupProgram},
	{"ri.hits", "({limit?: int, seconds?: number, stack?: int}): iterator of hit",
		"Has what the header's probes name traced, and iterates over the hits as they come, until there were limit " +
			"(100) of them, seconds (60) are over, the budget is spent, or somebody ends it. A hit has probe (the name in " +
			"the header), time (seconds since 1970), goroutine, func, what is shown by its names (else args and results, " +
			"by name, and as a list of what ri trace shows of each, in their order), duration (ns) of a call that returned, " +
			"ended of one that did not, and so_far (ns) if it goes on when the trace ends, stack, " +
			"nanotime (as runtime.nanotime), and missing: why something shown isn't there, " +
			"by name. A probe with histogram = true gives no hits but one for each function at the end: count, total (ns), " +
			"and the lists below (ns, powers of two) and counts. Meanwhile the process is seen live.",
		`for hit in ri.hits{limit = 10} do ri.emit{path = hit.path, took = hit.duration} end`, "", GroupProgram},
	{"require", "(module: string): any", "Loads a module from the script folders, once: require 'list' is lib/list.lua.",
		`print(require('list').validate(ri.var'main.all'.list))`, "true\t3", GroupProgram},

	{"ri.change", "(why: string, f: function(tx))",
		"Makes a transaction of what f asks for; it is committed once the script has ended, whole or not at all, with why " +
			"as its comment in the journal. One a run; needs --write, or --dry-run. docs/changing.md says what can be changed.",
		`ri.change('a larger limit', function(tx) tx:update('main.limits.max', 200) end)`, "", GroupChanges},
	{"tx:wait", "(place: string|place|value, expected: any)",
		"Demands that a place holds what is expected, now and when the change is made; else the transaction is a " +
			"conflict (exit 6).",
		`tx:wait('main.limits.max', 100)`, "", GroupChanges},
	{"tx:update", "(place: string|place|value, new: any)",
		"Gives a place a new value: a Lua value, a constant's name, or another value of the program (a pointer, a " +
			"string). nil is nil.",
		`tx:update(ri.ref(service, 'state'), 'ServiceOffline')`, "", GroupChanges},
	{"tx:mutate", "(place: string|place|value, operator: string, n: number)",
		"Changes a number by another, exactly: += -= *= /= %=.",
		`tx:mutate('main.limits.max', '+=', 1)`, "", GroupChanges},
	{"tx:lock", "(mutex: string|place|value)",
		"Demands that a sync.Mutex or sync.RWMutex is free when the change is made, of readers too; it is waited for. " +
			"Beside the recipe's lock.",
		`tx:lock(ri.ref(service, 'mu'))`, "", GroupChanges},
	{"tx:comment", "(text: string)", "Adds to the transaction's comment.",
		`tx:comment('asked for in ticket 4711')`, "", GroupChanges},
	{"tx:abort", "(reason?: string)", "Gives the transaction up: nothing is changed, and the run fails with the reason.",
		`if #service.devices == 0 then tx:abort('it has no devices') end`, "", GroupChanges},
	{"tx:reset", "(connection: table)",
		"Resets a connection, a row of ri.descriptors: the peer sees ECONNRESET. Not undone by ri undo; no stop.",
		`tx:reset(ri.descriptors()[1])`, "", GroupChanges},
	{"tx:shutdown", "(connection: table)",
		"Shuts a connection down in both directions: the peer sees the end of the stream.",
		`tx:shutdown(ri.descriptors()[1])`, "", GroupChanges},
}
