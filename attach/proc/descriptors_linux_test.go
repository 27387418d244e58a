//go:build amd64

package proc

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseSocket(t *testing.T) {
	for _, test := range []struct{ protocol, line, inode, want string }{
		{"tcp", "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 4711 1 0 " +
			"100 0 0 10 0", "4711", "127.0.0.1:8080  LISTEN 3 0"},
		{"tcp6", "   1: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000200007F:C350 01 " +
			"0000000A:00000309 00:00000000 00000000     0        0 4712 1", "4712", "127.0.0.1:80 127.0.0.2:50000 " +
			"ESTABLISHED 777 10"},
		{"tcp6", "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A " +
			"00000000:00000000 00:00000000 00000000     0        0 5 1", "5", "[::1]:80  LISTEN 0 0"},
		{"udp", "   1: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 6 2", "6",
			"127.0.0.1:53   0 0"},
		{"tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "",
			""},
		{"tcp", "0: zz:1 00000000:0000 0A 0:0 0:0 0 0 0 1", "", ""},
		{"tcp", "0:", "", ""},
	} {
		inode, s := parseSocket(test.protocol, test.line)
		got := ""
		if s != nil {
			got = strings.Join([]string{s.Local, s.Remote, s.State, fmt.Sprint(s.Receive), fmt.Sprint(s.Send)}, " ")
		}
		if inode != test.inode || got != test.want {
			t.Errorf("%s: got %q %q, want %q %q", test.line, inode, got, test.inode, test.want)
		}
	}
	inode, s := parseUnixSocket("ffff: 00000002 00000000 00010000 0001 01 4711 /run/x.sock")
	if inode != "4711" || s.State != "LISTEN" || s.Local != "/run/x.sock" {
		t.Errorf("unix: %q %v", inode, s)
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add("0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 4711 1")
	f.Fuzz(func(t *testing.T, line string) {
		parseSocket("tcp", line)
		parseUnixSocket(line)
	})
}
