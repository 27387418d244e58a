package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/values"
	"ri/values/eval"
)

// ref is a Go value in Lua: a type and an address, and how it was reached.
type ref struct {
	binding *binding
	addr    uint64 // a pointer's: where it points; else where the value lives
	parent  *ref   // nil at the start, and where the path was cut
	step    step
	depth   int
}

// maxPath is how many steps of a path a value remembers, so that a long walk
// keeps nothing of what it passed alive.
const maxPath = 12

// step is one step of a path: a field, an index, a key, or the start.
type step struct {
	text  *string // of a field or key, or the start's; nil: an index
	index int     // or one of the kinds below
}

const (
	stepField = -1
	stepText  = -2 // the text as it is: a key in brackets
	stepDeref = -3
)

func fieldStep(name *string) step { return step{name, stepField} }
func indexStep(i int) step        { return step{nil, i} }
func textStep(text string) step   { return step{&text, stepText} }

// object is a userdata and its ref in one piece.
type object struct {
	data lua.LUserData
	ref  ref
}

func (h *Host) object(b *binding, addr uint64, parent *ref, s step) *lua.LUserData {
	o := &object{}
	o.data.Value = &o.ref
	o.data.Metatable = b.meta
	o.ref.binding = b
	o.ref.addr = addr
	if parent == nil {
		o.ref.step = s
	} else if parent.depth < maxPath {
		o.ref.parent = parent
		o.ref.step = s
		o.ref.depth = parent.depth + 1
	}
	return &o.data
}

// refOf says whether v is a Go value.
func refOf(v lua.LValue) (*ref, bool) {
	u, ok := v.(*lua.LUserData)
	if !ok {
		return nil, false
	}
	r, ok := u.Value.(*ref)
	return r, ok
}

// value is the ref for values; a pointer's is what it points to.
func (r *ref) value() values.Value {
	return r.binding.host.space.At(r.addr, r.binding.pointee().goType)
}

// path is how the value was reached, in Go syntax: main.store.devices[3].next.
func (r *ref) path() string {
	if r.parent == nil {
		if r.step.text != nil {
			return *r.step.text
		}
		name := r.binding.goType.Name
		if r.binding.class != classPointer {
			name = "*" + name
		}
		return fmt.Sprintf("(%s)(0x%x)", name, r.addr)
	}
	return childPath(r.parent, r.step)
}

// childPath is the path of what lies a step beyond r.
func childPath(r *ref, s step) string {
	switch {
	case s.text == nil && s.index >= 0:
		return r.path() + "[" + strconv.Itoa(s.index) + "]"
	case s.index == stepField:
		return r.path() + "." + *s.text
	case s.index == stepDeref:
		return "*" + r.path()
	}
	return r.path() + *s.text
}

// pathError is an error with the Go path that failed.
type pathError struct {
	path string
	err  error
}

// AtPath is an error in reading what an expression stands for.
func AtPath(path string, err error) error { return &pathError{path, err} }

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

// place is where a value lives, unread: what ri.ref gives.
type place struct {
	value values.Value
	path  string
}

func placeOf(v lua.LValue) (*place, bool) {
	u, ok := v.(*lua.LUserData)
	if !ok {
		return nil, false
	}
	p, ok := u.Value.(*place)
	return p, ok
}

// describe names a Lua value in a message.
func (h *Host) describe(v lua.LValue) string {
	if r, ok := refOf(v); ok {
		return "a " + r.binding.goType.Name
	}
	if p, ok := placeOf(v); ok {
		return "a place of " + p.value.Type.Name
	}
	if e, ok := exactOf(v); ok {
		return "the integer " + e.String()
	}
	if v == lua.LValue(h.null) {
		return "ri.null"
	}
	switch v := v.(type) {
	case *lua.LNilType:
		return "nil"
	case lua.LString:
		return "the string " + lang.LuaText(v)
	case lua.LNumber:
		return "the number " + numberText(v)
	case lua.LBool:
		return v.String()
	}
	return "a " + v.Type().String()
}

// Go expressions in scripts: ri.eval, ri.ref of a text, and paths such as 'head.next.name' where a field's name is
// asked for.

func (h *Host) riEval(L *lua.LState) int {
	expr := L.CheckString(1)
	names := map[string]any{}
	if given := L.OptTable(2, nil); given != nil {
		given.ForEach(func(k, v lua.LValue) {
			operand, ok := h.goOperand(v)
			if name, isName := k.(lua.LString); isName && ok {
				names[string(name)] = operand
			} else {
				L.ArgError(2, "names with values, numbers, strings or truth values expected, got "+h.describe(k)+" = "+
					h.describe(v))
			}
		})
	}
	v, err := eval.With(h.space, expr, names)
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
		if n, ok := lang.WholeNumber(v); ok {
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
		return r.binding.host.space.Word(r.addr, r.binding.goType)
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
	v, err := eval.With(h.space, self+dot+path, map[string]any{self: r.operand()})
	var located *eval.PathError
	if errors.As(err, &located) {
		if rest, ok := strings.CutPrefix(located.Path, self); ok {
			return v, full, &pathError{r.path() + rest, located.Err}
		}
	}
	return v, full, err
}
