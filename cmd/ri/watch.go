package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

func newWatch(o *options) *cobra.Command {
	opt := commands.WatchOptions{}
	record := ""
	cmd := &cobra.Command{
		Use:   "watch -p PID [--on-exit 'ri ...']",
		Short: "wait until a process dies, and look at it in its last moment",
		Long: `Wait, without slowing the process, until it dies by a panic, a fatal error, a signal or os.Exit. The kernel
then holds it, with its memory whole, while commands of ri run on it; what they are is said with --on-exit, once or
more often (default: ri crash, then ri run goroutines). They get -p PID if they name no target.

Not seen are: deaths while another ri looks at the process (milliseconds), a process that is gone before the watch
begins, and the end of the machine. A victim of the OOM killer is let go at once, since the machine waits for its
memory. If ri is killed, the process runs on, or dies its death.

Exit codes: 0 it ended with exit code 0; 3 it died in another way; 5 --max-hold ran out, or a command failed; 1 it was
gone before it could be held; 4 it can't be watched; 130 Ctrl-C ended the watch.`,
		Example: `  ri watch -p 4711
  ri watch -p 4711 --record death.rec
  ri watch -p 4711 --on-exit 'ri crash' --on-exit 'ri report -o /var/tmp/visit' --max-hold 1m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.out != "" || o.json || o.ndjson {
				return rows.Usagef("ri watch itself has no result: give -o and --json to what it runs (--on-exit 'ri crash " +
					"--json -o crash.json')")
			}
			if len(opt.OnExit) == 0 {
				opt.OnExit = commands.DefaultOnExit
			}
			if record != "" {
				opt.OnExit = append([]string{commands.RecordOnExit(record)}, opt.OnExit...)
			}
			opt.Run, opt.Check = runSelf, checkLine
			return commands.Watch(cmd.Context(), o.remarks(), o.target, opt)
		},
	}
	o.addTarget(cmd.Flags())
	cmd.Flags().StringArrayVar(&opt.OnExit, "on-exit", nil,
		"run this `COMMAND` of ri on the dying process; may be given again")
	cmd.Flags().StringVar(&record, "record", "",
		"before that, record what is in memory into `FILE` (as --on-exit 'ri record -o FILE' does)")
	cmd.Flags().DurationVar(&opt.MaxHold, "max-hold", 30*time.Second,
		"the longest that a dying process is held, `DURATION`")
	return cmd
}

// checkLine refuses what is no command of ri.
func checkLine(words []string) error {
	_, at, err := takeApart(words)
	switch {
	case errors.Is(err, errHere):
		return errors.New("it looks at no process")
	case err == nil && at != os.Getenv(atVariable):
		return errors.New("it is done where the process is, without --at")
	}
	return err
}

// runSelf runs a command of ri in a process of its own, on the same standard output and error.
func runSelf(ctx context.Context, words []string) error {
	if worker.Root() != "" {
		code, err := worker.Again(ctx, words, [3]*os.File{os.Stdin, stdout.File(), stderr.File()})
		switch {
		case err != nil:
			return err
		case code == exitFound:
			return rows.ErrFound
		case code != exitDone:
			return fmt.Errorf("exit status %d", code)
		}
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, words...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Stdout, cmd.Stderr = stdout.File(), stderr.File() // to the command, a terminal is one
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitFound {
		return rows.ErrFound
	}
	return err
}
