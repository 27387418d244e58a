package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/change"
	"ri/values"
)

// connectionAction has a transaction end a connection, given as a row of ri.descriptors.
func (h *Host) connectionAction(L *lua.LState, plan *change.Plan, reset bool) error {
	row := L.CheckTable(2)
	target := h.opt.Connections
	if target == nil {
		return errors.New("this target has no connections that could be ended")
	}
	list, err := target.Descriptors()
	if err != nil {
		return err
	}
	for _, d := range list {
		if row.RawGetString("fd") != lua.LNumber(d.FD) {
			continue
		}
		if row.RawGetString("path") != lua.LString(d.Path) {
			break
		}
		if d.Socket == nil || !strings.HasPrefix(d.Socket.Protocol, "tcp") || d.Socket.State == "LISTEN" {
			return fmt.Errorf("descriptor %d (%s) is no TCP connection; only those are ended: %w", d.FD, d.Path,
				change.ErrRefused)
		}
		what := "shut down"
		if reset {
			what = "reset"
		}
		plan.Actions = append(plan.Actions, change.Action{
			Text: fmt.Sprintf("%s the connection of %s to %s (descriptor %d)", what, d.Socket.Local, d.Socket.Remote, d.FD),
			Do:   func() error { return target.EndConnection(d, reset) },
		})
		return nil
	}
	return fmt.Errorf("descriptor %v is no longer %v: %w", row.RawGetString("fd"), row.RawGetString("path"),
		change.ErrConflict)
}

// What the kernel knows of the process and its memory doesn't tell: only a live process has it.

// errNotRecorded is why a core or a test has no descriptors.
var errNotRecorded = errors.New("a core doesn't record the process's descriptors")

// errNoUsage is why a core or a test has no account.
var errNoUsage = errors.New("a core doesn't record what the kernel accounted to the process")

// portOf is the port of address:port.
func portOf(address string) (uint64, bool) {
	i := strings.LastIndexByte(address, ':')
	port, err := strconv.ParseUint(address[i+1:], 10, 16)
	return port, i >= 0 && err == nil
}

// riDescriptors gives the open descriptors. Where they can't be had it gives none, and why.
func (h *Host) riDescriptors(L *lua.LState) int {
	t := h.lua.NewTable()
	L.Push(t)
	if h.opt.Connections == nil {
		L.Push(lua.LString(errNotRecorded.Error()))
		return 2
	}
	all, err := h.opt.Connections.Descriptors()
	if err != nil {
		L.Push(lua.LString(err.Error()))
		return 2
	}
	for _, d := range all {
		one := h.table("fd", d.FD, "kind", d.Kind, "path", d.Path, "position", d.Position, "flags", attach.FlagNames(d.Flags))
		if s := d.Socket; s != nil {
			socket := h.table("protocol", s.Protocol, "local_address", s.Local, "remote_address", s.Remote,
				"state", s.State, "receive", s.Receive, "send", s.Send)
			if port, ok := portOf(s.Local); ok {
				socket.RawSetString("local_port", lua.LNumber(port))
			}
			one.RawSetString("socket", socket)
		}
		if d.Err != "" {
			one.RawSetString("problem", lua.LString(d.Err))
		}
		t.Append(one)
	}
	return 1
}

// riUsage gives what the kernel accounts to the process; nil, and why, where that can't be had.
func (h *Host) riUsage(L *lua.LState) int {
	err := errNoUsage
	if h.opt.Usage != nil {
		var u attach.Usage
		if u, err = h.opt.Usage(); err == nil {
			L.Push(h.table("at", float64(u.At.UnixNano())/1e9, "resident", u.Resident, "file", u.File, "swap", u.Swap,
				"threads", u.Threads,
				"cpu", u.CPU.Seconds(), "max_descriptors", u.MaxDescriptors))
			return 1
		}
	}
	L.Push(lua.LNil)
	L.Push(lua.LString(err.Error()))
	return 2
}

// riPolled gives the netpoller's descriptors that are in use.
func (h *Host) riPolled(L *lua.LState) int {
	all, err := h.space.PollDescs()
	if err != nil {
		h.raise(L, fmt.Errorf("ri.polled: %w", err))
	}
	t := h.lua.NewTable()
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

// errNoCPU is why nothing can be sampled of what doesn't run.
var errNoCPU = fmt.Errorf("it doesn't run: only a live process's CPU time can be sampled (ri run cpu -p PID): %w",
	attach.ErrNotSupported)

// cpuSampler is what samples a process, and remembers it: a script may run more than once, and the time passes only
// once.
type cpuSampler struct {
	sample   func(context.Context, attach.CPUOptions) (*attach.CPUProfile, error)
	mappings func() ([]attach.Mapping, error)
	took     map[cpuKey]*attach.CPUProfile
}

type cpuKey struct {
	took time.Duration
	hz   int
}

func CPUSamplerOf(t attach.Target) *cpuSampler {
	c := &cpuSampler{mappings: t.Mappings, took: map[cpuKey]*attach.CPUProfile{}}
	if p, ok := t.(attach.Sampled); ok {
		c.sample = p.SampleCPU
	}
	return c
}

// riCPU samples for some seconds. Options: seconds, hz.
func (h *Host) riCPU(L *lua.LState) int {
	seconds, hz := 5.0, 99
	if t, ok := L.Get(1).(*lua.LTable); ok {
		h.onlyKeys(L, t, "seconds", "hz")
		if n, ok := t.RawGetString("seconds").(lua.LNumber); ok {
			seconds = float64(n)
		}
		hz = optInt(L, t, "hz", hz)
	}
	if !(seconds > 0 && seconds <= 3600) || hz < 1 || hz > 10000 {
		L.ArgError(1, "seconds are up to 3600, hz from 1 to 10000")
	}
	if h.opt.CPU == nil || h.opt.CPU.sample == nil {
		h.raise(L, fmt.Errorf("ri.cpu: %w", errNoCPU))
	}
	key := cpuKey{time.Duration(seconds * 1e9), hz}
	profile := h.opt.CPU.took[key]
	if profile == nil {
		h.clock.Pause()
		var err error
		profile, err = h.opt.CPU.sample(h.ctx, attach.CPUOptions{Time: key.took, Hz: hz,
			FrameEnd: h.space.FrameEnd, Until: h.opt.Until,
			Progress: func(done, total time.Duration) {
				h.opt.Sink.Progress(int64(done/time.Millisecond), int64(total/time.Millisecond), "sampling, ms")
			}})
		h.clock.Resume()
		if err != nil {
			h.raise(L, fmt.Errorf("ri.cpu: %w", err))
		}
		h.opt.CPU.took[key] = profile
	}
	h.opt.Sink.Sampled(profile.Time)
	L.Push(h.cpuTable(L, profile))
	return 1
}

func (h *Host) cpuTable(L *lua.LState, p *attach.CPUProfile) *lua.LTable {
	mappings, _ := h.opt.CPU.mappings()
	stacks := h.lua.CreateTable(len(p.Stacks), 0)
	slices.SortFunc(p.Stacks, func(a, b attach.CPUStack) int { return int(b.Count - a.Count) })
	for i := range p.Stacks {
		h.check(L)
		s := &p.Stacks[i]
		frames := h.space.FramesOf(s.PCs)
		for i := range frames {
			if f := &frames[i]; f.Func == "" {
				f.Func = nameElsewhere(mappings, f.PC)
			}
		}
		if s.Kernel {
			frames = slices.Insert(frames, 0, kernelFrame())
		}
		stacks.Append(h.table("count", s.Count, "frames", h.framesTable(frames)))
	}
	return h.table("event", p.Event, "kernel", p.Kernel, "hz", p.Hz, "seconds", p.Time.Seconds(), "samples", p.Samples,
		"lost", p.Lost, "threads", p.Threads, "stacks", stacks)
}

func kernelFrame() values.Frame {
	var f values.Frame
	f.Func = "[kernel]"
	return f
}

// nameElsewhere names code that isn't Go's by the file that it is of.
func nameElsewhere(mappings []attach.Mapping, pc uint64) string {
	for _, m := range mappings {
		if pc >= m.Start && pc < m.End {
			switch name := filepath.Base(m.Path); {
			case m.Path == "":
				return "[code without a file]"
			case m.Path[0] == '[':
				return m.Path
			default:
				return "[" + name + "]"
			}
		}
	}
	return "[unknown]"
}

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
		h.opt.Sink.Log(fmt.Sprintf("ri.threads: %v", err))
	}
	all := h.lua.CreateTable(len(threads), 0)
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
	list := h.lua.CreateTable(len(parts), 0)
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
	L.Push(h.table("text", in.Text, "access", in.Access, "base", in.Base, "index", in.Index, "offset", in.Offset, "size",
		in.Size, "length", in.Length))
	return 1
}
