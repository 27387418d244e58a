package looks

import (
	"context"
	"errors"
	"strings"
	"time"

	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// Attempt is a recipe that was to run on a target, and what became of it.
type Attempt struct {
	Recipe  *recipes.Recipe
	Header  *lang.Header
	Skipped string       // why it was not run; "" if it was
	Result  *rows.Result // nil if there was no look
	Err     error        // why there was none
	Took    time.Duration
}

// Every runs each reading recipe that fits the session's program and needs no parameter, one after the other, each
// caught and timed by itself. What a script remarks is in its result. choose says which (nil: all); before is called
// ahead of each run, after is given each attempt, also the skipped ones. The error is the cause of ctx, if that ended.
func (s *Session) Every(ctx context.Context, c *recipes.Catalogue, look Options, choose func(*recipes.Recipe) bool,
	before func(done, total int, name string), after func(Attempt) error) error {
	var plans []*Plan
	for _, r := range c.Recipes() {
		if choose != nil && !choose(r) {
			continue
		}
		a := Attempt{Recipe: r, Header: &lang.Header{}}
		plan, why := s.fitting(c, r, look)
		if plan != nil {
			plans = append(plans, plan)
			continue
		}
		if script, err := r.Script(c); err == nil {
			a.Header = recipes.HeaderOf(script)
		}
		a.Skipped = why
		if err := after(a); err != nil {
			return err
		}
	}
	for i, p := range plans {
		if before != nil {
			before(i, len(plans), p.Recipe.Name)
		}
		began := time.Now()
		a := Attempt{Recipe: p.Recipe, Header: recipes.HeaderOf(p.Script)}
		a.Err = host.Safely(func() (err error) {
			a.Result, err = s.tryPlan(ctx, p)
			return err
		})
		a.Took = time.Since(began)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err := after(a); err != nil {
			return err
		}
	}
	return nil
}

// Fitting are the plans of all reading recipes that fit the session's program and need no parameter. choose says which;
// nil: all.
func (s *Session) Fitting(c *recipes.Catalogue, look Options, choose func(*Plan) bool) (plans []*Plan) {
	for _, r := range c.Recipes() {
		if p, _ := s.fitting(c, r, look); p != nil && (choose == nil || choose(p)) {
			plans = append(plans, p)
		}
	}
	return plans
}

// NoRoom says why a plan can't have a copy of all memory within its limits; nil if it can.
func (s *Session) NoRoom(p *Plan) error {
	options := newLook(s, p).Options
	options.Bulk = true
	return s.AffordableOr(options, "", "")
}

// fitting is the plan of a recipe, or why there is none.
func (s *Session) fitting(c *recipes.Catalogue, r *recipes.Recipe, look Options) (*Plan, string) {
	if r.Mode == recipes.Write {
		return nil, "it changes the target"
	}
	script, err := r.Script(c)
	if err != nil {
		return nil, err.Error()
	}
	if lacks := recipes.ScriptLacks(s.File, script); len(lacks) > 0 {
		return nil, "the program lacks " + recipes.LacksText(lacks)
	}
	if len(recipes.HeaderOf(script).Modules) > 0 {
		return nil, "it reaches outside of the process, which has to be asked for by its name"
	}
	if len(recipes.HeaderOf(script).Probes) > 0 {
		return nil, "it traces, which has to be asked for by its name"
	}
	var needed []string
	for _, p := range recipes.HeaderOf(script).Params {
		if _, preset := r.Presets[p.Name]; p.Required && !preset {
			needed = append(needed, p.Name)
		}
	}
	preset := func(name string) bool { _, ok := r.Presets[name]; return ok }
	if lacking := recipes.HeaderOf(script).LacksOneOf(preset); lacking != "" {
		needed = append(needed, lacking)
	}
	if len(needed) > 0 {
		return nil, "it needs to be told " + strings.Join(needed, " and ")
	}
	plan, err := Prepare(c, r.Name, nil, look)
	if err != nil {
		return nil, err.Error()
	}
	return plan, ""
}

func (s *Session) tryPlan(ctx context.Context, p *Plan) (*rows.Result, error) {
	if err := errors.Join(s.checkParams(ctx, p), s.checkLocks(ctx, p)); err != nil {
		return nil, err
	}
	return s.Run(ctx, p, nil)
}
