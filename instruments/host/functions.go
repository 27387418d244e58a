package host

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/instruments/lang"
	"ri/symbols"
	"ri/values"
)

// openFunctions makes the table ri.
func (h *Host) openFunctions() {
	ri := h.lua.NewTable()
	h.lua.SetGlobal("ri", ri)
	h.openIntegers(ri)
	ri.RawSetString("null", h.null)
	for name, f := range map[string]func(L *lua.LState) int{
		"duration": h.riDuration, "json": h.riJSON, "decode": h.riDecode, "match": h.riMatch,
		"masked": h.riMasked, "token": h.riToken,
		// need no target
	} {
		ri.RawSetString(name, h.function(f))
	}
	for name, f := range map[string]func(L *lua.LState) int{
		"emit": h.riEmit, "sample": h.riSample, "finding": h.riFinding, "log": h.riLog, "progress": h.riProgress,
		"params": h.riParams, "again": h.riAgain, "hits": h.riHits, "now": h.riNow, "memo": h.riMemo, "atlimit": h.riAtLimit,
		"leaveout": h.riLeaveOut, "checked": h.riChecked,
	} {
		h.setFunction(ri, name, f, false)
	}
	for name, f := range map[string]func(L *lua.LState) int{
		// finding values
		"var": h.riVar, "vars": h.riVars, "types": h.riTypes, "find": h.riFind, "find1": h.riFind1, "at": h.riAt,
		"eval": h.riEval,
		// types and places
		"typeof": h.riTypeof, "type": h.riType, "addr": h.riAddr, "ref": h.riRef, "value": h.riValue,
		"deref": h.riDeref, "name": h.riName, "isnil": h.riIsNil, "cast": h.riCast, "has": h.riHas, "constant": h.riConstant,
		// contents
		"len": h.riLen, "cap": h.riCap, "pairs": h.riPairs, "linked": h.riLinked, "text": h.riText, "bytes": h.riBytes,
		"memory": h.riMemory,
		"func":   h.riFunc, "chan": h.riChan, "time": h.riTime, "age": h.riAge, "real": h.riReal, "imag": h.riImag,
		"dump": h.riDump,
		// goroutines
		"goroutines": h.riGoroutines, "stacks": h.riStacks, "goroutine": h.riGoroutine, "stack": h.riStack,
		"locking": h.riLocking, "triers": h.riTriers, "loops": h.riLoops, "loop": h.riLoop, "syscall": h.riSyscall,
		"locals": h.riLocals, "labels": h.riLabels,
		"threads":     h.riThreads,
		"instruction": h.riInstruction,
		"waits":       h.riWaits, "mark": h.riMark, "users": h.riUsers, "later": h.riLater,
		// the whole heap
		"heap": h.riHeap, "spans": h.riSpans, "finalizing": h.riFinalizing,
		// the program
		"nanotime": h.riNanotime, "descriptors": h.riDescriptors, "ends": h.riEnds,
		"children": h.riChildren, "usage": h.riUsage, "cpu": h.riCPU, "polled": h.riPolled,
		"target": h.riTarget, "buildinfo": h.riBuildInfo,
	} {
		h.setFunction(ri, name, f, true)
	}
}

// setFunction adds a function that isn't there while a file loads; target: nor without a target.
func (h *Host) setFunction(t *lua.LTable, name string, f func(L *lua.LState) int, target bool) {
	t.RawSetString(name, h.function(func(L *lua.LState) int {
		if h.loading {
			L.RaiseError("ri.%s is not available while the file loads: call it in run", name)
		}
		if target && h.space == nil {
			L.RaiseError("ri.%s: there is no target", name)
		}
		return f(L)
	}))
}

// set fills a result table.
func (h *Host) table(pairs ...any) *lua.LTable {
	t := h.lua.CreateTable(0, len(pairs)/2) // a NewTable has room for 32 of each, 3 KiB
	for i := 0; i < len(pairs); i += 2 {
		var v lua.LValue
		switch x := pairs[i+1].(type) {
		case lua.LValue:
			v = x
		case string:
			v = lua.LString(x)
		case bool:
			v = lua.LBool(x)
		case int:
			v = lua.LNumber(x)
		case int64:
			v = h.int64Value(x)
		case uint64:
			v = h.uint64Value(x)
		case float64:
			v = lua.LNumber(x)
		}
		t.RawSetString(pairs[i].(string), v)
	}
	return t
}

// paramsTable gives parameters to Lua.
func (h *Host) paramsTable(params map[string]any) *lua.LTable {
	t := h.lua.NewTable()
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		t.RawSetString(name, h.goToLua(params[name]))
	}
	return t
}

func (h *Host) goToLua(v any) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case int:
		return h.int64Value(int64(v))
	case int64:
		return h.int64Value(v)
	case uint64:
		return h.uint64Value(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case time.Duration:
		return h.int64Value(int64(v))
	case []string:
		t := h.lua.NewTable()
		for _, s := range v {
			t.Append(lua.LString(s))
		}
		return t
	}
	return lua.LNil
}

func (h *Host) riParams(L *lua.LState) int {
	L.Push(h.params)
	return 1
}

func (h *Host) riVar(L *lua.LState) int {
	name := L.CheckString(1)
	v, err := h.space.Var(name)
	if err != nil {
		h.raise(L, err)
	}
	L.Push(h.start(L, v, name))
	return 1
}

func (h *Host) riVars(L *lua.LState) int { return h.matching(L, "ri.vars", h.space.File().Vars) }

func (h *Host) riTypes(L *lua.LState) int { return h.matching(L, "ri.types", h.space.File().TypeNames) }

// matching gives the names that the pattern of argument 1 matches.
func (h *Host) matching(L *lua.LState, what string, all func() []string) int {
	pattern, err := regexp.Compile(L.OptString(1, ""))
	if err != nil {
		h.raise(L, fmt.Errorf("%s: %w", what, err))
	}
	if f := h.space.File(); !f.HasDWARF() && !f.RuntimeOnly() { // which is not the same as that there are none
		h.raise(L, fmt.Errorf("%s: %w", what, symbols.ErrNoDWARF))
	}
	t := h.lua.NewTable()
	for _, name := range all() {
		if pattern.MatchString(name) {
			t.Append(lua.LString(name))
		}
	}
	L.Push(t)
	return 1
}

// typeArg is an argument that names a type: a string, a value or a place.
func (h *Host) typeArg(L *lua.LState, n int) *symbols.Type {
	if r, ok := refOf(L.Get(n)); ok {
		return r.binding.goType
	}
	if p, ok := placeOf(L.Get(n)); ok {
		return p.value.Type
	}
	t, err := h.space.Type(L.CheckString(n))
	if err != nil {
		h.raise(L, err)
	}
	return t
}

func (h *Host) riFind(L *lua.LState) int {
	t := h.lua.NewTable()
	for _, f := range h.find(L, false) {
		value, err := h.fromValue(f.Value, nil, textStep(foundPath(f)))
		if err != nil {
			h.raise(L, &pathError{f.Where, err})
		}
		t.Append(h.table("value", value, "where", f.Where, "goroutine", f.Goroutine, "stack", f.OnStack))
	}
	L.Push(t)
	return 1
}

// foundPath is an expression for what was found, so that a change of it can be made, and undone, by its way and not by
// its address.
func foundPath(f values.Found) string {
	if f.Goroutine == 0 {
		return "(" + f.Where + ")"
	}
	return fmt.Sprintf("find(%s, %q)", f.Value.Type.Name, f.Where)
}

func (h *Host) riFind1(L *lua.LState) int {
	found := h.find(L, true)
	if len(found) == 0 {
		name := L.Get(1).String()
		h.raise(L, fmt.Errorf("ri.find1: no value of %s in package variables, goroutines' frames or what they point to: "+
			"look deeper with ri.find1('%s', {depth = 6}), or start from ri.vars()", name, name))
	}
	L.Push(h.start(L, found[0].Value, foundPath(found[0])))
	L.Push(lua.LString(found[0].Where))
	return 2
}

// find runs the search of ri.find, or of ri.find1, which ends with the first.
func (h *Host) find(L *lua.LState, first bool) []values.Found {
	t := h.typeArg(L, 1)
	depth, most, all := 0, 0, false
	if opt, ok := L.Get(2).(*lua.LTable); ok {
		h.onlyKeys(L, opt, "depth", "max", "all")
		all = lua.LVAsBool(opt.RawGetString("all"))
		if n, ok := opt.RawGetString("depth").(lua.LNumber); ok && n == -1 { // not through pointers at all
			depth = -1
		} else {
			depth = optInt(L, opt, "depth", 0)
		}
		most = optInt(L, opt, "max", 0)
	}
	found, truncated, err := h.space.Find(t, values.FindOptions{Depth: depth, Limit: most, First: first, All: all})
	if err != nil && len(found) == 0 {
		h.raise(L, fmt.Errorf("ri.find %s: %w", t.Name, err))
	}
	if truncated && most == 0 {
		h.opt.Sink.Log(fmt.Sprintf("ri.find %s: the search was broken off after %d values", t.Name, len(found)))
	}
	return found
}

func (h *Host) riAt(L *lua.LState) int {
	addr, t := h.uint64Arg(L, 1), h.typeArg(L, 2)
	if addr == 0 {
		L.Push(lua.LNil)
		return 1
	}
	value, err := h.load(h.bind(t), addr, nil, textStep(fmt.Sprintf("(*(*%s)(0x%x))", t.Name, addr)))
	if err != nil {
		h.raise(L, &pathError{fmt.Sprintf("*(*%s)(0x%x)", t.Name, addr), err})
	}
	L.Push(value)
	return 1
}

func (h *Host) riTarget(L *lua.LState) int {
	info := h.opt.Target
	less := ""
	if h.opt.Seen != nil {
		info.View, less = h.opt.Seen()
	}
	t := h.table("pid", info.PID, "kind", info.Kind, "describe", info.Describe, "view", string(info.View),
		"go", h.space.File().GoVersion())
	if info.Looks > 0 {
		t.RawSetString("looks", lua.LNumber(info.Looks))
	}
	if info.Ends != "" {
		t.RawSetString("ends", lua.LString(info.Ends))
	}
	if less != "" {
		t.RawSetString("less", lua.LString(less))
	}
	if plugins := h.space.Plugins(); len(plugins) > 0 {
		list := h.lua.NewTable()
		for _, m := range plugins {
			list.Append(lua.LString(m.Path))
		}
		t.RawSetString("plugins", list)
	}
	L.Push(t)
	return 1
}

// riLeaveOut is ri.leaveout(what): something that belongs to an answer is missing, and why. It is printed.
func (h *Host) riLeaveOut(L *lua.LState) int {
	what := L.CheckString(1)
	if h.opt.LeaveOut != nil {
		h.opt.LeaveOut(what)
	}
	h.opt.Sink.Print("left out: " + what)
	return 0
}

// riChecked is ri.checked(what, why?): something was looked for, or with a reason wasn't. It is printed nowhere.
func (h *Host) riChecked(L *lua.LState) int {
	if h.opt.Checked != nil {
		h.opt.Checked(L.CheckString(1), L.OptString(2, ""))
	}
	return 0
}

func (h *Host) riBuildInfo(L *lua.LState) int {
	f := h.space.File()
	path, version := f.MainModule()
	settings, modules := h.lua.NewTable(), h.lua.NewTable()
	for _, s := range f.BuildSettings() {
		settings.RawSetString(s[0], lua.LString(s[1]))
	}
	for _, m := range f.Modules() {
		modules.Append(h.table("path", m[0], "version", m[1], "replaced", m[2]))
	}
	L.Push(h.table("go", f.GoVersion(), "path", path, "version", version, "id", f.BuildID(), "settings", settings,
		"modules", modules))
	return 1
}

func (h *Host) riNow(L *lua.LState) int {
	L.Push(lua.LNumber(float64(h.opt.Now().UnixNano()) / 1e9))
	return 1
}

func (h *Host) riNanotime(L *lua.LState) int {
	if now := h.space.Nanotime(); now != 0 {
		L.Push(h.int64Value(now))
		return 1
	}
	L.Push(lua.LNil)
	return 1
}

func (h *Host) riAgain(L *lua.LState) int {
	seconds := float64(L.CheckNumber(1))
	if h.opt.Again == nil {
		h.raisef(L, "ri.again: this target can be looked at once only")
	}
	if !(seconds >= 0 && seconds <= 86400) {
		L.ArgError(1, "seconds, up to a day")
	}
	kind := attach.ViewKind(L.OptString(2, ""))
	if kind != "" && kind != attach.Live && kind != attach.Stopped {
		L.ArgError(2, "live, stopped, or nothing")
	}
	h.clock.Pause()
	over, err := h.opt.Again(h.ctx, time.Duration(seconds*1e9), kind)
	h.clock.Resume()
	h.Forget()
	if err != nil {
		h.raise(L, fmt.Errorf("ri.again: %w", err))
	}
	L.Push(lua.LBool(over == nil))
	if over == nil {
		return 1
	}
	L.Push(lua.LString(over.Error()))
	return 2
}

func (h *Host) riAtLimit(L *lua.LState) int {
	h.atLimit = L.CheckFunction(1)
	return 0
}

// Forget drops what was remembered of the target's memory: call it when the view has changed.
func (h *Host) Forget() {
	clear(h.maps)
	clear(h.lines)
	h.heap, h.byID = nil, nil
}

// onlyKeys refuses options that don't exist.
func (h *Host) onlyKeys(L *lua.LState, t *lua.LTable, names ...string) {
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		known := false
		for _, n := range names {
			known = known || k == lua.LString(n)
		}
		if !known {
			L.RaiseError("unknown option %s; there are %s", lang.LuaText(k), strings.Join(names, ", "))
		}
	}
}

func optInt(L *lua.LState, t *lua.LTable, name string, otherwise int) int {
	switch v := t.RawGetString(name).(type) {
	case *lua.LNilType:
		return otherwise
	case lua.LNumber:
		if n, ok := lang.WholeNumber(v); ok && n >= 0 {
			return int(n)
		}
	}
	L.RaiseError("option %s must be an integer, not negative", name)
	return 0
}

// riMatch tells whether a pattern is part of a text, as it is written or as a regular expression: people type
// main.(*Handler).run, which is no regular expression, as well as ^main\..
func (h *Host) riMatch(L *lua.LState) int {
	text, pattern := L.CheckString(1), L.CheckString(2)
	if pattern != "" && isToken(L.Get(1)) != isToken(L.Get(2)) {
		h.raise(L, values.NewTokenError("ri.match"))
	}
	fits, known := h.patterns[pattern]
	if !known {
		var err error
		if fits, err = lang.Filter(pattern); err != nil {
			h.raise(L, fmt.Errorf("ri.match: %w", err))
		}
		if h.patterns == nil || len(h.patterns) > 1000 {
			h.patterns = map[string]func(string) bool{}
		}
		h.patterns[pattern] = fits
	}
	L.Push(lua.LBool(fits(text)))
	return 1
}
