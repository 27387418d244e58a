package attach

import (
	"context"
	"errors"
	"io"
	"time"

	"ri/arch"
)

// Errors that callers test for. Each is wrapped with what failed, on what, and what to do.
var (
	ErrNoProcess    = errors.New("no such process")
	ErrPermission   = errors.New("no permission")
	ErrTraced       = errors.New("already traced")
	ErrZombie       = errors.New("is a zombie")
	ErrExited       = errors.New("the process has exited")
	ErrNotMapped    = errors.New("not mapped")
	ErrDeadline     = errors.New("stop limit reached")
	ErrClosed       = errors.New("the view is closed")
	ErrNotSupported = errors.New("not supported")
	ErrForking      = errors.New("memory is shared with a child")
	// ErrNotRecorded: a recording doesn't have what was asked of it.
	ErrNotRecorded = errors.New("not recorded")
	// ErrNotKept, which is an ErrNotRecorded: it was looked at when the recording was made, and by its rules not kept.
	ErrNotKept   = errors.New("not kept")
	ErrSuspended = errors.New("ri was suspended") // by the shell's job control, and let go what it held
)

// Memory is the smallest thing a walk needs.
type Memory interface {
	// ReadMemory fills p from target address addr and returns how many bytes
	// it got; n < len(p) only with an error (ErrNotMapped, ErrExited, ErrDeadline, ErrClosed, wrapped).
	ReadMemory(p []byte, addr uint64) (n int, err error)
}

// ViewKind is how memory is seen.
type ViewKind string

const (
	Live     ViewKind = "live"     // no stop, no ptrace
	Snapshot ViewKind = "snapshot" // a consistent copy
	Stopped  ViewKind = "stopped"  // held while the script runs
)

// Registers of a stopped thread.
type Registers = arch.Registers

// Thread is an OS thread of the target, as seen in a stop or in a core.
type Thread struct {
	ID      int
	InnerID int       // as the target knows it, in the innermost pid namespace; ID where there is only one
	Regs    Registers // of one that slept in a system call perhaps no more than PC and SP
	Signal  *Signal   // the signal that it had when the core was written; nil if none, or in a process
}

// Stats is what a look has cost so far.
type Stats struct {
	Stops     int
	Stopped   time.Duration // sum, from the first thread's interrupt to the last one's resume
	BytesRead int64         // bytes copied out of the target
	// Interrupted counts threads that slept in a system call of C code which an interruption ends (EINTR), once for each
	// stop.
	Interrupted int
}

// Add counts what another look has cost, too.
func (s *Stats) Add(other Stats) {
	s.Stops += other.Stops
	s.Stopped += other.Stopped
	s.BytesRead += other.BytesRead
	s.Interrupted += other.Interrupted
}

// CostOf is what a View that failed with err cost all the same: stops that not all threads came to.
func CostOf(err error) Stats {
	var e interface{ Cost() Stats }
	if errors.As(err, &e) {
		return e.Cost()
	}
	return Stats{}
}

// ViewOptions says how to look.
type ViewOptions struct {
	Kind    ViewKind
	MaxStop time.Duration // for Stopped and Snapshot: the hard limit; 0 means 100 ms
	// Together has the tries that a stop needs, since some thread doesn't come to it, take no more than MaxStop
	// together.
	Together bool
	Pages    []uint64 // for Snapshot: what to copy, by page number (address / PageSize)
	Bulk     bool     // for Snapshot: copy all private writable memory that is there, besides Pages
	Precopy  bool     // with Bulk: copy it while the target runs, and in the stop only what was written to since
	// LeaveAsleep, for Snapshot, has threads not interrupted that sleep all the while, in system calls of C code which
	// that would end, or where there are very many. Of their registers only PC and SP are known.
	LeaveAsleep bool
	Later       int // of a recording: how many looks came before this one
	// with Bulk: a folder on a disk in which the copy is kept, in a file without a name; empty: in memory
	Spool string
}

// View is one look at a target. Close ends it: a stopped target runs again before Close returns.
type View interface {
	Memory
	Kind() ViewKind
	// Threads gives the stopped threads with their registers; nil for a live view.
	Threads() []Thread
	// Done is closed when the view ended by itself: deadline, or the target died.
	// ReadMemory fails with Err from then on.
	Done() <-chan struct{}
	Err() error
	Stats() Stats
	// Coverage is how complete the view is, as of now: of a copy, reading adds to what it lacks.
	Coverage() Coverage
	// Notes is what there is to say of how the view was taken.
	Notes() []string
	Close() error
	// Discard closes the view and gives its memory back. Only for one that nobody reads any more.
	Discard()
}

// TargetKind is what a target is.
type TargetKind string

const (
	Living TargetKind = "process"
	Dying  TargetKind = "dying" // a process that a watcher holds in its last moment: nothing of it runs any more
	Dead   TargetKind = "core"
	// Recorded: what was recorded of a process, or a core.
	Recorded TargetKind = "recording"
)

// Target is a process, a core or a recording.
type Target interface {
	// Executable is the file that runs, even if it was replaced on disk.
	Executable() io.ReaderAt
	// ExecutablePath is for messages only.
	ExecutablePath() string
	// Entry is AT_ENTRY of the auxiliary vector: less the file's own entry point it is the load bias.
	Entry() uint64
	// PID of the process (of a core: the one that died).
	PID() int
	Kind() TargetKind
	// Ends says how a target ends that doesn't live any more, as Death.String does; empty if that isn't known.
	Ends() string
	// Written is the time of day at which the target stood still for good; zero if it lives, or if that isn't known.
	Written() time.Time
	// Nanotime is CLOCK_MONOTONIC as the target reads it (runtime.nanotime), in nanoseconds; 0 if unknown.
	Nanotime() int64
	// Describe names the target in messages: "pid 4711 (nats-server)", "core ./core.4711".
	Describe() string
	// View looks. For a core only the kind Stopped exists, whatever is asked.
	View(ctx context.Context, opt ViewOptions) (View, error)
	// Mappings is the memory map now.
	Mappings() ([]Mapping, error)
	Close() error
}

// Mapping is one line of /proc/PID/maps, or a segment of a core.
type Mapping struct {
	Start, End uint64
	Read       bool
	Write      bool
	Exec       bool
	Shared     bool // MAP_SHARED; false of a core
	Offset     uint64
	Path       string
}
