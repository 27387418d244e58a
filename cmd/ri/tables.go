package main

import (
	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/rows"
	"ri/serve/worker"
)

func newTables(o *options) *cobra.Command {
	asked := commands.TablesOptions{}
	cmd := &cobra.Command{
		Use:   "tables [TABLE ...] -p PID",
		Short: "a process as a database of OVSDB: its schema, rows, a transaction",
		Long: `Have a process as a database of OVSDB (RFC 7047): each recipe that needs no parameter and looks once is a
table.
Without anything else its schema is shown; with names of tables, their rows of one look, by _uuid; with --transact what
becomes of a transaction, as ri serve answers "transact". Columns that are mutable in the schema can be changed with
--write: what the transaction changes is made as ri set does, in the journal, and ri undo takes it back.`,
		Example: `  ri tables -p 4711
  ri tables goroutines nats_clients -p 4711
  ri tables -p 4711 --transact '["x", {"op": "select", "table": "goroutines", "where": [], "columns": ["id"]}]'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.catalogue()
			if err != nil {
				return err
			}
			asked.Names, asked.Redacted, asked.Key = args, worker.Redacted(), worker.Key()
			return o.withOutput(func(out *rows.Output) error {
				return commands.Tables(cmd.Context(), out, c, asked, o.look, o.target)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&asked.Database, "database", "", "the database's `NAME` (default: the executable's, and the pid)")
	f.StringVar(&asked.Transact, "transact", "", "do a transaction, `JSON`: what RFC 7047 has as its parameters")
	f.StringSliceVar(&asked.Owns, "owns", nil, "locks that \"assert\" finds held, `LOCKS`")
	f.BoolVar(&o.look.Write, "write", false, "allow changes to the target")
	o.addProcess(f)
	o.addCopy(f)
	o.addMaxTime(f)
	o.addJournal(f)
	o.addRecipes(f)
	return cmd
}
