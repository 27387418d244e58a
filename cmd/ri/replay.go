package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newReplay(o *options) *cobra.Command {
	calls := commands.CallsReplay{Library: "."}
	var streams commands.StreamsReplay
	cmd := &cobra.Command{
		Use:   "replay FILE [--binary EXE] [-- ARGS]",
		Short: "replay a recording of calls on a library, or of streams on the program",
		Long: `Of streams (ri record streams): run the unmodified program in namespaces of its own, without network, and
play everybody that it had to do with: clients, servers that it dialled, name server, clock, randomness.
Its outputs are compared with what was recorded. What runs is the recorded executable, if it is here and
the same to the byte, or the one that --binary names, with the recorded arguments or those behind --.

Of calls (ri record calls): run them on the library in a module's folder: a test is made, in the library's
own package, which makes the calls that came in, answers those that went out from the recording, and
fails with the first that differs. The folder is not changed; with ri replay generate the test is
written into it. What is made is Go source of the library's own names.

A recording's text is data only. Exit code 3: something differs.`,
		Example: `  ri replay visit.streams
  ri replay visit.streams --binary ./server-with-more-logs -- -log debug
  ri replay visit.streams --exec 'dlv exec'
  ri replay bug.calls --library ~/src/raft
  ri replay generate bug.calls -C ~/src/raft`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at == 1 {
				streams.Args = append([]string{}, args[1:]...)
			} else if len(args) > 1 {
				return rows.Usagef("one recording at a time; arguments of the program stand behind --")
			}
			given := cmd.Flags().Changed
			calls.Given = given("library") || given("flag")
			streams.Given = streams.Args != nil
			for _, name := range []string{"binary", "exec", "pace", "free-time", "free-random", "patience",
				"may-differ", "rules", "as-read", "trust", "client-cert"} {
				streams.Given = streams.Given || given(name)
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.Replay(cmd.Context(), out, args[0], calls, streams)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&calls.Library, "library", calls.Library, "of calls: the `DIR` of the module that has the library")
	f.StringArrayVar(&calls.Flags, "flag", nil, "of calls: a `FLAG` for go test; may be given again")
	f.StringVar(&streams.Binary, "binary", "", "of streams: the `EXE` to run")
	f.StringVar(&streams.Exec, "exec", "", "of streams: what runs the program, such as `'dlv exec'`")
	f.Float64Var(&streams.Pace, "pace", 0, "of streams: `1` is the recorded pace, 2 twice as fast; 0: without delay")
	f.BoolVar(&streams.FreeTime, "free-time", false, "of streams: the program has the real clock")
	f.BoolVar(&streams.FreeRandom, "free-random", false, "of streams: the program has random bytes of its own")
	f.DurationVar(&streams.Patience, "patience", 0,
		"of streams: how long a program that does nothing is waited for at most (2s)")
	f.StringArrayVar(&streams.Rules, "may-differ", nil, "of streams: what outputs may have otherwise: `header=NAME`, "+
		"json=NAME, pattern=REGEXP; may be given again")
	f.StringVar(&streams.File, "rules", "", "of streams: a YAML `FILE` with more of that, by peer, too (docs/streams.md)")
	f.StringArrayVar(&streams.Trust, "trust", nil, "of streams: a PEM `FILE` of authorities that the program trusts, to "+
		"which ri's is added inside; may be given again")
	f.StringVar(&streams.Client, "client-cert", "", "of streams: a PEM `FILE` with a certificate whose names the "+
		"clients have, if the program asks for one; no key is needed")
	f.BoolVar(&streams.AsRead, "as-read", false,
		"of streams: requests that ran at once come as they were read, not as they were answered")
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
