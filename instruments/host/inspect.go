package host

import (
	"errors"
	"fmt"
	"reflect"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/values"
	"ri/values/eval"
)

// Functions asked of a value or of its place: type, address, name, parts.

// target gives the place that argument n means. A pointer value stands for itself: no place of its own is
// known, so what is done with it is done to what it points to.
func (h *Host) target(L *lua.LState, n int) (values.Value, string) {
	if p, ok := placeOf(L.Get(n)); ok {
		return p.value, p.path
	}
	if r, ok := refOf(L.Get(n)); ok {
		return r.value(), r.path()
	}
	L.ArgError(n, "a Go value or a place (ri.ref) expected, got "+h.describe(L.Get(n)))
	return values.Value{}, ""
}

func (h *Host) riTypeof(L *lua.LState) int {
	switch v := L.CheckAny(1).(type) {
	case *lua.LUserData:
		if r, ok := v.Value.(*ref); ok {
			L.Push(lua.LString(r.binding.goType.Name))
			return 1
		}
		if p, ok := v.Value.(*place); ok {
			L.Push(lua.LString(p.value.Type.Name))
			return 1
		}
		if e, ok := v.Value.(*exact); ok {
			L.Push(lua.LString(fmt.Sprintf("%T", e.goValue())))
			return 1
		}
	}
	h.raisef(L, "ri.typeof: %s has lost its Go type: ask its place, ri.typeof(ri.ref(v, 'field'))", h.describe(L.Get(1)))
	return 0
}

func (h *Host) riType(L *lua.LState) int {
	t := h.typeArg(L, 1)
	out := h.table("name", t.Name, "kind", t.Kind.String(), "size", t.Size)
	switch t.Kind {
	case reflect.Struct:
		if err := t.Lacks(); err != nil {
			h.raise(L, err)
		}
		fields := h.lua.NewTable()
		for _, f := range t.Fields() {
			fields.Append(h.table("name", f.Name, "offset", f.Offset, "type", f.Type.Name, "size", f.Type.Size, "embedded",
				f.Embedded))
		}
		out.RawSetString("fields", fields)
	case reflect.Array:
		out.RawSetString("len", h.int64Value(t.Len()))
	case reflect.Map:
		out.RawSetString("key", lua.LString(t.Key().Name))
	}
	if e := t.Elem(); e != nil {
		out.RawSetString("elem", lua.LString(e.Name))
	}
	if names := t.Constants(); len(names) > 0 {
		out.RawSetString("constants", h.goToLua(names))
	}
	L.Push(out)
	return 1
}

func (h *Host) riAddr(L *lua.LState) int {
	if L.Get(1) == lua.LNil {
		L.Push(lua.LNumber(0))
		return 1
	}
	v, path := h.target(L, 1)
	if L.GetTop() > 1 {
		v, _ = h.part(L, 1, 2)
	}
	if values.IsLocal(v.Addr) {
		h.raisef(L, "%s lives in no memory (a register, or a computed value)", path)
	}
	L.Push(h.uint64Value(v.Addr))
	return 1
}

// part is the place v[key] or v.key of arguments n and k.
func (h *Host) part(L *lua.LState, n, k int) (values.Value, string) {
	key := L.CheckAny(k)
	r, ok := refOf(L.Get(n))
	if p, isPlace := placeOf(L.Get(n)); isPlace {
		v, path, err := h.placePart(L, p, key)
		if err != nil {
			h.raise(L, err)
		}
		return v, path
	}
	if !ok {
		L.ArgError(n, "a Go value or a place expected, got "+h.describe(L.Get(n)))
	}
	if name, isName := key.(lua.LString); isName && isPath(r.binding, string(name)) {
		v, path, err := h.pathPart(r, string(name))
		if err != nil {
			h.raise(L, err)
		}
		return v, path
	}
	if name, isName := key.(lua.LString); isName && r.binding.structure() != nil {
		a, err := r.binding.field(string(name))
		if err != nil {
			h.raise(L, &pathError{r.path(), err})
		}
		path := r.path() + "." + a.name
		addr, err := a.address(h, r.addr)
		if err != nil {
			h.raise(L, &pathError{path, err})
		}
		return h.space.At(addr, a.to.goType), path
	}
	v, s, err := h.elementPlace(L, r, key)
	if err != nil {
		if errors.Is(err, values.ErrNotFound) {
			err = &pathError{r.path(), fmt.Errorf("the map has no key %s", lang.LuaText(key))}
		}
		h.raise(L, err)
	}
	return v, childPath(r, s)
}

func (h *Host) placePart(L *lua.LState, p *place, key lua.LValue) (values.Value, string, error) {
	// A place goes on as its value does; the value isn't kept.
	value, err := h.fromValue(p.value, nil, textStep(p.path))
	if err != nil {
		return p.value, p.path, &pathError{p.path, err}
	}
	if _, ok := refOf(value); !ok {
		return p.value, p.path, &pathError{p.path, fmt.Errorf("a %s has no fields and no elements", p.value.Type.Name)}
	}
	L.Push(value)
	L.Push(key)
	v, path := h.part(L, L.GetTop()-1, L.GetTop())
	L.Pop(2)
	return v, path, nil
}

func (h *Host) pushPlace(L *lua.LState, v values.Value, path string) int {
	L.Push(&lua.LUserData{Value: &place{v, path}, Metatable: h.metas.place})
	return 1
}

func (h *Host) riRef(L *lua.LState) int {
	if expr, ok := L.Get(1).(lua.LString); ok {
		v, err := eval.Expression(h.space, string(expr))
		if err != nil {
			h.raise(L, err)
		}
		return h.pushPlace(L, v, string(expr))
	}
	if L.GetTop() < 2 {
		v, path := h.target(L, 1)
		return h.pushPlace(L, v, path)
	}
	v, path := h.part(L, 1, 2)
	return h.pushPlace(L, v, path)
}

func (h *Host) riValue(L *lua.LState) int {
	p, ok := placeOf(L.CheckAny(1))
	if !ok {
		L.Push(L.Get(1)) // a value is its own
		return 1
	}
	L.Push(h.start(L, p.value, p.path))
	return 1
}

func (h *Host) riDeref(L *lua.LState) int {
	v, path := h.target(L, 1)
	if p, ok := placeOf(L.Get(1)); ok {
		e, err := p.value.Elem()
		if err != nil {
			h.raise(L, &pathError{path, err})
		}
		L.Push(h.start(L, e, "*"+path))
		return 1
	}
	r, _ := refOf(L.Get(1))
	if r.binding.class != classPointer {
		L.RaiseError("%s: a %s is no pointer", path, r.binding.goType.Name)
	}
	value, err := h.fromValue(v, r, step{nil, stepDeref})
	if err != nil {
		h.raise(L, &pathError{"*" + path, err})
	}
	L.Push(value)
	return 1
}

func (h *Host) riCast(L *lua.LState) int {
	v, path := h.target(L, 1)
	t := h.typeArg(L, 2)
	value, err := h.load(h.bind(t), v.Addr, nil, textStep(fmt.Sprintf("(*(*%s)(0x%x))", t.Name, v.Addr)))
	if err != nil {
		h.raise(L, &pathError{path, err})
	}
	L.Push(value)
	return 1
}

func (h *Host) riName(L *lua.LState) int {
	v, path := h.target(L, 1)
	if L.GetTop() > 1 {
		v, path = h.part(L, 1, 2)
	}
	switch classOf(v.Type) {
	case classInt, classUint:
	default:
		L.RaiseError("%s: a %s has no named constants; ri.name(v, 'field') asks a field", path, v.Type.Name)
	}
	if name, ok := v.Constant(); ok {
		L.Push(lua.LString(name))
		return 1
	}
	value := h.start(L, v, path)
	if n, ok := value.(lua.LNumber); ok {
		L.Push(lua.LString(numberText(n)))
	} else {
		L.Push(lua.LString(value.String()))
		if e, ok := exactOf(value); ok {
			L.Pop(1)
			L.Push(lua.LString(e.String()))
		}
	}
	return 1
}

func (h *Host) riIsNil(L *lua.LState) int {
	value := L.Get(1)
	if p, ok := placeOf(value); ok {
		isNil, err := p.value.IsNil()
		if err != nil {
			h.raise(L, &pathError{p.path, err})
		}
		L.Push(lua.LBool(isNil))
		return 1
	}
	r, ok := refOf(value)
	if !ok || r.binding.class != classSlice && r.binding.class != classMap {
		L.Push(lua.LBool(value == lua.LNil || value == lua.LValue(h.null)))
		return 1
	}
	isNil, err := r.value().IsNil()
	if err != nil {
		h.raise(L, &pathError{r.path(), err})
	}
	L.Push(lua.LBool(isNil))
	return 1
}

func (h *Host) riLen(L *lua.LState) int {
	switch v := L.CheckAny(1).(type) {
	case lua.LString:
		L.Push(lua.LNumber(len(v)))
		return 1
	case *lua.LTable:
		L.Push(lua.LNumber(v.Len()))
		return 1
	case *lua.LNilType:
		L.Push(lua.LNumber(0))
		return 1
	}
	if r, ok := refOf(L.Get(1)); ok {
		n, err := h.length(r)
		if err != nil {
			h.raise(L, err)
		}
		L.Push(lua.LNumber(n))
		return 1
	}
	L.Push(lua.LNumber(read(h, L, values.Value.Len)))
	return 1
}

func (h *Host) riCap(L *lua.LState) int {
	L.Push(lua.LNumber(read(h, L, values.Value.Cap)))
	return 1
}

// What a script asks of a type so that it needn't know the program's version: whether there is a field, what a constant
// is.

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

// riConstant gives the value of a constant that was declared with a named integer type; nil if the compiler kept none
// of that name.
func (h *Host) riConstant(L *lua.LState) int {
	t, name := h.typeArg(L, 1), L.CheckString(2)
	value, ok := t.ConstantValue(name)
	if !ok {
		if len(t.Constants()) == 0 {
			h.raise(L, fmt.Errorf("ri.constant: the compiler kept no constants of the type %s: "+
				"it must be a named integer type", t.Name))
		}
		L.Push(lua.LNil)
		return 1
	}
	L.Push(h.int64Value(value))
	return 1
}
