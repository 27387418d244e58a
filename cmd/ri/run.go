package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/trace"
)

func newRun(o *options) *cobra.Command {
	showLua, budget := false, ""
	keep := commands.HitsOptions{}
	cmd := &cobra.Command{
		Use:   "run RECIPE [PARAMETER=VALUE ...] -p PID",
		Short: "run a recipe, or an instrument file, on a target",
		Long: `Run a recipe on a target. Its parameters are given as PARAMETER=VALUE; ri show RECIPE lists them.
An instrument that no catalogue names is run by its file: ri run ./my.lua.`,
		Example: `  ri run goroutines -p 4711
  ri run goroutines state=waiting -p 4711 --json
  ri run ./my.lua name=alpha -c core.4711 --exe ./server`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("ri run needs a recipe: %s; ri recipes lists them", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			if showLua {
				return o.withOutput(func(out *rows.Output) error { return commands.ShowScript(out, c, args[0]) })
			}
			if cmd.Flags().Changed("budget") {
				if o.look.Budget, err = trace.ParseBudget(budget); err != nil {
					return err
				}
			}
			plan, err := looks.Prepare(c, args[0], args[1:], o.look)
			if err != nil {
				return err
			}
			if plan.Traces() && o.target.Recording == "" {
				keep.File, o.out = o.out, ""
			}
			if keep.File == "" {
				if err := redactionGiven(cmd.Flags()); err != nil {
					return err
				}
			}
			return o.withOutput(func(out *rows.Output) error {
				if keep.File != "" {
					return commands.FollowKept(cmd.Context(), out, plan, o.target, keep)
				}
				return o.run(cmd.Context(), out, plan)
			})
		},
	}
	cmd.Flags().BoolVar(&showLua, "show-lua", false, "print the script behind the recipe, and don't run it")
	cmd.Flags().StringVar(&budget, "budget", "1%",
		"the most CPU time that what a recipe traces may cost the process, a `SHARE` of a core")
	addRedaction(cmd.Flags(), &keep)
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addLabel(cmd.Flags())
	o.addOutside(cmd.Flags())
	o.addRecipes(cmd.Flags())
	o.addProfile(cmd.Flags())
	o.addArrange(cmd.Flags())
	return cmd
}
