//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/targettest"
	"ri/symbols/testprogram"
)

// injectOnce stops a process and has it make a system call; step is called after each ptrace call of that.
func injectOnce(pid int, userFirst bool, step func(), number uint64, args ...uint64) (result uint64, err error) {
	p, err := openPID(pid)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	in, err := newInjector(p)
	if err != nil {
		return 0, err
	}
	defer in.close()
	in.step, in.userFirst = step, userFirst
	t, err := newTracer(p, nil)
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	go onTracerThread(func() {
		defer close(done)
		defer t.close()
		t.prepareThread()
		if _, err = t.stop(context.Background(), time.Minute); err == nil {
			result, err = in.inject(t, number, args...)
		}
		t.detach()
	})
	<-done
	t.waitForEnd()
	return result, err
}

// injectChild is a process that injects, and kills itself after some ptrace call.
func injectChild(args string) {
	var pid, last, user int
	fmt.Sscan(args, &pid, &last, &user)
	n := 0
	got, err := injectOnce(pid, user == 1, func() {
		if n++; n == last {
			unix.Kill(unix.Getpid(), unix.SIGKILL)
			select {} // until it is dead
		}
	}, unix.SYS_GETPID)
	fmt.Println(got, err, n)
}

// whole sees that a computing target has no wrong result, and computes on.
func whole(t *testing.T, p *targettest.Program) {
	t.Helper()
	from := p.Ask("facts").Computed
	for f := p.Ask("facts"); f.Computed < from+4; f = p.Ask("facts") {
		if f.Errors != 0 {
			break
		}
	}
	if f := p.Ask("facts"); f.Errors != 0 {
		t.Fatalf("%d wrong results: %.300s", f.Errors, p.Stderr.String())
	}
}

func TestInject(t *testing.T) {
	for _, how := range []string{"exe", "pie"} {
		p := targettest.StartCmd(t, exec.Command(targettest.Build(t, "target", "-buildmode="+how), "-compute", "2",
			"-busy", "1", "-threads", "3", "-churn", "1"))
		for i := range 60 {
			got, err := injectOnce(p.PID, i%2 == 1, func() {}, unix.SYS_GETPID)
			if err != nil || got != uint64(p.PID) {
				t.Fatal(i, got, err)
			}
			_, err = injectOnce(p.PID, i%2 == 0, func() {}, unix.SYS_CLOSE, 999)
			if !errors.Is(err, unix.EBADF) {
				t.Fatal(i, err)
			}
		}
		whole(t, p)
	}
}

// TestInjectInView is what others call.
func TestInjectInView(t *testing.T) {
	p := targettest.Start(t, "-compute", "1", "-threads", "2")
	target := open(t, p.PID)
	if err := target.PrepareInject(); err != nil {
		t.Fatal(err)
	}
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	in := v.(attach.Injector)
	at, err := in.Inject(unix.SYS_MMAP, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS,
		^uint64(0), 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [8192]byte
	if n, err := v.ReadMemory(b[:], at); n != len(b) || err != nil {
		t.Error(n, err)
	}
	if _, err := in.Inject(unix.SYS_MUNMAP, at, 8192); err != nil {
		t.Error(err)
	}
	if _, err := v.ReadMemory(b[:], at); !errors.Is(err, attach.ErrNotMapped) {
		t.Error(err)
	}
	v.Close()
	if _, err := in.Inject(unix.SYS_GETPID); !errors.Is(err, attach.ErrClosed) {
		t.Error(err)
	}
	whole(t, p)
}

// TestInjectKilled kills the process that injects after each of its ptrace calls: the target computes on and gets
// nothing wrong.
func TestInjectKilled(t *testing.T) {
	p := targettest.Start(t, "-compute", "3", "-busy", "1", "-threads", "3")
	trials, ended := 0, 0
	for range rounds(3) {
		for user := range 2 {
			for last := 1; ; last++ {
				cmd := exec.Command("/proc/self/exe", "-test.run=^$")
				cmd.Env = append(os.Environ(), "ATTACH_TEST_CHILD=inject", fmt.Sprintf("ATTACH_TEST_ARGS=%d %d %d",
					p.PID, last, user))
				out, err := cmd.CombinedOutput()
				trials++
				if f := p.Ask("facts"); f.Errors != 0 {
					t.Fatalf("killed after ptrace call %d: %d wrong results: %.300s", last, f.Errors, p.Stderr.String())
				}
				if err == nil {
					if !strings.HasPrefix(string(out), fmt.Sprint(p.PID, " <nil> ")) {
						t.Fatal(string(out))
					}
					ended++
					break
				}
				if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGKILL {
					t.Fatal(err, string(out))
				}
			}
		}
	}
	whole(t, p)
	p.GoesOn()
	t.Logf("%d trials", trials)
	if trials < 10*ended {
		t.Errorf("%d trials, %d to the end", trials, ended)
	}
}

// TestInjectStopped: a process that job control has stopped stays so, and its signals come.
func TestInjectStopped(t *testing.T) {
	p := targettest.Start(t, "-compute", "1", "-threads", "2")
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	for stateOf(t, p.PID) != 'T' {
	}
	p.Cmd.Process.Signal(syscall.SIGUSR1)
	for range 5 {
		if got, err := injectOnce(p.PID, false, func() {}, unix.SYS_GETPID); err != nil || got != uint64(p.PID) {
			t.Fatal(got, err)
		}
		for stateOf(t, p.PID) != 'T' {
		}
	}
	p.Cmd.Process.Signal(syscall.SIGCONT)
	for p.Ask("facts").Signals != 1 {
	}
	whole(t, p)
}

// TestInjectSignals injects while signals come in all the time: none is lost.
func TestInjectSignals(t *testing.T) {
	p := targettest.Start(t, "-compute", "2", "-busy", "1")
	made := 0
	for i := range rounds(60) {
		p.Cmd.Process.Signal(syscall.SIGUSR1)
		if _, err := injectOnce(p.PID, i%2 == 0, func() {}, unix.SYS_GETPID); err == nil {
			made++
		} else if !errors.Is(err, ErrInject) {
			t.Fatal(err)
		}
		for p.Ask("facts").Signals != int64(i+1) {
		}
	}
	if made == 0 {
		t.Error("no call was made")
	}
	whole(t, p)
}

// TestInjectSequences injects into threads that count in restartable sequences: none goes on in the middle of one.
func TestInjectSequences(t *testing.T) {
	cmd := exec.Command(targettest.Build(t, "sequences"))
	in, out := testprogram.Run(t, cmd)
	var pid int
	var byProcessor, byThread uint64
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if pid == 0 {
		t.Skip("this system has no rseq")
	}
	made := 0
	for range rounds(150) {
		if _, err := injectOnce(pid, true, func() {}, unix.SYS_GETPID); err == nil {
			made++
		} else if !errors.Is(err, ErrInject) {
			t.Fatal(err)
		}
	}
	in.Close()
	if _, err := fmt.Fscan(out, &byProcessor, &byThread); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls, counted %d", made, byThread)
	if byProcessor != byThread || byThread == 0 {
		t.Errorf("the threads counted %d, the processors %d", byThread, byProcessor)
	}
}
