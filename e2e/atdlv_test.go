package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/rpc2"
)

// TestDlvFromAfarByTLS has Delve served for an author of another machine, where its terminal isn't: that reads and
// writes files at the agent. A viewer has neither.
func TestDlvFromAfarByTLS(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100")
	dir := t.TempDir()
	must := func(args ...string) {
		t.Helper()
		cmd := riCommand(args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ri %v: %v\n%s", args, err, out)
		}
	}
	must("pki", "init", "--pki", "pki")
	must("pki", "issue", "here", "--agent", "--host", "127.0.0.1", "--pki", "pki", "-o", "here.pem")
	for _, role := range []string{"viewer", "author"} {
		must("pki", "issue", role, "--role", role, "--pki", "pki", "-o", role+".pem")
	}
	port := fmt.Sprint(freePort(t))
	startAgent(t, "--remote", "pssl:"+port+":127.0.0.1", "--tls", filepath.Join(dir, "here.pem"))
	at := "ssl:127.0.0.1:" + port
	as := func(role string) []string { return []string{"RI_TLS=" + filepath.Join(dir, role+".pem")} }
	refused := func(role, says string, args ...string) {
		t.Helper()
		cmd := riCommand(append([]string{"dlv", "--at", at, "-p", fmt.Sprint(p.pid)}, args...)...)
		cmd.Env = append(cmd.Env, as(role)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 4 || !strings.Contains(string(out), says) {
			t.Errorf("%s: ri dlv %v exits with %d: %s", role, args, code, out)
		}
	}
	refused("viewer", "needs the role author")
	refused("viewer", "needs the role author", "--headless")
	refused("author", "--allow dlv")
	h := serveDlvAs(t, as("author"), "--at", at, "-p", fmt.Sprint(p.pid), "--max-stop", "1m")
	c := rpc2.NewClientFromConn(h.dial(t, "tcp"))
	if list, _, err := c.ListGoroutines(0, 0); err != nil || len(list) == 0 {
		t.Error(len(list), err)
	}
}

// TestDlvFromAfarHostile has more clients than may be, one that reads nothing, and an agent that is killed while they
// are there.
func TestDlvFromAfarHostile(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100")
	a := startAgent(t)
	h := serveDlv(t, "--at", a.at, "-p", fmt.Sprint(p.pid), "--max-stop", "1m")

	deaf := h.dial(t, "tcp") // asks on and on, and reads nothing
	asking := make(chan error, 1)
	go func() {
		for {
			if _, err := io.WriteString(deaf, `{"method":"RPCServer.ListFunctions","params":[{}],"id":1}`); err != nil {
				asking <- err
				return
			}
		}
	}()
	var clients []*rpc2.RPCClient
	for range 15 {
		c := rpc2.NewClientFromConn(h.dial(t, "tcp"))
		if state, err := c.GetState(); err != nil || state.Pid != p.pid {
			t.Fatal(state, err)
		}
		clients = append(clients, c)
	}
	many := h.dial(t, "tcp")
	if n, err := many.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a seventeenth client is let in: %d, %v", n, err)
	}
	if err := clients[0].Disconnect(false); err != nil {
		t.Error(err)
	}
	if err := eventually("another has its place", func() (bool, error) {
		conn, err := net.Dial("tcp", h.address)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, `{"method":"RPCServer.ProcessPid","params":[{}],"id":1}`)
		n, _ := conn.Read(make([]byte, 1))
		return n > 0, nil
	}); err != nil {
		t.Error(err)
	}

	// what nobody may ask
	r := speak(t, a.at)
	r.begin("ri_run", 1, rawRequest("shell", "--pid="+fmt.Sprint(p.pid)))
	for _, n := range []any{16, 15, -1, "16", nil} {
		if _, failed := r.call("ri_open", 1, n); failed == "" {
			t.Errorf("a shell has connection %v", n)
		}
	}
	if _, failed := r.call("ri_input", 1, "x", 16); !strings.Contains(failed, "not open") {
		t.Errorf("what comes for a connection that there isn't: %q", failed)
	}

	a.cmd.Process.Kill()
	h.ends(t, 1)
	if says := h.stderr.String(); !strings.Contains(says, "the connection was lost") {
		t.Error(says)
	}
	<-asking
	if _, err := clients[1].GetState(); err == nil {
		t.Error("a client is answered still")
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.pid)); err != nil {
		t.Error(err)
	}
	goesOn(t, p)
}
