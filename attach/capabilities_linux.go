package attach

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Facts is what ri finds where it runs, for ri doctor. Each is tried, not guessed from a version, where that is possible.
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
	f.User = userName(uint32(os.Geteuid()))
	status, _ := os.ReadFile("/proc/self/status")
	st := parseStatus(status)
	f.EffectiveCaps, f.Seccomp = st.CapEff, st.Seccomp
	f.CapSysPtrace = st.CapEff&(1<<unix.CAP_SYS_PTRACE) != 0
	f.NoNewPrivs = bytes.Contains(status, []byte("NoNewPrivs:\t1"))
	f.YamaScope = -1
	if scope, ok := yamaScope(); ok {
		f.YamaScope = scope
	}
	f.Container = inContainer()
	f.Kubernetes = os.Getenv("KUBERNETES_SERVICE_HOST") != ""
	// The first namespaces have fixed inode numbers, linux/proc_ns.h: PROC_USER_INIT_INO, PROC_PID_INIT_INO.
	f.UserNamespace = !namespaceIs("user", "user:[4026531837]")
	f.PIDNamespace = !namespaceIs("pid", "pid:[4026531836]")
	f.ProcMatches = checkProcMount()
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
		return fmt.Errorf("process_vm_readv read %d of 8 bytes, or others: %w", n, ErrNotSupported)
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
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("no child to try ptrace on: %w", err)
	}
	defer func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}()
	return trySeize(cmd.Process.Pid)
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
	page := make([]byte, 2*PageSize)
	page[0] = 1
	start := (uint64(uintptr(unsafe.Pointer(&page[0]))) + PageSize - 1) &^ (PageSize - 1)
	var regions [4]struct{ start, end, categories uint64 }
	arg := struct {
		size, flags, start, end, walkEnd, vec, vecLen, maxPages   uint64
		categoryInverted, categoryMask, categoryAnyOf, returnMask uint64
	}{
		start: start, end: start + PageSize,
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

// probeUserfaultfd opens a userfaultfd and asks for asynchronous write-protection (uapi/linux/userfaultfd.h, UFFD_FEATURE_WP_ASYNC).
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

// Missing says in words what ri can't do here, and what to do about it; empty if nothing is missing.
func (f *Facts) Missing() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if f.ProcMatches != nil {
		add("%v", f.ProcMatches)
	}
	if f.ProcessVMReadv != nil {
		add("memory is read through /proc/PID/mem, slower: %v", f.ProcessVMReadv)
	}
	if f.Ptrace != nil {
		add("no process can be stopped (%v); --view live works without: %s", f.Ptrace, "run as root, or in a container with --cap-add SYS_PTRACE and a seccomp profile that allows ptrace")
	}
	grant := "sudo ri ..., or sudo setcap cap_sys_ptrace+ep $(command -v ri)"
	if f.Kubernetes {
		grant = "a debug container: kubectl debug -it POD --image=IMAGE --target=CONTAINER --profile=sysadmin"
	} else if f.Container {
		grant = "start the container with --cap-add SYS_PTRACE --pid=container:NAME"
	}
	switch {
	case f.YamaScope >= 3:
		add("kernel.yama.ptrace_scope is %d: nobody may attach to any process until the next boot with a lower setting in /etc/sysctl.d", f.YamaScope)
	case f.CapSysPtrace:
	case f.YamaScope >= 1:
		add("kernel.yama.ptrace_scope is %d, and ri has no CAP_SYS_PTRACE: only ri's own children can be read. %s", f.YamaScope, grant)
	default:
		add("without CAP_SYS_PTRACE only processes of the user %s can be read. For others: %s", f.User, grant)
	}
	if f.PidfdGetfd != nil {
		add("connections of a process can't be reset: %v (Linux 5.6 has it)", f.PidfdGetfd)
	}
	if f.PagemapScan != nil || f.UserfaultfdAsync != nil {
		var why []string
		for _, err := range []error{f.PagemapScan, f.UserfaultfdAsync} {
			if err != nil {
				why = append(why, err.Error())
			}
		}
		add("copies of whole heaps are made in the stop and not before it: %s (Linux 6.7 has it)", strings.Join(why, "; "))
	}
	return out
}
