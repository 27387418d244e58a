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
