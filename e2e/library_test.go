package e2e

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// TestLibrary looks at a Go library in a C program as at a Go program, live and as a core; of several it says so.
func TestLibrary(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	lib, exe := filepath.Join(dir, "liborders.so"), filepath.Join(dir, "shop")
	for _, args := range [][]string{
		{"go", "build", "-buildmode=c-shared", "-o", lib, "."},
		{"gcc", "-o", exe, "main.c", "-ldl"},
		{"cp", lib, filepath.Join(dir, "libother.so")},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = "testdata/library"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run := func(libs ...string) string {
		cmd := exec.Command(exe, libs...)
		_, out := testprogram.Ready(t, cmd)
		go io.Copy(io.Discard, out)
		return fmt.Sprint(cmd.Process.Pid)
	}
	pid := run(lib)
	number, _ := strconv.Atoi(pid)
	found, said := checkOf(t, 3, number)
	if len(found) != 2 || found[0].Check != "full-queue" || found[1].Check != "lock-held" {
		t.Errorf("found %v in\n%s", found, said)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"Limit: 5", []string{"print", "main.conf", "-p", pid}},
		{"main.Start.func1 lib.go:2", []string{"run", "goroutines", "-p", pid}},
		{"main.conf.Limit  int", []string{"set", "main.conf.Limit", "7", "-p", pid, "--write", "--yes"}},
		{"Limit: 7", []string{"print", "main.conf", "-p", pid}},
		{pid + "  ", []string{"ps", "shop"}},
	} {
		if out, _ := runRi(t, 0, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("ri %v: no %s in\n%s", c.args, c.want, out)
		}
	}
	core := filepath.Join(dir, "core")
	runRi(t, 0, "core", "-p", pid, "-o", core)
	if out, _ := runRi(t, 0, "print", "main.conf", "-c", core, "--exe", lib); !strings.Contains(out, "Limit: 7") {
		t.Errorf("of a core: %s", out)
	}
	pid = run(lib, filepath.Join(dir, "libother.so"))
	if _, errs, code := askRi(t, "check", "-p", pid); code != 4 || !strings.Contains(errs, "several Go libraries") ||
		!strings.Contains(errs, "libother.so") {
		t.Errorf("of two libraries: exit %d: %s", code, errs)
	}
}

// TestPlugin names functions and lines of a plugin, has its types right, and concludes nothing from code that isn't
// read.
func TestPlugin(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	lib, exe := filepath.Join(dir, "p.so"), filepath.Join(dir, "host")
	for _, args := range [][]string{{"-buildmode=plugin", "-o", lib, "./p"}, {"-o", exe, "."}} {
		cmd := exec.Command("go", append([]string{"build"}, args...)...)
		cmd.Dir = "testdata/plugin"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	cmd := exec.Command(exe, lib)
	_, out := testprogram.Ready(t, cmd)
	go io.Copy(io.Discard, out)
	for view, left := range map[string]string{"snapshot": "lock-left, blocked-forever, full-queue, wait-group",
		"live": "lock-left, "} {
		said, _ := runRi(t, 5, "check", "-p", fmt.Sprint(cmd.Process.Pid), "--view", view)
		if !strings.Contains(said, "nothing found") || !strings.Contains(said, "left out: "+left) ||
			!strings.Contains(said, "in plug/p.(*order).do (p.go:") ||
			!strings.Contains(said, "code of plugin plug/p isn't read") || strings.Contains(said, "corrupt") {
			t.Errorf("%s: %s", view, said)
		}
	}
	for want, args := range map[string][]string{
		"plug/p.(*order).do p.go:18":                      {"run", "goroutines"},
		"goroutines could not be searched for locks held": {"run", "locks"},
		"&main.order{\n    ID: 7,":                        {"print", "main.got"},
		"*main.order":                                     {"run", "channels"},
	} {
		said, _ := runRi(t, 0, append(args, "-p", fmt.Sprint(cmd.Process.Pid))...)
		if !strings.Contains(said, want) || strings.Contains(said, "corrupt") {
			t.Errorf("ri %v: no %q in\n%s", args, want, said)
		}
	}
}
