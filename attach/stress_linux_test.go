//go:build amd64

package attach

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// rounds is how many times the tests here attach; RI_STRESS multiplies it, for use by hand.
func rounds(n int) int {
	if f, err := strconv.Atoi(os.Getenv("RI_STRESS")); err == nil {
		return n * f
	}
	return n
}

// attachLoop stops a target again and again.
func attachLoop(t *testing.T, p *program, n int, in func(v View)) {
	t.Helper()
	target := open(t, p.PID)
	var longest, sum time.Duration
	threads := 0
	for range n {
		v, err := target.View(context.Background(), ViewOptions{Kind: Stopped, MaxStop: time.Minute})
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
	p.goesOn()
}

// TestAllThreadsStand sees that no thread is missed while threads come and go: nothing the target counts may move.
func TestAllThreadsStand(t *testing.T) {
	p := start(t, "-churn", "4", "-busy", "2")
	attachLoop(t, p, rounds(50), func(v View) {
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
	from := p.ask("facts").Threads
	for p.ask("facts").Threads == from {
	}
}

func TestChildren(t *testing.T) {
	p := start(t, "-exec", "3")
	attachLoop(t, p, rounds(50), nil)
	from := p.ask("facts").Children
	for p.ask("facts").Children < from+5 {
	}
	if f := p.ask("facts"); f.Errors != 0 {
		t.Errorf("%d failures: %s", f.Errors, p.stderr.String())
	}
}

func TestManyThreads(t *testing.T) {
	p := start(t, "-threads", "500")
	attachLoop(t, p, rounds(10), func(v View) {
		if len(v.Threads()) < 500 {
			t.Errorf("%d threads", len(v.Threads()))
		}
	})
	if f := p.ask("facts"); f.Errors != 0 {
		t.Errorf("%d system calls were interrupted in a way that the program saw", f.Errors)
	}
}

// TestNoSignalIsLost sends signals one by one, each after the one before was counted, while the target is attached to all the time.
func TestNoSignalIsLost(t *testing.T) {
	p := start(t, "-busy", "1")
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
			v, err := target.View(context.Background(), ViewOptions{Kind: Stopped, MaxStop: time.Minute})
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
		p.cmd.Process.Signal(syscall.SIGUSR1)
		for p.ask("facts").Signals != int64(i+1) {
		}
	}
	close(stop)
	t.Logf("%d stops", <-stopped)
	p.goesOn()
}

// TestKilledWhileAttached kills the process that attaches, again and again, in random moments: the target goes on and has lost no signal.
func TestKilledWhileAttached(t *testing.T) {
	p := start(t, "-busy", "1", "-threads", "20", "-churn", "1")
	sent := int64(0)
	for range rounds(20) {
		cmd, _ := holder(t, p.PID, "hold")
		for range rand.IntN(20) {
			p.cmd.Process.Signal(syscall.SIGUSR1)
			sent++
			for p.ask("facts").Signals != sent {
			}
		}
		p.cmd.Process.Signal(syscall.SIGUSR1)
		sent++
		cmd.Process.Kill()
		cmd.Wait()
		for p.ask("facts").Signals != sent {
		}
		p.goesOn()
	}
	if st := stateOf(t, p.PID); st == 't' || st == 'T' {
		t.Errorf("its state is %c", st)
	}
	if f := p.ask("facts"); f.Errors != 0 {
		t.Errorf("%d errors", f.Errors)
	}
}

// TestExecUnderway attaches to a program that replaces itself all the time. Each look succeeds or says that the program is another one.
func TestExecUnderway(t *testing.T) {
	p := start(t, "-reexec", "2ms", "-size", "4096")
	go func() { // each program says that it is ready
		for {
			if _, err := p.out.ReadBytes('\n'); err != nil {
				return
			}
		}
	}()
	stops, execs := 0, 0
	for stops+execs < rounds(200) {
		target, err := openProcess(p.PID)
		if err != nil {
			if !errors.Is(err, ErrExited) && !errors.Is(err, ErrNotMapped) {
				t.Fatalf("%v\n%s", err, p.stderr.String())
			}
			execs++
			continue
		}
		for range 5 {
			v, err := target.View(context.Background(), ViewOptions{Kind: Stopped, MaxStop: time.Minute})
			if err != nil {
				if !errors.Is(err, ErrExited) {
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
			p := start(b, "-threads", threads)
			target := open(b, p.PID)
			var stopped time.Duration
			n := 0
			for b.Loop() {
				v, err := target.View(context.Background(), ViewOptions{Kind: Stopped, MaxStop: time.Minute})
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
