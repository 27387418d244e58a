package main

import (
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newCheck(o *options) *cobra.Command {
	var interval time.Duration
	var only, skip []string
	cmd := &cobra.Command{
		Use:   "check -p PID | -c CORE",
		Short: "say what is wrong: deadlocks, leaks, what waits for ever",
		Long: `Run every check that fits, on a process of which nothing is known, and say what was found, the worst first:
what, where, the evidence, and what to look at next. It always answers: what would stop the process for too long is
left out by name. Exits with 3 if anything was found, else with 5 if anything was left out, else with 0. It is the
recipe check; ri show check says how it looks.`,
		Example: `  ri check -p 4711
  ri check -p 4711 --interval 10s
  ri check -c core.4711 --only deadlock,lock-held --json`,
		Args: exactly(0, "nothing but flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			plan, err := commands.PrepareCheck(c, commands.CheckOptions{Interval: interval, Only: only, Skip: skip}, o.look)
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return o.run(cmd.Context(), out, plan)
			})
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "wait for `DURATION` between the two looks; 0: one look")
	cmd.Flags().StringSliceVar(&only, "only", nil, "only the checks `NAMES`, separated by commas")
	cmd.Flags().StringSliceVar(&skip, "skip", nil, "not the checks `NAMES`")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addRecipes(cmd.Flags())
	return cmd
}
