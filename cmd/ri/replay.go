package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newReplay(o *options) *cobra.Command {
	library := "."
	var flags []string
	cmd := &cobra.Command{
		Use:   "replay FILE [--library DIR]",
		Short: "make a recording's calls again, and compare",
		Long: `Run a recording of calls (ri record calls) on the library in a module's folder: a test is made, in the
library's own package, which makes the calls that came in, answers those that went out from the
recording, and fails with the first that differs (exit code 3). The folder is not changed; with
ri replay generate the test is written into it.

What is made is Go source of the library's own names. A recording's text is data only.`,
		Example: `  ri replay bug.calls --library ~/src/raft
  ri replay bug.calls --library . --flag -race
  ri replay generate bug.calls -C ~/src/raft`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.Replay(cmd.Context(), out, args[0], library, flags)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&library, "library", library, "the `DIR` of the module that has the library")
	f.StringArrayVar(&flags, "flag", nil, "a `FLAG` for go test; may be given again")
	cmd.AddCommand(newReplayGenerate(o))
	return cmd
}

func newReplayGenerate(o *options) *cobra.Command {
	dir := "."
	cmd := &cobra.Command{
		Use:   "generate FILE -C MODULE",
		Short: "write a test that makes a recording's calls again",
		Long: `Write the test of a recording of calls into the library's package: ri_replay_test.go, what it runs on, and
the recording under testdata. It depends on Go alone. What is there under these names is replaced.`,
		Example: `  ri replay generate bug.calls -C ~/src/raft`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.ReplayGenerate(cmd.Context(), out, args[0], dir)
			})
		},
	}
	cmd.Flags().StringVarP(&dir, "module", "C", dir, "the `DIR` of the module that has the library")
	return cmd
}
