package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ri/symbols/testprogram"
)

// TestEINTR: threads of C that sleep in epoll_wait, sigwaitinfo and recv with a time-out don't notice that the program
// is looked at. Where they would, that is said before and after.
func TestEINTR(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no C compiler")
	}
	exe := filepath.Join(t.TempDir(), "eintr")
	build := exec.Command("go", "build", "-trimpath", "-o", exe, ".")
	build.Dir, build.Env = "testdata/eintr", append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(exe)
	in, out := testprogram.Run(t, cmd)
	defer func() {
		cmd.Process.Kill()
		in.Close()
		cmd.Wait()
	}()
	if line, err := out.ReadString('\n'); err != nil || line != "ready 7\n" {
		t.Fatal(line, err)
	}
	pid := fmt.Sprint(cmd.Process.Pid)
	interrupted := func() (n int) {
		io.WriteString(in, "\n")
		if _, err := fmt.Fscanln(out, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	ask := func(args ...string) string {
		said, err := exec.Command(filepath.Join(bin, "ri"), args...).CombinedOutput()
		if err != nil {
			t.Errorf("ri %v: %v\n%s", args, err, said)
		}
		return string(said)
	}
	for _, waits := range []string{"epoll_wait", "sigtimedwait", "recv"} { // all are there
		for end := time.Now().Add(time.Minute); !strings.Contains(ask("doctor", "-p", pid), waits); {
			if time.Now().After(end) {
				t.Fatalf("no thread waits in %s", waits)
			}
		}
	}
	for _, args := range [][]string{{"run", "goroutines", "-p", pid}, {"run", "heap", "-p", pid}, {"check", "-p", pid},
		{"print", "-p", pid, "main.limit"}, {"run", "settings", "-p", pid}} {
		said := ask(args...)
		if n := interrupted(); n > 0 || !strings.Contains(said, "stopped ") && args[0] != "print" {
			t.Fatalf("%d calls of C ended with EINTR by ri %v:\n%s", n, args, said)
		}
	}
	said := ask("set", "-p", pid, "--write", "--yes", "--journal", filepath.Join(t.TempDir(), "journal"), "main.limit",
		"8")
	if n := interrupted(); n != 3 || !strings.Contains(said,
		"3 system calls of C code interrupted, which may return EINTR") {
		t.Errorf("%d calls of C ended with EINTR, and it was said:\n%s", n, said)
	}
}
