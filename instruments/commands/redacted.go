package commands

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/instruments/lang"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/record"
	"ri/record/redact"
)

// RunRedacted runs a recipe so that who reads what it shows learns no more than from a recording: what it looks at is
// recorded, in memory, and the recipe then runs on that. So what it sorts, compares and selects by is redacted, too,
// and so is what it says when it fails. The key of the tokens is thrown away.
func RunRedacted(ctx context.Context, out *rows.Output, p *looks.Plan, choice looks.TargetChoice) error {
	if err := forViewers(p); err != nil {
		return err
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckPlan(ctx, p); err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("ri-redacted", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("a recording in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "a recording in memory")
	defer file.Close()
	recorder := record.New(s, record.Options{Policy: &redact.Policy{}, Key: redact.NewKey(), Look: p.Look,
		Version: OwnVersion()})
	// Nobody listens: what a script says while it looks at the process isn't redacted.
	_, results, whole, err := recorder.State(ctx, []*looks.Plan{p}, file, nil)
	if err != nil {
		return err
	}
	of := looks.TargetChoice{Recording: fmt.Sprintf("/proc/self/fd/%d", fd)}
	recorded, err := looks.OpenSession(of)
	if err != nil {
		return err
	}
	defer recorded.Close()
	result, err := recorded.Run(ctx, p, out)
	if err != nil {
		return err
	}
	if errors.Is(result.Err, attach.ErrNotSupported) {
		result.Err = rows.Refused(fmt.Errorf("recipe %s needs the process itself, and a viewer's runs on a redacted "+
			"recording of it: it needs the role author (%w)", p.Recipe.Name, result.Err))
	}
	result.Stats, result.Target = whole.Stats, s.Info
	for _, r := range results {
		if len(r.Partial) > 0 { // its words may be the program's
			result.Partial = append(result.Partial, "a limit was hit while it was looked at")
		}
	}
	return out.Conclude(result)
}

// forViewers refuses what is none of a viewer's: recipes that change or trace, and expressions.
func forViewers(p *looks.Plan) error {
	switch {
	case p.Recipe.Mode == recipes.Write:
		return rows.Refused(fmt.Errorf("recipe %s changes the target, which needs the role operator", p.Recipe.Name))
	case len(recipes.HeaderOf(p.Script).Modules) > 0:
		return rows.Refused(fmt.Errorf("recipe %s reaches outside of the process, which needs the role author",
			p.Recipe.Name))
	case p.Traces():
		return rows.Refused(fmt.Errorf("recipe %s traces, which needs the role author", p.Recipe.Name))
	}
	for _, param := range recipes.HeaderOf(p.Script).Params {
		if param.Type != lang.ParamExpr && param.Type != lang.ParamHit && param.Type != lang.ParamGoType {
			continue
		}
		given := fmt.Sprint(p.Params[param.Name])
		if p.Params[param.Name] != nil && given != "" && given != p.Recipe.Presets[param.Name] &&
			given != fmt.Sprint(param.Default) {
			return rows.Refused(fmt.Errorf("parameter %s of recipe %s is an expression of the program, which needs the role "+
				"author", param.Name, p.Recipe.Name))
		}
	}
	return nil
}
