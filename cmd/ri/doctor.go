package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

func newDoctor(o *options) *cobra.Command {
	verify := false
	cmd := &cobra.Command{
		Use:   "doctor [-p PID [--verify]]",
		Short: "say what ri can do here, and what is missing",
		Long: `Say what ri can do on this machine, in this container, as this user; what is missing, and how to get it.
With -p: on that process.

With --verify, ri and Delve read the same copy of the process's memory, and compare, both ways: package variables'
addresses, types' sizes, goroutines, and the functions and lines on their stacks. The process is stopped for as long
as the copy takes. ri ends with 3 if they differ, with 5 if not all could be compared.`,
		Example: `  ri doctor
  ri doctor -p 4711
  ri doctor --verify -p 4711 --precopy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.Doctor(cmd.Context(), out, o.target, verify, o.look, worker.Asker())
			})
		},
	}
	o.addProcess(cmd.Flags())
	cmd.Flags().BoolVar(&verify, "verify", false,
		"have Delve read a copy of the process too, and compare; stops it, for --max-stop at most")
	o.addCopy(cmd.Flags())
	cmd.Flags().DurationVar(&o.look.MaxTime, "max-time", 0,
		"the longest time for each part of Delve's, `DURATION` (default: 10s)")
	return cmd
}
