package host

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
	"ri/values"
	"ri/values/waits"
)

// riWaits gives the queues of locks and channels. Options: all (also locks that frames hold and nobody waits for),
// names (find names for locks; true), senders (only channels that somebody waits to send to), max (channels).
func (h *Host) riWaits(L *lua.LState) int {
	all, names, senders, most := false, true, false, 0
	if t, ok := L.Get(1).(*lua.LTable); ok {
		h.onlyKeys(L, t, "all", "names", "senders", "max")
		senders, most = lua.LVAsBool(t.RawGetString("senders")), optInt(L, t, "max", 0)
		all = lua.LVAsBool(t.RawGetString("all"))
		names = t.RawGetString("names") != lua.LFalse
	}
	check := func() { h.check(L) }
	w, err := h.waits.Waits(check)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.waits: %w", err))
	}
	unheld := ""
	groups, err := h.space.Stacks(values.StackOptions{Limit: 256, Check: check}, &h.stacks)
	if err == nil {
		err = h.waits.FindHolders(w, groups, all, check)
	}
	if err != nil {
		if ended(err) {
			h.raise(L, fmt.Errorf("ri.waits: %w", err))
		}
		unheld = err.Error()
	}
	if names {
		h.waits.NameLocks(w)
	}
	out := h.lua.NewTable()
	locks, channels := h.lua.NewTable(), h.lua.NewTable()
	for _, l := range w.Locks {
		h.check(L)
		h.loads++
		locks.Append(h.table("addr", l.Addr, "kind", l.Kind, "name", l.Name, "locked", l.Locked, "starving", l.Starved,
			"readers", l.Active,
			"leaving", l.Leaving, "pending", l.Pending, "count", l.Count, "unseen", l.Unseen,
			"want", h.waitersTable(l.Writers), "rwant", h.waitersTable(l.Readers), "waiting", h.waitersTable(l.Waiting),
			"holders", h.holdersTable(l.Holders), "candidates", h.holdersTable(l.Candidates)))
	}
	more := 0
	for _, c := range w.Channels {
		h.check(L)
		if senders && len(c.Senders) == 0 {
			continue
		}
		if most > 0 && channels.Len() >= most {
			more++
			continue
		}
		h.loads++
		channels.Append(h.table("addr", c.Addr, "elem", c.Type, "len", c.Len, "cap", c.Cap, "closed", c.Closed, "timer",
			c.Timer,
			"senders", h.waitersTable(c.Senders), "receivers", h.waitersTable(c.Receivers)))
	}
	out.RawSetString("locks", locks)
	out.RawSetString("channels", channels)
	out.RawSetString("more", lua.LNumber(more))
	if unheld != "" {
		out.RawSetString("unheld", lua.LString(unheld))
	}
	if w.Unreadable > 0 {
		out.RawSetString("unread", lua.LString(fmt.Sprintf("%s can't be read; the first: %v",
			rows.Plural(int64(w.Unreadable), "waiter"), w.Unread)))
	}
	L.Push(out)
	return 1
}

// holdersTable gives those that have a lock, or may have it, to Lua.
func (h *Host) holdersTable(list []waits.Holder) *lua.LTable {
	t := h.lua.CreateTable(len(list), 0)
	for i := range list {
		o := &list[i]
		t.Append(h.table("id", o.ID, "reader", o.Reader, "state", o.State, "deferred", o.Deferred, "possibly", o.Possibly,
			"unplaced", o.Unplaced,
			"evidence", o.String(), "at", h.lineTable(o.Function.Func, o.Function.File, o.Function.Line),
			"site", h.lineTable(o.Site.Func, o.Site.File, o.Site.Line)))
	}
	return t
}

// waitersTable gives a queue to Lua: {count, ids: the first thousand, wait, selects}.
func (h *Host) waitersTable(list []waits.Waiter) *lua.LTable {
	ids := h.lua.CreateTable(min(len(list), maxWaiters), 0)
	longest, selects := 0.0, 0
	for i := range list {
		if i < maxWaiters {
			ids.Append(h.int64Value(list[i].ID))
		}
		longest = max(longest, list[i].Wait.Seconds())
		if list[i].Select {
			selects++
		}
	}
	t := h.table("count", len(list), "ids", ids, "selects", selects)
	if longest > 0 {
		t.RawSetString("wait", lua.LNumber(longest))
	}
	return t
}

// maxWaiters is how many goroutines of a queue a script gets by their numbers.
const maxWaiters = 1000

// mark is what all goroutines were doing at one look, in Lua: m:still(id), m.count.
type mark struct{ marks *values.Marks }

func (h *Host) openMarks() {
	t := h.lua.NewTable()
	methods := map[string]*lua.LFunction{
		"still": h.function(func(L *lua.LState) int {
			m := h.markArg(L)
			state, err := h.space.Still(m.marks, int64(L.CheckNumber(2)))
			if err != nil {
				h.raise(L, fmt.Errorf("mark:still: %w", err))
			}
			L.Push(lua.LBool(state))
			return 1
		}),
	}
	t.RawSetString("__index", h.function(func(L *lua.LState) int {
		m := h.markArg(L)
		switch name := L.CheckString(2); name {
		case "count":
			L.Push(lua.LNumber(m.marks.Len()))
		case "still":
			L.Push(methods[name])
		default:
			L.RaiseError("a mark has no %q; it has count, still", name)
		}
		return 1
	}))
	h.metas.mark = t
}

func (h *Host) markArg(L *lua.LState) *mark {
	if u, ok := L.Get(1).(*lua.LUserData); ok {
		if m, ok := u.Value.(*mark); ok {
			return m
		}
	}
	L.ArgError(1, "a mark expected (of ri.mark), got "+h.describe(L.Get(1)))
	return nil
}

// riMark notes what every goroutine is doing.
func (h *Host) riMark(L *lua.LState) int {
	marks, err := h.space.Mark(func() { h.check(L) })
	if err != nil {
		h.raise(L, fmt.Errorf("ri.mark: %w", err))
	}
	L.Push(&lua.LUserData{Value: &mark{marks}, Metatable: h.metas.mark})
	return 1
}

// riUsers finds the goroutines that may send, receive or call Done.
func (h *Host) riUsers(L *lua.LState) int {
	list := L.CheckTable(1)
	var wanted []waits.Wanted
	for i := 1; i <= list.Len(); i++ {
		t, ok := list.RawGetInt(i).(*lua.LTable)
		if !ok {
			L.ArgError(1, "a list of {addr, kind}")
		}
		kind := lua.LVAsString(t.RawGetString("kind"))
		if kind != "send" && kind != "receive" && kind != "done" {
			L.ArgError(1, "kind is send, receive or done")
		}
		L.Push(t.RawGetString("addr"))
		wanted = append(wanted, waits.Wanted{Addr: h.uint64Arg(L, L.GetTop()), Kind: kind})
		L.Pop(1)
	}
	check := func() { h.check(L) }
	groups, err := h.space.Stacks(values.StackOptions{Limit: 256, Check: check}, &h.stacks)
	var users [][]waits.User
	if err == nil {
		users, err = h.waits.Users(wanted, groups, check)
	}
	if err != nil {
		h.raise(L, fmt.Errorf("ri.users: %w", err))
	}
	all := h.lua.NewTable()
	for _, of := range users {
		one := h.lua.NewTable()
		for _, u := range of {
			one.Append(h.table("id", u.ID, "certain", u.Certain))
		}
		all.Append(one)
	}
	L.Push(all)
	return 1
}
