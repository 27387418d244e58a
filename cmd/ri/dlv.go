package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

func newDlv(o *options) *cobra.Command {
	opt := commands.DlvOptions{}
	cmd := &cobra.Command{
		Use:   "dlv -p PID | -c CORE",
		Short: "open Delve on a copy of a process, which runs on",
		Long: `Open Delve's terminal on a copy of a process, or on a core: goroutines, frames, variables, Starlark. The
process is stopped for as long as its memory takes to copy (as for ri core; --precopy and --spool are the same), and
runs on. What would run, change or stop it at a breakpoint answers that this is a copy. What is piped in is run line by
line.

With --headless, Delve's API and DAP are served on the copy, so that dlv connect, VS Code or nvim-dap can look at it
(request: attach, mode: remote). Only clients of the user that ri runs as are let in, from this machine. Any number may
come and go; Ctrl-C, or a client that ends the debugger, ends it. With --at, they come here, and the copy is at the
agent.

The copy lies in memory, or in FOLDER with --spool, in a file without a name that goes when ri ends.`,
		Example: `  ri dlv -p 4711
  echo 'goroutines -with user' | ri dlv -p 4711
  ri dlv -c core.4711 --exe ./server
  ri dlv -p 4711 --precopy --headless --listen 127.0.0.1:2345
  ri dlv -p 4711 --headless --listen unix:/run/user/1000/dlv.sock`,
		Args: exactly(0, "a target by -p PID or -c CORE, no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.json || o.ndjson || o.out != "" {
				return rows.Usagef("Delve prints for people: --json, --ndjson and -o go with ri's own commands")
			}
			var err error
			if opt.Listener, err = worker.Listener(); err != nil {
				return err
			}
			return commands.Dlv(cmd.Context(), o.remarks(), o.target, o.look, opt)
		},
	}
	o.addProcess(cmd.Flags())
	o.addCore(cmd.Flags())
	o.addSymbols(cmd.Flags())
	o.addCopy(cmd.Flags())
	cmd.Flags().BoolVar(&opt.Shared, "all", false, "copy shared memory and shared mappings of files, too")
	cmd.Flags().BoolVar(&opt.Headless, "headless", false, "serve Delve's API and DAP, instead of opening its terminal")
	cmd.Flags().StringVar(&opt.Listen, "listen", "",
		"with --headless: where, `ADDRESS` unix:PATH or 127.0.0.1:PORT (default: a free port, which is printed)")
	return cmd
}
