package main

import (
	"github.com/spf13/cobra"

	"ri/instruments"
)

func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "say which ri this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(instruments.Version)
		},
	}
}
