package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

func newRecording(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recording",
		Short: "what is in a recording: info, verify, check, redact, export",
		Long: `Say what a recording holds. Whoever sends one reads ri recording check first: every text that is
kept as it was, and what looks as if it shouldn't be there.`,
		Example: `  ri recording check nats.rec
  ri recording info nats.rec`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return rows.Usagef("ri recording has no %s (ri recording --help lists what it has)", rows.QuoteName(args[0]))
			}
			return rows.Usagef("ri recording needs to be told what to do: ri recording --help lists it")
		},
	}
	about := func(use, short, long string, run func(*rows.Output, looks.TargetChoice) error) *cobra.Command {
		cmd := &cobra.Command{
			Use: use + " FILE", Short: short, Long: long, Example: "  ri recording " + use + " nats.rec",
			Args: exactly(1, "a recording"),
			RunE: func(_ *cobra.Command, args []string) error {
				o.target.Recording = args[0]
				return o.withOutput(func(out *rows.Output) error { return run(out, o.target) })
			},
		}
		o.addIdentity(cmd.Flags())
		return cmd
	}
	var audit commands.AuditOptions
	check := about("check", "show what a recording holds in clear, before it is sent",
		`Show each field whose texts are kept as they were, with samples, and look through
the whole file (as it is, decompressed, in hexadecimal, base64, UTF-16 and as
URLs have it) for addresses of e-mail and networks, numbers of cards, keys and
passwords of known forms, and for words that are given. Exits with 3 if anything
is found.`,
		func(out *rows.Output, choice looks.TargetChoice) error {
			return commands.RecordingCheck(out, choice, audit)
		})
	check.Flags().StringVar(&audit.File, "against", "", "look for the words in `FILE`, too, one a line")
	check.Flags().StringArrayVar(&audit.Words, "word", nil, "look for `WORD`, too; may be given again")
	check.Flags().StringVar(&audit.HTML, "html", "", "write all of it into `FILE`, too, a page that needs nothing else")
	check.Flags().BoolVar(&audit.All, "all", false, "every text that is kept, not only samples")
	var export commands.ExportOptions
	exported := about("export", "write all that a recording keeps in clear as JSON, or a core",
		`Write all that is kept in clear, completely: each text with its field and address, each value by type and field, the
bytes that belong to neither, what is known of the process, and what travels of the executable; a JSON object a line.
--core writes an ELF core instead, redacted as the recording is, for dlv and gdb, which need the executable with it.`,
		func(out *rows.Output, choice looks.TargetChoice) error {
			return commands.RecordingExport(out, choice, export)
		})
	exported.Flags().BoolVar(&export.Core, "core", false, "an ELF core, into the file of -o")
	exported.PreRun = func(*cobra.Command, []string) { export.File, o.out = o.out, "" }
	var redact commands.RedactOptions
	redacted := about("redact", "write a recording once more, of which less is kept",
		`Write a recording once more, and keep of it what the policy keeps, too. It takes away and never gives back: what was
not kept is not in the file. Texts that aren't kept any more become tokens; tokens stay as they are.`,
		func(out *rows.Output, choice looks.TargetChoice) error {
			return commands.RecordingRedact(out, choice, redact)
		})
	redacted.Example = "  ri recording redact nats.rec -o less.rec --policy stricter.yaml"
	redacted.Flags().StringVar(&redact.Policy, "policy", "", "rules of what is kept, `FILE` (YAML; docs/recording.md)")
	redacted.Flags().BoolVar(&redact.DenyNumbers, "deny-numbers", false, "leave out single numbers, too")
	redacted.Flags().StringVar(&redact.KeyFile, "key-file", "", "the key of new tokens, `FILE`: that of the recording, "+
		"so that they are equal to those of others with it")
	redacted.Flags().StringArrayVar(&redact.EncryptTo, "encrypt-to", nil, encryptTo)
	redacted.PreRun = func(*cobra.Command, []string) { redact.File, o.out = o.out, "" }
	cmd.AddCommand(
		exported, redacted,
		about("info", "say what a recording is of, and what it holds", "", commands.RecordingInfo),
		about("verify", "read all of a recording, and say what is damaged", "", commands.RecordingVerify),
		check)
	return cmd
}
