//go:build amd64

package process

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"ri/arch"
	"ri/attach"
)

// A thread that sleeps in a system call need not be interrupted for a copy: a copy can be thrown away. How often a
// thread was given a CPU says whether it slept all the time: the kernel counts that (/proc/PID/task/TID/schedstat). The
// count is read before the thread is seen asleep in a call, and again when all is copied, while those that ran still
// stand. If it is the same, the thread has executed nothing in between, and the copy is of one moment; if not, the copy
// is thrown away, and the next one interrupts that thread, too.
//
// Two kinds are left asleep. Calls that an interruption ends with EINTR, in code that isn't Go's: who wrote it may not
// expect that, since signal handlers alone would not have done it (signal(7), "Interruption of system calls and library
// functions by stop signals"). And where there are very many threads, those that have slept for a while: to wake each
// of 5,000 holds the target for a tenth of a second.
//
// A stop in which something is done (a change, an injected call) can't be thrown away, so nothing is left asleep there:
// a thread that wakes would run the program's code beside it. Where there are very many threads it is not waited for
// that those asleep come to their stops (see sparing). A thread can't be kept from waking without being interrupted:
// the ptrace calls that would stop it on its way out of the system call need it stopped first, and the freezer of
// cgroups interrupts as well.

const (
	// many threads are worth a second look at each before the stop
	manyThreads = 128
	// has slept for a while; the runtime's naps are shorter
	longSleep = 12 * time.Millisecond
	// copies that are thrown away because a thread woke
	mostWoken = 3
)

// interruptible are calls that a stop ends with EINTR though no handler runs (signal(7)), and io_uring_enter(2). Of
// those that read and write, only sockets with a time-out do.
var interruptible = map[int]string{
	unix.SYS_EPOLL_WAIT: "epoll_wait", unix.SYS_EPOLL_PWAIT: "epoll_pwait", unix.SYS_EPOLL_PWAIT2: "epoll_pwait2",
	unix.SYS_SEMOP: "semop", unix.SYS_SEMTIMEDOP: "semtimedop", unix.SYS_RT_SIGTIMEDWAIT: "sigtimedwait",
	unix.SYS_IO_URING_ENTER: "io_uring_enter", unix.SYS_IO_GETEVENTS: "io_getevents",
	unix.SYS_IO_PGETEVENTS: "io_pgetevents", unix.SYS_READ: "read", unix.SYS_READV: "readv", unix.SYS_WRITE: "write",
	unix.SYS_WRITEV: "writev", unix.SYS_RECVFROM: "recv", unix.SYS_RECVMSG: "recvmsg", unix.SYS_RECVMMSG: "recvmmsg",
	unix.SYS_SENDTO: "send", unix.SYS_SENDMSG: "sendmsg", unix.SYS_SENDMMSG: "sendmmsg", unix.SYS_ACCEPT: "accept",
	unix.SYS_ACCEPT4: "accept4", unix.SYS_CONNECT: "connect",
}

// OwnCode says where the program's Go code lies. The Go runtime expects that its system calls are interrupted; what
// else there is may not.
func (p *Process) OwnCode(start, end uint64) { p.code.Store(&span{start: start, end: end}) }

// ofOthers says whether code is known not to be Go's.
func (p *Process) ofOthers(pc uint64) bool {
	code := p.code.Load()
	return code != nil && code.end > code.start && (pc < code.start || pc >= code.end)
}

// sleep is what a thread sleeps in.
type sleep struct {
	tid    int
	runs   uint64 // how often it had been given a CPU
	number int    // of the system call
	pc, sp uint64
}

// asleepIn says in which system call a thread sleeps; ok is false if it does not, or if the kernel doesn't
// count how often it ran.
func (t *tasks) asleepIn(tid int, buffer []byte) (s sleep, ok bool) {
	s.tid, s.runs = tid, t.timesRun(tid, buffer) // first: one that runs between the two looks counts as awake
	if s.runs == 0 {
		return s, false
	}
	fields := bytes.Fields(t.readTask(tid, "syscall", buffer)) // the number, six arguments, SP, PC
	if len(fields) < 9 || !sleepsIn(fields[0]) {
		return s, false
	}
	s.number, _ = strconv.Atoi(string(fields[0]))
	s.sp, s.pc = hexadecimal(fields[7]), hexadecimal(fields[8])
	return s, true
}

func hexadecimal(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(bytes.TrimPrefix(b, []byte("0x"))), 16, 64)
	return n
}

// fragile says whether a stop may show to whoever sleeps: it isn't Go's code, and the call would end with EINTR.
func (p *Process) fragile(s sleep) bool {
	return interruptible[s.number] != "" && p.ofOthers(s.pc)
}

// leaving is which threads a stop leaves asleep.
type leaving struct {
	woken  map[int]struct{} // were left asleep, and woke
	before map[int]uint64   // how often they had run some time before the stop, where there are many
	left   []sleep          // those that were left asleep
}

// lookBefore notes how often threads have run, where there are many, and lets some time pass.
func (t *tracer) lookBefore() {
	if t.threadCount <= manyThreads {
		return
	}
	began := time.Now()
	t.openCounters()
	if t.leave == nil {
		return
	}
	t.leave.before = make(map[int]uint64, len(t.counters))
	for tid := range t.counters {
		t.leave.before[tid] = t.timesRun(tid, t.buffer[:])
	}
	time.Sleep(longSleep - time.Since(began))
}

// leaves says whether a thread that hasn't been attached to is left asleep. Those that are not, and may notice, are
// counted.
func (t *tracer) leaves(tid int) bool {
	if t.process.code.Load() == nil && t.leave == nil {
		return false
	}
	s, asleep := t.asleepIn(tid, t.buffer[:])
	if !asleep {
		return false
	}
	fragile := t.process.fragile(s)
	if l := t.leave; l != nil && (fragile || s.runs == l.before[tid]) {
		if _, woke := l.woken[tid]; !woke {
			l.left = append(l.left, s)
			return true
		}
	}
	if fragile {
		t.interrupted++
	}
	return false
}

// attachToOne attaches to one of the threads that were left asleep, where there is no other: while one stands, the
// process can't end or start another program in silence.
func (t *tracer) attachToOne() error {
	if t.leave == nil || len(t.tracees) > 0 || len(t.leave.left) == 0 {
		return nil
	}
	i := max(slices.IndexFunc(t.leave.left, func(s sleep) bool { return !t.process.fragile(s) }), 0)
	one := t.leave.left[i]
	t.leave.left = slices.Delete(t.leave.left, i, i+1)
	if t.process.fragile(one) {
		t.interrupted++
	}
	delete(t.known, one.tid)
	return t.seize(one.tid)
}

// wokenError is a copy in which threads woke that were left asleep.
type wokenError struct {
	tids []int
	name string
	cost attach.Stats // of the stop
}

func (e *wokenError) Error() string {
	return fmt.Sprintf("%d threads of %s woke while its memory was copied", len(e.tids), e.name)
}

// stillAsleep fails if a thread that was left asleep has run. All is copied by then.
func (t *tracer) stillAsleep() error {
	if t.leave == nil {
		return nil
	}
	var woken []int
	for _, s := range t.leave.left {
		if t.timesRun(s.tid, t.buffer[:]) != s.runs {
			woken = append(woken, s.tid)
		}
	}
	if len(woken) > 0 {
		return &wokenError{tids: woken, name: t.process.Describe()}
	}
	return nil
}

// addAsleep adds those that slept to the threads that stand, with what is known of their registers.
func (t *tracer) addAsleep() {
	add := func(s sleep) {
		t.threads = append(t.threads, attach.Thread{ID: s.tid, InnerID: t.innerID(s.tid), Regs: arch.AMD64.Place(s.pc, s.sp)})
	}
	if t.leave != nil {
		for _, s := range t.leave.left {
			add(s)
		}
	}
	for i := range t.tracees {
		if tr := &t.tracees[i]; tr.state == traceeSpared && tr.sleep.runs != 0 {
			add(tr.sleep)
		}
	}
}

// Fragile implements attach.Interruptible.
func (p *Process) Fragile() map[string]int {
	t, err := openTasks(p)
	if err != nil {
		return nil
	}
	defer t.close()
	entries, err := os.ReadDir(p.proc("task"))
	if err != nil {
		return nil
	}
	calls := map[string]int{}
	var buffer [512]byte
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, asleep := t.asleepIn(tid, buffer[:]); asleep && p.fragile(s) {
			calls[interruptible[s.number]]++
		}
	}
	return calls
}
