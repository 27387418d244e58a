package main

import (
	"github.com/spf13/cobra"

	"ri/fleet"
	"ri/instruments/commands"
	"ri/instruments/rows"
)

const runWanted = "a run: its id, or the beginning of it (ri fleet runs lists them)"

func newFleetRuns(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "runs", Short: "list what was asked, and how many answered", Args: exactly(0, "nothing but flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error { return commands.FleetRuns(cmd.Context(), out, a) })
		},
	}
}

func newFleetShow(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "say what a run asked, and how it ended", Args: exactly(1, runWanted),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetShow(cmd.Context(), out, a, args[0])
			})
		},
	}
}

func newFleetCancel(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "cancel RUN", Short: "end a run that is under way, wherever it was begun", Args: exactly(1, runWanted),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetCancel(cmd.Context(), out, a, args[0])
			})
		},
	}
}

func newFleetRerun(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rerun RUN", Short: "ask again what a run of yours asked, of whatever matches now", Args: exactly(1, runWanted),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				q, err := a.Again(cmd.Context(), args[0])
				if err == nil && (q.Write || o.look.Write) {
					q.DryRun, q.Write = o.look.DryRun, !o.look.DryRun
					err = o.look.Allowed("ri fleet " + q.Text())
				}
				if err == nil {
					err = commands.FleetQuestion(q)
				}
				if err != nil {
					return err
				}
				return commands.FleetAsk(cmd.Context(), out, a, q, nil, o.look)
			})
		},
	}
	o.addChange(cmd.Flags())
	return cmd
}

func newFleetSimulate(o *fleetOptions) *cobra.Command {
	s := &commands.Simulate{}
	cmd := &cobra.Command{
		Use: "simulate -n N", Short: "be many agents that don't exist, to measure a database", Args: exactly(0, "only flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetSimulate(cmd.Context(), out, a, s)
			})
		},
	}
	cmd.Flags().IntVarP(&s.Count, "count", "n", 1000, "be `N` agents")
	cmd.Flags().IntVar(&s.Targets, "targets", 1, "each with `N` processes")
	cmd.Flags().StringVar(&s.File, "rows", "", "what each process answers: the rows of `FILE`, as of ri --ndjson")
	cmd.Flags().StringVar(&s.PKI, "pki", "", "with certificates of the authority in `FOLDER`, and called over TLS")
	cmd.Flags().IntSliceVar(&s.PIDs, "real", nil, "the first agents have processes that exist: `PID,...`")
	cmd.Flags().IntVar(&s.First, "first", 0, "the first is number `N`: others are elsewhere")
	cmd.Flags().BoolVar(&s.Uncalled, "uncalled", false, "with --pki: they can't be called, and are asked by rows")
	return cmd
}
