package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebugFiles has a stripped program's variables named by its separate debug file, where debuggers look for one,
// where --symbols names it, and from a debuginfod server; and never by another's.
func TestDebugFiles(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("objcopy"); err != nil {
		t.Skip("no objcopy: apt-get install binutils")
	}
	dir := t.TempDir()
	full := buildCrash(t, "local", "0", "-ldflags=-B gobuildid")
	exe, debug := filepath.Join(dir, "program"), filepath.Join(dir, "program.debug")
	objcopy := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("objcopy", args...).CombinedOutput(); err != nil {
			t.Fatalf("objcopy %v: %v\n%s", args, err, out)
		}
	}
	objcopy("--only-keep-debug", full, debug)
	objcopy("--strip-all", "--add-gnu-debuglink="+debug, full, exe)
	other := filepath.Join(dir, "other.debug")
	objcopy("--only-keep-debug", buildCrash(t, "local", "0", "-ldflags=-B gobuildid -X main.said=another"), other)
	pid := startCrash(t, exe)
	servers := ""
	look := func(args ...string) (out string, code int) {
		cmd := riCommand(append([]string{"print", "main.sink", "-p", pid}, args...)...)
		cmd.Env = append(os.Environ(), "DEBUGINFOD_CACHE_PATH="+filepath.Join(dir, "cache"), "DEBUGINFOD_URLS="+servers)
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	sees := func(where string, args ...string) {
		t.Helper()
		if out, code := look(args...); code != 0 || !strings.Contains(out, `"two": main.node{`) {
			t.Errorf("%s: exit %d: %s", where, code, out)
		}
	}
	refuses := func(want string, args ...string) {
		t.Helper()
		if out, code := look(args...); code == 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, not %q: %s", code, want, out)
		}
	}
	move := func(to string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(debug, to); err != nil {
			t.Fatal(err)
		}
		debug = to
	}
	sees("beside the program")
	move(filepath.Join(dir, ".debug", "program.debug"))
	sees("under .debug")
	move(filepath.Join(dir, "away", "elsewhere"))
	refuses("no debug file of it is at " + "/usr/lib/debug/.build-id/")
	sees("by --symbols", "--symbols", debug)
	dlv := riCommand("dlv", "-p", pid, "--symbols", debug, "--max-stop", "10s")
	dlv.Stdin = strings.NewReader("whatis main.sink\nq\n")
	if out, _ := dlv.CombinedOutput(); strings.Contains(string(out), "no debug information") ||
		!strings.Contains(string(out), "interface {}") {
		t.Errorf("dlv doesn't see it: %s", out)
	}
	sees("of an unstripped build", "--symbols", full)
	refuses("not the debug file of this program: its build ID is", "--symbols", other)
	if err := os.Rename(other, filepath.Join(dir, "program.debug")); err != nil { // where that of the program would lie
		t.Fatal(err)
	}
	refuses("no debug file of it is at ")

	id := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id = strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/buildid/"), "/debuginfo")
		http.ServeFile(w, r, debug)
	}))
	defer server.Close()
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("no")) }))
	defer liar.Close()
	refuses("set DEBUGINFOD_URLS", "--debuginfod")
	servers = liar.URL
	refuses("sent something else", "--debuginfod")
	servers = liar.URL + " " + server.URL + "/"
	refuses("no debug file of it is at ") // nobody asked for it
	sees("of a server", "--debuginfod")
	server.Close()
	sees("kept", "--debuginfod")
	if len(id) != 40 {
		t.Errorf("the server was asked for %q", id)
	}
}
