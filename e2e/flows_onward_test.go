package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
)

// enabled makes a request of acme, enables it, and waits until it is armed at each of some hosts.
func (s *flowSite) enabled(request string, hosts ...string) (trace string) {
	s.t.Helper()
	var made struct{ ID string }
	if code := s.ask("POST", "/traces", request, &made); code != 201 {
		s.t.Fatalf("created: %d", code)
	}
	trace = "/traces/" + made.ID
	if code := s.ask("PUT", trace+"/enabled", "", nil); code != 204 {
		s.t.Fatalf("enabled: %d", code)
	}
	for _, host := range hosts {
		s.at(trace, host, "is armed", func(h hostState) bool { return h.State == "armed" })
	}
	return trace
}

// flowsOf waits until there are so many flows, each with so many hops.
func (s *flowSite) flowsOf(trace string, flows, hops int) []flowSeen {
	s.t.Helper()
	var all []flowSeen
	if err := eventually(fmt.Sprintf("%d flows have %d hops", flows, hops), func() (bool, error) {
		all = nil
		s.ask("GET", trace+"/flows", "", &all)
		whole := 0
		for _, f := range all {
			if len(f.Hops) == hops {
				whole++
			}
		}
		return whole == flows && len(all) == flows, nil
	}); err != nil {
		text, _ := json.Marshal(all)
		var hosts []hostState
		s.ask("GET", trace+"/hosts", "", &hosts)
		s.t.Fatalf("%v: %.2000s; hosts %+v", err, text, hosts)
	}
	return all
}

const dnsDevice = `name: names
where: ['name == dns-edge']
egressWhere: ['name == dns-up']
ingress: ['github.com/coredns/coredns/core/dnsserver.(*Server).ServeDNS']
egress: ['github.com/coredns/coredns/core/dnsserver.(*Server).ServeDNS']
steps: ['github.com/coredns/coredns/plugin/forward.(*Forward).ServeDNS']
paths: ['r.Question[0].Name']
clear: ['r.Question[0].Name']
keys: [{preset: dns}]
budget: 20%
tenants:
  acme:
    predicate: 'hasSuffix(r.Question[0].Name, ".acme.test.")'
    egressPredicate: 'hasSuffix(r.Question[0].Name, ".acme.test.")'
`

// TestFlowsDNS follows questions from one unmodified CoreDNS to another to which it forwards them: by the id with which
// each was sent on, so that the same question asked again is another flow.
func TestFlowsDNS(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl isn't here")
	}
	needLong(t, "CoreDNS takes minutes to build")
	exe := buildProgram(t, "coredns-1.15", ".")
	port, up := freePort(t), freePort(t)
	s := startFlowSite(t, dnsDevice, func(s *flowSite) map[string]int {
		pids := map[string]int{}
		for name, text := range map[string]string{
			"up": fmt.Sprintf(".:%d {\n bind 127.0.0.1\n template IN A . {\n answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n}\n}\n",
				up),
			"edge": fmt.Sprintf(".:%d {\n bind 127.0.0.1\n forward . 127.0.0.1:%d\n}\n", port, up),
		} {
			if err := os.Link(exe, s.file("dns-"+name)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.file(name+".conf"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			pids[name] = background(t, s.file("dns-"+name), "-conf", s.file(name+".conf")).Process.Pid
		}
		return pids
	})
	edge := fmt.Sprintf("127.0.0.1:%d", port)
	if err := eventually("the edge has its answers from the other", func() (bool, error) {
		return askName(edge, "www.bolt.test.") == 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	trace := s.enabled(`{"device":"names","show":["r.Question[0].Name"],"key":{"preset":"dns"},"maxFlowsPerHost":20}`,
		"edge", "up")
	const asked = 6
	for i := range asked {
		for _, name := range []string{"www.acme.test.", "www.bolt.test.", fmt.Sprintf("n%d.acme.test.", i)} {
			if code := askName(edge, name); code != 0 {
				t.Fatalf("%s: %d", name, code)
			}
		}
	}
	count := map[string]int{}
	for _, f := range s.flowsOf(trace, 2*asked, 2) {
		names := map[string]bool{}
		for _, h := range f.Hops {
			for _, l := range h.Log {
				if values, _ := l["values"].(map[string]any); values["r.Question[0].Name"] != nil {
					names[fmt.Sprint(values["r.Question[0].Name"])] = true
				}
			}
		}
		if len(names) != 1 {
			t.Errorf("a flow has the names %v", names)
		}
		for name := range names {
			count[name]++
		}
	}
	if count["www.acme.test."] != asked || count["www.bolt.test."] != 0 || len(count) != asked+1 {
		t.Errorf("flows by name: %v", count)
	}
}

const proxyDevice = `name: web
where: ['name == front']
egressWhere: ['name =~ svc-']
ingress: ['net/http.serverHandler.ServeHTTP']
egress: ['net/http.serverHandler.ServeHTTP']
steps: ['net/http/httputil.(*ReverseProxy).ServeHTTP']
paths: [req.URL.Path]
clear: [req.URL.Path]
keys: [{preset: http-ports}, {preset: traceparent}]
budget: 20%
tenants:
  acme: {predicate: 'contains(req.URL.Path, "/acme/")', egressPredicate: 'contains(req.URL.Path, "/acme/")'}
`

// TestFlowsProxy follows requests through a reverse proxy of the standard library to the two services behind it, by the
// connections' ports and by a header.
func TestFlowsProxy(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl isn't here")
	}
	front := ""
	s := startFlowSite(t, proxyDevice, func(s *flowSite) map[string]int {
		build := exec.Command("go", "build", "-o", s.file("proxy"), ".")
		build.Dir = "testdata/proxy"
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		at := map[string]string{}
		pids := map[string]int{}
		for _, name := range []string{"svc-a", "svc-b", "front"} {
			if err := os.Link(s.file("proxy"), s.file(name)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(s.file(name), "service", "127.0.0.1:0")
			if name == "front" {
				cmd = exec.Command(s.file(name), "front", "127.0.0.1:0", at["svc-a"], at["svc-b"])
			}
			at[name] = s.listening(cmd)
			pids["at-"+name] = cmd.Process.Pid
		}
		front = at["front"]
		return pids
	})
	const each = 5
	for _, preset := range []string{"http-ports", "traceparent"} {
		trace := s.enabled(`{"device":"web","show":["req.URL.Path"],"key":{"preset":"`+preset+`"},"maxFlowsPerHost":30}`,
			"at-front", "at-svc-a", "at-svc-b")
		for i := range each {
			for _, path := range []string{"/a/acme/", "/b/acme/", "/a/bolt/"} {
				r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+front+path+fmt.Sprint(i), nil)
				if err != nil {
					t.Fatal(err)
				}
				// The other tenant's requests have the same, as any client may say it: the predicate tells them apart.
				r.Header.Set("traceparent", fmt.Sprintf("00-%032x-%016x-01", i+1, len(path)*100+int(path[1])))
				got, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.Copy(io.Discard, got.Body)
				if got.Body.Close(); err != nil || got.StatusCode != http.StatusOK {
					t.Fatal(err, got.Status)
				}
			}
		}
		s.throughProxy(trace, each)
	}
}

// throughProxy waits until so many requests to each service were followed, and tells of those that went elsewhere.
func (s *flowSite) throughProxy(trace string, each int) {
	t := s.t
	t.Helper()
	for _, f := range s.flowsOf(trace, 2*each, 2) {
		paths := map[string]bool{}
		for _, h := range f.Hops {
			for _, l := range h.Log {
				if values, _ := l["values"].(map[string]any); values["req.URL.Path"] != nil {
					path := fmt.Sprint(values["req.URL.Path"])
					paths[path] = true
					if h.Side == "egress" && h.Host != "at-svc-"+path[1:2] {
						t.Errorf("%s at %s", path, h.Host)
					}
				}
			}
		}
		if len(paths) != 1 {
			t.Errorf("a flow has the paths %v", paths)
		}
	}
}
