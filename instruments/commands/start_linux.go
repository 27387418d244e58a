package commands

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ri/inert"
)

// started is a program that was started, and stands before its first instruction until it is let run.
type started struct {
	cmd *exec.Cmd
	pid int
}

// startStopped starts a program and stops it before its first instruction. The kernel stops what is traced when it
// executes; it is let go at once with SIGSTOP, so that nobody traces it, and it still stands.
func startStopped(command []string) (*started, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = os.Stdin
	cmd.Stdout = inert.NewWriter(os.Stderr)
	cmd.Stderr = cmd.Stdout     // the same writer: the program's lines keep their order
	cmd.WaitDelay = time.Second // its children may hold the pipe
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	// Who traces is a thread: it must be the one that started the program.
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: Pdeathsig goes by the thread that started it, too
		failed <- startHere(cmd)
		select {}
	}()
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("%s: %w", command[0], err)
	}
	return &started{cmd, cmd.Process.Pid}, nil
}

func startHere(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, 0, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("it ended before its first instruction")
	}
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(cmd.Process.Pid), 0,
		uintptr(unix.SIGSTOP), 0, 0); errno != 0 {
		cmd.Process.Kill()
		return errno
	}
	return nil
}

// boot is what the runtime's own randomness begins with: the 16 bytes that AT_RANDOM of the auxiliary vector leads to
// (getauxval(3)), while it stands before its first instruction.
func (s *started) boot() ([]byte, error) {
	const atRandom = 25 // include/uapi/linux/auxvec.h
	vector, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", s.pid))
	if err != nil {
		return nil, err
	}
	for ; len(vector) >= 16; vector = vector[16:] {
		if binary.NativeEndian.Uint64(vector) != atRandom {
			continue
		}
		memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", s.pid))
		if err != nil {
			return nil, err
		}
		defer memory.Close()
		b := make([]byte, 16)
		_, err = memory.ReadAt(b, int64(binary.NativeEndian.Uint64(vector[8:])))
		return b, err
	}
	return nil, nil
}

// run lets it run. It may be called of nothing.
func (s *started) run() {
	if s != nil {
		unix.Kill(s.pid, unix.SIGCONT)
	}
}

// end ends it, and waits.
func (s *started) end() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	unix.Kill(s.pid, unix.SIGCONT)
	s.cmd.Wait()
}

// ask asks it to end.
func (s *started) ask() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	unix.Kill(s.pid, unix.SIGCONT)
}

// exitCode is how a program ended, as a shell says it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
