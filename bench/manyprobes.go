//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// manyProbes is how long it takes until 500 probes are armed, from the start of the command on.
func manyProbes(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget()
	if err != nil {
		return nil, err
	}
	defer p.kill()
	r := row{name: "ri trace of 500 functions: time until armed", must: 1 * second}
	memory := row{name: "the same: memory", unit: bytesOf, must: 100 * megabyte}
	functions, err := b.functions(ctx, p, 500)
	if err != nil {
		return nil, err
	}
	r.note = fmt.Sprintf("%d functions, their inlined calls too; the whole command with its warm cache, of which 0.1 s "+
		"is counting.", len(functions))
	for range b.runs {
		o, err := b.traceWhile(ctx, p, func() error { return nil }, append(functions, "--count", "func", "--budget",
			"6400%", "--for", "10m")...)
		if err != nil {
			return nil, err
		}
		r.ri.addTime(o.first)
		memory.ri.add(float64(o.memory))
	}
	return []row{r, memory}, nil
}

// functions gives names of functions that ri would probe.
func (b *bench) functions(ctx context.Context, p *process, n int) (names []string, err error) {
	o, err := tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "trace", "-p", strconv.Itoa(p.pid), "fmt.*",
		"strconv.*", "os.*", "reflect.*", "time.*", "sync.*", "syscall.*", "unicode/utf8.*", "internal/poll.*", "--places",
		"--ndjson")
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for line := range strings.Lines(o.stdout) {
		var at struct{ Func, PC string }
		if json.Unmarshal([]byte(line), &at) == nil && at.PC != "" && !have[at.Func] && len(names) < n {
			have[at.Func] = true
			names = append(names, at.Func)
		}
	}
	if len(names) < n {
		return nil, fmt.Errorf("only %d functions", len(names))
	}
	return names, nil
}
