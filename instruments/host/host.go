package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/change"
	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/outside"
	"ri/symbols"
	"ri/values"
	"ri/values/heap"
	"ri/values/waits"
)

// Options of a Host.
type Options struct {
	Space   *values.Space // what is looked at; nil: no target
	Sink    rows.Sink     // where results go; nil: nowhere
	Folders []fs.FS       // folders of scripts, in which require looks, in this order
	Limits  Limits
	Target  TargetInfo
	Profile bool        // samples are wanted
	CPU     *cpuSampler // nil: nothing runs
	// cpuTime is what limits of time are counted in; nil: the CPU time of this process.
	cpuTime func() time.Duration
	// Now is the target's clock; nil: this machine's.
	Now func() time.Time
	// Again waits and then takes a new look at the same Space, of a kind ("": the run's own); nil: ri.again is an
	// error. over is why the look before didn't last until now; nil if it did.
	Again func(ctx context.Context, wait time.Duration, kind attach.ViewKind) (over, err error)
	// Changing begins a transaction for ri.change; nil: this run only looks.
	Changing func(comment string) (*change.Plan, error)
	// Outside is what may be reached outside of the process; nil: nothing.
	Outside *outside.Allowed
	// After is called when an instrument has ended well, with what it gave; nil: nobody wants to change anything of it.
	After func(*Given) error
	// Hits has what the script's header declares as probes traced; nil: it declares none, or nothing runs.
	Hits func(ctx context.Context, o HitOptions) (Hits, error)
	// Until ends a sampling before its time, which gives what there is by then; nil: nothing does.
	Until <-chan struct{}
	// Usage reads what the kernel accounts to the process; nil: there is no process.
	Usage func() (attach.Usage, error)
	// Connections reads the process's descriptors and ends connections; nil: there is no process.
	Connections attach.Connected
	// Related tells of other processes; nil: there is no process.
	Related attach.Related
	// Elsewhere tells which goroutines of another Go program wait for which descriptors; nil: it may not be asked.
	Elsewhere func(pid int) (map[int]Waiting, error)
	// Bulk is asked by a binding that needs the whole heap, before it reads: true if the view has all private writable
	// memory (a copy of all of it, a core, a stopped or live process). False if not yet: in a rehearsal, or on a copy of
	// some pages. Then the wish is noted, the next copy has all, the run is repeated on that, and what the binding gives
	// now is thrown away: it gives something empty. nil: there is all that will ever be.
	Bulk func() (have bool)
	// MayBulk says why Bulk would end in a refusal; nil if it wouldn't.
	MayBulk func() error
	// Seen is how the target is seen now, and why that is live where the run was to have a copy; nil: as Target says.
	Seen func() (view attach.ViewKind, less string)
	// NoBulk says why the look goes on without all memory, which it was to have; nil if it doesn't.
	NoBulk func() error
	// Answers note what the heap of this look is asked, or have it of a recording; nil, or nothing: neither.
	Answers func() *heap.Answers
	// LeaveOut is told what the script does without; nil: nobody is.
	LeaveOut func(what string)
	// Checked is told what the script looked for, or why it didn't, if that is a reason; nil: nobody is.
	Checked func(what, why string)
}

// TargetInfo is what ri.target() tells.
type TargetInfo struct {
	PID      int
	Kind     string // as Program.Kind: process, core, dying
	Describe string
	Ends     string // how a dying process ends: "exit status 2"
	View     attach.ViewKind
	Looks    int // of a recording: how often the process was looked at; else 0
}

// Host is one Lua machine over a space. It isn't safe for concurrent use.
type Host struct {
	opt   Options
	space *values.Space
	waits *waits.Reader // of who waits and holds in space
	lua   *lua.LState

	running   sync.Mutex
	ctx       context.Context // of the run
	cancel    context.CancelCauseFunc
	script    *Script
	params    lua.LValue
	loading   bool // a file's own statements are running, not its run function
	requiring int  // the folder of the file whose statements they are
	trusting  bool // require gives a placeholder for what isn't there
	resumed   int  // coroutines inside each other
	sorting   int  // calls of table.sort inside each other
	steps     int  // since the context was last asked in a Go loop
	given     given
	loads     int64
	warmth    byte           // what warm has read, so that it is read
	lastErr   error          // of the last binding that failed
	atLimit   *lua.LFunction // what the script wants called when a limit ends it
	clock     *Clock
	unknown   unknown // the last name that a script looked up in vain

	columns     []rows.Column
	row         rows.Row                     // being built by ri.emit
	lines       map[symbols.Line]*lua.LTable // where holders of locks are, of this run
	bindings    map[*symbols.Type]*binding
	null        *lua.LUserData
	opaque      *binding // of types that the program's DWARF doesn't describe
	signed      map[int64]*lua.LUserData
	unsigned    map[uint64]*lua.LUserData
	maps        map[mapIdentity]*mapIndex
	modules     map[moduleKey]lua.LValue // of this run
	transaction *change.Plan             // what the run wants changed
	tx          *lua.LTable              // of the function that ri.change calls, while it does
	txPlan      *change.Plan
	kept        *Given                      // for Options.After
	memo        map[string]lua.LValue       // what scripts gave to ri.memo
	heap        *heap.Oracle                // of this look, once asked for
	byID        map[int64]*values.Goroutine // of ri.goroutine, until the view changes
	byIDBroken  error                       // the last goroutine that can't be read
	stacks      values.StackMemo            // of ri.stacks, from one look to the next
	walkers     map[string]*lua.LFunction
	patterns    map[string]func(string) bool // of ri.match
	packages    map[string]bool
	metas       metatables
}

// New makes a machine. Close it after use.
func New(opt Options) *Host {
	opt.Limits = opt.Limits.WithDefaults()
	if opt.Sink == nil {
		opt.Sink = Discard{}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.cpuTime == nil {
		opt.cpuTime = processTime
	}
	h := &Host{
		opt: opt, space: opt.Space, waits: waits.New(opt.Space), params: lua.LNil,
		bindings: map[*symbols.Type]*binding{}, lines: map[symbols.Line]*lua.LTable{},
		signed: map[int64]*lua.LUserData{}, unsigned: map[uint64]*lua.LUserData{},
		maps: map[mapIdentity]*mapIndex{}, modules: map[moduleKey]lua.LValue{},
		memo: map[string]lua.LValue{},
	}
	h.lua = lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: 4096,
		RegistrySize: 4096, RegistryMaxSize: 512 << 10, RegistryGrowStep: 4096,
	})
	// Coroutines are made with the same options: many of them, each small.
	h.lua.Options.MinimizeStackMemory = true
	h.lua.Options.CallStackSize = 1024
	h.lua.Options.RegistrySize = 256
	h.lua.Options.RegistryGrowStep = 256
	h.openLibraries()
	h.openValues()
	h.opaque = h.bind(&symbols.Type{Name: "(not described)"})
	h.openFunctions()
	h.refuseTokens()
	h.openReductions()
	if ri, ok := h.lua.GetGlobal("ri").(*lua.LTable); ok {
		h.openChanges(ri)
	}
	return h
}

// Close ends the machine. One that still runs a script which doesn't end is left to the garbage collector.
func (h *Host) Close() {
	if h.running.TryLock() {
		h.lua.Close()
	}
}

// Values is how many values of the target were read.
func (h *Host) Values() int64 { return h.loads }

// Run runs a script: an instrument's run function with its parameters, or a bare script's statements.
// What a bare script returns is printed.
//
// Values of params are nil, bool, int64, uint64, float64, string or time.Duration.
//
// The error wraps ErrScript (a *ScriptError), ErrTime, ErrMemory, ErrRows, or the cause with which
// ctx ended; what was emitted before it is good.
func (h *Host) Run(ctx context.Context, script *Script, params map[string]any) error {
	return h.limited(ctx, func() error {
		h.script, h.given, h.columns, h.unknown, h.transaction = script, given{}, nil, unknown{}, nil
		h.freshEnvironment()
		h.params = h.paramsTable(params)
		h.exposePackages(script.packages)
		if script.Header == nil {
			return h.runBare(script)
		}
		h.columns = script.Header.Columns
		value, err := h.loadScript(script)
		if err != nil {
			return err
		}
		table, ok := value.(*lua.LTable)
		if !ok {
			return &lang.ScriptError{File: script.Path, Message: script.Path + ": the file returns no table"}
		}
		if h.kept = nil; h.opt.After != nil {
			h.kept = &Given{host: h}
		}
		if _, err = h.call(table.RawGetString("run"), 0, h.params); err == nil && h.kept != nil {
			err = h.opt.After(h.kept)
		}
		return err
	})
}

// limited does f under the limits.
func (h *Host) limited(ctx context.Context, f func() error) (err error) {
	h.running.Lock()
	defer h.running.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limits := h.opt.Limits
	h.clock = startClock(limits.Time, h.opt.cpuTime, func(cpu, wall time.Duration) {
		cancel(timeOver("the script", limits.Time, cpu, wall))
	})
	if limits.Memory > 0 {
		watchMemory(ctx, limits.Memory, cancel)
	}
	h.ctx, h.cancel, h.lastErr, h.resumed, h.atLimit = newRunContext(ctx), cancel, nil, 0, nil
	h.lua.SetContext(h.ctx)
	defer func() { h.lastWord(err) }()
	defer func() {
		if p := recover(); p != nil {
			err = &lang.ScriptError{Message: fmt.Sprintf("internal error: %v", p)}
		}
		h.clock.Stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause // whatever the script made of it
		}
	}()
	return f()
}

// lastWords is how long what was given to ri.atlimit may take: less than the grace of a script that has to end.
const lastWords = Grace / 2

// lastWord calls what the script gave to ri.atlimit, if a limit ended it. The memory can't be read any more.
func (h *Host) lastWord(why error) {
	f := h.atLimit
	h.atLimit = nil
	if f == nil || !errors.Is(why, ErrTime) && !errors.Is(why, context.DeadlineExceeded) && !ended(why) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	ctx, h.cancel = context.WithCancelCause(ctx)
	defer h.cancel(nil)
	if h.opt.Limits.Memory > 0 {
		watchMemory(ctx, h.opt.Limits.Memory, h.cancel)
	}
	h.ctx = newRunContext(ctx)
	h.lua.SetContext(h.ctx)
	_ = Safely(func() error { // what goes wrong here tells less than why
		_, err := h.call(f, 0)
		return err
	})
}

// loadScript runs a file's own statements and gives what it returns.
func (h *Host) loadScript(script *Script) (lua.LValue, error) {
	was := h.loading
	h.loading = true
	defer func() { h.loading = was }()
	results, err := h.callScript(script, 1)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

func (h *Host) runBare(script *Script) error {
	results, err := h.callScript(script, lua.MultRet)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return nil
	}
	texts := make([]string, len(results))
	for i, v := range results {
		texts[i] = h.dumpLua(v, dumpDefaults, 0)
	}
	return h.print(nil, strings.Join(texts, "\t"))
}

// print gives a line, or several. L is nil where no script is running.
func (h *Host) print(L *lua.LState, text string) error {
	err := h.count(L, nil, "", lineCost*int64(1+strings.Count(text, "\n"))+int64(len(text)))
	if err == nil {
		h.opt.Sink.Print(text)
	}
	return err
}

// call calls a Lua function, protected.
func (h *Host) call(fn lua.LValue, results int, args ...lua.LValue) (_ []lua.LValue, err error) {
	L := h.lua
	top := L.GetTop()
	defer L.SetTop(top)
	if err := L.CallByParam(lua.P{Fn: fn, NRet: results, Protect: true}, args...); err != nil {
		return nil, h.scriptError(err)
	}
	out := make([]lua.LValue, 0, L.GetTop()-top)
	for i := top + 1; i <= L.GetTop(); i++ {
		out = append(out, L.Get(i))
	}
	return out, nil
}

// scriptError turns what Lua says into what people read.
func (h *Host) scriptError(err error) error {
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return &lang.ScriptError{Message: err.Error(), Cause: err}
	}
	message := api.Object.String()
	if table, ok := api.Object.(*lua.LTable); ok {
		message = "error object: " + h.dumpLua(table, dumpDefaults, 0)
	}
	var cause error
	if h.lastErr != nil && strings.Contains(message, h.lastErr.Error()) {
		cause = h.lastErr
	}
	return lang.NewScriptError(h.explainUnknown(message), luaLines(api.StackTrace), cause)
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

// raise ends a binding with err; the message gets the Lua line in front.
func (h *Host) raise(L *lua.LState, err error) {
	h.lastErr = err
	L.RaiseError("%s", err.Error())
}

func (h *Host) raisef(L *lua.LState, format string, args ...any) {
	L.RaiseError(format, args...)
}

// check ends long loops in Go when the run is over.
func (h *Host) check(L *lua.LState) {
	if h.steps++; h.steps&255 != 0 || h.ctx == nil {
		return
	}
	if h.space != nil {
		h.space.KeepStacks()
	}
	select {
	case <-h.ctx.Done():
		L.RaiseError("%s", h.ctx.Err().Error())
	default:
	}
}

// contain turns a Go panic in a binding into a script's error with its line.
func contain(L *lua.LState) {
	switch p := recover().(type) {
	case nil:
	case *lua.ApiError:
		panic(p)
	default:
		L.RaiseError("internal error: %v", p)
	}
}

// function makes a Lua function of a binding.
func (h *Host) function(f func(L *lua.LState) int) *lua.LFunction {
	return h.lua.NewFunction(func(L *lua.LState) int {
		defer contain(L)
		return f(L)
	})
}

// Discard is a Sink for runs whose results nobody wants.
type Discard struct{}

func (Discard) Emit(rows.Row) error           { return nil }
func (Discard) Finding(rows.Finding) error    { return nil }
func (Discard) Sample(rows.Sample) error      { return nil }
func (Discard) Sampled(time.Duration)         {}
func (Discard) Log(string)                    {}
func (Discard) Progress(int64, int64, string) {}
func (Discard) Print(string)                  {}
