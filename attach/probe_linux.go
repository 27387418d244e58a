package attach

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// trySeize attaches to a process's main thread for a moment, on a thread of its own that ends afterwards.
func trySeize(pid int) error {
	result := make(chan error)
	try := func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // never ends: let another thread do it
			begun := make(chan struct{})
			go func() { runtime.LockOSThread(); close(begun); result <- seizeOnce(pid) }()
			<-begun
			runtime.UnlockOSThread()
			return
		}
		result <- seizeOnce(pid)
	}
	go try()
	return <-result
}

func seizeOnce(pid int) error {
	if err := unix.PtraceSeize(pid); err != nil {
		return fmt.Errorf("PTRACE_SEIZE: %w", err)
	}
	if err := unix.PtraceInterrupt(pid); err != nil {
		return fmt.Errorf("PTRACE_INTERRUPT: %w", err)
	}
	var st unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &st, unix.WALL, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return fmt.Errorf("waiting for a stopped thread: %w", err)
		}
	}
	if err := unix.PtraceDetach(pid); err != nil {
		return fmt.Errorf("PTRACE_DETACH: %w", err)
	}
	return nil
}
