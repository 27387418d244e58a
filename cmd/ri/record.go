package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newRecord(o *options) *cobra.Command {
	opt := commands.RecordOptions{}
	cmd := &cobra.Command{
		Use:   "record -p PID -o FILE [RECIPE [NAME=VALUE ...] ...]",
		Short: "take home what instruments look at, redacted, for -r elsewhere",
		Long: `Record what instruments look at in one instant, so that they, and others that look at the same
structures, can be run on it elsewhere: ri check -r FILE. Without names of recipes it is what check,
goroutines, locks and channels look at.

What is kept is decided by what a byte is, before it is written. Names of types, functions and Go
files, constants of the program, single numbers, states and lengths are kept. Contents of strings
and byte slices are replaced by tokens, as long as they were and equal where they were equal;
elements of arrays of numbers, keys, and what no type is known of are left out. To read what was not
kept is an error, never zero. --policy FILE changes the rules; the key of the tokens is thrown away,
unless --key-file keeps it.

--every makes one after the other, which have one key: equal texts have the same token in all of them. Ctrl-C ends
that, and what is whole stays.

--encrypt-to has it encrypted (age) for who may read it, before a byte of it is on a disk; --identity opens it.

A file that is there is not overwritten. With Ctrl-C, or if anything fails, there is no file.`,
		Example: `  ri record -p 4711 -o nats.rec
  ri record -p 4711 -o nats.rec goroutines http heap
  ri record -c core.4711 -o nats.rec --all
  ri record -p 4711 --every 30s --for 1h -o series
  ri check -r nats.rec`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.File, o.out, opt.Recipes = o.out, "", args
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.Record(cmd.Context(), out, c, o.target, o.look, opt)
			})
		},
	}
	f := cmd.Flags()
	o.addTarget(f)
	o.addMaxTime(f)
	o.addCopy(f)
	o.addRecipes(f)
	f.StringVar(&opt.Exec, "exec", "", "what the Lua file `FILE` looks at")
	f.BoolVar(&opt.All, "all", false, "what every reading recipe that fits looks at")
	f.BoolVar(&opt.Heap, "heap", false, "all that is reachable on the heap, too: the copy has all memory")
	f.DurationVar(&opt.Every, "every", 0, "a recording each `DURATION`, into the folder of -o, named by its time")
	f.DurationVar(&opt.For, "for", 0, "with --every: end after `DURATION` (default: with Ctrl-C)")
	addRedaction(f, &opt)
	f.BoolVar(&opt.WholeSymbols, "symbols-whole", false, "all types, functions and lines of the executable, not only "+
		"those that were asked for")
	cmd.AddCommand(newRecordCalls(o), newRecordStreams(o))
	return cmd
}

// redactionGiven refuses flags of addRedaction where nothing is kept.
func redactionGiven(f *pflag.FlagSet) error {
	for _, name := range []string{"policy", "key-file", "deny-numbers", "encrypt-to"} {
		if f.Changed(name) {
			return rows.Usagef("--%s is about hits that leave: it goes with -o FILE, --redact or --otlp, of what "+
				"is traced in a process", name)
		}
	}
	return nil
}

// addRedaction is what is kept of what goes into a recording, and who may read it.
func addRedaction(f *pflag.FlagSet, opt *commands.RecordOptions) {
	f.StringVar(&opt.Policy, "policy", "", "rules of what is kept, `FILE` (YAML; docs/recording.md)")
	f.StringVar(&opt.KeyFile, "key-file", "", "the key of the tokens, `FILE`, made if it isn't there: recordings "+
		"with one key have the same tokens")
	f.BoolVar(&opt.DenyNumbers, "deny-numbers", false, "leave out single numbers, too")
	f.StringArrayVar(&opt.EncryptTo, "encrypt-to", nil, encryptTo)
}

const encryptTo = "encrypt the recording for `KEY`: age1..., ssh-ed25519 ..., or a file of such; may be given again"
