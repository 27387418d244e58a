package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestBackup: of two real servers one is the other's backup, and is named first. What is to be done is done by the
// other; when that dies and the backup takes its place, by the backup.
func TestBackup(t *testing.T) {
	if _, err := exec.LookPath("ovsdb-server"); err != nil {
		t.Skip("ovsdb-server isn't here: apt-get install openvswitch-common openvswitch-switch")
	}
	dir := shortDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(at("schema"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(name string, args ...string) *exec.Cmd {
		t.Helper()
		s := exec.Command("ovsdb-server", append(args, "-vconsole:off", "--remote=punix:"+at(name),
			"--unixctl="+at(name+".ctl"), at(name+".db"))...)
		s.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Process.Kill(); s.Wait() })
		run("ovsdb-client", "--timeout=60", "wait", "unix:"+at(name), "jobs", "connected")
		return s
	}
	for _, name := range []string{"active", "backup"} {
		run("ovsdb-tool", "create", at(name+".db"), at("schema"))
	}
	active := serve("active")
	serve("backup", "--sync-from=unix:"+at("active"))
	c := start(t, Config{Remotes: []Remote{unixRemote(at("backup")), unixRemote(at("active"))}, Pause: time.Millisecond})
	m, err := c.Monitor(t.Context(), map[string]Watch{"Job": {Columns: []string{"id"}}})
	if err != nil {
		t.Fatal(err)
	}
	sees := func(n int) {
		t.Helper()
		for len(m.Rows("Job")) != n {
			if _, err := m.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.Transact(t.Context(), insert("one")); err != nil {
		t.Errorf("sent once: %v", err)
	}
	if _, again, err := c.Once(t.Context(), "Job", "id", "two", insert("two")); again || err != nil {
		t.Errorf("done once: %v, %v", again, err)
	}
	sees(2)
	b := start(t, Config{Remotes: []Remote{unixRemote(at("backup"))}}) // until it has all
	replica, err := b.Monitor(t.Context(), map[string]Watch{"Job": {Columns: []string{"id"}}})
	if err != nil {
		t.Fatal(err)
	}
	for len(replica.Rows("Job")) != 2 {
		if _, err := replica.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	active.Process.Kill()
	active.Wait()
	run("ovs-appctl", "-t", at("backup.ctl"), "ovsdb-server/disconnect-active-ovsdb-server")
	if _, again, err := c.Once(t.Context(), "Job", "id", "three", insert("three")); again || err != nil {
		t.Errorf("at what was the backup: %v, %v", again, err)
	}
	sees(3)
}
