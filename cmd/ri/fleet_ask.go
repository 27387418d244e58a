package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/fleet"
	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/request"
)

// addQuestion is for commands that ask many.
func (o *fleetOptions) addQuestion(f *pflag.FlagSet, q *fleet.Question) {
	o.addWhere(f)
	f.IntVar(&q.Canary, "canary", q.Canary, "ask `N` targets first; a finding or a failure there stops the rest")
	f.IntVar(&q.AtOnce, "at-once", fleet.DefaultAtOnce, "ask `N` targets at a time")
	f.DurationVar(&q.Expire, "expire", fleet.DefaultExpire, "how long all of it may take, `DURATION`")
	f.DurationVar(&q.Timeout, "timeout", 0, "how long one target may take, `DURATION` (default: as long as all)")
	f.DurationVar(&o.look.MaxStop, "max-stop", 0, "the longest stop of a target, `DURATION` "+
		"(default: the recipe's, else 100ms)")
	f.DurationVar(&q.MaxStopTotal, "max-stop-total", 0, "ask nobody else once targets were stopped for `DURATION` in all")
	f.StringSliceVar(&q.StopOn, "stop-on", nil, "what stops the rest, `WHAT,...`: finding, failure "+
		"(default: both, of canaries)")
	f.StringArrayVar(&o.arrange.Where, "having", nil, "only rows of which `'COL OP VALUE'` holds; may be given again")
	f.StringSliceVar(&o.arrange.Sort, "sort", nil, "order the rows by `COL`, or -COL: the largest first")
	f.StringSliceVar(&o.arrange.Group, "group", nil, "make one row, with a count, of those that are the same in `COL`")
	f.StringSliceVar(&o.arrange.Sum, "sum", nil, "with --group: add up `COL`")
	f.IntVar(&o.arrange.Limit, "top", 0, "only the first `N` rows")
}

// addChange is for commands that may change many.
func (o *fleetOptions) addChange(f *pflag.FlagSet) {
	f.BoolVar(&o.look.Write, "write", false, "allow changes: one target first, if --canary says nothing else")
	f.BoolVar(&o.look.Yes, "yes", false, "make changes without asking")
	f.BoolVar(&o.look.DryRun, "dry-run", false, "have each say what would be changed, and change nothing")
}

// askMany asks what a command line says.
func (o *fleetOptions) askMany(cmd *cobra.Command, q *fleet.Question, columns []rows.Column) error {
	if q.Canary == 0 && o.look.Write && !o.look.DryRun && !cmd.Flags().Changed("canary") {
		q.Canary = 1
	}
	for _, file := range o.recipes {
		q.Flags = append(q.Flags, request.Flag{Name: "recipes", Value: file})
	}
	if err := o.asked(cmd, q); err != nil {
		return err
	}
	return o.asker(func(out *rows.Output, a *fleet.Asker) error {
		return commands.FleetAsk(cmd.Context(), out, a, q, columns, o.look)
	})
}

// asked completes a question by the flags that all have.
func (o *fleetOptions) asked(cmd *cobra.Command, q *fleet.Question) error {
	q.Where, q.MaxStop = o.where, o.look.MaxStop
	q.DryRun, q.Write = o.look.DryRun, o.look.Write && !o.look.DryRun
	if q.Write {
		if err := o.look.Allowed(cmd.CommandPath()); err != nil {
			return err
		}
	}
	return commands.FleetQuestion(q)
}

func newFleetRun(o *fleetOptions) *cobra.Command {
	q := &fleet.Question{Command: []string{"run"}}
	cmd := &cobra.Command{
		Use: "run RECIPE [PARAMETER=VALUE ...] [--where CONDITION]", Short: "run a recipe on many targets",
		Long: `Run a recipe on all targets of which conditions hold. Rows have the columns host and target, and come as they
are given with --ndjson, else at the end. Each target ends as answered, refused, timed out, gone or not asked,
and the totals, which are always told, add up. A recipe that changes something needs --write; ri fleet undo takes it
back.`,
		Example: `  ri fleet run goroutines state=waiting --where 'module =~ nats-server && env == prod' --canary 1
  ri fleet run goroutines --group host,func --top 10
  ri fleet run log-level level=debug --where 'module =~ nats-server' --write`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("ri fleet run needs a recipe: %s; ri recipes lists them", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			if err := commands.FleetMayRun(c, args[0], o.look); err != nil {
				return err
			}
			q.Args = args
			return o.askMany(cmd, q, commands.FleetColumns(c, args[0]))
		},
	}
	o.addQuestion(cmd.Flags(), q)
	o.addChange(cmd.Flags())
	o.addRecipes(cmd.Flags())
	return cmd
}

func newFleetCheck(o *fleetOptions) *cobra.Command {
	q := &fleet.Question{Command: []string{"check"}}
	cmd := &cobra.Command{
		Use: "check [--where CONDITION]", Short: "say what is wrong with many targets", Args: exactly(0, "nothing but flags"),
		Example: "  ri fleet check --where 'env == prod' --canary 3",
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.askMany(cmd, q, nil) },
	}
	o.addQuestion(cmd.Flags(), q)
	o.addRecipes(cmd.Flags())
	return cmd
}

func newFleetExec(o *fleetOptions) *cobra.Command {
	q, eval := &fleet.Question{Command: []string{"exec"}}, ""
	cmd := &cobra.Command{
		Use: "exec FILE.lua|-e LUA [--where CONDITION]", Short: "run a Lua script on many targets",
		Args:    cobra.MaximumNArgs(1),
		Example: "  ri fleet exec -e 'ri.emit{n = #ri.var\"main.store\".devices}' --where 'module =~ store' --sort -n",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (eval == "") {
				return rows.Usagef("ri fleet exec needs a script: a file, or -e LUA")
			}
			if q.Args = args; eval != "" {
				q.Flags = []request.Flag{{Name: "eval", Value: eval}}
			}
			return o.askMany(cmd, q, nil)
		},
	}
	cmd.Flags().StringVarP(&eval, "eval", "e", "", "run `LUA`")
	o.addQuestion(cmd.Flags(), q)
	o.addChange(cmd.Flags())
	return cmd
}

func newFleetPrint(o *fleetOptions) *cobra.Command {
	q := &fleet.Question{Command: []string{"print"}}
	cmd := &cobra.Command{
		Use: "print EXPR [--where CONDITION]", Short: "print a value of many targets", Args: exactly(1, "an expression"),
		Example: "  ri fleet print main.store.limit --where 'module =~ store'",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Args = args
			return o.askMany(cmd, q, nil)
		},
	}
	o.addQuestion(cmd.Flags(), q)
	return cmd
}
