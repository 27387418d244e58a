// Package clustertest has clusters of three real ovsdb-servers for tests. They die with the tests.
//
// What may not come in: what is tested on them.
package clustertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Size is how many servers a cluster has.
const Size = 3

// Cluster is three real ovsdb-servers.
type Cluster struct {
	t        *testing.T
	dir      string
	database string
	servers  [Size]*exec.Cmd
}

// New starts a cluster of a database with a schema. The test is skipped where there is no ovsdb-server.
func New(t *testing.T, database, schema string) *Cluster {
	t.Helper()
	if _, err := exec.LookPath("ovsdb-server"); err != nil {
		t.Skip("ovsdb-server isn't here: apt-get install openvswitch-common openvswitch-switch")
	}
	dir, err := os.MkdirTemp("", "ri") // sockets' names are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &Cluster{t: t, dir: dir, database: database}
	text := filepath.Join(c.dir, "schema")
	if err := os.WriteFile(text, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("ovsdb-tool", "create-cluster", c.path(0, "db"), text, "unix:"+c.path(0, "raft"))
	for n := 1; n < Size; n++ {
		c.run("ovsdb-tool", "join-cluster", c.path(n, "db"), database, "unix:"+c.path(n, "raft"), "unix:"+c.path(0, "raft"))
	}
	t.Cleanup(func() {
		for n := range c.servers {
			c.Kill(n)
		}
	})
	for n := range c.servers {
		c.Start(n)
	}
	for n := range c.servers {
		c.run("ovsdb-client", "--timeout=60", "wait", "unix:"+c.Socket(n), database, "connected")
	}
	return c
}

func (c *Cluster) path(n int, what string) string { return filepath.Join(c.dir, fmt.Sprint(what, n)) }

// Socket is where a server listens.
func (c *Cluster) Socket(n int) string { return c.path(n, "sock") }

func (c *Cluster) run(name string, args ...string) string {
	c.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Start starts a server.
func (c *Cluster) Start(n int) {
	s := exec.Command("ovsdb-server", "-vconsole:off", "--remote=punix:"+c.path(n, "sock"), "--unixctl="+c.path(n, "ctl"),
		c.path(n, "db"))
	s.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also where the tests are ended by their time
	if err := s.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.servers[n] = s
}

// Kill kills a server by SIGKILL.
func (c *Cluster) Kill(n int) {
	if s := c.servers[n]; s != nil {
		s.Process.Kill()
		s.Wait()
		c.servers[n] = nil
	}
}

// Transfer has a server that leads hand over, as it does when it compacts its file.
func (c *Cluster) Transfer(n int) {
	c.t.Helper()
	c.run("ovs-appctl", "-t", c.path(n, "ctl"), "cluster/failure-test", "transfer-leadership")
}

// Leader is who says that it leads now; -1: nobody.
func (c *Cluster) Leader() int {
	return slices.IndexFunc(c.servers[:], func(s *exec.Cmd) bool {
		if s == nil {
			return false
		}
		n := slices.Index(c.servers[:], s)
		out, err := exec.Command("ovs-appctl", "--timeout=5", "-t", c.path(n, "ctl"), "cluster/status",
			c.database).CombinedOutput()
		return err == nil && strings.Contains(string(out), "\nRole: leader")
	})
}
