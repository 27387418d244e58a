package host

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// pcall and xpcall of the machine have a fault: an error closes the upvalues of all functions that are running, those
// outside of the pcall too, so that a local which a closure shares with its function is two variables from
// then on. (`local n = 0; local function count() n = n + 1 end; pcall(error); count()` leaves n at 0.)
// A coroutine has upvalues of its own, so what is protected runs in one.

// maxProtected bounds coroutines and protected calls inside each other: each level takes Go's stack too.
const maxProtected = 180

const (
	protectedName = "[pcall]"
	protectedAt   = protectedName + ":1: "
)

func (h *Host) openProtected(globals *lua.LTable) {
	proto, _, err := CompileLua(protectedName, "return function(f, ...) return f(...) end")
	if err != nil {
		panic(err) // the text is above
	}
	h.Lua.Push(h.Lua.NewFunctionFromProto(proto))
	h.Lua.Call(0, 1)
	body := h.Lua.Get(-1).(*lua.LFunction)
	h.Lua.Pop(1)
	globals.RawSetString("pcall", h.function(func(L *lua.LState) int {
		L.CheckAny(1)
		args := make([]lua.LValue, L.GetTop())
		for i := range args {
			args[i] = L.Get(i + 1)
		}
		results, problem := h.protect(L, body, args)
		if problem != nil {
			L.Push(lua.LFalse)
			L.Push(problem)
			return 2
		}
		L.Push(lua.LTrue)
		for _, r := range results {
			L.Push(r)
		}
		return 1 + len(results)
	}))
	globals.RawSetString("xpcall", h.function(func(L *lua.LState) int {
		handler := L.CheckFunction(2)
		args := []lua.LValue{L.CheckAny(1)}
		for i := 3; i <= L.GetTop(); i++ {
			args = append(args, L.Get(i))
		}
		results, problem := h.protect(L, body, args)
		ok := problem == nil
		if !ok {
			if results, problem = h.protect(L, body, []lua.LValue{handler, problem}); problem != nil {
				results = []lua.LValue{problem}
			}
		}
		L.Push(lua.LBool(ok))
		for _, r := range results {
			L.Push(r)
		}
		return 1 + len(results)
	}))
}

// protect calls args[0] with the rest. problem is the error object, or nil.
func (h *Host) protect(L *lua.LState, body *lua.LFunction, args []lua.LValue) (results []lua.LValue, problem lua.LValue) {
	if h.resumed >= maxProtected {
		L.RaiseError("protected calls and coroutines are more than %d deep", maxProtected)
	}
	h.resumed++
	defer func() { h.resumed-- }()
	ctx := L.RemoveContext() // else the machine makes a child of it, which stays until the run ends
	thread, _ := L.NewThread()
	if ctx != nil {
		L.SetContext(ctx)
		thread.SetContext(ctx)
	}
	state, err, results := L.Resume(thread, body, args...)
	switch state {
	case lua.ResumeOK:
		return results, nil
	case lua.ResumeYield:
		L.RaiseError("coroutine.yield can't leave a pcall")
	}
	problem = lua.LString(err.Error())
	if api, ok := err.(*lua.ApiError); ok {
		problem = api.Object
	}
	// A function of Go's that was called directly has failed at the pcall.
	if text, ok := problem.(lua.LString); ok {
		if rest, ours := strings.CutPrefix(string(text), protectedAt); ours {
			if where := L.Where(1); where != "" && !strings.HasPrefix(protectedAt, where) {
				rest = where + " " + rest
			}
			problem = lua.LString(rest)
		}
	}
	return nil, problem
}
