package main

import (
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/trace"
)

func newRecordCalls(o *options) *cobra.Command {
	opt := commands.CallsOptions{}
	budget := "50%"
	cmd := &cobra.Command{
		Use:   "calls -p PID|-- COMMAND -o FILE BOUNDARY ...",
		Short: "take home the calls into a library and out of it, to replay them",
		Long: `Record what is called at a library's boundary: its functions with their arguments and results, and
what it calls of others. BOUNDARY is a type, a package, or functions as Go prints them. Of a type,
exported methods go in, and methods of what its interface fields hold go out; of a package, exported
functions and methods go in, and methods of its interfaces go out. --places says what that is, and
records nothing.

The file has a line of JSON for each call and each return (docs/calls.md). Texts are redacted as in
recordings of state, before anything is written: --policy keeps what the library itself reads.

With -- COMMAND the program is started, and no first call is missed. While calls are recorded the
kernel keeps breakpoints in the program's code; whoever dies, they go.`,
		Example: `  ri record calls -p 4711 -o bug.calls consensus.Consensus
  ri record calls -o bug.calls example.com/parser -- ./server --config x.yaml
  ri record calls -p 4711 --places raft.Node`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			opt.File, o.out, opt.Of = o.out, "", args
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				opt.Of, opt.Command = args[:dash], args[dash:]
			}
			if opt.Budget, err = trace.ParseBudget(budget); err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.RecordCalls(cmd.Context(), out, o.target, opt)
			})
		},
	}
	f := cmd.Flags()
	o.addTarget(f)
	f.StringArrayVar(&opt.Also, "also", nil, "functions, or methods of an interface, that go out, too: `FUNC`")
	f.StringArrayVar(&opt.Not, "not", nil, "functions that are left out, by a `PATTERN`: '*.String'")
	f.BoolVar(&opt.DryRun, "places", false, "only say what would be recorded")
	f.DurationVar(&opt.For, "for", time.Minute, "end after `DURATION`")
	f.Uint64Var(&opt.Limit, "limit", 1_000_000, "end after `N` calls")
	f.StringVar(&budget, "budget", budget, "what it may cost the process, `SHARE` of a core")
	f.IntVar(&opt.Bytes, "bytes", 16384, "`BYTES` that a call takes along at most")
	f.IntVar(&opt.Text, "text", 1024, "`BYTES` of a text at most; of those that are far down a 32nd of --bytes")
	f.IntVar(&opt.Elems, "elems", 16, "`N` elements of a list at most")
	f.StringVar(&opt.Policy, "policy", "", "rules of what is kept, `FILE` (YAML; docs/recording.md)")
	f.StringVar(&opt.KeyFile, "key-file", "", "the key of the tokens, `FILE`, made if it isn't there")
	f.BoolVar(&opt.DenyNumbers, "deny-numbers", false, "leave out single numbers, too")
	return cmd
}
