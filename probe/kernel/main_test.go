package kernel

import (
	"bufio"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ri/probe"
	"ri/probe/place"
	"ri/symbols"
	"ri/symbols/testprogram"
)

// needs ends a test where the kernel doesn't let it probe: with RI_NEED_BPF set as a failure, so that nobody takes a
// run that proved nothing for one that did.
func needs(t testing.TB) {
	t.Helper()
	if able := Able(); able.Way != Multi {
		if os.Getenv("RI_NEED_BPF") != "" {
			t.Fatal(able.refusal())
		}
		t.Skip(able.refusal())
	}
}

// calls is the program of testdata/calls, running.
type calls struct {
	t       testing.TB
	in      io.WriteCloser
	out     *bufio.Reader
	pid     int
	exe     string
	symbols *symbols.File
	target  Target
}

// Call is what the program says of a call; see testdata/calls.
type Call struct {
	ID      int64
	N       int
	Name    string
	List    []int64
	Price   float64
	Ratio   float32
	Small   int16
	Big     uint8
	Next    int64
	Deep    int64
	Blob    []byte
	Result  int
	Failed  bool
	Panics  bool
	Exits   bool
	Thread  int
	Elapsed time.Duration
}

func start(t testing.TB, v testprogram.Variant) *calls {
	t.Helper()
	needs(t)
	dir, err := filepath.Abs("testdata/calls")
	if err != nil {
		t.Fatal(err)
	}
	return startExe(t, testprogram.Build(t, dir, v))
}

func startExe(t testing.TB, exe string) *calls {
	t.Helper()
	c := &calls{t: t, exe: exe}
	c.in, c.out = testprogram.Run(t, exec.Command(exe))
	var hello struct{ PID int }
	c.read(&hello)
	c.pid = hello.PID
	if err := c.openSymbols(); err != nil {
		t.Fatal(err)
	}
	e, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c.target = Target{PID: c.pid}
	for _, p := range e.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 {
			c.target.Segments = append(c.target.Segments, Segment{p.Vaddr, p.Memsz, p.Off})
		}
	}
	return c
}

func (c *calls) openSymbols() error {
	file, err := os.Open(c.exe) // as long as the test
	if err == nil {
		c.symbols, err = symbols.Open(file, c.exe)
	}
	return err
}

func (c *calls) read(v any) {
	c.t.Helper()
	line, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
}

// do has the program do something, and gives what it says of it.
func (c *calls) do(format string, args ...any) ([]Call, time.Duration) {
	c.t.Helper()
	fmt.Fprintf(c.in, format+"\n", args...)
	return c.said()
}

// spin has the program call main.empty for some milliseconds, from when it returns on, and gives what waits for it.
func (c *calls) spin(milliseconds, threads int) (wait func() []Call) {
	c.t.Helper()
	fmt.Fprintf(c.in, "spin %d %d\n", milliseconds, threads)
	var started struct{ Started bool }
	c.read(&started)
	return func() []Call {
		said, _ := c.said()
		return said
	}
}

func (c *calls) said() ([]Call, time.Duration) {
	c.t.Helper()
	var said struct {
		Calls []Call
		CPU   time.Duration
	}
	c.read(&said)
	return said.Calls, said.CPU
}

// function is a probe of a function's sites.
func (c *calls) function(name string, returns bool) probe.Probe {
	c.t.Helper()
	found, err := place.Find(c.symbols, name)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(found.Functions) != 1 || len(found.Functions[0].Sites) == 0 {
		c.t.Fatalf("%s: %+v", name, found)
	}
	p := probe.Probe{Name: name, Sites: found.Functions[0].Sites}
	if returns {
		if p.Returns = found.Functions[0].Returns; len(p.Returns) == 0 {
			c.t.Fatal(found.Functions[0].NoReturns)
		}
	}
	return p
}

// generous are options under which nothing is refused.
func (c *calls) generous() Options {
	return Options{Goid: goidOffset(c), Budget: 100, Limit: 1 << 40, Ring: 64 << 20, Counting: -1}
}

func goidOffset(c *calls) int64 { return fieldOffset(c, "goid") }

// fieldOffset is that of a field of runtime.g.
func fieldOffset(c *calls, name string) int64 {
	c.t.Helper()
	typ, err := c.symbols.Type("runtime.g")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range typ.Fields() {
		if f.Name == name {
			return int64(f.Offset)
		}
	}
	c.t.Fatalf("runtime.g has no %s", name)
	return 0
}

func (c *calls) arm(o Options, probes ...probe.Probe) *Armed {
	c.t.Helper()
	a, err := Arm(context.Background(), c.target, probes, o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { a.Close() })
	if m := a.Missed(); len(m) > 0 {
		c.t.Fatal(m)
	}
	return a
}

// all disarms, and gives all events.
func all(t testing.TB, a *Armed) []probe.Event {
	t.Helper()
	if err := a.Disarm(); err != nil {
		t.Fatal(err)
	}
	var out []probe.Event
	for {
		e, err := a.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
}

// Go's registers for arguments, by DWARF number (Go's ABI, abi-internal.md: RAX, RBX, RCX, RDI, RSI, R8, R9).
const (
	rax = 0
	rcx = 2
	rbx = 3
	rsi = 4
	rdi = 5
	r8  = 8
)

func reg(n int) probe.Base { return probe.Base{Kind: probe.Register, N: n} }

// inReg is a number in a register.
func inReg(n int) probe.Word {
	return probe.Word{Path: probe.Path{Base: reg(n)}, InPlace: true, Size: 8, Signed: true}
}

// field is a number at an offset behind a register, through pointers.
func field(size uint8, signed bool, last int64, steps ...int64) probe.Word {
	return probe.Word{Path: probe.Path{Base: reg(rax), Steps: steps, Last: last}, Size: size, Signed: signed}
}
