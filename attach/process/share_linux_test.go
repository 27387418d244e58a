//go:build amd64

package process

import (
	"fmt"
	"net"
	"testing"
	"time"

	"ri/attach/targettest"
)

// Names that others have bound neither keep a process from being watched nor mislead who asks for its watcher.
func TestShareIsNotBlocked(t *testing.T) {
	p := open(t, targettest.Start(t).PID)
	for _, name := range []string{fmt.Sprintf("@ri-watch-%d-%d", p.pid, p.startTime), sharePrefix(p) + "0"} {
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		}()
	}
	s, err := newShare(&watcher{process: p})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	conn, answer := p.askWatcher("state", time.Minute)
	if conn == nil || answer != "watching" {
		t.Fatalf("%v, %q", conn, answer)
	}
	conn.Close()
	if _, err := newShare(&watcher{process: p}); err == nil {
		t.Error("it is watched twice")
	}
}
