//go:build amd64

package attach

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
				p := startCmd(t, exec.Command(build(t, "target", flag), "-threads", "3"))
				path := write(t, p.PID)
				p.goesOn()
				exe := ""
				if name == "dlv" { // its cores don't say
					exe = p.cmd.Path
					_, err := OpenCore(path, "")
					refused(t, err, ErrNoExecutable, "--exe")
				}
				target, err := OpenCore(path, exe)
				if err != nil {
					t.Fatal(err)
				}
				defer target.Close()
				auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", p.PID))
				if err != nil {
					t.Fatal(err)
				}
				entry, _ := auxvValue(auxv, auxEntry)
				if target.PID() != p.PID || target.Entry() != entry || target.ExecutablePath() != p.cmd.Path || !strings.Contains(target.Describe(), fmt.Sprintf("of pid %d (target", p.PID)) {
					t.Error(target.PID(), target.Entry(), target.ExecutablePath(), target.Describe())
				}
				checkCore(t, p, target)
				if maps, err := target.Mappings(); err != nil || len(maps) < 5 {
					t.Error(maps, err)
				}
				_, err = OpenCore(path, "/bin/sh")
				refused(t, err, ErrNoExecutable, "--exe")
			})
		}
	}
}

func checkCore(t *testing.T, p *program, target Target) {
	t.Helper()
	v, err := target.View(context.Background(), ViewOptions{Kind: Live})
	if err != nil {
		t.Fatal(err)
	}
	if v.Kind() != Stopped || len(v.Threads()) < 3 {
		t.Error(v.Kind(), len(v.Threads()))
	}
	buf := make([]byte, p.Size)
	if n, err := v.ReadMemory(buf, p.Address); n != p.Size || err != nil {
		t.Fatal(n, err)
	}
	checkPattern(t, buf, 0)
	// All of the text, from wherever it comes.
	segments, entry, err := readExecutable(target.Executable())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if s.write {
			continue
		}
		got, want := make([]byte, s.fileSize), make([]byte, s.fileSize)
		target.Executable().ReadAt(want, int64(s.offset))
		if _, err := v.ReadMemory(got, s.addr+target.Entry()-entry); err != nil || !sameCode(got, want) {
			t.Errorf("segment %#x: %v", s.addr, err)
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
	refused(t, err, ErrNotMapped, "0x18")
	v.Close()
	_, err = v.ReadMemory(make([]byte, 8), p.Address)
	refused(t, err, ErrClosed)
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

// TestKernelCore is a program that dies with GOTRACEBACK=crash. Where the kernel pipes cores to a program of the system, there is no file, and gcore's must do.
func TestKernelCore(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.TrimSpace(string(pattern)); strings.ContainsAny(s, "|/") {
		p := start(t)
		target, err := OpenCore(gcore(t, p.PID), "")
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		checkCore(t, p, target)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", "ulimit -c unlimited && exec "+build(t, "target"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	p := startCmd(t, cmd)
	cmd.Process.Signal(unix.SIGQUIT)
	cmd.Wait()
	cores, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(cores) != 1 {
		t.Fatalf("cores: %v\n%s", cores, p.stderr.String())
	}
	target, err := OpenCore(cores[0], "")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	checkCore(t, p, target)
	look, err := target.View(context.Background(), ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := look.Threads()[0].Signal; s == nil || s.Number != int(unix.SIGABRT) || target.PID() != p.PID {
		t.Errorf("signal %+v, pid %d", s, target.PID())
	}

	// Another build of the same source is another program.
	_, err = OpenCore(cores[0], build(t, "target", "-ldflags=-X main.nothing=1 -buildid=other"))
	refused(t, err, ErrNoExecutable, "--exe", "differ")
	_, err = OpenCore(cores[0], filepath.Join(dir, "nowhere"))
	refused(t, err, ErrNoExecutable, "nowhere")
	_, err = OpenCore(p.cmd.Path, "")
	refused(t, err, ErrNotSupported, "core")
	_, err = OpenCore(build(t, "target"), "")
	refused(t, err, ErrNotSupported, "is a program and not a core", "--exe")
	_, err = OpenCore(filepath.Join(dir, "nowhere"), "")
	refused(t, err, os.ErrNotExist)
	_, err = OpenCore(dir, "")
	refused(t, err, ErrNotSupported, "regular file")

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
		target, err := OpenCore(cores[0], "")
		if err != nil {
			refused(t, err, ErrNotSupported)
			continue
		}
		v, _ := target.View(context.Background(), ViewOptions{})
		n, err := v.ReadMemory(make([]byte, p.Size), p.Address)
		if n < p.Size {
			refused(t, err, ErrNotMapped, "beyond the end of the core file, which is truncated")
			cut++
		}
		target.Close()
	}
	if cut == 0 {
		t.Error("no cut hit the pattern")
	}
}
