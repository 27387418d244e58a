package main

import (
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"ri/instruments/rows"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "write the manual pages",
		Long: `Write ri's manual pages into a folder, one for each command, from what --help says. make install puts them
where man looks.`,
		Example: "  ri man ~/.local/share/man/man1",
		Args:    exactly(1, "a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
				return rows.Usagef("ri man %s: no such folder", args[0])
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			root.Long = "ri asks a running Go process what it is doing: nothing to prepare, no restart, a stop of a " +
				"millisecond or two."
			when := builtAt()
			return doc.GenManTree(root, &doc.GenManHeader{Title: "RI", Section: "1", Source: "ri",
				Manual: "Run-time instruments for Go", Date: &when}, args[0])
		},
	}
}

// builtAt is the date of the source, so that the pages of one build are always the same.
func builtAt() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					return t
				}
			}
		}
	}
	return time.Unix(0, 0).UTC()
}
