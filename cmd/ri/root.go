package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/instruments"
)

// rootCommand knows whether a command's own work began, which tells its errors from cobra's.
type rootCommand struct {
	*cobra.Command
	started bool
	unknown error // help was asked of what is no command
}

const help = `ri asks a running Go process what it is doing: nothing to prepare, no restart,
a stop of a millisecond or two.

What people do first:
  ri ps                         which Go processes are here
  ri recipes -p PID             what can be asked of one of them
  ri run goroutines -p PID      ask: where are its goroutines, since when
  ri print main.server -p PID   look at one variable, field or element

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name 9}} {{.Short}}{{end}}{{end}}

Flags of most commands:
  -p PID | -c CORE [--exe EXE]  look at a process, or a core and its executable
  --view live|snapshot|stopped  no stop, a copy (default), held while it runs
  --max-stop 100ms              the longest stop; then ri lets go and exits 5
  --json | --ndjson             one document, or a row a line
  -o FILE, -q                   results into a file; no remarks on stderr
  --pprof FILE, --folded FILE   stacks as a profile, for pprof and flame graphs
  --recipes FILE                one more catalogue of recipes

ri COMMAND --help says more. Results go to stdout, everything else to stderr.
Exit codes: 0 done, 1 failed, 2 usage, 3 found something, 4 refused, 5 partial, 6 conflict.
`

func newRoot() *rootCommand {
	root := &rootCommand{}
	o := &options{}
	root.Command = &cobra.Command{
		Use:               "ri",
		Short:             "run-time instruments for Go",
		Args:              knownCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if f := cmd.Flags().Lookup("max-stop"); f != nil {
				o.look.StopGiven = f.Changed
			}
			if err := o.check(); err != nil {
				return err
			}
			root.started = true
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	o.addOutput(root.PersistentFlags())
	root.AddCommand(newSet(o), newLog(o), newUndo(o))
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true})
	root.AddCommand(newPs(o), newRecipes(o), newShow(o), newRun(o), newCheck(o), newExec(o), newPrint(o), newReport(o), newWatch(o), newDoctor(o), newVersion(o), newCrash(o))
	root.AddCommand(newTypes(o), newVars(o), newFuncs(o), newWhatIs(o), newFind(o), newDiff(o), newTop(o), newShell(o), newAttach(o))
	root.AddCommand(newNew(o), newTest(o), newLint(o), newLuaAPI(o))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return instruments.Usagef("%w%s (ri %s --help lists the flags)", err, nearFlags(cmd, err), cmd.Name())
	})
	subHelp := root.HelpTemplate()
	for _, c := range root.Commands() {
		c.SetHelpTemplate(subHelp)
	}
	root.SetHelpTemplate(help)
	write := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if root.unknown = knownCommand(cmd, cmd.Flags().Args()); cmd == root.Command && root.unknown != nil {
			return
		}
		root.unknown = nil
		write(cmd, args)
	})
	return root
}

// knownCommand refuses what is no command, and guesses what was meant.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("no command %q%s (ri --help lists them)", args[0], instruments.DidYouMean(args[0], names))
}

// nearFlags guesses what an unknown flag was meant to be.
func nearFlags(cmd *cobra.Command, err error) string {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	var names []string
	collect := func(f *pflag.Flag) { names = append(names, "--"+f.Name) }
	cmd.LocalFlags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	return instruments.DidYouMean("--"+name, names)
}
