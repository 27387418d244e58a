package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"ri/symbols/testprogram"
)

// neighbourRow is what is told of a descriptor or a child.
type neighbourRow struct {
	PID, Goroutine    int64
	Name, State, Func string
	Other             string
	Others            []struct {
		PID, FD, Goroutine int64
		Name, Func         string
	}
}

// TestOtherEnd: of a Unix socket who has the other end is told, with the goroutine that waits there, and of a pipe and
// of children who has them.
func TestOtherEnd(t *testing.T) {
	needAttach(t)
	dir := t.TempDir()
	exe := filepath.Join(dir, "neighbours")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir = "testdata/neighbours"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	start := func(what string) int {
		cmd := exec.Command(exe, what, filepath.Join(dir, "s"))
		testprogram.Ready(t, cmd)
		return cmd.Process.Pid
	}
	listener := start("listen")
	dialer := start("dial")
	ask := func(pid int, args ...string) (list []neighbourRow) {
		t.Helper()
		out, _ := runRi(t, 0, append([]string{"run", "-p", fmt.Sprint(pid), "--json", "--max-stop", "5s"}, args...)...)
		if err := json.Unmarshal([]byte(out), &struct{ Rows any }{&list}); err != nil {
			t.Fatal(err)
		}
		return list
	}
	has := func(what string, is func(neighbourRow) bool, pid int, args ...string) {
		t.Helper()
		var list []neighbourRow
		for range 100 { // its goroutines may still be on their way
			if list = ask(pid, args...); slices.ContainsFunc(list, is) {
				return
			}
		}
		t.Errorf("%s isn't among %+v", what, list)
	}
	connectedTo := func(pid int, function string) func(neighbourRow) bool {
		return func(r neighbourRow) bool {
			return len(r.Others) == 1 && r.Others[0].PID == int64(pid) && r.Others[0].Name == "neighbours" &&
				r.Others[0].Goroutine > 0 && r.Others[0].Func == function && r.Other != ""
		}
	}
	has("the dialer", connectedTo(dialer, "main.talk"), listener, "conns")
	has("the listener", connectedTo(listener, "main.answer"), dialer, "conns")
	has("the child that is waited for", func(r neighbourRow) bool {
		return r.Name == "cat" && r.Goroutine > 0 && r.Func == "main.wait"
	}, listener, "children")
	has("the child that nobody waits for", func(r neighbourRow) bool {
		return r.State == "ended, not waited for" && r.Goroutine == 0
	}, listener, "children")
	has("the pipe's reader", func(r neighbourRow) bool {
		return len(r.Others) == 1 && r.Others[0].Name == "cat" && r.Others[0].FD == 0
	}, listener, "files", "kind=pipe")
}
