package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newCore(o *options) *cobra.Command {
	opt := commands.CoreOptions{}
	cmd := &cobra.Command{
		Use:   "core -p PID|-r FILE -o FILE",
		Short: "write a core of a running process, for ri -c, dlv core and gdb",
		Long: `Write a core of a running process, which runs on. It is stopped for as long as its memory takes to copy into
memory of ri's (--precopy: most of it is copied while it runs; --spool: onto a disk), and the file is written when it
runs again. What it can't write to, code and constants, is in the core too, so that the core can be read without the
executable's text; pages of zeros are holes of the file.

The file holds all that the process has in memory, secrets too: only its owner may read it (mode 0600). A file that is
there is not overwritten. With Ctrl-C, or if anything fails, there is no file.

Of a process that ri watch holds in its last moment the threads are gone: its core has no registers. Of a recording (-r)
the core has what was recorded, redacted as that is, and zeros elsewhere.`,
		Example: `  ri core -p 4711 -o core.4711
  ri core -p 4711 -o core.4711 --max-stop 1s
  ri check -c core.4711
  ri watch -p 4711 --on-exit 'ri core -o core.4711'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt.File, o.out = o.out, "" // the core, and not what there is to say of it
			return o.withOutput(func(out *rows.Output) error {
				return commands.WriteCore(cmd.Context(), out, o.target, o.look, opt)
			})
		},
	}
	o.addProcess(cmd.Flags())
	o.addCopy(cmd.Flags())
	cmd.Flags().StringVarP(&o.target.Recording, "recording", "r", "", "of the recording `FILE`")
	cmd.Flags().BoolVar(&opt.Shared, "all", false, "shared memory and shared mappings of files, too")
	return cmd
}
