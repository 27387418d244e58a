package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/change"
	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/outside"
	"ri/ovsdb"
)

// Modules that reach outside of the process: http, file and ovsdb. A script names them in its header, and somebody has
// to allow what they reach. What changes something is part of the run's transaction (ri.change), and is done once,
// after what changes memory.

// outsideModule gives a module by name; nil: there is none.
func (h *Host) outsideModule(name string) *lua.LTable {
	module := map[string]map[string]func(L *lua.LState) (int, error){
		"http":  {"get": h.httpGet, "put": h.httpPut},
		"file":  {"read": h.fileRead, "list": h.fileList, "replace": h.fileReplace},
		"ovsdb": {"query": h.ovsdbQuery, "select": h.ovsdbSelect, "transact": h.ovsdbTransact},
	}[name]
	if module == nil {
		return nil
	}
	t := h.lua.NewTable()
	for function, f := range module {
		t.RawSetString(function, h.function(func(L *lua.LState) int {
			err := h.mayReach(name, name+"."+function)
			n := 0
			if err == nil {
				if n, err = f(L); err != nil {
					err = fmt.Errorf("%s.%s: %w", name, function, err)
				}
			}
			if err != nil {
				h.raise(L, err)
			}
			return n
		}))
	}
	return t
}

// mayReach says why a module may not be used now. Nothing is waited for while a process is held.
func (h *Host) mayReach(module, function string) error {
	if h.loading {
		return fmt.Errorf("%s is not available while the file loads: call it in run", function)
	}
	if s := h.script; s != nil && s.Header != nil && !slices.Contains(s.Header.Modules, module) {
		return fmt.Errorf("%s: the header doesn't say modules = { %q }", function, module)
	}
	if h.opt.Target.Kind == string(attach.Recorded) {
		return fmt.Errorf("%s: what lies outside of the process isn't recorded", function)
	}
	view := h.opt.Target.View
	if h.opt.Seen != nil {
		view, _ = h.opt.Seen()
	}
	if view == attach.Stopped {
		return fmt.Errorf("%s: the process is held, and must not wait for what is outside of it: --view snapshot", function)
	}
	if !h.opt.Outside.Has(module) {
		return fmt.Errorf("%s: %w: --allow %s allows it, or the agent's configuration", function, outside.ErrNotAllowed,
			map[string]string{"http": "http=HOST:PORT", "file": "file=FOLDER", "ovsdb": "ovsdb=METHOD"}[module])
	}
	return nil
}

// changing is the transaction that argument n is.
func (h *Host) changing(L *lua.LState, n int) (*change.Plan, error) {
	if tx := L.CheckTable(n); h.tx == nil || tx != h.tx {
		return nil, errors.New("the first argument is the transaction that ri.change gives its function")
	}
	return h.txPlan, nil
}

func (h *Host) httpGet(L *lua.LState) (int, error) {
	r, err := h.opt.Outside.Get(h.ctx, L.CheckString(1))
	if err != nil {
		return 0, err
	}
	t := h.lua.NewTable()
	t.RawSetString("status", lua.LNumber(r.Status))
	t.RawSetString("etag", lua.LString(r.ETag))
	t.RawSetString("body", lua.LString(r.Body))
	L.Push(t)
	return 1, nil
}

func (h *Host) httpPut(L *lua.LState) (int, error) {
	plan, err := h.changing(L, 1)
	if err != nil {
		return 0, err
	}
	at, t, body := L.CheckString(2), L.CheckTable(3), []byte(L.CheckString(4))
	was := &outside.Response{Status: int(lua.LVAsNumber(t.RawGetString("status"))),
		ETag: lua.LVAsString(t.RawGetString("etag")), Body: []byte(lua.LVAsString(t.RawGetString("body")))}
	if was.Status != http.StatusOK && was.Status != http.StatusNotFound {
		return 0, fmt.Errorf("%s answered %d, so it isn't known what would be replaced: %w", at, was.Status,
			change.ErrRefused)
	}
	allowed := h.opt.Outside
	plan.Actions = append(plan.Actions, change.Action{
		Text: fmt.Sprintf("put %d bytes to %s, where %d are now", len(body), at, len(was.Body)),
		Do:   func() error { return guarded(allowed.Put(plan.Context(), at, was, body)) },
	})
	return 0, nil
}

// guarded is a conflict where what is outside is not what it was.
func guarded(err error) error {
	if errors.Is(err, outside.ErrChanged) {
		return fmt.Errorf("%w: %w", err, change.ErrConflict)
	}
	if errors.Is(err, outside.ErrUnknown) {
		return fmt.Errorf("%w: %w", err, change.ErrOutcome)
	}
	return err
}

func (h *Host) fileRead(L *lua.LState) (int, error) {
	data, err := h.opt.Outside.Read(L.CheckString(1))
	if errors.Is(err, fs.ErrNotExist) {
		L.Push(lua.LNil)
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	L.Push(lua.LString(data))
	return 1, nil
}

func (h *Host) fileList(L *lua.LState) (int, error) {
	list, err := h.opt.Outside.List(L.OptString(1, "."))
	if err != nil {
		return 0, err
	}
	t := h.lua.NewTable()
	for _, f := range list {
		one := h.lua.NewTable()
		one.RawSetString("name", lua.LString(f.Name))
		one.RawSetString("folder", lua.LBool(f.Folder))
		one.RawSetString("size", lua.LNumber(f.Size))
		t.Append(one)
	}
	L.Push(t)
	return 1, nil
}

func (h *Host) fileReplace(L *lua.LState) (int, error) {
	plan, err := h.changing(L, 1)
	if err != nil {
		return 0, err
	}
	r, err := h.opt.Outside.Replace(L.CheckString(2), []byte(L.CheckString(3)), []byte(L.CheckString(4)))
	if err != nil {
		return 0, guarded(err)
	}
	plan.Actions = append(plan.Actions, change.Action{
		Text: fmt.Sprintf("replace %s (%d bytes) by %d bytes", r.Path, len(r.Before), len(r.After)),
		File: r.Path, Before: r.Before, After: r.After,
		Do: func() error { return guarded(r.Do()) },
	})
	return 0, nil
}

// jsonOf is a table of Lua as decoded JSON.
func (h *Host) jsonOf(v lua.LValue) (j any, err error) {
	left := maxElements
	value, err := h.plain(v, 0, &left)
	if err != nil {
		return nil, err
	}
	err = ovsdb.Decode(rows.AppendJSON(nil, value), &j)
	return j, err
}

func (h *Host) operations(L *lua.LState, n int) (at, database string, list []any, err error) {
	at, database = L.CheckString(n), L.CheckString(n+1)
	j, err := h.jsonOf(L.CheckTable(n + 2))
	if err != nil {
		return at, database, nil, err
	}
	list, ok := j.([]any)
	if !ok {
		err = errors.New("operations are a list: { { op = \"select\", ... } }")
	}
	return at, database, list, err
}

func (h *Host) ovsdbQuery(L *lua.LState) (int, error) {
	at, database, list, err := h.operations(L, 1)
	if err != nil {
		return 0, err
	}
	if !outside.Reads(list) {
		return 0, fmt.Errorf("only select, wait, comment and assert; ovsdb.transact changes something: %w", change.ErrRefused)
	}
	results, err := h.opt.Outside.Transact(h.ctx, at, database, list)
	if err != nil {
		return 0, err
	}
	L.Push(h.luaOf(results))
	return 1, nil
}

func (h *Host) ovsdbSelect(L *lua.LState) (int, error) {
	op := map[string]any{"op": "select", "table": L.CheckString(3), "where": []any{}}
	for i, name := range []string{"where", "columns"} {
		t := L.OptTable(4+i, nil)
		if t == nil {
			continue
		}
		j, err := h.jsonOf(t)
		if err != nil {
			return 0, err
		}
		op[name] = j
	}
	results, err := h.opt.Outside.Transact(h.ctx, L.CheckString(1), L.CheckString(2), []any{op})
	if err != nil {
		return 0, err
	}
	first, _ := results[0].(map[string]any)
	L.Push(h.luaOf(first["rows"]))
	return 1, nil
}

func (h *Host) ovsdbTransact(L *lua.LState) (int, error) {
	plan, err := h.changing(L, 1)
	if err != nil {
		return 0, err
	}
	at, database, list, err := h.operations(L, 2)
	if err != nil {
		return 0, err
	}
	allowed := h.opt.Outside
	plan.Actions = append(plan.Actions, change.Action{
		Text: fmt.Sprintf("at %s: transact %s %s", at, database, ovsdb.Text(list)),
		Do: func() error {
			_, err := allowed.Transact(plan.Context(), at, database, list)
			return guarded(err)
		},
	})
	return 0, nil
}

// luaOf is decoded JSON as a value of Lua: null is nil.
func (h *Host) luaOf(j any) lua.LValue {
	switch j := j.(type) {
	case bool:
		return lua.LBool(j)
	case string:
		return lua.LString(j)
	case json.Number:
		if v, ok := h.parseInteger(j.String()); ok {
			return v
		}
		f, _ := j.Float64()
		return lua.LNumber(f)
	case []any:
		t := h.lua.NewTable()
		for i, e := range j {
			t.RawSetInt(i+1, h.luaOf(e))
		}
		return t
	case map[string]any:
		t := h.lua.NewTable()
		for name, e := range j {
			t.RawSetString(name, h.luaOf(e))
		}
		return t
	}
	return lua.LNil
}

// riDecode reads JSON.
func (h *Host) riDecode(L *lua.LState) int {
	var j any
	if err := ovsdb.Decode([]byte(L.CheckString(1)), &j); err != nil {
		h.raise(L, fmt.Errorf("ri.decode: %w", err))
	}
	L.Push(h.luaOf(j))
	return 1
}

// NeededModules are those that a script declares and nobody has allowed.
func NeededModules(h *lang.Header, allowed *outside.Allowed) (missing []string) {
	if h == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(h.Modules), allowed.Has)
}
