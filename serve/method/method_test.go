package method

import (
	"strings"
	"testing"
)

// TestParse has methods be read as ovsdb(7) writes them.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"unix:/run/x":           "unix /run/x",
		"punix:/run/x":          "punix /run/x",
		"ssl:db7":               "tls db7:6640",
		"ssl:db7:1":             "tls db7:1",
		"tcp:10.0.0.1:7":        "tcp 10.0.0.1:7",
		"ssl:[::1]":             "tls [::1]:6640",
		"ssl:[fe80::1%eth0]:99": "tls [fe80::1%eth0]:99",
		"pssl:":                 "ptls :6640",
		"pssl:1234":             "ptls :1234",
		"pssl:0:[::1]":          "ptls [::1]:0",
		"ptcp:6640:127.0.0.1":   "ptcp 127.0.0.1:6640",
		"pssl::10.0.0.1":        "ptls 10.0.0.1:6640",
	} {
		m, err := Parse(text)
		kind := m.Network
		if m.TLS {
			kind = "tls"
		}
		if m.Passive {
			kind = "p" + kind
		}
		if got := kind + " " + m.Address; err != nil || got != want || m.String() != text {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "db7", "unix:", "ssl:", "ssl::1", "ssl:a:0", "ssl:a:65536", "ssl:a:b",
		"ssl:::1:6640",
		"ssl:[::1",
		"ssl:[x]:1", "ssl:[::1]6640", "pssl:x", "ptcp:1:host", "http:x", "unix:" + strings.Repeat("x", 200)} {
		if m, err := Parse(text); err == nil {
			t.Errorf("%q is %+v", text, m)
		}
	}
	if list, err := ParseList("pssl:6640, punix:/x"); err != nil || len(list) != 2 {
		t.Errorf("a list: %v, %v", list, err)
	}
}

// TestLoopback tells what other machines reach.
func TestLoopback(t *testing.T) {
	for text, want := range map[string]bool{"ptcp:1": false, "ptcp:1:127.0.0.1": true, "ptcp:1:[::1]": true,
		"ptcp:1:10.0.0.1": false, "punix:/x": true, "tcp:127.0.0.1": true, "tcp:localhost": false} {
		if m, err := Parse(text); err != nil || m.Loopback() != want {
			t.Errorf("%s: %v, %v", text, m.Loopback(), err)
		}
	}
}
