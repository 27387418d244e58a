package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"ri/fleet"
	"ri/flow"
	"ri/instruments/commands"
	"ri/instruments/rows"
)

// flows gives a command the tenants, devices and requests.
func (o *fleetOptions) flows(cmd *cobra.Command,
	f func(context.Context, *rows.Output, *flow.Store) error) error {
	return o.asker(func(out *rows.Output, a *fleet.Asker) error {
		return commands.Flows(cmd.Context(), out, a, func(ctx context.Context, s *flow.Store) error { return f(ctx, out, s) })
	})
}

// needsOne is a command of commands, which does nothing by itself.
func needsOne(use, short, long, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return rows.Usagef("ri fleet %s has no %s (ri fleet %s --help lists what it has)", use, rows.QuoteName(args[0]),
					use)
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return rows.Usagef("ri fleet %s needs to be told what to do: ri fleet %s --help lists it", use, use)
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// onOne is a command that works on something that it is told by its only argument; with "" for wants it takes none.
func onOne(use, short, wants string, f func(cmd *cobra.Command, arg string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: exactly(0, "nothing but flags")}
	if wants != "" {
		cmd.Args = exactly(1, wants)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		arg := ""
		if len(args) > 0 {
			arg = args[0]
		}
		return f(cmd, arg)
	}
	return cmd
}

// flowCommand is one that works on what there is of flows.
func (o *fleetOptions) flowCommand(use, short, wants string,
	f func(context.Context, *rows.Output, *flow.Store, string) error) *cobra.Command {
	return onOne(use, short, wants, func(cmd *cobra.Command, arg string) error {
		return o.flows(cmd, func(ctx context.Context, out *rows.Output, s *flow.Store) error { return f(ctx, out, s, arg) })
	})
}

func newFleetTenant(o *fleetOptions) *cobra.Command {
	expire, revoke := "", false
	token := o.flowCommand("token NAME", "make a token by which a tenant asks ri serve --rest, and print it once",
		"a tenant (ri fleet tenant list lists them)",
		func(ctx context.Context, out *rows.Output, s *flow.Store, name string) error {
			return commands.FleetToken(ctx, out, s, name, expire, revoke)
		})
	token.Flags().StringVar(&expire, "expire", "30d", "good for `DURATION`: 12h, 30d")
	token.Flags().BoolVar(&revoke, "revoke", false, "have all tokens of the tenant refused, and make none")
	return needsOne("tenant", "whose flows are told apart: create, list, show, delete, token",
		`Define tenants, whose flows are told apart from others' (docs/flows.md). Definitions are signed by an operator's
certificate.`, "  ri fleet tenant create acme.yaml\n  ri fleet tenant token acme --expire 30d",
		o.flowCommand("create FILE.yaml", "define a tenant, or define it anew", "the file of a definition",
			commands.FleetTenantCreate),
		o.flowCommand("list", "list the tenants", "", commands.FleetTenants),
		o.flowCommand("show NAME", "show a tenant", "a tenant", commands.FleetTenants),
		o.flowCommand("delete NAME", "delete a tenant, its tokens and its requests", "a tenant",
			func(ctx context.Context, out *rows.Output, s *flow.Store, name string) error {
				return s.DeleteTenant(ctx, name)
			}), token)
}

func newFleetDevice(o *fleetOptions) *cobra.Command {
	return needsOne("device", "what tenants may trace: create, list, show, delete",
		`Define devices: which processes, which functions, which values, for which tenants (docs/flows.md). Definitions are
signed by an operator's certificate.`, "  ri fleet device create gateway.yaml",
		o.flowCommand("create FILE.yaml", "define a device, or define it anew", "the file of a definition",
			commands.FleetDeviceCreate),
		o.flowCommand("list", "list the devices", "", commands.FleetDevices),
		o.flowCommand("show NAME", "show a device", "a device", commands.FleetDevices),
		o.flowCommand("delete NAME", "delete a device: what is traced of it ends", "a device",
			func(ctx context.Context, out *rows.Output, s *flow.Store, name string) error {
				return s.DeleteDevice(ctx, name)
			}))
}

const traceWanted = "a request: its id, or the beginning of it (ri fleet trace list lists them)"

// traceOptions are those of commands that work on requests.
type traceOptions struct {
	*fleetOptions
	of commands.RequestsChoice
}

// requests gives a command the requests.
func (o *traceOptions) requests(cmd *cobra.Command,
	f func(context.Context, *rows.Output, flow.Requests) error) error {
	return o.withOutput(func(out *rows.Output) error {
		return o.choice.Requests(cmd.Context(), out, o.of, ownIdentity,
			func(ctx context.Context, s flow.Requests) error { return f(ctx, out, s) })
	})
}

// command is one that works on a request, or with "" for wants on all.
func (o *traceOptions) command(use, short, wants string,
	f func(context.Context, *rows.Output, flow.Requests, string) error) *cobra.Command {
	return onOne(use, short, wants, func(cmd *cobra.Command, arg string) error {
		return o.requests(cmd, func(ctx context.Context, out *rows.Output, s flow.Requests) error {
			return f(ctx, out, s, arg)
		})
	})
}

func newFleetTrace(all *fleetOptions) *cobra.Command {
	o := &traceOptions{fleetOptions: all}
	do := func(use, short, done string,
		f func(flow.Requests) func(context.Context, string, string) error) *cobra.Command {
		return o.command(use, short, traceWanted,
			func(ctx context.Context, out *rows.Output, s flow.Requests, id string) error {
				return commands.FleetTraceDo(ctx, out, s, id, done, f(s))
			})
	}
	cmd := needsOne("trace", "requests that trace flows over hosts: create, enable, flows, ...",
		`Make requests that trace flows over the hosts of a fleet, and see what they found (docs/flows.md). A request is
created disabled, and traces while it is enabled. In the database it takes an operator's certificate; tenants ask a
server of requests (--rest), with their token in RI_TOKEN, or a certificate.`,
		`  ri fleet trace create --tenant acme --device gateway --condition 'r.id > 100' --show r.id
  ri fleet trace enable 4c1f
  RI_TOKEN=... ri fleet trace flows 4c1f --rest https://desk:8443 --ca ca.pem`,
		newFleetTraceCreate(o),
		o.command("list", "list the requests", "", commands.FleetTraces),
		o.command("show ID", "show a request", traceWanted, commands.FleetTraces),
		do("enable ID", "have agents arm a request", "enabled",
			func(s flow.Requests) func(context.Context, string, string) error { return s.Enable }),
		do("disable ID", "have agents end what they trace for a request", "disabled",
			func(s flow.Requests) func(context.Context, string, string) error { return s.Disable }),
		do("delete ID", "delete a request; what is traced for it ends", "deleted",
			func(s flow.Requests) func(context.Context, string, string) error { return s.Delete }),
		o.command("hosts ID", "how it stands with a request at each host", traceWanted, commands.FleetTraceHosts),
		o.command("flows ID", "list the flows that were seen, a line for each hop", traceWanted,
			commands.FleetTraceFlows))
	f := cmd.PersistentFlags()
	f.StringVar(&o.of.Rest, "rest", "", "ask a server of requests, `URL` of ri serve --rest")
	f.StringVar(&o.of.CA, "ca", "", "the authority that its certificate is of, `FILE` (ca.pem of ri pki)")
	return cmd
}

func newFleetTraceCreate(o *traceOptions) *cobra.Command {
	r, key, expire := &flow.Request{}, flow.Key{}, flow.DefaultExpiry
	cmd := &cobra.Command{
		Use: "create --device NAME", Short: "create a request, which isn't enabled",
		Args: exactly(0, "nothing but flags"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case key.Ingress == "" && key.Preset == "" && key != flow.Key{}:
				return rows.Usagef("--egress-key and --key-at go with --key, which is what is known again")
			case key != flow.Key{}:
				r.Key = &key
			}
			r.Expires = expire.Round(time.Second).String()
			return o.requests(cmd, func(ctx context.Context, out *rows.Output, s flow.Requests) error {
				return commands.FleetTraceCreate(ctx, out, s, r)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.TenantID, "tenant", "", "whose flows, `NAME` of a tenant; a token says it")
	f.StringVar(&r.Device, "device", "", "what is traced, `NAME` of a device")
	f.StringVar(&r.Name, "name", "", "what people call it")
	f.StringVar(&r.Condition, "condition", "", "only flows of which `EXPR` holds: a Go expression over the device's paths")
	f.StringSliceVar(&r.Show, "show", nil, "show `EXPR,...`, paths of the device")
	f.StringVar(&key.Ingress, "key", "", "by what a flow is known again where it leaves, `EXPR` of the device's paths")
	f.StringVar(&key.Egress, "egress-key", "", "the same where it leaves, `EXPR` (default: as --key)")
	f.StringVar(&key.At, "key-at", "", "the function along the way that has --key, `FUNC` (default: where it enters)")
	f.StringVar(&key.Preset, "preset", "", "a key that is known, `NAME`: dns, http-ports, traceparent, header:NAME")
	f.IntVar(&r.MaxFlowsPerHost, "flows", flow.DefaultFlows, "end at each host after `N` flows")
	f.DurationVar(&expire, "expire", expire, "end `DURATION` after it was enabled")
	return cmd
}
