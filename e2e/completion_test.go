package e2e

import (
	"fmt"
	"os/exec"
	"testing"
)

// The completions of ri, in the shells that they are for: commands, recipes, parameters, pids.
func TestCompletion(t *testing.T) {
	for _, shell := range []struct {
		name    string
		command []string
		load    string
	}{
		{"bash", []string{"bash", "--norc", "--noprofile"}, "source <(ri completion bash); PS1='typ''ed> '"},
		{"zsh", []string{"zsh", "-f"},
			"autoload -U compinit; compinit -u -D; source <(ri completion zsh); compdef _ri ri; PS1='typ''ed> '"},
		{"fish", []string{"fish", "--no-config"},
			"ri completion fish | source; function fish_prompt; echo -n typ'ed> '; end"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			if _, err := exec.LookPath(shell.name); err != nil {
				t.Skipf("%s isn't there: make needs installs it", shell.name)
			}
			p := startService(t)
			s := openScreen(t, 100, 40, append([]string{"env", "HOME=" + t.TempDir(), "TERM=screen"},
				shell.command...)...)
			s.enter(shell.load, "typed>")
			for _, c := range []struct{ typed, shows string }{
				{"ri doct", "ri doctor"},
				{"ri run gorou", "ri run goroutines"},
				{"ri run goroutines gr", "ri run goroutines group="},
				{"ri run goroutines group=t", "ri run goroutines group=true"},
				{"ri run --view sn", "ri run --view snapshot"},
			} {
				s.typed(c.typed)
				s.keys("Tab")
				s.shows(c.shows)
				s.keys("C-u", "C-l")
			}
			// All digits of the pid but the last: that is added, or it is in the list.
			pid := fmt.Sprint(p.pid)
			s.typed("ri run goroutines -p " + pid[:len(pid)-1])
			s.keys("Tab", "Tab")
			s.shows(pid)
		})
	}
}
