package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// help fits a screen of 24 lines and 80 columns; a test says so.
const help = `ri asks a running Go process what it is doing: nothing to prepare, no restart,
a stop of a millisecond or two. What people do first:

  ri ps                         which Go processes are here
  ri recipes -p PID             what can be asked of one of them
  ri check -p PID               ask: what is wrong with it
  ri run goroutines -p PID      ask: where are its goroutines, since when
  ri shell -p PID               look around, at a prompt

All commands; ri COMMAND --help says more:
{{groups .}}
Most take -p PID, or -c CORE [--exe EXE], and
  --view live|snapshot|stopped  no stop, a copy (default), held while it runs
  --max-stop 100ms              the longest stop; then ri lets go and exits 5
  --json | --ndjson             one document, or a row a line
  -o FILE, -q                   results into a file; no remarks on stderr
Results go to stdout, all else to stderr. Exit codes: 0 done, 1 failed, 2 usage,
3 found something, 4 refused, 5 partial, 6 conflict, 130 Ctrl-C.
`

// groups are the commands by what they are for, as help lists them. What isn't named here stands in the last group.
var groups = []struct {
	name     string
	commands []string
}{
	{"ask", []string{"recipes", "show", "run", "check", "exec", "report", "fleet"}},
	{"look", []string{"shell", "attach", "print", "find", "path", "diff", "top", "trace", "dlv"}},
	{"names", []string{"types", "vars", "funcs", "whatis"}},
	{"take home", []string{"record", "recording", "replay", "core", "watch", "crash"}},
	{"change", []string{"set", "log", "undo"}},
	{"write", []string{"new", "lint", "test", "lua-api"}},
	{"ri itself", []string{"ps", "serve", "tables", "pki", "doctor", "version", "help", "completion", "man"}},
}

// groupsText is the list of commands in help.
func groupsText(root *cobra.Command) string {
	left := map[string]bool{}
	for _, c := range root.Commands() {
		left[c.Name()] = c.IsAvailableCommand()
	}
	var b strings.Builder
	for i, g := range groups {
		var names []string
		for _, name := range g.commands {
			if left[name] {
				names = append(names, name)
				left[name] = false
			}
		}
		if i == len(groups)-1 {
			for _, c := range root.Commands() {
				if left[c.Name()] {
					names = append(names, c.Name())
				}
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(&b, "  %-10s %s\n", g.name, strings.Join(names, ", "))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// commandHelp is cobra's, with text and flags broken to the terminal's width.
const commandHelp = `{{fill (or .Long .Short)}}

{{.UsageString}}`

func setHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("groups", groupsText)
	cobra.AddTemplateFunc("fill", func(text string) string { return fill(text, helpWidth()) })
	cobra.AddTemplateFunc("flags", func(f *pflag.FlagSet) string {
		return strings.TrimRight(f.FlagUsagesWrapped(helpWidth()), "\n")
	})
	usage := strings.NewReplacer(".LocalFlags.FlagUsages | trimTrailingWhitespaces", "flags .LocalFlags",
		".InheritedFlags.FlagUsages | trimTrailingWhitespaces", "flags .InheritedFlags").Replace(root.UsageTemplate())
	for _, c := range root.Commands() {
		c.SetUsageTemplate(usage)
		c.SetHelpTemplate(commandHelp)
	}
	root.SetHelpTemplate(help)
}

// helpWidth is the terminal's, within reason.
func helpWidth() int {
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return min(max(width, 40), 100)
}

// fill breaks text into lines of a width; indented lines stay as they are.
func fill(text string, width int) string {
	var out []string
	open := false // the last line may go on
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			out, open = append(out, line), false
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if last := len(out) - 1; open && len(out[last])+1+len(word) <= width {
				out[last] += " " + word
			} else {
				out, open = append(out, word), true
			}
		}
	}
	return strings.Join(out, "\n")
}
