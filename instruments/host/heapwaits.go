package host

import (
	lua "github.com/yuin/gopher-lua"

	"ri/values/heap"
)

// heapWaiting is h:waiting(): goroutines that wait for a channel, lock, WaitGroup or Cond.
func (h *Host) heapWaiting(L *lua.LState, walked *heap.Oracle) int {
	if walked == nil {
		L.Push(h.lua.NewTable())
		return 1
	}
	waiting, err := walked.Waiting()
	h.heapError(L, "waiting", err)
	return h.pushWaits(L, waiting)
}

// heapBlocked is h:blocked(): those of them that nothing can wake any more.
func (h *Host) heapBlocked(L *lua.LState, walked *heap.Oracle) int {
	if walked == nil {
		L.Push(h.lua.NewTable())
		return 1
	}
	blocked, err := walked.Blocked()
	h.heapError(L, "blocked", err)
	return h.pushWaits(L, blocked)
}

func (h *Host) pushWaits(L *lua.LState, waits []heap.Waiting) int {
	all := h.lua.CreateTable(len(waits), 0)
	for _, w := range waits {
		h.check(L)
		all.Append(h.table("goroutine", h.goroutineValue(w.Goroutine), "reason", w.Reason, "waits_on", h.awaitedTable(w.On),
			"never", w.Never))
	}
	L.Push(all)
	return 1
}

func (h *Host) awaitedTable(list []heap.Awaited) *lua.LTable {
	on := h.lua.CreateTable(len(list), 0)
	for _, o := range list {
		row := h.table("addr", o.Addr)
		if o.Object != 0 {
			row.RawSetString("object", h.uint64Value(o.Object))
			row.RawSetString("type", lua.LString(o.Type))
			row.RawSetString("field", lua.LString(o.Field))
		}
		on.Append(row)
	}
	return on
}

// heapBlockedGroups is h:blocked_groups(): those of h:blocked() that were created in one place and wait in the same
// way, together.
func (h *Host) heapBlockedGroups(L *lua.LState, walked *heap.Oracle) int {
	all := h.lua.NewTable()
	L.Push(all)
	if walked == nil {
		return 1
	}
	groups, err := walked.BlockedGroups()
	h.heapError(L, "blocked_groups", err)
	for _, g := range groups {
		t := h.table("goroutine", h.goroutineValue(g.Goroutine), "reason", g.Reason, "count", g.Count, "ids",
			h.idsTable(g.IDs), "waits_on", h.awaitedTable(g.On))
		if g.Wait > 0 {
			t.RawSetString("wait", lua.LNumber(g.Wait.Seconds()))
		}
		all.Append(t)
	}
	return 1
}

// heapNever is h:never(id): whether nothing can wake a goroutine any more.
func (h *Host) heapNever(L *lua.LState, walked *heap.Oracle) int {
	id, never := int64(L.CheckNumber(2)), false
	if walked != nil {
		var err error
		never, err = walked.Never(id)
		h.heapError(L, "never", err)
	}
	L.Push(lua.LBool(never))
	return 1
}
