package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// What a target or a view must be able to do stands in [Target] and [View]. This file has what only some kinds can do,
// by name; who needs an ability asks for it by a type assertion. process/process_linux.go says which kind has which,
// and the compiler checks it.

// Moment says of which time the memory of a view is.
type Moment uint8

// A view's own account of its moment.
const (
	Unsaid    Moment = iota // it doesn't say, so nobody may believe it: see Coverage.Check
	NoMoment                // the program runs on: two reads may be of two times
	OneMoment               // all of it is of one time
	Copied                  // the copy is of one time; what the copy lacks is read later, and noted as missed
)

// Coverage is what a view says of its own completeness. It is part of View, and its zero value says nothing, so that no
// kind of view can claim to be complete without having said so.
type Coverage struct {
	Of     Moment
	Missed []uint64 // of a copy: numbers (address / PageSize) of pages that were read although the copy lacks them
	Whole  bool     // all private writable memory is there
	// Forking are threads, as the target knows them, that waited for a child which shares the memory (vfork). Their
	// registers are not known, and their stacks may change under the view. Nothing can be written then: ErrForking.
	Forking []int
}

// ErrUnsaid: a view doesn't say whether it is complete.
var ErrUnsaid = errors.New("this kind of view doesn't say of which moment its memory is")

// Check refuses what a view says that says nothing, or contradicts itself.
func (c Coverage) Check() error {
	switch {
	case c.Of == Unsaid:
		return fmt.Errorf("internal error: %w", ErrUnsaid)
	case c.Of != Copied && len(c.Missed) > 0:
		return fmt.Errorf("internal error: %d pages are missed of a view that is no copy: %w", len(c.Missed), ErrUnsaid)
	}
	return nil
}

// Abilities of memory and views.

// Director is a Memory, or a View, that holds the bytes itself: a snapshot, a core.
type Director interface {
	// Direct gives the n bytes at addr without copying them, nil if they don't lie side by side or aren't held. They
	// must not be written to, and are good until the view is discarded.
	Direct(addr uint64, n int) []byte
}

// Sparse is a Memory of which single bytes may be missing, not only pages: a recording. Nothing of it is kept by the
// page.
type Sparse interface {
	// ReadHoles fills p with what there is at addr, and with zeros what there is not: for whoever knows which words of it
	// are there.
	ReadHoles(p []byte, addr uint64) error
}

// RangeReader is a Memory that reads many ranges in one go. Views of live processes are such:
// 1,024 ranges cost one system call.
type RangeReader interface {
	Memory
	// ReadRanges fills every range and sets its N; N < len(Data) where a page is not mapped,
	// and that is no error. The error is one that ends all reading.
	ReadRanges(ranges []Range) error
}

// Explainer is a Memory that knows why a page can't be read: the core doesn't hold it.
type Explainer interface{ Explain(addr uint64) error }

// Writer is a view whose target can be written: a stopped one.
type Writer interface {
	View
	// WritePieces writes all pieces with one system call (process_vm_writev), so that being killed comes before or
	// after it, and gives how many bytes were written, in order. Unlike ptrace and /proc/PID/mem the call respects
	// read-only pages: there it ends, with ErrNotMapped.
	WritePieces(pieces []Piece) (int, error)
}

// Injector is what stopped views of a live process are.
type Injector interface {
	// Inject has a thread of the process make a system call, and gives its result. The error is a unix.Errno if the
	// call itself failed; it wraps ErrInject if it can't be made, and then nothing has changed.
	//
	// Killed at any moment, ri leaves the process whole; whether the call was made isn't known then.
	Inject(number uint64, args ...uint64) (uint64, error)
}

// Abilities of targets.

// Stoppable is a target that runs, and stands still for a look.
type Stoppable interface {
	// CheckStop says beforehand, without a stop, why a stop would be refused as far as that can be
	// known: ErrTraced, ErrExited. The live view may work all the same.
	CheckStop() error
	// SnapshotCost estimates what a snapshot costs.
	SnapshotCost(ViewOptions) (SnapshotCost, error)
	// ChangeStop estimates for how long a change holds the target at least: the look that it is worked out on, and the
	// stop that it is made in, which all threads have to come to. 0 where that is too little to tell.
	ChangeStop() time.Duration
}

// Injectable is a target whose stopped views are Injectors.
type Injectable interface {
	// PrepareInject says beforehand, without a stop, why no system call could be injected as far as that can be known,
	// and readies the rest.
	PrepareInject() error
}

// Changeable is a target that can be told from every other one, on every machine, as what is changed has to be.
type Changeable interface {
	Identity() string
	Started() time.Time
	// Forking says without a stop whether nothing can be written now, since a child shares the memory: see Coverage.
	Forking() bool
}

// Dumpable is a target of which a core can be written.
type Dumpable interface {
	CoreCost(CoreOptions) (CoreCost, error)
	WriteCore(context.Context, *os.File, CoreOptions) (CoreWritten, error)
}

// Watchable is a target that can be held when it dies.
type Watchable interface {
	Watch(context.Context, WatchOptions) (Death, error)
}

// Sampled is a target of whose CPU time samples can be taken.
type Sampled interface {
	SampleCPU(context.Context, CPUOptions) (*CPUProfile, error)
}

// Accounted is a target of which the kernel keeps account.
type Accounted interface {
	Usage() (Usage, error)
}

// Usage is what the kernel accounts to a process.
type Usage struct {
	At             time.Time
	Resident       int64 // bytes in memory
	File           int64 // of them, of files: the executable, libraries, mapped files
	Swap           int64 // bytes that were swapped out
	Threads        int
	CPU            time.Duration // of all threads, since the start
	MaxDescriptors int64         // RLIMIT_NOFILE; 0: no limit, or not known
}

// Connected is a target with open descriptors, whose connections can be ended.
type Connected interface {
	Descriptors() ([]Descriptor, error)
	EndConnection(d Descriptor, reset bool) error
}

// Related is a process among others.
type Related interface {
	// OtherEnds tells who has the other ends of descriptors, by descriptor. One that isn't among them has none, or it
	// isn't known; one without anybody has one that nobody holds. unread: processes that couldn't be looked into.
	OtherEnds(list []Descriptor) (ends map[int][]End, unread int, err error)
	Children() ([]Child, error)
}

// Interruptible is a process in which threads may notice a stop.
type Interruptible interface {
	// OwnCode says where the Go code lies, whose system calls may be interrupted. Views taken from then on tell others'
	// apart.
	OwnCode(start, end uint64)
	// Fragile counts, by the call, the threads that sleep in system calls of other code which an interruption ends with
	// EINTR. Nothing is stopped.
	Fragile() map[string]int
}
