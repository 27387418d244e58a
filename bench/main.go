//go:build linux

// Bench measures ri against dlv (and gdb, where it can) on the same processes in the same run, and prints the table
// that docs/benchmarks.md explains. `make bench` runs it.
//
// Stops are measured where they are felt: by a thread of the target that only looks at the clock. For a program that
// isn't ours the kernel is asked every 50 microseconds whether it is stopped. What a tool says of itself is beside it,
// and is not what is compared.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// Children end with the thread that started them (Pdeathsig): the main thread, which lasts as long as the process.
	runtime.LockOSThread()
	b := &bench{}
	quick := flag.Bool("quick", false, "fewer runs, for a first look")
	only := flag.String("only", "", "only measures whose name matches this `REGEXP`")
	flag.StringVar(&b.ri, "ri", "bin/ri", "the ri to measure")
	flag.StringVar(&b.dir, "dir", "bin/bench", "where peers and targets are built, and kept for the next time")
	flag.BoolVar(&b.noPeers, "no-peers", false, "ri alone")
	flag.IntVar(&b.heap, "heap", 1_000_000_000, "`BYTES` of the heap that is recorded")
	flag.IntVar(&b.resident, "resident", 4_000_000_000, "`BYTES` of the process that is recorded with --precopy")
	build := flag.Bool("build-prometheus", false,
		"build Prometheus, unless it is there, and print its path; measure nothing")
	flag.Parse()
	b.runs, b.peerRuns = 9, 3
	if *quick {
		b.runs, b.peerRuns = 3, 1
	}
	match, err := regexp.Compile(*only)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if *build {
			err = b.printPrometheus(ctx)
		} else {
			err = b.run(ctx, match)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the benchmark.
type bench struct {
	ri, dlv, gdb   string // executables; gdb is "" where there is none
	dir            string
	target         string // ours, built
	cache          string // XDG_CACHE_HOME of ri
	scripts        string // written for this run
	noPeers        bool
	runs, peerRuns int
	heap, resident int // bytes
}

func (b *bench) run(ctx context.Context, match *regexp.Regexp) error {
	began := time.Now()
	if err := b.prepare(ctx, match); err != nil {
		return err
	}
	defer os.RemoveAll(b.scripts)
	var rows []row
	for _, m := range measures {
		if !match.MatchString(m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s...\n", m.name)
		got, err := m.take(ctx, b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", m.name, err)
			got = append(got, row{name: m.name, note: "failed: " + firstLine(err.Error())})
		}
		rows = append(rows, got...)
	}
	return printReport(os.Stdout, rows, b, time.Since(began))
}
