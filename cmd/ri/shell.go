package main

import (
	"os"

	"github.com/spf13/cobra"

	"ri/instruments/rows"
	"ri/serve/worker"
	"ri/shell"
)

func newShell(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shell -p PID | -c CORE",
		Short: "look around at a prompt",
		Long: `A Lua prompt on a process or a core: the program's packages are globals, an expression prints its value in Go
syntax, Tab completes variables, fields, functions and recipes. Every line looks as ri exec does, so that the process
runs on while you think; :stop holds it, for a limited time. :help at the prompt says more. What is piped in is run
line by line.`,
		Example: "  ri shell -p 4711\n  ri attach 4711\n  echo 'main.server.clients' | ri shell -p 4711",
		Args:    exactly(0, "a target by -p PID or -c CORE, no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.shell(cmd) },
	}
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addRecipes(cmd.Flags())
	return cmd
}

func newAttach(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "attach PID",
		Short:   "the same as ri shell -p PID",
		Long:    `A Lua prompt on a process: see ri shell --help.`,
		Example: "  ri attach 4711",
		Args:    exactly(1, "a pid (ri ps lists the Go processes here)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.target.PID = args[0]
			if err := o.target.Check(); err != nil {
				return err
			}
			return o.shell(cmd)
		},
	}
	o.addLook(cmd.Flags())
	o.addRecipes(cmd.Flags())
	return cmd
}

func (o *options) shell(cmd *cobra.Command) error {
	if o.json || o.ndjson || o.out != "" {
		return rows.Usagef("the shell prints for people: --json, --ndjson and -o go with ri exec and ri run")
	}
	c, err := o.catalogue()
	if err != nil {
		return err
	}
	var away shell.Away
	if worker.Root() != "" {
		away = shell.Away{Save: worker.Save, Load: worker.Load, Turn: worker.Turn}
	}
	return shell.Run(cmd.Context(), c, o.target, o.look, away, func(why error) { os.Exit(exitCode(why)) })
}
