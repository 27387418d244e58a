//go:build amd64

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// threadResume is what it takes to let a thread go.
const threadResume = 5 * time.Microsecond

// aliveInterval is how often a held process is asked whether it was killed.
const aliveInterval = 5 * time.Millisecond

// stoppedView holds a process. One OS thread of its own does all ptrace calls and waits for the deadline, the context,
// the target's death and Close; whoever reads memory does it on other threads and can't hold it up.
type stoppedView struct {
	tracer  *tracer
	mem     *processMemory
	name    string
	scratch chan *ioScratch
	threads []attach.Thread
	forking []int // threads that wait for a child
	began   time.Time

	injections chan *injection

	wake      wakeup
	failed    attach.Stats // what tries cost that did not come to this view
	closing   atomic.Bool  // set by Close
	closeOnce sync.Once
	done      chan struct{} // closed when the view ended by itself
	finished  chan struct{} // closed when the target runs again

	writing sync.Mutex  // held by whoever writes: the target isn't let go in mid-write
	ended   atomic.Bool // set before the first thread is let go: what was read until then is consistent
	mu      sync.Mutex
	err     error
	stopped time.Duration // set when finished
}

// stop holds the process. patience is how long the threads may take to come to a stop, failed what earlier tries have
// cost. Where there are very many threads, those that sleep are interrupted and not waited for.
func (p *Process) stop(ctx context.Context, opt wish, patience time.Duration, failed attach.Stats) (attach.View,
	error) {
	limit := opt.MaxStop
	if err := p.CheckStop(); err != nil {
		return nil, err
	}
	t, err := newTracer(p, nil)
	if err != nil {
		return nil, err
	}
	if t.threadCount > manyThreads {
		t.spare = spareSleepers
	}
	v := &stoppedView{
		tracer:   t,
		mem:      p.memory(),
		failed:   failed,
		name:     p.Describe(),
		scratch:  make(chan *ioScratch, 1),
		done:     make(chan struct{}),
		finished: make(chan struct{}),

		injections: make(chan *injection, 1),
	}
	v.scratch <- new(ioScratch)
	if err := v.wake.open(); err != nil {
		t.close()
		return nil, fmt.Errorf("stopping %s: %w", v.name, err)
	}
	ready := make(chan error, 1)
	t.hold = holds.begin(v.wake.signal)
	limitedBy := cmp.Or(opt.limitedBy, "--max-stop")
	go onTracerThread(func() { v.hold(ctx, t, limit, limitedBy, patience, ready) })
	if err := <-ready; err != nil {
		<-v.finished
		t.waitForEnd()
		return nil, err
	}
	return v, nil
}

func (v *stoppedView) hold(ctx context.Context, t *tracer, limit time.Duration, limitedBy string,
	patience time.Duration, ready chan<- error) {
	defer close(v.finished)
	defer holds.end(t.hold)
	defer t.close()
	defer v.wake.close()
	if t.threadCount > manyThreads { // to let them go takes its time, too
		limit -= min(limit/3, time.Duration(t.threadCount)*threadResume)
	}
	began, err := t.halt(ctx, patience)
	if err != nil {
		t.detach()
		ready <- err
		return
	}
	t.addAsleep()
	v.threads, v.began, v.forking = t.threads, began, t.forking()
	wake := context.AfterFunc(ctx, v.wake.signal)
	defer wake()
	ready <- nil

	var reason error
	for reason == nil {
		// A system call and not a channel: the kernel wakes this thread at once, at its priority, and
		// no other thread of ri has to be scheduled first to hand the Go scheduler's work over.
		v.wake.wait(min(aliveInterval, limit-time.Since(began)))
		v.wake.clear()
		v.injectAsked(t)
		switch {
		case v.closing.Load():
			reason = fmt.Errorf("reading the memory of %s: %w", v.name, attach.ErrClosed)
		case ctx.Err() != nil:
			reason = context.Cause(ctx)
		case time.Since(began) >= limit:
			reason = fmt.Errorf("%s was held for %v, the limit (%s), and runs again: %w", v.name, limit, limitedBy,
				attach.ErrDeadline)
		case t.hold.asked.Load():
			reason = fmt.Errorf("%w while it held %s, which runs since", attach.ErrSuspended, v.name)
		case t.dead():
			reason = fmt.Errorf("%s was killed while it was stopped: %w", v.name, attach.ErrExited)
		}
	}
	v.mu.Lock()
	v.err = reason
	v.mu.Unlock()
	v.writing.Lock()
	v.ended.Store(true)
	v.writing.Unlock()
	t.detach()
	v.mu.Lock()
	v.stopped = time.Since(began)
	noteStop(v.stopped)
	v.mu.Unlock()
	if !errors.Is(reason, attach.ErrClosed) {
		close(v.done)
	}
}

// ReadMemory implements Memory. A read that was under way when the target was let go fails, since it may show memory of
// two moments.
func (v *stoppedView) ReadMemory(p []byte, addr uint64) (int, error) {
	if v.ended.Load() {
		return 0, v.Err()
	}
	n, err := v.mem.ReadMemory(p, addr)
	if v.ended.Load() {
		return 0, v.Err()
	}
	return n, err
}

// ReadRanges implements RangeReader.
func (v *stoppedView) ReadRanges(ranges []attach.Range) error {
	if v.ended.Load() {
		return v.Err()
	}
	var scratch *ioScratch
	select {
	case scratch = <-v.scratch:
		defer func() { v.scratch <- scratch }()
	default:
		scratch = new(ioScratch)
	}
	err := v.mem.readRanges(ranges, scratch)
	if v.ended.Load() {
		for i := range ranges {
			ranges[i].N = 0
		}
		return v.Err()
	}
	return err
}

// Coverage implements View: all stands still.
func (v *stoppedView) Coverage() attach.Coverage {
	return attach.Coverage{Of: attach.OneMoment, Whole: true, Forking: v.forking}
}
func (v *stoppedView) Notes() []string { return forkingNotes(v.forking) }

func (v *stoppedView) Kind() attach.ViewKind    { return attach.Stopped }
func (v *stoppedView) Threads() []attach.Thread { return v.threads }
func (v *stoppedView) Done() <-chan struct{}    { return v.done }

func (v *stoppedView) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

func (v *stoppedView) Stats() attach.Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	stopped := v.stopped
	if stopped == 0 {
		stopped = time.Since(v.began)
	}
	return attach.Stats{Stops: 1 + v.failed.Stops, Stopped: v.failed.Stopped + stopped,
		BytesRead: v.mem.bytesRead.Load(), Interrupted: v.failed.Interrupted + v.tracer.interrupted}
}

// Close lets the target run again before it returns. It may be called any number of times, from any goroutine.
func (v *stoppedView) Close() error {
	v.closeOnce.Do(func() {
		v.closing.Store(true)
		v.wake.signal()
		<-v.finished
		v.tracer.waitForEnd()
	})
	return nil
}

// Discard implements View: there is nothing to give back.
func (v *stoppedView) Discard() { v.Close() }

// onTracerThread runs f on an OS thread that ends with it: the kernel then detaches what f could not.
func onTracerThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The Go runtime never ends the main thread. Hold it until another has taken the work.
		begun := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(begun)
			f()
		}()
		<-begun
		runtime.UnlockOSThread()
		return
	}
	f()
}

// halt brings the program that was opened to a stand. It is the first that a tracer's thread does; after an error, too,
// the caller detaches.
func (t *tracer) halt(ctx context.Context, patience time.Duration) (began time.Time, err error) {
	t.prepareThread()
	stopped := make(chan struct{})
	go t.unblockExec(stopped)
	began, err = t.stop(ctx, patience)
	close(stopped)
	if began.IsZero() { // another traces it, say: nothing was stopped, and that took no time
		began = time.Now()
	}
	if err == nil {
		err = t.process.checkProgram() // an exec since it was opened
	}
	return began, err
}

// prepareThread readies the OS thread that owns ptrace. It is ours alone.
func (t *tracer) prepareThread() {
	t.tid = unix.Gettid()
	hurry()
	// Naps of microseconds, where 50 us are the default.
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// hurry gives this thread, which ends with the stop, precedence over all that isn't as urgent: the target stands while
// it waits for a CPU. On a busy machine the highest priority halves the stop (measured: 17 to 7 ms for 500 threads on 2
// CPUs with 4 busy loops). Where the kernel groups threads by session (sched_autogroup), a priority counts within the
// group only, and real-time scheduling is what counts: 135 ms for a copy of 1 GB that took 970 on 2 CPUs with a load of
// 14. Without CAP_SYS_NICE it stays as it is.
func hurry() {
	unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO,
		Flags: unix.SCHED_FLAG_RESET_ON_FORK, Priority: 1}, 0)
}
