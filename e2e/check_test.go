package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var healthy = []string{"healthy-http", "healthy-pool", "healthy-cond", "healthy-timer", "healthy-gate",
	"healthy-weighted", "healthy-slots"}

// TestHealthy has nothing found in healthy programs.
func TestHealthy(t *testing.T) {
	needAttach(t)
	exe := buildTroubles(t, "local")
	for _, names := range append([][]string{nil, healthy},
		[][]string{healthy[:1], healthy[1:2], healthy[2:], {"healthy-cpu"}, {"healthy-contended"}, {"healthy-sql"},
			{"healthy-bodies"}, {"healthy-ping-pong"}, {"healthy-lock-step"}, {"healthy-helpers"}, {"healthy-sleepers"},
			{"healthy-static"}, {"healthy-later"}, {"healthy-held"}, {"healthy-offer"},
			{"healthy-stream"}, {"healthy-reader"}, {"burn-regexp"},
			{"burn-crunch"}}...) {
		t.Run(strings.Join(names, "-"), func(t *testing.T) {
			t.Parallel()
			_, out := checkOf(t, 0, startTroubles(t, exe, names...))
			if !strings.Contains(out, "nothing found; checked: stop-the-world, deadlock, ") {
				t.Errorf("it doesn't say so:\n%s", out)
			}
		})
	}
	// Where types aren't known, whoever might still come isn't known to be none.
	stripped := buildTroubles(t, "local", "-ldflags=-s")
	for _, names := range [][]string{healthy, {"healthy-static"}, {"healthy-later"}, {"healthy-held"},
		{"healthy-offer"}} {
		t.Run("stripped-"+strings.Join(names, "-"), func(t *testing.T) {
			t.Parallel()
			checkOf(t, 0, startTroubles(t, stripped, names...))
		})
	}
}

// TestDoing has a check in which nothing is found end with what the program is doing.
func TestDoing(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), "requests")
	_, out := checkOf(t, 0, pid)
	var said struct {
		Rows []struct {
			Subject, Command string
			What             []string
		}
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, r := range said.Rows {
		rows[r.Subject] = strings.Join(r.What, "\n")
	}
	for subject, want := range map[string]string{
		"requests": "30 in main.wait (unclosed.go:", "goroutines": "30 in main.wait (unclosed.go:",
		"memory": "resident; Go has", "cpu": "CPUs were used in",
		"sockets": "30 ESTABLISHED from clients of :", "next": "ri run http",
	} {
		if !strings.Contains(rows[subject], want) {
			t.Errorf("%s: no %q in\n%s", subject, want, out)
		}
	}
	if !strings.HasPrefix(rows["requests"], "30 in flight, the oldest for ") ||
		!strings.Contains(rows["requests"], ": GET /orders\n") {
		t.Errorf("the oldest request isn't told:\n%s", rows["requests"])
	}
}

// TestBurning has what computes for long said to burn CPU, by whom and with what, and not to spin.
func TestBurning(t *testing.T) {
	needAttach(t)
	exe := buildTroubles(t, "local")
	for name, want := range map[string]string{
		"burn-regexp": "burns CPU in regexp.(*Regexp).MatchString, called by main.match (calculating.go:",
		"burn-crunch": "burns CPU in its own code, main.grind (calculating.go:",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, out := checkOf(t, 0, startTroubles(t, exe, name)); !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		})
	}
}

// TestOverloaded has nothing said to be left for ever, or to leak, whose turn is still to come: goroutines that have
// not begun yet lead to what others wait for, and more of those that wait come than go.
func TestOverloaded(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), "overloaded")
	rounds := 2 // it takes all CPUs from other tests
	if allVersions() {
		rounds = 5
	}
	for range rounds {
		if found, out := checkOf(t, 0, pid); len(found) != 0 {
			t.Errorf("found in a program that has too little CPU:\n%s", out)
		}
	}
}

// TestCrowd has many that spin at one line, or that stay though their contexts were cancelled, told as one finding,
// with all their numbers.
func TestCrowd(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), "contexts")
	_, out := checkOf(t, 3, pid, "--only", "context")
	crowd(t, out, 1, 1000)
	pid = startTroubles(t, buildTroubles(t, "local"), "spin-crowd")
	_, out = checkOf(t, 3, pid)
	crowd(t, out, 2, 200) // all Ps are busy, too; some may have had no turn
}

func crowd(t *testing.T, out string, findings, least int) {
	t.Helper()
	var said struct {
		Findings []struct {
			Count      int
			Goroutines []int
		}
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	if len(said.Findings) != findings {
		t.Fatalf("%d findings, not %d:\n%s", len(said.Findings), findings, out)
	}
	if f := said.Findings[findings-1]; f.Count != len(f.Goroutines) || f.Count < least {
		t.Errorf("not one of all:\n%s", out)
	}
}

// TestTwoTroubles has both told.
func TestTwoTroubles(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), append(healthy, "abba", "full", "leak")...)
	found, out := checkOf(t, 3, pid)
	seen := map[string]int{}
	for _, f := range found {
		seen[f.Check]++
	}
	if len(found) != 3 || seen["deadlock"] != 1 || seen["full-queue"] != 1 || seen["blocked-forever"] != 1 ||
		found[0].Severity != "critical" {
		t.Errorf("not the three, the worst first:\n%s", out)
	}
}

// TestCheckOfCore has the same told of a core, of which there is one look.
func TestCheckOfCore(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("gcore"); err != nil {
		t.Skip("no gcore")
	}
	exe := buildTroubles(t, "local")
	for trouble, want := range map[string]string{"abba": "deadlock", "leak": "blocked-forever"} {
		pid := startTroubles(t, exe, append(healthy, trouble)...)
		core := filepath.Join(t.TempDir(), "core")
		if out, err := exec.Command("gcore", "-o", core, fmt.Sprint(pid)).CombinedOutput(); err != nil {
			t.Fatalf("gcore: %v\n%s", err, out)
		}
		out, _ := runRi(t, 3, "check", "-c", fmt.Sprintf("%s.%d", core, pid), "--exe", exe, "--json")
		var said struct{ Findings []foundTrouble }
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatal(err)
		}
		if len(said.Findings) != 1 || said.Findings[0].Check != want {
			t.Errorf("of %s, not just %s:\n%s", trouble, want, out)
		}
	}
}
