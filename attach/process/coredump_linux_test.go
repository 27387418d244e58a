//go:build amd64

package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	delve "github.com/go-delve/delve/pkg/proc/core"
	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/targettest"
)

// ownCore writes a core of a running process, and gives the memory of the moment as the core has it.
func ownCore(t *testing.T, p *Process, opt attach.CoreOptions) (string, attach.CoreWritten) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	opt.MaxStop = 10 * attach.DefaultMaxStop
	written, err := p.WriteCore(context.Background(), file, opt)
	if err != nil {
		t.Fatal(err)
	}
	return path, written
}

// TestWriteCore reads a core with ri's own reader: memory, text, registers.
func TestWriteCore(t *testing.T) {
	for name, opt := range map[string]attach.CoreOptions{"plain": {}, "precopy": {Precopy: true}} {
		t.Run(name, func(t *testing.T) {
			p := targettest.Start(t, "-threads", "3")
			path, written := ownCore(t, open(t, p.PID), opt)
			p.GoesOn()
			target, err := core.Open(path, "")
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			checkCore(t, p, target)
			v, err := target.View(context.Background(), attach.ViewOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if s := v.Threads()[0].Signal; s != nil {
				t.Errorf("%+v", s)
			}
			if _, err := core.Open(path, targettest.Build(t, "target",
				"-ldflags=-X main.nothing=1 -buildid=other")); !errors.Is(err, core.ErrNoExecutable) {
				t.Errorf("with another build: %v", err)
			}
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil || st.Size != written.Size {
				t.Error(err, st.Size, written.Size)
			}
			if written.Stored >= written.Size || written.Threads < 3 || written.Stats.Stops < 1 {
				t.Errorf("%+v", written)
			}
		})
	}
}

// TestWriteCoreCopiesOneMoment compares a core of a process that stands still with what gdb writes of it.
func TestWriteCoreCopiesOneMoment(t *testing.T) {
	p := targettest.Start(t, "-threads", "3")
	if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(p.PID, unix.SIGCONT)
	path, _ := ownCore(t, open(t, p.PID), attach.CoreOptions{})
	views := map[string]attach.View{}
	maps := map[string][]attach.Mapping{}
	for who, path := range map[string]string{"ri": path, "gdb": gcore(t, p.PID)} {
		target, err := core.Open(path, "")
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		if views[who], err = target.View(context.Background(), attach.ViewOptions{}); err != nil {
			t.Fatal(err)
		}
		defer views[who].Close()
		if maps[who], err = target.Mappings(); err != nil {
			t.Fatal(err)
		}
	}
	ours, theirs := views["ri"], views["gdb"]
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	compared := uint64(0)
	for _, m := range maps["gdb"] {
		have := slices.ContainsFunc(maps["ri"],
			func(o attach.Mapping) bool { return o.Start <= m.Start && m.Start < o.End })
		for at := m.Start; at < m.End; at += uint64(len(a)) {
			n := min(uint64(len(a)), m.End-at)
			if _, err := theirs.ReadMemory(b[:n], at); err != nil || !have || bytes.Equal(b[:n], make([]byte, n)) {
				continue // left out; [vsyscall]; and what is only zeros needn't be there
			}
			if k, err := ours.ReadMemory(a[:n], at); uint64(k) != n || err != nil || !bytes.Equal(a[:n], b[:n]) {
				t.Errorf("%#x: %d bytes, %v", at, k, err)
			}
			compared += n
		}
	}
	if compared < 1<<20 {
		t.Errorf("compared %d bytes", compared)
	}
	registers := map[int]attach.Registers{}
	for _, th := range theirs.Threads() {
		registers[th.ID] = th.Regs
	}
	for _, th := range ours.Threads() {
		if th.Regs != registers[th.ID] {
			t.Errorf("thread %d: %+v, gdb has %+v", th.ID, th.Regs, registers[th.ID])
		}
	}
	if n := len(ours.Threads()); n != len(registers) || ours.Threads()[0].ID != p.PID {
		t.Errorf("%d threads, gdb has %d; the first is %d", n, len(registers), ours.Threads()[0].ID)
	}
}

// TestDelveOpensOurCore lists goroutines and walks a stack with Delve's own reader.
func TestDelveOpensOurCore(t *testing.T) {
	p := targettest.Start(t, "-threads", "3")
	path, _ := ownCore(t, open(t, p.PID), attach.CoreOptions{})
	group, err := delve.OpenCore(path, p.Cmd.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := proc.GoroutinesInfo(group.Selected, 0, 0)
	if err != nil || len(list) < 2 {
		t.Fatal(len(list), err)
	}
	found := false
	for _, g := range list {
		if g.ID != 1 {
			continue
		}
		frames, err := proc.GoroutineStacktrace(group.Selected, g, 50, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			found = found || f.Call.Fn != nil && f.Call.Fn.Name == "main.main"
		}
	}
	if !found {
		t.Error("no main.main in goroutine 1")
	}
	for _, thread := range group.Selected.ThreadList() {
		regs, err := thread.Registers()
		if err != nil {
			t.Fatal(err)
		}
		if floats, err := regs.Slice(true); err != nil || len(floats) < 40 {
			t.Errorf("thread %d: %d registers, %v", thread.ThreadID(), len(floats), err)
		}
	}
}

func TestGDBOpensOurCore(t *testing.T) {
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("no gdb")
	}
	p := targettest.Start(t, "-threads", "3")
	path, _ := ownCore(t, open(t, p.PID), attach.CoreOptions{})
	out, err := exec.Command(gdb, "-nx", "-batch", "-ex", "info threads", "-ex", "thread apply all bt", "-ex",
		"info registers eflags", p.Cmd.Path, path).CombinedOutput()
	text := string(out)
	if err != nil || strings.Count(text, "LWP") < 6 || !strings.Contains(text, "runtime.sysmon") ||
		!strings.Contains(text, "eflags") || strings.Contains(text, "warning: Unexpected") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestWriteCoreEnds is a context that ends while the core is written.
func TestWriteCoreEnds(t *testing.T) {
	p := targettest.Start(t, "-threads", "1")
	file, err := os.Create(filepath.Join(t.TempDir(), "core"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough of it")
	_, err = open(t, p.PID).WriteCore(ctx, file, attach.CoreOptions{MaxStop: 10 * attach.DefaultMaxStop,
		Progress: func(int64, int64) { cancel(why) }})
	if !errors.Is(err, why) {
		t.Error(err)
	}
	p.GoesOn()
}
