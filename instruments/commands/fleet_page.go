package commands

import (
	"context"
	"fmt"

	"ri/fleet"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/web"
)

// PageChoice is what the page is served by.
type PageChoice struct {
	DB      string // the fleet's database
	Methods string
	Own     *pki.Identity // who it is for browsers; nil: nobody
	As      *pki.Identity // as whom it asks agents; nil: as who it is, if only this machine reaches it
}

// ServePage serves the page by which a fleet is watched.
func ServePage(ctx context.Context, out *rows.Output, c *recipes.Catalogue, choice PageChoice) error {
	if choice.DB == "" {
		return rows.Usagef("--web shows a fleet: --db METHOD says where its database is (ri fleet db serves one)")
	}
	place, err := fleet.ParseDatabase(choice.DB)
	if err != nil {
		return rows.Usage(fmt.Errorf("--db: %w", err))
	}
	s := &web.Server{Identity: choice.Own, Say: out.Log, Recipes: offered(c)}
	if s.Methods, err = method.ParseList(choice.Methods); err != nil {
		return rows.Usage(fmt.Errorf("--web: %w", err))
	}
	as := choice.As
	s.Asks = as != nil
	if as == nil {
		as = choice.Own
		s.Asks = as == nil || as.Kind != pki.Tracer && as.Kind != pki.Agent
		for _, m := range s.Methods {
			s.Asks = s.Asks && !m.TLS
		}
	}
	place.Identity = as
	s.Asker = &fleet.Asker{Database: place, Identity: as, Version: OwnVersion(), Say: out.Log}
	return rows.Refused(s.Serve(ctx))
}

// offered are the recipes that only look, and at nothing but processes.
func offered(c *recipes.Catalogue) (out []web.Recipe) {
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil || r.Mode != recipes.Read {
			continue
		}
		header := recipes.HeaderOf(script)
		if len(header.Modules)+len(header.Probes) > 0 {
			continue
		}
		one := web.Recipe{Name: r.Name, Title: r.TitleOr(script.Header), Shape: header.Columns}
		for _, p := range header.Params {
			if _, preset := r.Presets[p.Name]; preset {
				continue
			}
			param := web.Param{Name: p.Name, Type: string(p.Type), Values: p.Values, Required: p.Required, Help: p.Help}
			if p.Default != nil {
				param.Default = rows.CellText(p.Default)
			}
			one.Params = append(one.Params, param)
		}
		out = append(out, one)
	}
	return out
}
