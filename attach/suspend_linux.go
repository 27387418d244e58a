package attach

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrSuspended: the shell's job control stopped ri, so what it held was let go first.
var ErrSuspended = errors.New("ri was suspended")

// A ri that stands still holds its target, with nobody to see the deadline: ptrace's stops outlast the tracer's own.
// So before ri stops itself, all targets run again, and none is stopped until it has gone on. Job control stops a whole process,
// hence this is the process's.
var suspension struct {
	sync.RWMutex // held for reading by whoever holds a target
	begun        atomic.Bool
}

// Suspend lets all targets go and then stops this process, as SIGSTOP does. It returns when the process goes on (SIGCONT).
// Views that held a target end with ErrSuspended.
func Suspend() {
	suspension.begun.Store(true)
	suspension.Lock()
	defer suspension.Unlock()
	defer suspension.begun.Store(false)
	// To this very thread, so that it gets no further before it stands.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}
