// Package testlook opens the programs that tests look at: a process of a fixture, its symbols, one view. Only tests
// import it.
package testlook

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
	"ri/values/eval"
)

// Looked is a running fixture and one look at it.
type Looked struct {
	*values.Space
	*testprogram.Program
	Target attach.Target
	View   attach.View
}

// Look starts the fixture in a folder, built in a variant, and opens a view of it.
func Look(t testing.TB, fixture string, v testprogram.Variant, kind attach.ViewKind) *Looked {
	t.Helper()
	return At(t, testprogram.Start(t, testprogram.Build(t, fixture, v)), kind)
}

// At opens a view of a program.
func At(t testing.TB, p *testprogram.Program, kind attach.ViewKind) *Looked {
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
	return &Looked{s, p, target, view}
}

// Value evaluates an expression that must succeed.
func (l *Looked) Value(t testing.TB, expr string) values.Value {
	t.Helper()
	v, err := eval.Expression(l.Space, expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// Benchmark runs f on one look at a fixture: its pages are read once, so what is measured is the walk.
func Benchmark(b *testing.B, fixture string, f func(s *values.Space) error) {
	l := Look(b, fixture, testprogram.Variants[0], attach.Stopped)
	for b.Loop() {
		if err := f(l.Space); err != nil {
			b.Fatal(err)
		}
	}
}
