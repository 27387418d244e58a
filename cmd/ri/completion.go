package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ri/instruments/commands"
	"ri/instruments/console"
	"ri/instruments/rows"
)

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "write completion for a shell",
		Long: `Write what a shell needs to complete commands, flags, pids of Go processes, recipes and their parameters.
make install puts it where the shells look.`,
		Example: "  source <(ri completion bash)\n  ri completion zsh > \"${fpath[1]}/_ri\"\n  ri completion fish > " +
			"~/.config/fish/completions/ri.fish",
		Args:      exactly(1, "bash, zsh or fish"),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				if _, err := io.WriteString(stdout, bashWords); err != nil {
					return err
				}
				return cmd.Root().GenBashCompletionV2(stdout, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(stdout)
			case "fish":
				return cmd.Root().GenFishCompletion(stdout, true)
			}
			return rows.Usagef("ri completion %s: there are bash, zsh and fish", args[0])
		},
	}
}

// bashWords are the functions of the package bash-completion that cobra's script can't do without, for where that isn't
// installed.
const bashWords = `if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref() {
        local line=${COMP_LINE:0:COMP_POINT}
        read -ra words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        cword=$((${#words[@]} - 1)) cur=${words[cword]} prev=${words[cword - 1]}
    }
fi
if ! declare -F _filedir >/dev/null; then
    _filedir() {
        local IFS=$'\n' files=""
        [[ $1 == -d ]] || files=$(compgen -f -- "$cur" | grep -E "[.](${1%|})\$")
        COMPREPLY=($(compgen -d -- "$cur") $files)
        compopt -o filenames
    }
fi
`

// completeWords says what flags and arguments can be.
func (o *options) completeWords(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Flags().Lookup("pid") != nil {
			_ = c.RegisterFlagCompletionFunc("pid", completePIDs) // fails for flags that aren't there
		}
		if c.Flags().Lookup("view") != nil {
			_ = c.RegisterFlagCompletionFunc("view", cobra.FixedCompletions([]string{"live", "snapshot", "stopped"},
				cobra.ShellCompDirectiveNoFileComp))
		}
		if c.Flags().Lookup("recipes") != nil {
			_ = c.RegisterFlagCompletionFunc("recipes", completeFiles("yaml", "yml"))
		}
		switch c.Name() {
		case "attach", "watch":
			if c.ValidArgsFunction == nil {
				c.ValidArgsFunction = completePIDs
			}
		case "run", "show":
			c.ValidArgsFunction = o.completeRecipe
		case "exec":
			c.ValidArgsFunction = completeFiles("lua")
		case "lint":
			c.ValidArgsFunction = completeFiles("lua", "yaml", "yml")
		case "test":
			c.ValidArgsFunction = completeFiles("test.yaml")
		case "man":
			c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
		default:
			if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
				c.ValidArgsFunction = cobra.NoFileCompletions
			}
		}
	}
}

// completeFiles are files that end in one of these, and folders.
func completeFiles(ends ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return ends, cobra.ShellCompDirectiveFilterFileExt
	}
}

// completePIDs are the Go processes, with their names.
func completePIDs(*cobra.Command, []string, string) (words []string, _ cobra.ShellCompDirective) {
	for _, p := range commands.ProcessIDs() {
		words = append(words, fmt.Sprintf("%d\t%s %s", p.PID, p.Name, p.GoVersion))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeRecipe completes a recipe's name, and then its parameters.
func (o *options) completeRecipe(cmd *cobra.Command, args []string, typed string) (words []string,
	_ cobra.ShellCompDirective) {
	c, _, err := o.quietCatalogue()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if len(args) == 0 {
		if strings.HasPrefix(typed, ".") || strings.Contains(typed, "/") {
			return []string{"lua"}, cobra.ShellCompDirectiveFilterFileExt
		}
		return c.RecipeWords(), cobra.ShellCompDirectiveNoFileComp
	}
	if cmd.Name() == "show" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	given := map[string]bool{}
	for _, a := range args[1:] {
		name, _, _ := strings.Cut(a, "=")
		given[name] = true
	}
	for _, w := range console.ParameterWords(c, args[0]) {
		if name, _, _ := strings.Cut(w, "="); !given[name] {
			words = append(words, w)
		}
	}
	if pid, err := strconv.Atoi(typed); err == nil && pid > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
