package host

import (
	"fmt"
	"maps"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
	"ri/values/heap"
	"ri/values/waits"
)

// waitsOptions are what a script asks of ri.waits.
type waitsOptions struct {
	all      bool // also locks that frames hold and nobody waits for
	names    bool // find names for locks and channels; true
	channels bool // channels too, not only locks; true
	senders  bool // only channels that somebody waits to send to
	users    bool // and who uses them
	most     int  // channels; 0: all
}

func (h *Host) waitsOptions(L *lua.LState) waitsOptions {
	t, ok := L.Get(1).(*lua.LTable)
	if !ok {
		return waitsOptions{names: true, channels: true}
	}
	h.onlyKeys(L, t, "all", "names", "senders", "max", "users", "channels")
	is := func(name string) bool { return lua.LVAsBool(t.RawGetString(name)) }
	return waitsOptions{all: is("all"), names: t.RawGetString("names") != lua.LFalse,
		channels: t.RawGetString("channels") != lua.LFalse,
		senders:  is("senders"), users: is("users"), most: optInt(L, t, "max", 0)}
}

// riWaits gives the queues of locks and channels.
func (h *Host) riWaits(L *lua.LState) int {
	opt := h.waitsOptions(L)
	check := func() { h.check(L) }
	// The stacks come first: what was read of them isn't read again for each that waits.
	groups, grouped := h.space.Stacks(values.StackOptions{Limit: 256, Check: check}, &h.stacks)
	read := h.waits.Waits
	if !opt.channels {
		read = h.waits.Locks
	}
	w, err := read(check)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.waits: %w", err))
	}
	unheld := ""
	if err = grouped; err == nil {
		err = h.waits.FindHolders(w, groups, opt.all, check)
	}
	if err != nil {
		if ended(err) {
			h.raise(L, fmt.Errorf("ri.waits: %w", err))
		}
		unheld = err.Error()
	}
	w.SortLocks()
	if opt.names {
		h.waits.NameLocks(w)
	}
	var needs *waits.Needs
	listed := w.Channels
	if opt.users && err == nil {
		if needs, err = h.waits.Needs(w, groups, check); err != nil {
			h.raise(L, fmt.Errorf("ri.waits: %w", err))
		}
		listed = needs.Channels
	}
	if opt.names {
		h.waits.NameChannels(listed)
	}
	does := func(addr uint64, kind string) lua.LValue {
		if needs == nil {
			return lua.LNil
		}
		return h.idsTable(needs.Sure[waits.Wanted{Addr: addr, Kind: kind}])
	}
	locks := h.lua.CreateTable(len(w.Locks), 0)
	lockFields := newOnDemand(h, func(l *waits.Lock, name string) (lua.LValue, bool) { return h.lockField(l, name, does) })
	for _, l := range w.Locks {
		h.check(L)
		h.loads++
		locks.Append(lockFields.table(l))
	}
	channels, more := h.channelsTable(L, listed, opt, does)
	out := h.table("locks", locks, "channels", channels, "more", more)
	if needs != nil {
		if opt.names {
			h.waits.NameWakes(needs)
		}
		wakes := h.lua.CreateTable(len(needs.Wakes), 0)
		for _, l := range needs.Wakes {
			wakes.Append(lockFields.table(l))
		}
		out.RawSetString("wakes", wakes)
		out.RawSetString("may", h.mayTable(needs))
	}
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

// channelsTable gives the channels that were asked for, and says how many are beyond what was.
func (h *Host) channelsTable(L *lua.LState, listed []*waits.WaitedChannel, opt waitsOptions,
	does func(addr uint64, kind string) lua.LValue) (channels *lua.LTable, more int) {
	channels = h.lua.CreateTable(0, 0)
	fields := newOnDemand(h, func(c *waits.WaitedChannel, name string) (lua.LValue, bool) {
		return h.channelField(c, name, does)
	})
	for _, c := range listed {
		h.check(L)
		if opt.senders && len(c.Senders) == 0 {
			continue
		}
		if opt.most > 0 && channels.Len() >= opt.most {
			more++
			continue
		}
		h.loads++
		channels.Append(fields.table(c))
	}
	return channels, more
}

// mayTable says of kinds of use which goroutines may do that, and to channels of which types.
func (h *Host) mayTable(needs *waits.Needs) *lua.LTable {
	may := h.lua.NewTable()
	for _, kind := range waits.WantKinds() {
		goroutines := h.lua.CreateTable(0, 0)
		for id, types := range needs.May[kind] {
			list := h.lua.CreateTable(len(types), 0)
			for _, name := range types {
				list.Append(lua.LString(name))
			}
			goroutines.RawSet(h.int64Value(id), list)
		}
		may.RawSetString(kind, goroutines)
	}
	return may
}

// lockField gives a field of a lock to Lua, and whether it is kept.
func (h *Host) lockField(l *waits.Lock, name string, does func(addr uint64, kind string) lua.LValue) (lua.LValue,
	bool) {
	switch name {
	case "addr":
		return h.uint64Value(l.Addr), false
	case "kind":
		return lua.LString(l.Kind), false
	case "name":
		return lua.LString(l.Name), false
	case "locked":
		return lua.LBool(l.Locked), false
	case "starving":
		return lua.LBool(l.Starved), false
	case "readers":
		return lua.LNumber(l.Active), false
	case "leaving":
		return lua.LNumber(l.Leaving), false
	case "pending":
		return lua.LBool(l.Pending), false
	case "waiters":
		return lua.LNumber(l.Waiters()), false
	case "count":
		return lua.LNumber(l.Count), false
	case "unseen":
		return lua.LNumber(l.Unseen), false
	case "want":
		return h.queueTable(l.Writers)
	case "rwant":
		return h.queueTable(l.Readers)
	case "waiting":
		return h.queueTable(l.Waiting)
	case "holders":
		return h.holdersTable(l.Holders), false
	case "candidates":
		return h.holdersTable(l.Candidates), false
	case "users":
		switch l.Kind {
		case "WaitGroup":
			return does(l.Addr, "done"), false
		case "Cond", "Weighted":
			return does(l.Addr, "wake"), false
		}
	}
	return lua.LNil, false
}

// channelField gives a field of a channel to Lua, and whether it is kept.
func (h *Host) channelField(c *waits.WaitedChannel, name string,
	does func(addr uint64, kind string) lua.LValue) (lua.LValue, bool) {
	switch name {
	case "addr":
		return h.uint64Value(c.Addr), false
	case "name":
		return lua.LString(c.Name), false
	case "elem":
		return lua.LString(c.Type), false
	case "len":
		return h.int64Value(int64(c.Len)), false
	case "cap":
		return h.int64Value(int64(c.Cap)), false
	case "closed":
		return lua.LBool(c.Closed), false
	case "timer":
		return lua.LBool(c.Timer), false
	case "senders":
		return h.queueTable(c.Senders)
	case "receivers":
		return h.queueTable(c.Receivers)
	case "users":
		if len(c.Senders) > 0 {
			return does(c.Addr, "receive"), false
		}
		return does(c.Addr, "send"), false
	}
	return lua.LNil, false
}

// onDemand gives things to Lua as tables whose fields are made when they are asked for: a hundred thousand locks, each
// with queues and holders, are a GiB of tables otherwise.
type onDemand[T any] struct {
	h    *Host
	of   map[*lua.LTable]T
	meta *lua.LTable
}

// newOnDemand takes what makes a field; what it is told to keep is made once.
func newOnDemand[T any](h *Host, field func(of T, name string) (v lua.LValue, keep bool)) *onDemand[T] {
	o := &onDemand[T]{h: h, of: map[*lua.LTable]T{}, meta: h.lua.CreateTable(0, 1)}
	o.meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		t, name := L.CheckTable(1), L.CheckString(2)
		v := lua.LValue(lua.LNil)
		if of, ok := o.of[t]; ok {
			var keep bool
			if v, keep = field(of, name); keep {
				t.RawSetString(name, v)
			}
		}
		L.Push(v)
		return 1
	}))
	return o
}

func (o *onDemand[T]) table(of T) *lua.LTable {
	t := o.h.lua.CreateTable(0, 0)
	t.Metatable = o.meta
	o.of[t] = of
	return t
}

// keptQueue is how many have to wait for a queue to be made once.
const keptQueue = 16

func (h *Host) queueTable(list []waits.Waiter) (lua.LValue, bool) {
	return h.waitersTable(list), len(list) >= keptQueue
}

// holdersTable gives those that have a lock, or may have it, to Lua. A hundred thousand may be at two lines of code:
// each line is one table.
func (h *Host) holdersTable(list []waits.Holder) *lua.LTable {
	t := h.lua.CreateTable(len(list), 0)
	line := func(l symbols.Line) *lua.LTable {
		if h.lines[l] == nil {
			h.lines[l] = h.lineTable(l.Func, l.File, l.Line)
		}
		return h.lines[l]
	}
	for i := range list {
		o := &list[i]
		t.Append(h.table("id", o.ID, "addr", o.Addr, "reader", o.Reader, "state", o.State, "deferred", o.Deferred, "possibly",
			o.Possibly, "unplaced", o.Unplaced, "evidence", o.String(), "at", line(o.Function), "site", line(o.Site)))
	}
	return t
}

// riLocking tells what one goroutine holds and tries to get.
func (h *Host) riLocking(L *lua.LState) int {
	found, err := h.waits.Locking(h.goroutineArg(L, 1).g)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.locking: %w", err))
	}
	holds, tries := h.lua.NewTable(), h.lua.NewTable()
	for _, l := range found.Holds {
		holds.Append(h.table("addr", l.Addr, "kind", l.Kind, "holder", h.holdersTable(l.Holders).RawGetInt(1)))
	}
	for _, t := range found.Tries {
		tries.Append(h.table("addr", t.Addr, "kind", t.Kind, "reader", t.Reader,
			"site", h.lineTable(t.Site.Func, t.Site.File, t.Site.Line)))
	}
	L.Push(h.table("holds", holds, "tries", tries))
	return 1
}

// riTriers gives the goroutines that are in a loop around TryLock.
func (h *Host) riTriers(L *lua.LState) int {
	check := func() { h.check(L) }
	groups, err := h.space.Stacks(values.StackOptions{Limit: 256, Check: check}, &h.stacks)
	var found []*values.Goroutine
	if err == nil {
		found, err = h.waits.Triers(groups, check)
	}
	if err != nil {
		h.raise(L, fmt.Errorf("ri.triers: %w", err))
	}
	out := h.lua.NewTable()
	for _, g := range found {
		out.Append(h.goroutineValue(g))
	}
	L.Push(out)
	return 1
}

// waitersTable gives a queue to Lua: {count, ids, wait, selects, several: how many those wait for that wait for
// others too, by their place in ids: a table with one large number for a key is as long as that number}.
func (h *Host) waitersTable(list []waits.Waiter) *lua.LTable {
	ids := h.lua.CreateTable(len(list), 0)
	several := h.lua.CreateTable(0, 0)
	longest, selects := 0.0, 0
	for i := range list {
		ids.Append(h.int64Value(list[i].ID))
		longest = max(longest, list[i].Wait.Seconds())
		if list[i].Others > 0 {
			selects++
			several.RawSetInt(i+1, lua.LNumber(list[i].Others+1))
		}
	}
	t := h.table("count", len(list), "ids", ids, "selects", selects, "several", several)
	if longest > 0 {
		t.RawSetString("wait", lua.LNumber(longest))
	}
	return t
}

// riUsers finds the goroutines that may send, receive or call Done.
func (h *Host) riUsers(L *lua.LState) int {
	list := L.CheckTable(1)
	var wanted []waits.Wanted
	for i := 1; i <= list.Len(); i++ {
		w, _ := h.wantedArg(L, list.RawGetInt(i))
		wanted = append(wanted, w)
	}
	check := func() { h.check(L) }
	groups, err := h.space.Stacks(values.StackOptions{Limit: 256, Check: check}, &h.stacks)
	var users *waits.Users
	if err == nil {
		users, err = h.waits.Users(nil, wanted, groups, check)
	}
	if err != nil {
		h.raise(L, fmt.Errorf("ri.users: %w", err))
	}
	all := h.lua.NewTable()
	for _, w := range wanted {
		one, sure := h.lua.CreateTable(0, 0), map[int64]bool{}
		for _, id := range users.Sure[w] {
			sure[id] = true
			one.Append(h.table("id", id, "certain", true))
		}
		for _, id := range slices.Sorted(maps.Keys(users.May[w.Kind])) {
			if !sure[id] {
				one.Append(h.table("id", id, "certain", false))
			}
		}
		all.Append(one)
	}
	L.Push(all)
	return 1
}

// riLater asks whether somebody may come who does what is waited for.
func (h *Host) riLater(L *lua.LState) int {
	list := L.CheckTable(1)
	var wanted []waits.Wanted
	var elems []string
	for i := 1; i <= list.Len(); i++ {
		w, elem := h.wantedArg(L, list.RawGetInt(i))
		wanted, elems = append(wanted, w), append(elems, elem)
	}
	may := map[string]waits.May{}
	if t, ok := L.Get(3).(*lua.LTable); ok {
		for _, kind := range waits.WantKinds() {
			may[kind] = mayArg(t.RawGetString(kind))
		}
	}
	search := func(walked *heap.Heap) ([]waits.Later, error) {
		var callable *values.Callable
		if walked != nil {
			callable = walked.Callable()
		}
		check := func() { h.check(L) }
		groups, err := h.space.Stacks(values.StackOptions{Limit: 256, Check: check}, &h.stacks)
		if err != nil {
			return nil, err
		}
		return h.waits.Later(wanted, elems, groups, may, callable, check)
	}
	var later []waits.Later
	var err error
	if walked, _ := L.Get(2).(*lua.LUserData); walked == nil {
		later, err = search(nil)
	} else if asked, ok := walked.Value.(*walkedHeap); !ok || asked.heap == nil {
		// In a rehearsal, which has no heap to tell them apart, each could be of each: a product that nobody reads.
		may = nil
		later, err = search(nil)
	} else {
		h.inThisLook(L, "ri.later", asked)
		later, err = heap.Question(asked.heap, "later", search, wanted, elems, may)
	}
	if err != nil {
		h.raise(L, fmt.Errorf("ri.later: %w", err))
	}
	all := h.lua.NewTable()
	for _, l := range later {
		t := h.table("may", h.idsTable(l.May))
		if l.Why != "" {
			t.RawSetString("why", lua.LString(l.Why))
			t.RawSetString("guess", lua.LBool(l.Guess))
		}
		all.Append(t)
	}
	L.Push(all)
	return 1
}

// mayArg takes what ri.waits gave as may.done and the like.
func mayArg(v lua.LValue) waits.May {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil
	}
	out := waits.May{}
	t.ForEach(func(k, e lua.LValue) {
		id, number := k.(lua.LNumber)
		list, is := e.(*lua.LTable)
		if !number || !is {
			return
		}
		for i := 1; i <= list.Len(); i++ {
			out[int64(id)] = append(out[int64(id)], lua.LVAsString(list.RawGetInt(i)))
		}
	})
	return out
}

// wantedArg takes {addr, kind, elem?} apart.
func (h *Host) wantedArg(L *lua.LState, v lua.LValue) (w waits.Wanted, elem string) {
	t, ok := v.(*lua.LTable)
	if !ok {
		L.ArgError(1, "a list of {addr, kind}")
	}
	w.Kind = lua.LVAsString(t.RawGetString("kind"))
	if !slices.Contains(waits.WantKinds(), w.Kind) {
		L.ArgError(1, "kind is send, receive or done")
	}
	L.Push(t.RawGetString("addr"))
	w.Addr = h.uint64Arg(L, L.GetTop())
	L.Pop(1)
	return w, lua.LVAsString(t.RawGetString("elem"))
}
