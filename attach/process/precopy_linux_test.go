//go:build amd64

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/targettest"
)

// needPrecopy skips where the kernel doesn't allow a pre-copy.
func needPrecopy(t testing.TB) {
	t.Helper()
	if err := probeTracking(); err != nil {
		t.Skip(err)
	}
}

// tracked tells whether a process has memory registered with a userfaultfd: the flag uw of smaps (proc_pid_smaps(5)).
func tracked(t *testing.T, pid int) bool {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte("VmFlags:")) && bytes.Contains(line, []byte(" uw")) {
			return true
		}
	}
	return false
}

// descriptors counts a process's userfaultfds.
func descriptors(t *testing.T, pid int) (n int) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.Contains(to, "userfaultfd") {
			n++
		}
	}
	return n
}

// TestPrecopy: a copy that was made while the process ran, writing to all of it, mapping and dropping memory, starting
// threads and children, is of one moment.
func TestPrecopy(t *testing.T) {
	needPrecopy(t)
	const pages = 300
	for name, args := range map[string][]string{
		"writes":  {"-rounds", "16000000", "-nap", "100us", "-remap", "300", "-busy", "1"},
		"threads": {"-rounds", "16000000", "-nap", "100us", "-remap", "300", "-churn", "2", "-exec", "1"},
		"full":    {"-rounds", "16000000", "-remap", "300", "-compute", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := targettest.Start(t, append(args, "-size", "9000000")...)
			came, seen := 0, map[uint64]bool{}
			for range 12 {
				v := bulk(t, p, attach.ViewOptions{Precopy: true})
				starting := func(note string) bool { return strings.Contains(note, "(vfork)") } // a child, just then
				if len(v.notes) == 0 || !strings.HasPrefix(v.notes[0], callMade) ||
					len(slices.DeleteFunc(slices.Clone(v.notes[1:]), starting)) > 0 {
					t.Fatal(v.notes)
				}
				buf := make([]byte, p.Size)
				if _, err := v.ReadMemory(buf, p.Address); err != nil {
					t.Fatal(err)
				}
				targettest.CheckPattern(t, buf, 0)
				seen[checkRounds(t, v, p)] = true
				if checkComes(t, v, p, pages) {
					came++
				}
				if missed := v.Coverage().Missed; len(missed) > 0 {
					t.Errorf("%d pages were missed: %#x", len(missed), missed[0]*attach.PageSize)
				}
				if tracked(t, p.PID) || descriptors(t, p.PID) > 0 {
					t.Fatal("something of the pre-copy is left in the process")
				}
				v.Discard()
			}
			if name == "writes" && (came == 0 || len(seen) < 3) { // the others may not come to it on a busy machine
				t.Errorf("what comes and goes was there %d times, and %d rounds were seen", came, len(seen))
			}
			p.GoesOn()
			if f := p.Ask("facts"); f.Errors != 0 {
				t.Errorf("%d errors: %.300s", f.Errors, p.Stderr.String())
			}
		})
	}
}

// TestPrecopyReads compares a pre-copy with a copy made in the stop, of a process that has dropped and unmapped memory
// after it was copied.
func TestPrecopyReads(t *testing.T) {
	needPrecopy(t)
	p := targettest.Start(t, "-remap", "300")
	target := open(t, p.PID)
	b, err := newBulkCopy(context.Background(), target, "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	defer b.image.free()
	c, err := startPrecopy(context.Background(), b, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if !tracked(t, p.PID) {
		t.Error("nothing is tracked")
	}
	for range 5 {
		if err := c.copyWritten(); err != nil {
			t.Fatal(err)
		}
		p.Ask("facts") // meanwhile it goes on
	}
	mem := target.memory()
	compared := 0
	err = target.inStop(context.Background(), time.Minute, &attach.Stats{}, func(*tracer) error {
		resident, err := c.stopped(until{})
		if err != nil {
			return err
		}
		if err := b.image.settle(resident); err != nil {
			return err
		}
		for _, r := range b.image.ranges {
			want := make([]byte, r.end-r.start)
			if _, err := mem.ReadMemory(want, r.start); err != nil {
				return err
			}
			for at := 0; at < len(want); at += attach.PageSize {
				if !bytes.Equal(want[at:at+attach.PageSize], r.data[at:at+attach.PageSize]) {
					t.Errorf("the page at %#x is another", r.start+uint64(at))
				}
			}
			compared += len(want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes are the same", compared)
	p.GoesOn()
}

// TestPrecopyKilled kills ri in the middle of pre-copies: nothing is left in the process.
func TestPrecopyKilled(t *testing.T) {
	needPrecopy(t)
	p := targettest.Start(t, "-size", "50000000", "-rounds", "16000000", "-compute", "1")
	for i := range rounds(20) {
		cmd, _ := holder(t, p.PID, "precopy")
		for i%4 != 0 && !tracked(t, p.PID) { // and else at any other moment
		}
		cmd.Process.Kill()
		cmd.Wait()
		for tracked(t, p.PID) { // the kernel is still closing what the killed one had
			runtime.Gosched()
		}
		whole(t, p)
	}
	t.Logf("%d userfaultfds are left", descriptors(t, p.PID))
	p.GoesOn()
}

// TestPrecopyRefused: where it isn't possible the copy is made in the stop, with a word, unless that takes too long.
func TestPrecopyRefused(t *testing.T) {
	needPrecopy(t)
	p := targettest.StartCmd(t, exec.Command(targettest.Build(t, "target"), "-size", "100000000", "-seccomp"))
	target := open(t, p.PID)
	v := bulk(t, p, attach.ViewOptions{Precopy: true})
	if len(v.notes) != 1 || !strings.Contains(v.notes[0], "seccomp") {
		t.Error(v.notes)
	}
	_, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, Precopy: true,
		MaxStop: time.Millisecond})
	targettest.Refused(t, err, ErrInject, "seccomp", "--max-stop")
	if errors.Is(err, attach.ErrDeadline) {
		t.Error("it was tried")
	}
	p.GoesOn()
}

func TestSettle(t *testing.T) {
	im := &image{}
	defer im.free()
	for _, start := range []uint64{0x10000000, 0x10010000} {
		if err := im.reserve([]span{{start: start, end: start + 0x10000}}); err != nil {
			t.Fatal(err)
		}
		for i := range im.find(start).data {
			im.find(start).data[i] = 1
		}
	}
	resident := []span{{start: 0x10001000, end: 0x10002000}, {start: 0x10004000, end: 0x10012000},
		{start: 0x1001f000, end: 0x10020000}}
	if err := im.settle(resident); err != nil {
		t.Fatal(err)
	}
	for addr := uint64(0x10000000); addr < 0x10020000; addr += attach.PageSize {
		var b [1]byte
		im.read(b[:], addr)
		want := byte(0)
		for _, s := range resident {
			if s.start <= addr && addr < s.end {
				want = 1
			}
		}
		if b[0] != want {
			t.Errorf("%#x: %d, want %d", addr, b[0], want)
		}
	}
}

// BenchmarkPrecopy copies a heap that changes by 200 MB/s while it runs.
func BenchmarkPrecopy(b *testing.B) {
	needPrecopy(b)
	target := open(b, startBench(b, "-heap", "1000000000", "-change", "200000000"))
	for b.Loop() {
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, Precopy: true,
			MaxStop: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(v.Stats().Stopped.Seconds()*1e3, "ms-stopped")
		b.ReportMetric(float64(v.Stats().BytesRead)/1e6, "MB")
		v.(*snapshotView).Discard()
	}
}
