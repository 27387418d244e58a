//go:build amd64

package attach

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/core"
	"golang.org/x/sys/unix"
)

// ownCore writes a core of a running process, and gives the memory of the moment as the core has it.
func ownCore(t *testing.T, p *Process, opt CoreOptions) (string, CoreWritten) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	opt.MaxStop = 10 * DefaultMaxStop
	written, err := p.WriteCore(context.Background(), file, opt)
	if err != nil {
		t.Fatal(err)
	}
	return path, written
}

// TestWriteCore reads a core with ri's own reader: memory, text, registers.
func TestWriteCore(t *testing.T) {
	for name, opt := range map[string]CoreOptions{"plain": {}, "precopy": {Precopy: true}} {
		t.Run(name, func(t *testing.T) {
			p := start(t, "-threads", "3")
			path, written := ownCore(t, open(t, p.PID), opt)
			p.goesOn()
			target, err := OpenCore(path, "")
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			checkCore(t, p, target)
			if c := target.(*Core); c.Signal() != 0 || c.Truncated() || !c.ExecutableChecked() {
				t.Error(c.Signal(), c.Truncated(), c.ExecutableChecked())
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
	p := start(t, "-threads", "3")
	if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(p.PID, unix.SIGCONT)
	path, _ := ownCore(t, open(t, p.PID), CoreOptions{})
	ours, err := openCore(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := openCore(gcore(t, p.PID), "")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	compared := uint64(0)
	for _, s := range theirs.content.segments {
		for at := uint64(0); at < s.fileSize; at += uint64(len(a)) {
			n := min(uint64(len(a)), s.fileSize-at)
			if _, err := theirs.memory.readCoreOnly(b[:n], s.addr+at); err != nil {
				t.Fatal(err)
			}
			if findSegment(ours.content.segments, s.addr) == nil || bytes.Equal(b[:n], make([]byte, n)) {
				continue // [vsyscall]; and what is only zeros needn't be there
			}
			if k, err := ours.memory.readCoreOnly(a[:n], s.addr+at); uint64(k) != n || err != nil || !bytes.Equal(a[:n], b[:n]) {
				t.Errorf("%#x: %d bytes, %v", s.addr+at, k, err)
			}
			compared += n
		}
	}
	if compared < 1<<20 {
		t.Errorf("compared %d bytes", compared)
	}
	registers := map[int]Registers{}
	for _, th := range theirs.content.threads {
		registers[th.ID] = th.Regs
	}
	for _, th := range ours.content.threads {
		if th.Regs != registers[th.ID] {
			t.Errorf("thread %d: %+v, gdb has %+v", th.ID, th.Regs, registers[th.ID])
		}
	}
	if len(ours.content.threads) != len(registers) || ours.content.threads[0].ID != p.PID {
		t.Errorf("%d threads, gdb has %d; the first is %d", len(ours.content.threads), len(registers), ours.content.threads[0].ID)
	}
}

// TestDelveOpensOurCore lists goroutines and walks a stack with Delve's own reader.
func TestDelveOpensOurCore(t *testing.T) {
	p := start(t, "-threads", "3")
	path, _ := ownCore(t, open(t, p.PID), CoreOptions{})
	group, err := core.OpenCore(path, p.cmd.Path, nil)
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
	p := start(t, "-threads", "3")
	path, _ := ownCore(t, open(t, p.PID), CoreOptions{})
	out, err := exec.Command(gdb, "-nx", "-batch", "-ex", "info threads", "-ex", "thread apply all bt", "-ex", "info registers eflags", p.cmd.Path, path).CombinedOutput()
	text := string(out)
	if err != nil || strings.Count(text, "LWP") < 6 || !strings.Contains(text, "runtime.sysmon") || !strings.Contains(text, "eflags") || strings.Contains(text, "warning: Unexpected") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestWriteCoreEnds is a context that ends while the core is written.
func TestWriteCoreEnds(t *testing.T) {
	p := start(t, "-threads", "1")
	file, err := os.Create(filepath.Join(t.TempDir(), "core"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough of it")
	_, err = open(t, p.PID).WriteCore(ctx, file, CoreOptions{MaxStop: 10 * DefaultMaxStop, Progress: func(int64, int64) { cancel(why) }})
	if !errors.Is(err, why) {
		t.Error(err)
	}
	p.goesOn()
}

// TestCoreHeaders has the number of segments where it is found if there are too many for the header.
func TestCoreHeaders(t *testing.T) {
	for _, count := range []int{3, 0xfffd, 0xfffe, 70_000} {
		w := &coreWriter{}
		for i := range count {
			w.parts = append(w.parts, corePart{Mapping: Mapping{Start: uint64(i+1) * PageSize, End: uint64(i+2) * PageSize, Read: true}})
		}
		file, err := os.Create(filepath.Join(t.TempDir(), "core"))
		if err != nil {
			t.Fatal(err)
		}
		w.file = file
		var notes noteWriter
		notes.note("CORE", ntSiginfo, make([]byte, 128))
		if err := w.write(context.Background(), notes.Bytes()); err != nil {
			t.Fatal(err)
		}
		content, err := readCore(file, w.written.Size)
		if err != nil || len(content.segments) != count {
			t.Errorf("%d segments: %d, %v", count, len(content.segments), err)
		}
		file.Close()
	}
}
