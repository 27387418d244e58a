package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/values"
)

// metatables that all values of a kind share.
type metatables struct {
	exact     *lua.LTable
	place     *lua.LTable
	goroutine *lua.LTable
	heap      *lua.LTable
	mark      *lua.LTable
	tokens    *lua.LTable // of tables that have tokens for keys; nil until there is one

	equal, length, text, readOnly *lua.LFunction // of Go values
}

func (h *Host) openValues() {
	h.metas.exact = h.exactMeta()
	h.metas.equal = h.function(h.valuesEqual)
	h.metas.length = h.function(h.valueLength)
	h.metas.text = h.function(h.valueText)
	h.metas.readOnly = h.function(func(L *lua.LState) int {
		what := h.describe(L.Get(1))
		if _, isTable := L.Get(1).(*lua.LTable); isTable {
			what = "a package's variable"
		}
		L.RaiseError("%s can't be assigned to: scripts read; ri set changes a field, as do recipes by transactions", what)
		return 0
	})
	place := h.lua.NewTable()
	place.RawSetString("__tostring", h.function(func(L *lua.LState) int {
		p, ok := placeOf(L.Get(1))
		if !ok {
			L.RaiseError("a place expected")
		}
		L.Push(lua.LString(p.path))
		return 1
	}))
	place.RawSetString("__eq", h.function(func(L *lua.LState) int {
		p, ok1 := placeOf(L.Get(1))
		q, ok2 := placeOf(L.Get(2))
		L.Push(lua.LBool(ok1 && ok2 && p.value.Addr == q.value.Addr && p.value.Type == q.value.Type))
		return 1
	}))
	place.RawSetString("__index", h.function(func(L *lua.LState) int {
		L.RaiseError("a place is unread: ri.value(place) reads it, ri.ref(place, %s) goes on", lang.LuaText(L.Get(2)))
		return 0
	}))
	h.metas.place = place
	h.null = h.makeNull()
	h.openGoroutines()
	h.openHeap()
}

// valueMeta is the metatable of values of one type.
func (h *Host) valueMeta(b *binding) *lua.LTable {
	t := h.lua.NewTable()
	t.RawSetString("__index", h.lua.NewFunction(b.index))
	t.RawSetString("__newindex", h.metas.readOnly)
	t.RawSetString("__eq", h.metas.equal)
	t.RawSetString("__len", h.metas.length)
	t.RawSetString("__tostring", h.metas.text)
	return t
}

// index is v.name, v[i] and v[key].
func (b *binding) index(L *lua.LState) int {
	defer contain(L)
	u, ok := L.Get(1).(*lua.LUserData)
	if !ok {
		L.RaiseError("a Go value expected")
	}
	r, ok := u.Value.(*ref)
	if !ok {
		L.RaiseError("a Go value expected")
	}
	key := L.Get(2)
	if name, ok := key.(lua.LString); ok {
		if a := b.fields[string(name)]; a != nil {
			h := b.host
			addr := r.addr + a.offset
			if len(a.steps) > 0 {
				var err error
				if addr, err = a.address(h, r.addr); err != nil {
					h.raise(L, &pathError{r.path() + "." + a.name, err})
				}
			}
			v, err := h.load(a.to, addr, r, fieldStep(&a.name))
			if err != nil {
				h.raise(L, &pathError{r.path() + "." + a.name, err})
			}
			L.Push(v)
			return 1
		}
	}
	v, err := b.host.indexValue(L, r, key)
	if err != nil {
		b.host.raise(L, err)
	}
	L.Push(v)
	return 1
}

// indexValue is the way of those that aren't compiled fields.
func (h *Host) indexValue(L *lua.LState, r *ref, key lua.LValue) (lua.LValue, error) {
	b := r.binding
	if name, ok := key.(lua.LString); ok && b.structure() != nil {
		a, err := b.field(string(name))
		if err != nil {
			return nil, &pathError{r.path(), err}
		}
		addr, err := a.address(h, r.addr)
		if err != nil {
			return nil, &pathError{r.path() + "." + a.name, err}
		}
		v, err := h.load(a.to, addr, r, fieldStep(&a.name))
		if err != nil {
			return nil, &pathError{r.path() + "." + a.name, err}
		}
		return v, nil
	}
	place, s, err := h.elementPlace(L, r, key)
	if errors.Is(err, values.ErrNotFound) {
		return lua.LNil, nil // a map has no such key
	}
	if err != nil {
		return nil, err
	}
	v, err := h.fromValue(place, r, s)
	if err != nil {
		return nil, &pathError{childPath(r, s), err}
	}
	return v, nil
}

// elementPlace finds v[key]: of an array, slice, map or channel, through a pointer too.
func (h *Host) elementPlace(L *lua.LState, r *ref, key lua.LValue) (values.Value, step, error) {
	b := r.binding.pointee()
	v := r.value()
	switch b.class {
	case classMap:
		if h.composed(key) {
			return h.composedElement(r, v, key)
		}
		return h.mapElement(L, r, v, key)
	case classArray, classSlice, classHandle:
		i, ok := key.(lua.LNumber)
		n, integral := lang.WholeNumber(i)
		if !ok || !integral {
			return v, step{}, &pathError{r.path(), fmt.Errorf("%s is indexed by an integer from 0, not by %s", b.goType.Name,
				h.describe(key))}
		}
		e, err := v.Index(int(n))
		if err != nil {
			return v, step{}, &pathError{fmt.Sprintf("%s[%d]", r.path(), n), err}
		}
		return e, indexStep(int(n)), nil
	}
	if b.class == classStruct {
		return v, step{}, &pathError{r.path(), fmt.Errorf("%s is a struct: v.name reads a field, %s is no name",
			b.goType.Name, h.describe(key))}
	}
	return v, step{}, &pathError{r.path(), fmt.Errorf("a %s has no fields and no elements%s", r.binding.goType.Name,
		derefHint(r.binding))}
}

func derefHint(b *binding) string {
	if b.class == classPointer {
		return "; ri.deref(v) is what it points to"
	}
	return ""
}

func (h *Host) valuesEqual(L *lua.LState) int {
	r, ok1 := refOf(L.Get(1))
	q, ok2 := refOf(L.Get(2))
	L.Push(lua.LBool(ok1 && ok2 && r.binding == q.binding && r.addr == q.addr))
	return 1
}

// valueLength is #v.
func (h *Host) valueLength(L *lua.LState) int {
	r, ok := refOf(L.Get(1))
	if !ok {
		L.RaiseError("a Go value expected")
	}
	n, err := h.length(r)
	if err != nil {
		if walker, _ := h.walker(L, r.binding.pointee()); walker != nil {
			err = &pathError{r.path(), fmt.Errorf("a %s has no length; require'walk'.count(ri.pairs(v)) counts",
				r.binding.goType.Name)}
		}
		h.raise(L, err)
	}
	L.Push(lua.LNumber(n))
	return 1
}

func (h *Host) length(r *ref) (int, error) {
	b := r.binding.pointee()
	switch b.class {
	case classArray, classSlice, classMap, classHandle, classString:
		n, err := r.value().Len()
		if err != nil {
			return 0, &pathError{r.path(), err}
		}
		return n, nil
	}
	return 0, &pathError{r.path(), fmt.Errorf("a %s has no length", r.binding.goType.Name)}
}

func (h *Host) valueText(L *lua.LState) int {
	r, ok := refOf(L.Get(1))
	if !ok {
		L.RaiseError("a Go value expected")
	}
	L.Push(lua.LString(h.dumpRef(r, values.DumpOptions{Depth: 1, Elems: 8, Bytes: 128, OneLine: true})))
	return 1
}

// start makes a Lua value of one that was found by name or address.
func (h *Host) start(L *lua.LState, v values.Value, path string) lua.LValue {
	value, err := h.fromValue(v, nil, textStep(path))
	if err != nil {
		h.raise(L, &pathError{path, err})
	}
	return value
}

var dumpDefaults = values.DumpOptions{}

// riDump is a value in Go syntax, or a Lua table in Lua's.
func (h *Host) riDump(L *lua.LState) int {
	opt := dumpDefaults
	if t, ok := L.Get(2).(*lua.LTable); ok {
		h.onlyKeys(L, t, "depth", "elems", "bytes", "oneline")
		opt.Depth, opt.Elems, opt.Bytes = optInt(L, t, "depth", 0), optInt(L, t, "elems", 0), optInt(L, t, "bytes", 0)
		opt.OneLine = lua.LVAsBool(t.RawGetString("oneline"))
	}
	L.Push(lua.LString(h.dumpLua(L.Get(1), opt, 0)))
	return 1
}

func (h *Host) dumpRef(r *ref, opt values.DumpOptions) string {
	v := r.value()
	if r.binding.class == classPointer {
		if r.binding.structure() != nil {
			return "&" + v.Dump(opt)
		}
		return fmt.Sprintf("(%s)(0x%x)", r.binding.goType.Name, r.addr)
	}
	if r.binding.class == classHandle && r.binding.goType.Elem() == nil {
		if f, err := v.Func(); err == nil {
			return f.Func
		}
	}
	return v.Dump(opt)
}

func (h *Host) dumpLua(v lua.LValue, opt values.DumpOptions, depth int) string {
	switch v := v.(type) {
	case lua.LString:
		return strconv.Quote(string(v))
	case lua.LNumber:
		return exactText(v)
	case *lua.LUserData:
		switch x := v.Value.(type) {
		case null:
			return "nil"
		case *exact:
			return x.String()
		case *ref:
			return h.dumpRef(x, opt)
		case *place:
			return x.path
		case *goroutine:
			return x.String()
		}
	case *lua.LTable:
		if depth > 4 {
			return "{...}"
		}
		var parts []string
		n := 0
		for k, e := v.Next(lua.LNil); k != lua.LNil; k, e = v.Next(k) {
			if len(parts) == 64 {
				parts = append(parts, "...")
				break
			}
			text := h.dumpLua(e, opt, depth+1)
			switch key := k.(type) {
			case lua.LString:
				text = string(key) + " = " + text
			case lua.LNumber:
				if n++; int(key) != n {
					text = "[" + numberText(key) + "] = " + text
				}
			default:
				text = "[" + h.dumpLua(k, opt, depth+1) + "] = " + text
			}
			parts = append(parts, text)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return v.String()
}

// riJSON is a value as JSON: integers exact, NaN and Inf as strings, what isn't UTF-8 as {"$b64": ...}.
func (h *Host) riJSON(L *lua.LState) int {
	left := maxElements
	value, err := h.plain(L.Get(1), 0, &left)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.json: %w", err))
	}
	L.Push(lua.LString(rows.AppendJSON(nil, value)))
	return 1
}
