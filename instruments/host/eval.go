package host

import (
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/values"
)

// Go expressions in scripts: ri.eval, ri.ref of a text, and paths such as 'head.next.name' where a field's name is asked for.

func (h *Host) riEval(L *lua.LState) int {
	expr := L.CheckString(1)
	names := map[string]any{}
	if given := L.OptTable(2, nil); given != nil {
		given.ForEach(func(k, v lua.LValue) {
			operand, ok := h.goOperand(v)
			if name, isName := k.(lua.LString); isName && ok {
				names[string(name)] = operand
			} else {
				L.ArgError(2, "names with values, numbers, strings or truth values expected, got "+h.describe(k)+" = "+h.describe(v))
			}
		})
	}
	v, err := h.space.EvalWith(expr, names)
	if err != nil {
		h.raise(L, err)
	}
	L.Push(h.start(L, v, expr))
	return 1
}

// goOperand is what a value of Lua is in a Go expression.
func (h *Host) goOperand(v lua.LValue) (any, bool) {
	if r, ok := refOf(v); ok {
		return r.operand(), true
	}
	if p, ok := placeOf(v); ok {
		return p.value, true
	}
	if e, ok := exactOf(v); ok {
		return e.goValue(), true
	}
	switch v := v.(type) {
	case lua.LNumber:
		if n, ok := wholeNumber(v); ok {
			return int64(n), true
		}
		return float64(v), true
	case lua.LString:
		return string(v), true
	case lua.LBool:
		return bool(v), true
	}
	return nil, false
}

// operand is the value with its own type: a pointer's is the pointer.
func (r *ref) operand() values.Value {
	if r.binding.class == classPointer {
		return r.binding.host.space.Pointer(r.addr, r.binding.goType)
	}
	return r.value()
}

// isPath tells the way to a part of a part from the name of a field. Keys of maps aren't asked: any text may be one.
func isPath(b *binding, text string) bool {
	switch b.pointee().class {
	case classMap:
		return false
	case classArray, classSlice:
		return strings.HasPrefix(text, "[")
	}
	return strings.ContainsAny(text, ".[(")
}

// pathPart is the place that a path leads to from r.
func (h *Host) pathPart(r *ref, path string) (values.Value, string, error) {
	const self = "v"
	dot := "."
	if strings.HasPrefix(path, "[") {
		dot = ""
	}
	full := r.path() + dot + path
	v, err := h.space.EvalWith(self+dot+path, map[string]any{self: r.operand()})
	var located *values.PathError
	if errors.As(err, &located) {
		if rest, ok := strings.CutPrefix(located.Path, self); ok {
			return v, full, &pathError{r.path() + rest, located.Err}
		}
	}
	return v, full, err
}
