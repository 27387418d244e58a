//go:build amd64

package attach

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
)

// text reads all of a target's code, from memory.
func text(t *testing.T, p *Process) []byte {
	t.Helper()
	maps, err := p.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, m := range maps {
		if m.Exec && m.Path == p.ExecutablePath() {
			buf := make([]byte, m.End-m.Start)
			if _, err := p.memory().ReadMemory(buf, m.Start); err != nil {
				t.Fatal(err)
			}
			out = append(out, buf...)
		}
	}
	if len(out) == 0 {
		t.Fatal("no text")
	}
	return out
}

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
			if i+1 >= len(frames) || frames[i+1].Call.Fn == nil || frames[i+1].Call.Fn.Name != "main.main.gowrap1" && frames[i+1].Call.Fn.Name != "runtime.goexit" && frames[i+1].Call.Fn.Name != "main.main.gowrap2" {
				t.Errorf("who called waitHere? %+v", frames[i+1].Call.Fn)
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
	target := open(t, p.PID)
	before := text(t, target)
	d, err := NewDelve(target)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 2 {
		v, err := target.View(context.Background(), ViewOptions{Kind: Stopped, MaxStop: time.Minute})
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

	core, err := OpenCore(gcore(t, p.PID), "")
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	v, err := core.View(context.Background(), ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dt, err := DelveTarget(core, v)
	if err != nil {
		t.Fatal(err)
	}
	delveSees(t, dt, 20)

	live, err := target.View(context.Background(), ViewOptions{Kind: Live})
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
	if err := Contain(func() error { panic("odd input") }); err == nil {
		t.Error("no error")
	}
}
