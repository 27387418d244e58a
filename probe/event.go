package probe

import "time"

// State says how a Read went.
type State uint8

const (
	Unwanted    State = iota // a guard said no, or what it depends on wasn't read
	Captured                 // all of it is there
	Truncated                // there is more than was captured: Want has how many bytes
	NilOnTheWay              // a pointer on the way is nil
	Unreadable               // the memory couldn't be read
)

// Piece is what one Read of an event captured.
type Piece struct {
	State State
	Addr  uint64
	Want  uint64 // bytes that there are, by Count; of Truncated only
	Data  []byte
}

// Event is a hit: of a probe without returns one call, of one with returns a call that ended or will not.
type Event struct {
	Probe, Site int
	Time        time.Duration // CLOCK_MONOTONIC
	Goroutine   uint64
	G           uint64 // its runtime.g
	Thread      int
	SP          uint64         // at the entry
	Registers   map[int]uint64 // by DWARF number, at the entry
	Pieces      []Piece        // of Plan At
	Undecided   bool           // the condition was not decided: memory couldn't be read
	Return      *Returned      // nil: the call has no probed return, or hasn't returned
	Ended       bool           // with Return nil: the frame is gone without a return (panic, Goexit)
	Stack       []uint64       // return addresses, innermost first, if asked for
	// Of a probe with Flow:
	Flow  uint64 // which: 1, 2, ... of a session
	What  FlowEvent
	Other uint64 // of FlowStarted: the goroutine that was started
}

// Returned is the other end of a call.
type Returned struct {
	Site      int
	Time      time.Duration
	SP        uint64
	Registers map[int]uint64
	Pieces    []Piece // of Plan Back
	Undecided bool
}

// Counts is what the kernel counted of a probe.
type Counts struct {
	Hits      uint64 // all, also those whose condition was false
	Taken     uint64 // events given
	False     uint64
	Undecided uint64
	Nil       uint64 // not decided for a nil pointer on the way: not taken
	Refused   uint64 // over the budget: counted, and nothing else
	Lost      uint64 // the ring, or the table of calls, was full
	Open      uint64 // calls that have not returned
	Nanos     uint64 // of CPU in the program of the probe, without the trap
}
