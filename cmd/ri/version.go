package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
)

func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "say which ri this is",
		Long:    "Say which ri this is, what it was built by and with, and the programs of which releases of Go it reads.",
		Example: "  ri version\n  ri version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(commands.Version)
		},
	}
}
