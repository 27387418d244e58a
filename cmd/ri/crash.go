package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/looks"
	"ri/instruments/rows"
)

func newCrash(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "crash [PARAMETER=VALUE ...] -c CORE",
		Short: "say what a program died of: panic, fatal error or signal, and where",
		Long: `Say what a program died of, from its core or while it is dying: the panic's value or the fatal error or signal,
the goroutine, its frames with arguments and locals, and what the others did. It is the recipe crash;
ri show crash lists its parameters.`,
		Example: `  ri crash -c core.4711
  ri crash -c core --exe ./server depth=50 runtime=true
  ri crash -c core --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			plan, err := looks.Prepare(c, "crash", args, o.look)
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return o.run(cmd.Context(), out, plan)
			})
		},
	}
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addRecipes(cmd.Flags())
	return cmd
}
