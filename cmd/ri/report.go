package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/rows"
	"ri/report"
)

func newReport(o *options) *cobra.Command {
	var opt report.Options
	cmd := &cobra.Command{
		Use:   "report -p PID -o DIR|FILE.html",
		Short: "run every reading recipe that fits; a page and a folder for who wasn't there",
		Long: `Run every reading recipe that fits the program and needs no parameter, and write what they found: a folder
with a page for people (index.html) and each recipe's result as JSON and as text, or, if the name ends in .html, the
page alone. The page needs no network.

A recipe that fails, or that would stop the process for longer than allowed, is noted in the report; the others run all
the same.`,
		Example: `  ri report -p 4711 -o visit
  ri report -p 4711 -o visit.html --skip heap
  ri report -c core.4711 --exe ./server -o crash.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			if o.json || o.ndjson {
				return rows.Usagef("ri report writes a page, and JSON beside it if -o names a folder: no --json")
			}
			opt.Path, opt.Look = o.out, o.look
			return report.Write(cmd.Context(), o.remarks(), c, o.target, opt)
		},
	}
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addRecipes(cmd.Flags())
	cmd.Flags().StringSliceVar(&opt.Only, "only", nil, "run only these `RECIPES`, separated by commas")
	cmd.Flags().StringSliceVar(&opt.Skip, "skip", nil, "don't run these `RECIPES`, separated by commas")
	return cmd
}
