//go:build amd64

package process

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/targettest"
)

// rounds is how many times the tests here attach; RI_STRESS multiplies it, for use by hand.
func rounds(n int) int {
	if f, err := strconv.Atoi(os.Getenv("RI_STRESS")); err == nil {
		return n * f
	}
	return n
}

// attachLoop stops a target again and again.
func attachLoop(t *testing.T, p *targettest.Program, n int, in func(v attach.View)) {
	t.Helper()
	target := open(t, p.PID)
	var longest, sum time.Duration
	threads := 0
	for range n {
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if in != nil {
			in(v)
		}
		v.Close()
		s := v.Stats().Stopped
		sum += s
		longest = max(longest, s)
		threads = max(threads, len(v.Threads()))
	}
	t.Logf("%d stops of %d threads at most: %v on average, %v the longest", n, threads, sum/time.Duration(n), longest)
	p.GoesOn()
}

// TestAllThreadsStand sees that no thread is missed while threads come and go: nothing the target counts may move.
func TestAllThreadsStand(t *testing.T) {
	p := targettest.Start(t, "-churn", "4", "-busy", "2")
	attachLoop(t, p, rounds(50), func(v attach.View) {
		before, after := make([]byte, p.Size), make([]byte, p.Size)
		var a, b [8]byte
		v.ReadMemory(a[:], p.Counter)
		v.ReadMemory(before, p.Address)
		v.ReadMemory(after, p.Address)
		v.ReadMemory(b[:], p.Counter)
		if a != b {
			t.Error("something ran during a stop")
		}
	})
	from := p.Ask("facts").Threads
	for p.Ask("facts").Threads == from {
	}
}

func TestChildren(t *testing.T) {
	p := targettest.Start(t, "-exec", "3")
	attachLoop(t, p, rounds(50), nil)
	from := p.Ask("facts").Children
	for p.Ask("facts").Children < from+5 {
	}
	if f := p.Ask("facts"); f.Errors != 0 {
		t.Errorf("%d failures: %s", f.Errors, p.Stderr.String())
	}
}

func TestManyThreads(t *testing.T) {
	p := targettest.Start(t, "-threads", "500")
	attachLoop(t, p, rounds(10), func(v attach.View) {
		if len(v.Threads()) < 500 {
			t.Errorf("%d threads", len(v.Threads()))
		}
	})
	if f := p.Ask("facts"); f.Errors != 0 {
		t.Errorf("%d system calls were interrupted in a way that the program saw", f.Errors)
	}
}

// TestNoSignalIsLost sends signals one by one, each after the one before was counted, while the target is attached to
// all the time.
func TestNoSignalIsLost(t *testing.T) {
	p := targettest.Start(t, "-busy", "1")
	stop := make(chan struct{})
	stopped := make(chan int)
	target := open(t, p.PID)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				stopped <- n
				return
			default:
			}
			v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
			if err != nil {
				t.Error(err)
				stopped <- n
				return
			}
			v.Close()
			n++
		}
	}()
	for i := range rounds(200) {
		p.Cmd.Process.Signal(syscall.SIGUSR1)
		for p.Ask("facts").Signals != int64(i+1) {
		}
	}
	close(stop)
	t.Logf("%d stops", <-stopped)
	p.GoesOn()
}

// TestKilledWhileAttached kills the process that attaches, again and again, in random moments: the target goes on and
// has lost no signal.
func TestKilledWhileAttached(t *testing.T) {
	p := targettest.Start(t, "-busy", "1", "-threads", "20", "-churn", "1")
	sent := int64(0)
	for range rounds(20) {
		cmd, _ := holder(t, p.PID, "hold")
		for range rand.IntN(20) {
			p.Cmd.Process.Signal(syscall.SIGUSR1)
			sent++
			for p.Ask("facts").Signals != sent {
			}
		}
		p.Cmd.Process.Signal(syscall.SIGUSR1)
		sent++
		cmd.Process.Kill()
		cmd.Wait()
		for p.Ask("facts").Signals != sent {
		}
		p.GoesOn()
	}
	if st := stateOf(t, p.PID); st == 't' || st == 'T' {
		t.Errorf("its state is %c", st)
	}
	if f := p.Ask("facts"); f.Errors != 0 {
		t.Errorf("%d errors", f.Errors)
	}
}

// TestExecUnderway attaches to a program that replaces itself all the time. Each look succeeds or says that the program
// is another one.
func TestExecUnderway(t *testing.T) {
	p := targettest.Start(t, "-reexec", "2ms", "-size", "4096")
	go func() { // each program says that it is ready
		for {
			if _, err := p.Out.ReadBytes('\n'); err != nil {
				return
			}
		}
	}()
	stops, execs := 0, 0
	for stops+execs < rounds(200) {
		target, err := openPID(p.PID)
		if err != nil {
			if !errors.Is(err, attach.ErrExited) && !errors.Is(err, attach.ErrNotMapped) {
				t.Fatalf("%v\n%s", err, p.Stderr.String())
			}
			execs++
			continue
		}
		for range 5 {
			v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
			if err != nil {
				if !errors.Is(err, attach.ErrExited) {
					t.Fatal(err)
				}
				execs++
				break
			}
			stops++
			v.Close()
		}
		target.Close()
	}
	t.Logf("%d stops, %d times another program", stops, execs)
}

// BenchmarkStop is a whole stop with all registers, and the part of it in which the target stands.
func BenchmarkStop(b *testing.B) {
	for _, threads := range []string{"0", "50", "500"} {
		b.Run(threads, func(b *testing.B) {
			p := targettest.Start(b, "-threads", threads)
			target := open(b, p.PID)
			var stopped time.Duration
			n := 0
			for b.Loop() {
				v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped,
					MaxStop: time.Minute})
				if err != nil {
					b.Fatal(err)
				}
				v.Close()
				stopped += v.Stats().Stopped
				n++
			}
			b.ReportMetric(float64(stopped.Microseconds())/float64(n), "us-stopped/op")
		})
	}
}
