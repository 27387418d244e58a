//go:build linux

package main

import (
	"context"
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
)

// What a field visit asks for beside single questions: a watch, and a report.

// watched measures the longest stop that the target feels while ri watches it, beside that of a target that nobody
// watches.
func watched(ctx context.Context, b *bench) ([]row, error) {
	const look = 2 * time.Second
	p, err := b.startTarget("-threads", "20")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	r := row{name: "ri watch: longest stop while it waits", note: fmt.Sprintf("in %v of a watch; both figures are "+
		"the machine's own pauses unless the watch costs something.", look)}
	cmd := exec.CommandContext(ctx, b.ri, "watch", "-p", strconv.Itoa(p.pid))
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+b.cache)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	says, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	rest := func() error {
		select {
		case <-time.After(look):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range b.runs {
		gap, err := p.felt(rest)
		if err != nil {
			return nil, err
		}
		r.idle.addTime(gap)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := waitFor(says, "watching"); err != nil {
		return nil, err
	}
	for range b.runs {
		gap, err := p.felt(rest)
		if err != nil {
			return nil, err
		}
		r.ri.addTime(gap)
	}
	return []row{r}, nil
}

// waitFor reads until a text comes.
func waitFor(from io.Reader, text string) error {
	var said strings.Builder
	piece := make([]byte, 4096)
	for {
		n, err := from.Read(piece)
		said.Write(piece[:n])
		if strings.Contains(said.String(), text) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ri did not say %q but %q", text, said.String())
		}
	}
}

// largeReport is the report of a process with 100 k goroutines and a 1 GB heap.
func largeReport(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget("-goroutines", "100000", "-heap", strconv.Itoa(1_000_000_000))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	took := row{name: "report of 100 k goroutines and 1 GB of heap: time", must: 60 * second,
		note: "with --max-stop 1s, so that the heap is in it."}
	page := row{name: "the same: its page", unit: bytesOf, must: 20 * megabyte}
	memory := row{name: "the same: memory", unit: bytesOf}
	for i := range min(b.runs, 3) {
		path := filepath.Join(b.scripts, fmt.Sprintf("report%d.html", i))
		o, err := tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "report", "-p", strconv.Itoa(p.pid),
			"-o", path, "--max-stop", "1s")
		var exit *exec.ExitError
		// it found something, or hit a limit
		if err != nil && !(errors.As(err, &exit) && (exit.ExitCode() == 3 || exit.ExitCode() == 5)) {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		took.ri.addTime(o.took)
		page.ri.add(float64(info.Size()))
		memory.ri.add(float64(o.memory))
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return []row{took, page, memory}, nil
}

// largeCheck is ri check of a process with 100 k goroutines. How long it may stand depends on how much memory it has.
func largeCheck(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget("-goroutines", "100000")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	took := row{name: "ri check of 100 k goroutines: time", must: 5 * second}
	stop := row{name: "the same: stop", must: 50 * millisecond}
	for range b.runs {
		o, err := b.lookStop(ctx, p, &stop, "check", "-p", strconv.Itoa(p.pid), "--max-stop", "5s")
		if err != nil {
			return nil, err
		}
		took.ri.addTime(o.took)
		copied, err := bytesRead(o.read)
		if err != nil {
			return nil, err
		}
		stop.must = max(50*millisecond, 150*millisecond*copied/1e9)
		stop.note = fmt.Sprintf("50 ms up to 300 MB of memory, 150 ms for each GB beyond; it has %s.", o.read)
	}
	return []row{took, stop}, b.idle(p, &stop)
}

// largeCore is a core of a process with a 1 GB heap: how fast it is written, stop and all, and how long the target
// feels it.
func largeCore(ctx context.Context, b *bench) ([]row, error) {
	const size = 1_000_000_000
	p, err := b.startTarget("-heap", strconv.Itoa(size), "-change", strconv.Itoa(200e6))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	rate := row{name: "ri core of a 1 GB heap at 200 MB/s of change: bytes written", unit: perSecond,
		must: 500 * megabyte, note: "of the whole command; into the page cache of the folder for temporary files."}
	stop := row{name: "the same: stop"}
	precopied := row{name: "the same, with --precopy: stop"}
	for i := range min(b.runs, 3) {
		for flag, r := range map[string]*row{"--precopy=false": &stop, "--precopy": &precopied} {
			path := filepath.Join(b.scripts, fmt.Sprintf("core%d", i))
			var o *outcome
			gap, err := p.felt(func() (err error) {
				o, err = tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "core", "-p",
					strconv.Itoa(p.pid), "-o", path, "--max-stop", "5s", flag)
				return err
			})
			if err != nil {
				return nil, err
			}
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			r.ri.addTime(gap)
			if r == &stop {
				rate.ri.add(size / o.took.Seconds())
			}
		}
	}
	return []row{rate, stop, precopied}, nil
}
