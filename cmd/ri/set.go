package main

import (
	"github.com/spf13/cobra"

	"ri/instruments"
)

func newSet(o *options) *cobra.Command {
	was := ""
	cmd := &cobra.Command{
		Use:   "set EXPR VALUE -p PID --write [--was V] [--dry-run]",
		Short: "change a variable, field or element",
		Long: `Change what a Go selector expression stands for, in a transaction: written into the journal, made in one short
stop if nothing of it has changed since it was planned, read back. VALUE is a Go literal, the name of a constant of its type, or an
expression for an existing value. --dry-run shows what would be changed; ri undo takes it back.`,
		Example: `  ri set main.limits.max 200 --was 100 -p 4711 --dry-run
  ri set main.limits.max 200 --was 100 -p 4711 --write
  ri set 'main.store.services[0].state' ServiceOffline -p 4711 --write --yes`,
		Args: exactly(2, "an expression and a value"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var expected *string
			if cmd.Flags().Changed("was") {
				expected = &was
			}
			return o.withOutput(func(out *instruments.Output) error {
				return instruments.Set(cmd.Context(), out, args[0], args[1], expected, o.look, o.target)
			})
		},
	}
	cmd.Flags().StringVar(&was, "was", "", "only if it is `VALUE` now")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}
