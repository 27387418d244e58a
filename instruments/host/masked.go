package host

import (
	lua "github.com/yuin/gopher-lua"

	"ri/secrets"
)

// riMasked gives what may be shown of a value by its name, or of a list of arguments, and how much was masked.
func (h *Host) riMasked(L *lua.LState) int {
	if list, ok := L.Get(1).(*lua.LTable); ok {
		var args []string
		for i := 1; i <= list.Len(); i++ {
			args = append(args, lua.LVAsString(list.RawGetInt(i)))
		}
		shown, n := secrets.Arguments(args)
		out := h.lua.CreateTable(len(shown), 0)
		for _, text := range shown {
			out.Append(lua.LString(text))
		}
		L.Push(out)
		L.Push(lua.LNumber(n))
		return 2
	}
	shown, n := secrets.Value(L.CheckString(1), L.CheckString(2))
	L.Push(lua.LString(shown))
	L.Push(lua.LNumber(n))
	return 2
}
