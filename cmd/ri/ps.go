package main

import (
	"strings"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

func newPs(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ps [FILTER]",
		Short: "list the Go processes here",
		Long: `List the Go processes that can be seen from here: pid, user, Go version, module and version, uptime,
whether there are symbols (DWARF) to read them by, and which process traces them, if one does.
FILTER is a part of the name, the module or the command line, in either case, or a pid.`,
		Example: "  ri ps\n  ri ps nats\n  ri ps --where 'uptime > 24h' --sort -uptime\n  ri ps --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.ListProcesses(out, strings.Join(args, ""), worker.Redacted())
			})
		},
	}
	o.addArrange(cmd.Flags())
	return cmd
}
