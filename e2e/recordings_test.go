package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Packs are tested without their servers, too: testdata/recordings has recordings of those, and what the packs'
// instruments say of them. `make recordings` makes them anew, at the place where a test has just compared the
// instruments with the server's own API (see keepRecording).

const recordings = "testdata/recordings"

// TestRecordings runs the packs' instruments on the recordings.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordings, "*.rec"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d recordings in %s (make recordings): %v", len(files), recordings, err)
	}
	stdout, stderr, code := askRi(t, "test", "recordings")
	if code != 0 {
		t.Errorf("ri test exits with %d\n%s%s", code, stdout, stderr)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".rec")
		if !strings.Contains(stdout, name+" ") {
			t.Errorf("no test looks at %s:\n%s", file, stdout)
		}
		if info, err := os.Stat(file); err == nil && info.Size() > 800<<10 {
			t.Errorf("%s has %d bytes: a few hundred kilobytes are enough", file, info.Size())
		}
	}
}

// keepRecording makes a recording of recipes anew, where RI_RECORDINGS asks for it.
func keepRecording(t *testing.T, pid int, name string, recipes ...string) {
	t.Helper()
	if os.Getenv("RI_RECORDINGS") == "" {
		return
	}
	file := filepath.Join("recordings", name+".rec")
	if err := os.Remove(filepath.Join("testdata", file)); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	runRi(t, 0, append([]string{"record", "-p", fmt.Sprint(pid), "-o", file, "--max-stop", "1m"}, recipes...)...)
}

// TestExportedThreads has gdb follow each thread of an exported core to where its stack begins.
func TestExportedThreads(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Skip("no gdb (Debian: gdb)")
	}
	exe := buildTroubles(t, "local")
	pid := startTroubles(t, exe, "abba", "leak")
	dir := t.TempDir()
	rec, core := filepath.Join(dir, "rec"), filepath.Join(dir, "core")
	runRi(t, 0, "record", "-p", fmt.Sprint(pid), "-o", rec, "goroutines")
	runRi(t, 0, "recording", "export", rec, "--core", "-o", core)
	out, err := exec.Command("gdb", "-batch", "-nx", "-ex", "thread apply all bt", exe, core).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	threads := strings.Split(string(out), "\nThread ")[1:]
	for _, thread := range threads {
		if !strings.Contains(thread, "runtime.mstart ()") && !strings.Contains(thread, "runtime.mcall ()") &&
			!strings.Contains(thread, "runtime.goexit ()") && !strings.Contains(thread, "runtime.rt0_go ()") {
			t.Errorf("gdb comes to no beginning of a stack:\n%s", thread)
		}
	}
	if len(threads) < 3 {
		t.Errorf("%d threads:\n%s", len(threads), out)
	}
}
