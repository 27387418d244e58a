package host

import (
	"io/fs"
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Walkers are Lua functions that go through a type's values: each module of lib/ has a table
// `walkers`, from a type's name (without type arguments) to a function that gives an iterator.

// walker finds the walker of a type, or nil.
func (h *Host) walker(L *lua.LState, b *binding) (*lua.LFunction, error) {
	if h.walkers == nil {
		if err := h.loadWalkers(L); err != nil {
			return nil, err
		}
	}
	name, _, _ := strings.Cut(b.goType.Name, "[")
	return h.walkers[name], nil
}

func (h *Host) loadWalkers(L *lua.LState) error {
	h.walkers = map[string]*lua.LFunction{}
	for _, folder := range h.Opt.Folders {
		files, err := fs.Glob(folder, "lib/*.lua")
		if err != nil {
			return err
		}
		for _, file := range files {
			source, err := fs.ReadFile(folder, file)
			if err != nil {
				return err
			}
			module, err := h.loadModule(L, file, string(source))
			if err != nil {
				return err
			}
			table, ok := module.(*lua.LTable)
			if !ok {
				continue
			}
			if walkers, ok := table.RawGetString("walkers").(*lua.LTable); ok {
				walkers.ForEach(func(k, v lua.LValue) {
					if f, ok := v.(*lua.LFunction); ok && h.walkers[k.String()] == nil {
						h.walkers[k.String()] = f
					}
				})
			}
		}
	}
	return nil
}

func (h *Host) walkerNames() string {
	names := make([]string, 0, len(h.walkers))
	for n := range h.walkers {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) == 0 {
		return ""
	}
	return ", " + strings.Join(names, ", ")
}
