package e2e

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// flowSite is a fleet of two agents, at a gateway and at the store behind it, and a server of requests.
type flowSite struct {
	*fleetSite
	gateway, rest, token string
	programs             map[string]*exec.Cmd
	agents               map[string]*exec.Cmd
}

// where is an address that a program says it listens at.
var where = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// listening starts a program that says where it listens.
func (s *flowSite) listening(cmd *exec.Cmd) string {
	s.t.Helper()
	said := filepath.Join(s.dir, "said")
	f, err := os.Create(said)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	at := ""
	if err := eventually("it listens", func() (bool, error) {
		text, err := os.ReadFile(said)
		at = where.FindString(string(text))
		return at != "", err
	}); err != nil {
		s.t.Fatal(err)
	}
	return at
}

// agent starts the agent of a host that sees one process alone.
func (s *flowSite) agent(host string, pid int) {
	s.t.Helper()
	s.agents[host] = s.background(riCommand("serve", "--remote", "punix:"+s.file(host+".sock"), "--folder", s.file(host),
		"--tls", s.file(host+".pem"), "--db", "unix:"+s.file("db"), "-p", fmt.Sprint(pid)), "listening at")
}

const hopsDevice = `name: gateway
where: ['name == gateway']
egressWhere: ['name == store']
ingress: ['main.(*Gateway).handle']
egress: ['main.(*Store).serve']
steps: ['main.*']
follow: goroutines
paths: [r.ID, r.Path, r.Tenant]
egressPaths: [q.ID, q.Key]
clear: [r.ID, q.ID]
keys: [{ingress: r.ID + r.Path, egress: q.ID + q.Key}]
budget: 2%
tenants:
  acme: {predicate: 'r.Tenant == "acme"'}
`

// newFlowSite has a gateway and a store, of one program under two names.
func newFlowSite(t *testing.T) *flowSite {
	return startFlowSite(t, hopsDevice, func(s *flowSite) map[string]int {
		exe := s.file("hops")
		build := exec.Command("go", "build", "-o", exe, ".")
		build.Dir = "testdata/hops"
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, name := range []string{"store", "gateway"} {
			if err := os.Link(exe, s.file(name)); err != nil {
				t.Fatal(err)
			}
		}
		s.programs["store"] = exec.Command(s.file("store"), "store", "127.0.0.1:0")
		store := s.listening(s.programs["store"])
		s.programs["gateway"] = exec.Command(s.file("gateway"), "gateway", "127.0.0.1:0", store)
		s.gateway = s.listening(s.programs["gateway"])
		return map[string]int{"gw1": s.programs["gateway"].Process.Pid, "st1": s.programs["store"].Process.Pid}
	})
}

// startFlowSite has an agent for each of some processes, each at a host of its own, one device, of the tenant acme, and
// a server of requests.
func startFlowSite(t *testing.T, device string, start func(*flowSite) map[string]int) *flowSite {
	dir, err := os.MkdirTemp("", "ri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &flowSite{fleetSite: &fleetSite{t, dir}, programs: map[string]*exec.Cmd{}, agents: map[string]*exec.Cmd{}}
	hosts := start(s)
	s.must("pki", "init", "--pki", "pki")
	s.must("pki", "issue", "root", "--role", "operator", "--pki", "pki", "-o", "root.pem")
	s.must("pki", "issue", "rest", "--role", "tracer", "--pki", "pki", "-o", "rest.pem")
	db := "unix:" + s.file("db")
	s.background(riCommand("fleet", "db", s.file("file"), "--remote", "p"+db), "listening at")
	for host, pid := range hosts {
		s.must("pki", "issue", host, "--agent", "--pki", "pki", "-o", host+".pem")
		s.agent(host, pid)
	}
	s.rest = s.file("rest.sock")
	s.background(riCommand("serve", "--rest", "punix:"+s.rest, "--tls", s.file("rest.pem"), "--db", db), "listening at")
	for file, text := range map[string]string{"device.yaml": device, "acme.yaml": "name: acme\n"} {
		if err := os.WriteFile(s.file(file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.fleet("tenant", "create", "acme.yaml")
	s.fleet("device", "create", "device.yaml")
	s.token = strings.TrimSpace(s.fleet("tenant", "token", "acme"))
	if err := eventually("all agents tell of their processes", func() (bool, error) {
		return strings.Count(s.fleet("targets", "--ndjson"), "\n") == len(hosts), nil
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// fleet runs a command of the fleet as the operator.
func (s *flowSite) fleet(args ...string) string {
	s.t.Helper()
	return s.must(append(append([]string{"fleet"}, args...), "--db", "unix:"+s.file("db"), "--tls", s.file("root.pem"))...)
}

// ask asks the server of requests, as acme.
func (s *flowSite) ask(verb, path, body string, into any) int {
	s.t.Helper()
	args := []string{"curl", "-sS", "--max-time", "60", "--unix-socket", s.rest, "-X", verb, "-w", "%{stderr}%{http_code}",
		"-H", "Authorization: Bearer " + s.token, "http://ri" + path}
	if body != "" {
		args = append(args, "-H", "Content-Type: application/json", "-d", body)
	}
	cmd := exec.Command(args[0], args[1:]...)
	var code strings.Builder
	cmd.Stderr = &code
	out, err := cmd.Output()
	if err == nil && into != nil {
		err = json.Unmarshal(out, into)
	}
	status := 0
	if _, scanned := fmt.Sscan(code.String(), &status); err != nil || scanned != nil {
		s.t.Fatalf("%s %s: %v %s %s", verb, path, err, code.String(), out)
	}
	return status
}

// order has the gateway do something.
func (s *flowSite) order(tenant string, id int) {
	s.t.Helper()
	r, err := http.Get(fmt.Sprintf("http://%s/orders/%d?id=%d&tenant=%s", s.gateway, id, id, tenant))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	if text, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK {
		s.t.Fatalf("%v %s %s", err, r.Status, text)
	}
}

type hostState struct {
	Host, State, Done, Why   string
	Hits, Matched, Ambiguous int
}

// flowSeen is a flow, as GET flows has it.
type flowSeen struct {
	Flow string
	Hops []struct {
		Host, Side string
		Log        []map[string]any
	}
}

// at waits until a host says something of a request.
func (s *flowSite) at(trace, host, what string, so func(hostState) bool) {
	s.t.Helper()
	var all []hostState
	if err := eventually(host+" "+what, func() (bool, error) {
		all = nil
		s.ask("GET", trace+"/hosts", "", &all)
		for _, h := range all {
			if h.Host == host && so(h) {
				return true, nil
			}
			if strings.Contains(h.Why, "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
				s.t.Skip(h.Why)
			}
		}
		return false, nil
	}); err != nil {
		for name := range s.agents {
			text, _ := os.ReadFile(filepath.Join(s.dir, name, "requests.log"))
			s.t.Logf("%s: %s", name, text)
		}
		s.t.Fatalf("%v: %+v", err, all)
	}
}

// probed tells whether a function of a program isn't as its executable has it.
func (s *flowSite) probed(name, function string) bool {
	s.t.Helper()
	f, err := elf.Open(s.file(name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		s.t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", s.programs[name].Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	defer mem.Close()
	for _, one := range symbols {
		if one.Name != function {
			continue
		}
		text := f.Sections[one.Section]
		want, is := make([]byte, one.Size), make([]byte, one.Size)
		if _, err := text.ReadAt(want, int64(one.Value-text.Addr)); err != nil {
			s.t.Fatal(err)
		}
		if _, err := mem.ReadAt(is, int64(one.Value)); err != nil {
			s.t.Fatal(err)
		}
		return !bytes.Equal(want, is)
	}
	s.t.Fatalf("%s has no function %s", name, function)
	return false
}

// TestFlows: a tenant's request, by curl, follows its flows through a gateway and the store behind it, and none of
// others; nothing stays armed when the agent is killed.
func TestFlows(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl isn't here")
	}
	s := newFlowSite(t)
	var made struct{ ID, Unchecked, Error string }
	if code := s.ask("POST", "/traces", `{"device":"gateway","condition":"r.Secret == \"x\""}`, &made); code != 422 {
		t.Errorf("a path that the device doesn't allow: %d", code)
	}
	if code := s.ask("POST", "/traces", `{"device":"gateway","condition":"r.ID == \"x\""}`, &made); code != 422 ||
		!strings.Contains(made.Error, "r.ID") {
		t.Errorf("a number is compared with a text: %d, %q", code, made.Error)
	}
	if code := s.ask("POST", "/traces", `{"device":"gateway","condition":"r.ID > 100","show":["r.ID","r.Path","q.Key"],
		"key":{"ingress":"r.ID + r.Path","egress":"q.ID + q.Key"},"maxFlowsPerHost":2,"expires":"5m"}`, &made); code != 201 {
		t.Fatalf("created: %d", code)
	}
	if made.Unchecked != "" {
		t.Errorf("it was created unchecked: %s", made.Unchecked)
	}
	trace := "/traces/" + made.ID
	if code := s.ask("PUT", trace+"/enabled", "", nil); code != 204 {
		t.Fatalf("enabled: %d", code)
	}
	armed := func(h hostState) bool { return h.State == "armed" }
	s.at(trace, "gw1", "is armed", armed)
	s.at(trace, "st1", "is armed", armed)
	s.order("acme", 7)
	s.order("bolt", 101)
	s.order("acme", 102)
	s.order("acme", 103)
	s.order("acme", 104) // one more than the limit
	s.at(trace, "gw1", "has done two", func(h hostState) bool { return h.Done == "flows" && h.Hits == 2 })
	s.at(trace, "st1", "has matched two", func(h hostState) bool { return h.Matched == 2 && h.Ambiguous == 0 })
	var flows []flowSeen
	if err := eventually("both flows are whole", func() (bool, error) {
		flows = nil
		s.ask("GET", trace+"/flows", "", &flows)
		hops := 0
		for _, f := range flows {
			for _, h := range f.Hops {
				if n := len(h.Log); n > 0 && h.Log[n-1]["what"] == "leave" {
					hops++
				}
			}
		}
		return len(flows) == 2 && hops == 4, nil
	}); err != nil {
		t.Fatalf("%v: %+v", err, flows)
	}
	var said []string
	for i, f := range flows {
		for _, h := range f.Hops {
			for _, l := range h.Log {
				said = append(said, fmt.Sprint(h.Host, " ", l["what"], " ", l["func"]))
				values, _ := l["values"].(map[string]any)
				if id, shown := values["r.ID"]; shown && id != float64(102+i) {
					t.Errorf("flow %d has the values %v", i, values)
				}
				if text := fmt.Sprint(values); strings.Contains(text, "/orders") {
					t.Errorf("a text is in clear: %s", text)
				}
			}
		}
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "gw1 step main.ask") ||
		!strings.Contains(text, "st1 step main.(*Store).read") {
		t.Errorf("logged: %s", text)
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "st1", "flows", "acme", made.ID+".jsonl"))
	if err != nil || strings.Count(string(log), "\n") != 6 {
		t.Errorf("the log: %v %s", err, log)
	}
	// Enabled anew it may have as many again; an agent that is killed leaves nothing armed.
	s.ask("DELETE", trace+"/enabled", "", nil)
	s.ask("PUT", trace+"/enabled", "", nil)
	anew := func(h hostState) bool { return h.State == "armed" && h.Hits+h.Matched == 0 }
	s.at(trace, "gw1", "is armed anew", anew)
	s.at(trace, "st1", "is armed anew", anew)
	const handle, serve = "main.(*Gateway).handle", "main.(*Store).serve"
	if !s.probed("gateway", handle) || !s.probed("store", serve) {
		t.Error("armed, and nothing is to be seen of it")
	}
	s.agents["gw1"].Process.Kill()
	s.agents["gw1"].Wait()
	if err := eventually("nothing is armed at the gateway", func() (bool, error) {
		return !s.probed("gateway", handle), nil
	}); err != nil {
		t.Error(err)
	}
	s.order("acme", 105)
	if code := s.ask("DELETE", trace, "", nil); code != 204 {
		t.Errorf("deleted: %d", code)
	}
	if err := eventually("nothing is armed at the store", func() (bool, error) {
		return !s.probed("store", serve), nil
	}); err != nil {
		t.Error(err)
	}
}
