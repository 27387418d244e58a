package attach

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

// programs is the import path of what lies in testdata.
const programs = "ri/attach/targettest/testdata/"

var (
	buildMu  sync.Mutex
	buildDir string
	built    = map[string]string{}
)

// runTests runs a package's tests, and takes away what they have built.
func runTests(m *testing.M) int {
	defer func() { os.RemoveAll(buildDir) }()
	return m.Run()
}

// testDir is a folder for executables that lasts as long as the tests.
func testDir(t testing.TB) string {
	t.Helper()
	if buildDir == "" {
		dir, err := os.MkdirTemp("", "attach-test")
		if err != nil {
			t.Fatal(err)
		}
		// Children of other users run what lies here.
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		buildDir = dir
	}
	return buildDir
}

// build makes an executable of testdata/name, once.
func build(t testing.TB, name string, flags ...string) string {
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
	exe := filepath.Join(testDir(t), filepath.Base(name)+"-"+string(rune('a'+len(built))))
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), programs+name)...)
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

// program is a running testdata/target. Nobody waits for it while it may be traced by this very process: a
// wait sees ptrace stops as well.
type program struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	facts
	stderr bytes.Buffer
}

func start(t testing.TB, args ...string) *program {
	t.Helper()
	return startCmd(t, exec.Command(build(t, "target"), args...))
}

func startCmd(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: cmd}
	cmd.Stderr = &p.stderr
	p.in, p.out = testprogram.Run(t, cmd)
	p.facts = p.read()
	return p
}

func (p *program) end() {
	p.cmd.Process.Kill()
	p.in.Close()
	p.cmd.Wait()
}

func (p *program) read() facts {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		p.cmd.Wait()
		p.t.Fatalf("the target says nothing more: %v, %v\n%.3000s", err, p.cmd.ProcessState, p.stderr.String())
	}
	var f facts
	if err := json.Unmarshal(line, &f); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	return f
}

// ask has the target answer, which shows that it runs.
func (p *program) ask(line string) facts {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	return p.read()
}

// goesOn sees that the target's heartbeat and answers go on.
func (p *program) goesOn() {
	p.t.Helper()
	from := p.ask("facts").Heartbeat
	for p.ask("facts").Heartbeat < from+3 {
	}
}

func patternByte(i int) byte { return byte(i*7 + i>>8) }

func checkPattern(t testing.TB, got []byte, from int) {
	t.Helper()
	for i, b := range got {
		if b != patternByte(from+i) {
			t.Fatalf("byte %d of the pattern is %#x, want %#x", from+i, b, patternByte(from+i))
		}
	}
}

// refused checks an error's kind and that its words hold each of these.
func refused(t *testing.T, err, kind error, words ...string) {
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
