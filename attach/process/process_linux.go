//go:build amd64

package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/proc"
	"ri/attach/sample"
)

// Process is a live process. Its identity is the pid and the start time, so a
// pid that was given to another process meanwhile is noticed at the next look;
// the auxiliary vector tells whether it is still the program that was opened (exec keeps pid and start time).
type Process struct {
	pid       int
	tid       int // the thread whose /proc folder is read: the leader, unless it has exited before the others
	name      string
	exe       *os.File
	exePath   string
	entry     uint64
	auxv      []byte
	startTime uint64

	injectOnce sync.Once
	injectCode injectionCode
	injectErr  error

	taken [2]taken             // copies of pages, and of all memory
	code  atomic.Pointer[span] // where its Go code lies; nil: nobody has said

	ends  string // how, if it is dying: Death.String
	dying bool   // held in its exit by a watcher: nothing of it runs any more
}

// Open looks at a live process, without a stop. It needs the permission to read its memory
// and says exactly what is missing when there is none.
//
// Errors: ErrNoProcess, ErrZombie, ErrPermission, ErrExited, ErrNotSupported (not a 64-bit amd64 program, ri
// itself). A process that is traced by another opens, since the live view works on it; see CheckStop.
//
// A child of this very process must not be waited for (exec.Cmd.Wait) during a stopped view: wait would
// report and take away its ptrace stops.
func Open(pid int) (attach.Target, error) {
	p, err := openPID(pid)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func openPID(pid int) (*Process, error) {
	if pid == os.Getpid() {
		return nil, fmt.Errorf("pid %d is ri itself, which can't stop itself: name another process (ri ps lists "+
			"them): %w", pid, attach.ErrNotSupported)
	}
	if pid <= 0 {
		return nil, fmt.Errorf("%d can't be a pid: a pid is a positive number (ri ps lists the Go processes here): "+
			"%w", pid, attach.ErrNoProcess)
	}
	if err := proc.CheckProcMount(); err != nil {
		return nil, err
	}
	dir := fmt.Sprintf("/proc/%d", pid)
	st, err := proc.ReadStatus(dir + "/status")
	switch {
	case proc.Gone(err):
		return nil, fmt.Errorf("there is no process with pid %d here: it has ended, or runs in a pid namespace that "+
			"isn't visible from this one (ri ps lists the Go processes here; for a container, run ri on its host): "+
			"%w", pid, attach.ErrNoProcess)
	case errors.Is(err, os.ErrPermission):
		return nil, proc.ExplainPermission(pid, err)
	case err != nil:
		return nil, fmt.Errorf("looking at pid %d: %w", pid, err)
	}
	if st.Tgid != 0 && st.Tgid != pid {
		return nil, fmt.Errorf("%d is not a process but a thread of pid %d (%s): use -p %d: %w", pid, st.Tgid,
			proc.CommOf(st.Tgid), st.Tgid, attach.ErrNoProcess)
	}
	p := &Process{pid: pid, tid: pid, name: st.Name}
	if stat, err := proc.ReadStat(dir + "/stat"); err != nil {
		return nil, p.exited(err)
	} else {
		p.startTime = stat.StartTime
	}
	if err := p.chooseThread(st); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		err := p.open()
		if err == nil {
			return p, nil
		}
		p.Close()
		// An exec takes the old program away before the new one is there.
		if try < 10 && errors.Is(err, attach.ErrExited) && proc.Alive(pid) {
			time.Sleep(time.Millisecond)
			continue
		}
		return nil, err
	}
}

// chooseThread chooses the thread by which the process is read: the leader, unless it has exited before the others.
func (p *Process) chooseThread(st proc.Status) error {
	if tid, how := p.dyingThread(); tid != 0 {
		p.tid, p.dying, p.ends = tid, true, how
		return nil
	}
	if st.State != 'Z' && st.State != 'X' {
		return nil
	}
	for range 5 { // while a thread in an exec takes the dead leader's place, neither may be seen
		if p.tid = livingThread(p.pid); p.tid != 0 {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("pid %d (%s) is dead and waits for its parent, pid %s, to collect its exit status; its memory is "+
		"gone, so there is nothing to read: %w", p.pid, st.Name, parentOf(p.pid), attach.ErrZombie)
}

// open reads what stays the same while the program runs.
func (p *Process) open() error {
	exe := p.proc("exe")
	path, err := os.Readlink(exe)
	if err == nil {
		p.exePath = path
		p.name = filepath.Base(strings.TrimSuffix(path, " (deleted)"))
		p.exe, err = os.Open(exe)
	}
	if err != nil {
		return p.openError("opening its executable", err)
	}
	if err := checkExecutable(p.exe); err != nil {
		return fmt.Errorf("%s: %w", p.Describe(), err)
	}
	if err := p.readAuxv(); err != nil {
		return err
	}
	if err := p.chooseLibrary(); err != nil {
		return err
	}
	// Permission to read /proc/PID/exe is less than permission to read memory (Yama).
	m := p.memory()
	defer m.close()
	var b [1]byte
	if _, err := m.ReadMemory(b[:], p.entry); err != nil {
		if errors.Is(err, attach.ErrPermission) {
			return proc.ExplainPermission(p.pid, err)
		}
		if errors.Is(err, attach.ErrExited) {
			return err
		}
		return fmt.Errorf("%s: reading at its entry point: %w", p.Describe(), err)
	}
	return p.checkIdentity()
}

// readAuxv reads the auxiliary vector, which is empty while an exec is under way.
func (p *Process) readAuxv() (err error) {
	for range 100 {
		if p.auxv, err = os.ReadFile(p.proc("auxv")); err != nil {
			return p.openError("reading its auxiliary vector", err)
		}
		if len(p.auxv) == 0 { // the address space has gone
			return p.exited(nil)
		}
		var ok bool
		if p.entry, ok = core.AuxvValue(p.auxv, core.AuxEntry); ok {
			return nil
		}
		time.Sleep(100 * time.Microsecond)
	}
	return fmt.Errorf("%s: /proc/%d/auxv has no AT_ENTRY: %w", p.Describe(), p.pid, attach.ErrNotSupported)
}

func (p *Process) openError(what string, err error) error {
	switch {
	case proc.Gone(err):
		if stat, e := proc.ReadStat(fmt.Sprintf("/proc/%d/stat", p.pid)); e == nil &&
			stat.Flags&proc.FlagKernelThread != 0 {
			return fmt.Errorf("pid %d (%s) is a kernel thread and has no program: %w", p.pid, p.name,
				attach.ErrNotSupported)
		}
		return p.exited(nil)
	case errors.Is(err, os.ErrPermission):
		return proc.ExplainPermission(p.pid, err)
	}
	return fmt.Errorf("pid %d (%s): %s: %w", p.pid, p.name, what, err)
}

func (p *Process) exited(err error) error {
	if err != nil && !proc.Gone(err) {
		return fmt.Errorf("looking at pid %d (%s): %w", p.pid, p.name, err)
	}
	return fmt.Errorf("pid %d (%s) has ended while ri looked at it: %w", p.pid, p.name, attach.ErrExited)
}

// checkExecutable refuses what this build of ri can't read at all; whether it is a Go program is for package symbols to
// say.
func checkExecutable(exe io.ReaderAt) error {
	var ident [20]byte
	if _, err := exe.ReadAt(ident[:], 0); err != nil || string(ident[:4]) != elf.ELFMAG {
		return nil // not ELF: package symbols says so in better words
	}
	machine := elf.Machine(uint16(ident[18]) | uint16(ident[19])<<8)
	if class := elf.Class(ident[elf.EI_CLASS]); class != elf.ELFCLASS64 || !core.Readable(machine) {
		return fmt.Errorf("a %s program for %s, and ri reads 64-bit amd64 programs only: %w",
			map[elf.Class]string{elf.ELFCLASS32: "32-bit",
				elf.ELFCLASS64: "64-bit"}[class], strings.ToLower(strings.TrimPrefix(machine.String(),
				"EM_")), attach.ErrNotSupported)
	}
	return nil
}

// livingThread finds a thread that has memory in a process whose leader has exited, 0 if there is none.
func livingThread(pid int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0
	}
	for _, e := range entries {
		st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/task/%s/status", pid, e.Name()))
		if err == nil && st.State != 'Z' && st.State != 'X' {
			var tid int
			fmt.Sscan(e.Name(), &tid)
			return tid
		}
	}
	return 0
}

func parentOf(pid int) string {
	stat, err := proc.ReadStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%d (%s)", stat.PPid, proc.CommOf(stat.PPid))
}

// folder has the files of the process under /proc.
func (p *Process) folder() string {
	if p.tid != p.pid {
		return fmt.Sprintf("/proc/%d/task/%d", p.pid, p.tid)
	}
	return fmt.Sprintf("/proc/%d", p.pid)
}

// proc is a file of the process under /proc.
func (p *Process) proc(file string) string { return p.folder() + "/" + file }

func (p *Process) memory() *processMemory {
	return &processMemory{pid: p.tid, name: p.Describe()}
}

// checkIdentity says whether the pid still means the program that was opened.
func (p *Process) checkIdentity() error {
	stat, err := proc.ReadStat(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return p.exited(err)
	}
	if stat.StartTime != p.startTime {
		return fmt.Errorf("%s has ended, and its pid now belongs to another process: %w", p.Describe(),
			attach.ErrExited)
	}
	return p.checkProgram()
}

// checkProgram is the part of checkIdentity that notices an exec: the vector holds addresses that each exec chooses
// anew.
func (p *Process) checkProgram() error {
	auxv, err := os.ReadFile(p.proc("auxv"))
	if err != nil || len(auxv) == 0 {
		if st, e := proc.ReadStat(p.proc("stat")); e == nil && (st.State == 'Z' || st.State == 'X') {
			return p.exited(nil)
		}
		if err == nil {
			err = unix.ESRCH
		}
		return p.exited(err)
	}
	if !bytes.Equal(auxv, p.auxv) {
		return fmt.Errorf("%s has started another program in its place (exec) since ri opened it; run ri again: %w",
			p.Describe(), attach.ErrExited)
	}
	return nil
}

// CheckStop says beforehand, without a stop, why a stop would be refused as far as that can be
// known: ErrTraced, ErrExited. The live view may work all the same.
func (p *Process) CheckStop() error {
	if err := p.checkIdentity(); err != nil {
		return err
	}
	st, err := proc.ReadStatus(p.proc("status"))
	if err != nil {
		return p.exited(err)
	}
	if st.TracerPid != 0 && !p.dying {
		return tracedError(p.Describe(), st.TracerPid)
	}
	return nil
}

func tracedError(who string, tracer int) error {
	by := fmt.Sprintf("pid %d (%s)", tracer, proc.CommOf(tracer))
	if tracer == os.Getpid() {
		by = "another view of this ri"
	}
	return fmt.Errorf("%s can't be stopped: it is traced by %s, and a process has one tracer at most; wait for that "+
		"one (--wait 5s) or end it, or look without a stop (--view live): %w", who, by, attach.ErrTraced)
}

// Executable implements Target. It stays readable when the file was replaced, deleted, or lies in another mount
// namespace.
func (p *Process) Executable() io.ReaderAt { return p.exe }

// ExecutablePath implements Target: the path as the process's own mount namespace has it, followed by " (deleted)" if
// it is no longer there.
func (p *Process) ExecutablePath() string { return p.exePath }

// Entry implements Target.
func (p *Process) Entry() uint64 { return p.entry }

// PID implements Target.
func (p *Process) PID() int { return p.pid }

// Describe implements Target.
func (p *Process) Describe() string { return fmt.Sprintf("pid %d (%s)", p.pid, p.name) }

// View implements Target. Kind Live needs no ptrace; kind Stopped fails with ErrTraced, ErrPermission, ErrExited
// or ErrDeadline (not all threads came to a stop in time), each with what to do.
func (p *Process) View(ctx context.Context, opt attach.ViewOptions) (attach.View, error) {
	return p.view(ctx, wish{ViewOptions: opt})
}

// Mappings implements Target: /proc/PID/maps.
func (p *Process) Mappings() ([]attach.Mapping, error) {
	data, err := os.ReadFile(p.proc("maps"))
	if err != nil {
		return nil, p.mapError(err)
	}
	if len(data) == 0 {
		return nil, p.exited(nil)
	}
	return proc.ParseMaps(data)
}

// mapError says why the memory map can't be read.
func (p *Process) mapError(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return proc.ExplainPermission(p.pid, err)
	}
	return p.exited(err)
}

// Close implements Target. Views that are still open stay so.
func (p *Process) Close() error {
	if p.exe == nil {
		return nil
	}
	return p.exe.Close()
}

// Identity names this run of this program, and no other on any machine: the machine's boot, the process's start, in
// clock ticks since then, and a digest of the auxiliary vector, whose random addresses each exec chooses anew.
func (p *Process) Identity() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it the rest still tells
	sum := sha256.Sum256(p.auxv)
	return fmt.Sprintf("%s/%d/%x", strings.TrimSpace(string(boot)), p.startTime, sum[:8])
}

// Started is when the process was started.
func (p *Process) Started() time.Time {
	var since unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return time.Time{}
	}
	const ticks = 100 // sysconf(_SC_CLK_TCK), fixed for user space (USER_HZ)
	boot := time.Now().Add(-time.Duration(since.Nano()))
	return boot.Add(time.Duration(p.startTime) * time.Second / ticks).Truncate(10 * time.Millisecond)
}

// SampleCPU implements attach.Sampled: see sample.CPU.
func (p *Process) SampleCPU(ctx context.Context, opt attach.CPUOptions) (*attach.CPUProfile, error) {
	if err := p.checkIdentity(); err != nil {
		return nil, err
	}
	return sample.CPU(ctx, sample.Process{PID: p.pid, Thread: p.tid, Folder: p.folder(), Name: p.Describe()}, opt)
}

// Which kind can do what.
var (
	_ interface {
		attach.Target
		attach.Stoppable
		attach.Injectable
		attach.Changeable
		attach.Dumpable
		attach.Watchable
		attach.Sampled
		attach.Connected
		attach.Accounted
		attach.Interruptible
	} = (*Process)(nil)
	_ attach.Target = (*core.Core)(nil)

	_ interface {
		attach.View
		attach.RangeReader
		attach.Writer
		attach.Injector
	} = (*stoppedView)(nil)
	_ interface {
		attach.View
		attach.Director
	} = (*snapshotView)(nil)
	_ interface {
		attach.View
		attach.RangeReader
	} = (*liveView)(nil)
	_ interface {
		attach.View
		attach.RangeReader
	} = dyingView{}
	_ interface {
		attach.View
		attach.Director
		attach.Explainer
	} = (*core.CoreView)(nil)
)
