package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
)

// Of a core there is no kernel to ask: what only it knows is missing. Times are reckoned from the moment of the look,
// which goes on for a live process that stands still.
var onlyLive = map[string][]string{
	"conns":           {"rx", "tx", "state", "deadline"},
	"timers":          {"due"},
	"goroutines":      {"wait"},
	"channels":        {"wait"},
	"gc":              {"value", "about"},
	"http":            {"age"},
	"contexts":        {"deadline"},
	"scheduler":       {"time"},
	"queued-requests": {"age"},
}

// TestCoreIsAsLive runs all reading recipes that fit, and need no parameter, on a process that stands still and on a
// core of it: the rows are the same.
func TestCoreIsAsLive(t *testing.T) {
	needAttach(t)
	for name, start := range map[string]func(*testing.T) *program{
		"target":            func(t *testing.T) *program { return startTarget(t, "local", "-objects", "300", "-load") },
		"runtime":           func(t *testing.T) *program { return startRuntimeTarget(t, "local").program },
		"runtime go1.20.14": func(t *testing.T) *program { return startRuntimeTarget(t, "go1.20.14").program },
		"runtime go1.27.3":  func(t *testing.T) *program { return startRuntimeTarget(t, "go1.27.3").program },
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "target" {
				t.Skip("not with -short")
			}
			p := start(t)
			pid, core := fmt.Sprint(p.pid), filepath.Join(t.TempDir(), "core")
			if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(p.pid, syscall.SIGCONT) })
			runRi(t, 0, "core", "-p", pid, "-o", core, "--max-stop", "10s")
			list, _ := runRi(t, 0, "recipes", "-p", pid, "--json")
			var recipes []struct {
				Name, Mode string
				Fits       bool
			}
			if err := json.Unmarshal([]byte(list), &recipes); err != nil {
				t.Fatal(err)
			}
			compared := 0
			for _, r := range recipes {
				// files and cpu are of the kernel.
				if r.Mode != "read" || !r.Fits || r.Name == "files" || r.Name == "cpu" {
					continue
				}
				if compareRows(t, r.Name, pid, core) {
					compared++
				}
			}
			if compared < 15 {
				t.Errorf("only %d recipes were compared:\n%s", compared, list)
			}
		})
	}
}

// compareRows compares what a recipe says of a process and of its core; false if the recipe needs a parameter.
func compareRows(t *testing.T, recipe, pid, core string) bool {
	live, code := rowsOf(t, recipe, "-p", pid, "--max-stop", "10s")
	if code != 0 && code != 3 {
		return false
	}
	dead, _ := rowsOf(t, recipe, "-c", core)
	if recipe == "check" { // its last lines tell what the kernel knows of the process, too, which a core doesn't record
		return true
	}
	for _, rows := range [][]map[string]any{live, dead} {
		for i, row := range rows {
			for _, column := range onlyLive[recipe] {
				delete(row, column)
			}
			// A socket that the program has lost, but not closed yet.
			if recipe == "conns" && i < len(dead) && dead[i]["proto"] == nil {
				delete(row, "proto")
				delete(row, "local")
				delete(row, "remote")
			}
		}
	}
	// The program runs on between the core and the look: a connection may have come or gone, which makes other rows.
	if recipe == "conns" && len(live) != len(dead) {
		t.Logf("conns: of the process %d rows, of its core %d: a connection came or went", len(live), len(dead))
		return true
	}
	if reflect.DeepEqual(live, dead) {
		return true
	}
	t.Errorf("%s: of the process %d rows, of its core %d", recipe, len(live), len(dead))
	for i := range min(len(live), len(dead)) {
		for column, value := range live[i] {
			if other := dead[i][column]; !reflect.DeepEqual(value, other) {
				t.Logf("row %d: %s is %v, and %v in the core", i, column, value, other)
			}
		}
	}
	return true
}

func rowsOf(t *testing.T, recipe string, args ...string) (rows []map[string]any, code int) {
	t.Helper()
	cmd := riCommand(append([]string{"run", recipe, "--json"}, args...)...)
	out, _ := cmd.Output()
	checkKeys(t, recipe, out)
	var said struct{ Rows []map[string]any }
	_ = json.Unmarshal(out, &said)
	return said.Rows, cmd.ProcessState.ExitCode()
}
