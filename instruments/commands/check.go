package commands

import (
	"slices"
	"strings"
	"time"

	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// CheckOptions are what `ri check` passes to the recipe check.
type CheckOptions struct {
	Interval   time.Duration // between the two looks
	Only, Skip []string      // names of checks
}

// PrepareCheck prepares the recipe check.
func PrepareCheck(c *recipes.Catalogue, opt CheckOptions, look looks.Options) (*looks.Plan, error) {
	if opt.Interval < 0 {
		return nil, rows.Usagef("--interval %v: a time from 0 on", opt.Interval)
	}
	if len(opt.Only) > 0 && !slices.ContainsFunc(opt.Only, func(name string) bool {
		return !slices.Contains(opt.Skip, name)
	}) {
		return nil, rows.Usagef("--skip has all that --only has: no check is left")
	}
	args := []string{"interval=" + opt.Interval.String()}
	if len(opt.Only) > 0 {
		args = append(args, "only="+strings.Join(opt.Only, ","))
	}
	if len(opt.Skip) > 0 {
		args = append(args, "skip="+strings.Join(opt.Skip, ","))
	}
	return looks.Prepare(c, "check", args, look)
}
