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
	"ri/serve/request"
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
			_ = c.RegisterFlagCompletionFunc("pid", o.completePIDs) // fails for flags that aren't there
		}
		if c.InheritedFlags().Lookup("at") != nil {
			_ = c.RegisterFlagCompletionFunc("at", completeHosts)
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
				c.ValidArgsFunction = o.completePIDs
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

// completePIDs are the Go processes, with their names: here, or where --at says.
func (o *options) completePIDs(*cobra.Command, []string, string) (words []string, _ cobra.ShellCompDirective) {
	if at := o.atGiven(); at != "" {
		var list []struct {
			PID  int
			Name request.Bytes // any bytes
			Go   string
		}
		askWords(at, &list, request.Request{Command: []string{"ps"}})
		for _, p := range list {
			words = append(words, fmt.Sprintf("%d\t%s %s", p.PID, string(p.Name), p.Go))
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	for _, p := range commands.ProcessIDs() {
		words = append(words, fmt.Sprintf("%d\t%s %s", p.PID, p.Name, p.GoVersion))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// recipeWords are the recipes, or the parameters of one, in this catalogue.
func (o *options) recipeWords(recipe string) []string {
	c, _, err := o.quietCatalogue()
	switch {
	case err != nil:
		return nil
	case recipe == "":
		return c.RecipeWords()
	}
	return console.ParameterWords(c, recipe)
}

// completeRecipe completes a recipe's name, and then its parameters.
func (o *options) completeRecipe(cmd *cobra.Command, args []string, typed string) (words []string,
	_ cobra.ShellCompDirective) {
	if len(args) == 0 && (strings.HasPrefix(typed, ".") || strings.Contains(typed, "/")) {
		return []string{"lua"}, cobra.ShellCompDirectiveFilterFileExt
	}
	known := o.recipeWords
	if at := o.atGiven(); at != "" {
		known = func(name string) []string { return o.recipeWordsAt(at, name) }
	}
	if len(args) == 0 {
		return known(""), cobra.ShellCompDirectiveNoFileComp
	}
	if cmd.Name() == "show" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	given := map[string]bool{}
	for _, a := range args[1:] {
		name, _, _ := strings.Cut(a, "=")
		given[name] = true
	}
	for _, w := range known(args[0]) {
		if name, _, _ := strings.Cut(w, "="); !given[name] {
			words = append(words, w)
		}
	}
	if pid, err := strconv.Atoi(typed); err == nil && pid > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
