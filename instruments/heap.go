package instruments

import (
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/values"
)

// heap is the heap walk in Lua: h:types(), h:object(addr), h:blocked(). It is nil in a rehearsal, where there is nothing to walk: then
// everything it is asked for is empty.
type heap struct {
	heap *values.Heap
}

// openHeap makes the metatable of heaps.
func (h *Host) openHeap() {
	methods := h.lua.NewTable()
	for name, f := range map[string]func(*lua.LState, *values.Heap) int{
		"types": h.heapTypes, "object": h.heapObject, "stats": h.heapStats, "waiting": h.heapWaiting, "blocked": h.heapBlocked,
	} {
		methods.RawSetString(name, h.function(func(L *lua.LState) int {
			u, _ := L.Get(1).(*lua.LUserData)
			if u == nil {
				L.ArgError(1, "a heap expected, as ri.heap() gives it: call h:"+name+"(), with a colon")
			}
			walked, ok := u.Value.(*heap)
			if !ok {
				L.ArgError(1, "a heap expected, as ri.heap() gives it")
			}
			return f(L, walked.heap)
		}))
	}
	t := h.lua.NewTable()
	t.RawSetString("__index", h.function(func(L *lua.LState) int {
		name := L.CheckString(2)
		f := methods.RawGetString(name)
		if f == lua.LNil {
			L.RaiseError("a heap has no %q%s; it has %s", name, DidYouMean(name, heapMethods), strings.Join(heapMethods, ", "))
		}
		L.Push(f)
		return 1
	}))
	t.RawSetString("__tostring", h.function(func(L *lua.LState) int {
		L.Push(lua.LString("heap"))
		return 1
	}))
	h.metas.heap = t
}

var heapMethods = []string{"types", "object", "stats", "waiting", "blocked"}

// riHeap walks the whole heap, once for each look.
func (h *Host) riHeap(L *lua.LState) int {
	if h.opt.Bulk != nil && !h.opt.Bulk() {
		L.Push(&lua.LUserData{Value: &heap{}, Metatable: h.metas.heap})
		return 1
	}
	if h.heap == nil {
		told := time.Now()
		walked, err := values.BuildHeap(h.ctx, h.space, func(done, total int64, what string) {
			if time.Since(told) > 100*time.Millisecond {
				told = time.Now()
				h.opt.Sink.Progress(done, total, what)
			}
		})
		if err != nil {
			h.raise(L, fmt.Errorf("ri.heap: %w", err))
		}
		for _, p := range walked.Problems() {
			h.opt.Sink.Log("ri.heap: " + p)
		}
		h.heap = walked
		h.loads += walked.Stats().Live
	}
	L.Push(&lua.LUserData{Value: &heap{h.heap}, Metatable: h.metas.heap})
	return 1
}

// heapTypes is h:types(): an iterator of {type, count, bytes, untyped, pointers}.
func (h *Host) heapTypes(L *lua.LState, walked *values.Heap) int {
	var types []values.HeapType
	if walked != nil {
		types = walked.Types()
	}
	i := 0
	L.Push(h.function(func(L *lua.LState) int {
		if i >= len(types) {
			return 0
		}
		t := types[i]
		i++
		row := h.table("type", t.Type, "count", t.Count, "bytes", t.Bytes, "untyped", t.Untyped)
		if t.Untyped {
			row.RawSetString("pointers", h.int64Value(t.Pointers))
		}
		L.Push(row)
		return 1
	}))
	return 1
}

// addressArg is an address, or a value: what it points to, or where it lives.
func (h *Host) addressArg(L *lua.LState, n int) uint64 {
	if _, ok := refOf(L.Get(n)); ok {
		v, _ := h.target(L, n)
		return v.Addr
	}
	if _, ok := placeOf(L.Get(n)); ok {
		v, _ := h.target(L, n)
		return v.Addr
	}
	return h.uint64Arg(L, n)
}

// heapObject is h:object(addr|value): {addr, size, type, live, exact}, nil outside the heap.
func (h *Host) heapObject(L *lua.LState, walked *values.Heap) int {
	addr := h.addressArg(L, 2)
	if walked == nil {
		L.Push(lua.LNil)
		return 1
	}
	o, ok := walked.Object(addr)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(h.table("addr", o.Base, "size", o.Size, "type", o.Type, "live", o.Live, "exact", o.Exact))
	return 1
}

// heapStats is h:stats().
func (h *Host) heapStats(L *lua.LState, walked *values.Heap) int {
	var s values.HeapStats
	if walked != nil {
		s = walked.Stats()
	}
	L.Push(h.table("objects", s.Live, "bytes", s.LiveBytes, "typed", s.TypedBytes, "spans", s.Spans, "span_bytes", s.SpanBytes, "slots", s.Slots, "guessed", s.GuessedBytes))
	return 1
}

// heapWaiting is h:waiting(): goroutines that wait for a channel, lock, WaitGroup or Cond.
func (h *Host) heapWaiting(L *lua.LState, walked *values.Heap) int {
	if walked == nil {
		L.Push(h.lua.NewTable())
		return 1
	}
	return h.pushWaits(L, walked.Waiting())
}

// heapBlocked is h:blocked(): those of them that nothing can wake any more.
func (h *Host) heapBlocked(L *lua.LState, walked *values.Heap) int {
	if walked == nil {
		L.Push(h.lua.NewTable())
		return 1
	}
	return h.pushWaits(L, walked.Blocked())
}

func (h *Host) pushWaits(L *lua.LState, waits []values.Waiting) int {
	all := h.lua.CreateTable(len(waits), 0)
	for _, w := range waits {
		h.check(L)
		on := h.lua.CreateTable(len(w.On), 0)
		for _, o := range w.On {
			row := h.table("addr", o.Addr)
			if o.Object != 0 {
				row.RawSetString("object", h.uint64Value(o.Object))
				row.RawSetString("type", lua.LString(o.Type))
			}
			on.Append(row)
		}
		all.Append(h.table("goroutine", h.goroutineValue(w.Goroutine), "reason", w.Reason, "waits_on", on, "never", w.Never))
	}
	L.Push(all)
	return 1
}
