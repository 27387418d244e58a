//go:build amd64

package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/elfwriter"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/native"
	"golang.org/x/sys/unix"

	"ri/arch"
	"ri/attach"
	"ri/attach/core"
	"ri/attach/targettest"
)

// gcore has gdb write a core of a running target.
func gcore(t *testing.T, pid int) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "core")
	cmd := exec.Command("gcore", "-o", out, fmt.Sprint(pid))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcore (Debian: apt install gdb): %v\n%s", err, msg)
	}
	return fmt.Sprintf("%s.%d", out, pid)
}

// dlvDump writes a core as dlv's command dump does.
func dlvDump(t *testing.T, pid int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core")
	group, err := native.Attach(pid, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var state proc.DumpState
	state.Dumping = true
	group.Selected.Dump(elfwriter.WriteCloserSeeker(file), 0, &state)
	if state.Err != nil {
		t.Fatal(state.Err)
	}
	if err := group.Detach(false); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCore(t *testing.T) {
	for name, write := range map[string]func(*testing.T, int) string{"gcore": gcore, "dlv": dlvDump} {
		for _, flag := range []string{"-buildmode=exe", "-buildmode=pie"} {
			t.Run(name+flag, func(t *testing.T) {
				p := targettest.StartCmd(t, exec.Command(targettest.Build(t, "target", flag), "-threads", "3"))
				path := write(t, p.PID)
				p.GoesOn()
				exe := ""
				if name == "dlv" { // its cores don't say
					exe = p.Cmd.Path
					_, err := core.Open(path, "")
					targettest.Refused(t, err, core.ErrNoExecutable, "--exe")
				}
				target, err := core.Open(path, exe)
				if err != nil {
					t.Fatal(err)
				}
				defer target.Close()
				auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", p.PID))
				if err != nil {
					t.Fatal(err)
				}
				entry, _ := core.AuxvValue(auxv, core.AuxEntry)
				if target.PID() != p.PID || target.Entry() != entry || target.ExecutablePath() != p.Cmd.Path ||
					!strings.Contains(target.Describe(), fmt.Sprintf("of pid %d (target", p.PID)) {
					t.Error(target.PID(), target.Entry(), target.ExecutablePath(), target.Describe())
				}
				checkCore(t, p, target)
				if maps, err := target.Mappings(); err != nil || len(maps) < 5 {
					t.Error(maps, err)
				}
				_, err = core.Open(path, "/bin/sh")
				targettest.Refused(t, err, core.ErrNoExecutable, "--exe")
			})
		}
	}
}

func checkCore(t *testing.T, p *targettest.Program, target attach.Target) {
	t.Helper()
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	if v.Kind() != attach.Stopped || len(v.Threads()) < 3 {
		t.Error(v.Kind(), len(v.Threads()))
	}
	buf := make([]byte, p.Size)
	if n, err := v.ReadMemory(buf, p.Address); n != p.Size || err != nil {
		t.Fatal(n, err)
	}
	targettest.CheckPattern(t, buf, 0)
	// All of the text, from wherever it comes.
	segments, entry, err := core.ReadExecutable(target.Executable())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if s.Write {
			continue
		}
		got, want := make([]byte, s.FileSize), make([]byte, s.FileSize)
		target.Executable().ReadAt(want, int64(s.Offset))
		if _, err := v.ReadMemory(got, s.Addr+target.Entry()-entry); err != nil || !sameCode(got, want) {
			t.Errorf("segment %#x: %v", s.Addr, err)
		}
	}
	for _, th := range v.Threads() {
		if th.ID <= 0 || th.Regs.TLS() == 0 {
			t.Errorf("%+v", th)
		}
		var b [16]byte
		if _, err := v.ReadMemory(b[:], th.Regs.SP()); err != nil {
			t.Errorf("stack of thread %d: %v", th.ID, err)
		}
		if _, err := v.ReadMemory(b[:1], th.Regs.PC()); err != nil {
			t.Errorf("pc of thread %d: %v", th.ID, err)
		}
	}
	_, err = v.ReadMemory(make([]byte, 8), 0x18)
	targettest.Refused(t, err, attach.ErrNotMapped, "0x18")
	v.Close()
	_, err = v.ReadMemory(make([]byte, 8), p.Address)
	targettest.Refused(t, err, attach.ErrClosed)
}

// sameCode compares but for breakpoints, which dlv writes into the cores that it dumps.
func sameCode(got, want []byte) bool {
	for i, b := range got {
		if b != want[i] && b != arch.AMD64.Breakpoint[0] {
			return false
		}
	}
	return true
}

// TestKernelCore is a program that dies with GOTRACEBACK=crash. Where the kernel pipes cores to a program of the
// system, there is no file, and gcore's must do.
func TestKernelCore(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.TrimSpace(string(pattern)); strings.ContainsAny(s, "|/") {
		p := targettest.Start(t)
		target, err := core.Open(gcore(t, p.PID), "")
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		checkCore(t, p, target)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", "ulimit -c unlimited && exec "+targettest.Build(t, "target"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	p := targettest.StartCmd(t, cmd)
	cmd.Process.Signal(unix.SIGQUIT)
	cmd.Wait()
	cores, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(cores) != 1 {
		t.Fatalf("cores: %v\n%s", cores, p.Stderr.String())
	}
	target, err := core.Open(cores[0], "")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	checkCore(t, p, target)
	look, err := target.View(context.Background(), attach.ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := look.Threads()[0].Signal; s == nil || s.Number != int(unix.SIGABRT) || target.PID() != p.PID {
		t.Errorf("signal %+v, pid %d", s, target.PID())
	}

	// Another build of the same source is another program.
	_, err = core.Open(cores[0], targettest.Build(t, "target", "-ldflags=-X main.nothing=1 -buildid=other"))
	targettest.Refused(t, err, core.ErrNoExecutable, "--exe", "differ")
	_, err = core.Open(cores[0], filepath.Join(dir, "nowhere"))
	targettest.Refused(t, err, core.ErrNoExecutable, "nowhere")
	_, err = core.Open(p.Cmd.Path, "")
	targettest.Refused(t, err, attach.ErrNotSupported, "core")
	_, err = core.Open(targettest.Build(t, "target"), "")
	targettest.Refused(t, err, attach.ErrNotSupported, "is a program and not a core", "--exe")
	_, err = core.Open(filepath.Join(dir, "nowhere"), "")
	targettest.Refused(t, err, os.ErrNotExist)
	_, err = core.Open(dir, "")
	targettest.Refused(t, err, attach.ErrNotSupported, "regular file")

	// Cut off anywhere, it opens or says why, and what is missing says so.
	info, err := os.Stat(cores[0])
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for size := info.Size() - 1; size > 0; size = size * 3 / 4 {
		if err := os.Truncate(cores[0], size); err != nil {
			t.Fatal(err)
		}
		target, err := core.Open(cores[0], "")
		if err != nil {
			targettest.Refused(t, err, attach.ErrNotSupported)
			continue
		}
		v, _ := target.View(context.Background(), attach.ViewOptions{})
		n, err := v.ReadMemory(make([]byte, p.Size), p.Address)
		if n < p.Size {
			targettest.Refused(t, err, attach.ErrNotMapped, "beyond the end of the core file, which is truncated")
			cut++
		}
		target.Close()
	}
	if cut == 0 {
		t.Error("no cut hit the pattern")
	}
}
