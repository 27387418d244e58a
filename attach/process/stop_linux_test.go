//go:build amd64

package process

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/targettest"
)

func TestStop(t *testing.T) {
	for _, args := range [][]string{nil, {"-busy", "3"}, {"-threads", "50"}, {"-churn", "4"}} {
		p := targettest.Start(t, args...)
		target := open(t, p.PID)
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, p.Size)
		if n, err := v.ReadMemory(buf, p.Address); n != p.Size || err != nil {
			t.Fatal(n, err)
		}
		targettest.CheckPattern(t, buf, 0)
		var a, b [8]byte
		v.ReadMemory(a[:], p.Counter)
		v.ReadMemory(buf, p.Address)
		v.ReadMemory(b[:], p.Counter)
		if a != b {
			t.Errorf("%v: the counter moved from %d to %d in a stop", args, binary.LittleEndian.Uint64(a[:]),
				binary.LittleEndian.Uint64(b[:]))
		}
		if len(v.Threads()) < 3 {
			t.Errorf("%v: only %d threads", args, len(v.Threads()))
		}
		for _, th := range v.Threads() {
			if th.Regs.PC() == 0 || th.Regs.SP() == 0 {
				t.Errorf("%v: thread %d has pc %#x sp %#x", args, th.ID, th.Regs.PC(), th.Regs.SP())
			}
		}
		for range 2 {
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%v: %d threads, stopped %v", args, len(v.Threads()), v.Stats().Stopped)
		if _, err := v.ReadMemory(a[:], p.Counter); !errors.Is(err, attach.ErrClosed) {
			t.Errorf("reading after Close: %v", err)
		}
		select {
		case <-v.Done():
			t.Error("Done is closed, though the view did not end by itself")
		default:
		}
		p.GoesOn()
	}
}

func TestStopDeadline(t *testing.T) {
	p := targettest.Start(t, "-busy", "1")
	target := open(t, p.PID)
	limit := 20 * time.Millisecond
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: limit})
	for errors.Is(err, attach.ErrDeadline) { // a busy machine: not all threads have even stopped
		p.GoesOn()
		limit *= 2
		v, err = target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: limit})
	}
	if err != nil {
		t.Fatal(err)
	}
	<-v.Done()
	if !errors.Is(v.Err(), attach.ErrDeadline) {
		t.Errorf("Err: %v", v.Err())
	}
	if _, err := v.ReadMemory(make([]byte, 8), p.Counter); !errors.Is(err, attach.ErrDeadline) {
		t.Errorf("ReadMemory: %v", err)
	}
	p.GoesOn()
	v.Close()
	if s := v.Stats(); s.Stopped < limit || s.Stops < 1 { // more where it had to be tried again
		t.Errorf("stats: %+v", s)
	}
}

// TestReapLeavesStops sees that looking for dead threads takes no stop away, nor the signal in it.
func TestReapLeavesStops(t *testing.T) {
	p := targettest.Start(t, "-threads", "3")
	v, err := open(t, p.PID).View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, th := range v.Threads() {
		reap(th.ID)
		var info waitInfo
		if err := waitID(th.ID, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, &info); err != nil ||
			info.pid != int32(th.ID) || info.dead() {
			t.Errorf("thread %d: its stop is gone: %v %+v", th.ID, err, info)
		}
	}
}
