package e2e

import (
	"fmt"
	"os/exec"
	"testing"
)

// On a terminal a list has a row for each element, what changes has its rate beside it, and Ctrl-C ends it with the
// last look on the screen.
func TestTopOnATerminal(t *testing.T) {
	if !mayAttach() {
		t.Skip("a process that isn't a child may not be stopped here")
	}
	exe, err := buildTarget("local")
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(exec.Command(exe, "-objects", "50", "-seed", "7", "-load"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	s := openScreen(t, 100, 20, "ri", "top", "store.devices", "--interval", "200ms", "--max-stop", "10s", "-p",
		fmt.Sprint(p.pid))
	s.shows("READS/S")
	s.shows("6 elements of 6")
	s.shows(`"disk-0"`)
	s.keys("C-c")
	s.shows("left with 130")
	s.shows("READS/S")
}

// TestKeyLeaves: q leaves what is refreshed in place, as Ctrl-C does, and ends well.
func TestKeyLeaves(t *testing.T) {
	p := startService(t)
	for shows, line := range map[string][]string{
		"store.devices": {"ri", "top", "store.devices", "--interval", "200ms", "--max-stop", "10s"},
		"ROWS":          {"ri", "run", "goroutines", "--group", "state", "--watch", "200ms", "--max-stop", "10s"},
	} {
		t.Run(line[1], func(t *testing.T) {
			s := openScreen(t, 100, 20, append(line, "-p", fmt.Sprint(p.pid))...)
			s.shows(shows)
			s.typed("q")
			s.shows("left with 0")
		})
	}
}
