package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// network is hosts that share nothing but a network: each has a network namespace of its own, at a bridge. All of it
// goes when the process that holds it ends.
type network struct {
	holder *exec.Cmd
}

// newNetwork has hosts at 10.77.0.1, .2, ...
func newNetwork(t *testing.T, hosts ...string) *network {
	t.Helper()
	var script strings.Builder
	script.WriteString("set -e\nmount -t tmpfs none /run\nip link add sw type bridge\nip link set sw up\n")
	for i, name := range hosts {
		fmt.Fprintf(&script, "ip netns add %[1]s\nip link add to-%[1]s type veth peer name eth0 netns %[1]s\n"+
			"ip link set to-%[1]s master sw up\nip -n %[1]s addr add 10.77.0.%[2]d/24 dev eth0\n"+
			"ip -n %[1]s link set eth0 up\nip -n %[1]s link set lo up\n", name, i+1)
	}
	script.WriteString("echo ready\nexec cat\n")
	n := &network{exec.Command("unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script.String())}
	in, err := n.holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said text
	n.holder.Stdout, n.holder.Stderr = &said, &said
	if err := n.holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); n.holder.Wait() })
	if err := eventually("there is a network", func() (bool, error) {
		return strings.Contains(said.String(), "ready"), nil
	}); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	return n
}

// at has a command run at a host; its process is the program's own.
func (n *network) at(host string, cmd *exec.Cmd) *exec.Cmd {
	into := []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", n.holder.Process.Pid),
		fmt.Sprintf("--net=/proc/%d/ns/net", n.holder.Process.Pid), "ip", "netns", "exec", host}
	out := exec.Command(into[0], append(into[1:], append([]string{cmd.Path}, cmd.Args[1:]...)...)...)
	out.Dir, out.Env = cmd.Dir, cmd.Env
	return out
}

// TestFlowsHosts follows a flow from a gateway to the store behind it, at hosts that share nothing but the network: the
// database, the agents and the server of requests are called over TLS, and a tenant asks with ri from a fourth.
func TestFlowsHosts(t *testing.T) {
	needAttach(t)
	if os.Geteuid() != 0 {
		t.Skip("only root makes networks everywhere")
	}
	s := &flowSite{fleetSite: &fleetSite{t, t.TempDir()}}
	net := newNetwork(t, "desk", "gw1", "st1", "home")
	build := exec.Command("go", "build", "-o", s.file("store"), ".")
	build.Dir = "testdata/hops"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Link(s.file("store"), s.file("gateway")); err != nil {
		t.Fatal(err)
	}
	store := s.background(net.at("st1", exec.Command(s.file("store"), "store", "10.77.0.3:7000")), "listening at")
	gateway := s.background(net.at("gw1", exec.Command(s.file("gateway"), "gateway", "10.77.0.2:7000", "10.77.0.3:7000")),
		"listening at")
	s.must("pki", "init", "--pki", "pki")
	s.must("pki", "issue", "root", "--role", "operator", "--pki", "pki", "-o", "root.pem")
	s.must("pki", "issue", "rest", "--role", "tracer", "--host", "10.77.0.1", "--pki", "pki", "-o", "rest.pem")
	for name, address := range map[string]string{"db": "10.77.0.1", "gw1": "10.77.0.2", "st1": "10.77.0.3"} {
		s.must("pki", "issue", name, "--agent", "--host", address, "--pki", "pki", "-o", name+".pem")
	}
	const db = "ssl:10.77.0.1:6641"
	s.background(net.at("desk", riCommand("fleet", "db", s.file("file"), "--remote", "pssl:6641:10.77.0.1", "--tls",
		s.file("db.pem"))), "listening at")
	for host, program := range map[string]*exec.Cmd{"gw1": gateway, "st1": store} {
		s.background(net.at(host, riCommand("serve", "--remote", "pssl:", "--folder", s.file("agent-"+host), "--tls",
			s.file(host+".pem"), "--db", db, "-p", fmt.Sprint(program.Process.Pid))), "listening at")
	}
	s.background(net.at("desk", riCommand("serve", "--rest", "pssl:8443:10.77.0.1", "--tls", s.file("rest.pem"), "--db",
		db)), "listening at")
	for file, text := range map[string]string{"device.yaml": hopsDevice, "acme.yaml": "name: acme\n"} {
		if err := os.WriteFile(s.file(file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(cmd *exec.Cmd, env ...string) string {
		t.Helper()
		cmd.Dir, cmd.Env = s.dir, append(os.Environ(), env...)
		var wrong text
		cmd.Stderr = &wrong
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v: %s", cmd.Args, err, wrong.String())
		}
		return strings.TrimSpace(string(out))
	}
	operator := func(args ...string) string {
		t.Helper()
		return run(net.at("desk", riCommand(append([]string{"fleet"}, append(args, "--db", db, "--tls",
			s.file("root.pem"))...)...)))
	}
	operator("tenant", "create", s.file("acme.yaml"))
	operator("device", "create", s.file("device.yaml"))
	token := operator("tenant", "token", "acme")
	tenant := func(args ...string) string {
		t.Helper()
		return run(net.at("home", riCommand(append([]string{"fleet", "trace"}, append(args, "--rest",
			"https://10.77.0.1:8443", "--ca", filepath.Join(s.dir, "pki", "ca.pem"))...)...)), "RI_TOKEN="+token)
	}
	if err := eventually("both agents tell of their processes", func() (bool, error) {
		return strings.Count(operator("targets", "--ndjson"), "\n") == 1, nil // the last end is trimmed
	}); err != nil {
		t.Fatal(err)
	}
	id := tenant("create", "--device", "gateway", "--show", "r.ID", "--key", "r.ID + r.Path", "--egress-key",
		"q.ID + q.Key")
	tenant("enable", id)
	if err := eventually("both are armed", func() (bool, error) {
		said := tenant("hosts", id, "--ndjson")
		if strings.Contains(said, "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
			t.Skip(said)
		}
		return strings.Count(said, `"armed"`) == 2, nil
	}); err != nil {
		t.Fatalf("%v: %s", err, tenant("hosts", id))
	}
	run(net.at("home", exec.Command("curl", "-sS", "--max-time", "60",
		"http://10.77.0.2:7000/orders/7?id=7&tenant=acme")))
	at := map[string]string{}
	if err := eventually("the flow is seen at both", func() (bool, error) {
		for line := range strings.SplitSeq(tenant("flows", id, "--ndjson"), "\n") {
			var hop struct{ Flow, Host string }
			if json.Unmarshal([]byte(line), &hop) == nil && hop.Flow != "" {
				at[hop.Host] = hop.Flow
			}
		}
		return len(at) == 2, nil
	}); err != nil {
		t.Fatalf("%v: %v", err, at)
	}
	if at["gw1"] != at["st1"] {
		t.Errorf("two flows: %v", at)
	}
}
