package instruments

import (
	"fmt"
	"path"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// In what a person types (-e, the shell), the program's packages are globals: main.store is ri.var'main.store'.
// Names that Lua has itself (os, string, table, math) stay Lua's: ri.var'os.Args' reaches those.

func (h *Host) exposePackages() {
	meta := h.lua.NewTable()
	meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		name, ok := L.Get(2).(lua.LString)
		if !ok || h.space == nil {
			L.Push(lua.LNil)
			return 1
		}
		if !h.packageNames()[string(name)] {
			h.unknown = string(name)
			L.Push(lua.LNil)
			return 1
		}
		L.Push(h.packageValue(string(name)))
		return 1
	}))
	h.lua.Env.Metatable = meta
}

// packageNames has the names by which packages are globals.
func (h *Host) packageNames() map[string]bool {
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

// unknownGlobal explains an error about nil by the name that was no global, if there was one.
func (h *Host) unknownGlobal(message string) string {
	if h.unknown == "" || !strings.Contains(message, "(nil)") && !strings.Contains(message, "nil value") {
		return ""
	}
	return fmt.Sprintf(" (no global %q: neither Lua's nor a package of the program%s)", h.unknown, DidYouMean(h.unknown, sortedKeys(h.packageNames())))
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
