package host

import (
	"errors"
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
)

// What the kernel knows of the process and its memory doesn't tell: only a live process has it.

// errNotRecorded is why a core or a test has no descriptors.
var errNotRecorded = errors.New("a core doesn't record the process's descriptors")

// riDescriptors gives the open descriptors. Where they can't be had it gives none, and why.
func (h *Host) riDescriptors(L *lua.LState) int {
	t := h.Lua.NewTable()
	L.Push(t)
	if h.Opt.Connections == nil {
		L.Push(lua.LString(errNotRecorded.Error()))
		return 2
	}
	all, err := h.Opt.Connections.Descriptors()
	if err != nil {
		L.Push(lua.LString(err.Error()))
		return 2
	}
	for _, d := range all {
		one := h.table("fd", d.FD, "kind", d.Kind, "path", d.Path, "position", d.Position, "flags", attach.FlagNames(d.Flags))
		if s := d.Socket; s != nil {
			one.RawSetString("socket", h.table("protocol", s.Protocol, "local_address", s.Local, "remote_address", s.Remote, "state", s.State, "receive", s.Receive, "send", s.Send))
		}
		if d.Err != "" {
			one.RawSetString("problem", lua.LString(d.Err))
		}
		t.Append(one)
	}
	return 1
}

// riPolled gives the netpoller's descriptors that are in use.
func (h *Host) riPolled(L *lua.LState) int {
	all, err := h.space.PollDescs()
	if err != nil {
		h.raise(L, fmt.Errorf("ri.polled: %w", err))
	}
	t := h.Lua.NewTable()
	for _, v := range all {
		h.check(L)
		value, err := h.fromValue(v, nil, textStep(fmt.Sprintf("(*(*runtime.pollDesc)(0x%x))", v.Addr)))
		if err != nil {
			h.raise(L, fmt.Errorf("ri.polled: %w", err))
		}
		t.Append(value)
	}
	L.Push(t)
	return 1
}
