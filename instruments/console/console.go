package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/files"
	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// Console is a target that a person talks to, a line at a time: what the room shell puts a keyboard and a screen to.
//
// Each line is a run of its own, rehearsed and then run on a copy as any other, so that nothing is held while somebody
// thinks. Only Hold keeps a look from line to line: a stopped target, for a limited time, or a copy of all of its
// memory. What lines assign to globals is there for the next ones; each run of a line begins with what the line before
// left, however often the line is run.
//
// It isn't safe for concurrent use, Held, Ended and LetGo excepted.
type Console struct {
	catalogue *recipes.Catalogue
	how       looks.Options
	choice    looks.TargetChoice
	session   *looks.Session
	host      *host.Prompt

	held  atomic.Pointer[heldView]
	lines []typedLine // that did what they should, for SaveInstrument
}

// heldView is a look that outlasts a line.
type heldView struct {
	view  attach.View
	since time.Time
	limit time.Duration // 0: it isn't stopped
}

// Reply is what a line gave.
type Reply struct {
	Text    string   // the result, to print on a screen of the style's width
	Remarks []string // what it cost, and what went wrong
	Failed  bool
}

// OpenConsole opens a target. Close it after use.
func OpenConsole(c *recipes.Catalogue, choice looks.TargetChoice, how looks.Options) (*Console, error) {
	if how.Write {
		return nil, rows.Usagef("the shell only looks: --write goes with ri set and with recipes")
	}
	if err := how.Check(); err != nil {
		return nil, err
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return nil, err
	}
	con := &Console{catalogue: c, how: how, choice: choice, session: s}
	if s.Info.Kind == "core" {
		con.how.View = ""
	}
	con.restart()
	return con, nil
}

// Close lets the target go.
func (c *Console) Close() error {
	c.Release()
	c.host.Close()
	return c.session.Close()
}

// restart gives the console a new machine: at the start, and where a line didn't end.
func (c *Console) restart() {
	space := c.session.Keep()
	if c.host != nil {
		c.host.Close()
	}
	c.host = host.NewPrompt(host.Options{
		Space: space, Folders: (&recipes.Recipe{Scripts: files.Dir(".", false)}).Folders(c.catalogue),
		Target: host.TargetInfo{PID: c.session.Target.PID(), Kind: c.session.Info.Kind,
			Describe: c.session.Target.Describe(), Ends: c.session.Ends},
		Now: c.session.Now(),
	})
}

// Target describes what is looked at: "pid 4711 (nats-server)".
func (c *Console) Target() string { return c.session.Target.Describe() }

// Program says what was opened.
func (c *Console) Program() rows.Program { return c.session.Info }

// View is how lines look: "live", "snapshot", "stopped", "core"; "copy" is a snapshot that is kept.
func (c *Console) View() string {
	switch held := c.held.Load(); {
	case c.session.Info.Kind == "core":
		return "core"
	case held != nil && held.limit > 0:
		return "stopped"
	case held != nil:
		return "copy"
	case c.how.View != "":
		return c.how.View
	}
	return string(attach.Snapshot)
}

// Views that SetView knows.
const (
	LiveView     = string(attach.Live)
	SnapshotView = string(attach.Snapshot)
)

// SetView has each following line look anew, live or at a snapshot.
func (c *Console) SetView(kind string) error {
	if kind := c.session.Info.Kind; kind == "core" || kind == "recording" {
		return fmt.Errorf("a %s holds still: there is one view of it", kind)
	}
	c.Release()
	c.how.View = kind
	return nil
}

// Hold stops the target for limit at most, or, where limit is 0, copies all of its memory in one stop and keeps the
// copy. Following lines see that, until Release.
func (c *Console) Hold(ctx context.Context, limit time.Duration) error {
	if kind := c.session.Info.Kind; kind == "core" || kind == "recording" {
		return fmt.Errorf("a %s holds still: there is nothing to stop", kind)
	}
	if limit < 0 || limit > looks.LongestStop {
		return fmt.Errorf("a stop is for more than 0 and at most %s", rows.DurationText(looks.LongestStop))
	}
	c.Release()
	opt := attach.ViewOptions{Kind: attach.Stopped, MaxStop: limit}
	if limit == 0 {
		opt = attach.ViewOptions{Kind: attach.Snapshot, MaxStop: c.how.MaxStop, Bulk: true,
			Precopy: c.how.MayPrecopy()}
		if opt.MaxStop == 0 {
			opt.MaxStop = attach.DefaultMaxStop
		}
		if err := c.session.Affordable(opt); err != nil {
			return err
		}
	}
	view, err := c.session.Target.View(ctx, opt)
	if err != nil {
		return looks.ViewError(err)
	}
	l := &looks.Look{Target: c.session.Target, Options: opt}
	l.Cache, l.Space = c.session.Memory()
	l.See(view)
	c.host.Forget()
	c.held.Store(&heldView{view, time.Now(), limit})
	return nil
}

// Release lets a held target run.
func (c *Console) Release() {
	if held := c.held.Swap(nil); held != nil {
		held.view.Close()
		c.host.Forget()
	}
}

// LetGo lets a held target run, whatever else is under way: what a signal that ends ri calls. The console is of no use
// afterwards.
func (c *Console) LetGo() {
	if held := c.held.Load(); held != nil {
		held.view.Close()
	}
}

// Held says for how long the target has been stopped, and for how long it may be; limit is 0 where it runs.
func (c *Console) Held() (since time.Duration, limit time.Duration) {
	if held := c.held.Load(); held != nil && held.limit > 0 {
		return time.Since(held.since), held.limit
	}
	return 0, 0
}

// Ended is closed when a held target runs again, or is gone, without having been released; nil where nothing is held.
func (c *Console) Ended() <-chan struct{} {
	if held := c.held.Load(); held != nil {
		return held.view.Done()
	}
	return nil
}

// Alive is an error that says so where the process has ended.
func (c *Console) Alive() error {
	p, ok := c.session.Target.(attach.Stoppable)
	if !ok || c.held.Load() != nil {
		return nil
	}
	if err := p.CheckStop(); errors.Is(err, attach.ErrExited) {
		return err
	}
	return nil
}

// execute runs f as the view says: on a held one, or on a look of its own.
func (c *Console) execute(ctx context.Context, p *looks.Plan,
	f func(context.Context, *looks.Look, rows.Sink) error) (*rows.Result, error) {
	var running atomic.Bool
	guarded := func(ctx context.Context, l *looks.Look, sink rows.Sink) error {
		running.Store(true)
		defer running.Store(false)
		return f(ctx, l, sink)
	}
	defer func() {
		if running.Load() { // it holds the machine: leave it to it
			c.Release()
			c.restart()
		}
	}()
	held := c.held.Load()
	if held == nil {
		return c.session.Look(ctx, p, c.session.Collector(p, nil, nil), guarded)
	}
	sink := c.session.Collector(p, nil, nil)
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan error, 1)
	before := held.view.Stats()
	go func() { finished <- host.Safely(func() error { return guarded(runCtx, nil, sink) }) }()
	var err error
	select {
	case err = <-finished:
		if lost := held.view.Err(); lost != nil {
			err = lost
		}
	case <-held.view.Done():
		err = held.view.Err()
		cancel(err)
		host.WaitFor(finished, host.Grace)
	case <-ctx.Done():
		err = context.Cause(ctx)
		cancel(err)
		host.WaitFor(finished, host.Grace)
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	res := sink.Seal()
	res.View = string(held.view.Kind())
	res.Stats = rows.Stats{BytesRead: held.view.Stats().BytesRead - before.BytesRead}
	looks.Judge(res, err, p, 0)
	return res, nil
}

// Run runs a line: Lua, in which packages of the program are globals, or a Go expression. What it returns is printed in
// Go syntax.
func (c *Console) Run(ctx context.Context, line string, style rows.TableStyle) Reply {
	typed, err := c.compile(line)
	if err != nil {
		return Reply{Remarks: []string{err.Error()}, Failed: true}
	}
	plan, err := looks.NewPlan(c.catalogue, &recipes.Recipe{Name: "shell", Mode: recipes.Read,
		Scripts: files.Dir(".", false)},
		typed.script, lang.Params{}, c.how)
	if err != nil {
		return Reply{Remarks: []string{err.Error()}, Failed: true}
	}
	res, err := c.execute(ctx, plan, func(ctx context.Context, l *looks.Look, sink rows.Sink) error {
		before := c.host.Values()
		err := c.runLine(ctx, typed.script, l, sink, nil)
		if l != nil {
			l.Values = c.host.Values() - before
		}
		return err
	})
	reply := c.reply(res, err, style)
	if !reply.Failed {
		c.host.Keep()
		if strings.TrimSpace(line) != "" && c.host.Named() {
			c.lines = append(c.lines, typed)
		}
	}
	return reply
}

// compile is compileLine for this program and what its lines left.
func (c *Console) compile(line string) (typedLine, error) {
	isType := func(name string) bool { _, err := c.session.File.Type(name); return err == nil }
	isPackage := func(path string) bool { _, ok := c.session.File.PackageName(path); return ok }
	isVariable := func(name string) bool { _, err := c.session.File.Var(name); return err == nil }
	return compileLine(line, c.host.Left, isType, isPackage, isVariable)
}

// RunRecipe runs a recipe, or an instrument file, with its parameters as NAME=VALUE.
func (c *Console) RunRecipe(ctx context.Context, name string, args []string, style rows.TableStyle) Reply {
	fail := func(err error) Reply { return Reply{Remarks: []string{err.Error()}, Failed: true} }
	plan, err := looks.Prepare(c.catalogue, name, args, c.how)
	if err != nil {
		return fail(err)
	}
	if c.held.Load() == nil {
		if err := c.session.CheckPlan(ctx, plan); err != nil {
			return fail(err)
		}
		kept := c.session.Kept
		c.session.Kept = nil // a recipe has a memory of its own
		res, err := c.session.Run(ctx, plan, nil)
		c.session.Kept = kept
		return c.reply(res, err, style)
	}
	if plan.Script.Header != nil { // the rest can be asked only of what runs
		if err := recipes.CheckFit(c.session.File, plan.Recipe, plan.Script.Header.Needs); err != nil {
			return fail(err)
		}
	}
	res, err := c.execute(ctx, plan, func(ctx context.Context, _ *looks.Look, sink rows.Sink) error {
		_, space := c.session.Memory()
		h := host.New(host.Options{Space: space, Sink: sink, Folders: plan.Recipe.Folders(c.catalogue), Limits: plan.Limits,
			Target: c.host.Target()})
		defer h.Close()
		return h.Run(ctx, plan.Script, plan.Params)
	})
	if res != nil && plan.Script.Header != nil {
		res.Columns = plan.Script.Header.Columns
	}
	return c.reply(res, err, style)
}

// reply makes text of a result.
func (c *Console) reply(res *rows.Result, err error, style rows.TableStyle) Reply {
	if err != nil {
		return Reply{Remarks: []string{err.Error()}, Failed: true}
	}
	var b strings.Builder
	cut, err := rows.WriteText(&b, res, style)
	r := Reply{Text: b.String(), Remarks: res.Log, Failed: res.Err != nil || len(res.Partial) > 0}
	if err != nil {
		r.Remarks = append(r.Remarks, err.Error())
	}
	for _, why := range res.Partial {
		r.Remarks = append(r.Remarks, "the output is partial: "+why)
	}
	if res.Err != nil {
		r.Remarks = append(r.Remarks, rows.ErrorText(res.Err))
	}
	for _, line := range append(res.LockWarnings(), res.Notes...) {
		r.Remarks = append(r.Remarks, "warning: "+line)
	}
	if cut {
		r.Remarks = append(r.Remarks, "cut to the terminal's width (…, or packages without their paths)")
	}
	if c.held.Load() == nil && res.Stats.Stops > 0 {
		r.Remarks = append(r.Remarks, res.Cost())
	}
	return r
}

// runLine runs a line's script. taken, if not nil, gets what it returns in the place of the screen.
func (c *Console) runLine(ctx context.Context, script *host.Script, l *looks.Look, sink rows.Sink,
	taken func([]lua.LValue)) error {
	opt := host.LineOptions{Sink: sink, Limits: host.Limits{Time: c.how.MaxTime}, View: attach.ViewKind(c.View()),
		Taken: taken}
	if l != nil {
		opt.Again, opt.Bulk, opt.MayBulk, opt.Answers = l.Again, l.WantBulk, l.MayBulk, l.Answers
	}
	return c.host.RunLine(ctx, script, opt)
}
