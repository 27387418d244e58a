//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
	"ri/attach/targettest"
	"ri/symbols/testprogram"
)

func TestNoProcess(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(cmd.Process.Pid)
	targettest.Refused(t, err, attach.ErrNoProcess, fmt.Sprint(cmd.Process.Pid), "ri ps")
	_, err = Open(-3)
	targettest.Refused(t, err, attach.ErrNoProcess, "-3")
	_, err = Open(0)
	targettest.Refused(t, err, attach.ErrNoProcess)
	_, err = Open(os.Getpid())
	targettest.Refused(t, err, attach.ErrNotSupported, "itself")
	_, err = Open(2) // kthreadd, or in a container some process that is one
	if _, e := os.Readlink("/proc/2/exe"); errors.Is(e, os.ErrNotExist) {
		targettest.Refused(t, err, attach.ErrNotSupported, "kernel thread")
	}
}

func TestThreadID(t *testing.T) {
	p := targettest.Start(t)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == fmt.Sprint(p.PID) {
			continue
		}
		var tid int
		fmt.Sscan(e.Name(), &tid)
		_, err := Open(tid)
		targettest.Refused(t, err, attach.ErrNoProcess, "thread of pid", fmt.Sprintf("-p %d", p.PID))
		return
	}
	t.Fatal("the target has one thread only")
}

func TestZombie(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	var info unix.Siginfo // returns when it has ended, and leaves it a zombie
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	_, err := Open(cmd.Process.Pid)
	targettest.Refused(t, err, attach.ErrZombie, "dead", fmt.Sprint(os.Getpid()))
}

// inChild runs a part of this test program as another user, or under other rules.
func inChild(t *testing.T, name string, attr *syscall.SysProcAttr, args ...string) string {
	t.Helper()
	self := filepath.Join(targettest.TestDir(t), "self")
	if _, err := os.Stat(self); err != nil {
		data, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(self, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), "ATTACH_TEST_CHILD="+name, "ATTACH_TEST_ARGS="+strings.Join(args, " "))
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// child is what such a part does; it prints what happened.
func child(name, args string) {
	var pid int
	fmt.Sscan(args, &pid)
	switch name {
	case "inject":
		injectChild(args)
	case "open":
		target, err := Open(pid)
		if err == nil {
			_, err = target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped})
		}
		fmt.Println(errors.Is(err, attach.ErrPermission), err)
	case "list":
		list, err := proc.List()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(list.Unreadable) > 0, list.Advice())
	case "facts":
		f := Capabilities()
		fmt.Println(f.CapSysPtrace, f.Ptrace)
	case "precopy": // copy a process again and again until killed
		target, err := Open(pid)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("holding")
		for {
			v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, Bulk: true,
				Precopy: true, MaxStop: time.Minute})
			if err != nil {
				fmt.Println(err)
				return
			}
			v.(*snapshotView).Discard()
		}
	case "hold": // stop a process again and again until killed
		target, err := Open(pid)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("holding")
		for {
			v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped})
			if err != nil {
				fmt.Println(err)
				return
			}
			v.Close()
		}
	case "trace": // hold a process until stdin ends
		target, err := Open(pid)
		if err != nil {
			fmt.Println(err)
			return
		}
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Hour})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("holding")
		io.Copy(io.Discard, os.Stdin)
		v.Close()
	}
}

func nobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: os.Getuid() != 0}}
}

// TestPermission looks as another user at a process. Without root there is no other user, so it looks at one that root
// owns: pid 1.
func TestPermission(t *testing.T) {
	if os.Getuid() != 0 {
		_, err := Open(1)
		targettest.Refused(t, err, attach.ErrPermission, "runs as user root", "CAP_SYS_PTRACE")
		return
	}
	p := targettest.Start(t)
	out := inChild(t, "open", nobody(), fmt.Sprint(p.PID))
	for _, w := range []string{"true", fmt.Sprint("pid ", p.PID), "runs as user root (0)", "65534", "CAP_SYS_PTRACE",
		"root"} {
		if !strings.Contains(out, w) {
			t.Errorf("%q does not say %q", out, w)
		}
	}
	if out := inChild(t, "list", nobody()); !strings.HasPrefix(out, "true ") ||
		!strings.Contains(out, "CAP_SYS_PTRACE") {
		t.Errorf("the unreadable processes are not reported: %s", out)
	}
	if out := inChild(t, "facts", nobody()); !strings.HasPrefix(out, "false ") {
		t.Errorf("the missing capability is not reported: %s", out)
	}
}

// TestNotDumpable looks at a process of the same user that may not be read: its file isn't readable for that user.
func TestNotDumpable(t *testing.T) {
	if os.Getuid() != 0 {
		// No other user to be: a process may always read itself, but not after it says so.
		if err := proc.ExplainPermission(os.Getpid(), nil); !strings.Contains(err.Error(), "may not be read: ") {
			t.Error(err)
		}
		return
	}
	data, err := os.ReadFile(targettest.Build(t, "target"))
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(targettest.TestDir(t), "unreadable")
	if err := os.WriteFile(exe, data, 0o711); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.SysProcAttr = nobody()
	p := targettest.StartCmd(t, cmd)
	out := inChild(t, "open", nobody(), fmt.Sprint(p.PID))
	for _, w := range []string{"true", "not dumpable", "CAP_SYS_PTRACE"} {
		if !strings.Contains(out, w) {
			t.Errorf("%q does not say %q", out, w)
		}
	}
}

// TestSameUser needs no privilege at all, unless Yama says otherwise.
func TestSameUser(t *testing.T) {
	if scope, ok := proc.YamaScope(); ok && scope > 0 || os.Getuid() != 0 {
		open(t, targettest.Start(t).PID)
		return
	}
	cmd := exec.Command(targettest.Build(t, "target"))
	cmd.SysProcAttr = nobody()
	p := targettest.StartCmd(t, cmd)
	if out := inChild(t, "open", nobody(), fmt.Sprint(p.PID)); !strings.HasPrefix(out, "false <nil>") {
		t.Error(out)
	}
	p.GoesOn()
}

// holder starts another process that holds a target, until its input is closed.
func holder(t *testing.T, pid int, what string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "ATTACH_TEST_CHILD="+what, fmt.Sprint("ATTACH_TEST_ARGS=", pid))
	in, out := testprogram.Run(t, cmd)
	if line, _ := out.ReadString('\n'); line != "holding\n" {
		t.Fatal(line)
	}
	return cmd, in
}

// tally grants all, and counts.
type tally struct{ took time.Duration }

func (a *tally) May(wish time.Duration) (time.Duration, error) { return wish, nil }
func (a *tally) Took(d time.Duration)                          { a.took += d }

func TestTraced(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	cmd, in := holder(t, p.PID, "trace")
	_, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped})
	targettest.Refused(t, err, attach.ErrTraced, fmt.Sprint("pid ", cmd.Process.Pid), "--view live")
	targettest.Refused(t, target.CheckStop(), attach.ErrTraced)
	told := tally{}
	AccountTo(&told)
	t.Cleanup(func() { AccountTo(nil) })
	var cost attach.Stats // as if the other had come after it was looked whether there is one
	err = target.inStop(context.Background(), time.Second, &cost, func(*tracer) error { return nil })
	targettest.Refused(t, err, attach.ErrTraced)
	if cost.Stopped > time.Minute || told.took < 0 || told.took > time.Minute {
		t.Errorf("nothing was stopped, and that took %v, or %v by the accounts", cost.Stopped, told.took)
	}

	again := open(t, p.PID) // opens all the same
	v, err := again.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	buf := make([]byte, 4096)
	if _, err := v.ReadMemory(buf, p.Address); err != nil {
		t.Error(err)
	}
	targettest.CheckPattern(t, buf, 0)
	list, err := proc.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list.Go {
		if g.PID == p.PID && g.Tracer != cmd.Process.Pid {
			t.Errorf("the list says it is traced by %d, want %d", g.Tracer, cmd.Process.Pid)
		}
	}
	in.Close()
	cmd.Wait()
	p.GoesOn()
	if err := target.CheckStop(); err != nil {
		t.Error(err)
	}
}

func TestTracedByOurselves(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	_, err = target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped})
	targettest.Refused(t, err, attach.ErrTraced, "another view of this ri")
}

func TestExits(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	live, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	p.Cmd.Process.Kill()
	<-stopped.Done()
	if !errors.Is(stopped.Err(), attach.ErrExited) {
		t.Error(stopped.Err())
	}
	_, err = stopped.ReadMemory(make([]byte, 8), p.Address)
	targettest.Refused(t, err, attach.ErrExited)
	stopped.Close()
	p.Cmd.Wait()
	_, err = live.ReadMemory(make([]byte, 8), p.Address)
	targettest.Refused(t, err, attach.ErrExited)
	<-live.Done()
	_, err = target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped})
	targettest.Refused(t, err, attach.ErrExited)
	_, err = target.Mappings()
	targettest.Refused(t, err, attach.ErrExited)
}

func TestExec(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	p.Ask("exec") // the next program answers, when it is ready
	_, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped})
	targettest.Refused(t, err, attach.ErrExited, "exec")
	_, err = target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	targettest.Refused(t, err, attach.ErrExited, "exec")
}

func Test32Bit(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "target386")
	cmd := exec.Command("go", "build", "-o", exe, targettest.Programs+"target")
	cmd.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	targettest.Refused(t, checkExecutable(f), attach.ErrNotSupported, "32-bit")
	run := exec.Command(exe)
	in, _ := run.StdinPipe()
	if err := run.Start(); err != nil { // a kernel without 32-bit programs
		return
	}
	defer func() { in.Close(); run.Process.Kill(); run.Wait() }()
	_, err = Open(run.Process.Pid)
	targettest.Refused(t, err, attach.ErrNotSupported, "32-bit", fmt.Sprint(run.Process.Pid))
}
