//go:build amd64

package process

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/targettest"
)

// copyAsleep takes a snapshot that leaves alone who sleeps.
func copyAsleep(t *testing.T, target *Process, bulk bool) attach.View {
	t.Helper()
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, LeaveAsleep: true, Bulk: bulk,
		Pages: []uint64{target.entry / attach.PageSize}, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Discard)
	return v
}

// TestManyAsleep: of many threads that sleep a copy interrupts none, and says where they are; a stop interrupts them,
// and doesn't wait until each has come to its own.
func TestManyAsleep(t *testing.T) {
	const threads = 600
	p := targettest.Start(t, "-threads", "600")
	target := open(t, p.PID)
	for _, bulk := range []bool{false, true} {
		slept := timesWoken(t, target)
		v := copyAsleep(t, target, bulk)
		if n := len(v.Threads()); n < threads {
			t.Errorf("%d threads are known", n)
		}
		for _, thread := range v.Threads() {
			if thread.Regs.PC() == 0 || thread.Regs.SP() == 0 {
				t.Fatalf("thread %d has no PC or no SP", thread.ID)
			}
		}
		woken := 0
		for tid, runs := range timesWoken(t, target) {
			if runs != slept[tid] {
				woken++
			}
		}
		if woken > threads/10 {
			t.Errorf("%d threads were woken for a copy", woken)
		}
	}
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(v.Threads()); n < threads {
		t.Errorf("%d threads are known of those that stand", n)
	}
	v.Close()
	p.GoesOn()
}

// timesWoken is how often each thread has run.
func timesWoken(t *testing.T, target *Process) map[int]uint64 {
	t.Helper()
	tasks, err := openTasks(target)
	if err != nil {
		t.Fatal(err)
	}
	defer tasks.close()
	tasks.openCounters()
	out := map[int]uint64{}
	var buffer [512]byte
	for tid := range tasks.counters {
		out[tid] = tasks.timesRun(tid, buffer[:])
	}
	return out
}

// TestWoken: a thread that has run since it was seen asleep is named, and not left asleep another time.
func TestWoken(t *testing.T) {
	p := targettest.Start(t, "-threads", "200")
	tr, err := newTracer(open(t, p.PID), &leaving{woken: map[int]struct{}{}})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	for tid := range tr.counters {
		tr.leaves(tid)
	}
	if err := tr.stillAsleep(); err != nil || len(tr.leave.left) < 200 {
		t.Fatalf("%d are left asleep, %v", len(tr.leave.left), err)
	}
	tr.leave.left[3].runs--
	one := tr.leave.left[3]
	awake, ok := errors.AsType[*wokenError](tr.stillAsleep())
	if !ok || !slices.Equal(awake.tids, []int{one.tid}) {
		t.Fatalf("%v", awake)
	}
	tr.leave.woken[one.tid] = struct{}{}
	tr.leave.left = tr.leave.left[:0]
	for tid := range tr.counters {
		if tr.leaves(tid) && tid == one.tid {
			t.Error("it is left asleep again")
		}
	}
	p.GoesOn()
}

// TestWakesAllTheTime: a program whose threads sleep and wake all the time, in calls that would be left, is copied.
func TestWakesAllTheTime(t *testing.T) {
	p := targettest.Start(t, "-size", "9000000", "-rounds", "16000000", "-nap", "1ms")
	target := open(t, p.PID)
	target.OwnCode(1, 2)
	for range 10 {
		v := copyAsleep(t, target, true)
		checkRounds(t, v, p)
		if n := v.Stats().Stops; n > mostWoken+stopTries {
			t.Errorf("%d stops", n)
		}
		v.Discard()
	}
	p.GoesOn()
}

// TestFragile: what sleeps in others' code is told by where the call was made.
func TestFragile(t *testing.T) {
	p := targettest.Start(t, "-threads", "5")
	target := open(t, p.PID)
	if n := target.Fragile(); len(n) > 0 {
		t.Errorf("nobody said where Go's code is, and %v are others'", n)
	}
	target.OwnCode(1, 2) // so all is somebody else's
	if n := target.Fragile(); len(n) == 0 {
		t.Error("no thread is in others' code")
	}
	v := copyAsleep(t, target, false)
	left := slices.ContainsFunc(v.Threads(), func(t attach.Thread) bool { return t.Regs.User() == nil })
	if !left || v.Stats().Interrupted > 1 {
		t.Errorf("%d were interrupted", v.Stats().Interrupted)
	}
	held, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
	if n := held.Stats().Interrupted; n == 0 {
		t.Error("a stop interrupts, and doesn't say so")
	}
	p.GoesOn()
}

func TestEnough(t *testing.T) {
	for _, c := range []struct {
		took         time.Duration
		stopped, all int
		want         time.Duration
	}{{60 * time.Millisecond, 2000, 4000, 240 * time.Millisecond}, {25 * time.Millisecond, 99, 100, 60 * time.Millisecond},
		{time.Millisecond, 1, 2, 20 * time.Millisecond}, {25 * time.Millisecond, 0, 5000, 2500 * time.Millisecond}} {
		if got := enough(c.took, c.stopped, c.all); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
