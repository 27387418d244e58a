package kernel

import (
	"context"
	"errors"
	"testing"
	"time"

	"ri/symbols/testprogram"
)

func TestLimit(t *testing.T) {
	c := start(t, testprogram.Variant{})
	o := c.generous()
	o.Limit = 25
	a := c.arm(o, c.function("main.empty", false))
	c.do("empty 1000")
	for i := range 26 {
		_, err := a.Next(context.Background())
		if i < 25 && err != nil || i == 25 && !errors.Is(err, ErrLimit) {
			t.Fatal(i, err)
		}
	}
	if n := a.Counts()[0]; n.Taken != 25 {
		t.Errorf("%+v", n)
	}
}

func TestBudget(t *testing.T) {
	c := start(t, testprogram.Variant{})
	o := c.generous()
	o.Budget = 0.01
	a := c.arm(o, c.function("main.empty", false))
	wait := c.spin(1000, 2)
	var over *ErrBudget
	for {
		_, err := a.Next(context.Background())
		if err == nil {
			continue
		}
		if !errors.As(err, &over) || over.Before || over.Needed <= o.Budget || over.Costliest != "main.empty" {
			t.Fatal(err)
		}
		break
	}
	wait()
	cost := a.Cost()
	t.Log(over, cost)
	if n := a.Counts()[0]; n.Refused == 0 || n.Hits != n.Taken+n.Refused {
		t.Errorf("%+v", n)
	}
	// Counting says it before anything is armed.
	o.Counting = 0
	c.spin(10*60*1000, 1) // until it is killed
	b, err := Arm(context.Background(), c.target, a.probes, o)
	for range 100 {
		if err != nil || b.Forecast().Cost > 0 {
			break
		}
		b.Close() // it got no CPU while hits were counted
		b, err = Arm(context.Background(), c.target, a.probes, o)
	}
	if !errors.As(err, &over) || !over.Before {
		t.Fatalf("%v: %+v", err, b.Forecast())
	}
	t.Log(over)
}

// In windows a probe that costs too much is armed for a part of the time.
func TestWindows(t *testing.T) {
	c := start(t, testprogram.Variant{})
	o := c.generous()
	o.Budget, o.Windows, o.Counting = 0.02, true, 20*time.Millisecond
	c.spin(10*60*1000, 1) // until it is killed
	a := c.arm(o, c.function("main.empty", false))
	for a.Cost().Windows < 3 {
		if _, err := a.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all(t, a)
	cost := a.Cost()
	t.Log(cost)
	if cost.Armed >= cost.Length || cost.Armed == 0 {
		t.Errorf("%+v", cost)
	}
}

// A child that executes nothing has the breakpoints, and isn't counted; one that executes something has none.
func TestForked(t *testing.T) {
	c := start(t, testprogram.Variant{})
	a := c.arm(c.generous(), c.function("main.empty", false))
	said, _ := c.do("fork")
	defer c.do("end %d", said[0].N)
	c.do("empty 10")
	if events := all(t, a); len(events) != 10 {
		t.Errorf("%d events", len(events))
	}
	if got := a.Forked(); len(got) != 1 || got[0] != said[0].N {
		t.Errorf("%v, not %d", got, said[0].N)
	}
}

func TestPurse(t *testing.T) {
	at := time.Unix(0, 0)
	var p purse
	step := func(after, spent time.Duration) bool {
		at = at.Add(after)
		return p.over(spent, 0.01, at)
	}
	for i, s := range []struct {
		after, spent time.Duration
		want         bool
	}{
		{0, 0, false},
		{time.Second, 10 * time.Millisecond, false},       // what the budget allows
		{time.Second, 21 * time.Millisecond, false},       // a little more, from what was saved
		{time.Millisecond, 100 * time.Millisecond, false}, // far over, but not for long
		{tolerance, 100 * time.Millisecond, true},         // for too long
		{20 * time.Second, 100 * time.Millisecond, false}, // paid back
		{time.Hour, 105 * time.Millisecond, false},        // nothing is saved up for longer than a while
		{time.Millisecond, 130 * time.Millisecond, false},
		{tolerance, 130 * time.Millisecond, true},
	} {
		if got := step(s.after, s.spent); got != s.want {
			t.Errorf("step %d: %v, %+v", i, got, p)
		}
	}
}
