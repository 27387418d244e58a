package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
)

func newPs(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "list the Go processes here",
		Long: `List the Go processes that can be seen from here: pid, user, Go version, module and version, uptime,
whether there are symbols (DWARF) to read them by, and which process traces them, if one does.`,
		Example: "  ri ps\n  ri ps --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(commands.ListProcesses)
		},
	}
}
