package values_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

// A goroutine that gives way all the time is often seen with its thread in the scheduler, on its way back to it, which
// asks the vDSO for the time there. Where the goroutine goes on then is known, too.
func TestYields(t *testing.T) {
	p := testprogram.Start(t, testprogram.Build(t, "testdata/waiting", testprogram.Variants[0]))
	target, err := process.Open(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	f, err := symbols.Open(target.Executable(), target.ExecutablePath())
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		view, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s := values.New(f, attach.NewCache(view), target.Entry()-f.Entry())
		s.SetThreads(view.Threads())
		for g, err := range s.Goroutines() {
			if err != nil || g.Status != "running" || g.System {
				continue
			}
			frames, err := g.Stack(64)
			if err != nil || !slices.ContainsFunc(frames, func(f values.Frame) bool { return f.Func == "main.holdSpun" }) {
				t.Errorf("goroutine %d runs, and isn't in main.holdSpun: %v, %v", g.ID, frames, err)
			}
		}
		view.Close()
	}
}
