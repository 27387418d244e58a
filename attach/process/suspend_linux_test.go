//go:build amd64

package process

import (
	"context"
	"errors"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/targettest"
)

// Two targets are looked at in one process: neither look waits for the other, and one suspension lets both go.
func TestTwoLooks(t *testing.T) {
	a, b := targettest.Start(t), targettest.Start(t)
	hold := func(p *targettest.Program) attach.View {
		t.Helper()
		v, err := open(t, p.PID).View(context.Background(), attach.ViewOptions{Kind: attach.Stopped,
			MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := hold(a)
	defer first.Close()
	// The first stands for as long as it likes, and the second is stopped, read, and let go meanwhile.
	for _, opt := range []attach.ViewOptions{{Kind: attach.Stopped}, {Kind: attach.Snapshot, Bulk: true}} {
		opt.MaxStop = time.Minute
		v, err := open(t, b.PID).View(context.Background(), opt)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, b.Size)
		if _, err := v.ReadMemory(buf, b.Address); err != nil {
			t.Fatal(err)
		}
		targettest.CheckPattern(t, buf, 0)
		v.Close()
		b.GoesOn()
	}
	second := hold(b)
	defer second.Close()

	began, late := make(chan struct{}), make(chan attach.View, 1)
	holds.suspend(func() { // ri would stand still now
		for _, v := range []attach.View{first, second} {
			<-v.Done()
			if !errors.Is(v.Err(), attach.ErrSuspended) {
				t.Error(v.Err())
			}
		}
		a.GoesOn()
		b.GoesOn()
		go func() { // what begins now waits until ri goes on
			close(began)
			v, err := open(t, a.PID).View(context.Background(), attach.ViewOptions{Kind: attach.Stopped,
				MaxStop: time.Minute})
			if err != nil {
				t.Error(err)
			}
			late <- v
		}()
		<-began
		a.GoesOn()
		select {
		case <-late:
			t.Error("a look began while ri was suspended")
		default:
		}
	})
	if v := <-late; v != nil {
		v.Close()
	}
	a.GoesOn()
}

// A copy that is cut off by a suspension is made anew, and says nothing of it.
func TestSuspendedCopy(t *testing.T) {
	p := targettest.Start(t, "-size", "20000000")
	process := open(t, p.PID)
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err := process.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, Bulk: true,
			MaxStop: time.Minute})
		if err != nil {
			t.Error(err)
			return
		}
		defer v.Discard()
		buf := make([]byte, p.Size)
		if _, err := v.ReadMemory(buf, p.Address); err != nil {
			t.Error(err)
		}
		targettest.CheckPattern(t, buf, 0)
	}()
	for suspensions := 0; suspensions < 3; {
		holds.mu.Lock()
		held := len(holds.open) > 0
		holds.mu.Unlock()
		if !held {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Microsecond):
			}
			continue
		}
		holds.suspend(func() { p.GoesOn() })
		suspensions++
	}
	<-done
	p.GoesOn()
}
