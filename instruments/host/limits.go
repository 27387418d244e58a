package host

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Limits bound a run of a script. A zero field takes its default, a negative one means no limit.
type Limits struct {
	Time   time.Duration // wall clock, of one Run; default 10 seconds
	Memory int64         // bytes that the run may hold; default 512 MiB
	Rows   int           // emitted; default a million
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
	return l
}

func init() {
	// t[n] = x makes the machine fill a table's array up to n, 16 bytes an element. At its own limit, 64 Mi, a
	// table keyed by some request number would take a GiB at one stroke; beyond the limit a table hashes, and # doesn't count.
	// Executables that aren't position-independent begin at this address, so that no address of a package variable is an index.
	lua.MaxArrayIndex = 0x400000
}

// clock ends a script when its own time is over: while it waits in ri.again, the clock stands.
type clock struct {
	timer *time.Timer
	left  time.Duration
	since time.Time
}

// start begins a run of at most limit; 0 or less: without a limit.
func (c *clock) start(limit time.Duration, over func()) {
	*c = clock{}
	if limit > 0 {
		*c = clock{time.AfterFunc(limit, over), limit, time.Now()}
	}
}

func (c *clock) pause() {
	if c.timer != nil && c.timer.Stop() {
		c.left -= time.Since(c.since)
	}
}

func (c *clock) resume() {
	if c.timer != nil {
		c.since = time.Now()
		c.timer.Reset(c.left) // at once where it had fired
	}
}

func (c *clock) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
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
