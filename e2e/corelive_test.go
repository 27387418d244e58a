package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Of a core there is no kernel to ask: what only it knows is missing. Times are reckoned from the moment of the look,
// which goes on for a live process that stands still.
var onlyLive = map[string][]string{
	"conns":           {"rx", "tx", "state", "deadline", "other", "others"},
	"timers":          {"due"},
	"goroutines":      {"wait"},
	"channels":        {"wait"},
	"gc":              {"value", "about"},
	"http":            {"age"},
	"http-out":        {"wait"},
	"sql-conns":       {"age"},
	"contexts":        {"deadline"},
	"scheduler":       {"time"},
	"queued-requests": {"age"},
	"nats-slow":       {"idle"},
	"coredns-cache":   {"remaining"},
	"etcd-leases":     {"remaining"},
}

// momentChecks are the checks of ri check that one moment of memory is enough for. Of response-body and sql-rows a core
// has been seen to tell less: they are not compared.
const momentChecks = "deadlock,lock-left,nil-channel,blocked-forever,full-queue,wait-group,context,sql-pool"

var waitedFor = regexp.MustCompile(`waiting for (at least )?[0-9.a-zµ]+`)

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
			if strings.HasPrefix(name, "runtime go") && !allVersions() {
				t.Skip("only with RI_VERSIONS=all")
			}
			p := start(t)
			pid, core := fmt.Sprint(p.pid), filepath.Join(t.TempDir(), "core")
			if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(p.pid, syscall.SIGCONT) })
			if err := awaitState(p.pid, "T"); err != nil { // kill(2) doesn't wait for them
				t.Fatal(err)
			}
			runRi(t, 0, "core", "-p", pid, "-o", core, "--max-stop", "10s")
			list, _ := runRi(t, 0, "recipes", "-p", pid, "--json")
			var recipes []struct {
				Name, Mode, Category string
				Fits                 bool
			}
			if err := json.Unmarshal([]byte(list), &struct{ Rows any }{&recipes}); err != nil {
				t.Fatal(err)
			}
			compared := 0
			for _, r := range recipes {
				// files and cpu are of the kernel.
				if r.Mode != "read" || !r.Fits || r.Name == "files" || r.Name == "cpu" || r.Category == "trace" {
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
	var args []string
	if recipe == "check" {
		args = []string{"interval=0s", "only=" + momentChecks}
	}
	live, code := rowsOf(t, recipe, append(args, "-p", pid, "--max-stop", "10s")...)
	if code != 0 && code != 3 {
		return false
	}
	dead, _ := rowsOf(t, recipe, append(args, "-c", core)...)
	for _, rows := range [][]map[string]any{live, dead} {
		for _, row := range rows {
			for _, column := range onlyLive[recipe] {
				delete(row, column)
			}
		}
	}
	if recipe == "conns" {
		// A core has no table of descriptors: what the kernel has closed, and the program still has a structure of that
		// nobody uses, is in it.
		open := map[any]bool{}
		for _, row := range live {
			open[row["fd"]] = true
		}
		dead = slices.DeleteFunc(dead, func(row map[string]any) bool { return !open[row["fd"]] && row["what"] == nil })
	}
	for i := range min(len(live), len(dead)) {
		// Of a socket that was reset the kernel says nothing, and the heap of a process isn't asked for it; of one that the
		// program has lost, but not closed yet, a core says nothing.
		if recipe == "conns" && (live[i]["proto"] == nil || dead[i]["proto"] == nil) {
			for _, column := range []string{"proto", "local", "remote"} {
				delete(live[i], column)
				delete(dead[i], column)
			}
		}
	}
	if reflect.DeepEqual(live, dead) {
		return true
	}
	t.Errorf("%s: of the process %d rows, of its core %d\n%v\n%v", recipe, len(live), len(dead), live, dead)
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
	var said struct{ Rows, Findings []map[string]any }
	_ = json.Unmarshal(out, &said)
	if recipe == "check" { // whose rows tell what the kernel knows of the process, too, which a core doesn't record
		said.Rows = said.Findings
		for _, finding := range said.Rows {
			finding["evidence"] = waitedFor.ReplaceAllString(fmt.Sprint(finding["evidence"]), "waiting")
		}
	}
	return said.Rows, cmd.ProcessState.ExitCode()
}
