//go:build amd64

package process

import (
	"context"
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
	"ri/attach/core"
	"ri/attach/proc"
	"ri/attach/targettest"
)

// reads sees that a target can be read in both kinds of view, and goes on.
func reads(t *testing.T, p *targettest.Program, target attach.Target, goesOn bool) {
	t.Helper()
	for _, kind := range []attach.ViewKind{attach.Live, attach.Stopped} {
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: kind, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, p.Size)
		if n, err := v.ReadMemory(buf, p.Address); n != p.Size || err != nil {
			t.Error(n, err)
		}
		targettest.CheckPattern(t, buf, 0)
		if got := v.Stats().BytesRead; got != int64(p.Size) {
			t.Errorf("%s: BytesRead is %d, want %d", kind, got, p.Size)
		}
		if (kind == attach.Stopped) != (len(v.Threads()) > 0) {
			t.Errorf("%s: %d threads", kind, len(v.Threads()))
		}
		v.Close()
	}
	if goesOn {
		p.GoesOn()
	}
}

func TestFacts(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	if target.PID() != p.PID || target.Describe() != fmt.Sprintf("pid %d (%s)", p.PID, filepath.Base(p.Cmd.Path)) ||
		target.ExecutablePath() != p.Cmd.Path {
		t.Error(target.PID(), target.Describe(), target.ExecutablePath())
	}
	_, entry, err := core.ReadExecutable(target.Executable())
	if err != nil || target.Entry() != entry { // built without PIE
		t.Errorf("entry %#x, want %#x (%v)", target.Entry(), entry, err)
	}
	maps, err := target.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	var text, heap bool
	for _, m := range maps {
		text = text || m.Start <= entry && entry < m.End && m.Exec && m.Read && !m.Write && m.Path == p.Cmd.Path
		heap = heap || m.Start <= p.Address && p.Address < m.End && m.Write && !m.Exec
	}
	if !text || !heap {
		t.Errorf("text %v, heap %v in %v", text, heap, maps)
	}
}

func TestReplacedExecutable(t *testing.T) {
	data, err := os.ReadFile(targettest.Build(t, "target"))
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"deleted", "replaced"} {
		exe := filepath.Join(t.TempDir(), "service")
		if err := os.WriteFile(exe, data, 0o755); err != nil {
			t.Fatal(err)
		}
		p := targettest.StartCmd(t, exec.Command(exe))
		if err := os.Remove(exe); err != nil {
			t.Fatal(err)
		}
		if how == "replaced" {
			if err := os.WriteFile(exe, []byte("another"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		target := open(t, p.PID)
		got, err := io.ReadAll(io.NewSectionReader(target.Executable(), 0, 1<<40))
		if err != nil || string(got) != string(data) {
			t.Errorf("%s: %d bytes of the executable, %v", how, len(got), err)
		}
		if want := fmt.Sprintf("pid %d (service)", p.PID); target.Describe() != want {
			t.Errorf("%s: %s", how, target.Describe())
		}
		reads(t, p, target, true)
	}
}

// TestNamespaces looks from outside at a process in pid, mount and user namespaces of its own.
func TestNamespaces(t *testing.T) {
	cmd := exec.Command(targettest.Build(t, "target"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if os.Getuid() != 0 { // only in a user namespace of one's own
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	p := targettest.StartCmd(t, cmd)
	if p.PID != 1 {
		t.Fatalf("the target calls itself %d in its new namespace", p.PID)
	}
	target := open(t, cmd.Process.Pid)
	reads(t, p, target, true)
	list, err := proc.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list.Go {
		if g.PID == cmd.Process.Pid && g.Container {
			return
		}
	}
	t.Error("the list doesn't show it, or not its namespace")
}

func stateOf(t *testing.T, pid int) byte {
	t.Helper()
	st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return st.State
}

func TestStoppedByJobControl(t *testing.T) {
	p := targettest.Start(t, "-busy", "1", "-threads", "5")
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	for stateOf(t, p.PID) != 'T' {
	}
	target := open(t, p.PID)
	for range 3 {
		reads(t, p, target, false)
		for stateOf(t, p.PID) != 'T' { // on its way back from the ptrace stop
		}
		if from := stateOf(t, p.PID); from != 'T' {
			t.Fatalf("its state is %c, want T", from)
		}
	}
	p.Cmd.Process.Signal(syscall.SIGCONT)
	p.GoesOn()

	// And one that is continued while it is held.
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	p.Cmd.Process.Signal(syscall.SIGCONT)
	v.Close()
	p.GoesOn()
}

func TestContext(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	for _, kind := range []attach.ViewKind{attach.Live, attach.Stopped} {
		ctx, cancel := context.WithCancel(context.Background())
		v, err := target.View(ctx, attach.ViewOptions{Kind: kind, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-v.Done()
		if v.Err() != context.Canceled {
			t.Error(v.Err())
		}
		if _, err := v.ReadMemory(make([]byte, 8), p.Address); err != context.Canceled {
			t.Error(err)
		}
		p.GoesOn()
		v.Close()
		if _, err := target.View(ctx, attach.ViewOptions{Kind: kind}); err != context.Canceled {
			t.Error(err)
		}
	}
}

func TestReadRanges(t *testing.T) {
	p := targettest.Start(t)
	target := open(t, p.PID)
	for _, kind := range []attach.ViewKind{attach.Live, attach.Stopped} {
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: kind, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var ranges []attach.Range
		for i := range 3000 {
			r := attach.Range{Addr: p.Address + uint64(i*100), Data: make([]byte, 100)}
			switch {
			case i%500 == 7:
				r.Addr = uint64(i) // not mapped
			case i%500 == 8:
				r.Data = nil
			case i%500 == 9:
				r.Addr = ^uint64(0) - 50
			}
			ranges = append(ranges, r)
		}
		if err := v.(attach.RangeReader).ReadRanges(ranges); err != nil {
			t.Fatal(err)
		}
		for i, r := range ranges {
			want := 100
			if i%500 >= 7 && i%500 <= 9 {
				want = 0
			}
			if r.N != want {
				t.Fatalf("%s: range %d: %d bytes, want %d", kind, i, r.N, want)
			}
			targettest.CheckPattern(t, r.Data[:r.N], i*100)
		}
		v.Close()
	}
}

func TestReadErrors(t *testing.T) {
	p := targettest.Start(t)
	v, err := open(t, p.PID).View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, addr := range []uint64{0, 0x18, 1 << 46, 1 << 63, ^uint64(0), ^uint64(0) - 7, ^uint64(0) - 4096} {
		_, err := v.ReadMemory(make([]byte, 8), addr)
		targettest.Refused(t, err, attach.ErrNotMapped, fmt.Sprintf("address %#x is not mapped", addr))
	}
	select {
	case <-v.Done():
		t.Error("a wild pointer has ended the view")
	default:
	}
}

// TestWithoutProcessVMReadv reads through /proc/PID/mem, as where a seccomp filter refuses the system call.
func TestWithoutProcessVMReadv(t *testing.T) {
	p := targettest.Start(t)
	m := open(t, p.PID).memory()
	defer m.close()
	m.fallback.Store(true)
	buf := make([]byte, p.Size)
	if n, err := m.ReadMemory(buf, p.Address); n != p.Size || err != nil {
		t.Fatal(n, err)
	}
	targettest.CheckPattern(t, buf, 0)
	for _, addr := range []uint64{0, 1 << 46, 1 << 63, ^uint64(0) - 8} {
		_, err := m.ReadMemory(buf[:8], addr)
		targettest.Refused(t, err, attach.ErrNotMapped)
	}
	ranges := []attach.Range{{Addr: p.Address, Data: buf[:100]}, {Addr: 8, Data: buf[100:200]},
		{Addr: p.Address + 200, Data: buf[200:300]}}
	if err := m.readRanges(ranges, nil); err != nil || ranges[0].N != 100 || ranges[1].N != 0 || ranges[2].N != 100 {
		t.Error(err, ranges[0].N, ranges[1].N, ranges[2].N)
	}
	p.End()
	_, err := m.ReadMemory(buf[:8], p.Address)
	targettest.Refused(t, err, attach.ErrExited)
}

// TestNothingWritten compares all that the target may write to, and its text, before and after a look at it while it is
// kept from running by SIGSTOP.
func TestNothingWritten(t *testing.T) {
	p := targettest.Start(t, "-threads", "3")
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	for stateOf(t, p.PID) != 'T' {
	}
	target := open(t, p.PID)
	sum := func() map[string]string {
		maps, err := target.Mappings()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		m := target.memory()
		for _, r := range maps {
			if !r.Read || r.Path == "[vvar]" || r.Path == "[vvar_vclock]" || r.Path == "[vsyscall]" {
				continue
			}
			buf := make([]byte, r.End-r.Start)
			m.ReadMemory(buf, r.Start)
			out[fmt.Sprintf("%x-%x %s", r.Start, r.End, r.Path)] = string(buf)
		}
		return out
	}
	before := sum()
	for range 10 {
		reads(t, p, target, false)
	}
	after := sum()
	if len(before) != len(after) {
		t.Errorf("%d mappings before, %d after", len(before), len(after))
	}
	for k, v := range before {
		if after[k] != v {
			t.Errorf("%s has changed", k)
		}
	}
	p.Cmd.Process.Signal(syscall.SIGCONT)
	p.GoesOn()
}

func TestList(t *testing.T) {
	p := targettest.Start(t)
	stripped := targettest.StartCmd(t, exec.Command(targettest.Build(t, "target", "-ldflags=-s -w"), "-size", "4096"))
	list, err := proc.List()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, g := range list.Go {
		if g.PID != p.PID && g.PID != stripped.PID {
			continue
		}
		found++
		if g.HasSymbols != (g.PID == p.PID) || !strings.HasPrefix(g.GoVersion, "go1.") || g.Module != "ri" ||
			g.Tracer != 0 || g.Stopped ||
			g.UID != uint32(os.Getuid()) || len(g.CommandLine) == 0 || !strings.HasPrefix(g.CommandLine[0],
			targettest.BuildDir) {
			t.Errorf("%+v", g)
		}
		if age := time.Since(g.Started); age < -2*time.Second || age > time.Hour {
			t.Errorf("pid %d was started %v ago?", g.PID, age)
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 targets are in the list", found)
	}
	if os.Getuid() == 0 && len(list.Unreadable) == 0 && list.Advice() != "" {
		t.Error(list.Advice())
	}
}

func TestCapabilities(t *testing.T) {
	f := Capabilities()
	t.Logf("%+v", f)
	var uts unix.Utsname
	unix.Uname(&uts)
	if f.KernelRelease != unix.ByteSliceToString(uts.Release[:]) {
		t.Error(f.KernelRelease)
	}
	if f.ProcessVMReadv != nil || f.Ptrace != nil {
		t.Error("the other tests could not work:", f.ProcessVMReadv, f.Ptrace)
	}
}
