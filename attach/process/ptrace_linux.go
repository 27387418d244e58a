//go:build amd64

package process

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/arch"
	"ri/attach"
	"ri/attach/proc"
)

// tracer stops the threads of one process and lets them go. All its methods run on one OS thread, which must end
// afterwards: the kernel detaches whatever is still attached to a thread that ends, and that is also what keeps the
// target whole when ri is killed.
//
// No signal is lost on the way, not even then: a thread that stops because a signal is about to be delivered keeps that
// signal in its exit_code until somebody consumes the stop with wait (kernel/signal.c, ptrace_stop; kernel/exit.c,
// wait_task_stopped). The tracer only ever looks (WNOWAIT), and hands the signal back when it detaches.
type tracer struct {
	tasks
	dirents [64 << 10]byte

	known       map[int]struct{} // threads that were looked at: seized, or dead
	tracees     []tracee
	threads     []attach.Thread // of those that stopped; allocated before the stop
	all         []allRegisters  // of the same threads, if they are asked for
	tid         int             // of the OS thread that owns ptrace
	left        bool            // not all could be detached by name
	hold        *hold           // in the list of holds once the target is about to be stopped
	threadCount int             // when it was opened
	spare       sparing         // threads that need not come to a stop
	leave       *leaving        // threads that are left asleep; nil: none
	buffer      [512]byte       // for what /proc says of a thread
	// threads of others' code in calls that an interruption ends, and that were interrupted
	interrupted int
	inner       map[int]int  // numbers of threads in the target's own pid namespace; nil where that is ours
	seizing     atomic.Int64 // > 0 while a PTRACE_SEIZE is under way: its number
	regs        unix.PtraceRegs
	vector      unix.Iovec
	info        waitInfo
}

type tracee struct {
	tid    int
	state  traceeState
	signal int   // to deliver when it goes on
	sleep  sleep // that it was seen in; runs is 0 if it wasn't
}

type traceeState uint8

const (
	traceeSeized  traceeState = iota // attached, runs
	traceeStopped                    // in a ptrace stop, registers read
	traceeGone                       // exited, or vanished in an exec
	traceeSpared                     // attached, and not waited for
	traceeForking                    // attached, and can't stop before its child has started a program: see forks
)

// waitInfo is siginfo_t as waitid(2) fills it for a child, uapi/asm-generic/siginfo.h.
type waitInfo struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	uid                uint32
	status             int32
	_                  [100]byte
}

// newTracer allocates everything that the stop needs.
func newTracer(p *Process, leave *leaving) (*tracer, error) {
	st, err := proc.ReadStatus(p.proc("status"))
	if err != nil {
		return nil, p.exited(err)
	}
	t := &tracer{hold: &hold{}, leave: leave}
	if t.tasks, err = openTasks(p); err != nil {
		return nil, err
	}
	if len(st.NSpid) > 1 {
		t.inner = map[int]int{}
		tasks, _ := os.ReadDir(p.proc("task"))
		for _, task := range tasks {
			if tid, err := strconv.Atoi(task.Name()); err == nil {
				t.innerID(tid)
			}
		}
	}
	room := 2*st.Threads + 64
	t.known = make(map[int]struct{}, room)
	t.tracees = make([]tracee, 0, room)
	t.threads = make([]attach.Thread, 0, room)
	t.threadCount = st.Threads
	t.lookBefore()
	return t, nil
}

// innerID is a thread's number in the target's own pid namespace. All that are there beforehand are looked up before
// the stop.
func (t *tracer) innerID(tid int) int {
	if t.inner == nil {
		return tid
	}
	id, ok := t.inner[tid]
	if !ok {
		id = tid
		if st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/task/%d/status", t.process.pid, tid)); err == nil &&
			len(st.NSpid) > 0 {
			id = st.NSpid[len(st.NSpid)-1]
		}
		t.inner[tid] = id
	}
	return id
}

// stop seizes and interrupts until every thread of the process stands still. began is when the first was
// interrupted, zero if none was. After an error the caller detaches what was attached.
func (t *tracer) stop(ctx context.Context, limit time.Duration) (began time.Time, err error) {
	for first := true; ; first = false {
		from := len(t.tracees)
		if err := t.seizeNew(); err != nil {
			return began, err
		}
		if err := t.attachToOne(); err != nil {
			return began, err
		}
		if len(t.tracees) == from {
			break // all stand still, so no thread can have come into being since
		}
		if t.spare == spareSleepers {
			t.lookAsleep(from)
		}
		if first {
			began = time.Now()
		}
		for i := from; i < len(t.tracees); i++ {
			ptrace(unix.PTRACE_INTERRUPT, t.tracees[i].tid, 0, 0) // ESRCH: it is exiting, wait will say so
		}
		if err := t.collect(ctx, began, limit); err != nil {
			return began, err
		}
	}
	if len(t.threads) == 0 {
		return began, t.process.exited(nil)
	}
	return began, nil
}

// seizeNew attaches to all threads that aren't known yet.
func (t *tracer) seizeNew() error {
	if _, err := unix.Seek(t.dir, 0, 0); err != nil {
		return t.process.exited(err)
	}
	for {
		n, _, e := unix.RawSyscall(unix.SYS_GETDENTS64, uintptr(t.dir), uintptr(unsafe.Pointer(&t.dirents)),
			unsafe.Sizeof(t.dirents))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return t.process.exited(e)
		}
		if n == 0 {
			return nil
		}
		for buf := t.dirents[:n]; len(buf) > 0; {
			var tid int
			tid, buf = nextTid(buf)
			if _, ok := t.known[tid]; ok || tid == 0 {
				continue
			}
			if t.leaves(tid) {
				t.known[tid] = struct{}{}
				continue
			}
			if err := t.seize(tid); err != nil {
				return err
			}
		}
	}
}

// nextTid takes the first entry off a buffer of struct linux_dirent64 (getdents64(2)): d_reclen at 16, d_name at 19. It
// is 0 for "." and "..".
func nextTid(buf []byte) (tid int, rest []byte) {
	if len(buf) < 20 {
		return 0, nil
	}
	size := int(buf[16]) | int(buf[17])<<8
	if size < 20 || size > len(buf) {
		return 0, nil
	}
	for _, c := range buf[19:size] {
		if c < '0' || c > '9' {
			break
		}
		tid = tid*10 + int(c-'0')
	}
	return tid, buf[size:]
}

// seize attaches to one thread, if it is still there.
func (t *tracer) seize(tid int) error {
	held.Store(true)
	for try := 0; ; try++ {
		// A real system call of the Go runtime, unlike the others here: it may block while the target is in an exec,
		// see unblockExec.
		t.seizing.Store(int64(len(t.known) + 1))
		_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, 0, 0, 0)
		t.seizing.Store(0)
		switch e {
		case 0:
			t.add(tid)
			return nil
		case unix.ESRCH: // ended since it was listed
			return nil
		case unix.EPERM:
			done, err := t.refused(tid, e, try)
			if done || err != nil {
				return err
			}
		default:
			return fmt.Errorf("stopping %s: thread %d: PTRACE_SEIZE: %w", t.process.Describe(), tid, e)
		}
	}
}

func (t *tracer) add(tid int) {
	t.known[tid] = struct{}{}
	t.tracees = append(t.tracees, tracee{tid: tid})
}

// refused finds out what EPERM means: a dead thread, one that is traced, or a real refusal. A thread that calls execve
// takes the leader's id, so the leader may be dead when it is seized and alive when its status is read: try again.
func (t *tracer) refused(tid int, cause error, try int) (done bool, err error) {
	st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/task/%d/status", t.process.pid, tid))
	if err != nil {
		return true, nil
	}
	if st.State == 'Z' || st.State == 'X' {
		t.known[tid] = struct{}{}
		return true, nil
	}
	if st.TracerPid != 0 {
		if st.TracerPid == os.Getpid() && t.wait(tid,
			unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD) == nil {
			t.add(tid) // by this very thread: seized under another id before its exec
			return true, nil
		}
		return true, tracedError(t.process.Describe(), st.TracerPid)
	}
	if try < 3 {
		return false, nil
	}
	if err := t.process.checkIdentity(); err != nil {
		return true, err
	}
	return true, proc.ExplainPermission(t.process.pid, fmt.Errorf("stopping thread %d (PTRACE_SEIZE): %w", tid, cause))
}

func (i *waitInfo) dead() bool {
	return i.pid != 0 && (i.code == cldExited || i.code == cldKilled || i.code == cldDumped)
}

func (t *tracer) wait(tid, options int) error { return waitID(tid, options, &t.info) }

func waitID(tid, options int, info *waitInfo) error {
	for {
		*info = waitInfo{}
		_, _, e := unix.RawSyscall6(unix.SYS_WAITID, unix.P_PID, uintptr(tid), uintptr(unsafe.Pointer(info)),
			uintptr(options), 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		return nil
	}
}

// dead says whether the process was killed while it was held. SIGKILL ends all threads, so one is enough to ask.
func (t *tracer) dead() bool {
	for i := range t.tracees {
		if tr := &t.tracees[i]; tr.state == traceeStopped {
			return t.deadThread(tr.tid)
		}
	}
	return true
}

// detach lets all stopped threads go on, each with the signal it was about to get. A thread that hasn't stopped yet
// can't be detached by name; it is when this OS thread ends.
func (t *tracer) detach() {
	for i := range t.tracees {
		tr := &t.tracees[i]
		if tr.state != traceeStopped || ptrace(unix.PTRACE_DETACH, tr.tid, 0, uintptr(tr.signal)) != 0 {
			t.left = true // it runs, or is dead, or goes by another id after an exec
		}
	}
}

// waitForEnd returns when the thread that called detach has ended, if that is what detaches the last ones.
func (t *tracer) waitForEnd() {
	for range 10_000 {
		if !t.left || unix.Tgkill(unix.Getpid(), t.tid, 0) == unix.ESRCH {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// unblockExec keeps ri and the target from waiting for each other for ever: when a thread calls execve, it holds a
// lock that PTRACE_SEIZE needs until all other threads are gone, and those that are
// traced are gone only when the tracer has waited for them (fs/exec.c, de_thread; ptrace(2), "execve(2) under ptrace").
// It runs beside the tracer's thread, until done is closed.
func (t *tracer) unblockExec(done <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last := int64(0)
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now := t.seizing.Load()
		if now == 0 || now != last {
			last = now
			continue
		}
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", t.process.pid))
		if err != nil {
			continue
		}
		for _, e := range entries {
			var tid int
			fmt.Sscan(e.Name(), &tid)
			if tid != 0 && tid != t.process.pid {
				reap(tid)
			}
		}
	}
}

// reap lets a dead tracee go. It looks first: for a tracee, wait reports and consumes stops whether it was asked for
// them or not (kernel/exit.c, wait_consider_task), and with a stop the signal in it.
func reap(tid int) {
	var info waitInfo
	if waitID(tid, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, &info) == nil && info.dead() {
		waitID(tid, unix.WEXITED|unix.WNOHANG|unix.WALL, &info)
	}
}

// ptrace makes the call without telling the Go scheduler: it takes a microsecond or less.
func ptrace(request, tid int, addr, data uintptr) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	return e
}

// registersOf translates struct user_regs_struct (sys/user.h).
func registersOf(r *unix.PtraceRegs) attach.Registers { return arch.AMD64.UserRegisters(userBytes(r)) }

// userBytes is the structure as it lies in memory.
func userBytes(r *unix.PtraceRegs) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))
}
