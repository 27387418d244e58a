package flow

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJournal: systemd's journal is given a line a datagram, also after it was started anew; text of a program makes no
// field of its own.
func TestJournal(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	listen := func() *net.UnixConn {
		_ = os.Remove(socket)
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if _, err := NewJournal(socket); err == nil {
		t.Error("there is no journal")
	}
	at := listen()
	j, err := NewJournal(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for range 2 {
		if err := j.Write(Line{Tenant: "acme", Trace: "7b17", Flow: "9582", What: "step", Func: "main.f\nRI_TENANT=bolt",
			Values: map[string]any{"v": "a\nMESSAGE=b"}}); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := at.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		var fields []string
		for line := range strings.SplitSeq(strings.TrimSuffix(string(b[:n]), "\n"), "\n") {
			name, _, _ := strings.Cut(line, "=")
			fields = append(fields, name)
		}
		if got := strings.Join(fields, " "); got != "MESSAGE PRIORITY SYSLOG_IDENTIFIER RI_TENANT RI_TRACE RI_FLOW" {
			t.Errorf("fields %s: %s", got, b[:n])
		}
		at.Close()
		at = listen()
	}
	at.Close()
	if err := j.Write(Line{Values: map[string]any{"v": strings.Repeat("x", 8<<20)}}); err == nil {
		t.Error("a line that nobody takes was written")
	}
}
