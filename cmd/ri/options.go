package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri"
	"ri/instruments/commands"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/serve/worker"
)

// options are the flags that several commands share.
type options struct {
	target  looks.TargetChoice
	look    looks.Options
	recipes []string

	command      string // as it is typed: "fleet runs"
	at           string
	out          string
	json, ndjson bool
	quiet        bool
	arrange      rows.Arrangement
	every        time.Duration // looks are made again; 0: one

	pprof, folded string
}

func (o *options) addOutput(f *pflag.FlagSet) {
	f.StringVar(&o.at, "at", "", "do it at an agent: `METHOD` ssl:HOST:PORT, unix:FILE, or a name of hosts.yaml (RI_AT)")
	f.StringVarP(&o.out, "output", "o", "", "write results to `FILE`, which appears whole or not at all")
	f.BoolVar(&o.json, "json", false, "results as one JSON document")
	f.BoolVar(&o.ndjson, "ndjson", false, "results as JSON, a row a line")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no remarks on stderr, only errors")
}

// addArrange is for commands that give rows.
func (o *options) addArrange(f *pflag.FlagSet) {
	f.StringArrayVar(&o.arrange.Where, "where", nil,
		"only rows of which `'COL OP VALUE'` holds: 'wait > 5s', 'state = waiting', 'func =~ Handler$'; may be given again")
	f.StringSliceVar(&o.arrange.Sort, "sort", nil, "order the rows by `COL`, or -COL: the largest first")
	f.StringSliceVar(&o.arrange.Group, "group", nil, "make one row, with a count, of those that are the same in `COL`")
	f.StringSliceVar(&o.arrange.Sum, "sum", nil, "with --group: add up `COL`")
	f.DurationVar(&o.every, "watch", 0, "look again every `DURATION`, until q or Ctrl-C; what changed is marked")
	f.IntVar(&o.arrange.Limit, "limit", 0, "only the first `N` rows")
}

// addProfile is for commands whose scripts may give stacks.
func (o *options) addProfile(f *pflag.FlagSet) {
	f.StringVar(&o.pprof, "pprof", "",
		"write the stacks as a profile to `FILE`, for go tool pprof (recipes that give stacks)")
	f.StringVar(&o.folded, "folded", "",
		"write the stacks to `FILE` as flame graphs are made from, a line each; - is stdout")
}

func (o *options) addProcess(f *pflag.FlagSet) {
	f.StringVarP(&o.target.PID, "pid", "p", "",
		"look at process `PID`: a number, or a name (nats-server, unit:NAME, container:ID, pod:NS/NAME)")
}

func (o *options) addCore(f *pflag.FlagSet) {
	o.addDump(f)
	f.StringVarP(&o.target.Recording, "recording", "r", "", "look at `RECORDING` (see ri record)")
	o.addIdentity(f)
}

// addIdentity is for who takes recordings.
func (o *options) addIdentity(f *pflag.FlagSet) {
	f.StringVar(&o.target.Identity, "identity", "", "the key that opens an encrypted recording, `FILE` (of age or ssh)")
}

func (o *options) addDump(f *pflag.FlagSet) {
	f.StringVarP(&o.target.Core, "core", "c", "", "look at core dump `CORE`")
	f.StringVar(&o.target.Exe, "exe", "", "executable `EXE` that the core came from")
}

func (o *options) addTarget(f *pflag.FlagSet) {
	o.addProcess(f)
	o.addCore(f)
	o.addSymbols(f)
}

func (o *options) addSymbols(f *pflag.FlagSet) {
	f.StringVar(&o.target.Symbols, "symbols", "", "take the names of a stripped program from `FILE`, its separate "+
		"debug file or an unstripped build of the same source")
	f.BoolVar(&o.target.Debuginfod, "debuginfod", false, "ask the servers of $DEBUGINFOD_URLS for its debug file")
}

func (o *options) addMaxTime(f *pflag.FlagSet) {
	f.DurationVar(&o.look.MaxTime, "max-time", 0,
		"the most CPU time for the script, `DURATION` (default: the recipe's, else 10s)")
}

func (o *options) addLook(f *pflag.FlagSet) {
	f.StringVar(&o.look.View, "view", "",
		"how memory is seen: `VIEW` live, snapshot or stopped (default: the recipe's, else snapshot)")
	o.addMaxTime(f)
	o.addCopy(f)
	f.BoolVar(&o.look.IgnoreLock, "ignore-lock", false,
		"don't wait until the recipe's lock is free: what it guards may be in mid-change")
	f.BoolVar(&o.look.Write, "write", false, "allow changes to the target")
	f.BoolVar(&o.look.Yes, "yes", false, "make changes without asking")
	f.BoolVar(&o.look.DryRun, "dry-run", false, "show what would be changed, and change nothing")
	o.addJournal(f)
}

// addOutside is for commands whose scripts may reach outside of the process.
func (o *options) addOutside(f *pflag.FlagSet) {
	given := worker.OwnSite()
	o.look.Site = site(given.File, given.Revoked)
	f.StringArrayVar(&o.look.Allow, "allow", worker.Allow(), "let scripts that say so reach `WHAT` outside of the "+
		"process: http=HOST:PORT, file=FOLDER, ovsdb=METHOD; may be given again")
}

// addCopy is how a copy of memory is made.
func (o *options) addCopy(f *pflag.FlagSet) {
	f.DurationVar(&o.look.Wait, "wait", 0,
		"if another program traces the process, such as another ri, wait for `DURATION` (default: refuse at once)")
	f.DurationVar(&o.look.MaxStop, "max-stop", 0,
		"the longest stop, `DURATION` such as 250ms (default: the recipe's, else 100ms)")
	f.BoolVar(&o.look.Precopy, "precopy", false,
		"copy all memory while the process runs, and stop it only for what it wrote to meanwhile: a short stop for "+
			"whole heaps. "+
			"Costs a system call made in the process (userfaultfd), and a page fault for each page it writes to until the "+
			"copy is there")
	f.StringVar(&o.look.Spool, "spool", "",
		"keep copies of all memory in an unlinked file in `FOLDER`, not in memory: needs as much disk, and the stop lasts "+
			"as long as the disk's cache takes it")
}

func (o *options) addJournal(f *pflag.FlagSet) {
	f.StringVar(&o.look.Journal, "journal", "",
		"the journal of changes, `FILE` (default: ri/journal.db in $XDG_STATE_HOME, or ~/.local/state)")
}

// addLabel is for commands that change something.
func (o *options) addLabel(f *pflag.FlagSet) {
	f.StringVar(&o.look.Label, "label", "", "mark the change with `TEXT` in the journal: ri undo --labelled TEXT")
}

func (o *options) addRecipes(f *pflag.FlagSet) {
	f.StringArrayVar(&o.recipes, "recipes", nil, "read recipes from `FILE` too; may be given again")
}

// check is what flags alone can get wrong.
func (o *options) check() error {
	if o.json && o.ndjson {
		return rows.Usagef("--json and --ndjson exclude each other")
	}
	return errors.Join(o.target.Check(), o.look.Check())
}

func (o *options) output() (*rows.Output, error) {
	format := rows.Table
	switch {
	case o.json:
		format = rows.JSON
	case o.ndjson:
		format = rows.NDJSON
	}
	out, err := rows.OpenOutput(o.out, format, o.quiet, os.Stdout, stderr)
	if err != nil {
		return nil, err
	}
	out.Command, out.Arrange = o.command, &o.arrange
	if err := errors.Join(out.AddProfile(rows.ProfilePprof, o.pprof),
		out.AddProfile(rows.ProfileFolded, o.folded)); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// remarks is an output for a command that writes its files itself.
func (o *options) remarks() *rows.Output {
	return &rows.Output{Quiet: o.quiet, Stdout: os.Stdout, Stderr: stderr}
}

// catalogue reads all recipes; what is wrong in catalogues that nobody asked for is a warning.
func (o *options) catalogue() (*recipes.Catalogue, error) {
	c, warnings, err := ri.OpenCatalogue(o.recipes...)
	for _, w := range warnings {
		fmt.Fprintf(stderr, "ri: warning: %s\n", w.Error())
	}
	return c, rows.Usage(err)
}

// settings follows what the user said once.
func (o *options) settings() {
	s, err := recipes.ReadSettings()
	if err != nil {
		fmt.Fprintf(stderr, "ri: warning: %s\n", err)
	}
	o.look.PrecopyWelcome = s.Precopy
}

// quietCatalogue is catalogue where nobody reads warnings.
func (o *options) quietCatalogue() (*recipes.Catalogue, []error, error) {
	return ri.OpenCatalogue(o.recipes...)
}

// withOutput gives f an output and makes it appear if f succeeded or has a result nonetheless.
func (o *options) withOutput(f func(*rows.Output) error) error {
	out, err := o.output()
	if err != nil {
		return rows.Usage(err)
	}
	defer out.Close()
	return f(out)
}

// run asks the target, and writes what it answered once it runs again.
func (o *options) run(ctx context.Context, out *rows.Output, p *ri.Plan) error {
	p.Samples = out.WantsSamples()
	if err := out.CheckProfiles(p.Recipe.Name, p.Script.ProfileValues()); err != nil {
		return err
	}
	if err := o.arrange.Check(recipes.HeaderOf(p.Script).Columns); err != nil {
		return err
	}
	if o.every != 0 {
		if err := commands.CheckAgain(out, p, o.target, o.every); err != nil {
			return err
		}
	}
	if worker.Redacted() {
		return commands.RunRedacted(ctx, out, p, o.target)
	}
	t, err := ri.Open(o.target)
	if err != nil {
		return err
	}
	defer t.Close()
	if o.every != 0 {
		return commands.Again(ctx, out, o.every, func(ctx context.Context) (*rows.Result, error) {
			return t.Run(ctx, p, out)
		})
	}
	if p.Traces() {
		return commands.Follow(ctx, out, p, t.Stream)
	}
	if p.SamplesCPU() { // what was sampled by then is shown when it is interrupted
		p.Until, ctx = ctx.Done(), context.WithoutCancel(ctx)
	}
	res, err := t.Run(ctx, p, out)
	if err != nil {
		return err
	}
	return out.Conclude(res)
}

// exactly is cobra.ExactArgs with a message that says what is needed.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s needs %s: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}
