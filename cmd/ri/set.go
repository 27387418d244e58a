package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newSet(o *options) *cobra.Command {
	was := ""
	cmd := &cobra.Command{
		Use:   "set EXPR VALUE -p PID --write [--was V] [--dry-run]",
		Short: "change a variable, field or element",
		Long: `Change what a Go selector expression stands for, in a transaction: written into the journal, made in one short
stop if nothing of it has changed since it was planned, read back. VALUE is a Go literal, the name of a constant of its
type, or an expression for an existing value. --dry-run shows what would be changed; ri undo takes it back.`,
		Example: `  ri set main.limits.max 200 --was 100 -p 4711 --dry-run
  ri set main.limits.max 200 --was 100 -p 4711 --write
  ri set 'main.store.services[0].state' ServiceOffline -p 4711 --write --yes`,
		Args: exactly(2, "an expression and a value"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var expected *string
			if cmd.Flags().Changed("was") {
				expected = &was
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.Set(cmd.Context(), out, args[0], args[1], expected, o.look, o.target)
			})
		},
	}
	cmd.Flags().StringVar(&was, "was", "", "only if it is `VALUE` now")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addLabel(cmd.Flags())
	return cmd
}

// negative is a value that begins like a flag.
var negative = regexp.MustCompile(`(?i)^-(\.?[0-9]|inf$)`)

// negativesLast puts a negative value of ri set behind a "--" at the end of a command line, so that it isn't taken for
// a flag: ri set main.x -5 -p 4711.
func negativesLast(root *cobra.Command, args []string) []string {
	set, _, err := root.Find(args)
	if err != nil || set.Name() != "set" || slices.Contains(args, "--") {
		return args
	}
	var out, last []string
	for i, a := range args {
		if negative.MatchString(a) && !takesValue(set, args[:i]) {
			last = append(last, a)
			continue
		}
		out = append(out, a)
	}
	if last == nil {
		return args
	}
	return append(append(out, "--"), last...)
}

// takesValue tells whether the last of some arguments is a flag whose value comes next.
func takesValue(cmd *cobra.Command, args []string) bool {
	if len(args) == 0 || strings.Contains(args[len(args)-1], "=") {
		return false
	}
	last := args[len(args)-1]
	f := cmd.Flags().Lookup(strings.TrimPrefix(last, "--"))
	if f == nil {
		f = cmd.InheritedFlags().Lookup(strings.TrimPrefix(last, "--"))
	}
	if f == nil && len(last) == 2 && last[0] == '-' {
		f = cmd.Flags().ShorthandLookup(last[1:])
	}
	return f != nil && strings.HasPrefix(last, "-") && f.NoOptDefVal == ""
}
