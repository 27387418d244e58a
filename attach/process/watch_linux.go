//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// Watching a process until it dies: one thread of it is seized with PTRACE_O_TRACEEXIT and never interrupted. When the
// process ends, by a signal, by a panic or by os.Exit, the kernel holds that thread in its exit, and with it the
// memory, until the watcher lets it go (ptrace(2), PTRACE_EVENT_EXIT). The other threads end meanwhile, and their
// registers with them.
//
// A seized thread also stops for each signal that it is to get, so it should be one that gets few: sysmon of the Go
// runtime, which runs no goroutines and is never preempted by SIGURG. A signal is handed on at once. If ri is killed
// the kernel detaches, as ever.

const (
	watchNap   = 50 * time.Millisecond // if SIGCHLD got lost
	execCalls  = "59 322"              // execve and execveat, asm/unistd_64.h
	eventStop  = 128                   // PTRACE_EVENT_STOP, uapi/linux/ptrace.h
	eventExit  = unix.PTRACE_EVENT_EXIT
	listenCall = 0x4208 // PTRACE_LISTEN
)

// watcher is the state of Watch.
type watcher struct {
	process *Process
	opt     attach.WatchOptions
	wake    wakeup
	share   *share
	victims int64 // of the OOM killer, before
	death   attach.Death
	ends    string       // death, in words; set before tid
	tid     atomic.Int64 // of the thread that is held in its exit; 0 while the process lives
}

// Watch waits until the process dies, and holds it then while opt.Dying runs. It returns how the process died once it
// was let go.
//
// Errors: ErrTraced, ErrPermission, ErrReplaced, or the cause of ctx; the process runs on then, unwatched.
func (p *Process) Watch(ctx context.Context, opt attach.WatchOptions) (attach.Death, error) {
	if err := p.checkIdentity(); err != nil {
		return attach.Death{}, err
	}
	w := &watcher{process: p, opt: opt, victims: proc.OomKills(p.folder())}
	if err := w.wake.open(); err != nil {
		return attach.Death{}, fmt.Errorf("watching %s: %w", p.Describe(), err)
	}
	defer w.wake.close()
	stop := context.AfterFunc(ctx, w.wake.signal)
	defer stop()
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD) // a tracee's stop is told to its tracer as a child's is to its parent
	defer signal.Stop(children)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-children:
				w.wake.signal()
			case <-done:
				return
			}
		}
	}()
	var err error
	if w.share, err = newShare(w); err != nil {
		return attach.Death{}, err
	}
	defer w.share.close()

	for {
		ended := make(chan error, 1)
		go onTracerThread(func() { ended <- w.follow(ctx) })
		err := <-ended
		switch {
		case errors.Is(err, errLent):
			w.letGo()
			w.share.lend(ctx)
		case errors.Is(err, attach.ErrSuspended): // what follows waits until ri goes on
		default:
			return w.death, err
		}
		if cause := context.Cause(ctx); cause != nil {
			return w.death, cause
		}
	}
}

// letGo waits until the OS thread that had seized the thread has ended, which is what detaches.
func (w *watcher) letGo() {
	for range 10_000 {
		st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/task/%d/status", w.process.pid, w.opt.Thread))
		if err != nil || st.TracerPid != os.Getpid() {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// errLent: another ri is to have the process for a moment.
var errLent = errors.New("lent")

// follow seizes the thread and sees it through to its end. It runs on an OS thread of its own; that one's end lets the
// thread go.
func (w *watcher) follow(ctx context.Context) error {
	hold := holds.begin(w.wake.signal)
	defer holds.end(hold)
	tid := w.opt.Thread
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, unix.PTRACE_O_TRACEEXIT, 0, 0)
	if e != 0 {
		return w.refused(tid, e)
	}
	if w.opt.Seized != nil {
		w.opt.Seized()
		w.opt.Seized = nil
	}
	var info waitInfo
	for {
		w.wake.wait(watchNap)
		w.wake.clear()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case hold.asked.Load():
			return attach.ErrSuspended
		case w.share.wanted():
			return errLent
		}
		for {
			err := waitID(tid, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, &info)
			if err != nil || info.dead() {
				reap(tid)
				return w.vanished()
			}
			if info.pid == 0 {
				break
			}
			sig, event := info.status&0xff, info.status>>8
			switch {
			case event == eventExit:
				return w.exiting(ctx, tid)
			case event == eventStop && stopsGroup(sig):
				ptrace(listenCall, tid, 0, 0)
			case event == 0:
				ptrace(unix.PTRACE_CONT, tid, 0, uintptr(sig))
			default:
				ptrace(unix.PTRACE_CONT, tid, 0, 0)
			}
		}
	}
}

func stopsGroup(sig int32) bool {
	switch unix.Signal(sig) {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return true
	}
	return false
}

func (w *watcher) refused(tid int, e unix.Errno) error {
	if e == unix.ESRCH {
		return w.vanished()
	}
	st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/task/%d/status", w.process.pid, tid))
	switch {
	case err != nil || st.State == 'Z' || st.State == 'X':
		return w.vanished()
	case st.TracerPid != 0:
		return fmt.Errorf("%s can't be watched: pid %d (%s) traces it, and a thread has one tracer at most: %w",
			w.process.Describe(), st.TracerPid, proc.CommOf(st.TracerPid), attach.ErrTraced)
	}
	return proc.ExplainPermission(w.process.pid, fmt.Errorf("watching thread %d (PTRACE_SEIZE): %w", tid, e))
}

// vanished says what became of a thread that isn't there.
func (w *watcher) vanished() error {
	if err := w.process.checkIdentity(); err == nil || proc.Alive(w.process.pid) {
		return fmt.Errorf("%s: its thread %d is gone: %w", w.process.Describe(), w.opt.Thread, attach.ErrReplaced)
	}
	return nil // dead, and w.death doesn't know how
}

// exiting holds the thread in its exit for as long as it takes, or may take.
func (w *watcher) exiting(ctx context.Context, tid int) error {
	if w.inExec() { // that waits for this thread to go
		return fmt.Errorf("%s: %w", w.process.Describe(), attach.ErrReplaced)
	}
	var status uint64 // PTRACE_GETEVENTMSG: as wait(2) would give it
	ptrace(unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&status)))
	w.death = attach.Death{Known: true, Signal: unix.Signal(status & 0x7f), Code: int(status >> 8 & 0xff)}
	if w.death.Signal == unix.SIGKILL && proc.OomKills(w.process.folder()) > w.victims {
		w.death.OOM = true // its memory is what the machine waits for
		return nil
	}
	began := time.Now()
	w.ends = w.death.String()
	w.tid.Store(int64(tid))
	hold, cancel := context.WithTimeoutCause(ctx, w.opt.MaxHold, attach.ErrDeadline)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		w.opt.Dying(hold, w.death)
	}()
	select {
	case <-finished:
	case <-hold.Done():
		w.death.Cut = true
	}
	w.death.Held = time.Since(began)
	return context.Cause(ctx)
}

// inExec tells a death from an exec, in which all threads but one end: that one is in the call.
func (w *watcher) inExec() bool {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", w.process.pid))
	if err != nil {
		return false
	}
	for _, task := range tasks {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/syscall", w.process.pid, task.Name()))
		if err != nil {
			continue
		}
		call, _, _ := strings.Cut(string(data), " ")
		if st, err := proc.ReadStat(fmt.Sprintf("/proc/%d/task/%s/stat", w.process.pid, task.Name())); err == nil &&
			st.State == 'Z' {
			continue
		}
		for _, exec := range strings.Fields(execCalls) {
			if call == exec {
				return true
			}
		}
	}
	return false
}
