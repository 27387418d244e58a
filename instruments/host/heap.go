package host

import (
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/instruments/rows"
	"ri/values"
	"ri/values/heap"
)

// walkedHeap is the heap walk in Lua: h:types(), h:object(addr), h:blocked(). It is nil in a rehearsal, where there is
// nothing to walk: then everything it is asked for is empty.
type walkedHeap struct {
	heap *heap.Oracle
}

// openHeap makes the metatable of heaps.
func (h *Host) openHeap() {
	methods := h.lua.NewTable()
	for name, f := range map[string]func(*lua.LState, *heap.Oracle) int{
		"types": h.heapTypes, "object": h.heapObject, "stats": h.heapStats, "waiting": h.heapWaiting,
		"blocked": h.heapBlocked, "blocked_groups": h.heapBlockedGroups, "never": h.heapNever,
		"path": h.heapPath, "retainers": h.heapRetainers, "instances": h.heapInstances, "users": h.heapUsers,
		"refs":   h.heapRefs,
		"stacks": h.heapStacks, "biggest": h.heapBiggest, "finalizers": h.heapFinalizers,
	} {
		methods.RawSetString(name, h.function(func(L *lua.LState) int {
			u, _ := L.Get(1).(*lua.LUserData)
			if u == nil {
				L.ArgError(1, "a heap expected, as ri.heap() gives it: call h:"+name+"(), with a colon")
			}
			walked, ok := u.Value.(*walkedHeap)
			if !ok {
				L.ArgError(1, "a heap expected, as ri.heap() gives it")
			}
			if !lasting[name] {
				h.inThisLook(L, "h:"+name, walked)
			}
			return f(L, walked.heap)
		}))
	}
	t := h.lua.NewTable()
	t.RawSetString("__index", h.function(func(L *lua.LState) int {
		name := L.CheckString(2)
		f := methods.RawGetString(name)
		if f == lua.LNil {
			L.RaiseError("a heap has no %q%s; it has %s", name, rows.DidYouMean(name, heapMethods),
				strings.Join(heapMethods, ", "))
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

// lasting are the methods that need no more than the walk has noted. All others read the copy that was walked, which is
// gone when the script looks again.
var lasting = map[string]bool{"object": true, "stats": true, "waiting": true, "blocked": true, "blocked_groups": true,
	"never": true, "instances": true}

// inThisLook refuses a heap of a look before this one.
func (h *Host) inThisLook(L *lua.LState, what string, walked *walkedHeap) {
	if walked.heap != nil && walked.heap != h.heap {
		L.RaiseError("%s: this heap is that of the look before ri.again, whose copy of memory is gone: "+
			"ask it before ri.again, or take the heap of this look (ri.heap())", what)
	}
}

var heapMethods = []string{"types", "object", "stats", "waiting", "blocked", "blocked_groups", "never", "path",
	"retainers", "instances", "users", "refs", "stacks", "biggest", "finalizers"}

// riHeap walks the whole heap, once for each look.
//
// Options: optional (nil and why, where a copy of all memory can't be had within the limits, instead of a run that is
// refused).
func (h *Host) riHeap(L *lua.LState) int {
	if t, ok := L.Get(1).(*lua.LTable); ok {
		h.onlyKeys(L, t, "optional")
		if lua.LVAsBool(t.RawGetString("optional")) && h.opt.MayBulk != nil {
			if err := h.opt.MayBulk(); err != nil {
				L.Push(lua.LNil)
				L.Push(lua.LString(err.Error()))
				return 2
			}
		}
	}
	if h.opt.NoBulk != nil {
		if err := h.opt.NoBulk(); err != nil {
			h.raise(L, fmt.Errorf("ri.heap: %w", err))
		}
	}
	if h.opt.Bulk != nil && !h.opt.Bulk() {
		L.Push(&lua.LUserData{Value: &walkedHeap{}, Metatable: h.metas.heap})
		return 1
	}
	if h.heap == nil {
		told := time.Now()
		var answers *heap.Answers
		if h.opt.Answers != nil {
			answers = h.opt.Answers()
		}
		walked, err := heap.Ask(h.ctx, h.space, answers, func(done, total int64, what string) {
			if time.Since(told) > 100*time.Millisecond {
				told = time.Now()
				h.opt.Sink.Progress(done, total, what)
			}
		})
		if err != nil {
			h.raise(L, fmt.Errorf("ri.heap: %w", err))
		}
		if walked.Heap() != nil {
			for _, p := range walked.Heap().Problems() {
				h.opt.Sink.Log("ri.heap: " + p)
			}
			h.loads += walked.Heap().Live()
		}
		h.heap = walked
	}
	L.Push(&lua.LUserData{Value: &walkedHeap{h.heap}, Metatable: h.metas.heap})
	return 1
}

// heapError raises what a method of the heap failed with.
func (h *Host) heapError(L *lua.LState, method string, err error) {
	if err != nil {
		h.raise(L, fmt.Errorf("h:%s: %w", method, err))
	}
}

// heapTypes is h:types(): an iterator of {type, count, bytes, untyped, pointers}.
func (h *Host) heapTypes(L *lua.LState, walked *heap.Oracle) int {
	var types []heap.Type
	if walked != nil {
		var err error
		types, err = walked.Types()
		h.heapError(L, "types", err)
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
func (h *Host) heapObject(L *lua.LState, walked *heap.Oracle) int {
	addr := h.addressArg(L, 2)
	if walked == nil {
		L.Push(lua.LNil)
		return 1
	}
	o, err := walked.Object(addr)
	h.heapError(L, "object", err)
	if o == nil {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(h.table("addr", o.Base, "size", o.Size, "type", o.Type, "live", o.Live, "exact", o.Exact))
	return 1
}

// heapStacks is h:stacks(): an iterator of {frames, count, bytes}, for ri.sample.
func (h *Host) heapStacks(L *lua.LState, walked *heap.Oracle) int {
	var stacks []heap.Stack
	if walked != nil && h.opt.Profile {
		var err error
		stacks, err = walked.Stacks()
		h.heapError(L, "stacks", err)
	}
	i := 0
	L.Push(h.function(func(L *lua.LState) int {
		if i >= len(stacks) {
			return 0
		}
		s := &stacks[i]
		i++
		frames := h.lua.CreateTable(len(s.Frames), 0)
		for _, name := range s.Frames {
			frames.Append(h.table("func", name))
		}
		L.Push(h.table("frames", frames, "count", s.Count, "bytes", s.Bytes))
		return 1
	}))
	return 1
}

// heapBiggest is h:biggest(max?): the largest maps, slices, strings and channels.
func (h *Host) heapBiggest(L *lua.LState, walked *heap.Oracle) int {
	most := L.OptInt(2, 20)
	if most < 1 || most > 100_000 {
		L.ArgError(2, "from 1 to 100000")
	}
	all := h.lua.NewTable()
	L.Push(all)
	if walked == nil {
		return 1
	}
	biggest, err := walked.Biggest(most)
	h.heapError(L, "biggest", err)
	for _, c := range biggest {
		t := h.table("kind", c.Kind, "type", c.Type, "addr", c.Addr, "bytes", c.Bytes)
		if c.Len >= 0 {
			t.RawSetString("len", h.int64Value(c.Len))
		}
		if c.Cap >= 0 {
			t.RawSetString("cap", h.int64Value(c.Cap))
		}
		if c.Keeps > 0 { // else it was recorded by a ri that didn't tell
			kept := h.lua.NewTable()
			for _, k := range c.Kept {
				kept.Append(h.table("type", k.Type, "count", k.Count, "bytes", k.Bytes))
			}
			t.RawSetString("keeps", h.int64Value(c.Keeps))
			t.RawSetString("kept", kept)
		}
		all.Append(t)
	}
	return 1
}

// heapFinalizers is h:finalizers(): finalizers and cleanups by type and function.
func (h *Host) heapFinalizers(L *lua.LState, walked *heap.Oracle) int {
	all := h.lua.NewTable()
	L.Push(all)
	if walked == nil {
		return 1
	}
	finalizers, err := walked.Finalizers()
	h.heapError(L, "finalizers", err)
	for _, f := range finalizers {
		all.Append(h.table("kind", f.Kind, "type", f.Type, "func", f.Func, "count", f.Count, "live", f.Live, "addr", f.Addr,
			"queued", f.Queued, "queued_bytes", f.QueuedBytes))
	}
	return 1
}

// riFinalizing is ri.finalizing(): the finalizers that wait to be run, by function.
func (h *Host) riFinalizing(L *lua.LState) int {
	list, err := heap.QueuedFinalizers(h.space)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.finalizing: %w", err))
	}
	all := h.lua.CreateTable(len(list), 0)
	for _, q := range list {
		all.Append(h.table("func", q.Func, "count", q.Count))
	}
	L.Push(all)
	return 1
}

// riSpans is ri.spans(): the allocator's spans by what they are for and the size of their slots.
func (h *Host) riSpans(L *lua.LState) int {
	classes, err := heap.SpanClasses(h.ctx, h.space)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.spans: %w", err))
	}
	all := h.lua.CreateTable(len(classes), 0)
	for _, c := range classes {
		all.Append(h.table("use", c.Use, "size", c.Size, "pointers", c.Pointers, "spans", c.Spans, "bytes", c.Bytes,
			"slots", c.Slots, "used", c.Used))
	}
	L.Push(all)
	return 1
}

// heapStats is h:stats().
func (h *Host) heapStats(L *lua.LState, walked *heap.Oracle) int {
	var s heap.Stats
	if walked != nil {
		var err error
		s, err = walked.Stats()
		h.heapError(L, "stats", err)
	}
	L.Push(h.table("objects", s.Live, "bytes", s.LiveBytes, "typed", s.TypedBytes, "spans", s.Spans, "span_bytes",
		s.SpanBytes, "slots", s.Slots, "guessed", s.GuessedBytes))
	return 1
}

// heapPath is h:path(addr|value): {text, root, goroutine, steps}, or nil and why there is none.
func (h *Host) heapPath(L *lua.LState, walked *heap.Oracle) int {
	addr := h.addressArg(L, 2)
	if walked == nil {
		L.Push(lua.LNil)
		return 1
	}
	p, err := walked.Path(addr)
	if err != nil {
		if errors.Is(err, attach.ErrNotRecorded) {
			h.heapError(L, "path", err)
		}
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	steps := h.lua.CreateTable(len(p.Steps), 0)
	for _, s := range p.Steps {
		steps.Append(h.table("addr", s.Addr, "type", s.Type, "text", s.Text))
	}
	t := h.table("text", p.Text, "root", p.Root, "steps", steps)
	if p.Goroutine != 0 {
		t.RawSetString("goroutine", h.int64Value(p.Goroutine))
	}
	L.Push(t)
	return 1
}

// heapTypeArg is a type's name that there are objects of.
func (h *Host) heapTypeArg(L *lua.LState, walked *heap.Oracle, n int) string {
	name := L.CheckString(n)
	if walked == nil {
		return name
	}
	ok, near, err := walked.TypeNamed(name)
	h.heapError(L, "types", err)
	if !ok {
		if len(near) > 0 {
			L.RaiseError("the heap has no objects of type %s; it has %s", name, strings.Join(near, ", "))
		}
		L.RaiseError("the heap has no objects of type %s; h:types() lists what it has", name)
	}
	return name
}

// heapRetainers is h:retainers(type): who keeps the objects of a type.
func (h *Host) heapRetainers(L *lua.LState, walked *heap.Oracle) int {
	name := h.heapTypeArg(L, walked, 2)
	all := h.lua.NewTable()
	L.Push(all)
	if walked == nil {
		return 1
	}
	retainers, err := walked.Retainers(name)
	h.heapError(L, "retainers", err)
	for _, r := range retainers {
		h.check(L)
		t := h.table("count", r.Count, "bytes", r.Bytes, "root", r.Root, "example", r.Example)
		if r.Holder != "" {
			t.RawSetString("holder", lua.LString(r.Holder))
		}
		if r.Goroutine != 0 {
			t.RawSetString("goroutine", h.int64Value(r.Goroutine))
		}
		if r.CreatedBy.Func != "" {
			t.RawSetString("created_by", h.lineTable(r.CreatedBy.Func, r.CreatedBy.File, r.CreatedBy.Line))
		}
		all.Append(t)
	}
	return 1
}

// heapInstances is h:instances(type, max?): addresses of live objects of a type.
func (h *Host) heapInstances(L *lua.LState, walked *heap.Oracle) int {
	name, most := h.heapTypeArg(L, walked, 2), L.OptInt(3, 1000)
	all := h.lua.NewTable()
	L.Push(all)
	if walked == nil {
		return 1
	}
	instances, err := walked.Instances(name, most)
	h.heapError(L, "instances", err)
	for _, addr := range instances {
		all.Append(h.uint64Value(addr))
	}
	return 1
}

// heapRefs is h:refs(addr|value): where pointers to an object are.
func (h *Host) heapRefs(L *lua.LState, walked *heap.Oracle) int {
	addr := h.addressArg(L, 2)
	all := h.lua.NewTable()
	L.Push(all)
	if walked == nil {
		return 1
	}
	refs, err := walked.Refs(addr)
	if !errors.Is(err, values.ErrNotFound) {
		h.heapError(L, "refs", err)
	}
	for _, r := range refs {
		types := h.lua.CreateTable(len(r.Types), 0)
		for _, name := range r.Types {
			types.Append(lua.LString(name))
		}
		all.Append(h.table("holder", r.Holder, "name", h.space.File().ShortName(r.Holder)+r.Field, "field", r.Field,
			"types", types, "variable", r.Variable, "closure", r.Closure))
	}
	return 1
}

// heapUsers is h:users(addr|value, most?): which package variables and goroutines lead to an object.
func (h *Host) heapUsers(L *lua.LState, walked *heap.Oracle) int {
	addr, most := h.addressArg(L, 2), L.OptInt(3, heap.MaxUsers)
	if most < 1 || most > heap.MaxUsers {
		L.ArgError(3, fmt.Sprintf("from 1 to %d objects", heap.MaxUsers))
	}
	var u heap.Users
	if walked != nil {
		var err error
		if u, err = walked.Users(addr, most); err != nil {
			if errors.Is(err, values.ErrNotFound) {
				L.Push(lua.LNil)
				L.Push(lua.LString(err.Error()))
				return 2
			}
			h.heapError(L, "users", err)
		}
	}
	list := func(texts []string) *lua.LTable {
		t := h.lua.CreateTable(len(texts), 0)
		for _, s := range texts {
			t.Append(lua.LString(s))
		}
		return t
	}
	goroutines := h.lua.CreateTable(len(u.Goroutines), 0)
	for _, g := range u.Goroutines {
		h.check(L)
		goroutines.Append(h.table("goroutine", h.goroutineValue(g.Goroutine), "waits", g.Waits, "never", g.Never))
	}
	L.Push(h.table("variables", list(u.Variables), "goroutines", goroutines, "other", list(u.Other), "truncated",
		u.Truncated))
	return 1
}
