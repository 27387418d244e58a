//go:build amd64

package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// A thread in vfork(2), or in a clone(2) that does the same, sleeps where nothing wakes it until its child has started
// a program, or has ended. The child shares the memory meanwhile. Memory holds still for all that but for what the
// child writes, which is mostly the stack of this thread: the rest of the program stands still. When the child has
// started its program the thread comes to its stop before it executes anything. So a look is taken without it, and says
// so; nothing is written while memory is shared.

// forks says whether a thread waits for its child to start a program.
func (t *tasks) forks(tid int) bool {
	var buffer [512]byte
	if t.stateOf(tid, buffer[:]) != 'D' {
		return false
	}
	fields := bytes.Fields(t.readTask(tid, "syscall", buffer[:])) // number and arguments: proc_pid_syscall(5)
	if len(fields) < 2 {
		return false
	}
	first, err := strconv.ParseUint(string(bytes.TrimPrefix(fields[1], []byte("0x"))), 16, 64)
	if err != nil {
		return false
	}
	switch string(fields[0]) {
	case strconv.Itoa(unix.SYS_VFORK):
		return true
	case strconv.Itoa(unix.SYS_CLONE):
		return first&unix.CLONE_VFORK != 0
	case strconv.Itoa(unix.SYS_CLONE3): // struct clone_args begins with the flags
		var flags [8]byte
		mem := t.process.memory()
		defer mem.close()
		n, _ := mem.ReadMemory(flags[:], first)
		return n == len(flags) && binary.LittleEndian.Uint64(flags[:])&unix.CLONE_VFORK != 0
	}
	return false
}

// Forking says without a stop whether some thread of the process waits for a child that shares the memory.
func (p *Process) Forking() bool {
	t, err := openTasks(p)
	if err != nil {
		return false
	}
	defer t.close()
	entries, err := os.ReadDir(p.proc("task"))
	if err != nil {
		return false
	}
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil && t.forks(tid) {
			return true
		}
	}
	return false
}

// forking gives the numbers of the threads that wait for a child, as the target knows them.
func (t *tracer) forking() (ids []int) {
	for i := range t.tracees {
		if t.tracees[i].state == traceeForking {
			ids = append(ids, t.innerID(t.tracees[i].tid))
		}
	}
	return ids
}

// forkingNotes says of a view that some threads wait for their children.
func forkingNotes(ids []int) (notes []string) {
	for _, id := range ids {
		notes = append(notes, fmt.Sprintf("thread %d waits for a child that has not started its program yet (vfork) and "+
			"shares the memory: its registers are not known, and its stack is not reliable", id))
	}
	return notes
}

// errForking is why nothing is written in a stop.
func errForking(name string) error {
	return fmt.Errorf("%s has a child that has not started its program yet (vfork) and shares its memory, so nothing is "+
		"written: try again: %w", name, attach.ErrForking)
}

// tasks reads what /proc tells of the threads of a process.
type tasks struct {
	process *Process
	dir     int // /proc/PID/task
	// open schedstat files by thread, where threads are many: to read one again costs a quarter of opening it
	counters map[int]int
}

func openTasks(p *Process) (tasks, error) {
	dir, err := unix.Open(fmt.Sprintf("/proc/%d/task", p.pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return tasks{}, p.exited(err)
	}
	return tasks{process: p, dir: dir}, nil
}

func (t *tasks) close() {
	unix.Close(t.dir)
	for _, fd := range t.counters {
		unix.Close(fd)
	}
	t.counters = nil
}

// openCounters opens the files that say how often each thread has run, as far as there may be so many open files.
func (t *tasks) openCounters() {
	entries, err := os.ReadDir(t.process.proc("task"))
	if err != nil {
		return
	}
	t.counters = make(map[int]int, len(entries))
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		fd, err := unix.Openat(t.dir, e.Name()+"/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return
		}
		if err == nil {
			t.counters[tid] = fd
		}
	}
}

// timesRun is how often a thread was given a CPU, the third number of schedstat
// (Documentation/scheduler/sched-stats.rst); 0 if the kernel doesn't count.
func (t *tasks) timesRun(tid int, buffer []byte) uint64 {
	var text []byte
	if fd, open := t.counters[tid]; open {
		n, _, e := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&buffer[0])),
			uintptr(len(buffer)), 0, 0, 0)
		if e != 0 {
			return 0 // it has ended
		}
		text = buffer[:n]
	} else {
		text = t.readTask(tid, "schedstat", buffer)
	}
	n, _ := strconv.ParseUint(string(bytes.TrimSpace(text[bytes.LastIndexByte(bytes.TrimSpace(text), ' ')+1:])), 10, 64)
	return n
}

// sleepsIn says whether a thread sleeps in a system call, by what its file proc_pid_syscall(5) begins with: the call's
// number; "running" where the thread runs or wants to; -1 where it is in the kernel for another reason, such as a page
// fault. In calls that start a process there is one that may share the memory, until it has started its program.
func sleepsIn(number []byte) bool {
	n, err := strconv.Atoi(string(number))
	switch {
	case err != nil || n < 0:
		return false
	case n == unix.SYS_CLONE, n == unix.SYS_CLONE3, n == unix.SYS_VFORK, n == unix.SYS_FORK,
		n == unix.SYS_EXECVE, n == unix.SYS_EXECVEAT:
		return false
	}
	return true
}

// stateOf is a thread's state, the third field of stat (proc_pid_stat(5)); 0 if it has gone.
func (t *tasks) stateOf(tid int, buffer []byte) byte {
	text := t.readTask(tid, "stat", buffer)
	if i := bytes.LastIndexByte(text, ')'); i >= 0 && i+2 < len(text) {
		return text[i+2]
	}
	return 0
}

// readTask reads a short file of a thread.
func (t *tasks) readTask(tid int, name string, buffer []byte) []byte {
	fd, err := unix.Openat(t.dir, fmt.Sprintf("%d/%s", tid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buffer)
	if err != nil || n <= 0 {
		return nil
	}
	return buffer[:n]
}
