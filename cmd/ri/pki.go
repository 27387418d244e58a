package main

import (
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/pki"
)

func newPKI(o *options) *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "pki",
		Short: "certificates of a site: init, issue, renew, revoke, list",
		Long: `Make and keep the certificates by which agents and those who ask know each other (docs/serving.md). A site has
an authority, a folder of its own that stays where it is; what it gives out is one file for each agent and each
person: key, certificate and authority. A person's says what the person may: viewer, author, operator. That of
ri serve --rest says tracer.`,
		Example: `  ri pki init
  ri pki issue db7 --agent --host db7.example.com,10.0.0.7 -o db7.pem
  ri pki issue ann --role author -o ann.pem
  ri pki renew ann -o ann.pem
  ri pki revoke ann`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return rows.Usagef("ri pki has no %s (ri pki --help lists what it has)", rows.QuoteName(args[0]))
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			return rows.Usagef("ri pki needs to be told what to do: ri pki --help lists it")
		},
	}
	cmd.PersistentFlags().StringVar(&dir, "pki", "", "the authority's folder, `DIR` (default: ri/pki in ~/.config)")
	folder := func() string {
		if dir == "" {
			return pki.DefaultFolder()
		}
		return dir
	}
	site, life := "", 365*24*time.Hour
	initiate := &cobra.Command{
		Use: "init", Short: "make an authority", Args: exactly(0, "nothing but flags"),
		RunE: func(*cobra.Command, []string) error {
			return o.withOutput(func(out *rows.Output) error { return commands.PKIInit(out, folder(), site) })
		},
	}
	initiate.Flags().StringVar(&site, "site", "this site", "the `NAME` that stands in the authority's certificate")
	wish := pki.Wish{}
	agent := false
	issue := &cobra.Command{
		Use: "issue NAME --agent|--role ROLE -o FILE", Short: "give out a certificate",
		Args: exactly(1, "the name of an agent or of a person"),
		RunE: func(_ *cobra.Command, args []string) error {
			wish.Name, wish.Life = args[0], life
			file := o.out
			o.out = ""
			return o.withOutput(func(out *rows.Output) error { return commands.PKIIssue(out, folder(), wish, agent, file) })
		},
	}
	issue.Flags().BoolVar(&agent, "agent", false, "it is an agent's")
	issue.Flags().StringVar(&wish.Kind, "role", "", "it is of who asks, and may what `ROLE` may: viewer, author, "+
		"operator; tracer: of ri serve --rest")
	issue.Flags().StringSliceVar(&wish.Hosts, "host", nil, "`NAMES` and addresses by which the agent is called, "+
		"separated by commas")
	renew := &cobra.Command{
		Use: "renew NAME -o FILE", Short: "give out a new certificate of the same name",
		Args: exactly(1, "a name (ri pki list lists them)"),
		RunE: func(_ *cobra.Command, args []string) error {
			file := o.out
			o.out = ""
			return o.withOutput(func(out *rows.Output) error {
				return commands.PKIRenew(out, folder(), args[0], life, file)
			})
		},
	}
	for _, c := range []*cobra.Command{issue, renew} {
		c.Flags().DurationVar(&life, "for", life, "good for `DURATION`")
	}
	revoke := &cobra.Command{
		Use: "revoke NAME", Short: "have a name's certificates refused", Args: exactly(1, "a name (ri pki list lists them)"),
		RunE: func(_ *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error { return commands.PKIRevoke(out, folder(), args[0]) })
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "list what was given out", Args: exactly(0, "nothing but flags"),
		RunE: func(*cobra.Command, []string) error {
			return o.withOutput(func(out *rows.Output) error { return commands.PKIList(out, folder()) })
		},
	}
	cmd.AddCommand(initiate, issue, renew, revoke, list)
	return cmd
}
