package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// Facts is what ri finds where it runs, for ri doctor. Each is tried, not guessed from a version, where that is
// possible.
type Facts struct {
	KernelRelease string // uname -r
	Machine       string // uname -m
	User          string

	CapSysPtrace     bool // effective
	EffectiveCaps    uint64
	YamaScope        int // kernel.yama.ptrace_scope, -1 where the kernel has no Yama
	Seccomp          int // mode of ri's own filter: 0 none, 2 a filter, -1 not known
	NoNewPrivs       bool
	Container        bool
	UserNamespace    bool // ri isn't in the first user namespace
	PIDNamespace     bool // ri isn't in the first pid namespace
	Kubernetes       bool
	ProcMatches      error // nil if /proc shows ri's own pid namespace
	ProcessVMReadv   error // nil if it works, on ri itself
	Ptrace           error // nil if PTRACE_SEIZE, _INTERRUPT and _DETACH work on a child
	PidfdGetfd       error // nil if it works, since Linux 5.6
	PagemapScan      error // nil if the ioctl is there, since Linux 6.7
	UserfaultfdAsync error // nil if userfaultfd can be had by ri; the target's own is another matter
}

// Capabilities tries what this machine and this user allow.
func Capabilities() Facts {
	var f Facts
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		f.KernelRelease = cString(uts.Release[:])
		f.Machine = cString(uts.Machine[:])
	}
	f.User = proc.UserName(uint32(os.Geteuid()))
	status, _ := os.ReadFile("/proc/self/status")
	st := proc.ParseStatus(status)
	f.EffectiveCaps, f.Seccomp = st.CapEff, st.Seccomp
	f.CapSysPtrace = st.CapEff&(1<<unix.CAP_SYS_PTRACE) != 0
	f.NoNewPrivs = bytes.Contains(status, []byte("NoNewPrivs:\t1"))
	f.YamaScope = -1
	if scope, ok := proc.YamaScope(); ok {
		f.YamaScope = scope
	}
	f.Container = proc.InContainer()
	f.Kubernetes = os.Getenv("KUBERNETES_SERVICE_HOST") != ""
	// The first namespaces have fixed inode numbers, linux/proc_ns.h: PROC_USER_INIT_INO, PROC_PID_INIT_INO.
	f.UserNamespace = !namespaceIs("user", "user:[4026531837]")
	f.PIDNamespace = !namespaceIs("pid", "pid:[4026531836]")
	f.ProcMatches = proc.CheckProcMount()
	f.ProcessVMReadv = probeProcessVMReadv()
	f.Ptrace = probePtrace()
	f.PidfdGetfd = probePidfdGetfd()
	f.PagemapScan = probePagemapScan()
	f.UserfaultfdAsync = probeUserfaultfd()
	return f
}

func namespaceIs(kind, first string) bool {
	link, err := os.Readlink("/proc/self/ns/" + kind)
	return err != nil || link == first
}

func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

func probeProcessVMReadv() error {
	want := [8]byte{'r', 'i', 1, 2, 3, 4, 5, 6}
	var got [8]byte
	local := []unix.Iovec{{Base: &got[0], Len: 8}}
	remote := []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&want)), Len: 8}}
	n, err := processVMReadv(os.Getpid(), local, remote)
	if err != nil {
		return fmt.Errorf("process_vm_readv: %w", err)
	}
	if n != 8 || got != want {
		return fmt.Errorf("process_vm_readv read %d of 8 bytes, or others: %w", n, attach.ErrNotSupported)
	}
	return nil
}

// probePtrace stops a child that waits for its input's end.
func probePtrace() error {
	cmd := exec.Command("/bin/sh", "-c", "read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); errors.Is(err, os.ErrNotExist) { // an image with nothing else in it
		in.Close()
		return probeTraced()
	} else if err != nil {
		return fmt.Errorf("no child to try ptrace on: %w", err)
	}
	defer func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}()
	return trySeize(cmd.Process.Pid)
}

// probeTraced has a child, which is ri itself, be traced by its own wish (PTRACE_TRACEME): it stops before it runs.
func probeTraced() error {
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("no child to try ptrace on: %w", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	return nil
}

func probePidfdGetfd() error {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	fd, err := unix.PidfdGetfd(pidfd, int(r.Fd()), 0)
	if err != nil {
		return fmt.Errorf("pidfd_getfd: %w", err)
	}
	return unix.Close(fd)
}

// probePagemapScan asks PAGEMAP_SCAN (uapi/linux/fs.h, struct pm_scan_arg) about one page of our own.
func probePagemapScan() error {
	file, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	defer file.Close()
	page := make([]byte, 2*attach.PageSize)
	page[0] = 1
	start := (uint64(uintptr(unsafe.Pointer(&page[0]))) + attach.PageSize - 1) &^ (attach.PageSize - 1)
	var regions [4]struct{ start, end, categories uint64 }
	arg := struct {
		size, flags, start, end, walkEnd, vec, vecLen, maxPages   uint64
		categoryInverted, categoryMask, categoryAnyOf, returnMask uint64
	}{
		start: start, end: start + attach.PageSize,
		vec: uint64(uintptr(unsafe.Pointer(&regions))), vecLen: uint64(len(regions)),
		categoryAnyOf: 1 << 3, returnMask: 1 << 3, // PAGE_IS_PRESENT
	}
	arg.size = uint64(unsafe.Sizeof(arg))
	// _IOWR('f', 16, struct pm_scan_arg)
	request := uintptr(3<<30 | unsafe.Sizeof(arg)<<16 | 'f'<<8 | 16)
	_, _, e := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(unsafe.Pointer(&arg)))
	if e != 0 {
		return fmt.Errorf("PAGEMAP_SCAN: %w", e)
	}
	return nil
}

// probeUserfaultfd opens a userfaultfd and asks for asynchronous write-protection (uapi/linux/userfaultfd.h,
// UFFD_FEATURE_WP_ASYNC).
func probeUserfaultfd() error {
	const featureWPAsync = 1 << 15
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|1 /* UFFD_USER_MODE_ONLY */, 0, 0)
	if e != 0 {
		return fmt.Errorf("userfaultfd: %w", e)
	}
	defer unix.Close(int(fd))
	api := struct{ api, features, ioctls uint64 }{api: 0xaa, features: featureWPAsync}
	request := uintptr(3<<30 | unsafe.Sizeof(api)<<16 | 0xaa<<8 | 0x3f) // UFFDIO_API
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&api))); e != 0 {
		return fmt.Errorf("userfaultfd with asynchronous write-protection: %w", e)
	}
	return nil
}

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
	n, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_WRITEV, uintptr(os.Getpid()), uintptr(unsafe.Pointer(&local[0])), 1,
		uintptr(unsafe.Pointer(&remote[0])), 1, 0)
	if e != 0 {
		return fmt.Errorf("process_vm_writev: %w", e)
	}
	if n != 8 || got != want {
		return fmt.Errorf("process_vm_writev wrote %d of 8 bytes, or others: %w", n, attach.ErrNotSupported)
	}
	return nil
}
