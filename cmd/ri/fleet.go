package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/fleet"
	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/pki"
)

// dbVariable says where the fleet's database is if --db doesn't.
const dbVariable = "RI_DB"

// fleetOptions are the flags that the commands of a fleet share.
type fleetOptions struct {
	*options
	choice commands.FleetChoice
	where  []string
}

func (o *fleetOptions) addWhere(f *pflag.FlagSet) {
	f.StringArrayVar(&o.where, "where", nil, "only hosts or targets of which `'COL OP VALUE'` holds, labels too: "+
		"'module =~ nats-server && env == prod'; may be given again")
}

// asker gives a command who asks.
func (o *fleetOptions) asker(f func(*rows.Output, *fleet.Asker) error) error {
	return o.withOutput(func(out *rows.Output) error {
		a, err := o.choice.Asker(out, ownIdentity)
		if err != nil {
			return err
		}
		return f(out, a)
	})
}

func newFleet(all *options) *cobra.Command {
	o := &fleetOptions{options: all}
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "ask many processes on many hosts one question",
		Long: `Ask many processes on many hosts one question (docs/fleet.md). Agents that were started with
ri serve --db METHOD register in a database of OVSDB: ri fleet db serves one, and a real ovsdb-server or a cluster of
them does as well.`,
		Example: `  ri fleet db /var/lib/ri/fleet.db --remote punix:/run/ri/fleet.sock
  ri serve --db unix:/run/ri/fleet.sock --labels env=prod,rack=7
  RI_DB=unix:/run/ri/fleet.sock ri fleet targets --where 'env == prod'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return rows.Usagef("ri fleet has no %s (ri fleet --help lists what it has)", rows.QuoteName(args[0]))
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return rows.Usagef("ri fleet needs to be told what to do: ri fleet --help lists it")
		},
	}
	cmd.PersistentFlags().StringVar(&o.choice.DB, "db", os.Getenv(dbVariable),
		"the fleet's database, `METHOD,...` of its servers: unix:FILE, ssl:HOST[:PORT], tcp:HOST[:PORT] (RI_DB)")
	cmd.PersistentFlags().StringVar(&o.choice.TLS, "tls", "", "who one is, `FILE` "+
		"(default: RI_TLS, or ~/.config/ri/tls.pem)")
	cmd.AddCommand(newFleetDB(o), newFleetSchema(o), newFleetHosts(o), newFleetTargets(o), newFleetRun(o),
		newFleetCheck(o), newFleetExec(o), newFleetPrint(o), newFleetSet(o), newFleetUndo(o),
		newFleetRecord(o))
	cmd.AddCommand(newFleetRuns(o), newFleetShow(o), newFleetCancel(o), newFleetRerun(o),
		newFleetSimulate(o), newFleetTenant(o), newFleetDevice(o), newFleetTrace(o))
	return cmd
}

func newFleetDB(o *fleetOptions) *cobra.Command {
	server, remote := &fleet.Server{}, ""
	cmd := &cobra.Command{
		Use: "db FILE --remote METHOD,...", Short: "serve a fleet's database from a file",
		Args: exactly(1, "the database's file"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			server.File = args[0]
			if o.choice.TLS != "" {
				if server.Identity, err = pki.Load(o.choice.TLS, ""); err != nil {
					return rows.Refused(err)
				}
			}
			return commands.FleetDB(cmd.Context(), o.remarks(), server, remote)
		},
	}
	cmd.Flags().StringVar(&remote, "remote", "", "where to listen, `METHOD,...`: punix:FILE, pssl:[PORT][:IP], "+
		"ptcp:[PORT][:IP]")
	cmd.Flags().BoolVar(&server.Insecure, "insecure-tcp", false, "let plain TCP be reached from other machines")
	return cmd
}

func newFleetSchema(o *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "print the database's schema, for ovsdb-tool create", Args: exactly(0, "nothing but flags"),
		RunE: func(*cobra.Command, []string) error { return o.withOutput(commands.FleetSchema) },
	}
}

func newFleetHosts(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "hosts [WHERE]", Short: "list the agents",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetHosts(cmd.Context(), out, a, append(o.where, args...))
			})
		},
	}
	o.addWhere(cmd.Flags())
	return cmd
}

func newFleetTargets(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "targets [WHERE]", Short: "list the Go processes that agents tell of",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.asker(func(out *rows.Output, a *fleet.Asker) error {
				return commands.FleetTargets(cmd.Context(), out, a, append(o.where, args...))
			})
		},
	}
	o.addWhere(cmd.Flags())
	return cmd
}
