package process

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// A ri that stands still holds its target, with nobody to see the deadline: ptrace's stops outlast the tracer's own. So
// before ri stops itself, all targets run again, and none is stopped until it has gone on. Job control stops a whole
// process, hence this list is the process's. Looks don't wait for one another by it: each enters its own hold, and
// takes it off.
var holds holdList

// hold is a target that stands still, or is about to.
type hold struct {
	asked atomic.Bool // to let it go
	wake  func()      // its thread, which then sees that; nil: it doesn't sleep for long
}

type holdList struct {
	mu     sync.Mutex
	open   map[*hold]struct{}
	ended  chan struct{} // has a value after some hold has ended
	paused chan struct{} // closed when the process goes on; nil while nobody suspends it
}

// begin enters a hold. While the process is being suspended it waits until that is over.
func (l *holdList) begin(wake func()) *hold {
	l.mu.Lock()
	for l.paused != nil {
		goesOn := l.paused
		l.mu.Unlock()
		<-goesOn
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	if l.open == nil {
		l.open, l.ended = map[*hold]struct{}{}, make(chan struct{}, 1)
	}
	h := &hold{wake: wake}
	l.open[h] = struct{}{}
	return h
}

// end takes a hold off: the target runs.
func (l *holdList) end(h *hold) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, h)
	select {
	case l.ended <- struct{}{}:
	default:
	}
}

// suspend calls stand when nothing is held. Who comes while another suspends waits for that one, and calls nothing.
func (l *holdList) suspend(stand func()) {
	l.mu.Lock()
	if goesOn := l.paused; goesOn != nil {
		l.mu.Unlock()
		<-goesOn
		return
	}
	l.paused = make(chan struct{})
	for h := range l.open {
		h.asked.Store(true)
		if h.wake != nil {
			h.wake()
		}
	}
	for len(l.open) > 0 {
		l.mu.Unlock()
		<-l.ended
		l.mu.Lock()
	}
	l.mu.Unlock()
	stand()
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.paused)
	l.paused = nil
}

var held atomic.Bool

// Held tells whether this program has held a process, or has tried to.
func Held() bool { return held.Load() }

// Suspend lets all targets go and then stops this process, as SIGSTOP does. It returns when the process goes on
// (SIGCONT). Views that held a target end with attach.ErrSuspended; a copy that was being made is begun anew.
func Suspend() {
	holds.suspend(func() {
		// To this very thread, so that it gets no further before it stands.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
	})
}

// until is how long work in a stop may go on. The zero value doesn't end.
type until struct {
	deadline time.Time
	hold     *hold
}

// over says why it may not go on, nil if it may.
func (u until) over(name string) error {
	switch {
	case u.hold != nil && u.hold.asked.Load():
		return fmt.Errorf("%w while it copied the memory of %s", attach.ErrSuspended, name)
	case !u.deadline.IsZero() && time.Now().After(u.deadline):
		return fmt.Errorf("%s: copying memory took longer than the stop may (the machine is busy?): raise "+
			"--max-stop, or look without a stop: --view live: %w", name, attach.ErrDeadline)
	}
	return nil
}
