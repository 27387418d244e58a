package kernel

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Ability is what this kernel lets this caller do.
type Ability struct {
	Way    Way
	Why    string // where it isn't Multi: why not
	Todo   string // and what to do
	Kernel string
	how    dialect
}

// Way is how probes are armed.
type Way uint8

const (
	None  Way = iota
	Perf      // one perf event a place: few places, slow to go away
	Multi     // one uprobe_multi link
)

func (a Ability) refusal() error {
	return fmt.Errorf("%s. %s: %w", a.Why, a.Todo, ErrUnable)
}

// Switch is the environment variable that narrows how probes are armed, for tests and for whoever distrusts one of the
// ways: "multi" never falls back to perf events, "perf" takes nothing else, "off" arms none.
const Switch = "RI_PROBES"

// Able tries what this kernel lets this caller do. It takes some milliseconds once, and touches no process but ri's
// own.
func Able() Ability { return able() }

var able = sync.OnceValue(func() Ability {
	a := Ability{Kernel: release()}
	version := versionOf(a.Kernel)
	only := os.Getenv(Switch)
	switch only {
	case "", "multi", "perf":
	case "off":
		a.Why, a.Todo = Switch+"=off is set", "Unset it"
		return a
	default:
		a.Why, a.Todo = fmt.Sprintf("%s is set to %q", Switch, only), "It can be multi, perf or off"
		return a
	}
	if runtime.GOARCH != "amd64" {
		a.Why, a.Todo = "probes know the registers of amd64 only", "Trace a program on such a machine"
		return a
	}
	// A program that does nothing is the first that is tried: what stands in the way of that stands in the way of all.
	nothing := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	plain, err := ebpf.NewProgram(programSpec(nothing, dialect{}, Perf))
	if err != nil {
		a.Why, a.Todo = whyNoBPF(err, version)
		return a
	}
	plain.Close()
	try := func(how dialect, way Way, code asm.Instructions) bool {
		p, err := ebpf.NewProgramWithOptions(programSpec(code, how, way), ebpf.ProgramOptions{LogDisabled: true})
		if err != nil {
			return false
		}
		p.Close()
		return true
	}
	withCookie := append(asm.Instructions{asm.FnGetAttachCookie.Call()}, nothing...)
	a.how.cookies = try(dialect{}, Perf, withCookie)
	a.how.sleepable = try(dialect{sleepable: true}, Perf, nothing)
	if only == "perf" {
		a.Why = Switch + "=perf is set, so uprobe_multi links weren't tried"
	} else if err := selfTest(a.how); err == nil {
		a.Way = Multi
		return a
	} else {
		a.Why = fmt.Sprintf("uprobe_multi links don't work here: %v", err)
	}
	if only == "multi" {
		a.Todo = "Unset " + Switch + ", which is multi, for the way that is left (perf events), or use Linux 6.10 or later"
		return a
	}
	if capable(unix.CAP_SYS_ADMIN) {
		a.Way = Perf
		a.Todo = "With Linux 6.10 or later any number of places can be probed; here some ten are"
		return a
	}
	a.Todo = "Run ri as root: the way that is left, perf events, needs CAP_SYS_ADMIN"
	return a
})

func release() string {
	var u unix.Utsname
	unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

// versionOf is a kernel's version as one number: major*1000+minor.
func versionOf(release string) int {
	var major, minor int
	fmt.Sscanf(release, "%d.%d", &major, &minor)
	return major*1000 + minor
}

// capable says whether ri has a capability in its effective set.
func capable(c int) bool {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			v, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return v&(1<<c) != 0
		}
	}
	return false
}

// whyNoBPF says what the kernel has against BPF programs, in the order in which it asks (kernel/bpf/syscall.c).
func whyNoBPF(cause error, version int) (why, todo string) {
	bpf, perfmon, admin := capable(unix.CAP_BPF), capable(unix.CAP_PERFMON), capable(unix.CAP_SYS_ADMIN)
	switch {
	case errors.Is(cause, unix.ENOSYS):
		return "this kernel was built without BPF", "Look with ri run, which needs none, or use another kernel"
	case version < 5008:
		return fmt.Sprintf("this kernel (%s) is older than Linux 5.8", release()),
			"Look with ri run, which needs no probes, or use a later kernel"
	case !admin && !(bpf && perfmon):
		lack := "CAP_BPF and CAP_PERFMON"
		if bpf {
			lack = "CAP_PERFMON"
		} else if perfmon {
			lack = "CAP_BPF"
		}
		more := ""
		if data, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"); err == nil {
			more = fmt.Sprintf(" (kernel.unprivileged_bpf_disabled = %s; it wouldn't suffice for probes at 0)",
				strings.TrimSpace(string(data)))
		}
		return "ri lacks " + lack + more, "Run ri as root (sudo ri ...), or give it the capabilities: " +
			"sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep $(command -v ri); a container: --cap-add BPF --cap-add PERFMON " +
			"--cap-add SYS_PTRACE"
	case lockdown() == "confidentiality":
		return "the kernel is locked down (confidentiality), which forbids reading with BPF",
			"See /sys/kernel/security/lockdown: it is set at boot (lockdown=integrity would do)"
	case seccomp():
		return "ri runs under a seccomp filter, which may forbid bpf(2)",
			"Start ri's container with --security-opt seccomp=unconfined, or run ri on the host"
	}
	return fmt.Sprintf("the kernel refuses BPF programs (%v) though ri has the capabilities: a security module may",
		cause), "See dmesg or the audit log (SELinux: bpf; AppArmor; systemd's RestrictNamespaces or SystemCallFilter)"
}

func lockdown() string {
	data, _ := os.ReadFile("/sys/kernel/security/lockdown")
	_, rest, _ := strings.Cut(string(data), "[")
	mode, _, _ := strings.Cut(rest, "]")
	return mode
}

func seccomp() bool {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(mode) != "0"
		}
	}
	return false
}

// Check says whether this caller may probe this process: it must be one that it could trace. The capabilities for BPF
// alone reach all processes, so the kernel is asked as ptrace asks, by reading where no memory is: process_vm_readv
// checks the right first (mm/process_vm_access.c, PTRACE_MODE_ATTACH_REALCREDS).
func Check(pid int) error {
	var b [1]byte
	local := []unix.Iovec{{Base: &b[0], Len: 1}}
	_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: 0, Len: 1}}, 0)
	switch {
	case err == nil || errors.Is(err, unix.EFAULT):
		return nil
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	return fmt.Errorf("pid %d: %w (the kernel says: %w). Run ri as its user, or with CAP_SYS_PTRACE", pid, ErrNotYours,
		err)
}

// checkWarnings refuses where a warning of the kernel would be its end: uprobe_register has made ext4 warn.
func checkWarnings(anyway bool) error {
	data, _ := os.ReadFile("/proc/sys/kernel/panic_on_warn")
	if strings.TrimSpace(string(data)) != "1" || anyway {
		return nil
	}
	return fmt.Errorf("%w, and arming probes has made some kernels warn. Set kernel.panic_on_warn to 0 meanwhile, or ask "+
		"for it by name", ErrPanics)
}
