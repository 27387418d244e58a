package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newLog(o *options) *cobra.Command {
	detail := 0
	cmd := &cobra.Command{
		Use:   "log [-m|-mm]",
		Short: "show what was changed: the journal",
		Long: `Show the journal: number, date and comment of each transaction; with -m what each changed and who did it, with
-mm the values too. Of one that has no outcome, since ri or the machine ended in its middle, memory is asked. The
journal is an OVSDB database file, which ovsdb-tool show-log -mm reads as well.`,
		Example: "  ri log\n  ri log -mm\n  ri log truncate 100    # it asks first",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.ShowLog(cmd.Context(), out, detail, o.look)
			})
		},
	}
	cmd.Flags().CountVarP(&detail, "more", "m", "what was changed; twice: the values too")
	o.addJournal(cmd.PersistentFlags())
	all := false
	truncate := &cobra.Command{
		Use: "truncate N | --all", Short: "forget transactions up to number N, or all",
		Long: `Forget transactions up to number N, or all: they can no longer be undone, and what they changed is written
down nowhere. ri asks first; --yes answers for scripts. Numbers go on from where they were.`,
		Example: "  ri log truncate 100\n  ri log truncate --all --yes", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == all {
				return rows.Usagef("ri log truncate forgets transactions up to number N, or with --all all of them: say which " +
					"(ri log lists them)")
			}
			upTo := int64(math.MaxInt64)
			if !all {
				var err error
				if upTo, err = strconv.ParseInt(args[0], 10, 64); err != nil || upTo < 1 {
					return rows.Usage(fmt.Errorf("%q is no number of a transaction (ri log lists them)", args[0]))
				}
			}
			return o.withOutput(func(out *rows.Output) error { return commands.TruncateLog(cmd.Context(), out, upTo, o.look) })
		},
	}
	truncate.Flags().BoolVar(&all, "all", false, "forget all transactions")
	truncate.Flags().BoolVar(&o.look.Yes, "yes", false, "forget them without asking")
	cmd.AddCommand(&cobra.Command{
		Use: "compact", Short: "write the journal anew, with all transactions in one record", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.withOutput(func(out *rows.Output) error { return commands.CompactLog(out, o.look) })
		},
	}, truncate)
	return cmd
}
