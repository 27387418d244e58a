// Package targettest builds the programs that tests of attach look at, and runs them. testdata/target counts what goes
// wrong in it, and beats its heart. Only tests import it.
package targettest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ri/symbols/testprogram"
)

// Programs is the import path of what lies in testdata.
const Programs = "ri/attach/targettest/testdata/"

var (
	buildMu  sync.Mutex
	BuildDir string
	built    = map[string]string{}
)

// RunTests runs a package's tests, and takes away what they have built.
func RunTests(m *testing.M) int {
	defer func() { os.RemoveAll(BuildDir) }()
	return m.Run()
}

// TestDir is a folder for executables that lasts as long as the tests.
func TestDir(t testing.TB) string {
	t.Helper()
	if BuildDir == "" {
		dir, err := os.MkdirTemp("", "attach-test")
		if err != nil {
			t.Fatal(err)
		}
		// Children of other users run what lies here.
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		BuildDir = dir
	}
	return BuildDir
}

// Build makes an executable of testdata/name, once.
func Build(t testing.TB, name string, flags ...string) string {
	t.Helper()
	buildMu.Lock()
	defer buildMu.Unlock()
	key := name
	for _, f := range flags {
		key += " " + f
	}
	if exe := built[key]; exe != "" {
		return exe
	}
	exe := filepath.Join(TestDir(t), filepath.Base(name)+"-"+string(rune('a'+len(built))))
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), Programs+name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	built[key] = exe
	return exe
}

// facts is what testdata/target says of itself.
type facts struct {
	PID       int
	Address   uint64
	Size      int
	Counter   uint64
	Rounds    uint64
	RoundSize int
	Comes     uint64
	Heartbeat int64
	Signals   int64
	Threads   int64
	Children  int64
	Errors    int64
	LongestMS float64
	Computed  int64
}

// Program is a running testdata/target. Nobody waits for it while it may be traced by this very process: a
// wait sees ptrace stops as well.
type Program struct {
	t   testing.TB
	Cmd *exec.Cmd
	in  io.WriteCloser
	Out *bufio.Reader
	facts
	Stderr bytes.Buffer
}

func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	return StartCmd(t, exec.Command(Build(t, "target"), args...))
}

func StartCmd(t testing.TB, cmd *exec.Cmd) *Program {
	t.Helper()
	p := &Program{t: t, Cmd: cmd}
	cmd.Stderr = &p.Stderr
	p.in, p.Out = testprogram.Run(t, cmd)
	p.facts = p.read()
	return p
}

func (p *Program) End() {
	p.Cmd.Process.Kill()
	p.in.Close()
	p.Cmd.Wait()
}

func (p *Program) read() facts {
	p.t.Helper()
	line, err := p.Out.ReadBytes('\n')
	if err != nil {
		p.Cmd.Wait()
		p.t.Fatalf("the target says nothing more: %v, %v\n%.3000s", err, p.Cmd.ProcessState, p.Stderr.String())
	}
	var f facts
	if err := json.Unmarshal(line, &f); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	return f
}

// Ask has the target answer, which shows that it runs.
func (p *Program) Ask(line string) facts {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	return p.read()
}

// GoesOn sees that the target's heartbeat and answers go on.
func (p *Program) GoesOn() {
	p.t.Helper()
	from := p.Ask("facts").Heartbeat
	for p.Ask("facts").Heartbeat < from+3 {
	}
}

func PatternByte(i int) byte { return byte(i*7 + i>>8) }

func CheckPattern(t testing.TB, got []byte, from int) {
	t.Helper()
	for i, b := range got {
		if b != PatternByte(from+i) {
			t.Fatalf("byte %d of the pattern is %#x, want %#x", from+i, b, PatternByte(from+i))
		}
	}
}

// Refused checks an error's kind and that its words hold each of these.
func Refused(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got the error %v, want one that is %q", err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}
