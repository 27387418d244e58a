package attach

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"ri/symbols/testprogram"
)

var (
	buildMu  sync.Mutex
	buildDir string
	built    = map[string]string{}
)

func TestMain(m *testing.M) {
	if name := os.Getenv("ATTACH_TEST_CHILD"); name != "" {
		child(name, os.Getenv("ATTACH_TEST_ARGS"))
		return
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "attach-test")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		// Children of other users run what lies here.
		if err := os.Chmod(dir, 0o755); err != nil {
			panic(err)
		}
		buildDir = dir
		return m.Run()
	}())
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
	exe := filepath.Join(buildDir, filepath.Base(name)+"-"+string(rune('a'+len(built))))
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), "./testdata/"+name)...)
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

func open(t testing.TB, pid int) *Process {
	t.Helper()
	target, err := OpenProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target.(*Process)
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
