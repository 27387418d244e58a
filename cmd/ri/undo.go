package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newUndo(o *options) *cobra.Command {
	force, labelled := false, ""
	cmd := &cobra.Command{
		Use:   "undo N|--labelled TEXT -p PID --write [--dry-run] [--force]",
		Short: "take a transaction of the journal back",
		Long: `Put back what transaction N of the journal changed, in a transaction of its own. Refused if the process is
another one, or if what it pointed to may be gone; a conflict if a value is no longer what the transaction wrote,
unless --force is given.

With --labelled, all is taken back, the last first, that was made in process PID with --label TEXT and wasn't taken back
before. What was made together in many processes (ri fleet) has the run as its label.`,
		Example: "  ri undo 1 --write --dry-run\n  ri undo 1 --write --yes\n" +
			"  ri set main.limits.max 200 -p 4711 --write --label night\n  ri undo --labelled night -p 4711 --write",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("labelled") {
				return nil
			}
			return exactly(1, "the number of a transaction (ri log lists them)")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("labelled") {
				if len(args) > 0 || labelled == "" {
					return rows.Usagef("ri undo takes the number of a transaction, or --labelled TEXT: one of them")
				}
				if o.target.PID == "" {
					return rows.Usagef("--labelled %s is of a process: -p PID", rows.QuoteName(labelled))
				}
				return o.withOutput(func(out *rows.Output) error {
					return commands.UndoLabelled(cmd.Context(), out, labelled, force, o.look, o.target)
				})
			}
			if o.target.PID != "" {
				return rows.Usagef("-p goes with --labelled TEXT: transaction %s says itself of which process it is", args[0])
			}
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
	cmd.Flags().StringVar(&labelled, "labelled", "", "take back what was made with --label `TEXT` in process -p PID")
	o.addProcess(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addLabel(cmd.Flags())
	return cmd
}
