package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

const natsPackage = "github.com/nats-io/nats-server/v2/server"

// What a client publishes enters at its server, and leaves at those to which it is routed.
const natsDevice = `name: orders
where: ['name =~ nats-2']
ingress: ['` + natsPackage + `.(*client).processInboundClientMsg']
egress: ['` + natsPackage + `.(*client).processInboundRoutedMsg']
steps: ['` + natsPackage + `.(*client).deliverMsg']
paths: ['string(c.pa.subject)', len(msg)]
clear: ['string(c.pa.subject)']
keys: [{ingress: 'string(c.pa.subject)', egress: 'string(c.pa.subject)'}]
budget: 20%
tenants:
  acme: {predicate: 'hasPrefix(c.pa.subject, "acme.")'}
`

// TestFlowsNATS follows messages of a tenant through a cluster of three unmodified NATS servers: published at one,
// delivered at the others.
func TestFlowsNATS(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl isn't here")
	}
	servers := map[string]natsServer{}
	s := startFlowSite(t, natsDevice, func(*flowSite) map[string]int {
		port := freePort(t)
		pids := map[string]int{}
		for _, name := range []string{"a", "b", "c"} {
			listen, routes := "127.0.0.1:-1", fmt.Sprintf(", routes: [\"nats://127.0.0.1:%d\"]", port)
			if name == "a" {
				listen, routes = fmt.Sprintf("127.0.0.1:%d", port), ""
			}
			servers[name] = startNATS(t, "2.15", fmt.Sprintf("server_name: %s\ncluster: {name: east, listen: %q%s}\n", name,
				listen, routes))
			pids[name] = servers[name].pid
		}
		return pids
	})
	receivers := map[string]*natsClient{}
	for _, name := range []string{"b", "c"} {
		c := servers[name].connect(t, "receiver", "", false)
		c.send("SUB acme.> 1\r\nSUB bolt.> 2\r\n")
		c.flush()
		receivers[name] = c
	}
	sender := servers["a"].connect(t, "sender", "", false)
	n := 0
	if err := eventually("what is published at one arrives at both others", func() (bool, error) {
		n++
		sender.publish(fmt.Sprintf("bolt.%d", n), "hello")
		sender.flush()
		return len(receivers["b"].heard) > 0 && len(receivers["c"].heard) > 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	if code := s.ask("POST", "/traces", `{"device":"orders","condition":"len(msg) > 4","show":["string(c.pa.subject)"],
		"key":{"ingress":"string(c.pa.subject)","egress":"string(c.pa.subject)"},"maxFlowsPerHost":20}`, &made); code != 201 {
		t.Fatalf("created: %d", code)
	}
	trace := "/traces/" + made.ID
	if code := s.ask("PUT", trace+"/enabled", "", nil); code != 204 {
		t.Fatalf("enabled: %d", code)
	}
	for name := range servers {
		s.at(trace, name, "is armed", func(h hostState) bool { return h.State == "armed" })
	}
	const messages = 20
	for i := range messages {
		sender.publish(fmt.Sprintf("bolt.other.%d", i), "hello")
		sender.publish(fmt.Sprintf("acme.order.%d", i), "hello")
		sender.publish(fmt.Sprintf("acme.small.%d", i), "no") // the condition is false
	}
	sender.flush()
	var flows []flowSeen
	err := eventually("all flows are seen where they leave", func() (bool, error) {
		flows = nil
		s.ask("GET", trace+"/flows", "", &flows)
		whole := 0
		for _, f := range flows {
			if len(f.Hops) == 3 {
				whole++
			}
		}
		return whole == messages, nil
	})
	if err != nil {
		var hosts []hostState
		s.ask("GET", trace+"/hosts", "", &hosts)
		t.Fatalf("%v: %d flows, hosts %+v", err, len(flows), hosts)
	}
	seen := map[string]bool{}
	for _, f := range flows {
		subject, at := "", map[string]int{}
		for _, h := range f.Hops {
			at[h.Host+" "+h.Side]++
			for _, l := range h.Log {
				values, _ := l["values"].(map[string]any)
				text, _ := values["string(c.pa.subject)"].(string)
				if text == "" {
					continue
				}
				if subject == "" {
					subject = text
				}
				if text != subject || !strings.HasPrefix(text, "acme.order.") {
					t.Errorf("%q in the flow of %q: %v", text, subject, l)
				}
			}
		}
		seen[subject] = true
		if at["a ingress"] != 1 || at["b egress"] != 1 || at["c egress"] != 1 {
			t.Errorf("the flow of %q was seen at %v", subject, at)
		}
	}
	if len(seen) != messages {
		t.Errorf("flows of %d subjects: %v", len(seen), seen)
	}
}
