package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"
	"golang.org/x/sys/unix"

	"ri/instruments/lang"
	"ri/instruments/rows"
)

// Limits bound a run of a script. A zero field takes its default, a negative one means no limit.
type Limits struct {
	Time   time.Duration // of CPU, of one Run; default 10 seconds (see Clock)
	Memory int64         // bytes that the run may hold; default 512 MiB
	Rows   int           // rows, and findings, and stacks; default a million of each
	Output int64         // bytes of all texts that the run gives; default 64 MiB
}

func (l Limits) WithDefaults() Limits {
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 512 << 20
	}
	if l.Rows == 0 {
		l.Rows = 1_000_000
	}
	if l.Output == 0 {
		l.Output = 64 << 20
	}
	return l
}

// given counts what a run has given.
type given struct {
	rows, findings, samples int
	bytes                   int64
}

// count adds to one of the counters of h.given and to its bytes; over a limit it ends the run, and the script. L is nil
// where no script is running.
func (h *Host) count(L *lua.LState, counter *int, what string, bytes int64) error {
	limits := h.opt.Limits
	var err error
	switch {
	case counter != nil && limits.Rows > 0 && *counter >= limits.Rows:
		err = NewLimitError(ErrRows, "%d %s were given, and there are more", *counter, what)
	case limits.Output > 0 && h.given.bytes+bytes > limits.Output:
		err = NewLimitError(ErrOutput, "all that the script gave is longer than %s", rows.ShortBytes(limits.Output))
	default:
		if h.given.bytes += bytes; counter != nil {
			*counter++
		}
		return nil
	}
	h.cancel(err)
	if L != nil {
		h.raise(L, err)
	}
	return err
}

// lineCost is what a line, a cell or an element takes beside its text.
const lineCost = 16

// sizeOf is how many bytes a cell's value takes, about.
func sizeOf(v any) int64 {
	switch v := v.(type) {
	case string:
		return lineCost + int64(len(v))
	case rows.Bytes:
		return lineCost + int64(len(v))
	case rows.Address:
		return lineCost + int64(len(v.Text))
	case []any:
		total := int64(lineCost)
		for _, e := range v {
			total += sizeOf(e)
		}
		return total
	case rows.Row:
		total := int64(lineCost)
		for _, c := range v {
			total += int64(len(c.Name)) + sizeOf(c.Value)
		}
		return total
	}
	return lineCost
}

// rowSize is how many bytes a row takes, about; the names of its columns are those of all rows.
func rowSize(row rows.Row) (total int64) {
	for _, c := range row {
		total += sizeOf(c.Value)
	}
	return total
}

func init() {
	// t[n] = x makes the machine fill a table's array up to n, 16 bytes an element. At its own limit, 64 Mi, a table keyed
	// by some request number would take a GiB at one stroke; beyond the limit a table hashes, and # doesn't count.
	// Executables that aren't position-independent begin at this address, so that no address of a package variable is an
	// index.
	lua.MaxArrayIndex = 0x400000
}

// maxString bounds one string that a script builds.
const maxString = 64 << 20

// runContext is what the Lua machine asks before each instruction: Done must cost nothing,
// and Err gives the cause.
type runContext struct {
	context.Context
	done <-chan struct{}
}

func newRunContext(ctx context.Context) *runContext {
	return &runContext{Context: ctx, done: ctx.Done()}
}

func (c *runContext) Done() <-chan struct{} { return c.done }
func (c *runContext) Err() error {
	if c.Context.Err() == nil {
		return nil
	}
	return context.Cause(c.Context)
}

// watchMemory ends a run that holds more than limit beyond what was there when it
// began. The heap's size counts garbage too, so before it judges, it collects.
func watchMemory(ctx context.Context, limit int64, cancel context.CancelCauseFunc) {
	const objects, stacks = "/memory/classes/heap/objects:bytes", "/memory/classes/heap/stacks:bytes"
	samples := []metrics.Sample{{Name: objects}, {Name: stacks}}
	held := func() int64 {
		metrics.Read(samples)
		return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
	}
	start := held()
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var collected time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := held()
			if now-start <= limit {
				continue
			}
			if now-start <= 2*limit && time.Since(collected) < 200*time.Millisecond {
				continue // collected a moment ago, and it was garbage
			}
			runtime.GC()
			collected = time.Now()
			if now = held(); now-start > limit {
				cancel(NewLimitError(ErrMemory, "the script holds %d MiB, its limit is %d MiB", (now-start)>>20, limit>>20))
				return
			}
		}
	}()
}

// Errors that callers test for.
var (
	// ErrTime: the script's time is over.
	ErrTime = errors.New("time limit reached")
	// ErrMemory: the script held more than it may.
	ErrMemory = errors.New("memory limit reached")
	// ErrRows: the script gave more rows than asked for; those before are good.
	ErrRows = errors.New("row limit reached")
	// ErrOutput: what the script gave was too long; what came before is good.
	ErrOutput = errors.New("output limit reached")
)

// limitError says which limit ended a run and what it was.
type limitError struct {
	is   error
	text string
}

func (e *limitError) Error() string        { return e.text }
func (e *limitError) Is(target error) bool { return target == e.is }

func NewLimitError(is error, format string, args ...any) error {
	return &limitError{is: is, text: is.Error() + ": " + fmt.Sprintf(format, args...)}
}

// Grace is how long a script may take to notice that its run has ended.
const Grace = time.Second

func WaitFor(finished <-chan error, most time.Duration) bool {
	select {
	case <-finished:
		return true
	case <-time.After(most):
		return false
	}
}

// Safely turns a panic into an error: broken memory must not end ri while a target is held.
//
// A core that is cut short while it is mapped, or a disk that fails, shows as a fault in whoever reads it.
func Safely(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// pcall and xpcall of the machine have a fault. An error closes the upvalues of all functions that are running, those
// outside of the pcall too. A local that a closure shares with its function is two variables from then on: after
// `local n = 0; local function count() n = n + 1 end; pcall(error); count()` n is 0. A coroutine has upvalues of its
// own, so what is protected runs in one.

// maxProtected bounds coroutines and protected calls inside each other: each level takes Go's stack too.
const maxProtected = 180

const (
	protectedName = "[pcall]"
	protectedAt   = protectedName + ":1: "
)

func (h *Host) openProtected(globals *lua.LTable) {
	proto, _, err := lang.CompileLua(protectedName, "return function(f, ...) return f(...) end")
	if err != nil {
		panic(err) // the text is above
	}
	h.lua.Push(h.lua.NewFunctionFromProto(proto))
	h.lua.Call(0, 1)
	body := h.lua.Get(-1).(*lua.LFunction)
	h.lua.Pop(1)
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
func (h *Host) protect(L *lua.LState, body *lua.LFunction, args []lua.LValue) (results []lua.LValue,
	problem lua.LValue) {
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

// Clock ends something when it has used the CPU time that it may use. On a crowded machine that is later than by the
// clock on the wall, and what is found doesn't depend on who else is at work. What only waits uses none, so that there
// is an end by the wall, too.
//
// The CPU time is that of ri's own process, in which nothing else is at work meanwhile: scripts read in several
// threads, and leave garbage to be collected.
type Clock struct {
	mu      sync.Mutex
	timer   *time.Timer // nil: there is no limit, or it is over
	over    func(cpu, wall time.Duration)
	used    func() time.Duration
	limit   time.Duration
	running bool

	cpu, wall   time.Duration // until the last pause
	sinceCPU    time.Duration
	sinceOnWall time.Time
}

// onWall is how many times the limit something may take by the wall.
const onWall = 30

// StartClock begins a run of at most limit; 0 or less: without a limit. over is told what was used.
func StartClock(limit time.Duration, over func(cpu, wall time.Duration)) *Clock {
	return startClock(limit, processTime, over)
}

// StartWallClock begins a run of at most limit by the clock on the wall.
func StartWallClock(limit time.Duration, over func(cpu, wall time.Duration)) *Clock {
	began := time.Now()
	return startClock(limit, func() time.Duration { return time.Since(began) }, over)
}

func startClock(limit time.Duration, used func() time.Duration, over func(cpu, wall time.Duration)) *Clock {
	c := &Clock{over: over, used: used, limit: limit}
	if limit > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timer = time.AfterFunc(limit, c.look)
		c.running, c.sinceCPU, c.sinceOnWall = true, used(), time.Now()
	}
	return c
}

// spent is what was used until now. The caller holds mu.
func (c *Clock) spent() (cpu, wall time.Duration) {
	if !c.running {
		return c.cpu, c.wall
	}
	return c.cpu + c.used() - c.sinceCPU, c.wall + time.Since(c.sinceOnWall)
}

// look ends the run, or looks again when it may be over.
func (c *Clock) look() {
	c.mu.Lock()
	if c.timer == nil || !c.running {
		c.mu.Unlock()
		return
	}
	cpu, wall := c.spent()
	if cpu < c.limit && wall < onWall*c.limit {
		c.timer.Reset(max((c.limit-cpu)/2, time.Millisecond)) // several threads may use it up faster
		c.mu.Unlock()
		return
	}
	c.timer = nil
	c.mu.Unlock()
	c.over(cpu, wall)
}

// Pause has the clock stand.
func (c *Clock) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		c.cpu, c.wall = c.spent()
		c.running = false
	}
}

// Resume has it go on.
func (c *Clock) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil && !c.running {
		c.running, c.sinceCPU, c.sinceOnWall = true, c.used(), time.Now()
		c.timer.Reset(max((c.limit-c.cpu)/2, 0))
	}
}

// Stop ends the clock: nothing will be over later. What has used up its time by now is over, although the timer is
// late, as on a busy machine: whether a limit holds doesn't depend on who else is at work.
func (c *Clock) Stop() {
	c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// timeOver is the error of what has used up its time.
func timeOver(what string, limit, cpu, wall time.Duration) error {
	longer := fmt.Sprintf("give it longer (--max-time %v)", rows.RoundUp(3*limit))
	if cpu < limit {
		return NewLimitError(ErrTime, "%s took %s, in which it got %s of the CPU; %s", what, rows.DurationText(wall),
			rows.ShortDuration(cpu), longer)
	}
	return NewLimitError(ErrTime, "%s used %v of the CPU; %s", what, limit, longer)
}

// processTime is the CPU time that this process has used.
func processTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
