package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newRecordStreams(o *options) *cobra.Command {
	opt := commands.StreamsOptions{}
	cmd := &cobra.Command{
		Use:   "streams -p PID|-- COMMAND -o FILE",
		Short: "take home what comes in over connections, to replay it",
		Long: `Record all that a program reads and writes over its connections, accepted and dialled: when, how
much, how they began and ended, in one order over all of them (docs/streams.md).

Bytes are kept with --payload only, and with tokens in the place of secrets: headers and fields by
their names, keys by their forms, in known protocols. A token is as long as what it stands for, and
the same in streams, arguments, environment and files that are taken along. Read ri recording check
before a recording is sent.

With -- COMMAND the program is started, and nothing is missed; Ctrl-C ends it. The kernel tells ri of
system calls meanwhile, which costs every process of the host some 70 ns for each; nothing is put into
the program.`,
		Example: `  ri record streams -o server.streams --payload -- ./server --config x.yaml
  ri record streams -p 4711 -o server.streams --for 60s
  ri record streams -p 4711 -o server.streams --payload --listen :8080`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.File, o.out = o.out, ""
			dash := cmd.ArgsLenAtDash()
			if dash != 0 && len(args) > 0 {
				return rows.Usagef("%s: a command stands behind --", rows.QuoteName(args[0]))
			}
			opt.Command = args
			return o.withOutput(func(out *rows.Output) error {
				return commands.RecordStreams(cmd.Context(), out, o.target, opt)
			})
		},
	}
	f := cmd.Flags()
	o.addTarget(f)
	f.BoolVar(&opt.Payload, "payload", false, "keep the bytes that come in, redacted, and a digest of what goes out")
	f.BoolVar(&opt.Sent, "sent", false, "with --payload: keep the bytes that go out, too")
	f.StringArrayVar(&opt.Listen, "listen", nil, "only connections that were accepted at `ADDR`: host:port, :port, a path")
	f.StringArrayVar(&opt.To, "to", nil, "only connections that were dialled to `ADDR`")
	f.BoolVar(&opt.All, "all", false, "all connections, which is so without --listen and --to")
	f.StringArrayVar(&opt.Copy, "copy", nil, "take `FILE` along, with tokens in the place of secrets")
	f.StringArrayVar(&opt.CopyRaw, "copy-raw", nil, "take `FILE` along as it is")
	f.BoolVar(&opt.WithKeys, "with-keys", false, "take files along that have private keys, too")
	f.BoolVar(&opt.NoRandom, "no-random", false, "with --payload: don't keep random bytes, of which keys are made")
	f.DurationVar(&opt.For, "for", 0, "end after `DURATION` (default: with the program, or with Ctrl-C)")
	f.IntVar(&opt.MiB, "limit", 4096, "end when `N` MiB of bytes are kept; 0: no limit")
	f.StringVar(&opt.Policy, "policy", "", "rules of which names are secrets', `FILE` (YAML; docs/streams.md)")
	f.StringVar(&opt.KeyFile, "key-file", "", "the key of the tokens, `FILE`, made if it isn't there")
	return cmd
}
