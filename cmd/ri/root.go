package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri"
	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

// rootCommand knows whether a command's own work began, which tells its errors from cobra's.
type rootCommand struct {
	*cobra.Command
	started bool
	unknown error // help was asked of what is no command
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
			o.command = strings.TrimPrefix(cmd.CommandPath(), "ri ")
			o.look.Ask, o.look.Alone = asker(), worker.Root() != ""
			o.look.MaxRows, o.look.MostStop = worker.OwnLimits().Rows, worker.OwnLimits().Stops
			if cmd.Flags().Lookup("precopy") != nil {
				o.settings()
			}
			if err := o.check(); err != nil {
				return err
			}
			root.started = true
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	o.addOutput(root.PersistentFlags())
	root.AddCommand(newSet(o), newLog(o), newUndo(o))
	root.SetHelpCommand(newHelp())
	root.Version = "ri " + commands.OwnVersion()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newPs(o), newRecipes(o), newShow(o), newRun(o), newCheck(o), newExec(o), newPrint(o), newReport(o),
		newWatch(o), newDoctor(o), newVersion(o), newCrash(o), newCore(o), newDlv(o), newRecord(o), newRecording(o),
		newReplay(o))
	root.AddCommand(newTypes(o), newVars(o), newFuncs(o), newWhatIs(o), newFind(o), newPath(o), newDiff(o), newTop(o),
		newShell(o), newAttach(o), newTrace(o), newServe(o), newTables(o), newPKI(o), newFleet(o))
	root.AddCommand(newNew(o), newTest(o), newLint(o), newLuaAPI(o), newCompletion(), newMan())
	o.completeWords(root.Command)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd == root.Command { // its flags can't be known where the command isn't
			if unknown := knownCommand(cmd, cmd.Flags().Args()); unknown != nil {
				return rows.Usage(unknown)
			}
		}
		return rows.Usagef("%s%s (%s --help lists the flags)", notGo.ReplaceAllString(err.Error(), ""), nearFlags(cmd, err),
			cmd.CommandPath())
	})
	setHelp(root.Command)
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

// notGo is what Go's own package says of a value that is none, before it says why.
var notGo = regexp.MustCompile(`strconv\.\w+: parsing "(?:[^"\\]|\\.)*": `)

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
	hint := rows.DidYouMean(args[0], names)
	if slices.Contains(builtIn(), args[0]) {
		hint = fmt.Sprintf("; it is a recipe: ri run %s -p PID", args[0])
	}
	return fmt.Errorf("no command %q%s (ri --help lists them)", args[0], hint)
}

// builtIn are the names of the recipes, for guesses.
func builtIn() (names []string) {
	c, _, err := ri.OpenCatalogue()
	if err != nil {
		return nil
	}
	for _, r := range c.Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// newHelp is ri help COMMAND, for who types it as with git and go.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "say what ri, or a command of it, does",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 && about.HasSubCommands() {
				err = knownCommand(about, rest)
			}
			if err != nil {
				return rows.Usage(knownCommand(cmd.Root(), args))
			}
			return about.Help()
		},
	}
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
	return rows.DidYouMean("--"+name, names)
}
