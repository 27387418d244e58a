package host

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/values"
)

// riThreads gives the threads with what they do on each of their stacks.
func (h *Host) riThreads(L *lua.LState) int {
	stacks := true
	if t, ok := L.Get(1).(*lua.LTable); ok {
		h.onlyKeys(L, t, "stacks")
		stacks = t.RawGetString("stacks") != lua.LFalse
	}
	threads, err := h.space.OSThreads()
	if err != nil && len(threads) == 0 {
		h.raise(L, fmt.Errorf("ri.threads: %w", err))
	}
	if err != nil {
		h.Opt.Sink.Log(fmt.Sprintf("ri.threads: %v", err))
	}
	all := h.Lua.CreateTable(len(threads), 0)
	for _, t := range threads {
		h.check(L)
		one := h.table("id", t.ID, "addr", t.Addr, "dying", t.Dying, "throwing", t.Throwing)
		if t.Goroutine != 0 {
			one.RawSetString("goroutine", h.int64Value(t.Goroutine))
		}
		one.RawSetString("signal", h.signalTable(t.Signal))
		if stacks {
			parts, err := t.Stack()
			one.RawSetString("stacks", h.stackParts(parts))
			if err != nil {
				one.RawSetString("broken", lua.LString(err.Error()))
			}
		}
		all.Append(one)
	}
	L.Push(all)
	return 1
}

func (h *Host) stackParts(parts []values.StackPart) *lua.LTable {
	list := h.Lua.CreateTable(len(parts), 0)
	for i := range parts {
		p := &parts[i]
		t := h.table("stack", p.Stack, "pc", p.PC, "frames", h.framesTable(p.Frames))
		t.RawSetString("signal", h.signalTable(p.Signal))
		for i := range p.Frames {
			if text, ok := h.space.FatalText(&p.Frames[i]); ok {
				t.RawSetString("fatal", lua.LString(text))
			}
		}
		list.Append(t)
	}
	return list
}

func (h *Host) signalTable(s *attach.Signal) lua.LValue {
	if s == nil {
		return lua.LNil
	}
	name := unix.SignalName(unix.Signal(s.Number))
	if name == "" {
		name = fmt.Sprintf("signal %d", s.Number)
	}
	t := h.table("number", s.Number, "name", name, "code", s.Code, "address", s.Address)
	if s.Sender != 0 {
		t.RawSetString("sender", h.int64Value(int64(s.Sender)))
	}
	return t
}

// riInstruction decodes the machine instruction at an address.
func (h *Host) riInstruction(L *lua.LState) int {
	in, err := h.space.Instruction(h.uint64Arg(L, 1))
	if err != nil {
		h.raise(L, fmt.Errorf("ri.instruction: %w", err))
	}
	L.Push(h.table("text", in.Text, "access", in.Access, "base", in.Base, "index", in.Index, "offset", in.Offset, "size", in.Size, "length", in.Length))
	return 1
}
