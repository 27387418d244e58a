package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"ri/probe"
	"ri/symbols/testprogram"
)

// tortures are the ways in which the tortured program is built.
var tortures = []testprogram.Variant{
	{Name: "default"},
	{Name: "pie", Flags: []string{"-buildmode=pie"}},
	{Name: "cgo", Cgo: true, Flags: []string{"-tags=withcgo"}, Full: true},
	{Name: "go1.20", Toolchain: "go1.20.14", Full: true},
	{Name: "go1.22", Toolchain: "go1.22.5", Full: true},
	{Name: "go1.24", Toolchain: "go1.24.6", Full: true},
	{Name: "go1.25", Toolchain: "go1.25.3", Full: true},
	{Name: "go1.27", Toolchain: "go1.27.3", Full: true},
}

// TestTorture arms probes, takes them away and is killed at random times, RI_TRIALS times for each way to build a
// program that does all that a probe might disturb and checks its own results. Afterwards its text is what its file
// says. `make torture-probes` has many trials.
func TestTorture(t *testing.T) {
	trials := 12
	if s := os.Getenv("RI_TRIALS"); s != "" {
		trials, _ = strconv.Atoi(s)
	}
	for _, v := range tortures {
		t.Run(v.Name, func(t *testing.T) {
			if v.Full && testing.Short() {
				t.Skip("not with -short")
			}
			torture(t, v, trials)
		})
	}
}

func torture(t *testing.T, v testprogram.Variant, trials int) {
	needs(t)
	dir, err := filepath.Abs("testdata/tortured")
	if err != nil {
		t.Fatal(err)
	}
	c := startExe(t, testprogram.Build(t, dir, v))
	c.target.Bias = bias(t, c)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rows, killed := 0, 0
	for trial := range trials {
		wait := time.Duration(random.IntN(40_000)) * time.Microsecond
		if trial%3 == 2 {
			killArmed(t, c, wait)
			killed++
			continue
		}
		o := c.generous()
		o.Stack = random.IntN(2) * 8
		a := c.arm(o, tortureProbes(c)...)
		time.Sleep(wait)
		for _, e := range all(t, a) {
			checkTortured(t, e)
			rows++
		}
		for i, n := range a.Counts() {
			if n.Lost+n.Refused+n.Undecided+n.Nil > 0 {
				t.Errorf("probe %d: %+v", i, n)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	checkText(t, c)
	c.in.Close()
	var said struct{ Done, Harmed uint64 }
	c.read(&said)
	if said.Harmed > 0 || said.Done == 0 {
		t.Errorf("%+v", said)
	}
	t.Logf("%d trials, %d killed, %d rows compared, %d results checked by the program", trials, killed, rows, said.Done)
}

// tortureProbes are one of work with its returns, one of it with a condition, and some that see panics.
func tortureProbes(c *calls) []probe.Probe {
	length := inReg(rdi)
	reads := []probe.Read{{At: probe.Path{Base: reg(rax)}, Size: 32},
		{At: probe.Path{Base: reg(rcx)}, Size: 32, Count: &length, Each: 1},
		{At: probe.Path{Base: probe.Base{Kind: probe.Item, N: 0, Off: 24}}, Size: 8}}
	pair, some := c.function("main.work", true), c.function("main.work", false)
	pair.At.Reads = reads
	some.At = probe.Plan{Reads: reads, When: probe.And{textArg(probe.Contains, "7", 32),
		compare(field(8, false, 0, 24), probe.NotEqual, 1)}}
	broken, descend := c.function("main.broken", true), c.function("main.descend", true)
	descend.Histogram = true
	return []probe.Probe{pair, some, broken, descend, c.function("main.mended", true)}
}

func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x7fb5d329728ea185
	return x ^ x>>27
}

// checkTortured compares a row with what follows from its arguments; see testdata/tortured.
func checkTortured(t *testing.T, e probe.Event) {
	t.Helper()
	if e.Probe > 1 {
		return
	}
	id, salt := le64(e.Pieces[0].Data), e.Registers[rbx]
	text := strconv.FormatUint(id*7, 10)
	if salt != id*31 || string(e.Pieces[1].Data) != text || le64(e.Pieces[2].Data) != mix(id) || e.Goroutine == 0 {
		t.Errorf("arguments: %+v", e)
	}
	if e.Probe == 1 {
		if !bytes.Contains([]byte(text), []byte("7")) {
			t.Errorf("condition: %+v", e)
		}
		return
	}
	if e.Ended || e.Return == nil {
		t.Errorf("work always returns: %+v", e)
		return
	}
	result, failed := e.Return.Registers[rax], e.Return.Registers[rbx] != 0
	if failed != (salt%97 == 0) || !failed && result != mix(id^salt)^uint64(len(text)) {
		t.Errorf("results: %+v", e)
	}
}

// killArmed has another process arm the probes, and kills it while it does, holds them, or has just begun.
func killArmed(t *testing.T, c *calls, wait time.Duration) {
	t.Helper()
	target, err := json.Marshal(c.target)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "KERNEL_TEST_ARM="+c.exe, "KERNEL_TEST_TARGET="+string(target))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if wait/time.Microsecond%2 == 0 {
		out.Read(make([]byte, 1)) // armed
	} else {
		wait *= 10 // it arms meanwhile
	}
	time.Sleep(wait)
	cmd.Process.Kill()
	cmd.Wait()
}

// armUntilKilled is what killArmed starts.
func armUntilKilled(exe string) error {
	var target Target
	if err := json.Unmarshal([]byte(os.Getenv("KERNEL_TEST_TARGET")), &target); err != nil {
		return err
	}
	c := &calls{t: dying{}, exe: exe, pid: target.PID, target: target}
	if err := c.openSymbols(); err != nil {
		return err
	}
	a, err := Arm(context.Background(), target, tortureProbes(c), c.generous())
	if err != nil {
		return err
	}
	fmt.Println("armed")
	for {
		if _, err := a.Next(context.Background()); err != nil {
			return err
		}
	}
}

// dying ends the process where a test would fail.
type dying struct{ testing.TB }

func (dying) Helper()                   {}
func (dying) Fatal(args ...any)         { fmt.Fprintln(os.Stderr, args...); os.Exit(3) }
func (dying) Fatalf(f string, a ...any) { dying{}.Fatal(fmt.Sprintf(f, a...)) }

// mappings are the ranges of a process that come from its executable: address, size, offset.
func mappings(t *testing.T, c *calls) (out []Segment) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var lo, hi, off uint64
		var perm string
		if n, _ := fmt.Sscanf(string(line), "%x-%x %s %x", &lo, &hi, &perm, &off); n == 4 && perm[2] == 'x' &&
			bytes.HasSuffix(bytes.TrimSpace(line), []byte(c.exe)) {
			out = append(out, Segment{lo, hi - lo, off})
		}
	}
	return out
}

func bias(t *testing.T, c *calls) uint64 {
	m, s := mappings(t, c)[0], c.target.Segments[0]
	return m.Addr - m.Offset - (s.Addr - s.Offset)
}

// checkText compares the program's code with its file.
func checkText(t *testing.T, c *calls) {
	t.Helper()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", c.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	file, err := os.ReadFile(c.exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mappings(t, c) {
		have := make([]byte, m.Size)
		if _, err := memory.ReadAt(have, int64(m.Addr)); err != nil {
			t.Fatal(err)
		}
		want := file[m.Offset:min(m.Offset+m.Size, uint64(len(file)))]
		if !bytes.Equal(have[:len(want)], want) {
			for i := range want {
				if have[i] != want[i] {
					t.Fatalf("text differs at %#x: %#x, not %#x", m.Addr+uint64(i), have[i], want[i])
				}
			}
		}
	}
}
