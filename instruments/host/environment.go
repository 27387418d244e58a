package host

import (
	lua "github.com/yuin/gopher-lua"
)

// A script runs more than once: rehearsed on live memory, on a snapshot, on another that has more pages. Each run
// is its first: it has globals, libraries and modules of its own, so that nothing of one run's can be
// in another's result. What is meant to be remembered is given to ri.memo.

// freshEnvironment makes the globals of a run. The machine's own table of globals is what they are copied from; no script sees it.
func (h *Host) freshEnvironment() {
	env := h.copyTable(h.Lua.G.Global)
	env.RawSetString("_G", env)
	h.Lua.Env = env
	// ("text"):len() finds what the script's own string library has.
	meta := h.Lua.NewTable()
	meta.RawSetString("__index", env.RawGetString("string"))
	h.Lua.SetMetatable(lua.LString(""), meta)
	h.nameUnknown(env)
	clear(h.modules)
	h.walkers = nil
}

// nameUnknown notes what a script looks up in a library that isn't there, so that the error of a call can name it: what the machine
// says of a nil names nothing.
func (h *Host) nameUnknown(env *lua.LTable) {
	strict := func(name string, t *lua.LTable) {
		if t == nil {
			return
		}
		meta := h.Lua.NewTable()
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

// ownName marks metatables that are the host's: scripts get their own in their place, and don't see these. No Lua source can write this name.
const ownName = "(own)"

func (h *Host) ownMeta(v lua.LValue) bool {
	meta, ok := v.(*lua.LTable)
	return ok && meta.RawGetString(ownName) == lua.LTrue
}

// copyTable copies a table of libraries with the tables in it, itself excepted.
func (h *Host) copyTable(t *lua.LTable) *lua.LTable {
	c := h.Lua.NewTable()
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if inner, ok := v.(*lua.LTable); ok && inner != t && inner != h.Lua.G.Global {
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
			L.RaiseError("ri.memo keeps numbers, strings and booleans, not %s: keep its address, and look whether it is still what it was", h.describe(v))
		}
	}
	h.memo[key] = v
	L.Push(v)
	return 1
}
