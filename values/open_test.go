package values_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

const fixture = "testdata/kinds"

// looked is a running fixture and one look at it.
type looked struct {
	*values.Space
	*testprogram.Program
	file   *symbols.File
	target attach.Target
	view   attach.View
}

// look starts the fixture, built in a variant, and opens a view of it.
func look(t testing.TB, v testprogram.Variant, kind attach.ViewKind) *looked {
	t.Helper()
	return lookAt(t, testprogram.Start(t, testprogram.Build(t, fixture, v)), kind)
}

func lookAt(t testing.TB, p *testprogram.Program, kind attach.ViewKind) *looked {
	t.Helper()
	target, err := process.Open(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	f, err := symbols.Open(target.Executable(), target.ExecutablePath())
	if err != nil {
		t.Fatal(err)
	}
	if f.NoDWARF() != nil {
		t.Fatal(f.NoDWARF())
	}
	view, err := target.View(context.Background(), attach.ViewOptions{Kind: kind, MaxStop: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { view.Close() })
	s := values.New(f, attach.NewCache(view), target.Entry()-f.Entry())
	if threads := view.Threads(); threads != nil {
		s.SetThreads(threads)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	s.SetNow(now.Nano())
	return &looked{s, p, f, target, view}
}

// eval evaluates an expression that must succeed.
func (l *looked) eval(t testing.TB, expr string) values.Value {
	t.Helper()
	v, err := l.Eval(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v
}
