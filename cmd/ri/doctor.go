package main

import (
	"github.com/spf13/cobra"

	"ri/instruments"
)

func newDoctor(o *options) *cobra.Command {
	verify := false
	cmd := &cobra.Command{
		Use:   "doctor [-p PID [--verify]]",
		Short: "say what ri can do here, and what is missing",
		Long: `Say what ri can do on this machine, in this container, as this user; what is missing, and how to get it. With -p: on that process.

With --verify, ri and Delve read the process in the same stop, and what they read is compared.`,
		Example: "  ri doctor\n  ri doctor -p 4711\n  ri doctor --verify -p 4711",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(func(out *instruments.Output) error {
				return instruments.Doctor(cmd.Context(), out, o.target, verify, o.look)
			})
		},
	}
	cmd.Flags().StringVarP(&o.target.PID, "pid", "p", "", "look at process `PID`")
	cmd.Flags().BoolVar(&verify, "verify", false, "have Delve read the process too, and compare; stops it, for --max-stop at most")
	cmd.Flags().DurationVar(&o.look.MaxStop, "max-stop", 0, "the longest stop of --verify, `DURATION` such as 2s (default: 100ms)")
	return cmd
}
