package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// redrawn is what a terminal is told anew when a line is typed, which depends on how its keys came in time.
var redrawn = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\r`)

// TestAtOnATerminal has what talks with people done here and at an agent, on a terminal and on a process that stands
// still: what is seen, asked and exited with is the same.
func TestAtOnATerminal(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script (of util-linux) isn't there: make needs installs it")
	}
	p := startTarget(t, "local", "-objects", "100", "-seed", "7")
	p.cmd.Process.Signal(syscall.SIGSTOP)
	if err := awaitState(p.pid, "T"); err != nil {
		t.Fatal(err)
	}
	state := map[string]string{"here": t.TempDir(), "there": t.TempDir()}
	a := startAgentIn(t, []string{"XDG_STATE_HOME=" + state["there"]})
	for _, test := range []struct {
		args   string
		dialog []string
	}{
		{"set main.store.handler.limit 7 -p PID --write --max-stop 5s", []string{"Change this in", "n\r", "not confirmed"}},
		{"set main.store.handler.limit 7 -p PID --write --max-stop 5s && undo 1 --write --max-stop 5s",
			[]string{"Change this in", "y\r", "committed", "", "[y/N]", "y\r", "committed"}},
		{"log truncate --all", []string{"Forget them?", "n\r", "not confirmed"}},
		{"shell -p PID", []string{"> ", "main.store.handler.lim\t", "limit", "\r", "100000", "nothing.there\r", "nothing",
			":quit\r"}},
		{"attach PID", []string{"> ", ":run goroutines\r", "stopped", "\x04"}},
		{"dlv -p PID", []string{"(dlv) ", "print main.store.units\r", "(dlv) ", "quit\r"}},
		{"watch -p PID", []string{"Ctrl-C ends the watch", "\x03", "exit 130"}},
		{"top main.store.units -p PID --interval 1h", []string{"main.store.units", "\x03", "exit 130"}},
		{"top main.store.units -p PID --interval 1h", []string{"main.store.units", "q", "exit 0"}},
		{"run goroutines -p PID --watch 1h", []string{"STACK", "q", "exit 0"}},
		{"run goroutines -p PID", []string{"stopped"}},
	} {
		seen := map[string]string{}
		for where, at := range map[string]string{"here": "", "there": "--at " + a.at + " "} {
			line := "ri " + at + strings.NewReplacer("PID", fmt.Sprint(p.pid), "&& ", "&& ri "+at).Replace(test.args)
			what := where + ": ri " + test.args
			out := onTerminal(t, what, "sh -c "+quoteShell("trap : INT; "+line+`; echo "exit $?"`), state[where], test.dialog)
			text := strings.ReplaceAll(redrawn.ReplaceAllString(string(out), ""), state[where], "STATE")
			seen[where] = varies.ReplaceAllString(text, "#")
		}
		if seen["here"] != seen["there"] {
			t.Errorf("ri %s: here\n%q\nat the agent\n%q", test.args, seen["here"], seen["there"])
		}
	}
}
