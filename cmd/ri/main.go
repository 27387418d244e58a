// Command ri asks running Go processes what they are doing, and mends them, without having been invited.
//
// This package is flags and words; what they do is in ri/instruments.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ri/attach/process"
	"ri/files"
	"ri/inert"
	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

// What ri says to people: no text of a target reaches a terminal as it is.
var stdout, stderr = inert.NewWriter(os.Stdout), inert.NewWriter(os.Stderr)

func main() {
	os.Exit(run())
}

func run() int {
	if code, ok := commands.ReplayInside(); ok {
		return code
	}
	if worker.Is() {
		if err := worker.Become(); err != nil {
			return workerFailed(err)
		}
		files.Confine(worker.Root())
		stderr.As = files.AsNamed
		process.AccountTo(worker.Agent{})
	}
	if at := atGiven(os.Args[1:]); at {
		if asked, place := elsewhere(os.Args[1:]); asked != nil {
			return ask(asked, place)
		}
	}
	if err := commands.CheckAddressSpace(); err != nil {
		fmt.Fprintf(stderr, "ri: %s\n", err.Error())
		return exitCode(err)
	}
	ctx, stop := withSignals(context.Background())
	defer stop()
	obeyJobControl()
	root := newRoot()
	root.SetArgs(negativesLast(root.Command, os.Args[1:]))
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = root.unknown
	}
	if err != nil && !root.started {
		err = rows.Usage(err) // cobra's own complaints: flags, arguments, commands
	}
	if err != nil && err.Error() != "" {
		fmt.Fprintf(stderr, "ri: %s\n", err.Error())
	}
	return exitCode(err)
}

// lettingGo is how long ri may take to end what it is doing, once a signal came: a change that is being made, the
// commands of a watch (two seconds), files that are not to stay.
const lettingGo = 4 * time.Second

// withSignals gives a context that ends by SIGINT, SIGTERM or SIGHUP, with the signal as its cause: the
// run detaches, then ri exits. A second signal exits at once; the kernel then lets the target go.
// SIGPIPE becomes an ordinary error of the write.
//
// What doesn't end by itself within lettingGo is ended: whoever stops ri need not ask twice. A recording that Ctrl-C
// ends is finished first.
func withSignals(parent context.Context) (context.Context, func()) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		first := (<-signals).(syscall.Signal)
		cancel(signalError{first})
		for wait := true; wait; {
			select {
			case last := <-signals:
				rows.DropTemporaries()
				os.Exit(exitSignal + int(last.(syscall.Signal)))
			case <-time.After(lettingGo): // what it does asks nobody: it waits for a pipe, or lays out what was found
				wait = rows.IsFinishing()
			}
		}
		fmt.Fprintf(stderr, "ri: %v\n", signalError{first})
		rows.DropTemporaries()
		os.Exit(exitSignal + int(first))
	}()
	return ctx, func() { cancel(nil) }
}

// obeyJobControl lets the target run before Ctrl-Z, or reading or writing in the background, stops ri. What the
// shell had ignored stays so.
func obeyJobControl() {
	signals := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	go func() {
		for range signals {
			process.Suspend()
			select {
			case <-signals: // another of the same moment
			default:
			}
		}
	}()
}
