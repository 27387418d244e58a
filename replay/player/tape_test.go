//go:build linux && amd64

package player

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/record/format"
	"ri/record/streams"
	"ri/symbols/testprogram"
)

func TestMain(m *testing.M) {
	if Inside() {
		os.Exit(RunInside())
	}
	os.Exit(m.Run())
}

// tape records a program's streams from the other ends of them: by the clients and servers that a test plays.
type tape struct {
	mu     sync.Mutex
	events []streams.Event
	conns  uint32
	header streams.Header
	taken  [][]byte // what is in the files that are taken along
}

func (t *tape) note(e streams.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var mono unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono)
	e.Seq, e.Mono, e.Wall = uint64(len(t.events)+1), mono.Nano(), time.Now().UnixNano()
	t.events = append(t.events, e)
}

// taped is our end of a connection with the program.
type taped struct {
	net.Conn
	t    *tape
	id   uint32
	once sync.Once

	secure bool // it is the plaintext of TLS
}

// tapeConn has our end of a connection be recorded. The program dialled it, or we did.
func (t *tape) conn(c net.Conn, dialled bool) *taped {
	t.mu.Lock()
	t.conns++
	x := &taped{Conn: c, t: t, id: t.conns}
	t.mu.Unlock()
	kind := streams.Accept
	if dialled {
		kind = streams.Dial
	}
	t.note(streams.Event{Kind: kind, Conn: x.id, Network: "tcp", Local: c.RemoteAddr().String(),
		Peer: c.LocalAddr().String()})
	return x
}

func (x *taped) Write(b []byte) (int, error) {
	x.t.note(streams.Event{Kind: streams.In, Conn: x.id, TLS: x.secure, Size: int64(len(b)),
		Data: append([]byte{}, b...)})
	return x.Conn.Write(b)
}

func (x *taped) Read(b []byte) (int, error) {
	n, err := x.Conn.Read(b)
	if n > 0 {
		x.t.note(streams.Event{Kind: streams.Out, Conn: x.id, TLS: x.secure, Size: int64(n),
			Data: append([]byte{}, b[:n]...)})
	}
	return n, err
}

func (x *taped) Close() error {
	x.once.Do(func() { x.t.note(streams.Event{Kind: streams.In, Conn: x.id}) })
	return x.Conn.Close()
}

// dial is what clients of the program dial with.
func (t *tape) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return t.conn(c, false), nil
}

// start starts a program, tells where it listens once it does, and records who it is.
func (t *tape) start(tt *testing.T, exe string, args ...string) (address string, stop func()) {
	tt.Helper()
	cmd := exec.Command(exe, args...)
	cmd.Dir = tt.TempDir()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		tt.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tt.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		tt.Fatal(err)
	}
	words := strings.Fields(line)
	address = words[len(words)-1]
	sum, err := digest(exe)
	if err != nil {
		tt.Fatal(err)
	}
	t.header = streams.Header{Kind: streams.HeaderKind, Asked: streams.Asked{FromBirth: true, Payload: true, Sent: true},
		Process: streams.Process{PID: cmd.Process.Pid, Exe: exe, ExeSHA256: sum, Args: append([]string{exe}, args...),
			Env: []string{"HOME=/root"}, Dir: cmd.Dir}}
	t.note(streams.Event{Kind: streams.Start})
	t.note(streams.Event{Kind: streams.Listen, Network: "tcp", Local: address})
	return address, func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		exit := cmd.ProcessState.ExitCode()
		t.header.Process.Exit, t.header.Ended = &exit, "exited"
		t.note(streams.Event{Kind: streams.End})
	}
}

// take takes a file along, and deletes it here.
func (t *tape) take(tt *testing.T, path string) {
	tt.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tt.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		tt.Fatal(err)
	}
	t.header.Process.Files = append(t.header.Process.Files, streams.File{Path: path, Mode: 0o600,
		Size: int64(len(content)), Raw: true})
	t.taken = append(t.taken, content)
}

// file writes the recording.
func (t *tape) file(tt *testing.T) *os.File {
	tt.Helper()
	path := filepath.Join(tt.TempDir(), "streams.rec")
	f, err := os.Create(path)
	if err != nil {
		tt.Fatal(err)
	}
	tt.Cleanup(func() { f.Close() })
	w, err := format.NewWriter(f, &t.header)
	if err != nil {
		tt.Fatal(err)
	}
	x := streams.NewWriter(w)
	for i := range t.events {
		if err := x.Write(&t.events[i]); err != nil {
			tt.Fatal(err)
		}
	}
	for i, content := range t.taken {
		if err := x.File(i, content); err != nil {
			tt.Fatal(err)
		}
	}
	if err := x.Close(&t.header); err != nil {
		tt.Fatal(err)
	}
	return f
}

func build(t *testing.T, flags ...string) string {
	return testprogram.Build(t, "testdata/served", testprogram.Variant{Name: "served", Flags: flags})
}

// replay replays, and fails the test if that can't be done.
func replay(t *testing.T, file *os.File, opt Options) *Report {
	t.Helper()
	var said strings.Builder
	r, err := Replay(t.Context(), file, opt, nil, &said, &said)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("%+v\n%s", *r, said.String())
	}
	return r
}
