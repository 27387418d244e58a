package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/looks"
	"ri/instruments/rows"
)

func newExec(o *options) *cobra.Command {
	source := ""
	var locks []string
	cmd := &cobra.Command{
		Use:   "exec (FILE.lua | -e 'LUA') -p PID",
		Short: "run plain Lua on a target",
		Long: `Run Lua that needn't be an instrument: no header, no parameters. With -e, the program's packages are
Lua globals, and what is returned is printed.`,
		Example: `  ri exec -e 'return main.server.requests' -p 4711
  ri exec -e 'for k, v in ri.pairs(main.cache) do print(k, v.size) end' -p 4711
  ri exec -e 'return #main.cache' --lock main.cacheMu -p 4711
  ri exec count.lua -p 4711`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("eval") {
				return exactly(0, "-e 'LUA' or a file, not both")(cmd, args)
			}
			return exactly(1, "a Lua file or -e 'LUA'")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			file := ""
			if len(args) > 0 {
				file = args[0]
			}
			plan, err := looks.PrepareLua(c, file, source, locks, o.look)
			if err != nil {
				return err
			}
			return o.withOutput(func(out *rows.Output) error {
				return o.run(cmd.Context(), out, plan)
			})
		},
	}
	cmd.Flags().StringVarP(&source, "eval", "e", "", "run `LUA`")
	cmd.Flags().StringArrayVar(&locks, "lock", nil,
		"look when the mutex `EXPR` is free: ri waits for it while the process runs; may be given again")
	o.addTarget(cmd.Flags())
	o.addLook(cmd.Flags())
	o.addLabel(cmd.Flags())
	o.addOutside(cmd.Flags())
	o.addRecipes(cmd.Flags())
	o.addProfile(cmd.Flags())
	o.addArrange(cmd.Flags())
	return cmd
}
