//go:build amd64

package referee

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"ri/attach"
	"ri/attach/core"
)

// delveSees has Delve list goroutines and look at the frames of those that wait in waitHere, and at their argument.
func delveSees(t *testing.T, target *proc.Target, want int) {
	t.Helper()
	gs, _, err := proc.GoroutinesInfo(target, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, g := range gs {
		frames, err := proc.GoroutineStacktrace(target, g, 20, 0)
		if err != nil {
			t.Errorf("goroutine %d: %v", g.ID, err)
			continue
		}
		for i, f := range frames {
			if f.Call.Fn == nil || f.Call.Fn.Name != "main.waitHere" {
				continue
			}
			found++
			callers := []string{"main.main.gowrap1", "main.main.gowrap2", "runtime.goexit"}
			if i+1 >= len(frames) || frames[i+1].Call.Fn == nil || !slices.Contains(callers, frames[i+1].Call.Fn.Name) {
				t.Errorf("who called waitHere? %+v", frames[i+1:])
			}
			scope := proc.FrameToScope(target, target.Memory(), g, 0, frames[i:]...)
			name, err := scope.EvalExpression("name", proc.LoadConfig{MaxStringLen: 64})
			if err != nil || name.Value == nil || name.Value.ExactString() != `"parked"` {
				t.Errorf("its argument name: %v, %v", name, err)
			}
		}
	}
	if found != want {
		t.Errorf("%d goroutines are in waitHere, want %d", found, want)
	}
}

func TestDelve(t *testing.T) {
	p := start(t, "-goroutines", "20", "-busy", "1")
	target := p.open()
	before := text(t, target)
	d, err := NewDelve(target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 2 {
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		dt, err := d.On(v)
		if err != nil {
			t.Fatal(err)
		}
		delveSees(t, dt, 20)
		if len(dt.ThreadList()) != len(v.Threads()) {
			t.Error(len(dt.ThreadList()), len(v.Threads()))
		}
		frames, err := proc.ThreadStacktrace(dt, dt.CurrentThread(), 20)
		if err != nil || len(frames) == 0 {
			t.Errorf("the current thread's stack: %v, %v", frames, err)
		}
		if len(dt.Breakpoints().M) != 0 {
			t.Errorf("breakpoints: %v", dt.Breakpoints().M)
		}
		v.Close()
		if ok, err := dt.Valid(); ok || err == nil {
			t.Error("valid, after the view was closed")
		}
	}
	if !bytes.Equal(before, text(t, target)) {
		t.Error("the text has changed")
	}
	p.goesOn()

	path := filepath.Join(t.TempDir(), "core")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	options := attach.CoreOptions{MaxStop: time.Minute}
	if _, err := target.(attach.Dumpable).WriteCore(context.Background(), file, options); err != nil {
		t.Fatal(err)
	}
	core, err := core.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	v, err := core.View(context.Background(), attach.ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dc, err := NewDelve(core)
	if err != nil {
		t.Fatal(err)
	}
	defer dc.Close()
	dt, err := dc.On(v)
	if err != nil {
		t.Fatal(err)
	}
	delveSees(t, dt, 20)

	live, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if dt, err = d.On(live); err != nil {
		t.Fatal(err)
	}
	if gs, _, err := proc.GoroutinesInfo(dt, 0, 0); err != nil || len(gs) < 20 {
		t.Error(len(gs), err)
	}
}

func TestContain(t *testing.T) {
	if err := contain(func() error { panic("odd input") }); err == nil {
		t.Error("no error")
	}
}
