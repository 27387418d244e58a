package flow

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		if err := j.Write(Line{Tenant: "acme", Trace: "7b17\nPRIORITY=0", Flow: "9582", What: "step",
			Func: "main.f\nRI_TENANT=bolt", Values: map[string]any{"v": "a\nMESSAGE=b"}}); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := at.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		var fields []string
		for rest := b[:n]; len(rest) > 0; {
			line, after, _ := bytes.Cut(rest, []byte("\n"))
			name, _, oneLine := bytes.Cut(line, []byte("="))
			if !oneLine {
				after = after[8+binary.LittleEndian.Uint64(after)+1:]
			}
			fields, rest = append(fields, string(name)), after
		}
		if got := strings.Join(fields, " "); got != "MESSAGE PRIORITY SYSLOG_IDENTIFIER RI_TENANT RI_TRACE RI_FLOW" {
			t.Errorf("fields %s: %s", got, b[:n])
		}
		at.Close()
		at = listen()
	}
	// Nobody reads: whoever logs goes on, and it is said that lines are missing.
	missing := 0
	for range 1000 {
		if err := j.Write(Line{Trace: "7b17", What: "step"}); err != nil {
			missing++
		}
	}
	if missing != 1 || j.left == 0 {
		t.Errorf("told %d times of %d lines that are missing", missing, j.left)
	}
	at.Close()
	j.again = time.Time{}
	if err := j.Write(Line{Trace: "7b17"}); err == nil {
		t.Error("a line that nobody takes was written")
	}
}
