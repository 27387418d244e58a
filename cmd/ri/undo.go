package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newUndo(o *options) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "undo N --write [--dry-run] [--force]",
		Short: "take a transaction of the journal back",
		Long: `Put back what transaction N of the journal changed, in a transaction of its own. Refused if the process is
another one, or if what it pointed to may be gone; a conflict if a value is no longer what the transaction wrote,
unless --force is given.`,
		Example: "  ri undo 1 --write --dry-run\n  ri undo 1 --write --yes",
		Args:    exactly(1, "the number of a transaction (ri log lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || n < 1 {
				return rows.Usage(fmt.Errorf("%q is no number of a transaction (ri log lists them)", args[0]))
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.Undo(cmd.Context(), out, n, force, o.look)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also where the value is no longer what the transaction wrote")
	o.addLook(cmd.Flags())
	return cmd
}
