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

// A thread needs a CPU to come to its stop, also one that sleeps in the kernel: it is woken for that. On a machine with
// much to do it may wait for one for long, and the other threads stand meanwhile. So a copy, where a first try to stop
// all threads was in vain, is made without some of them.
//
// Memory holds still without them. Once PTRACE_INTERRUPT has come, a thread executes no more instruction of the
// program: one that runs on another CPU is interrupted there, and one that is in the kernel, asleep or displaced by
// others, comes to its stop on the way out. Nor does it start threads: clone(2) begins anew where a stop is wanted, and
// what it started before is in the list of threads that is read after the interrupt. What the kernel may yet do is to
// fill a buffer that a call of that thread gave it.
//
// What is lost is their registers. Of a thread that sleeps in a system call, and has not run since, nobody asks for
// them: the runtime has noted where its goroutine stands. So the second try spares those. Only the last one spares
// threads that were displaced at work: their goroutines' stacks are not known. That a thread has not run says
// /proc/PID/task/TID/schedstat, which counts how often it was given a CPU.

// sparing says which threads need not come to a stop.
type sparing uint8

const (
	spareNone     sparing = iota
	spareSleepers         // those that sleep in a system call
	// all but those that sleep and can't be woken: one may wait for a child that shares the memory (vfork)
	spareAll
)

// Where there are very many threads, those asleep are spared in every stop, so that 5,000 of them hold the target for
// some 20 ms. What is asked of their registers, where they stand, the kernel says (proc_pid_syscall(5)). Some have
// to come to a stop all the same: an injected call needs a thread.
const mustStop = 32

// spareAfter is how long no thread has come to its stop before the rest are spared.
const spareAfter = 2 * time.Millisecond

// lookAsleep notes which of the threads that were attached to last are asleep.
func (t *tracer) lookAsleep(from int) {
	var buffer [512]byte
	for i := from; i < len(t.tracees); i++ {
		tr := &t.tracees[i]
		if s, ok := t.asleepIn(tr.tid, buffer[:]); ok {
			tr.sleep = s
		}
	}
}

// spareRest takes the threads that are waited for off the list, if all of them may be spared. Some other must have
// stopped: while it does, the process can't start another program or end in silence.
func (t *tracer) spareRest() bool {
	if len(t.threads) == 0 {
		return false
	}
	var buffer [512]byte
	for pass := range 2 {
		for i := range t.tracees {
			tr := &t.tracees[i]
			switch {
			case tr.state != traceeSeized:
			case pass == 1:
				tr.state = traceeSpared
			case t.spare == spareAll:
				if s := t.stateOf(tr.tid, buffer[:]); s != 'R' && s != 'S' {
					return false
				}
			case tr.sleep.runs == 0 || t.timesRun(tr.tid, buffer[:]) != tr.sleep.runs:
				return false
			}
		}
	}
	return true
}

// spareAsleep takes those off the list that have not run since they were seen asleep, and were interrupted then: each
// by itself, as many others may be on their way to a stop.
func (t *tracer) spareAsleep() (left int) {
	for i := range t.tracees {
		switch tr := &t.tracees[i]; {
		case tr.state != traceeSeized:
		case tr.sleep.runs != 0 && t.timesRun(tr.tid, t.buffer[:]) == tr.sleep.runs:
			tr.state = traceeSpared
		default:
			left++
		}
	}
	return left
}

// displaced counts the threads that were spared and whose registers somebody may ask for: they were at work.
func (t *tracer) displaced() (n int) {
	for i := range t.tracees {
		if t.tracees[i].state == traceeSpared && t.tracees[i].sleep.runs == 0 {
			n++
		}
	}
	return n
}
