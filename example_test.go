package ri_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ri"
	"ri/attach"
	"ri/instruments/rows"
)

// service starts examples/target, an ordinary service that knows nothing of ri, and gives its pid.
func service() (pid int, stop func(), err error) {
	dir, err := os.MkdirTemp("", "ri-example")
	if err != nil {
		return 0, nil, err
	}
	exe := filepath.Join(dir, "target")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir, build.Env = "examples/target", append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, nil, fmt.Errorf("%v\n%s", err, out)
	}
	cmd := exec.Command(exe, "-objects", "20", "-seed", "7")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.RemoveAll(dir)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		stop()
		return 0, nil, err
	}
	return cmd.Process.Pid, stop, nil
}

// A recipe is asked of a running process, and what it answers is used as it comes.
func ExampleTarget_Recipe() {
	pid, stop, err := service()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	t, err := ri.Open(ri.Choice{PID: fmt.Sprint(pid)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()

	for row, err := range t.Recipe(context.Background(), ri.Options{}, "goroutines") {
		if err != nil {
			fmt.Println(err)
			return
		}
		if ids, _ := row.Get("ids"); fmt.Sprint(ids) == "[1]" {
			state, _ := row.Get("state")
			fmt.Println("goroutine 1:", state)
		}
	}
	// What no recipe covers is some lines of Lua.
	for row, err := range t.Lua(context.Background(), ri.Options{}, `ri.emit{objects = #main.store.objects}`) {
		if err != nil {
			fmt.Println(err)
			return
		}
		objects, _ := row.Get("objects")
		fmt.Println("objects:", objects)
	}
	// Output:
	// goroutine 1: chan receive
	// objects: 20
}

// Errors are those that callers test for; rows can be left in the middle.
func TestFacade(t *testing.T) {
	if _, err := ri.Open(ri.Choice{PID: "999999999"}); !errors.Is(err, attach.ErrNoProcess) {
		t.Errorf("a pid that isn't there: %v", err)
	}
	pid, stop, err := service()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	target, err := ri.Open(ri.Choice{PID: fmt.Sprint(pid)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	ask := func(text string, most int) (n int, last error) {
		for _, err := range target.Lua(t.Context(), ri.Options{}, text) {
			if last = err; err == nil {
				n++
			}
			if n == most {
				break
			}
		}
		return n, last
	}
	for _, test := range []struct {
		text       string
		most, rows int
		err        error
	}{
		{"for i = 1, 100 do ri.emit{i = i} end", -1, 100, nil},
		{"for i = 1, 100 do ri.emit{i = i} end", 3, 3, nil},
		{"ri.emit{i = 1} error('no')", -1, 1, nil},
		{"ri.emit{", -1, 0, rows.ErrUsage},
	} {
		n, err := ask(test.text, test.most)
		if n != test.rows || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %d rows, %v", test.text, n, err)
		}
	}
	if _, err := ask("ri.emit{i = 1} error('no')", -1); err == nil {
		t.Error("a script's error was not told")
	}
	for _, err := range target.Recipe(t.Context(), ri.Options{}, "goroutine") {
		if !errors.Is(err, rows.ErrUsage) {
			t.Errorf("a misspelt recipe: %v", err)
		}
	}
}

// Calls of a function are traced while the program runs; it needs BPF (see docs/tracing.md).
func ExampleTarget_Trace() {
	pid, stop, err := service()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	t, err := ri.Open(ri.Choice{PID: fmt.Sprint(pid)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	request := ri.Request{Limit: 3, For: time.Minute, Budget: 0.05, Probes: []ri.Probe{{
		Functions: []string{"runtime.timeSleep"}, // time.Sleep
		When:      []string{"ns >= 1ms"},
		Returns:   true,
		Show:      []ri.Show{{Name: "asked", Expr: "ns"}},
	}}}
	for row, err := range t.Trace(context.Background(), request) {
		if err != nil { // rows.ErrRefused: this kernel, or this caller, can't
			fmt.Println(err)
			return
		}
		took, _ := row.Get("duration")
		asked, _ := row.Get("asked")
		fmt.Println(asked, took)
	}
}
