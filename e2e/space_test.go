package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAddressSpace has ri, built as the Makefile does, say that its address space is limited where the limit leaves no
// room for the Go runtime, or for what of the executable is zero; and run where there is room.
func TestAddressSpace(t *testing.T) {
	if !allVersions() {
		t.Skip("only with RI_VERSIONS=all: it compiles all of ri once more")
	}
	exe := filepath.Join(t.TempDir(), "ri")
	for _, args := range [][]string{
		{"build", "-trimpath", "-ldflags=-s -w -E ri/instruments/commands.begin", "-o", exe, "./cmd/ri"},
		{"run", "./scripts/trim", exe},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	for _, kib := range []int{40000, 50000, 100000, 700000, 1400000, 1572863} {
		out, err := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$0" version`, kib), exe).CombinedOutput()
		exit, _ := err.(*exec.ExitError)
		if exit == nil || exit.ExitCode() != 4 || !strings.HasPrefix(string(out),
			"ri: ri's address space is limited (RLIMIT_AS), and it needs 1.5 GiB, ") {
			t.Errorf("with %d KiB: %v: %s", kib, err, out)
		}
	}
	if out, err := exec.Command("sh", "-c", `ulimit -v 1572864; exec "$0" version`, exe).CombinedOutput(); err != nil {
		t.Errorf("with 1.5 GiB: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"version"}, {"ps"}} {
		if out, err := exec.Command(exe, args...).CombinedOutput(); err != nil {
			t.Errorf("ri %v: %v\n%s", args, err, out)
		}
	}
}
