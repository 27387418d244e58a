package host

import (
	"errors"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
)

// Waiting is which goroutine of another program waits for a descriptor in the netpoller, and in what function.
type Waiting struct {
	Goroutine int64
	Func      string
}

// errNoOthers is why nothing is known of other processes.
var errNoOthers = errors.New("who else there is isn't recorded: only a live process's neighbours can be told of")

// mostPrograms is how many other Go programs are looked into for one answer.
const mostPrograms = 8

// riEnds is ri.ends(): who has the other ends of pipes and connections, by descriptor.
func (h *Host) riEnds(L *lua.LState) int {
	t := h.lua.NewTable()
	if h.opt.Related == nil || h.opt.Connections == nil {
		L.Push(t)
		L.Push(lua.LString(errNoOthers.Error()))
		return 2
	}
	list, err := h.opt.Connections.Descriptors()
	var ends map[int][]attach.End
	if err == nil {
		ends, _, err = h.opt.Related.OtherEnds(list)
	}
	programs := map[int]map[int]Waiting{}
	for fd, holders := range ends {
		all := h.lua.CreateTable(len(holders), 0)
		for _, e := range holders {
			h.check(L)
			one := h.table("pid", e.PID, "name", e.Name, "fd", e.FD, "itself", e.PID == h.opt.Target.PID)
			if w, ok := h.waitingIn(programs, e); ok {
				one.RawSetString("goroutine", h.int64Value(w.Goroutine))
				one.RawSetString("func", lua.LString(w.Func))
			}
			all.Append(one)
		}
		t.RawSetInt(fd, all)
	}
	L.Push(t)
	if err != nil {
		L.Push(lua.LString(err.Error()))
		return 2
	}
	return 1
}

// waitingIn tells which goroutine waits for an end that another Go program has.
func (h *Host) waitingIn(programs map[int]map[int]Waiting, e attach.End) (Waiting, bool) {
	if h.opt.Elsewhere == nil || e.PID == h.opt.Target.PID {
		return Waiting{}, false
	}
	waits, known := programs[e.PID]
	if !known && len(programs) < mostPrograms {
		waits, _ = h.opt.Elsewhere(e.PID) // it may be no Go program
		programs[e.PID] = waits
	}
	w, ok := waits[e.FD]
	return w, ok
}

// riChildren is ri.children(): the process's children.
func (h *Host) riChildren(L *lua.LState) int {
	err := errNoOthers
	var list []attach.Child
	if h.opt.Related != nil {
		list, err = h.opt.Related.Children()
	}
	t := h.lua.CreateTable(len(list), 0)
	L.Push(t)
	if err != nil {
		L.Push(lua.LString(err.Error()))
		return 2
	}
	for _, c := range list {
		command := h.lua.CreateTable(len(c.Command), 0)
		for _, word := range c.Command {
			command.Append(lua.LString(word))
		}
		t.Append(h.table("pid", c.PID, "name", c.Name, "state", c.State, "started", float64(c.Started.UnixNano())/1e9,
			"command", command))
	}
	return 1
}
