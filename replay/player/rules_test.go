//go:build linux && amd64

package player

import (
	"strings"
	"testing"
)

// looseOutput is an output with rules.
func looseOutput(t testing.TB, recorded string, rules ...string) *output {
	t.Helper()
	var list []Rule
	for _, text := range rules {
		rule, err := ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rule)
	}
	x, err := newLoose(list)
	if err != nil {
		t.Fatal(err)
	}
	return &output{size: int64(len(recorded)), data: []byte(recorded), loose: x}
}

// TestRules: what a rule says may be another, longer or shorter, and nothing else; what follows is found.
func TestRules(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nDate: Mon, 1 Jan 2024\r\nServer: x\r\n\r\n"
	for _, c := range []struct {
		name, rule, recorded, came string
		taken                      int // -1: differs; -2: more has to come
	}{
		{"header", "header=date", head, strings.Replace(head, "Mon, 1", "Tuesday, 12", 1) + "next", len(head) + 5},
		{"not the header", "header=date", head, strings.Replace(head, "x\r", "y\r", 1), -1},
		{"json text", "json=id", `{"id":"abc","n":1}`, `{"id":"a\"b}","n":1}+`, 20},
		{"json number", "json=n", `{"id":"abc","n": 1}`, `{"id":"abc","n": 1234.5e7}`, 26},
		{"json in json", "json=n", `{"x":"{\"n\":1}"}`, `{"x":"{\"n\":22}"}`, 18},
		{"another field", "json=n", `{"id":"abc","n":1}`, `{"id":"abd","n":1}`, -1},
		{"pattern", `pattern=rtt \d+`, "a rtt 1 b", "a rtt 123 bc", 11},
		{"pattern with a group", `pattern=rtt (\d+)ms`, "rtt 1ms.", "rtt 22ms.", 9},
		{"beside the group", `pattern=rtt (\d+)ms`, "rtt 1ms.", "rtt 22us.", -1},
		{"more to come", `pattern=\d+`, "a 12345 b", "a 123", -2},
		{"at the end", `pattern=\d+`, "a 123", "a 456789", 5},
		{"gone", `pattern=\d+`, "a 123 b", "a  b and more", -1},
	} {
		o := looseOutput(t, c.recorded, c.rule)
		n, v, more := o.take(&conn{}, []byte(c.came), false)
		switch {
		case more != (c.taken == -2):
			t.Errorf("%s: more: %v", c.name, more)
		case c.taken == -1 && v.state == equal:
			t.Errorf("%s: it is taken for equal", c.name)
		case c.taken >= 0 && (v.state != equal || n != int64(c.taken) || len(v.by) != 1):
			t.Errorf("%s: %d bytes are taken, state %d by %v", c.name, n, v.state, v.by)
		}
	}
}

// TestRulesByPeer: a rule for a peer is for that one only, and that it passed something is counted.
func TestRulesByPeer(t *testing.T) {
	x, err := newLoose([]Rule{{Pattern: `\d+`, Peer: ":80"}})
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]state{"10.0.0.1:80": equal, "10.0.0.1:81": differs, "/run/x": differs} {
		o := &output{size: 3, data: []byte("a 1"), loose: x}
		j := judge{of: &conn{peer: peer, local: "10.0.0.2:5000"}, outs: []*output{o}, due: 1}
		j.add([]byte("a 2"))
		j.close()
		if o.state != want {
			t.Errorf("%s: %d", peer, o.state)
		}
	}
	if x.passed[0] != 1 {
		t.Errorf("it passed %d outputs", x.passed[0])
	}
}

// TestNoRule: what is no rule is told.
func TestNoRule(t *testing.T) {
	for _, text := range []string{"", "header", "header=", "cookie=x", "pattern=(", "pattern=x*"} {
		if rule, err := ParseRule(text); err == nil {
			t.Errorf("%q is taken for %v", text, rule)
		}
	}
	if err := (Rule{Header: "a", JSON: "b"}).Check(); err == nil {
		t.Error("a rule with two")
	}
}

// FuzzRules: whatever comes, a judge with rules decides all, takes no more than came, and ends.
func FuzzRules(f *testing.F) {
	f.Add([]byte("a 1 {\"n\":2} b\r\nDate: x\r\n"), []byte("a 7 {\"n\":\"345\"} b\r\nDate: yz\r\n"), uint8(5))
	f.Fuzz(func(t *testing.T, recorded, came []byte, cut uint8) {
		o := looseOutput(t, string(recorded), `pattern=[0-9]+`, "json=n", "header=Date")
		end := &output{end: true}
		j := judge{of: &conn{}, outs: []*output{o, end}, due: 2}
		for len(came) > 0 {
			n := min(len(came), int(cut)+1)
			j.add(came[:n])
			came = came[n:]
		}
		j.close()
		if o.state == open || j.done != 2 {
			t.Errorf("it isn't decided: %+v", o.verdict)
		}
	})
}
