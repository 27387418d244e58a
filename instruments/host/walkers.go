package host

import (
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"ri/values/walk"

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
	for at, folder := range h.opt.Folders {
		files, err := fs.Glob(folder, "lib/*.lua")
		if err != nil {
			return err
		}
		for _, file := range files {
			source, err := fs.ReadFile(folder, file)
			if err != nil {
				return err
			}
			loaded, err := h.loadModule(L, module{at, file, string(source)})
			if err != nil {
				return err
			}
			table, ok := loaded.(*lua.LTable)
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

// riLinked goes along a chain of structs in Go. Reductions take it, too, where all nodes are of one type. A chain that
// leads back into itself ends with an error: found by Brent's algorithm, which compares each node with one seen before
// and needs neither a counter nor memory.
func (h *Host) riLinked(L *lua.LState) int {
	name := L.CheckString(2)
	node, ok := refOf(L.Get(1))
	if !ok && L.Get(1) != lua.LNil {
		L.ArgError(1, "a Go value expected, got "+h.describe(L.Get(1)))
	}
	value, head := L.Get(1), node
	var marked uint64
	i, power, steps := 0, 1, 0
	var field linkField
	L.Push(h.declare(func(L *lua.LState) int {
		if value == nil { // go on from the node given last
			next, err := h.nextNode(L, node, name, &field)
			if err != nil {
				h.raise(L, err)
			}
			value = next
		}
		if value == lua.LNil {
			return 0
		}
		h.check(L)
		next, ok := refOf(value)
		if !ok {
			L.RaiseError("%s.%s leads to %s, not to a node", node.path(), name, h.describe(value))
		}
		node = next
		if node.addr == marked {
			h.raise(L, &pathError{node.path(), fmt.Errorf("the list is a ring: after %d nodes it is at 0x%x again", i,
				node.addr)})
		}
		if steps == power || marked == 0 {
			if marked != 0 {
				power, steps = power*2, 0
			}
			marked = node.addr
		}
		steps++
		L.Push(lua.LNumber(i))
		L.Push(value)
		i++
		value = nil
		return 2
	}, func() (*way, error) {
		if head == nil {
			return &way{}, nil
		}
		w, err := walk.Linked(head.value(), name)
		if err != nil {
			return nil, &pathError{head.path(), err}
		}
		return h.checked(&way{Walk: w, root: head, path: head.path()}), nil
	}))
	return 1
}

// linkField is the field along which a chain goes, compiled for the type of the node before.
type linkField struct {
	of *binding
	at *accessor
}

func (h *Host) nextNode(L *lua.LState, node *ref, name string, field *linkField) (lua.LValue, error) {
	if field.of != node.binding {
		if node.binding.structure() == nil {
			return h.indexValue(L, node, lua.LString(name))
		}
		a, err := node.binding.field(name)
		if err != nil {
			return nil, &pathError{node.path(), err}
		}
		field.of, field.at = node.binding, a
	}
	a := field.at
	addr := node.addr + a.offset
	var err error
	if len(a.steps) > 0 {
		addr, err = a.address(h, node.addr)
	}
	var v lua.LValue
	if err == nil {
		v, err = h.load(a.to, addr, node, fieldStep(&a.name))
	}
	if err != nil {
		return nil, &pathError{node.path() + "." + a.name, err}
	}
	return v, nil
}
