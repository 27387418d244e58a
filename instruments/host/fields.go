package host

import (
	"errors"
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"ri/values"
)

// What a script asks of a type so that it needn't know the program's version: whether there is a field, what a constant is.

// riHas says whether a struct has a field, promoted ones included.
func (h *Host) riHas(L *lua.LState) int {
	if L.Get(1) == lua.LNil {
		L.Push(lua.LFalse)
		return 1
	}
	b, name := h.bind(h.typeArg(L, 1)), L.CheckString(2)
	if b.structure() == nil {
		L.Push(lua.LFalse)
		return 1
	}
	_, err := b.field(name)
	if err != nil && !errors.Is(err, values.ErrNoField) { // ambiguous: it can't be read by this name
		h.raise(L, fmt.Errorf("ri.has: %w", err))
	}
	L.Push(lua.LBool(err == nil))
	return 1
}

// riConstant gives the value of a constant that was declared with a named integer type; nil if the compiler kept none of that name.
func (h *Host) riConstant(L *lua.LState) int {
	t, name := h.typeArg(L, 1), L.CheckString(2)
	value, ok := t.ConstantValue(name)
	if !ok {
		if len(t.Constants()) == 0 {
			h.raise(L, fmt.Errorf("ri.constant: the compiler kept no constants of the type %s: it must be a named integer type", t.Name))
		}
		L.Push(lua.LNil)
		return 1
	}
	L.Push(h.int64Value(value))
	return 1
}
