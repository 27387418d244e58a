//go:build amd64

package process

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// collect waits until every tracee has stopped or is gone, and reads the registers of each as it stops.
func (t *tracer) collect(ctx context.Context, began time.Time, limit time.Duration) error {
	var nap backoff
	var looked time.Time
	for last := time.Now(); ; {
		pending, progress, awake := t.pollAll()
		if pending == 0 {
			return nil
		}
		if progress {
			last = time.Now()
		} else if t.spare != spareNone && time.Since(last) >= spareAfter && t.spareRest() {
			return nil
		}
		if !awake && t.spare == spareSleepers && t.threadCount > manyThreads && len(t.threads) >= mustStop &&
			time.Since(looked) >= spareAfter {
			if t.spareAsleep() == 0 {
				return nil
			}
			looked = time.Now()
		}
		if time.Since(began) >= limit {
			return t.restless(time.Since(began), pending, limit)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if t.hold.asked.Load() {
			return fmt.Errorf("%w while it stopped %s", attach.ErrSuspended, t.process.Describe())
		}
		if nap.wait(progress, pending) {
			if err := t.stuck(time.Since(last) >= spareAfter); err != nil {
				return err
			}
		}
	}
}

// pollAll looks at all threads that have yet to stop: how many these are then, whether one less than before, and
// whether one of them has run since it was seen asleep.
func (t *tracer) pollAll() (pending int, progress, awake bool) {
	for i := range t.tracees {
		tr := &t.tracees[i]
		if tr.state != traceeSeized {
			continue
		}
		if t.poll(tr); tr.state == traceeSeized {
			pending++
			awake = awake || tr.sleep.runs == 0
		} else {
			progress = true
		}
	}
	return pending, progress, awake
}

func (t *tracer) restless(took time.Duration, pending int, limit time.Duration) error {
	all := len(t.tracees)
	who, stuck := t.pendingThreads()
	todo := fmt.Sprintf("raise --max-stop (about %v would do)", enough(took, all-pending, all))
	if stuck {
		todo = "they sleep where nothing wakes them (a disk, a file server, a freezer), and stop when that is over: wait"
	}
	return &restlessError{stopped: took, interrupted: t.interrupted, text: fmt.Sprintf("%s: %d of %d threads have "+
		"not come to a stop within %v (%s): %s, or look without a stop: --view live",
		t.process.Describe(), pending, all, limit.Round(time.Millisecond), who, todo)}
}

// enough is how long it takes, with some to spare, until all threads have stopped, as some have in a time.
func enough(took time.Duration, stopped, all int) time.Duration {
	const atMost = 50 // nearly none did, and that says little
	all = min(all, atMost*max(stopped, 1))
	took = max(2*took*time.Duration(all)/time.Duration(max(stopped, 1)), 2*took, 20*time.Millisecond)
	return (took + 10*time.Millisecond - 1).Truncate(10 * time.Millisecond)
}

// restlessError is a stop that didn't come about in time: on a busy machine a thread may wait long for the CPU that it
// needs to stop.
type restlessError struct {
	stopped time.Duration // those that did stop, stood for that long
	// threads that may have noticed
	interrupted int
	cost        attach.Stats // of all tries
	text        string
}

func (e *restlessError) Error() string { return e.text }
func (e *restlessError) Unwrap() error { return attach.ErrDeadline }

// Cost is what stops cost of which no view came.
func (e *restlessError) Cost() attach.Stats { return e.cost }

// stuck looks for what threads may be waited for in vain, after some time without progress, and after more of it (long)
// for those that wait for a child.
func (t *tracer) stuck(long bool) error {
	for i := range t.tracees {
		tr := &t.tracees[i]
		switch {
		case tr.state == traceeStopped && t.deadThread(tr.tid):
			// A stopped thread dies by SIGKILL only, its own process's exec included. That exec now waits for us to let
			// the dead go.
			return fmt.Errorf("%s has been killed or starts another program in its place (exec) in this moment; run "+
				"ri again: %w", t.process.Describe(), attach.ErrExited)
		case tr.state == traceeSeized && tr.tid == t.process.pid:
			// A leader that has exited before the other threads stays, and nothing is to be waited for.
			if st, err := proc.ReadStat(fmt.Sprintf("/proc/%d/task/%d/stat", tr.tid, tr.tid)); err == nil &&
				st.State == 'Z' {
				tr.state = traceeGone
			}
		case tr.state == traceeSeized && long && len(t.threads) > 0 && t.forks(tr.tid):
			tr.state = traceeForking
		}
	}
	return nil
}

// deadThread says whether a thread that had stopped was killed.
func (t *tracer) deadThread(tid int) bool {
	err := t.wait(tid, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL)
	if err != nil || t.info.dead() {
		return true
	}
	// Between SIGKILL and its death, and as a leader that died before the others, it shows nothing to wait for.
	return ptrace(unix.PTRACE_GETREGS, tid, 0, uintptr(unsafe.Pointer(&t.regs))) == unix.ESRCH
}

// poll looks whether a tracee has stopped or is gone.
func (t *tracer) poll(tr *tracee) {
	err := t.wait(tr.tid, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL)
	switch {
	case err == unix.ECHILD: // not ours any more: another thread has taken its id in an exec
		delete(t.known, tr.tid)
		tr.state = traceeGone
	case err != nil || t.info.pid == 0:
	case t.info.dead():
		if tr.tid != t.process.pid { // an exec of another thread waits for that; the leader belongs to its parent
			reap(tr.tid)
			delete(t.known, tr.tid)
		}
		tr.state = traceeGone
	default:
		// The stops of a seized thread: PTRACE_EVENT_STOP (our interrupt, or a stop of the whole group by
		// SIGSTOP and the like, which the kernel keeps up by itself when we detach) has the event above the
		// signal's eight bits; a signal that waits to be delivered stands alone.
		if status := t.info.status; status>>8 == 0 {
			tr.signal = int(status & 0x7f)
		}
		if ptrace(unix.PTRACE_GETREGS, tr.tid, 0, uintptr(unsafe.Pointer(&t.regs))) != 0 {
			tr.signal = 0
			return // killed in this moment: the next look says so
		}
		tr.state = traceeStopped
		t.readAll(tr.tid)
		t.threads = append(t.threads, attach.Thread{ID: tr.tid, InnerID: t.innerID(tr.tid), Regs: registersOf(&t.regs)})
	}
}

// si_code of SIGCHLD, uapi/asm-generic/siginfo.h.
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// mostLooked is how many of the threads that don't stop are looked at: those that did stop stand still meanwhile.
const mostLooked = 50

// pendingThreads says which threads don't stop and what they do, for the message. stuck: all of them sleep such that
// nothing wakes them (state D).
func (t *tracer) pendingThreads() (who string, stuck bool) {
	var out []string
	looked := 0
	stuck = true
	for _, tr := range t.tracees {
		if tr.state != traceeSeized {
			continue
		}
		if looked++; looked > mostLooked {
			break
		}
		st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/task/%d/status", t.process.pid, tr.tid))
		if err != nil {
			continue
		}
		stuck = stuck && st.State == 'D'
		if len(out) > 3 {
			continue
		}
		if len(out) == 3 {
			out = append(out, "...")
			continue
		}
		what := fmt.Sprintf("thread %d in state %c", tr.tid, st.State)
		if wchan, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", t.process.pid, tr.tid)); err == nil &&
			len(wchan) > 1 {
			what += " in " + string(wchan)
		}
		out = append(out, what)
	}
	return strings.Join(out, ", "), stuck && looked > 0
}

// backoff waits a little longer each time nothing happens: threads on other CPUs stop
// within microseconds, those that sleep have to be scheduled first.
type backoff struct{ idle int }

// wait says whether it has been long without progress: it does so about every millisecond. Many threads that have yet
// to stop need the CPU that asks for them: each takes some microseconds of one.
func (b *backoff) wait(progress bool, pending int) (long bool) {
	if progress {
		b.idle = 0
		if pending > manyPending {
			b.nap(min(time.Duration(pending)*time.Microsecond, time.Millisecond))
			return false
		}
	}
	b.idle++
	if b.idle <= 4 {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		return false
	}
	b.nap(time.Duration(min(b.idle-4, 50)) * 10 * time.Microsecond)
	return b.idle > 15
}

// manyPending threads are not asked again at once.
const manyPending = 64

func (b *backoff) nap(d time.Duration) {
	ts := unix.Timespec{Nsec: int64(d)}
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// wakeup lets a thread sleep in the kernel until another calls signal, or some time has passed: an eventfd(2).
type wakeup struct {
	mu sync.Mutex // signal may come late, when the number already means another file
	fd int
}

func (w *wakeup) open() (err error) {
	w.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	return nil
}

// wait returns after a signal, after the time, or for no reason.
func (w *wakeup) wait(d time.Duration) {
	ts := unix.NsecToTimespec(max(0, d.Nanoseconds()))
	unix.Ppoll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, &ts, nil)
}

// clear forgets the signals so far.
func (w *wakeup) clear() {
	var b [8]byte
	unix.Read(w.fd, b[:])
}

// signal ends the wait under way, or the next one.
func (w *wakeup) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Write(w.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (w *wakeup) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}
