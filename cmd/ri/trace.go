package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/trace"
)

func newTrace(o *options) *cobra.Command {
	r, w := trace.Request{}, trace.Probe{}
	budget, stack, places := "", false, false
	keep, leaves := commands.HitsOptions{}, commands.TraceLeaves{}
	var show, steps, by []string
	cmd := &cobra.Command{
		Use:   "trace FUNC ... -p PID",
		Short: "show calls of functions as they pass by",
		Long: `Show calls of functions as they pass by: when, by which goroutine, with which arguments; with --returns what
they gave and how long they took. A function is named as Go prints it. Conditions are Go expressions over receiver,
arguments, results and duration, and are decided in the kernel, where a hit costs half a microsecond.

While it runs, the kernel keeps breakpoints in the program's code; nothing outlives ri. What the hits cost is counted
before they are armed, and held to --budget. docs/tracing.md has what it needs, and what it can't.`,
		Example: `  ri trace 'main.(*Server).handle' -p 4711
  ri trace 'net/http.(*conn).readRequest' --returns --when 'duration > 50ms' -p 4711
  ri trace main.lookup --when 'hasPrefix(key, "user/") && len(key) > 20' --show key -p 4711
  ri trace main.handle --steps 'main.*' -p 4711    # what each call passes on its way
  ri trace main.lookup --places -p 4711    # where it would probe, and what a hit costs`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			w.Functions = args
			if r.Histogram { // --hist duration is what there is a histogram of, and no function's name
				w.Functions = slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "duration" })
			}
			if err := r.Bounded(); err != nil {
				return err
			}
			for _, list := range show {
				w.Show = append(w.Show, trace.ParseShow(list)...)
			}
			for _, list := range steps {
				r.Steps = append(r.Steps, trace.ParseList(list)...)
			}
			for _, list := range by {
				r.By = append(r.By, trace.ParseList(list)...)
			}
			w.Returns = w.Returns || r.Histogram
			r.Probes = []trace.Probe{w}
			if cmd.Flags().Changed("budget") {
				share, err := trace.ParseBudget(budget)
				if err != nil {
					return err
				}
				r.Budget = share
			}
			if stack {
				r.Stack = trace.DefaultStack
			}
			if o.target.Recording != "" {
				if err := taken(cmd.Flags()); err != nil {
					return err
				}
				return o.withOutput(func(out *rows.Output) error {
					return commands.TraceRecorded(cmd.Context(), out, r, o.target)
				})
			}
			if !places {
				keep.File, o.out = o.out, ""
			}
			if keep.File == "" && !leaves.Redact && leaves.OTLP == "" {
				if err := redactionGiven(cmd.Flags()); err != nil {
					return err
				}
			}
			return o.withOutput(func(out *rows.Output) error {
				if places {
					return commands.TracePlaces(cmd.Context(), out, r, o.target)
				}
				return commands.Trace(cmd.Context(), out, r, o.target, keep, leaves)
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&w.When, "when", nil, "only calls of which `EXPR` is true; may be given again, and all must be")
	f.StringArrayVar(&w.After, "when-after", nil,
		"as --when, but decided by ri over what a hit took along: for an `EXPR` that the kernel can't decide")
	f.StringArrayVar(&show, "show", nil,
		"show `EXPR,...` or NAME=EXPR, instead of all arguments and results; may be given again")
	f.StringArrayVar(&steps, "steps", nil,
		"follow each call until it returns: show `FUNC,...` that its goroutine, and those that it starts, pass")
	f.BoolVar(&w.Returns, "returns", false, "show calls when they return, with results and duration")
	f.BoolVar(&stack, "stack", false, "show who calls")
	f.StringArrayVar(&by, "count", nil,
		"only count calls, by `EXPR,...`: a number, a bool, a text, x.(type), or func; anew each second")
	f.BoolVar(&r.Histogram, "hist", false, "count how long calls take, too; by function, or by --count")
	f.Uint64Var(&r.Limit, "limit", trace.DefaultLimit, "end after `N` hits")
	f.DurationVar(&r.For, "for", trace.DefaultFor, "end after `DURATION`")
	f.StringVar(&budget, "budget", "1%", "the most CPU time that hits may cost the process, a `SHARE` of a core")
	f.BoolVar(&r.Windows, "windows", false, "over the budget, take hits in windows of time instead of ending")
	f.IntVar(&r.Limits.Depth, "depth", 2, "follow `N` pointers, slices and maps")
	f.IntVar(&r.Limits.Bytes, "bytes", 4096, "take along `N` bytes of a hit at most")
	f.BoolVar(&places, "places", false, "show where it would probe, and probe nothing")
	f.BoolVar(&r.PanicOnWarn, "panic-on-warn", false,
		"probe although the kernel panics on a warning (kernel.panic_on_warn)")
	f.BoolVar(&leaves.Redact, "redact", false, "show texts as tokens, as recordings have them (--policy, --key-file)")
	f.StringVar(&leaves.OTLP, "otlp", "",
		"give calls as spans, redacted, to a receiver of OTLP, `URL` (http://HOST:4318); with --returns or --steps")
	addRedaction(f, &keep)
	cmd.ValidArgsFunction = o.completeFunction
	o.addTarget(f)
	return cmd
}

// completeFunction completes a function's name, of the process that was named.
func (o *options) completeFunction(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	if !o.target.Given() {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return commands.FunctionWords(strings.TrimLeft(typed, "'\""), o.target), cobra.ShellCompDirectiveNoFileComp
}

// taken refuses what can't be said of hits that were taken already.
func taken(f *pflag.FlagSet) error {
	for _, name := range []string{"steps", "redact", "otlp", "for", "budget", "windows", "depth", "bytes", "places",
		"panic-on-warn", "stack", "policy", "key-file", "deny-numbers", "encrypt-to"} {
		if f.Changed(name) {
			return rows.Usagef("--%s is decided when hits are taken, and those of a recording were", name)
		}
	}
	return nil
}
