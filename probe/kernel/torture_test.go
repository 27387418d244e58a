package kernel

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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
	{Name: "go1.25", Toolchain: "go1.25.3", Rare: true},
	{Name: "go1.27", Toolchain: "go1.27.3", Full: true},
}

// tortureWorkers is how many arm probes in one program at once: the kernel takes tens of milliseconds for each to go
// away, which costs nobody CPU.
const tortureWorkers = 4

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
			v.Skip(t)
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
	all := tortureProbes(c)
	var next, rows, killed atomic.Int64
	begin := time.Now()
	var workers sync.WaitGroup
	for w := range tortureWorkers {
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		workers.Go(func() {
			for next.Add(1) <= int64(trials) && !t.Failed() {
				// Most are short, so that many arrive and leave at all moments of what the program does.
				wait := time.Duration(random.IntN(5_000)) * time.Microsecond
				if random.IntN(4) == 0 {
					wait *= 8
				}
				if random.IntN(3) == 0 {
					killArmed(t, c, all, wait)
					killed.Add(1)
				} else {
					rows.Add(int64(tortureOnce(t, c, slices.Clone(all), random, wait)))
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(begin)
	checkText(t, c)
	c.in.Close()
	var said struct{ Done, Harmed uint64 }
	c.read(&said)
	if said.Harmed > 0 || said.Done == 0 {
		t.Errorf("%+v", said)
	}
	t.Logf("%d trials in %v, %d killed, %d rows compared, %d results checked by the program", trials,
		took.Round(time.Millisecond), killed.Load(), rows.Load(), said.Done)
}

// tortureOnce arms some of the probes, takes them away and compares the rows. Others arm the same places meanwhile.
func tortureOnce(t *testing.T, c *calls, probes []probe.Probe, random *rand.Rand, wait time.Duration) (rows int) {
	random.Shuffle(len(probes), func(i, j int) { probes[i], probes[j] = probes[j], probes[i] })
	probes = probes[:1+random.IntN(len(probes))]
	o := tortureOptions(c)
	o.as, o.Stack = theAbility(), random.IntN(2)*8
	a, err := Arm(context.Background(), c.target, probes, o)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer a.Close()
	if m := a.Missed(); len(m) > 0 {
		t.Error(m)
	}
	time.Sleep(wait)
	if err := a.Disarm(); err != nil {
		t.Error(err)
	}
	for {
		e, err := a.Next(context.Background())
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		checkTortured(t, probes[e.Probe].Name, e)
		rows++
	}
	for i, n := range a.Counts() {
		if n.Lost+n.Refused+n.Undecided+n.Nil > 0 {
			t.Errorf("probe %s: %+v", probes[i].Name, n)
		}
	}
	return rows
}

// theAbility is what this kernel lets the tests do; sessions that are given it don't measure what traps cost.
var theAbility = sync.OnceValue(func() *Ability {
	able := Able()
	return &able
})

// tortureOptions are generous, with little memory: to make it takes longer than all else.
func tortureOptions(c *calls) Options {
	o := c.generous()
	o.Ring, o.Calls = 4<<20, 1024
	return o
}

// tortureProbes are one of work with its returns, one of it with a condition, and some that see panics.
func tortureProbes(c *calls) []probe.Probe {
	length := inReg(rdi)
	reads := []probe.Read{{At: probe.Path{Base: reg(rax)}, Size: 32},
		{At: probe.Path{Base: reg(rcx)}, Size: 32, Count: &length, Each: 1},
		{At: probe.Path{Base: probe.Base{Kind: probe.Item, N: 0, Off: 24}}, Size: 8}}
	pair, some := c.function("main.work", true), c.function("main.work", false)
	pair.At.Reads = reads
	some.Name = "some of main.work"
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
func checkTortured(t *testing.T, name string, e probe.Event) {
	t.Helper()
	if name != "main.work" && name != "some of main.work" {
		return
	}
	id, salt := le64(e.Pieces[0].Data), e.Registers[rbx]
	text := strconv.FormatUint(id*7, 10)
	if salt != id*31 || string(e.Pieces[1].Data) != text || le64(e.Pieces[2].Data) != mix(id) || e.Goroutine == 0 {
		t.Errorf("arguments: %+v", e)
	}
	if name != "main.work" {
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

// arming is what killArmed hands to the process that it kills.
type arming struct {
	Target  Target
	Probes  []probe.Probe
	Options Options
	Cookies bool
	Sleeps  bool
}

func init() {
	for _, c := range []probe.Condition{probe.And{}, probe.Compare{}, probe.Text{}} {
		gob.Register(c)
	}
}

// killArmed has another process arm the probes, and kills it while it does, holds them, or has just begun.
func killArmed(t *testing.T, c *calls, probes []probe.Probe, wait time.Duration) {
	t.Helper()
	how := theAbility().how
	var what bytes.Buffer
	err := gob.NewEncoder(&what).Encode(arming{c.target, probes, tortureOptions(c), how.cookies, how.sleepable})
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "KERNEL_TEST_ARM=1")
	cmd.Stdin, cmd.Stderr = &what, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return
	}
	if wait/time.Microsecond%2 == 0 {
		if n, _ := out.Read(make([]byte, 1)); n != 1 {
			t.Error("it doesn't arm")
		}
	} else {
		wait *= 10 // it arms meanwhile
	}
	time.Sleep(wait)
	cmd.Process.Kill()
	cmd.Wait()
}

// armUntilKilled is what killArmed starts.
func armUntilKilled() error {
	var what arming
	if err := gob.NewDecoder(os.Stdin).Decode(&what); err != nil {
		return err
	}
	what.Options.as = &Ability{Way: Multi, how: dialect{cookies: what.Cookies, sleepable: what.Sleeps}}
	a, err := Arm(context.Background(), what.Target, what.Probes, what.Options)
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

// checkText compares the program's code with its file. What somebody has left who was killed the kernel takes away a
// moment later.
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
		want := file[m.Offset:min(m.Offset+m.Size, uint64(len(file)))]
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := memory.ReadAt(have, int64(m.Addr)); err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(have[:len(want)], want) {
				break
			}
			if time.Now().After(deadline) {
				i := 0
				for have[i] == want[i] {
					i++
				}
				t.Fatalf("text differs at %#x: %#x, not %#x", m.Addr+uint64(i), have[i], want[i])
			}
		}
	}
}
