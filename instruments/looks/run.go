package looks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ri/attach"
	"ri/files"
	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/outside"
	"ri/symbols"
	"ri/values"
	"ri/values/eval"
)

// Plan is a run that was checked as far as it can be without a target.
type Plan struct {
	Recipe *recipes.Recipe
	Script *host.Script
	Params lang.Params
	View   attach.ViewKind
	Look   Options
	// Samples says that the stacks which the script can give are wanted.
	Samples bool

	// Until ends what the script traces, though not the script; nil: nothing does before its own limits.
	Until <-chan struct{}
	// Once: the script may look once.
	Once bool
	// After is called when the script has ended well, with what it gave, and may have some of it changed; nil: nobody
	// wants to.
	After func(*host.Given) error

	// Keeper, if not nil, is given the hits of what the script traces.
	Keeper HitKeeper

	outside   *outside.Allowed
	MaxStop   time.Duration
	Limits    host.Limits
	catalogue *recipes.Catalogue
}

// Prepare checks what a person asked for: a recipe by name, or an instrument by its file, with NAME=VALUE arguments.
func Prepare(c *recipes.Catalogue, name string, args []string, look Options) (*Plan, error) {
	recipe, err := recipes.FindRecipe(c, name)
	if err != nil {
		return nil, rows.Usage(err)
	}
	script, err := recipe.Script(c)
	if err != nil {
		return nil, rows.Usage(err)
	}
	header := script.Header
	if header == nil {
		header = &lang.Header{}
	}
	params, err := lang.ParseParams(header, recipe.Presets, args)
	if err != nil {
		return nil, rows.Usagef("recipe %s: %w (ri show %s says all)", recipe.Name, err, name)
	}
	return NewPlan(c, recipe, script, params, look)
}

// words are what a person types after ri run for the plan: the recipe, and what was given of its parameters.
func (p *Plan) words() string {
	words := rows.QuoteName(p.Recipe.Name)
	header := recipes.HeaderOf(p.Script)
	usual, err := lang.ParseParams(header, p.Recipe.Presets, nil)
	if err != nil {
		usual = lang.Params{} // one has no default
	}
	for _, decl := range header.Params {
		if value := fmt.Sprint(p.Params[decl.Name]); value != fmt.Sprint(usual[decl.Name]) {
			words += " " + rows.QuoteName(decl.Name+"="+value)
		}
	}
	return words
}

// execName is the recipe of a script that has no name.
const execName = "-e"

// PrepareLua checks a Lua file that needn't be an instrument, or Lua text where file is "". locks are expressions of
// mutexes that must be free, as a recipe's.
func PrepareLua(c *recipes.Catalogue, file, text string, locks []string, look Options) (*Plan, error) {
	recipe := &recipes.Recipe{Name: execName, Mode: recipes.Read, Scripts: files.Dir(".", false),
		Origin: recipes.Position{File: "-e"}}
	var script *host.Script
	var err error
	if file == "" {
		script, err = host.CompileExpression("-e", text)
	} else {
		if recipe, err = c.Bare(file); err == nil {
			script, err = recipe.Script(c)
		}
	}
	if err != nil {
		return nil, rows.Usage(err)
	}
	params := lang.Params{}
	if script.Header != nil {
		if params, err = lang.ParseParams(script.Header, nil, nil); err != nil {
			return nil, rows.Usagef("%s %w: run it as an instrument: ri run %s NAME=VALUE", file, err, file)
		}
	}
	recipe.Locks = append(recipe.Locks, locks...)
	return NewPlan(c, recipe, script, params, look)
}

func NewPlan(c *recipes.Catalogue, recipe *recipes.Recipe, script *host.Script, params lang.Params,
	look Options) (*Plan, error) {
	if err := look.Check(); err != nil {
		return nil, err
	}
	p := &Plan{Recipe: recipe, Script: script, Params: params, Look: look, catalogue: c}
	p.View, p.MaxStop = recipes.ViewOf(recipe)
	if look.View != "" {
		p.View = attach.ViewKind(look.View)
	}
	if p.Traces() {
		p.View = attach.Live // it goes on for as long as the trace
	}
	if look.MaxStop > 0 {
		p.MaxStop = look.MaxStop
	}
	p.Limits = recipe.Limits
	if look.MaxTime > 0 {
		p.Limits.Time = look.MaxTime
	}
	if rows := p.Limits.WithDefaults().Rows; look.MaxRows > 0 && (rows < 0 || rows > look.MaxRows) {
		p.Limits.Rows = look.MaxRows
	}
	var err error
	if p.outside, err = outside.Parse(look.Allow, look.Site); err != nil {
		return nil, rows.Usage(err)
	}
	if modules := recipes.HeaderOf(script).Modules; len(modules) > 0 {
		if missing := host.NeededModules(script.Header, p.outside); len(missing) > 0 {
			return nil, rows.Refused(fmt.Errorf("recipe %s reaches outside of the process (%s), which nobody has allowed: "+
				"--allow http=HOST:PORT, --allow file=FOLDER or --allow ovsdb=METHOD does, or the agent's configuration",
				recipe.Name, strings.Join(missing, ", ")))
		}
		if p.View == attach.Stopped {
			return nil, rows.Usagef("recipe %s reaches outside of the process, which must not be held meanwhile: --view "+
				"stopped won't do", recipe.Name)
		}
	}
	if recipe.Mode == recipes.Write {
		if err := look.Allowed("recipe " + recipe.Name); err != nil {
			return nil, err
		}
		if p.View == attach.Live {
			return nil, rows.Usagef("recipe %s changes the target, which needs a consistent look: --view live can't give one",
				recipe.Name)
		}
	}
	return p, nil
}

// CheckPlan says before any stop what of the plan this program can't give: what the instrument needs, what its
// parameters name, its locks.
func (s *Session) CheckPlan(ctx context.Context, p *Plan) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if p.Script.Header != nil {
		if err := recipes.CheckFit(s.File, p.Recipe, p.Script.Header.Needs); err != nil {
			return err
		}
	}
	if err := s.checkParams(ctx, p); err != nil {
		return err
	}
	return s.checkLocks(ctx, p)
}

// checkParams resolves what parameters name in the program, before the stop: types, and expressions by
// a look at them in live memory. That memory may be in motion, so only names that don't exist count.
func (s *Session) checkParams(ctx context.Context, p *Plan) error {
	if p.Script.Header == nil {
		return nil
	}
	for _, decl := range p.Script.Header.Params {
		text, ok := p.Params[decl.Name].(string)
		if !ok || text == "" {
			continue
		}
		var err error
		switch decl.Type {
		case lang.ParamGoType:
			err = s.File.KnowsType(text)
		case lang.ParamExpr:
			err = s.CheckExpr(ctx, text)
		}
		if errors.Is(err, rows.ErrUsage) {
			return rows.Usagef("parameter %s=%s: %w", decl.Name, text, err)
		}
		if err != nil {
			return rows.Refused(fmt.Errorf("parameter %s=%s: %w", decl.Name, text, err))
		}
	}
	return nil
}

// CheckExpr evaluates an expression on live memory, if that can be had, and reports what no memory could make right:
// wrong names, which are a refusal, and what is no expression, which is a wrong use.
func (s *Session) CheckExpr(ctx context.Context, expr string) error {
	if s.Info.Kind != "process" {
		return nil // a core holds still
	}
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return nil // the look itself will say why
	}
	defer view.Close()
	switch _, err = eval.Expression(s.Space(view), expr); {
	case wrongName(err):
		return rows.Refused(err)
	case errors.Is(err, values.ErrExpr) && view.Stats().BytesRead == 0: // whatever is in memory
		return rows.Usage(err)
	}
	return nil
}

// wrongName tells whether an expression failed for something that the program doesn't have.
func wrongName(err error) bool {
	return errors.Is(err, symbols.ErrNotFound) || errors.Is(err, symbols.ErrAmbiguous) ||
		errors.Is(err, values.ErrNoField) || errors.Is(err, symbols.ErrNoDWARF)
}

// Space joins the session's symbols with a view.
func (s *Session) Space(view attach.View) *values.Space {
	return s.spaceOf(attach.NewCache(view))
}

// Judge sorts the end of a run: a limit makes the result partial, all else is a failure. rehearsed is how long the
// script took without a limit.
func Judge(r *rows.Result, err error, p *Plan, rehearsed time.Duration) {
	switch {
	case err == nil:
	case errors.Is(err, attach.ErrDeadline):
		p.cutShort(r, fmt.Sprintf("%v; %s", err, p.longerStop(rehearsed)))
	case errors.Is(err, attach.ErrSuspended):
		p.cutShort(r, fmt.Sprintf("%v; run it again", err))
	case errors.Is(err, host.ErrTime), errors.Is(err, host.ErrMemory), errors.Is(err, host.ErrRows),
		errors.Is(err, host.ErrOutput):
		p.cutShort(r, err.Error())
	default:
		r.Err = err
	}
}

// cutShort notes a limit that a script came to. An instrument that says by itself what it left out has said it; why is
// left to be said.
func (p *Plan) cutShort(r *rows.Result, why string) {
	if p.Script.Header != nil && p.Script.Header.Less {
		r.LeftOut = append(r.LeftOut, "the rest: "+why)
		r.Printed = append(r.Printed, rows.PrintedLine{Row: len(r.Rows), Text: "left out: the rest: " + why})
		return
	}
	r.Partial = append(r.Partial, why)
}
