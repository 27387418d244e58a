package kernel

import (
	"errors"
	"fmt"
	"time"

	"ri/probe"
)

// Errors that callers test for. Each is wrapped with what was refused, why, and what to do.
var (
	ErrUnable     = errors.New("this kernel doesn't let ri probe")
	ErrNotYours   = errors.New("only who may trace a process may probe it")
	ErrPanics     = errors.New("the kernel panics on a warning (kernel.panic_on_warn)")
	ErrTooComplex = errors.New("too much for one BPF program")
	ErrNoPlace    = errors.New("no place could be probed")
	ErrLimit      = errors.New("the limit of hits is reached")
	ErrGone       = errors.New("the process has ended")
)

// ErrBudget is why probes were not armed, or went away: what their hits cost, and which budget would do.
type ErrBudget struct {
	Budget, Cost float64 // cores
	Needed       float64 // the budget that would do, with some room
	Before       bool    // told by counting, before anything was armed
	Costliest    string  // the probe that costs most
}

func (e *ErrBudget) Error() string {
	when := "cost"
	if e.Before {
		when = "would cost"
	}
	return fmt.Sprintf("the hits %s %s %% of a core, and the budget is %s %% (most of it: %s); a budget of %.0f %% "+
		"would do", when, percent(e.Cost), percent(e.Budget), e.Costliest, 100*e.Needed)
}

// percent has small shares of a core not look like none.
func percent(cores float64) string {
	if cores < 0.01 {
		return fmt.Sprintf("%.2g", 100*cores)
	}
	return fmt.Sprintf("%.1f", 100*cores)
}

// Segment is a part of a file that is mapped as code: link-time addresses and where they are in the file.
type Segment struct{ Addr, Size, Offset uint64 }

// Target is the process that is probed.
type Target struct {
	PID      int
	Path     string // of the file of the code, as the kernel finds it; empty: /proc/PID/exe
	Bias     uint64 // what the loader added to link-time addresses
	Segments []Segment
}

// Options of a session. What is zero has a default.
type Options struct {
	// Goid and StackHi are offsets in runtime.g. StackHi is 8 in all releases so far (stack is the first field).
	Goid, StackHi int64
	// Status, SP and SyscallSP are offsets of atomicstatus, sched.sp and syscallsp in runtime.g, by which Open tells
	// whether a goroutine that waits still has a call's frame; 0: it isn't told.
	Status, SP, SyscallSP int64
	Budget                float64 // cores that hits may cost; DefaultBudget
	Limit                 uint64  // events taken at most; DefaultLimit
	Stack                 int     // return addresses with each event, at most MaxStack
	Ring                  int     // bytes of the ring of events
	Calls                 int     // calls that may be open at once, of each probe with returns
	Keys                  int     // rows of each table of counts
	Windows               bool    // over the budget, count in windows of time instead of ending
	PanicOnWarn           bool    // probe though the kernel panics on a warning
	// Counting is how long hits are counted before anything is armed, 100 ms; negative: not at all, where somebody else
	// has counted.
	Counting time.Duration

	as *Ability // instead of what the kernel lets us do: tests
}

const (
	DefaultBudget = 0.01
	DefaultLimit  = 100
	MaxStack      = 64
)

// Forecast is what the counting before arming told.
type Forecast struct {
	Probes []Rate
	Cost   float64 // cores
	Length time.Duration
}

// Rate is how often a probe's sites are passed, and what that will cost.
type Rate struct {
	PerSecond float64
	Cost      float64 // cores
}

// Missed is a site that can't be probed.
type Missed struct {
	Probe, Site int
	Back        bool // Site is of the probe's Returns
	Err         error
}

// Row is a line of a probe's table: the keys By, how often, and with Histogram how many of them took [2^i, 2^(i+1))
// nanoseconds. A key that could not be read is 0, and says so by its State. A text has its length in Key, its bytes in
// Texts, and is Truncated where there are more.
type Row struct {
	Key     []uint64
	Texts   [][]byte // nil of what is no text
	States  []probe.State
	Count   uint64
	Total   time.Duration // of Histogram
	Buckets [64]uint64
}

// Cost is what a session has cost the target so far, as far as it is known: the time in the programs is measured on
// some of the hits; what a trap costs, on ri's own code while the session runs.
type Cost struct {
	CPU     time.Duration
	Length  time.Duration // of the session
	Armed   time.Duration // of it, that probes were armed: less in windows
	Windows int           // how often they were
	Hits    uint64
}
