package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/recipes"
	"ri/instruments/rows"
)

func newShow(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show RECIPE",
		Short: "say all about one recipe: parameters, columns, sample",
		Long: `Say all that is known about a recipe (or an instrument file): what it does, its parameters, what it needs
of the program, its columns, a sample.`,
		Example: "  ri show goroutines\n  ri show ./my.lua",
		Args:    exactly(1, "one recipe"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return recipes.ShowRecipe(out, c, args[0])
			})
		},
	}
	o.addRecipes(cmd.Flags())
	return cmd
}
