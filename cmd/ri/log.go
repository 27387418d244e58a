package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/instruments"
)

func addJournal(f *pflag.FlagSet, opt *instruments.ChangeOptions) {
	f.StringVar(&opt.Journal, "journal", "", "the journal `FILE` (default: ri/journal.db in $XDG_STATE_HOME, or ~/.local/state)")
}

func addChange(f *pflag.FlagSet, opt *instruments.ChangeOptions) {
	addJournal(f, opt)
	f.BoolVar(&opt.DryRun, "dry-run", false, "show what would be changed, and change nothing")
}

func newLog(o *options) *cobra.Command {
	opt := instruments.ChangeOptions{}
	detail := 0
	cmd := &cobra.Command{
		Use:   "log [-m|-mm]",
		Short: "show what was changed: the journal",
		Long: `Show the journal: number, date and comment of each transaction; with -m what each changed and who did it, with -mm the values too. Of one that has no
outcome, since ri or the machine ended in its middle, memory is asked. The journal is an OVSDB database file, which ovsdb-tool show-log -mm reads as well.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(func(out *instruments.Output) error {
				return instruments.ShowLog(cmd.Context(), out, detail, opt)
			})
		},
	}
	cmd.Flags().CountVarP(&detail, "more", "m", "what was changed; twice: the values too")
	addJournal(cmd.PersistentFlags(), &opt)
	cmd.AddCommand(&cobra.Command{
		Use: "compact", Short: "write the journal anew, with all transactions in one record", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.withOutput(func(out *instruments.Output) error { return instruments.CompactLog(out, opt) })
		},
	}, &cobra.Command{
		Use: "truncate [N]", Short: "forget all transactions, or those up to number N", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			upTo := int64(math.MaxInt64)
			if len(args) > 0 {
				var err error
				if upTo, err = strconv.ParseInt(args[0], 10, 64); err != nil || upTo < 1 {
					return instruments.Usage(fmt.Errorf("%q is no number of a transaction (ri log lists them)", args[0]))
				}
			}
			return o.withOutput(func(out *instruments.Output) error { return instruments.TruncateLog(out, upTo, opt) })
		},
	})
	return cmd
}
