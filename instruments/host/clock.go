package host

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ri/instruments/rows"
)

// Clock ends something when it has used the CPU time that it may use. On a crowded machine that is later than by the clock on the wall, and
// what is found doesn't depend on who else is at work. What only waits uses none, so that there is an end by the wall, too.
//
// The CPU time is that of ri's own process, in which nothing else is at work meanwhile: scripts read in several threads, and leave garbage to be collected.
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

// Stop ends the clock: nothing will be over.
func (c *Clock) Stop() {
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
		return NewLimitError(ErrTime, "%s took %s, in which it got %s of the CPU; %s", what, rows.DurationText(wall), rows.ShortDuration(cpu), longer)
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
