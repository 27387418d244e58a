package host

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
	"ri/values/waits"
)

// goroutine is a goroutine in Lua: g.id, g.status, g:stack().
type goroutine struct {
	g      *values.Goroutine
	frames []values.Frame // once asked for
	most   int            // frames asked for
	broken error          // where unwinding broke off
}

func (g *goroutine) String() string {
	text := fmt.Sprintf("goroutine %d [%s", g.g.ID, g.g.Status)
	if g.g.WaitReason != "" {
		text = fmt.Sprintf("goroutine %d [%s", g.g.ID, g.g.WaitReason)
	}
	return text + "]"
}

var goroutineFields = []string{"id", "addr", "status", "wait_reason", "wait", "parent", "created_by", "start",
	"thread", "system", "stack", "locals", "labels", "outermost"}

func (h *Host) openGoroutines() {
	h.openMarks()
	t := h.lua.NewTable()
	methods := map[string]*lua.LFunction{
		"stack": h.function(h.riStack), "locals": h.function(h.riLocals), "labels": h.function(h.riLabels),
		"outermost": h.function(h.riOutermost),
	}
	t.RawSetString("__index", h.function(func(L *lua.LState) int {
		g := h.goroutineArg(L, 1)
		name := L.CheckString(2)
		if m := methods[name]; m != nil {
			L.Push(m)
			return 1
		}
		L.Push(h.goroutineField(L, g, name))
		return 1
	}))
	t.RawSetString("__tostring", h.function(func(L *lua.LState) int {
		L.Push(lua.LString(h.goroutineArg(L, 1).String()))
		return 1
	}))
	t.RawSetString("__eq", h.function(func(L *lua.LState) int {
		L.Push(lua.LBool(h.goroutineArg(L, 1).g.Addr == h.goroutineArg(L, 2).g.Addr))
		return 1
	}))
	h.metas.goroutine = t
}

func (h *Host) goroutineArg(L *lua.LState, n int) *goroutine {
	if u, ok := L.Get(n).(*lua.LUserData); ok {
		if g, ok := u.Value.(*goroutine); ok {
			return g
		}
	}
	L.ArgError(n, "a goroutine expected, got "+h.describe(L.Get(n)))
	return nil
}

func (h *Host) goroutineField(L *lua.LState, g *goroutine, name string) lua.LValue {
	switch name {
	case "id":
		return h.int64Value(g.g.ID)
	case "addr":
		return h.uint64Value(g.g.Addr)
	case "status":
		return lua.LString(g.g.Status)
	case "wait_reason":
		return lua.LString(g.g.WaitReason)
	case "wait":
		if g.g.Wait == 0 {
			return lua.LNil // not recorded
		}
		return lua.LNumber(g.g.Wait.Seconds())
	case "parent":
		if g.g.ParentID == 0 {
			return lua.LNil
		}
		return h.int64Value(g.g.ParentID)
	case "created_by":
		if g.g.CreatedBy.Func == "" {
			return lua.LNil
		}
		return h.lineTable(g.g.CreatedBy.Func, g.g.CreatedBy.File, g.g.CreatedBy.Line)
	case "start":
		return h.lineTable(g.g.Start.Func, g.g.Start.File, g.g.Start.Line)
	case "thread":
		if g.g.ThreadID == 0 {
			return lua.LNil
		}
		return lua.LNumber(g.g.ThreadID)
	case "system":
		return lua.LBool(g.g.System)
	}
	L.RaiseError("a goroutine has no %q%s; it has %s", name, rows.DidYouMean(name, goroutineFields),
		strings.Join(goroutineFields, ", "))
	return nil
}

func (h *Host) lineTable(function, file string, line int) *lua.LTable {
	return h.table("func", function, "file", file, "line", line)
}

// idsTable gives goroutines' numbers to Lua.
func (h *Host) idsTable(ids []int64) *lua.LTable {
	t := h.lua.CreateTable(len(ids), 0)
	for _, id := range ids {
		t.Append(h.int64Value(id))
	}
	return t
}

// riGoroutines gives an iterator. Options: system (the runtime's own too), status.
func (h *Host) riGoroutines(L *lua.LState) int {
	system, status := false, ""
	if t, ok := L.Get(1).(*lua.LTable); ok {
		h.onlyKeys(L, t, "system", "status")
		system = lua.LVAsBool(t.RawGetString("system"))
		status = lua.LVAsString(t.RawGetString("status"))
	}
	var list []*values.Goroutine
	var broken error // the first that can't be read
	unreadable := 0
	for g, err := range h.space.Goroutines() {
		h.check(L)
		switch {
		case err != nil:
			if unreadable++; broken == nil {
				broken = err
			}
		case (system || !g.System) && (status == "" || g.Status == status):
			list = append(list, g)
		}
	}
	if broken != nil && (len(list) == 0 || ended(broken)) {
		h.raise(L, fmt.Errorf("ri.goroutines: %w", broken))
	}
	if broken != nil {
		h.opt.Sink.Log(fmt.Sprintf("ri.goroutines: %s can't be read; the first: %v",
			rows.Plural(int64(unreadable), "goroutine"), broken))
	}
	i := 0
	L.Push(h.function(func(L *lua.LState) int {
		if i >= len(list) {
			return 0
		}
		h.loads++
		L.Push(h.goroutineValue(list[i]))
		i++
		return 1
	}))
	return 1
}

// ended says whether nothing at all can be read any more.
func ended(err error) bool {
	for _, end := range []error{attach.ErrDeadline, attach.ErrClosed, attach.ErrExited, attach.ErrSuspended} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

func (h *Host) goroutineValue(g *values.Goroutine) lua.LValue {
	return &lua.LUserData{Value: &goroutine{g: g}, Metatable: h.metas.goroutine}
}

func (h *Host) riGoroutine(L *lua.LState) int {
	id := int64(L.CheckNumber(1))
	if L.GetTop() > 1 {
		g, err := h.space.GoroutineAt(h.uint64Arg(L, 2))
		if err != nil {
			h.raise(L, fmt.Errorf("ri.goroutine: %w", err))
		}
		if g == nil || g.ID != id {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(h.goroutineValue(g))
		return 1
	}
	if h.byID == nil { // all of them at the first call: scripts ask for many, one after the other
		h.byID = map[int64]*values.Goroutine{}
		h.byIDBroken = nil
		for g, err := range h.space.Goroutines() {
			h.check(L)
			if err != nil {
				h.byIDBroken = err
			} else {
				h.byID[g.ID] = g
			}
		}
	}
	if g := h.byID[id]; g != nil {
		L.Push(h.goroutineValue(g))
		return 1
	}
	if err := h.byIDBroken; err != nil { // it may have been that one
		h.raise(L, fmt.Errorf("ri.goroutine: %w", err))
	}
	L.Push(lua.LNil)
	return 1
}

// stack unwinds, once.
func (g *goroutine) stack(most int) ([]values.Frame, error) {
	if g.frames == nil || g.most < most {
		g.frames, g.broken = g.g.Stack(most)
		g.most = most
	}
	return g.frames[:min(most, len(g.frames))], g.broken
}

// riStack gives the frames, innermost first, and where unwinding broke off, if it did.
func (h *Host) riStack(L *lua.LState) int {
	g := h.goroutineArg(L, 1)
	most := L.OptInt(2, 256)
	if most < 1 || most > 1<<16 {
		L.ArgError(2, "from 1 to 65536 frames")
	}
	frames, err := g.stack(most)
	L.Push(h.framesTable(frames))
	if err != nil && len(frames) < most {
		L.Push(lua.LString(err.Error()))
		return 2
	}
	return 1
}

// riOutermost gives the functions at the outer end of a stack that is too deep for riStack.
func (h *Host) riOutermost(L *lua.LState) int {
	g := h.goroutineArg(L, 1)
	most := L.OptInt(2, 16)
	if most < 1 || most > 256 {
		L.ArgError(2, "from 1 to 256 frames")
	}
	L.Push(h.framesTable(g.g.Outermost(most)))
	return 1
}

// riLocals gives a frame's arguments and locals by name, and how many are no longer there.
func (h *Host) riLocals(L *lua.LState) int {
	g := h.goroutineArg(L, 1)
	i := L.CheckInt(2)
	if i < 1 || i > 1<<16 {
		L.ArgError(2, "frames are counted from 1")
	}
	frames, err := g.stack(max(i, 256))
	if i > len(frames) {
		if err == nil {
			err = fmt.Errorf("it has %d frames", len(frames))
		}
		h.raise(L, fmt.Errorf("ri.locals: %s: %w", g, err))
	}
	if err := g.g.VariablesLack(&frames[i-1]); err != nil {
		h.raise(L, fmt.Errorf("ri.locals: %s: %w", g, err))
	}
	t, list, lost := h.lua.NewTable(), h.lua.NewTable(), 0
	for _, v := range g.g.Variables(&frames[i-1]) {
		one := h.table("name", v.Name, "type", v.Type.Name, "argument", v.Argument, "result", v.Result)
		list.Append(one)
		if v.Err == nil && v.Type.Kind == reflect.Interface {
			if dynamic, err := v.Value.Elem(); err == nil {
				one.RawSetString("dynamic", lua.LString(dynamic.Type.Name))
			}
		}
		err := v.Err
		if err == nil {
			var value lua.LValue
			if value, err = h.fromValue(v.Value, nil, textStep(v.Name)); err == nil {
				t.RawSetString(v.Name, value)
				one.RawSetString("value", value)
			}
		}
		if err != nil {
			lost++
			one.RawSetString("lost", lua.LString(err.Error()))
		}
	}
	L.Push(t)
	L.Push(lua.LNumber(lost))
	L.Push(list)
	return 3
}

func (h *Host) riLabels(L *lua.LState) int {
	g := h.goroutineArg(L, 1)
	labels, err := g.g.Labels()
	if err != nil {
		h.raise(L, fmt.Errorf("ri.labels: %s: %w", g, err))
	}
	L.Push(h.labelsTable(labels))
	return 1
}

func (h *Host) labelsTable(labels map[string]string) *lua.LTable {
	t := h.lua.NewTable()
	for _, k := range rows.SortedKeys(labels) {
		t.RawSetString(k, lua.LString(labels[k]))
	}
	return t
}

// maxStackIDs is how many goroutines of a group are told by their numbers, unless all are asked for.
const maxStackIDs = 1000

// riStacks gives the goroutines in groups of the same state and stack. Options: system (the runtime's own too), depth
// (functions compared), labels (those with different ones are different groups), wait (seconds: only those known to
// wait for longer), all (of their numbers).
func (h *Host) riStacks(L *lua.LState) int {
	opt, most := values.StackOptions{Limit: 256, Check: func() { h.check(L) }}, maxStackIDs
	if t, ok := L.Get(1).(*lua.LTable); ok {
		h.onlyKeys(L, t, "system", "depth", "labels", "wait", "all")
		if lua.LVAsBool(t.RawGetString("all")) {
			most = math.MaxInt
		}
		opt.System, opt.Labels = lua.LVAsBool(t.RawGetString("system")), lua.LVAsBool(t.RawGetString("labels"))
		if seconds, ok := t.RawGetString("wait").(lua.LNumber); ok && seconds > 0 && seconds < 1e9 {
			opt.Wait = time.Duration(float64(seconds) * 1e9)
		}
		if depth, ok := t.RawGetString("depth").(lua.LNumber); ok {
			opt.Limit = int(depth)
		}
	}
	if opt.Limit < 1 || opt.Limit > 1<<16 {
		L.ArgError(1, "depth is from 1 to 65536 functions")
	}
	groups, err := h.space.Stacks(opt, &h.stacks)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.stacks: %w", err))
	}
	all := h.lua.CreateTable(len(groups), 0)
	for _, g := range groups {
		h.check(L)
		h.loads += int64(g.Count)
		t := h.table("count", g.Count, "ids", h.idsTable(g.IDs[:min(len(g.IDs), most)]), "status", g.Status, "wait_reason",
			g.WaitReason, "frames", h.framesTable(g.Frames))
		if g.Wait > 0 {
			t.RawSetString("wait", lua.LNumber(g.Wait.Seconds()))
		}
		if g.Labels != nil {
			t.RawSetString("labels", h.labelsTable(g.Labels))
		}
		if g.CreatedBy.Func != "" {
			t.RawSetString("created_by", h.lineTable(g.CreatedBy.Func, g.CreatedBy.File, g.CreatedBy.Line))
		}
		if g.Broken != nil {
			t.RawSetString("broken", lua.LString(g.Broken.Error()))
		}
		all.Append(t)
	}
	L.Push(all)
	return 1
}

// riLoops tells whether the code of a function goes round.
func (h *Host) riLoops(L *lua.LState) int {
	pc := h.uint64Arg(L, 1)
	L.Push(lua.LBool(h.waits.Loops(pc)))
	L.Push(lua.LBool(h.waits.Stores(pc)))
	return 2
}

// riLoop describes the loop around places in a function.
func (h *Host) riLoop(L *lua.LState) int {
	var pcs []uint64
	for i := 1; i <= max(L.GetTop(), 1); i++ {
		pcs = append(pcs, h.uint64Arg(L, i))
	}
	t, ok := h.waits.Turns(pcs)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(h.turnsTable(t))
	return 1
}

func (h *Host) turnsTable(t *waits.Turns) *lua.LTable {
	line := symbols.Line{}
	if info, ok := h.space.PC(t.Head); ok {
		line = info.Lines[len(info.Lines)-1]
	}
	calls := h.lua.CreateTable(len(t.Calls), 0)
	for _, name := range t.Calls {
		calls.Append(lua.LString(name))
	}
	out := h.table("func", line.Func, "file", line.File, "line", line.Line, "calls", calls, "low", t.Low, "high", t.High,
		"ends", t.Ends, "counts", t.Counts, "asks", t.Asks, "stores", t.Stores, "nested", t.Nested)
	if t.Around != nil {
		out.RawSetString("around", h.turnsTable(t.Around))
	}
	return out
}

// riSyscall tells what a goroutine's last system call gave, if its thread is still at it.
func (h *Host) riSyscall(L *lua.LState) int {
	g := h.goroutineArg(L, 1)
	result, waits, ok := g.g.SystemCall()
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(h.table("result", result, "waits", waits))
	return 1
}

func (h *Host) framesTable(frames []values.Frame) *lua.LTable {
	t := h.lua.CreateTable(len(frames), 0)
	for i := range frames {
		f := &frames[i]
		t.Append(h.table("func", f.Func, "file", f.File, "line", f.Line.Line, "pc", f.PC, "inlined", f.Inlined, "cfa", f.CFA))
	}
	return t
}

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
