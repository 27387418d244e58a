package testprogram

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Report is what the program kinds says of itself; see values/testdata/kinds.
type Report struct {
	PID       int
	GoVersion string
	Truths    []Truth
	Queues    []Queue
	Pairs     []Pairs
	Times     []Instant
	Callers   []Caller
	Frames    []Local
	Captured  []Local
	Hidden    []Hidden
	Labelled  []Labelled
}

// Truth is what the program sees of an expression.
type Truth struct {
	Expr, Type, Kind string
	Size, Addr       uint64
	Text             string
}

// Queue is what a channel holds.
type Queue struct {
	Expr     string
	Len, Cap int
	Closed   bool
	Texts    []string
}

// Pairs is what a sync.Map holds, by the keys' texts.
type Pairs struct {
	Expr    string
	Entries map[string]string
}

// Instant is what a time.Time means.
type Instant struct {
	Expr          string
	Seconds       int64
	Nanos         int
	UTC, Monotone bool
}

// Caller is a program counter as runtime.Callers gave it.
type Caller struct {
	PC         uint64
	Func, File string
	Line       int
}

// Local is a variable of a frame or of a closure; Optimised: optimised code keeps it.
type Local struct {
	Where, Name, Type, Text string
	Optimised               bool
}

// Hidden is a value that is found in a frame only.
type Hidden struct {
	Type, Name, Func string
	Optimised        bool
}

// Labelled is a goroutine with its pprof labels, by the function that it waits in.
type Labelled struct {
	Func   string
	Labels map[string]string
}

// Program is a running program.
type Program struct {
	Report
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// Run starts a program, and gives what it reads and says. It is killed when the test ends.
func Run(t testing.TB, cmd *exec.Cmd) (in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	once()
	if cmd.Env != nil {
		cmd.Env = append(cmd.Env, mark+"="+os.Getenv(mark))
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return in, bufio.NewReader(stdout)
}

// Ready starts a program and waits until it has said "ready".
func Ready(t testing.TB, cmd *exec.Cmd) (in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	in, out = Run(t, cmd)
	if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
		rest, _ := io.ReadAll(out)
		t.Fatalf("%v says %q %.3000s, %v", cmd.Args, line, rest, err)
	}
	return in, out
}

// Start runs kinds and reads its report. The program ends with the test.
func Start(t testing.TB, exe string) *Program {
	t.Helper()
	p := &Program{t: t, cmd: exec.Command(exe)}
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=single", "GODEBUG=", "GOGC=")
	in, out := Run(t, p.cmd)
	p.in, p.out = in, json.NewDecoder(out)
	if err := p.out.Decode(&p.Report); err != nil {
		t.Fatalf("%s says nothing of itself: %v", exe, err)
	}
	return p
}

// Stacks asks the program for all its stacks, as the runtime prints them.
func (p *Program) Stacks() string {
	p.t.Helper()
	if _, err := io.WriteString(p.in, "stacks\n"); err != nil {
		p.t.Fatal(err)
	}
	var answer struct{ Stacks string }
	if err := p.out.Decode(&answer); err != nil {
		p.t.Fatalf("no answer: %v", err)
	}
	return answer.Stacks
}

// End kills the program and waits for its end.
func (p *Program) End() {
	if p.cmd.ProcessState != nil {
		return
	}
	p.in.Close()
	p.cmd.Process.Kill()
	p.cmd.Wait()
}
