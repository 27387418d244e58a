package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLibovsdb has libovsdb, with which Go programs use OVSDB, select, monitor and change a process: over a Unix
// socket, and by TLS with a certificate of ri pki. What it changed is taken back by ri undo, and it hears of that.
func TestLibovsdb(t *testing.T) {
	needAttach(t)
	exe := buildProgram(t, "libovsdb", ".")
	p := startTarget(t, "local", "-objects", "10")
	s := newFleetSite(t)
	s.must("pki", "issue", "here", "--agent", "--host", "127.0.0.1", "--pki", "pki", "-o", "here.pem")
	port := freePort(t)
	state := []string{"XDG_STATE_HOME=" + t.TempDir()}
	monitors := []string{"--monitor", "200ms", "--monitor-budget", "0", "--stop-budget", "0"}
	a := startAgentIn(t, state, monitors...)
	startAgentIn(t, state, append(monitors, "--remote", fmt.Sprintf("pssl:%d:127.0.0.1", port), "--tls",
		s.file("here.pem"))...)
	database := fmt.Sprintf("%s_%d", filepath.Base(p.cmd.Path), p.pid)
	for i, args := range [][]string{{a.at, database},
		{fmt.Sprintf("ssl:127.0.0.1:%d", port), database, s.file("op.pem")}} {
		cmd := exec.Command(exe, args...)
		var said text
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if err := eventually("it has changed the timeout", func() (bool, error) {
			select {
			case err := <-ended:
				return false, fmt.Errorf("it has ended: %v", err)
			default:
				return strings.Contains(said.String(), "creates: "), nil
			}
		}); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said.String())
		}
		undo := []string{"--at", a.at, "undo", fmt.Sprint(2*i + 1), "--write", "--yes", "--max-stop", "10s"}
		if out, errs, code := askRi(t, undo...); code != 0 {
			t.Errorf("ri undo: %d %s %s", code, out, errs)
		}
		if err := <-ended; err != nil {
			t.Errorf("%v: %v", args, err)
		}
		want := "10s\nchanges it: done\nhears 7s\nagain: timed out\ncreates: not allowed\nhears 10s\n"
		if got := said.String(); !strings.HasPrefix(got, "sees 127.0.0.1:") || !strings.HasSuffix(got, " "+want) {
			t.Errorf("%v: it says\n%s", args, got)
		}
	}
}
