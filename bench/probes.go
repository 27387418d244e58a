//go:build linux

package main

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// What a hit costs the thread that is hit, in its own CPU time, beside an empty BPF program at the same place in the
// same run: machines differ by a factor of ten in what the trap alone costs.

// hitRuns is how many calls are made to measure what one costs.
const hitRuns = 20_000

// traced is what a tool does to the target while calls are made.
type traced struct {
	name string
	call string // of the target: framed, frameless
	over string // its figure is what it costs more than this one
	must float64
	ri   []string     // arguments of ri trace
	rec  string       // or a boundary, of which calls are recorded
	at   []probedSite // or an empty program, at these
}

func hits(ctx context.Context, b *bench) ([]row, error) {
	p, entry, pair, err := b.startFramed(ctx)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	bare, _, err := b.sites(ctx, p, "main.frameless")
	if err != nil {
		return nil, err
	}
	const empty = "a hit of an empty program"
	all := []traced{
		{name: "nobody", call: "framed"},
		{name: "nobody, frameless", call: "frameless"},
		{name: empty, call: "framed", over: "nobody", at: entry},
		{name: "a false condition, in a register: more than that", call: "framed", over: empty, must: 300e-9,
			ri: []string{"main.framed", "--when", "id == -5"}},
		{name: "a false condition, two numbers behind pointers: more than that", call: "framed", over: empty,
			must: 300e-9, ri: []string{"main.framed", "--when", "o.next.id == 8 && o.who.from.zip == 1"}},
		{name: "captured, three fields behind pointers: more than that", call: "framed", over: empty, must: 1500e-9,
			ri: []string{"main.framed", "--show", "o.next.id", "--show", "o.who.name", "--show", "o.who.from.zip"}},
		{name: "an empty program at the entry and the returns", call: "framed", over: "nobody", at: pair},
		{name: "a pair of entry and return", call: "framed", over: "nobody", must: 8e-6,
			ri: []string{"main.framed", "--returns", "--show", "id", "--show", "r0"}},
		{name: "a frameless function, an empty program", call: "frameless", over: "nobody, frameless",
			at: bare},
		{name: "a frameless function, captured", call: "frameless", over: "nobody, frameless", must: 5e-6,
			ri: []string{"main.frameless", "--show", "id"}},
	}
	rows, memory, err := b.costs(ctx, p, all)
	if err != nil {
		return nil, err
	}
	rows = rows[2:]
	if !b.noPeers {
		rows = append(rows, b.peersHits(ctx, p)...)
	}
	memory.name = "ri trace: memory"
	return append(rows, memory), nil
}

// startFramed starts a target, and gives where main.framed is probed: at its entry, and there and at its returns.
func (b *bench) startFramed(ctx context.Context) (p *process, entry, pair []probedSite, err error) {
	if p, err = b.startTarget(); err != nil {
		return nil, nil, nil, err
	}
	entry, backs, err := b.sites(ctx, p, "main.framed")
	if err != nil {
		p.kill()
		return nil, nil, nil, err
	}
	return p, entry, append(append([]probedSite{}, entry...), backs...), nil
}

// callsRecorded is what a call costs that is recorded.
func callsRecorded(ctx context.Context, b *bench) ([]row, error) {
	p, _, pair, err := b.startFramed(ctx)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	rows, memory, err := b.costs(ctx, p, []traced{
		{name: "nobody", call: "framed"},
		{name: "nobody, without results", call: "told"},
		{name: "record calls: an empty program at the entry and the returns", call: "framed", over: "nobody", at: pair},
		{name: "record calls: a call with its return", call: "framed", over: "nobody", must: 8e-6, rec: "main.framed"},
		{name: "record calls: a call that gives nothing, its entry alone", call: "told", over: "nobody, without results",
			must: 2e-6, rec: "main.told"},
	})
	if err != nil {
		return nil, err
	}
	memory.name = "record calls: memory"
	return append(rows[2:], memory), nil
}

// costs measures what a call costs under each of some things, in turn, as many times as there are runs.
func (b *bench) costs(ctx context.Context, p *process, all []traced) (rows []row, memory row, err error) {
	rows = make([]row, len(all))
	memory = row{unit: bytesOf, must: 100 * megabyte}
	lost := map[string]string{}
	for range b.runs {
		cost := map[string]float64{}
		for i, t := range all {
			got, o, err := b.hit(ctx, p, t)
			if err != nil {
				return nil, memory, fmt.Errorf("%s: %w", t.name, err)
			}
			cost[t.name] = got
			if o != nil {
				memory.ri.add(float64(o.memory))
				if strings.Contains(o.stderr, " lost") {
					lost[t.name] = lastLine(o.stderr)
				}
			}
			rows[i].ri.add(got - cost[t.over])
		}
	}
	for i, t := range all {
		rows[i].name, rows[i].must, rows[i].note = t.name, t.must, lost[t.name]
	}
	return rows, memory, nil
}

// hit gives what a call costs while a tool does something to it.
func (b *bench) hit(ctx context.Context, p *process, t traced) (float64, *outcome, error) {
	if len(t.at) > 0 {
		end, err := emptyProgram(p, t.at)
		if err != nil {
			return 0, nil, err
		}
		defer end.Close()
	}
	var o *outcome
	measure := func() (cpu float64, err error) {
		n, err := p.ask(fmt.Sprintf("%s %d", t.call, hitRuns))
		if err != nil {
			return 0, err
		}
		return float64(n[0]) / 1e9 / hitRuns, nil
	}
	var args []string
	switch {
	case len(t.ri) > 0:
		args = append(append([]string{"trace", "-p", strconv.Itoa(p.pid)}, t.ri...), "--limit", "1000000000", "--budget",
			"6400%", "--for", "10m", "--ndjson")
	case t.rec != "":
		file := filepath.Join(b.scripts, fmt.Sprintf("%d.calls", time.Now().UnixNano()))
		defer os.Remove(file)
		args = []string{"record", "calls", "-p", strconv.Itoa(p.pid), "-o", file, t.rec, "--budget", "6400%", "--for", "10m"}
	default:
		cpu, err := measure()
		return cpu, nil, err
	}
	var cpu float64
	o, err := b.probeWhile(ctx, func() (err error) {
		cpu, err = measure()
		return err
	}, args...)
	return cpu, o, err
}

// traceWhile runs ri trace, does something once it is armed, and interrupts it then.
func (b *bench) traceWhile(ctx context.Context, p *process, do func() error, args ...string) (*outcome, error) {
	return b.probeWhile(ctx, do, append([]string{"trace", "-p", strconv.Itoa(p.pid)}, args...)...)
}

// probeWhile is traceWhile of any command of ri that probes.
func (b *bench) probeWhile(ctx context.Context, do func() error, args ...string) (*outcome, error) {
	cmd := exec.CommandContext(ctx, b.ri, args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+b.cache)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	says, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	o := &outcome{}
	err = waitFor(says, "armed: ")
	if o.first = time.Since(began); err == nil {
		rest := make(chan string)
		go func() {
			data, _ := io.ReadAll(says)
			rest <- string(data)
		}()
		err = do()
		cmd.Process.Signal(os.Interrupt)
		o.stderr = <-rest
	}
	waited := cmd.Wait()
	var exit *exec.ExitError
	if err == nil && waited != nil && !errors.As(waited, &exit) {
		err = waited
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		o.memory = usage.Maxrss << 10
	}
	return o, err
}

// ask has our target do something, and gives the numbers that it answers.
func (p *process) ask(line string) ([]int64, error) {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return nil, err
	}
	if !p.out.Scan() {
		return nil, errors.New("the target has gone")
	}
	var out []int64
	for _, field := range strings.Fields(p.out.Text()) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	if len(out) < 2 {
		return nil, fmt.Errorf("the target says %q", p.out.Text())
	}
	return out, nil
}

// probedSite is where ri would probe: an offset in the executable.
type probedSite struct{ offset uint64 }

// sites asks ri where it would probe a function, and its returns.
func (b *bench) sites(ctx context.Context, p *process, function string) (entry, backs []probedSite, err error) {
	o, err := tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "trace", "-p", strconv.Itoa(p.pid),
		function, "--returns", "--places", "--ndjson")
	if err != nil {
		return nil, nil, err
	}
	exe, err := elf.Open(b.target)
	if err != nil {
		return nil, nil, err
	}
	defer exe.Close()
	for line := range strings.Lines(o.stdout) {
		var at struct{ Role, PC string }
		if err := json.Unmarshal([]byte(line), &at); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", line, err)
		}
		pc, err := strconv.ParseUint(at.PC, 0, 64)
		if err != nil {
			continue
		}
		for _, s := range exe.Progs {
			if s.Type == elf.PT_LOAD && pc >= s.Vaddr && pc-s.Vaddr < s.Filesz {
				pc += s.Off - s.Vaddr
				break
			}
		}
		if at.Role == "return" {
			backs = append(backs, probedSite{pc})
		} else {
			entry = append(entry, probedSite{pc})
		}
	}
	if len(entry) == 0 || len(backs) == 0 {
		err = fmt.Errorf("ri has no place for %s: %s", function, o.stdout)
	}
	return entry, backs, err
}

// emptyProgram arms a BPF program that does nothing.
func emptyProgram(p *process, at []probedSite) (io.Closer, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "empty", Type: ebpf.Kprobe, License: "GPL",
		AttachType: ebpf.AttachTraceUprobeMulti, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		return nil, err
	}
	defer program.Close() // the link holds it
	exe, err := link.OpenExecutable(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		return nil, err
	}
	o := &link.UprobeMultiOptions{PID: uint32(p.pid)}
	for _, s := range at {
		o.Addresses = append(o.Addresses, s.offset)
	}
	return exe.UprobeMulti(nil, program, o)
}
