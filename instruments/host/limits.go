package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

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

// count adds to one of the counters of h.given and to its bytes; over a limit it ends the run, and the script. L is nil where no script is running.
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
	// ErrScript: the script is wrong or gave up; a *ScriptError says where.
	ErrScript = errors.New("script error")
)

// ScriptError is a mistake in a script or an error that ended it.
type ScriptError struct {
	File      string
	Line      int    // 0: not known
	Message   string // with file and line in front, as people know it
	Traceback string // Lua's, a line a level; empty where the message says as much
	Cause     error  // the error of a binding that ended the script, if one did
}

func (e *ScriptError) Error() string { return e.Message }

// Unwrap gives ErrScript and the cause.
func (e *ScriptError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrScript}
	}
	return []error{ErrScript, e.Cause}
}

// luaLines takes a traceback's lines of Lua: where the machine itself stands in between, in Go, tells nobody anything.
// Of one line there is nothing to tell that the message doesn't.
func luaLines(traceback string) string {
	var lines []string
	for line := range strings.SplitSeq(traceback, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line != "stack traceback:" && !strings.HasPrefix(line, "[G]") &&
			!strings.HasPrefix(line, protectedName) && !strings.HasPrefix(line, "(tailcall)") {
			lines = append(lines, "\t"+line)
		}
	}
	if len(lines) < 2 {
		return ""
	}
	return "stack traceback:\n" + strings.Join(lines, "\n")
}

// NewScriptError makes one of a Lua message "file:line: text".
func NewScriptError(message, traceback string, cause error) *ScriptError {
	e := &ScriptError{Message: strings.TrimSpace(message), Traceback: traceback, Cause: cause}
	if file, rest, ok := strings.Cut(e.Message, ":"); ok {
		if number, _, ok := strings.Cut(rest, ":"); ok {
			if line, err := strconv.Atoi(number); err == nil {
				e.File, e.Line = file, line
			}
		}
	}
	switch {
	case strings.Contains(e.Message, "attempt to compare number with userdata"),
		strings.Contains(e.Message, "attempt to compare userdata with number"):
		e.Message += " (an integer beyond 2^53 is compared by ri.cmp(a, b))"
	case strings.Contains(e.Message, "stack overflow") && len(e.Message) > 400:
		e.Message = e.Message[:400]
	}
	return e
}

// Trace is Lua's stack, where it says more than the error itself.
func (e *ScriptError) Trace() string {
	if e.Line == 0 {
		return ""
	}
	return e.Traceback
}

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
	proto, _, err := CompileLua(protectedName, "return function(f, ...) return f(...) end")
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
