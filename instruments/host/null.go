package host

import (
	lua "github.com/yuin/gopher-lua"
)

// null is ri.null: what stands for nil where Lua's own can't be, as the key that an iterator gives. A nil there would
// end the loop, though Go's maps may have it as a key like any other.
type null struct{}

func (h *Host) makeNull() *lua.LUserData {
	meta := h.Lua.NewTable()
	meta.RawSetString("__tostring", h.function(func(L *lua.LState) int {
		L.Push(lua.LString("nil"))
		return 1
	}))
	meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		L.RaiseError("ri.null is a nil key: it has no %s", luaText(L.Get(2)))
		return 0
	}))
	meta.RawSetString("__newindex", h.metas.readOnly)
	return &lua.LUserData{Value: null{}, Metatable: meta}
}

// orNull gives ri.null for nil.
func (h *Host) orNull(v lua.LValue) lua.LValue {
	if v == lua.LNil {
		return h.null
	}
	return v
}
