package main

import (
	"github.com/spf13/cobra"

	"ri/instruments"
)

func newDoctor(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [-p PID]",
		Short: "say what ri can do here, and what is missing",
		Long:  `Say what ri can do on this machine, in this container, as this user; what is missing, and how to get it. With -p: on that process.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(func(out *instruments.Output) error {
				return instruments.Doctor(out, o.target)
			})
		},
	}
	cmd.Flags().StringVarP(&o.target.PID, "pid", "p", "", "look at process `PID`")
	return cmd
}
