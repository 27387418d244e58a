package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// A process in a pid namespace and a mount namespace of its own is traced from outside of them.
func TestTraceContainer(t *testing.T) {
	exe := testprogram.Build(t, "testdata/traced", testprogram.Variants[0])
	if os.Geteuid() != 0 {
		t.Skip("only root makes namespaces everywhere")
	}
	// Its executable is at a path that is another file outside.
	inside := filepath.Join(t.TempDir(), "inside")
	if err := os.WriteFile(inside, []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
		`mount --bind "$0" "$1" && exec "$1"`, exe, inside)
	in, out := testprogram.Ready(t, cmd)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(children))
	if status, err := os.ReadFile("/proc/" + pid + "/status"); err != nil || !strings.Contains(string(status),
		"NSpid:\t"+pid+"\t1\n") {
		t.Fatalf("%v: %s", err, status)
	}
	p := &tracedProgram{t, pid, in, out}
	found, made, said := p.trace(20, "main.(*Service).Handle", "--show", "o.ID", "--limit", "20")
	var ids, want []int
	for _, row := range found {
		ids = append(ids, int(row["o.ID"].(float64)))
	}
	for _, m := range made {
		want = append(want, m.ID)
	}
	if slices.Sort(ids); !slices.Equal(ids, want) {
		t.Errorf("%v, want %v\n%s", ids, want, said)
	}
}

// ended runs ri to its end, and gives what it said and its exit code.
func ended(t *testing.T, cmd *exec.Cmd) (said string, code int) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Where a warning would be the kernel's end, probing is refused unless it is asked for by name.
func TestTracePanicOnWarn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can have another /proc/sys/kernel/panic_on_warn")
	}
	p := startTraced(t, testprogram.Variants[0])
	one := filepath.Join(t.TempDir(), "one")
	if err := os.WriteFile(one, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ri := func(args ...string) *exec.Cmd {
		return exec.Command("unshare", append([]string{"--mount", "sh", "-c",
			`mount --bind "$0" /proc/sys/kernel/panic_on_warn && exec "$@"`, one, filepath.Join(bin, "ri"), "trace", "-p",
			p.pid, "main.(*Service).Handle", "--for", "100ms"}, args...)...)
	}
	said, code := ended(t, ri())
	if strings.Contains(said, "mount:") || strings.Contains(said, "doesn't let ri probe") {
		t.Skip(said)
	}
	if code == 0 || !strings.Contains(said, "panic_on_warn") || strings.Contains(said, "armed") {
		t.Errorf("exit %d: %s", code, said)
	}
	if said, code := ended(t, ri("--panic-on-warn")); code != 0 || !strings.Contains(said, "armed: ") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// RI_PROBES forbids ways to probe, and forces them.
func TestTraceSwitch(t *testing.T) {
	p := startTraced(t, testprogram.Variants[0])
	for _, value := range []string{"off", "anything"} {
		cmd := exec.Command(filepath.Join(bin, "ri"), "trace", "-p", p.pid, "main.(*Service).Handle", "--for", "1s")
		cmd.Env = append(os.Environ(), "RI_PROBES="+value)
		if said, code := ended(t, cmd); code == 0 || !strings.Contains(said, "RI_PROBES") || strings.Contains(said, "armed") {
			t.Errorf("%s: exit %d: %s", value, code, said)
		}
	}
	for _, value := range []string{"perf", "multi"} {
		t.Setenv("RI_PROBES", value)
		found, _, said := p.trace(10, "main.(*Service).Handle", "--limit", "10")
		if len(found) != 10 {
			t.Errorf("%s: %d rows: %s", value, len(found), said)
		}
	}
}

// TestTraceElements: headers of requests are tested and shown, in maps of one group and in tables.
func TestTraceElements(t *testing.T) {
	needAttach(t)
	toolchains := []string{""}
	if allVersions() {
		toolchains = append(toolchains, "go1.24.6", "go1.25.3", "go1.27.3")
	}
	for _, toolchain := range toolchains {
		t.Run("go"+strings.TrimPrefix(toolchain, "go"), func(t *testing.T) { traceElements(t, toolchain) })
	}
}

func traceElements(t *testing.T, toolchain string) {
	s := &flowSite{fleetSite: &fleetSite{t, t.TempDir()}}
	cmd := exec.Command(testprogram.Build(t, "testdata/proxy", testprogram.Variant{Toolchain: toolchain}), "service",
		"127.0.0.1:0")
	at := s.listening(cmd)
	const header = `req.Header["X-Id"][0]`
	found, said := whileTraced(t, []string{"trace", "-p", fmt.Sprint(cmd.Process.Pid), "net/http.serverHandler.ServeHTTP",
		"--when", `hasPrefix(` + header + `, "id-")`, "--show", "req.URL.Path", "--show", header, "--limit", "4"},
		func(*exec.Cmd) {
			for i, id := range []string{"", "id-1", "other", "id-3", "id-4", "id-5"} {
				r, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://%s/%d", at, i), nil)
				if err != nil {
					t.Fatal(err)
				}
				for k := range 5 * i { // from a group to a table
					r.Header.Set(fmt.Sprint("X-Other-", k), "other")
				}
				if id != "" {
					r.Header.Set("X-Id", id)
				}
				got, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				got.Body.Close()
			}
		})
	var ids []string
	for _, row := range found {
		if path, shown := row["req.URL.Path"].(string); shown {
			ids = append(ids, path+" "+fmt.Sprint(row[header]))
		}
	}
	if want := []string{"/1 id-1", "/3 id-3", "/4 id-4", "/5 id-5"}; !slices.Equal(ids, want) {
		t.Errorf("%q, not %q\n%s", ids, want, said)
	}
}
