package e2e

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// relabelled copies an executable with another release in its build info, of the same length.
func relabelled(t *testing.T, exe, release string) string {
	t.Helper()
	file, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	section := file.Section(".go.buildinfo")
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	info := data[section.Offset : section.Offset+section.Size]
	at := bytes.Index(info, []byte("go1."))
	if at < 1 || int(info[at-1]) != len(release) {
		t.Fatalf("%s has no release of %d letters in its build info", exe, len(release))
	}
	copy(info[at:], release)
	out := filepath.Join(t.TempDir(), filepath.Base(exe))
	if err := os.WriteFile(out, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return out
}

// A release that ri doesn't know is said, and refused only where what the program is made of differs from what ri
// knows.
func TestUnknownRelease(t *testing.T) {
	const note = "go1.99.3 is a release that ri has not been tried on"
	says := func(text, what string) {
		t.Helper()
		if strings.Count(text, what) != 1 {
			t.Errorf("%q is not said once in\n%s", what, text)
		}
	}
	look := func(pid string) {
		t.Helper()
		_, remarks := runRi(t, 0, "ps")
		says(remarks, note)
		says(remarks, "process "+pid+": ")
		out, _ := runRi(t, 0, "doctor", "-p", pid)
		says(strings.Join(strings.Fields(out), " "), "release info "+note)
		if out, _ := runRi(t, 0, "run", "goroutines", "-p", pid, "--json"); !strings.Contains(out,
			"main.main.func2 main.go:") {
			t.Error(out)
		}
	}
	t.Run("symbols", func(t *testing.T) { look(startCrash(t, relabelled(t, buildCrash(t, "local", "0"), "go1.99.3"))) })
	t.Run("stripped", func(t *testing.T) {
		if testing.Short() {
			t.Skip("not with -short")
		}
		look(startCrash(t, relabelled(t, buildCrash(t, "go1.27.3", "0", "-ldflags=-s -w"), "go1.99.3")))
	})
	t.Run("stripped and another runtime", func(t *testing.T) {
		pid := startCrash(t, relabelled(t, buildCrash(t, "local", "0", "-ldflags=-s -w"), "go1.99.3"))
		_, refused := runRi(t, 4, "run", "goroutines", "-p", pid)
		says(refused, "it was built by go1.99.3, and ri knows the runtime's layouts of Go 1.19 to 1.27; those of "+
			"go1.27.3 don't fit")
	})
}
