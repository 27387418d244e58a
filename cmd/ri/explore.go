package main

import (
	"time"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
)

func newTypes(o *options) *cobra.Command {
	return newNames(o, commands.TypeNames, "types", "list the program's types",
		`List the program's types by a regular expression (Go's syntax), which full and short names are compared with.
This is the executable's own knowledge: nothing is stopped. ri whatis TYPE shows one. Pointers to them, slices of them
and the like are counted, and listed with --all.`)
}

func newVars(o *options) *cobra.Command {
	return newNames(o, commands.VariableNames, "vars", "list the program's package variables",
		`List the program's package variables by a regular expression (Go's syntax), with their types and where they are.
Nothing is stopped. ri print VARIABLE shows one. What the program never uses isn't in it.`)
}

func newFuncs(o *options) *cobra.Command {
	return newNames(o, commands.FunctionNames, "funcs", "list the program's functions",
		`List the program's functions by a regular expression (Go's syntax), with their source lines. Functions that were
inlined everywhere aren't in the program. Nothing is stopped.`)
}

func newNames(o *options, kind commands.NameKind, name, short, long string) *cobra.Command {
	every := false
	cmd := &cobra.Command{
		Use:     name + " [REGEX] -p PID",
		Short:   short,
		Long:    long,
		Example: "  ri " + name + " '^main\\.' -p 4711\n  ri " + name + " '(?i)session' -p 4711",
		Args:    atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.ListNames(out, kind, firstOf(args), every, o.target)
			})
		},
	}
	if kind == commands.TypeNames {
		cmd.Flags().BoolVar(&every, "all", false, "types without a name of their own, too: *T, []T, map[K]V, func()")
	}
	o.addTarget(cmd.Flags())
	return cmd
}

func newWhatIs(o *options) *cobra.Command {
	depth := 0
	cmd := &cobra.Command{
		Use:   "whatis EXPR|TYPE -p PID",
		Short: "show a type, and a struct's layout",
		Long: `Say what a type, or the value of a Go expression, is: a struct's fields with offsets, sizes and the holes
between them, a named integer's constants, what an interface holds. A type is looked up in the executable: nothing is
stopped.`,
		Example: `  ri whatis server.Client -p 4711
  ri whatis 'main.server.clients["alpha"]' -p 4711
  ri whatis main.Object --depth 2 -p 4711    # structs in it are opened`,
		Args: exactly(1, "an expression or a type"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.WhatIs(cmd.Context(), out, args[0], depth, o.look, o.target)
			})
		},
	}
	cmd.Flags().IntVar(&depth, "depth", 1, "open structs in structs, `N` levels")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}

func newFind(o *options) *cobra.Command {
	opt := commands.FindOptions{}
	cmd := &cobra.Command{
		Use:   "find TYPE -p PID",
		Short: "say where values of a type live",
		Long: `Look for values of a type in package variables, in goroutines' arguments and locals, and in what closures
captured; where those have none, in what they lead to. What EXPR says can be typed: ri print
'(*main.Request)(0xc000112000)'.`,
		Example: `  ri find server.Server -p 4711
  ri find main.Request --depth 6 -p 4711`,
		Args: exactly(1, "a type"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.FindValues(cmd.Context(), out, args[0], opt, o.look, o.target)
			})
		},
	}
	cmd.Flags().IntVar(&opt.Depth, "depth", 0, "follow `N` pointers where no variable holds the type (default 3)")
	cmd.Flags().BoolVar(&opt.Heap, "heap", false,
		"the heap's objects of that type, with the way to each; copies all memory in one stop")
	cmd.Flags().IntVar(&opt.Max, "max", 0, "`N` values at most (default 1000)")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}

func newPath(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "path ADDR|EXPR -p PID",
		Short: "say what keeps an object alive",
		Long: `Say how a package variable, a goroutine's stack or a finalizer leads to an object of the heap: the one at an
address, the one that a pointer points to, or the one that a field lies in. The whole heap is walked, on a copy of all
memory that is made in one stop: --max-stop bounds it.`,
		Example: "  ri path 0xc000112000 -p 4711\n  ri path 'main.server.clients[\"alpha\"]' --max-stop 1s -p 4711",
		Args:    exactly(1, "an address or an expression"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.HeapPath(cmd.Context(), out, args[0], o.look, o.target)
			})
		},
	}
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}

func newDiff(o *options) *cobra.Command {
	var interval time.Duration
	depth := 0
	var recordings []string
	cmd := &cobra.Command{
		Use:   "diff EXPR -p PID | -r BEFORE -r AFTER [EXPR | RECIPE [NAME=VALUE ...]]",
		Short: "look twice: what changed",
		Long: `Look at a Go expression twice and show what changed in between, numbers with their rates. Of two recordings
it is what differs in the expression, or in the rows of a recipe, by their key columns; without a name, in those of
all recipes that both were made with.`,
		Example: `  ri diff main.server.stats -p 4711
  ri diff 'find(server.Server)' --interval 10s --depth 2 -p 4711
  ri diff -r monday.rec -r tuesday.rec goroutines`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(recordings) > 0 && o.target.Given() {
				return rows.Usagef("-p, -c and -r exclude each other: compare two looks at a process, or two recordings")
			}
			if len(recordings) > 0 {
				c, err := o.catalogue()
				if err != nil {
					return err
				}
				return o.withOutput(func(out *rows.Output) error {
					return commands.DiffRecordings(cmd.Context(), out, c, recordings, o.target.Identity, args, depth, o.look)
				})
			}
			if err := exactly(1, "one expression")(cmd, args); err != nil {
				return rows.Usage(err)
			}
			return o.withOutput(func(out *rows.Output) error {
				return commands.Diff(cmd.Context(), out, args[0], interval, depth, o.look, o.target)
			})
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", 5*time.Second, "wait for `DURATION` between the two")
	cmd.Flags().IntVar(&depth, "depth", 3, "follow `N` pointers, slices and maps")
	o.addProcess(cmd.Flags())
	o.addDump(cmd.Flags())
	o.addRecipes(cmd.Flags())
	cmd.Flags().StringArrayVarP(&recordings, "recording", "r", nil, "compare two recordings, `RECORDING` and a later one")
	o.addIdentity(cmd.Flags())
	o.addSymbols(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}

func newTop(o *options) *cobra.Command {
	opt := commands.TopOptions{}
	cmd := &cobra.Command{
		Use:   "top EXPR -p PID",
		Short: "watch numbers change, with their rates",
		Long: `Look at a Go expression again and again, and show its parts with their rates, what changes fastest first. On a
terminal the table is refreshed in place, and where the value is a list or a map each element has a row; in a pipe each
refresh is a line of what changed. q or Ctrl-C ends it. Each refresh is a stop of its own, as short as that of ri print;
--view live does without.`,
		Example: `  ri top main.server.stats -p 4711
  ri top 'find(server.Server)' --depth 2 -p 4711
  ri top main.server.stats -n 10 --ndjson -p 4711`,
		Args: exactly(1, "one expression"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withOutput(func(out *rows.Output) error {
				return commands.Top(cmd.Context(), out, args[0], opt, o.look, o.target)
			})
		},
	}
	cmd.Flags().DurationVar(&opt.Interval, "interval", time.Second, "look every `DURATION`")
	cmd.Flags().IntVarP(&opt.Count, "count", "n", 0, "end after `N` refreshes (default: never)")
	cmd.Flags().IntVar(&opt.Depth, "depth", 2, "follow `N` pointers, slices and maps")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	return cmd
}

func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return exactly(1, "one regular expression at most (quote it)")(cmd, args)
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
