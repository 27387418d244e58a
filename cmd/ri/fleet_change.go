package main

import (
	"strings"

	"github.com/spf13/cobra"

	"ri/fleet"
	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/request"
)

func newFleetSet(o *fleetOptions) *cobra.Command {
	q, was := &fleet.Question{Command: []string{"set"}}, ""
	cmd := &cobra.Command{
		Use:   "set EXPR VALUE --write [--where CONDITION] [--was V]",
		Short: "change a variable, field or element of many targets",
		Long: `Change what a Go expression stands for in all targets of which conditions hold, each as ri set does: guarded,
and written into the journal where it is. One target is changed first (--canary 1, if nothing else is said), and a
failure or a conflict there stops the rest. ri fleet undo RUN takes all of it back.`,
		Example: `  ri fleet set main.limits.max 200 --was 100 --where 'env == prod' --dry-run
  ri fleet set main.limits.max 200 --was 100 --where 'env == prod' --write`,
		Args: exactly(2, "an expression and a value"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.look.Allowed("ri fleet set"); err != nil {
				return err
			}
			if q.Args = args; strings.HasPrefix(args[1], "-") {
				q.Args, q.After = args[:1], args[1:]
			}
			if cmd.Flags().Changed("was") {
				q.Flags = append(q.Flags, request.Flag{Name: "was", Value: was})
			}
			return o.askMany(cmd, q, nil)
		},
	}
	cmd.Flags().StringVar(&was, "was", "", "only where it is `VALUE` now")
	o.addQuestion(cmd.Flags(), q)
	o.addChange(cmd.Flags())
	return cmd
}

func newFleetUndo(o *fleetOptions) *cobra.Command {
	q, force := &fleet.Question{}, false
	cmd := &cobra.Command{
		Use:   "undo RUN --write [--dry-run] [--force]",
		Short: "take back what a run has changed, on all targets",
		Long: `Take back what a run has changed, each target by the journal where it was changed, and say of each what
became of it: undone, a conflict (the value has been changed since), nothing to undo, or gone. A run that is
under way is cancelled first. What was taken back before isn't touched again, so an undo can be repeated.`,
		Example: "  ri fleet undo 3f2a --write --dry-run\n  ri fleet undo 3f2a --write --yes\n" +
			"  ri fleet undo 3f2a --where 'rack == 7' --write",
		Args: exactly(1, runWanted),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.look.Allowed("ri fleet undo"); err != nil {
				return err
			}
			if err := o.asked(cmd, q); err != nil {
				return err
			}
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetUndo(cmd.Context(), out, a, args[0], force, q, o.look)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also where the value is no longer what the run wrote")
	o.addQuestion(cmd.Flags(), q)
	o.addChange(cmd.Flags())
	cmd.Flags().Lookup("write").Usage = "allow it"
	return cmd
}
