package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newRecipes(o *options) *cobra.Command {
	verbose, all := false, false
	cmd := &cobra.Command{
		Use:   "recipes [-p PID | -c CORE]",
		Short: "list what can be asked, of a given program too",
		Long: `List the recipes. With a target: which fit that program; with --all the rest, too, and what it lacks for them.

Recipes are built in, and read from /etc/ri/recipes.d, ~/.config/ri/recipes.d, the files and folders
in $RI_RECIPES (separated by colons), and --recipes FILE; a later one replaces an earlier one of its name.`,
		Example: "  ri recipes\n  ri recipes -p 4711",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.ListRecipes(out, c, o.target, verbose, all)
			})
		},
	}
	o.addTarget(cmd.Flags())
	o.addRecipes(cmd.Flags())
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also say where each comes from")
	cmd.Flags().BoolVar(&all, "all", false, "with a target: those that don't fit, too, and what it lacks for them")
	return cmd
}
