package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ri/symbols/testprogram"
)

// TestMain is also what a test runs as another user: it says what it may do to a process.
func TestMain(m *testing.M) {
	if pid := os.Getenv("KERNEL_TEST_CHECK"); pid != "" {
		n, _ := strconv.Atoi(pid)
		able := Able()
		err := Check(n)
		os.Stdout.WriteString(able.Why + "\n" + able.Todo + "\n")
		if errors.Is(err, ErrNotYours) {
			os.Stdout.WriteString("not yours\n")
		}
		os.Exit(0)
	}
	if os.Getenv("KERNEL_TEST_ARM") != "" {
		fmt.Fprintln(os.Stderr, armUntilKilled())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Capabilities for BPF reach any process; who may not trace one is refused all the same.
func TestNotYours(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	c := start(t, testprogram.Variant{})
	if err := Check(c.pid); err != nil {
		t.Fatal(err)
	}
	exe := t.TempDir() + "/test"
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(exe, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := openDirs(exe); err != nil {
		t.Fatal(err)
	}
	run := func(caps ...uintptr) string {
		cmd := exec.Command(exe)
		cmd.Dir = "/"
		cmd.Env = []string{fmt.Sprint("KERNEL_TEST_CHECK=", c.pid)}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := run(); !strings.Contains(out, "not yours") || !strings.Contains(out, "lacks CAP_BPF and CAP_PERFMON") {
		t.Errorf("without capabilities: %s", out)
	}
	if out := run(unix.CAP_BPF); !strings.Contains(out, "not yours") || !strings.Contains(out, "lacks CAP_PERFMON") {
		t.Errorf("with CAP_BPF: %s", out)
	}
	if out := run(unix.CAP_BPF, unix.CAP_PERFMON); strings.TrimSpace(out) != "not yours" {
		t.Errorf("with both capabilities: %s", out)
	}
	if out := run(unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_PTRACE); strings.TrimSpace(out) != "" {
		t.Errorf("with CAP_SYS_PTRACE too: %s", out)
	}
}

// openDirs lets other users reach a file in a test's folder.
func openDirs(path string) error {
	for dir := path; ; {
		i := strings.LastIndexByte(dir, '/')
		if dir = dir[:i]; dir == os.TempDir() || dir == "" {
			return nil
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
}

func TestGone(t *testing.T) {
	needs(t)
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if err := Check(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}
