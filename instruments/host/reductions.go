package host

import (
	"context"
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/values"
	"ri/values/walk"
)

// Reductions: loops that run in Go, over what a script declares. The script says what to go through, which part of each
// element counts and which elements; no Lua runs for an element.

// maxGroups bounds the rows of ri.group, maxTop those of ri.top.
const (
	maxGroups = 1_000_000
	maxTop    = 100_000
)

// openReductions adds them to the table ri.
func (h *Host) openReductions() {
	ri := h.lua.GetGlobal("ri").(*lua.LTable)
	for name, f := range map[string]func(L *lua.LState) int{
		"count": h.riCount, "sum": h.riSum, "where": h.riWhere, "group": h.riGroup, "top": h.riTop,
	} {
		h.setFunction(ri, name, f, true)
	}
}

// declared is what the iterators of ri.linked and ri.where know of themselves, so that a reduction can run them in Go:
// it is their upvalue.
type declared struct {
	walk func() (*way, error)
}

// way is a walk through a structure, with what its elements are called.
type way struct {
	*walk.Walk
	root *ref // nil: nothing to go through
	path string
}

// declare makes an iterator that reductions take, too.
func (h *Host) declare(next func(L *lua.LState) int, walk func() (*way, error)) *lua.LFunction {
	return h.lua.NewClosure(func(L *lua.LState) int {
		defer contain(L)
		return next(L)
	}, &lua.LUserData{Value: &declared{walk}})
}

func declaredOf(v lua.LValue) *declared {
	f, ok := v.(*lua.LFunction)
	if !ok || !f.IsG || len(f.Upvalues) != 1 {
		return nil
	}
	u, ok := f.Upvalues[0].Value().(*lua.LUserData)
	if !ok {
		return nil
	}
	d, _ := u.Value.(*declared)
	return d
}

// walkArg is what argument 1 goes through; its Walk is nil where that is nothing.
func (h *Host) walkArg(L *lua.LState) *way {
	v := L.Get(1)
	if d := declaredOf(v); d != nil {
		w, err := d.walk()
		if err != nil {
			h.raise(L, err)
		}
		return w
	}
	if v == lua.LNil { // as Go ranges over nil
		return &way{}
	}
	if p, ok := placeOf(v); ok {
		v = h.start(L, p.value, p.path)
	}
	r, ok := refOf(v)
	if !ok {
		L.ArgError(1, "an array, slice, map, channel, container/list, ri.linked(...) or ri.where(...) expected, got "+
			h.describe(v))
	}
	w, err := walk.Of(r.value())
	if errors.Is(err, values.ErrKind) {
		err = fmt.Errorf("a %s can't be gone through in Go: give an array, slice, map, channel, container/list, "+
			"ri.linked(head, 'next') or ri.where(...), or loop in Lua with ri.pairs: %w",
			r.binding.goType.Name, values.ErrKind)
	}
	if err != nil {
		h.raise(L, &pathError{r.path(), err})
	}
	return h.checked(&way{Walk: w, root: r, path: r.path()})
}

// checked has the walk end when the run does.
func (h *Host) checked(w *way) *way {
	ctx := h.ctx
	w.Check = func() error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
			return nil
		}
	}
	return w
}

// done ends a reduction: what it passed counts as read, and an error gets the path of the element.
func (h *Host) done(L *lua.LState, w *way, err error) {
	h.loads += w.Seen
	if err != nil {
		h.raise(L, h.elementError(w, err))
	}
}

// elementError names the element by the Go path that leads to it.
func (h *Host) elementError(w *way, err error) error {
	var e *walk.ElementError
	if !errors.As(err, &e) {
		return &pathError{w.path, err}
	}
	path := fmt.Sprintf("%s[%d]", w.path, e.Index)
	switch {
	case w.Nodes():
		path = fmt.Sprintf("%s: node %d, (*%s)(0x%x)", w.path, e.Index, w.Elem.Name, e.Addr)
	case w.Key != nil && e.Key == 0: // the map itself
		return &pathError{w.path, fmt.Errorf("after %d entries: %w", e.Index, e.Err)}
	case w.Key != nil:
		path = fmt.Sprintf("%s: entry %d", w.path, e.Index)
		if key, err := h.load(h.bind(w.Key), e.Key, nil, entryKeyStep); err == nil {
			path = fmt.Sprintf("%s[%s]", w.path, h.dumpLua(key, values.DumpOptions{Depth: 1, OneLine: true, Bytes: 64}, 0))
		}
	}
	part := e.Path
	if w.Key != nil {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "value"), ".")
	}
	if part != "" {
		path += "." + part
	}
	return &pathError{path, e.Err}
}

// key is the Lua value of an element's index or key.
func (h *Host) walkKey(w *way, i int, key uint64) (lua.LValue, error) {
	if w.Key == nil {
		return lua.LNumber(i), nil
	}
	return h.load(h.bind(w.Key), key, w.root, entryKeyStep)
}

// element is the Lua value of an element.
func (h *Host) walkElement(w *way, i int, elem uint64) (lua.LValue, error) {
	switch {
	case w.Nodes():
		b := w.root.binding
		if b.class != classPointer {
			return h.load(b, elem, nil, step{})
		}
		return h.object(b, elem, nil, step{}), nil
	case w.Key != nil:
		return h.load(h.bind(w.Elem), elem, w.root, entryStep)
	}
	return h.load(h.bind(w.Elem), elem, w.root, indexStep(i))
}

// conditions adds the conditions of an argument to the walk: {field, op, value}, or a list of those, all of which must
// hold.
func (h *Host) conditions(L *lua.LState, w *way, n int) *way {
	if L.Get(n) == lua.LNil || w.Walk == nil {
		return w
	}
	table := L.CheckTable(n)
	list := []*lua.LTable{table}
	if _, nested := table.RawGetInt(1).(*lua.LTable); nested {
		list = nil
		for i := 1; i <= table.Len(); i++ {
			t, ok := table.RawGetInt(i).(*lua.LTable)
			if !ok {
				L.ArgError(n, "conditions are {{field, op, value}, ...}, got "+h.describe(table.RawGetInt(i)))
			}
			list = append(list, t)
		}
	}
	for _, t := range list {
		field, ok1 := t.RawGetInt(1).(lua.LString)
		name, ok2 := t.RawGetInt(2).(lua.LString)
		op, known := walk.Ops[string(name)]
		if !ok1 || !ok2 || !known || t.Len() > 3 {
			L.ArgError(n, "a condition is {field, op, value} with op ==, ~=, <, <=, > or >=, as in {'size', '>', 100}")
		}
		value, err := h.operand(t.RawGetInt(3))
		if err == nil {
			var more *walk.Walk
			if more, err = w.Where(string(field), op, value); err == nil {
				w = &way{more, w.root, w.path}
				continue
			}
		}
		h.raise(L, &pathError{w.path, fmt.Errorf("{%s, %s, %s}: %w", lang.LuaText(t.RawGetInt(1)),
			lang.LuaText(t.RawGetInt(2)),
			h.describe(t.RawGetInt(3)), err)})
	}
	return w
}

// operand is a Lua value to compare with.
func (h *Host) operand(v lua.LValue) (any, error) {
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(v), nil
	case lua.LString:
		return string(v), nil
	case lua.LNumber:
		if n, ok := lang.WholeNumber(v); ok {
			return n, nil
		}
		return float64(v), nil
	case *lua.LUserData:
		if e, ok := exactOf(v); ok {
			return e.goValue(), nil
		}
		if r, ok := refOf(v); ok && r.binding.class == classPointer {
			return values.Pointer(r.addr), nil
		}
	}
	return nil, fmt.Errorf("%s can't be compared: a number, string, boolean, pointer or nil can", h.describe(v))
}

func (h *Host) riCount(L *lua.LState) int {
	w := h.conditions(L, h.walkArg(L), 2)
	n := int64(0)
	if w.Walk != nil {
		var err error
		n, err = w.Count()
		h.done(L, w, err)
	}
	L.Push(h.int64Value(n))
	return 1
}

func (h *Host) riSum(L *lua.LState) int {
	w := h.conditions(L, h.walkArg(L), 3)
	var sum walk.Sum
	if w.Walk != nil {
		var err error
		sum, err = w.Sum(L.OptString(2, ""))
		h.done(L, w, err)
	}
	L.Push(h.sumValue(L, &sum))
	L.Push(h.int64Value(sum.N))
	return 2
}

func (h *Host) sumValue(L *lua.LState, sum *walk.Sum) lua.LValue {
	if f, ok := sum.Float(); ok {
		return lua.LNumber(f)
	}
	return h.bigValue(L, sum.Int())
}

// match is an element that a condition holds for.
type match struct {
	index     int
	key, elem uint64
}

// riWhere gives an iterator. The elements are found at the first step, in one go.
func (h *Host) riWhere(L *lua.LState) int {
	w := h.walkArg(L)
	L.CheckTable(2)
	w = h.conditions(L, w, 2)
	var found []match
	var broken error
	at, looked := 0, false
	L.Push(h.declare(func(L *lua.LState) int {
		if w.Walk == nil {
			return 0
		}
		if !looked {
			looked = true
			run := *w.Walk
			broken = run.Each(func(i int, key, elem uint64) (bool, error) {
				found = append(found, match{i, key, elem})
				return true, nil
			})
			h.loads += run.Seen
		}
		h.check(L)
		if at >= len(found) {
			if broken != nil {
				h.raise(L, h.elementError(w, broken))
			}
			return 0
		}
		m := found[at]
		at++
		h.pushElement(L, w, m)
		return 2
	}, func() (*way, error) {
		if w.Walk == nil {
			return w, nil
		}
		again := *w.Walk
		again.Seen = 0
		return h.checked(&way{&again, w.root, w.path}), nil
	}))
	return 1
}

// pushElement pushes an element's index or key, and the element.
func (h *Host) pushElement(L *lua.LState, w *way, m match) {
	key, err := h.walkKey(w, m.index, m.key)
	var value lua.LValue
	if err == nil {
		value, err = h.walkElement(w, m.index, m.elem)
	}
	if err != nil {
		h.raise(L, h.elementError(w, &walk.ElementError{Index: m.index, Key: m.key, Addr: m.elem, Err: err}))
	}
	L.Push(key)
	L.Push(value)
}

func (h *Host) riGroup(L *lua.LState) int {
	w := h.conditions(L, h.walkArg(L), 4)
	by := L.CheckString(2)
	var add *string
	if L.Get(3) != lua.LNil {
		field := L.CheckString(3)
		add = &field
	}
	t := h.lua.NewTable()
	if w.Walk != nil {
		groups, err := w.Group(by, add, maxGroups)
		h.done(L, w, err)
		for i := range groups {
			g := &groups[i]
			row := h.table("count", g.Count)
			row.RawSetString("key", h.scalarValue(&g.Key))
			if add != nil {
				row.RawSetString("sum", h.sumValue(L, &g.Sum))
			}
			t.Append(row)
		}
	}
	L.Push(t)
	return 1
}

func (h *Host) riTop(L *lua.LState) int {
	w := h.conditions(L, h.walkArg(L), 4)
	n := L.CheckInt(2)
	if n < 0 || n > maxTop {
		L.ArgError(2, fmt.Sprintf("from 0 to %d elements", maxTop))
	}
	by := L.OptString(3, "")
	t := h.lua.NewTable()
	if w.Walk != nil {
		best, err := w.Top(n, by)
		h.done(L, w, err)
		for i := range best {
			r := &best[i]
			h.pushElement(L, w, match{r.Index, r.Key, r.Elem})
			t.Append(h.table("key", L.Get(-2), "value", L.Get(-1), "by", h.scalarValue(&r.By)))
			L.Pop(2)
		}
	}
	L.Push(t)
	return 1
}

// scalarValue is what Go read for Lua.
func (h *Host) scalarValue(s *values.Scalar) lua.LValue {
	switch s.Kind {
	case values.IntScalar:
		return h.int64Value(s.Int())
	case values.UintScalar:
		return h.uint64Value(s.Bits)
	case values.FloatScalar:
		return lua.LNumber(s.Float())
	case values.BoolScalar:
		return lua.LBool(s.Bits != 0)
	case values.TextScalar:
		return lua.LString(s.Text)
	case values.WordScalar:
		b := h.bind(s.Type)
		switch {
		case s.Bits == 0:
		case b.class == classPointer:
			return h.object(b, s.Bits, nil, step{})
		default: // its own place isn't known
			return h.uint64Value(s.Bits)
		}
	}
	return lua.LNil
}
