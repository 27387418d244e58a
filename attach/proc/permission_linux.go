package proc

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// ExplainPermission turns a refusal of the kernel into what is missing and what to do. The kernel's rules are in
// ptrace(2), "Ptrace access mode checking", and, for Yama, in Documentation/admin-guide/LSM/Yama.rst;
// it never says which of them refused, so they are tried here in its order.
func ExplainPermission(pid int, cause error) error {
	why, todo := permissionReason(pid)
	return fmt.Errorf("pid %d (%s) may not be read: %s (the kernel says: %v). %s: %w", pid, CommOf(pid), why, cause,
		todo, attach.ErrPermission)
}

func permissionReason(pid int) (why, todo string) {
	self, _ := ReadStatus("/proc/self/status")
	target, err := ReadStatus(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "its /proc entry can't be read (a /proc mounted with hidepid?)", "Run ri as root: sudo ri ..."
	}
	if yama, known := YamaScope(); known && yama >= 3 {
		return "Yama forbids every process to attach to another (kernel.yama.ptrace_scope = 3)",
			"That setting lasts until the next boot: set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and " +
				"reboot"
	}
	if self.CapEff&(1<<unix.CAP_SYS_PTRACE) == 0 {
		return reasonWithoutCapability(pid, self, target)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	ours, _ := os.Readlink("/proc/self/ns/user")
	switch {
	case err != nil || theirs != ours:
		return "it runs in a user namespace in which ri has no CAP_SYS_PTRACE",
			"Run ri as root on the host, or in that user namespace: nsenter -U -t " + strconv.Itoa(pid)
	case self.Seccomp != 0:
		return "ri runs under a seccomp filter, which may forbid ptrace and process_vm_readv",
			"Start ri's container with --security-opt seccomp=unconfined, or run ri on the host"
	}
	return "ri has CAP_SYS_PTRACE, so a security module refuses (SELinux: deny_ptrace; AppArmor: a profile without " +
			"ptrace; a lockdown)",
		"See dmesg or the audit log; SELinux: setsebool deny_ptrace off; Docker: --security-opt apparmor=unconfined"
}

// reasonWithoutCapability is why a ri without CAP_SYS_PTRACE may not read a process.
func reasonWithoutCapability(pid int, self, target Status) (why, todo string) {
	grant := "Run ri as root (sudo ri ...), or give it the capability: sudo setcap cap_sys_ptrace+ep $(command -v ri)"
	if InContainer() {
		grant = "Start ri's container with --cap-add SYS_PTRACE (docker run) or securityContext.capabilities.add: " +
			"[\"SYS_PTRACE\"] (Kubernetes; kubectl debug --profile=sysadmin), or run ri on the host as root"
	}
	same := func(own uint32, theirs [4]uint32) bool {
		return own == theirs[0] && own == theirs[1] && own == theirs[2]
	}
	yama, yamaKnown := YamaScope()
	switch {
	case !same(self.Uids[1], target.Uids) || !same(self.Gids[1], target.Gids):
		return fmt.Sprintf("it runs as user %s and ri as user %s, without the capability CAP_SYS_PTRACE",
			UserName(target.Uids[1]), UserName(self.Uids[1])), grant
	case yamaKnown && yama == 2:
		return "Yama allows attaching only with the capability CAP_SYS_PTRACE, which ri doesn't have " +
			"(kernel.yama.ptrace_scope = 2)", grant
	case yamaKnown && yama == 1 && !isAncestor(pid):
		return "Yama allows attaching only to one's own children, or with the capability CAP_SYS_PTRACE, which ri " +
				"doesn't have (kernel.yama.ptrace_scope = 1)",
			grant + ", or allow it for one's own processes until the next boot: sudo sysctl kernel.yama.ptrace_scope=0"
	case target.CapPrm&^self.CapPrm != 0:
		return "it holds capabilities that ri doesn't, and ri has no CAP_SYS_PTRACE", grant
	}
	return "it is marked as not dumpable, as programs are that were started with set-user-ID or file capabilities, " +
		"whose file their user can't read, or that asked for it (prctl PR_SET_DUMPABLE), and ri has no " +
		"CAP_SYS_PTRACE", grant
}

// YamaScope reads kernel.yama.ptrace_scope; ok is false where the kernel has no Yama.
func YamaScope() (scope int, ok bool) {
	data, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return 0, false
	}
	scope, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return scope, err == nil
}

// isAncestor says whether ri started pid, directly or not.
func isAncestor(pid int) bool {
	for range 64 {
		stat, err := ReadStat(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || stat.PPid <= 1 {
			return false
		}
		if stat.PPid == os.Getpid() {
			return true
		}
		pid = stat.PPid
	}
	return false
}

// InContainer guesses from what container runtimes leave behind.
func InContainer() bool {
	for _, f := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(f); err == nil {
			return true
		}
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" || os.Getenv("container") != "" {
		return true
	}
	data, _ := os.ReadFile("/proc/1/cgroup")
	for _, word := range []string{"docker", "kubepods", "containerd", "libpod", "lxc"} {
		if strings.Contains(string(data), word) {
			return true
		}
	}
	return false
}

// UserName is the name of a user with its number, or the number alone.
func UserName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(id)
	if err != nil {
		return id
	}
	return fmt.Sprintf("%s (%s)", u.Username, id)
}
