package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newPrint(o *options) *cobra.Command {
	depth := 0
	cmd := &cobra.Command{
		Use:   "print EXPR -p PID",
		Short: "print a variable, field or element in Go syntax",
		Long: `Print what a Go selector expression stands for: package variables, fields, indexes, map keys,
conversions and dereferences; no calls.`,
		Example: `  ri print main.server -p 4711
  ri print 'main.server.clients["alpha"].queue[0]' --depth 4 -p 4711
  ri print '*(*main.Request)(0xc000112000)' -p 4711`,
		Args: exactly(1, "one expression"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.Print(cmd.Context(), out, args[0], depth, o.look, o.target)
			})
		},
	}
	cmd.Flags().IntVar(&depth, "depth", 3, "show `N` levels of pointers and structs")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}
