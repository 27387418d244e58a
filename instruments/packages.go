package instruments

import (
	"path"

	lua "github.com/yuin/gopher-lua"
)

// In what a person types (-e, the shell), the program's packages are globals: main.store is ri.var'main.store'.
// Names that Lua has itself (os, string, table, math) stay Lua's: ri.var'os.Args' reaches those.

func (h *Host) exposePackages() {
	meta := h.lua.NewTable()
	var names map[string]bool
	meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		name := L.CheckString(2)
		if h.space == nil {
			L.Push(lua.LNil)
			return 1
		}
		if names == nil {
			names = map[string]bool{}
			file := h.space.File()
			for _, p := range file.Packages() {
				names[path.Base(p)] = true
				if n, ok := file.PackageName(p); ok {
					names[n] = true
				}
			}
		}
		if !names[name] {
			known := make([]string, 0, len(names))
			for n := range names {
				known = append(known, n)
			}
			L.RaiseError("no global %q: neither Lua's nor a package of the program%s", name, DidYouMean(name, known))
		}
		L.Push(h.packageValue(name))
		return 1
	}))
	h.lua.G.Global.Metatable = meta
}

func (h *Host) hidePackages() { h.lua.G.Global.Metatable = lua.LNil }

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
