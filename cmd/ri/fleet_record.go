package main

import (
	"github.com/spf13/cobra"

	"ri/fleet"
	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newFleetRecord(o *fleetOptions) *cobra.Command {
	q, opt := &fleet.Question{Command: []string{"record"}}, commands.RecordOptions{}
	cmd := &cobra.Command{
		Use:   "record -o FOLDER [RECIPE ...] [--where CONDITION]",
		Short: "take home what instruments look at in many targets, redacted",
		Long: `Record each target, as ri record does, into a file of its own in FOLDER, which is new or empty:
HOST-PROGRAM-PID.rec. What is kept is decided at the agent, before anything travels. Tokens of one recording say nothing
of another's, unless --key-file gives all one key. A file is there whole or not at all, also with Ctrl-C.`,
		Example: `  ri fleet record -o night --where 'module =~ nats-server && env == prod'
  ri fleet record -o night goroutines locks --key-file night.key
  ri check -r night/db7-nats-server-4711.rec`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.File, o.out, opt.Recipes = o.out, "", args
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			if err := commands.FleetRecipes(c, args); err != nil {
				return err
			}
			if err := o.asked(cmd, q); err != nil {
				return err
			}
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetRecord(cmd.Context(), out, a, q, opt)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opt.All, "all", false, "what every reading recipe that fits looks at")
	f.BoolVar(&opt.Heap, "heap", false, "all that is reachable on the heap, too: the copy has all memory")
	f.BoolVar(&opt.WholeSymbols, "symbols-whole", false, "all types, functions and lines of the executable")
	addRedaction(f, &opt)
	o.addQuestion(f, q)
	return cmd
}
