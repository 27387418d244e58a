package attach

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// The types of what targets and views may be able to do besides, which every build knows, and which only those for
// Linux on amd64 do.

// DefaultMaxStop is the limit of a stop when ViewOptions gives none.
const DefaultMaxStop = 100 * time.Millisecond

// SnapshotCost is what a snapshot is estimated to cost.
type SnapshotCost struct {
	Stop  time.Duration
	Bytes int64 // copied
	// memory that ri may still take, in bytes: of the machine, or of its cgroup if that is less; of the disk with
	// ViewOptions.Spool; 0 if unknown
	Available int64
}

// CoreOptions says how a core is written.
type CoreOptions struct {
	MaxStop  time.Duration
	Precopy  bool                    // as ViewOptions has it
	Spool    string                  // as ViewOptions has it
	Shared   bool                    // memory that is shared with other processes or with a file, too
	Progress func(done, total int64) // in bytes, from one goroutine; may be nil
}

// CoreCost is what a core is estimated to cost.
type CoreCost struct {
	Stop SnapshotCost
	Disk int64 // bytes of the file that take room
}

// CoreWritten is a core that was written.
type CoreWritten struct {
	Size    int64 // of the file
	Stored  int64 // bytes that were written; the rest of the file is holes, which read as zero
	Threads int
	Stats   Stats
	Notes   []string // what it doesn't hold, and why
}

// WatchOptions says how to watch.
type WatchOptions struct {
	Thread  int           // which is seized
	MaxHold time.Duration // the longest that a dying process is held
	Seized  func()        // called once the watch has begun; may be nil
	// Dying is called while the process is held. Its context ends with the hold.
	Dying func(ctx context.Context, d Death)
}

// Death is how a process ended.
type Death struct {
	Known  bool        // how; false if it was gone before it could be held
	Signal unix.Signal // that killed it, 0 if it exited
	Code   int         // that it exited with
	OOM    bool        // the kernel took it for want of memory: it was not held
	Held   time.Duration
	Cut    bool // the hold came to its limit before Dying was done
}

// String says it in words: "exit status 2", "killed by SIGKILL".
func (d Death) String() string {
	switch {
	case !d.Known:
		return "ended, and was gone before it could be held"
	case d.OOM:
		return "killed by the kernel for want of memory (SIGKILL, an OOM kill)"
	case d.Signal != 0:
		return "killed by " + unix.SignalName(d.Signal)
	}
	return fmt.Sprintf("exit status %d", d.Code)
}

// ErrReplaced: the process has begun another program (exec).
var ErrReplaced = errors.New("the process runs another program now")

// Piece is bytes to be written at an address.
type Piece struct {
	Addr uint64
	Data []byte
}

// CPUOptions says how to sample.
type CPUOptions struct {
	Time     time.Duration
	Hz       int                             // samples a second of CPU time, of each thread
	Progress func(done, total time.Duration) // called now and then; nil: nobody wants to know
	Until    <-chan struct{}                 // ends it before its time; nil: nothing does
	// how far the return address is from SP at a PC of the program; nil: not known
	FrameEnd func(pc uint64) (size int64, ok bool)
}

// CPUProfile is where a process spent its CPU time.
type CPUProfile struct {
	Event   string // "cpu-cycles", or "cpu-clock" where the machine gives no hardware counters
	Kernel  bool   // time in the kernel is in it
	Hz      int
	Time    time.Duration // for which it was sampled
	Samples int64
	Lost    int64 // samples that the kernel had no room for
	Threads int
	Stacks  []CPUStack
}

// CPUStack is a stack that samples were taken in.
type CPUStack struct {
	Count  int64
	PCs    []uint64 // innermost first: where it was, then return addresses
	Kernel bool     // the innermost function had called into the kernel
}
