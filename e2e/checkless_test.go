package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// checkLess runs ri check where it gets by on less than it wants, and gives the checks that it found something with,
// and all that it left out.
func checkLess(t *testing.T, code, pid int, args ...string) (found []string, left, view string) {
	t.Helper()
	out, _ := runRi(t, code, append([]string{"check", "-p", fmt.Sprint(pid), "--json"}, args...)...)
	var said struct {
		View     string
		Findings []foundTrouble
		LeftOut  []string `json:"left_out"`
		Partial  bool
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	for _, f := range said.Findings {
		found = append(found, f.Check)
	}
	if said.Partial {
		t.Errorf("what was left out makes it partial:\n%s", out)
	}
	return found, strings.Join(said.LeftOut, "\n"), said.View
}

// TestCheckAnswers has ri check find what can be found with less than it wants, and say what it did without, and why: 3
// if it found something, else 5.
func TestCheckAnswers(t *testing.T) {
	needAttach(t)
	exe := buildTroubles(t, "local")
	const noCopy = "lock-left, blocked-forever, full-queue, wait-group: "
	sick := startTroubles(t, exe, "abba", "full", "leak", "heavy")
	well := startTroubles(t, exe, "heavy")
	for _, c := range []struct {
		name string
		args []string
		view string // "": as it comes
		left string // what was left out begins so
		says string // and has this in it
	}{
		{"no stop is allowed that would do", []string{"--max-stop", "1us"}, "live", noCopy, "(--max-stop "},
		{"live, as was asked for", []string{"--view", "live"}, "live", noCopy, "--view snapshot"},
		{"stopped, and too slow for that", []string{"--view", "stopped", "--max-stop", "1us"}, "live", noCopy, "(--max-"},
		{"no copy of all memory", []string{"--max-stop", "1ms"}, "", "", "blocked-forever"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, left, view := checkLess(t, 3, sick, c.args...)
			if !slices.Contains(found, "deadlock") || !strings.HasPrefix(left, c.left) || !strings.Contains(left, c.says) ||
				c.view != "" && view != c.view {
				t.Errorf("of one with a deadlock %v was found in a %s view; left out: %s", found, view, left)
			}
			if view == "live" && (slices.Contains(found, "full-queue") || slices.Contains(found, "blocked-forever")) {
				t.Errorf("%v was concluded from live memory", found)
			}
			found, left, view = checkLess(t, 5, well, c.args...)
			if len(found) > 0 || !strings.HasPrefix(left, c.left) || !strings.Contains(left, c.says) || c.view != "" &&
				view != c.view {
				t.Errorf("of a healthy one %v was found in a %s view; left out: %s", found, view, left)
			}
		})
	}
	out, _ := runRi(t, 5, "check", "-p", fmt.Sprint(well), "--max-stop", "1us")
	if !strings.Contains(out, "\nleft out: "+noCopy) {
		t.Errorf("people aren't told:\n%s", out)
	}
}

// TestCheckLiveCycles has those told who wait for each other through a lock and something else, or through semaphores,
// where no copy is possible that would tell whether somebody may still come.
func TestCheckLiveCycles(t *testing.T) {
	needAttach(t)
	exe := buildTroubles(t, "local")
	// Of 150 one may have been on its way between two reads.
	for name, what := range map[string]string{"lock-and-channel": "through a lock and a channel: 1",
		"lock-and-cond": "through a lock and a Cond", "weighted-mutual": "wait for each other's shares of semaphores"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, out := checkOf(t, 3, startTroubles(t, exe, append(healthy, name)...), "--view", "live")
			if len(found) != 1 || found[0].Check != "deadlock" || found[0].Severity != "warning" ||
				!strings.Contains(found[0].What, what) {
				t.Errorf("not one deadlock %s:\n%s", what, out)
			}
		})
	}
	checkOf(t, 5, startTroubles(t, exe, healthy...), "--view", "live")
}

// TestCheckCrowd has ri check answer on very many goroutines, whose stacks take longer to copy than the stop may be.
func TestCheckCrowd(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), "crowd", "abba")
	if found, left, view := checkLess(t, 3, pid, "--max-stop", "350us"); !slices.Equal(found, []string{"deadlock"}) ||
		view != "live" || !strings.HasPrefix(left, "lock-left, ") {
		t.Errorf("%v was found in a %s view; left out: %s", found, view, left)
	}
	found, left, _ := checkLess(t, 3, pid, "--skip", "blocked-forever", "--max-stop", "10s")
	if !slices.Equal(found, []string{"deadlock"}) || left != "" {
		t.Errorf("with all the time: %v; left out: %s", found, left)
	}
}

// TestCheckTraced has ri check answer though a debugger has the process.
func TestCheckTraced(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), "abba")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.PtraceInterrupt(pid); err != nil {
			t.Error(err)
			return
		}
		if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
			t.Error(err)
			return
		}
		if err := unix.PtraceDetach(pid); err != nil {
			t.Error(err)
		}
	}()
	if found, left, view := checkLess(t, 3, pid); !slices.Equal(found, []string{"deadlock"}) || view != "live" ||
		!strings.Contains(left, "it is traced by pid ") {
		t.Errorf("%v was found in a %s view; left out: %s", found, view, left)
	}
}

// TestPrecopyWelcome has all memory copied while the process runs where the user said once that this is welcome, and
// said each time that a system call was made in it.
func TestPrecopyWelcome(t *testing.T) {
	needAttach(t)
	pid := fmt.Sprint(startTroubles(t, buildTroubles(t, "local"), "ballast"))
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "ri"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(settings string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "ri", "config.yaml"), []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := riCommand("exec", "-p", pid, "--max-stop", "10s", "-e", "print(ri.heap())")
		cmd.Env = append(cmd.Environ(), "XDG_CONFIG_HOME="+folder)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "heap\n") && !strings.Contains(string(out), "\nheap\n") {
			t.Fatalf("%q: %v\n%s", settings, err, out)
		}
		return string(out)
	}
	const made, not = "a system call was made in the process", "copied in the stop and not before it"
	if out := run("precopy: true\n"); !strings.Contains(out, made) && !strings.Contains(out, not) {
		t.Errorf("it was welcome:\n%s", out)
	}
	if out := run("precopy: false\n"); strings.Contains(out, made) || strings.Contains(out, not) {
		t.Errorf("it wasn't welcome:\n%s", out)
	}
	if out := run("precopy: maybe\n"); strings.Contains(out, made) || !strings.Contains(out, "which are not followed") {
		t.Errorf("that is no setting:\n%s", out)
	}
}

// TestOptionalHeap has a script that can do without the heap go on without it, however it looks at the rest.
func TestOptionalHeap(t *testing.T) {
	needAttach(t)
	pid := fmt.Sprint(startTroubles(t, buildTroubles(t, "local"), "heavy"))
	out, _ := runRi(t, 0, "exec", "-p", pid, "--max-stop", "1ms", "-e", "print(ri.heap{optional=true})")
	if !strings.HasPrefix(out, "nil\ta copy of all memory, ") ||
		!strings.Contains(out, "its limit is 1.0 ms; allow it (--max-stop ") {
		t.Errorf("it says:\n%s", out)
	}
}

// TestRunningHolderLive has a holder that runs found where memory is read live: in the stops between the looks.
func TestRunningHolderLive(t *testing.T) {
	needAttach(t)
	for name, want := range map[string][2]string{
		"holds-calculating": {"lock-held", "3 goroutines wait for it"}, "livelock": {"deadlock", "livelock: 2 goroutines"},
	} {
		found, out := checkOf(t, 3, startTroubles(t, buildTroubles(t, "local"), name), "--view", "live")
		if len(found) != 1 || found[0].Check != want[0] || !strings.Contains(found[0].What, want[1]) {
			t.Errorf("%s: not just that:\n%s", name, out)
		}
	}
}

// busyLoops keeps the CPUs busy until the test ends, twice over.
func busyLoops(t *testing.T) {
	t.Helper()
	for range 2 * runtime.NumCPU() {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
	}
}

// TestCheckLoaded has ri check answer on a machine on which others are at work: what the machine keeps it from is left
// out by name, with the flag that has it.
func TestCheckLoaded(t *testing.T) {
	needAttach(t)
	exe := buildTroubles(t, "local")
	sick, well := startTroubles(t, exe, "abba", "limit"), startTroubles(t, exe, "ballast")
	busyLoops(t)
	found, left, _ := checkLess(t, 3, sick)
	if !slices.Contains(found, "deadlock") || left != "" && !strings.Contains(left, "--max-stop") {
		t.Errorf("%v was found; left out: %s", found, left)
	}
	cmd := riCommand("check", "-p", fmt.Sprint(well))
	out, err := cmd.Output()
	code := cmd.ProcessState.ExitCode()
	if code != 0 && code != 5 || !strings.Contains(string(out), "nothing found; checked: ") ||
		(code == 5) != strings.Contains(string(out), "\nleft out: ") ||
		code == 5 && !strings.Contains(string(out), "--max-stop") {
		t.Errorf("of a healthy one: %v\n%s", err, out)
	}
}

// TestCheckMemory has the memory of ri check grow with those who wait, and not with the product of those who wait and
// of what they wait for.
func TestCheckMemory(t *testing.T) {
	needAttach(t)
	pid := startTroubles(t, buildTroubles(t, "local"), "each")
	cmd := riCommand("check", "-p", fmt.Sprint(pid), "--max-stop", "10s", "--max-time", "60s")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 ||
		!strings.Contains(string(out), "2000 goroutines, each of which waits for a WaitGroup") {
		t.Fatalf("%v\n%s", err, out)
	}
	if used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; used > 400<<10 { // it was 2.2 GiB; 120 to 200 MiB now
		t.Errorf("ri check took %d MiB for 4,000 goroutines that wait", used>>10)
	}
}
