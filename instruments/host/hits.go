package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
)

// Hits gives what is traced, a hit after the other. Next ends with io.EOF.
type Hits interface {
	Next(ctx context.Context) (rows.Row, error)
}

// HitOptions bound a trace. What is zero has a default.
type HitOptions struct {
	Limit uint64
	For   time.Duration
	Stack int // frames with each hit
}

// riHits is an iterator over the hits of the header's probes. They are armed when the first is asked for.
func (h *Host) riHits(L *lua.LState) int {
	t := L.OptTable(1, h.lua.NewTable())
	h.onlyKeys(L, t, "limit", "seconds", "stack")
	number := func(name string, most float64) float64 {
		v := t.RawGetString(name)
		if v == lua.LNil {
			return 0
		}
		f, ok := float(v)
		if !ok || !(f > 0 && f <= most) {
			L.RaiseError("ri.hits: %s must be a number from 1 to %g", name, most)
		}
		return f
	}
	o := HitOptions{Limit: uint64(number("limit", 1e9)), For: time.Duration(number("seconds", 86400) * 1e9),
		Stack: int(number("stack", 64))}
	if h.opt.Hits == nil {
		h.raisef(L, "ri.hits: the instrument declares no probes, or there is no process that runs")
	}
	var hits Hits
	L.Push(h.function(func(L *lua.LState) int {
		h.clock.Pause()
		var err error
		if hits == nil {
			hits, err = h.opt.Hits(h.ctx, o)
		}
		var row rows.Row
		if err == nil {
			row, err = hits.Next(h.ctx)
		}
		h.clock.Resume()
		h.Forget()
		if errors.Is(err, io.EOF) {
			return 0
		}
		if err != nil {
			h.raise(L, fmt.Errorf("ri.hits: %w", err))
		}
		L.Push(h.hitTable(row))
		return 1
	}))
	return 1
}

// hitTable is a hit as a script sees it. What isn't there is in missing, with the reason.
func (h *Host) hitTable(row rows.Row) *lua.LTable {
	t, missing := h.lua.NewTable(), h.lua.NewTable()
	for _, c := range row {
		if why, ok := c.Value.(rows.Missing); ok {
			missing.RawSetString(c.Name, lua.LString(why))
			continue
		}
		if inner, ok := c.Value.(rows.Row); ok {
			t.RawSetString(c.Name, h.hitParts(inner, missing))
			continue
		}
		t.RawSetString(c.Name, h.hitValue(c.Value))
	}
	t.RawSetString("missing", missing)
	return t
}

// hitParts are arguments or results: values by name, and as a list what ri trace shows of each, in their order.
func (h *Host) hitParts(row rows.Row, missing *lua.LTable) *lua.LTable {
	t := h.lua.NewTable()
	for i, c := range row {
		if why, ok := c.Value.(rows.Missing); ok {
			missing.RawSetString(c.Name, lua.LString(why))
		} else {
			t.RawSetString(c.Name, h.hitValue(c.Value))
		}
		t.RawSetInt(i+1, lua.LString(c.Name+"="+rows.CellText(c.Value)))
	}
	return t
}

func (h *Host) hitValue(v any) lua.LValue {
	switch v := v.(type) {
	case nil:
		return lua.LNil
	case rows.GoText:
		return h.hitValue(v.Plain)
	case rows.Bytes:
		return lua.LString(v)
	case string:
		return lua.LString(v)
	case time.Time:
		return lua.LNumber(float64(v.UnixNano()) / 1e9)
	case time.Duration:
		return h.int64Value(int64(v))
	case []any:
		list := h.lua.NewTable()
		for _, e := range v {
			list.Append(h.hitValue(e))
		}
		return list
	}
	return h.goToLua(v)
}
