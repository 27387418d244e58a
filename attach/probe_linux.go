package attach

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

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

// ProbeWrite tries process_vm_writev on ri itself.
func ProbeWrite() error {
	want, got := [8]byte{'r', 'i', 8, 7, 6, 5, 4, 3}, [8]byte{}
	local := []unix.Iovec{{Base: &want[0], Len: 8}}
	remote := []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&got)), Len: 8}}
	n, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_WRITEV, uintptr(os.Getpid()), uintptr(unsafe.Pointer(&local[0])), 1, uintptr(unsafe.Pointer(&remote[0])), 1, 0)
	if e != 0 {
		return fmt.Errorf("process_vm_writev: %w", e)
	}
	if n != 8 || got != want {
		return fmt.Errorf("process_vm_writev wrote %d of 8 bytes, or others: %w", n, ErrNotSupported)
	}
	return nil
}
