//go:build linux && amd64

package sandbox

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// Answers are what the program gets instead of the kernel's clock and randomness. They are asked by one goroutine.
type Answers struct {
	// Now is CLOCK_REALTIME, nanoseconds since 1970. nil: the kernel's.
	Now func() int64
	// Random fills what the program asked for, with these flags of getrandom(2). nil: the kernel's.
	Random func(p []byte, flags uint64)
	// Boot is AT_RANDOM: what the runtime's own randomness begins with. nil: the kernel's.
	Boot *[16]byte
	// PID is which process the program is, or who runs it. 0: any.
	PID int
	// Elsewhere gives the port at which somebody that the program dials is found in place of the one that it knows. nil:
	// nobody is.
	Elsewhere func(network string, address netip.AddrPort) (port uint16, ok bool)
}

// Program is a program that runs inside.
type Program struct {
	// Ended is closed when what was started (the program, or what runs it) has ended; then Exit is set.
	Ended chan struct{}
	Exit  int // exit code; 128 + signal

	cmd   *exec.Cmd
	exe   [2]uint64 // device and inode of the executable
	pid   atomic.Int64
	asked atomic.Uint64 // how often the clock or randomness was asked for
	fails atomic.Pointer[error]

	refused atomic.Uint64

	threads map[int]bool // which threads are the program's: the answering goroutine's
}

// Run starts cmd, which is the program at path, or something that will execute it (a debugger). Only the program gets
// answers, whoever executes it; what runs it does not.
func Run(cmd *exec.Cmd, path string, answers Answers) (*Program, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p := &Program{Ended: make(chan struct{}), cmd: cmd, exe: [2]uint64{st.Dev, st.Ino},
		threads: map[int]bool{}}
	started := make(chan error)
	go func() {
		// The filter is the thread's, and what it starts inherits it. The thread ends with this goroutine.
		runtime.LockOSThread()
		started <- p.startHere(answers)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
			if p.Exit = status.ExitStatus(); status.Signaled() {
				p.Exit = 128 + int(status.Signal())
			}
		}
		close(p.Ended)
	}()
	return p, nil
}

func (p *Program) startHere(answers Answers) error {
	listener, err := installFilter(answers.Random != nil)
	if err != nil {
		return fmt.Errorf("a seccomp filter that asks us (Linux 5.9 or later is needed): %w", err)
	}
	go p.answer(listener, answers)
	if lastPID != nil && answers.PID > 1 {
		os.FindProcess(os.Getpid()) // has package os look what it can do, for which it starts a process
		fmt.Fprint(lastPID, answers.PID-1)
	}
	return p.cmd.Start()
}

// PID is the program's process, 0 before it was executed.
func (p *Program) PID() int { return int(p.pid.Load()) }

// Asked is how often the program asked for the time or for random bytes.
func (p *Program) Asked() uint64 { return p.asked.Load() }

// Refused is how often something inside wanted to reach a Unix socket outside, and couldn't.
func (p *Program) Refused() uint64 { return p.refused.Load() }

// Err is why the program's clock and randomness aren't those of the answers, or nil.
func (p *Program) Err() error {
	if e := p.fails.Load(); e != nil {
		return *e
	}
	return nil
}

// Signal sends the program a signal; before it was executed, what runs it.
func (p *Program) Signal(sig unix.Signal) error {
	pid := p.PID()
	if pid == 0 {
		pid = p.cmd.Process.Pid
	}
	return unix.Kill(pid, sig)
}

// Listening gives the addresses at which the program listens, as net.Addr prints them. Nothing is dialled for it.
func (p *Program) Listening() (addresses []string) {
	all, _ := p.sockets()
	for _, s := range all {
		if s.State == "LISTEN" || strings.HasPrefix(s.Protocol, "udp") && s.Remote == "" {
			addresses = append(addresses, strings.TrimSuffix(s.Protocol, "6")+" "+s.Local)
		}
	}
	return addresses
}

func (p *Program) sockets() (all []*attach.Socket, err error) {
	pid := p.PID()
	if pid == 0 {
		return nil, nil
	}
	open, err := proc.ReadDescriptors(fmt.Sprintf("/proc/%d", pid))
	for _, d := range open {
		if d.Socket != nil {
			all = append(all, d.Socket)
		}
	}
	return all, err
}

// Activity is a look at all threads in here but our own.
type Activity struct {
	Runs     bool   // one runs, waits for a disk, or is held by a debugger
	Held     bool   // a debugger holds one, or it is stopped
	Switches uint64 // how often they began to run; two looks with the same number saw the same sleep
}

// Activity looks at the threads of all processes inside.
func (p *Program) Activity() (a Activity) {
	self := os.Getpid()
	for _, pid := range numbers("/proc") {
		if pid == self {
			continue
		}
		for _, tid := range numbers(fmt.Sprintf("/proc/%d/task", pid)) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
			if err != nil {
				continue // gone
			}
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(line, ":")
				value = strings.TrimSpace(value)
				switch name {
				case "State":
					a.Runs = a.Runs || strings.ContainsRune("RDTt", rune(value[0]))
					a.Held = a.Held || strings.ContainsRune("Tt", rune(value[0]))
				case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
					n, _ := strconv.ParseUint(value, 10, 64)
					a.Switches += n
				}
			}
		}
	}
	return a
}

func numbers(folder string) (all []int) {
	f, err := os.Open(folder)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			all = append(all, n)
		}
	}
	return all
}
