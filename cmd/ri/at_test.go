package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ri/serve/request"
)

// Of each command and each of its flags an agent knows which role it needs, and where what it names lies; a flag that
// names a file is none that an agent would look for in its own folders.
func TestAgentKnowsAllCommands(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		name := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), "ri"))
		if !request.Known(name, "") {
			t.Errorf("ri %s isn't in the table of serve/request", name)
		}
		c.InheritedFlags()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || f.Name == "at" {
				return
			}
			if !request.Known(name, f.Name) {
				t.Errorf("--%s of ri %s isn't in the table of serve/request", f.Name, name)
			}
			what, _ := pflag.UnquoteUsage(f)
			switch what {
			case "FILE", "FOLDER", "DIR", "CORE", "EXE", "RECORDING", "KEY":
				if request.IsPlain(name, f.Name) {
					t.Errorf("--%s of ri %s names a %s, which the table of serve/request doesn't say", f.Name, name, what)
				}
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot().Command)
}
