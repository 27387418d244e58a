package host

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/values"
)

// errNoCPU is why nothing can be sampled of what doesn't run.
var errNoCPU = fmt.Errorf("it doesn't run: only a live process's CPU time can be sampled (ri run cpu -p PID): %w", attach.ErrNotSupported)

// cpuSampler is what samples a process, and remembers it: a script may run more than once, and the time passes only once.
type cpuSampler struct {
	sample   func(context.Context, attach.CPUOptions) (*attach.CPUProfile, error)
	mappings func() ([]attach.Mapping, error)
	took     map[cpuKey]*attach.CPUProfile
}

type cpuKey struct {
	took time.Duration
	hz   int
}

func CpuSamplerOf(t attach.Target) *cpuSampler {
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
	if h.Opt.Cpu == nil || h.Opt.Cpu.sample == nil {
		h.raise(L, fmt.Errorf("ri.cpu: %w", errNoCPU))
	}
	key := cpuKey{time.Duration(seconds * 1e9), hz}
	profile := h.Opt.Cpu.took[key]
	if profile == nil {
		h.clock.pause()
		var err error
		profile, err = h.Opt.Cpu.sample(h.ctx, attach.CPUOptions{Time: key.took, Hz: hz, FrameEnd: h.space.FrameEnd, Progress: func(done, total time.Duration) {
			h.Opt.Sink.Progress(int64(done/time.Millisecond), int64(total/time.Millisecond), "sampling, ms")
		}})
		h.clock.resume()
		if err != nil {
			h.raise(L, fmt.Errorf("ri.cpu: %w", err))
		}
		h.Opt.Cpu.took[key] = profile
	}
	h.Opt.Sink.Sampled(profile.Time)
	L.Push(h.cpuTable(L, profile))
	return 1
}

func (h *Host) cpuTable(L *lua.LState, p *attach.CPUProfile) *lua.LTable {
	mappings, _ := h.Opt.Cpu.mappings()
	stacks := h.Lua.CreateTable(len(p.Stacks), 0)
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
	return h.table("event", p.Event, "kernel", p.Kernel, "hz", p.Hz, "seconds", p.Time.Seconds(), "samples", p.Samples, "lost", p.Lost, "threads", p.Threads, "stacks", stacks)
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
