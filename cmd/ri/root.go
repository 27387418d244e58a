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

// help fits a screen of 24 lines and 80 columns; a test says so.
const help = `ri asks a running Go process what it is doing: nothing to prepare, no restart,
a stop of a millisecond or two. What people do first:

  ri ps                         which Go processes are here
  ri recipes -p PID             what can be asked of one of them
  ri check -p PID               ask: what is wrong with it
  ri run goroutines -p PID      ask: where are its goroutines, since when
  ri shell -p PID               look around, at a prompt

All commands; ri COMMAND --help says more:
{{groups .}}
Most take -p PID, or -c CORE [--exe EXE], and
  --view live|snapshot|stopped  no stop, a copy (default), held while it runs
  --max-stop 100ms              the longest stop; then ri lets go and exits 5
  --json | --ndjson             one document, or a row a line
  -o FILE, -q                   results into a file; no remarks on stderr
Results go to stdout, all else to stderr. Exit codes: 0 done, 1 failed, 2 usage,
3 found something, 4 refused, 5 partial, 6 conflict.
`

// groups are the commands by what they are for, as help lists them. What isn't named here stands in the last group.
var groups = []struct {
	name     string
	commands []string
}{
	{"ask", []string{"recipes", "show", "run", "check", "exec", "report"}},
	{"look", []string{"shell", "attach", "print", "find", "path", "diff", "top"}},
	{"names", []string{"types", "vars", "funcs", "whatis"}},
	{"the dead", []string{"core", "watch", "crash"}},
	{"change", []string{"set", "log", "undo"}},
	{"write", []string{"new", "lint", "test", "lua-api"}},
	{"ri itself", []string{"ps", "doctor", "version", "completion", "man"}},
}

// groupsText is the list of commands in help.
func groupsText(root *cobra.Command) string {
	left := map[string]bool{}
	for _, c := range root.Commands() {
		left[c.Name()] = c.IsAvailableCommand()
	}
	var b strings.Builder
	for i, g := range groups {
		var names []string
		for _, name := range g.commands {
			if left[name] {
				names = append(names, name)
				left[name] = false
			}
		}
		if i == len(groups)-1 {
			for _, c := range root.Commands() {
				if left[c.Name()] {
					names = append(names, c.Name())
				}
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(&b, "  %-10s %s\n", g.name, strings.Join(names, ", "))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

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
	root.AddCommand(newPs(o), newRecipes(o), newShow(o), newRun(o), newCheck(o), newExec(o), newPrint(o), newReport(o), newWatch(o), newDoctor(o), newVersion(o), newCrash(o), newCore(o))
	root.AddCommand(newTypes(o), newVars(o), newFuncs(o), newWhatIs(o), newFind(o), newPath(o), newDiff(o), newTop(o), newShell(o), newAttach(o))
	root.AddCommand(newNew(o), newTest(o), newLint(o), newLuaAPI(o), newCompletion(), newMan())
	o.completeWords(root.Command)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd == root.Command { // its flags can't be known where the command isn't
			if unknown := knownCommand(cmd, cmd.Flags().Args()); unknown != nil {
				return instruments.Usage(unknown)
			}
		}
		return instruments.Usagef("%w%s (%s --help lists the flags)", err, nearFlags(cmd, err), cmd.CommandPath())
	})
	subHelp := root.HelpTemplate()
	for _, c := range root.Commands() {
		c.SetHelpTemplate(subHelp)
	}
	cobra.AddTemplateFunc("groups", groupsText)
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
