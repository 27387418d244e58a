package host

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/instruments/rows"
)

// A script runs more than once: rehearsed on live memory, on a snapshot, on another that has more pages. Each run
// is its first: it has globals, libraries and modules of its own, so that nothing of one run's can be
// in another's result. What is meant to be remembered is given to ri.memo.

// freshEnvironment makes the globals of a run. The machine's own table of globals is what they are copied from; no
// script sees it.
func (h *Host) freshEnvironment() {
	env := h.copyTable(h.lua.G.Global)
	env.RawSetString("_G", env)
	h.lua.Env = env
	// ("text"):len() finds what the script's own string library has.
	meta := h.lua.NewTable()
	meta.RawSetString("__index", env.RawGetString("string"))
	h.lua.SetMetatable(lua.LString(""), meta)
	h.nameUnknown(env)
	clear(h.modules)
	h.walkers = nil
}

// nameUnknown notes what a script looks up in a library that isn't there, so that the error of a call can name it: what
// the machine says of a nil names nothing.
func (h *Host) nameUnknown(env *lua.LTable) {
	strict := func(name string, t *lua.LTable) {
		if t == nil {
			return
		}
		meta := h.lua.NewTable()
		meta.RawSetString("__index", h.function(func(L *lua.LState) int {
			if key, ok := L.Get(2).(lua.LString); ok {
				h.noteUnknown(L, name, t, string(key))
			}
			return 0
		}))
		meta.RawSetString(ownName, lua.LTrue)
		t.Metatable = meta
	}
	for _, name := range []string{"ri", "os", "string", "table", "math", "coroutine", "debug"} {
		t, _ := env.RawGetString(name).(*lua.LTable)
		strict(name, t)
		if name == "ri" && t != nil {
			bit, _ := t.RawGetString("bit").(*lua.LTable)
			strict("ri.bit", bit)
		}
	}
}

// ownName marks metatables that are the host's: scripts get their own in their place, and don't see these. No Lua
// source can write this name.
const ownName = "(own)"

func (h *Host) ownMeta(v lua.LValue) bool {
	meta, ok := v.(*lua.LTable)
	return ok && meta.RawGetString(ownName) == lua.LTrue
}

// copyTable copies a table of libraries with the tables in it, itself excepted.
func (h *Host) copyTable(t *lua.LTable) *lua.LTable {
	c := h.lua.NewTable()
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if inner, ok := v.(*lua.LTable); ok && inner != t && inner != h.lua.G.Global {
			v = h.copyTable(inner)
		}
		c.RawSet(k, v)
	}
	return c
}

// riMemo keeps something from one run of the script to the next. Values of the target would be of another
// moment, so only what is a number, a string or a boolean is kept; an address (ri.addr) is one.
func (h *Host) riMemo(L *lua.LState) int {
	key := L.CheckString(1)
	if L.GetTop() < 2 {
		if v, ok := h.memo[key]; ok {
			L.Push(v)
		} else {
			L.Push(lua.LNil)
		}
		return 1
	}
	v := L.Get(2)
	_, exact := exactOf(v)
	switch v.(type) {
	case *lua.LNilType, lua.LBool, lua.LNumber, lua.LString:
	default:
		if !exact {
			L.RaiseError("ri.memo keeps numbers, strings and booleans, not %s: keep its address, and look whether it is "+
				"still what it was", h.describe(v))
		}
	}
	h.memo[key] = v
	L.Push(v)
	return 1
}

// In what a person types (-e, the shell), the program's packages are globals: main.store is ri.var'main.store'.
// Names that Lua has itself (os, string, table, math) stay Lua's: ri.var'os.Args' reaches those.

// In a file they aren't, but what is unknown is noted, so that an error can say what to write.
func (h *Host) exposePackages(exposed bool) {
	meta := h.lua.NewTable()
	meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		name, ok := L.Get(2).(lua.LString)
		if !ok {
			L.Push(lua.LNil)
			return 1
		}
		if !exposed || h.space == nil || !h.PackageNames()[string(name)] {
			h.noteUnknown(L, "", h.lua.Env, string(name))
			L.Push(lua.LNil)
			return 1
		}
		L.Push(h.packageValue(string(name)))
		return 1
	}))
	meta.RawSetString(ownName, lua.LTrue)
	h.lua.Env.Metatable = meta
}

// PackageNames has the names by which packages are globals.
func (h *Host) PackageNames() map[string]bool {
	if h.packages == nil {
		h.packages = map[string]bool{}
		file := h.space.File()
		for _, p := range file.Packages() {
			h.packages[path.Base(p)] = true
			if n, ok := file.PackageName(p); ok {
				h.packages[n] = true
			}
		}
	}
	return h.packages
}

// nilIndex is what the machine says of x.name where x is nil.
var nilIndex = regexp.MustCompile(`attempt to index a non-table object\(nil\) with key '([^']*)'`)

// unknown is a name that wasn't there when a script looked for it.
type unknown struct {
	table   *lua.LTable
	library string // "" for globals
	name    string
	where   string // file and line
}

func (h *Host) noteUnknown(L *lua.LState, library string, table *lua.LTable, name string) {
	h.unknown = unknown{table, library, name, L.Where(1)}
}

const notCallable = "attempt to call a non-function object"

// explainUnknown names what was nil in an error about nil, if a name was looked up on that line in vain.
func (h *Host) explainUnknown(message string) string {
	u := h.unknown
	text, ok := strings.CutPrefix(message, u.where)
	if u.name == "" || !ok || u.table.RawGetString(u.name) != lua.LNil {
		return message
	}
	text, rest, more := strings.Cut(text, "\n")
	name := u.name
	if u.library != "" {
		name = u.library + "." + name
	}
	key := nilIndex.FindStringSubmatch(text)
	switch {
	case u.library == "" && h.space != nil && h.PackageNames()[name]: // in a file
		full := name + ".NAME"
		if key != nil {
			full = name + "." + key[1]
		}
		text += fmt.Sprintf(" (%s is a package of the program: in a file use ri.var'%s')", name, full)
	case key != nil:
		text = strings.Replace(text, key[0], "no variable or package "+name+h.meant(u), 1)
	case strings.Contains(text, notCallable):
		text = strings.Replace(text, notCallable, "no function "+name+rows.DidYouMean(name, h.namesIn(u)), 1)
	case strings.Contains(text, "(nil)"), strings.Contains(text, "nil value"):
		text += fmt.Sprintf(" (there is no %s%s)", name, rows.DidYouMean(name, h.namesIn(u)))
	}
	if more {
		text += "\n" + rest
	}
	return u.where + text
}

// meant guesses what a global was to be: a variable of package main is one without its package in expressions of Go,
// but not in Lua.
func (h *Host) meant(u unknown) string {
	if h.space != nil && u.library == "" {
		if v, err := h.space.File().Var(u.name); err == nil {
			return "; did you mean " + h.space.File().ShortName(v.Name) + "?"
		}
	}
	guess := rows.DidYouMean(u.name, h.namesIn(u))
	if guess == "" && h.space != nil && u.library == "" { // the same, misspelt
		var own []string
		for _, name := range h.space.File().Vars() {
			if strings.HasPrefix(name, "main.") {
				own = append(own, name)
			}
		}
		guess = rows.DidYouMean("main."+u.name, own)
	}
	return guess
}

// namesIn are the names that could have been meant.
func (h *Host) namesIn(u unknown) (names []string) {
	prefix := ""
	if u.library != "" {
		prefix = u.library + "."
	} else if h.space != nil {
		names = rows.SortedKeys(h.PackageNames())
	}
	u.table.ForEach(func(k, _ lua.LValue) { names = append(names, prefix+k.String()) })
	return names
}

// packageValue is a package: its dot reads variables.
func (h *Host) packageValue(name string) lua.LValue {
	t := h.lua.NewTable()
	meta := h.lua.NewTable()
	meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		full := name + "." + L.CheckString(2)
		v, err := h.space.Var(full)
		if err != nil {
			h.raise(L, err)
		}
		L.Push(h.start(L, v, full))
		return 1
	}))
	meta.RawSetString("__newindex", h.metas.readOnly)
	t.Metatable = meta
	return t
}

// Names are the globals that every script has, and the functions of ri.
func (h *Host) Names() (globals, functions []string) {
	for _, k := range lang.KeysOf(h.lua.G.Global) {
		globals = append(globals, k.String())
	}
	library, _ := h.lua.G.Global.RawGetString("ri").(*lua.LTable)
	for _, k := range lang.KeysOf(library) {
		functions = append(functions, k.String())
	}
	return globals, functions
}

// openLibraries opens the part of Lua's own libraries that can't reach out of the machine.
func (h *Host) openLibraries() {
	L := h.lua
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenTable, lua.OpenString, lua.OpenMath, lua.OpenCoroutine,
		lua.OpenOs, lua.OpenDebug} {
		L.Push(L.NewFunction(open))
		L.Call(0, 0)
	}
	globals := L.G.Global
	for _, name := range []string{
		"collectgarbage", "dofile", "loadfile", "load", "module", "require", "newproxy", "_printregs",
		"getfenv", "setfenv", "_GOPHER_LUA_VERSION",
	} {
		globals.RawSetString(name, lua.LNil)
	}
	keep(L, "os", "clock", "date", "difftime", "time")
	keep(L, "debug", "traceback")
	h.openBase(globals)
	h.openProtected(globals)
	h.openStrings()
	h.openTables()
	h.openMath()
	h.openCoroutines()
}

// keep leaves only the named functions of a library.
func keep(L *lua.LState, library string, names ...string) {
	old := L.GetGlobal(library).(*lua.LTable)
	table := L.NewTable()
	for _, n := range names {
		table.RawSetString(n, old.RawGetString(n))
	}
	L.SetGlobal(library, table)
}

func (h *Host) openBase(globals *lua.LTable) {
	set := func(name string, f func(L *lua.LState) int) { globals.RawSetString(name, h.function(f)) }
	set("print", func(L *lua.LState) int {
		texts := make([]string, L.GetTop())
		for i := range texts {
			texts[i] = textOf(L, L.Get(i+1))
		}
		h.print(L, strings.Join(texts, "\t"))
		return 0
	})
	set("tostring", func(L *lua.LState) int {
		L.Push(lua.LString(textOf(L, L.CheckAny(1))))
		return 1
	})
	for _, name := range []string{"pairs", "ipairs"} {
		plain := globals.RawGetString(name).(*lua.LFunction)
		checked := h.function(func(L *lua.LState) int {
			if r, ok := refOf(L.Get(1)); ok {
				L.RaiseError("%s goes through Lua's tables; through a %s: ri.pairs(v)", name, r.binding.goType.Name)
			}
			return plain.GFunction(L)
		})
		checked.Upvalues = plain.Upvalues
		globals.RawSetString(name, checked)
	}
	set("getmetatable", func(L *lua.LState) int {
		if t, ok := L.CheckAny(1).(*lua.LTable); ok && !h.ownMeta(t.Metatable) {
			L.Push(L.GetMetatable(t))
		} else {
			L.Push(lua.LNil) // what values are made of is not for scripts
		}
		return 1
	})
	protected := globals.RawGetString("setmetatable").(*lua.LFunction).GFunction
	set("setmetatable", func(L *lua.LState) int {
		L.CheckTable(1)
		return protected(L)
	})
	set("loadstring", func(L *lua.LState) int {
		proto, _, err := lang.CompileLua(L.OptString(2, "loadstring"), L.CheckString(1))
		if err == nil && h.tokens() {
			proto, err = lang.CompileForTokens(L.OptString(2, "loadstring"), L.CheckString(1))
		}
		if err != nil {
			L.Push(lua.LNil)
			L.Push(lua.LString(err.Error()))
			return 2
		}
		L.Push(h.lua.NewFunctionFromProto(proto))
		return 1
	})
	set("tonumber", h.toNumber)
	set("require", h.require)
	set(lang.ConcatName, h.concat)
	set(lang.EqualName, h.equal)
	set(lang.GetName, h.get)
	set(lang.KeyName, h.key)
	set(lang.KeysName, h.keys)
	set(lang.OrderedName, h.ordered)
	set(lang.LengthName, h.textLength)
}

func (h *Host) openMath() {
	math := h.lua.GetGlobal("math").(*lua.LTable)
	for _, name := range []string{"floor", "ceil"} { // an exact integer is its own floor
		plain := math.RawGetString(name).(*lua.LFunction).GFunction
		math.RawSetString(name, h.function(func(L *lua.LState) int {
			if _, ok := exactOf(L.Get(1)); ok {
				L.Push(L.Get(1))
				return 1
			}
			return plain(L)
		}))
	}
	for name, sign := range map[string]int{"max": 1, "min": -1} {
		math.RawSetString(name, h.function(func(L *lua.LState) int {
			best := L.CheckAny(1)
			for i := 1; i <= L.GetTop(); i++ {
				if h.compare(L, L.Get(i), best) == sign {
					best = L.Get(i)
				}
			}
			L.Push(best)
			return 1
		}))
	}
}

// openCoroutines bounds how deep coroutines resume each other, since each level takes Go's stack too,
// and gives each the run's own context.
func (h *Host) openCoroutines() {
	library := h.lua.GetGlobal("coroutine").(*lua.LTable)
	create := library.RawGetString("create").(*lua.LFunction).GFunction
	resume := library.RawGetString("resume").(*lua.LFunction).GFunction
	wrap := library.RawGetString("wrap").(*lua.LFunction).GFunction
	deeper := func(L *lua.LState, f func() int) int {
		if h.resumed >= maxProtected {
			L.RaiseError("protected calls and coroutines are more than %d deep", maxProtected)
		}
		h.resumed++
		defer func() { h.resumed-- }()
		return f()
	}
	// A child context of the machine's would be kept until the run ends: one for every coroutine.
	detached := func(L *lua.LState, f func() int) int {
		ctx := L.RemoveContext()
		defer L.SetContext(ctx)
		return f()
	}
	library.RawSetString("create", h.function(func(L *lua.LState) int {
		n := detached(L, func() int { return create(L) })
		L.CheckThread(L.GetTop()).SetContext(h.ctx)
		return n
	}))
	library.RawSetString("resume", h.function(func(L *lua.LState) int {
		return deeper(L, func() int { return resume(L) })
	}))
	library.RawSetString("wrap", h.function(func(L *lua.LState) int {
		detached(L, func() int { return wrap(L) })
		inner := L.Get(L.GetTop()).(*lua.LFunction)
		inner.Upvalues[0].Value().(*lua.LState).SetContext(h.ctx)
		body := inner.GFunction
		inner.GFunction = func(L *lua.LState) int { return deeper(L, func() int { return body(L) }) }
		L.Push(inner)
		return 1
	}))
}
