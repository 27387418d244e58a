//go:build linux && amd64

package referee

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols/testprogram"
)

// program is attach's test target: goroutines that wait in waitHere, and others.
type program struct {
	t   testing.TB
	exe string
	pid int
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t testing.TB, args ...string) *program {
	t.Helper()
	dir, err := filepath.Abs("../attach/targettest/testdata/target")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, exe: testprogram.Build(t, dir, testprogram.Variant{Name: "default"})}
	cmd := exec.Command(p.exe, args...)
	cmd.Stderr = os.Stderr
	p.in, p.out = testprogram.Run(t, cmd)
	p.pid = cmd.Process.Pid
	p.heartbeat("")
	return p
}

// heartbeat has the program answer, and gives how often its heart has beaten.
func (p *program) heartbeat(ask string) int64 {
	p.t.Helper()
	if _, err := io.WriteString(p.in, ask); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.t.Fatal("the target says nothing more:", err)
	}
	var facts struct{ Heartbeat int64 }
	if err := json.Unmarshal(line, &facts); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	return facts.Heartbeat
}

// goesOn sees that the target's heartbeat and answers go on.
func (p *program) goesOn() {
	p.t.Helper()
	for from := p.heartbeat("facts\n"); p.heartbeat("facts\n") < from+3; {
	}
}

func (p *program) open() attach.Target {
	p.t.Helper()
	target, err := process.Open(p.pid)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { target.Close() })
	return target
}

// text reads all of a target's code, from memory.
func text(t *testing.T, target attach.Target) []byte {
	t.Helper()
	maps, err := target.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	view, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	var out []byte
	for _, m := range maps {
		if m.Exec && m.Path == target.ExecutablePath() {
			buf := make([]byte, m.End-m.Start)
			if _, err := view.ReadMemory(buf, m.Start); err != nil {
				t.Fatal(err)
			}
			out = append(out, buf...)
		}
	}
	if len(out) == 0 {
		t.Fatal("no text")
	}
	return out
}
