//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/targettest"
)

// TestTaken has estimates follow what stops took.
func TestTaken(t *testing.T) {
	const mib = 1 << 20
	var history taken
	expect := func(what string, estimate time.Duration, bytes int64, want time.Duration) {
		t.Helper()
		if got := history.correct(estimate, bytes); got != want {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	expect("nothing is known", 119*time.Millisecond, mib, 119*time.Millisecond)
	history.note(mib, 1600*time.Microsecond, nil)
	expect("119 ms were estimated where 1.6 ms were taken", 119*time.Millisecond, mib, 1600*time.Microsecond)
	expect("more costs more", 119*time.Millisecond, 10*mib, 16*time.Millisecond)
	expect("never longer than the sample says", time.Millisecond, 10*mib, time.Millisecond)
	history.note(10*mib, 100*time.Millisecond, fmt.Errorf("x: %w", attach.ErrDeadline))
	expect("it wasn't done in 100 ms", 5*time.Millisecond, 10*mib, 150*time.Millisecond)
	expect("less may do", 5*time.Millisecond, mib, 1600*time.Microsecond)
	history.note(0, time.Second, errors.New("killed"))
	history.note(10*mib, 20*time.Millisecond, nil)
	expect("it was done after all", 50*time.Millisecond, 10*mib, 20*time.Millisecond)
}

// TestCostAfterStops has the estimate of a copy of all memory no longer than what the last one took, by as much as
// there is more to copy; and one that was given up in time not tried again.
func TestCostAfterStops(t *testing.T) {
	p := targettest.Start(t, "-size", "100000000")
	target := open(t, p.PID)
	opt := attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: time.Minute}
	view, err := target.View(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	took := view.Stats().Stopped
	view.Discard()
	cost, err := target.SnapshotCost(opt)
	if err != nil || cost.Stop > 2*took {
		t.Errorf("%v was taken, and %v is estimated; %v", took, cost.Stop, err)
	}
	opt.MaxStop = 2 * time.Millisecond
	if _, err := target.View(context.Background(), opt); !errors.Is(err, attach.ErrDeadline) {
		t.Fatal(err)
	}
	if cost, err = target.SnapshotCost(opt); err != nil || cost.Stop <= opt.MaxStop {
		t.Errorf("it wasn't done in %v, and %v is estimated; %v", opt.MaxStop, cost.Stop, err)
	}
	p.GoesOn()
}
