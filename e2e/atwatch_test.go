package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAtWatch has a process die that is watched here, and one that is watched at an agent: what is run on it says the
// same, what is made arrives here, and nobody can have it run on another process, or at the agent's what they may not
// ask for alone.
func TestAtWatch(t *testing.T) {
	needAttach(t)
	a := startAgentIn(t, []string{"XDG_STATE_HOME=" + t.TempDir()})
	seen := map[string]string{}
	for where, at := range map[string][]string{"here": nil, "there": {"--at", a.at}} {
		p := startTarget(t, "local", "-objects", "100", "-seed", "7")
		folder := t.TempDir()
		watcher := riCommand(append(at, "watch", "-p", fmt.Sprint(p.pid), "--record", "died.rec", "--on-exit",
			"ri crash --json -o died.json", "--on-exit", "ri print main.store.handler.limit")...)
		said := &text{}
		watcher.Dir, watcher.Stdout, watcher.Stderr = folder, said, said
		if err := watcher.Start(); err != nil {
			t.Fatal(err)
		}
		if err := eventually("the watch begins", func() (bool, error) {
			return strings.Contains(said.String(), "Ctrl-C ends the watch"), nil
		}); err != nil {
			t.Fatal(err, said.String())
		}
		p.cmd.Process.Signal(syscall.SIGQUIT)
		_ = watcher.Wait() // the exit code says it
		if code := watcher.ProcessState.ExitCode(); code != 3 {
			t.Errorf("%s: exit code %d: %s", where, code, said.String())
		}
		for _, line := range strings.Split(said.String(), "\n") {
			if strings.HasPrefix(line, "100000") {
				seen[where] = line
			}
		}
		for _, made := range []string{"died.rec", "died.json"} {
			if data, err := os.ReadFile(filepath.Join(folder, made)); err != nil || len(data) == 0 {
				t.Errorf("%s: %s isn't there: %v; %s", where, made, err, said.String())
			}
		}
		if got := tell(folder, "", "recording", "verify", "died.rec"); got.code != 0 {
			t.Errorf("%s: %s", where, got.err)
		}
	}
	if seen["here"] == "" || seen["here"] != seen["there"] {
		t.Errorf("the dying process's field: here %q, at the agent %q", seen["here"], seen["there"])
	}
	p := startTarget(t, "local", "-objects", "100", "-seed", "7")
	watch := []string{"--at", a.at, "watch", "-p", fmt.Sprint(p.pid), "--on-exit"}
	for line, why := range map[string]string{
		"ri crsh":                           "did you mean crash?",
		"ri crash --nonsense":               "unknown flag",
		"crash":                             "give a command of ri",
		"ri crash -p 1":                     "run on the process that ri watch has",
		"ri watch -p 1":                     "run on the process that ri watch has",
		"ri recording info died.rec":        "looks at no process",
		"ri log":                            "looks at no process",
		"ri --at unix:/nowhere crash":       "without --at",
		"ri core --spool /tmp -o died.core": "lies at the agent's",
	} {
		got := tell(t.TempDir(), "", append(watch, line)...)
		if got.code != 2 && got.code != 4 || !strings.Contains(got.err, why) {
			t.Errorf("--on-exit %q: exit code %d, %q, and not %q", line, got.code, got.err, why)
		}
	}
}
