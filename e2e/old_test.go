package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// TestGo119: goroutines and check of a program of Go 1.19, as Debian 12 has it, with and without symbols: its calls are
// inlined otherwise, its locks have one wait reason, and its heap notes pointers in pairs of bits.
func TestGo119(t *testing.T) {
	needAttach(t)
	for name, flags := range map[string]string{"symbols": "", "stripped": "-s -w"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exe := filepath.Join(t.TempDir(), "old")
			build := exec.Command("go", "build", "-ldflags", flags, "-o", exe, "main.go")
			build.Dir = "testdata/old"
			build.Env = append(os.Environ(), "GOTOOLCHAIN=go1.19.13")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			cmd := exec.Command(exe)
			testprogram.Ready(t, cmd)
			pid := fmt.Sprint(cmd.Process.Pid)
			for _, wanted := range []struct {
				args  []string
				texts []string
			}{
				{[]string{"run", "goroutines"}, []string{"sync.Mutex.Lock", "main.again main.go:23", "main.behind main.go:26",
					"main.lost main.go:28", "main.main main.go:38"}},
				{[]string{"run", "locks"}, []string{"main.again"}},
				{[]string{"check"}, []string{"2 findings",
					"deadlock: a goroutine waits for a lock that it holds itself (Lock twice)",
					"and 1 more behind", "receives from a channel that nobody else can reach", "in main.lost (main.go:28)"}},
			} {
				out := ""
				has := func(text string) bool { return strings.Contains(out, text) }
				for range 20 { // its goroutines may still be on their way
					out, _, _ = askRi(t, append(wanted.args, "-p", pid, "--max-stop", "5s")...)
					missing := false
					for _, text := range wanted.texts {
						missing = missing || !has(text)
					}
					if !missing {
						break
					}
				}
				for _, text := range wanted.texts {
					if !has(text) {
						t.Errorf("ri %v: no %q in\n%s", wanted.args, text, out)
					}
				}
			}
		})
	}
}
