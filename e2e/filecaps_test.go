package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFileCapabilities: an ordinary user's ri may have what it needs from its file (setcap), and no more. The kernel
// then keeps some of /proc/self from it, which commands have to do without.
func TestFileCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("capabilities are given to a file by root")
	}
	dir, err := os.MkdirTemp(bin, "filecaps")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(filepath.Join(bin, "ri"))
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "ri")
	if err := os.WriteFile(exe, code, 0o755); err != nil {
		t.Fatal(err)
	}
	giveCapabilities(t, exe, unix.CAP_BPF, unix.CAP_PERFMON)
	ordinary := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	target, err := buildTarget("local")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(target, "-objects", "10")
	cmd.SysProcAttr = ordinary
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	core, recording := filepath.Join(dir, "core"), filepath.Join(dir, "recording")
	for _, c := range []struct{ args, says string }{
		{"check", "nothing found"},
		{"trace main.(*Heartbeat).tick --limit 3 --budget 100%", "ended: 3 hits"},
		{"record streams --all --payload --for 100ms -o " + recording, "read it before it is sent"},
		{"core -o " + core, "are stored"},
	} {
		name, rest, _ := strings.Cut(c.args, " ")
		args := append([]string{name}, strings.Fields(rest)...)
		at := 1
		if strings.HasPrefix(rest, "streams") {
			at = 2
		}
		args = append(args[:at:at], append([]string{"-p", fmt.Sprint(p.pid)}, args[at:]...)...)
		cmd := exec.Command(exe, unhurried(args)...)
		cmd.SysProcAttr, cmd.Dir = ordinary, dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME=", "XDG_STATE_HOME=", "XDG_CONFIG_HOME=")
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
			t.Log(string(out))
			continue
		}
		if err != nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
	}
	cmd = exec.Command(exe, "run", "goroutines", "-c", core)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "main.(*Heartbeat).run") {
		t.Errorf("the core: %v\n%s", err, out)
	}
}

// giveCapabilities has a file give capabilities to who executes it (struct vfs_cap_data of linux/capability.h, revision
// 2: a word of flags, then 32 permitted and 32 inheritable ones, and those above 31).
func giveCapabilities(t *testing.T, path string, list ...int) {
	t.Helper()
	const revision2, effective = 0x02000000, 1
	var permitted uint64
	for _, c := range list {
		permitted |= 1 << c
	}
	data := make([]byte, 20)
	binary.LittleEndian.PutUint32(data, revision2|effective)
	binary.LittleEndian.PutUint32(data[4:], uint32(permitted))
	binary.LittleEndian.PutUint32(data[12:], uint32(permitted>>32))
	if err := unix.Setxattr(path, "security.capability", data, 0); err != nil {
		t.Fatal(err)
	}
}
