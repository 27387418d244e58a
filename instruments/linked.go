package instruments

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// riLinked goes along a chain of structs in Go. A chain that leads back into itself ends with an error: found by
// Brent's algorithm, which compares each node with one seen before and needs neither a counter nor memory.
func (h *Host) riLinked(L *lua.LState) int {
	name := L.CheckString(2)
	node, ok := refOf(L.Get(1))
	if !ok && L.Get(1) != lua.LNil {
		L.ArgError(1, "a Go value expected, got "+h.describe(L.Get(1)))
	}
	value := L.Get(1)
	var marked uint64
	i, power, steps := 0, 1, 0
	L.Push(h.function(func(L *lua.LState) int {
		if value == nil { // go on from the node given last
			next, err := h.indexValue(L, node, lua.LString(name))
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
			h.raise(L, &pathError{node.path(), fmt.Errorf("the list is a ring: after %d nodes it is at 0x%x again", i, node.addr)})
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
	}))
	return 1
}
