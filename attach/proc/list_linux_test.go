package proc

import (
	"io"
	"os"
	"os/exec"
	"testing"
)

// TestMain is a Go process that does nothing, where it is told to be.
func TestMain(m *testing.M) {
	if os.Getenv("RI_TEST_IDLE") != "" {
		os.Stdout.WriteString("begun")
		_, _ = io.ReadAll(os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// TestLister looks again and again, while a process that is none of Go's becomes one, and ends: after ten looks at most
// each has what is so, whether it reads everything or not.
func TestLister(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `echo shell; read line; exec "$0"`, own)
	cmd.Env = append(os.Environ(), "RI_TEST_IDLE=1")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	said := make([]byte, 6)
	heard := func(text string) {
		t.Helper()
		if n, err := io.ReadAtLeast(out, said, len(text)); err != nil || string(said[:n]) != text {
			t.Fatalf("it says %q: %v", said[:n], err)
		}
	}
	var l Lister
	looks := func(what string, want bool) {
		t.Helper()
		for i := range 3 * thorough {
			list, err := l.List()
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, p := range list.Go {
				if p.PID == cmd.Process.Pid {
					found = p.Executable == own && p.GoVersion != "" && p.StartTime != 0 && p.User != ""
				}
			}
			if found != want && i > thorough {
				t.Fatalf("%s, look %d: it is a Go process: %v", what, l.looks, found)
			}
		}
	}
	heard("shell\n")
	looks("a shell", false)
	io.WriteString(in, "\n")
	heard("begun")
	looks("a Go program", true)
	in.Close()
	cmd.Wait()
	looks("gone", false)
}
