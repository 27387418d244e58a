package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"ri/instruments"
)

func newLog(o *options) *cobra.Command {
	detail := 0
	cmd := &cobra.Command{
		Use:   "log [-m|-mm]",
		Short: "show what was changed: the journal",
		Long: `Show the journal: number, date and comment of each transaction; with -m what each changed and who did it, with -mm the values too. Of one that has no
outcome, since ri or the machine ended in its middle, memory is asked. The journal is an OVSDB database file, which ovsdb-tool show-log -mm reads as well.`,
		Example: "  ri log\n  ri log -mm\n  ri log truncate 100",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(func(out *instruments.Output) error {
				return instruments.ShowLog(cmd.Context(), out, detail, o.look)
			})
		},
	}
	cmd.Flags().CountVarP(&detail, "more", "m", "what was changed; twice: the values too")
	o.addJournal(cmd.PersistentFlags())
	cmd.AddCommand(&cobra.Command{
		Use: "compact", Short: "write the journal anew, with all transactions in one record", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.withOutput(func(out *instruments.Output) error { return instruments.CompactLog(out, o.look) })
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
			return o.withOutput(func(out *instruments.Output) error { return instruments.TruncateLog(out, upTo, o.look) })
		},
	})
	return cmd
}
