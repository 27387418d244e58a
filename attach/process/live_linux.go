//go:build amd64

package process

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// liveView reads a process that runs on. Nothing is stopped, so what it shows may change between two reads.
type liveView struct {
	mem  *processMemory
	ctx  context.Context
	stop func() bool // of the context's AfterFunc

	mu    sync.Mutex
	err   error
	ended atomic.Bool
	done  chan struct{}
}

func (p *Process) live(ctx context.Context) (attach.View, error) {
	if err := p.checkIdentity(); err != nil {
		return nil, err
	}
	v := &liveView{mem: p.memory(), ctx: ctx, done: make(chan struct{})}
	v.stop = context.AfterFunc(ctx, func() { v.End(context.Cause(ctx), true) })
	return v, nil
}

// End closes the view for a reason, once.
func (v *liveView) End(err error, byItself bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return
	}
	v.err = err
	v.ended.Store(true)
	if byItself {
		close(v.done)
	}
}

func (v *liveView) ReadMemory(p []byte, addr uint64) (int, error) {
	if v.ended.Load() {
		return 0, v.Err()
	}
	n, err := v.mem.ReadMemory(p, addr)
	if err != nil && !attach.IsNotMapped(err) {
		v.End(err, true)
	}
	return n, err
}

// ReadRanges implements RangeReader.
func (v *liveView) ReadRanges(ranges []attach.Range) error {
	if v.ended.Load() {
		return v.Err()
	}
	err := v.mem.readRanges(ranges, new(ioScratch))
	if err != nil {
		v.End(err, true)
	}
	return err
}

// Coverage implements View: all is there, but not of one moment.
func (v *liveView) Coverage() attach.Coverage {
	return attach.Coverage{Of: attach.NoMoment, Whole: true}
}
func (v *liveView) Notes() []string { return nil }

func (v *liveView) Kind() attach.ViewKind    { return attach.Live }
func (v *liveView) Threads() []attach.Thread { return nil }
func (v *liveView) Done() <-chan struct{}    { return v.done }

func (v *liveView) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

func (v *liveView) Stats() attach.Stats { return attach.Stats{BytesRead: v.mem.bytesRead.Load()} }

// Close implements View. The /proc/PID/mem file, if one was needed, is closed by the garbage collector, since another
// goroutine may be reading.
func (v *liveView) Close() error {
	v.stop()
	v.End(fmt.Errorf("reading the memory of %s: %w", v.mem.name, attach.ErrClosed), false)
	return nil
}

// Discard implements View: there is nothing to give back.
func (v *liveView) Discard() { v.Close() }

// A process that a watcher holds in its last moment has its memory still, and nothing runs any more: all views of it
// are the same, and need no stop. Its threads have ended, so there are no registers; a goroutine that ran is seen as it
// last went into the runtime, if it did.

// dyingView reads a process that is held in its exit.
type dyingView struct{ *liveView }

// Kind implements Target.
func (p *Process) Kind() attach.TargetKind {
	if p.dying {
		return attach.Dying
	}
	return attach.Living
}

// Ends implements Target: how a process that is dying ends.
func (p *Process) Ends() string { return p.ends }

// Written implements Target. The clock of a process goes on, also of one that is held in its exit.
func (p *Process) Written() time.Time { return time.Time{} }

func (p *Process) dyingView(ctx context.Context) (attach.View, error) {
	v, err := p.live(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; it was dying, and its watcher has let it go (--max-hold)", err)
	}
	return dyingView{v.(*liveView)}, nil
}

// Coverage implements View: nothing changes the memory any more.
func (v dyingView) Coverage() attach.Coverage {
	return attach.Coverage{Of: attach.OneMoment, Whole: true}
}

func (v dyingView) Kind() attach.ViewKind    { return attach.Stopped }
func (v dyingView) Threads() []attach.Thread { return []attach.Thread{} } // stopped, and none left

// Nanotime implements Target. A time namespace may shift the target's clock against ours (time_namespaces(7)).
func (p *Process) Nanotime() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	theirs, ours := proc.MonotonicOffset(p.proc("timens_offsets")), proc.MonotonicOffset("/proc/self/timens_offsets")
	return now.Nano() + theirs - ours
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, 1/100 s on every Linux that Go supports (proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// Usage reads what the kernel accounts to the process: /proc/PID/status, stat and limits (proc(5)). The process goes on
// meanwhile.
//
// Errors: ErrExited, ErrPermission, wrapped.
func (p *Process) Usage() (attach.Usage, error) {
	if err := p.checkIdentity(); err != nil {
		return attach.Usage{}, err
	}
	u := attach.Usage{At: time.Now()}
	status, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return u, p.exited(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			continue
		}
		if unit == "kB" {
			n <<= 10
		}
		switch name {
		case "VmRSS":
			u.Resident = n
		case "RssFile":
			u.File = n
		case "VmSwap":
			u.Swap = n
		case "Threads":
			u.Threads = int(n)
		}
	}
	stat, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return u, p.exited(err)
	}
	// Fields 14 and 15, counted behind the name, which may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%s: %d fields, want 13 or more", p.proc("stat"), len(fields))
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s: %w", p.proc("stat"), err)
		}
		u.CPU += time.Duration(n) * tick
	}
	if limits, err := os.ReadFile(p.proc("limits")); err == nil {
		for line := range strings.Lines(string(limits)) {
			if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
				if f := strings.Fields(rest); len(f) > 0 {
					u.MaxDescriptors, _ = strconv.ParseInt(f[0], 10, 64) // 0 for "unlimited"
				}
			}
		}
	}
	return u, nil
}
