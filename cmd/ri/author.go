package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

func newNew(o *options) *cobra.Command {
	expr := ""
	cmd := &cobra.Command{
		Use:   "new NAME [--expr EXPR -p PID]",
		Short: "begin an instrument: a file that runs as it is",
		Long: `Write NAME.lua, an instrument that runs as it is, and NAME.yaml, a catalogue that names it. With --expr it
goes through what that Go expression stands for in the process, with the plain fields as columns.`,
		Example: "  ri new waits\n  ri new sessions --expr 'find(server.Server).clients' -p 4711",
		Args:    exactly(1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.NewInstrument(cmd.Context(), out, args[0], expr, o.target)
			})
		},
	}
	cmd.Flags().StringVar(&expr, "expr", "", "go through `EXPR`: a struct, slice, array or map")
	o.addTarget(cmd.Flags())
	return cmd
}

func newTest(o *options) *cobra.Command {
	var opt commands.TrialOptions
	cmd := &cobra.Command{
		Use:   "test DIR|FILE.test.yaml",
		Short: "run the tests of instruments",
		Long: `Run the tests that the files *.test.yaml in a folder declare: a target that is started, a core, or a
recording; what follows ri run; and the output that is wanted, in NAME.golden.

  sessions:
    build: go build -o service ./service     # optional
    target: ./service -listen 127.0.0.1:0
    ready: listening                         # what it says when it is ready
    run: ./sessions.lua limit=3
    hide: ['0x[0-9a-f]+']                    # what varies
    exit: 0

A test with a recording needs no target and no build. Where it has both,
--record makes the recording of the target:

  sessions:
    recording: sessions.rec
    target: ./service -listen 127.0.0.1:0
    ready: listening
    run: [./sessions.lua limit=3, ./sessions.lua --json]   # one by one`,
		Example: "  ri test .\n  ri test ./instruments --update",
		Args:    exactly(1, "a folder, or a file *.test.yaml in one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.RunTrials(cmd.Context(), out, args[0], opt)
			})
		},
	}
	cmd.Flags().BoolVar(&opt.Update, "update", false, "write what is printed as what is wanted")
	cmd.Flags().BoolVar(&opt.Record, "record", false,
		"make recordings anew, of the tests that have a target too, and write what they print as what is wanted")
	return cmd
}

func newLint(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint FILE ...",
		Short: "check instruments and catalogues without a target",
		Long: `Check instruments (.lua) and catalogues (.yaml) as far as that can be without a target: syntax, header,
presets, and names that are nowhere. Exit code 1 if there is something wrong.`,
		Example: "  ri lint my.lua my.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("ri lint needs a file: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error { return recipes.Lint(out, c, args) })
		},
	}
	return cmd
}

func newLuaAPI(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "lua-api",
		Short: "write type annotations for editors",
		Long: `Write what lua-language-server needs to complete and check scripts: ri lua-api > ri.lua, in a folder that its
setting workspace.library names.`,
		Example: "  ri lua-api > ~/.config/ri/lua/ri.lua",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.withOutput(commands.LuaAPI)
		},
	}
}
