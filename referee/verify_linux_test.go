//go:build amd64

package referee

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

// subject is a running program that both can read.
func subject(t *testing.T, pid int) Subject {
	t.Helper()
	target, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	f, err := symbols.Open(target.Executable(), target.ExecutablePath())
	if err != nil {
		t.Fatal(err)
	}
	return Subject{Target: target, File: f, Bias: target.Entry() - f.Entry()}
}

// copyOf takes the view that ri doctor takes.
func copyOf(s Subject) func(context.Context) (attach.View, error) {
	return func(ctx context.Context) (attach.View, error) {
		return s.Target.View(ctx, attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: time.Minute})
	}
}

// noMoment is what is said where there was no view.
const noMoment = "goroutines not compared, stacks not compared, "

func states(checks []Check) string {
	var b strings.Builder
	for _, c := range checks {
		b.WriteString(c.What + " " + c.State + ", ")
	}
	return b.String()
}

func TestVerify(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := testprogram.Start(t, testprogram.Build(t, "../values/testdata/kinds", v))
		s := subject(t, p.PID)
		checks, err := Verify(context.Background(), s, time.Minute, copyOf(s))
		if err != nil || states(checks) != "variables ok, types ok, goroutines ok, stacks ok, " {
			t.Errorf("%v, %v", checks, err)
		}
		t.Log(checks)
	})
}

// TestVerifyDiffers has ri read a program by what another build's file says. Each of the four must be seen to differ,
// whoever has what the other lacks.
func TestVerifyDiffers(t *testing.T) {
	dir := "../values/testdata/kinds"
	p := testprogram.Start(t, testprogram.Build(t, dir, testprogram.Variants[0]))
	s := subject(t, p.PID)
	other, err := os.Open(testprogram.Build(t, dir, testprogram.Variants[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if s.File, err = symbols.Open(other, "other"); err != nil {
		t.Fatal(err)
	}
	checks, err := Verify(context.Background(), s, time.Minute, copyOf(s))
	got := states(checks)
	if err != nil || !strings.HasPrefix(got, "variables differ, types differ, ") || strings.Contains(got, " ok") {
		t.Errorf("%v, %v", checks, err)
	}
}

// TestVerifyCutOff compares with no time and with no view.
func TestVerifyCutOff(t *testing.T) {
	p := start(t, "-goroutines", "2000")
	s := subject(t, p.pid)
	checks, err := Verify(context.Background(), s, 1, copyOf(s))
	if err != nil || states(checks) != "variables ok, types not compared, "+noMoment {
		t.Errorf("%v, %v", checks, err)
	}
	for _, c := range checks[1:] {
		if !strings.Contains(c.Detail, "it needs about ") || !strings.Contains(c.Detail, "--max-time ") {
			t.Error(c)
		}
	}
	refused := errors.New("no view")
	none := func(context.Context) (attach.View, error) { return nil, refused }
	checks, err = Verify(context.Background(), s, time.Minute, none)
	if err != refused || states(checks) != "variables ok, types ok, "+noMoment {
		t.Errorf("%v, %v", checks, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	checks, err = Verify(ctx, s, time.Minute, func(ctx context.Context) (attach.View, error) {
		v, err := copyOf(s)(ctx)
		cancel(refused)
		return v, err
	})
	if err != refused || states(checks) != "variables ok, types ok, "+noMoment {
		t.Errorf("%v, %v", checks, err)
	}

	// A stop that ends while Delve reads, as one of the old way did.
	checks, err = Verify(context.Background(), s, time.Minute, func(ctx context.Context) (attach.View, error) {
		v, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Stopped, MaxStop: 50 * time.Millisecond})
		if err == nil {
			<-v.Done()
		}
		return v, err
	})
	if err != nil || states(checks) != "variables ok, types ok, "+noMoment || !strings.Contains(checks[2].Detail, "stop") {
		t.Errorf("%v, %v", checks, err)
	}
	p.goesOn()
}

func TestVerifyStripped(t *testing.T) {
	v := testprogram.Variant{Name: "stripped", Flags: []string{"-ldflags=-s -w"}}
	p := testprogram.Start(t, testprogram.Build(t, "../values/testdata/kinds", v))
	s := subject(t, p.PID)
	checks, err := Verify(context.Background(), s, time.Minute, copyOf(s))
	if err != nil || states(checks) != "variables not compared, types not compared, "+noMoment {
		t.Errorf("%v, %v", checks, err)
	}
}

func TestTally(t *testing.T) {
	for _, test := range []struct {
		tally tally
		cut   error
		want  string
	}{
		{tally{}, nil, NotCompared},
		{tally{unable: 3}, nil, NotCompared},
		{tally{same: 3}, nil, OK},
		{tally{same: 3, unable: 1}, nil, OK},
		{tally{same: 3}, ErrSlow, NotCompared},
		{tally{same: 3, differ: 1}, ErrSlow, Differ},
		{tally{same: 3, differ: 1}, nil, Differ},
	} {
		if got := test.tally.check("x", test.cut); got.State != test.want {
			t.Errorf("%+v, %v: %v, want %s", test.tally, test.cut, got, test.want)
		}
	}
}

func TestGoroutinesBothWays(t *testing.T) {
	ours := []*values.Goroutine{{ID: 1}, {ID: 2}}
	for _, test := range []struct {
		theirs []int64
		all    bool
		want   tally
	}{
		{[]int64{1, 2}, true, tally{same: 2}},
		{[]int64{1, 2, 3}, true, tally{same: 2, differ: 1, first: "Delve has goroutine 3, ri doesn't"}},
		{[]int64{1, 2, 3}, false, tally{same: 2, differ: 1, first: "Delve has goroutine 3, ri doesn't"}},
		{[]int64{1}, true, tally{same: 1, differ: 1, first: "ri has goroutine 2 (), Delve doesn't"}},
		{[]int64{1}, false, tally{same: 1}},
	} {
		theirs := map[int64]*proc.G{}
		for _, id := range test.theirs {
			theirs[id] = &proc.G{ID: id}
		}
		var got tally
		if got.goroutines(ours, theirs, test.all); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.theirs, got, test.want)
		}
	}
}

// TestStacksPart takes functions off a stack, on both sides.
func TestStacksPart(t *testing.T) {
	stack := []call{{"a", "f.go", 1, false}, {"b", "f.go", 2, false}, {"w", "<autogenerated>", 1, true},
		{"c", "f.go", 3, false}}
	ours := []call{{"a", "f.go", 0, false}, {"b", "f.go", 2, false}, {"c", "f.go", 3, false}}
	if d := difference(ours, stack, false); d != "" {
		t.Error(d)
	}
	for k := range ours {
		if difference(slices.Delete(slices.Clone(ours), k, k+1), stack, false) == "" {
			t.Errorf("ri lacks function %d, and it is not seen", k)
		}
	}
	for k, c := range stack {
		d := difference(ours, slices.Delete(slices.Clone(stack), k, k+1), false)
		if (d == "") != c.wrapper {
			t.Errorf("Delve lacks %s: %q", c.function, d)
		}
	}
	if d := difference(ours[:2], stack, true) + difference(ours, stack[:2], true); d != "" {
		t.Error("a stack was cut:", d)
	}
	ours[1].line++
	if difference(ours, stack, false) == "" {
		t.Error("another line, and it is not seen")
	}
	names := map[string]bool{"main.F[go.shape.int].g": true, "main.F[go.shape.int].h": false, "main.F": false}
	for theirs, same := range names {
		if sameFunction("main.F[...].g", theirs) != same {
			t.Error(theirs)
		}
	}
}

// TestVerifyBusy compares while goroutines run, are preempted, and are in the kernel, again and again.
func TestVerifyBusy(t *testing.T) {
	p := start(t, "-busy", "1", "-compute", "1", "-threads", "3", "-churn", "1", "-goroutines", "20")
	s := subject(t, p.pid)
	for range 3 {
		checks, err := Verify(context.Background(), s, time.Minute, copyOf(s))
		if err != nil || states(checks) != "variables ok, types ok, goroutines ok, stacks ok, " {
			t.Fatalf("%v, %v", checks, err)
		}
	}
}
