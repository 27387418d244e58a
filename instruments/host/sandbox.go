package host

import (
	"strings"

	"ri/instruments/lang"

	lua "github.com/yuin/gopher-lua"
)

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
