package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// TestTorn: requests that can't be read, or can't be requests, are told as such, and take no other with them.
func TestTorn(t *testing.T) {
	needAttach(t)
	exe := filepath.Join(t.TempDir(), "torn")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir = "testdata/torn"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(exe)
	testprogram.Ready(t, cmd)
	pid := fmt.Sprint(cmd.Process.Pid)
	out, said := runRi(t, 5, "run", "http", "-p", pid, "--json", "--max-stop", "5s")
	var got struct {
		Rows []struct{ Method, Path string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 1 || got.Rows[0].Path != "/whole" {
		t.Errorf("in flight are %v; %s", got.Rows, said)
	}
	if !strings.Contains(out+said, "2 connections can't be read: ") {
		t.Errorf("it isn't said what can't be read: %s%s", out, said)
	}
	out, _ = runRi(t, 0, "check", "-p", pid, "--max-stop", "5s", "--skip", "goroutine-leak,blocked-forever,nil-channel")
	for _, want := range []string{"1 in flight", "GET /whole", "2 connections changed while it was read"} {
		if !strings.Contains(out, want) {
			t.Errorf("check doesn't say %q:\n%s", want, out)
		}
	}
}
