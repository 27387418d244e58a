package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCompletionFromAfar: with --at, RI_AT or a name of hosts.yaml, what is completed is the agent's: its processes,
// recipes and their parameters, as the same words here would be.
func TestCompletionFromAfar(t *testing.T) {
	dir := t.TempDir()
	a := startAgentIn(t, []string{"RI_RECIPES=" + filepath.Join(dir, "own.yaml")})
	startTarget(t, "local", "-objects", "10", "-seed", "1")
	for name, text := range map[string]string{
		"own.yaml": "of-the-agent: {instrument: own.lua}\n",
		"own.lua": "return {title = 'its own', params = {{name = 'n', type = 'int', default = 1},\n" +
			"{name = 'all', type = 'bool', default = false}}, run = function(p) end}",
		"ri/hosts.yaml": "db7: " + a.at + "\ndb8: unix:/nowhere\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	complete := func(env string, args ...string) string {
		cmd := riCommand(append([]string{"__complete"}, args...)...)
		cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+dir, env)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("ri __complete %s: %v", args, err)
		}
		return string(out)
	}
	for _, at := range [][]string{{"", "--at", a.at}, {"", "--at=" + a.at}, {"RI_AT=" + a.at}, {"", "--at", "db7"}} {
		at, env := at[1:], at[0]
		for _, one := range []struct {
			args string
			has  string // a line
		}{
			{"run of", "of-the-agent\tits own"}, {"show of", "of-the-agent\tits own"}, {"run of-the-agent ", "all=true"},
			{"run of-the-agent ", "n="}, {"run goroutines group=", "group=false"}, {"run -p ", `\d+\ttarget go.*`},
			{"attach ", `\d+\ttarget go.*`}, {"print -p ", `\d+\ttarget go.*`}, {"run ./", "lua"},
		} {
			got := complete(env, append(at, strings.Split(one.args, " ")...)...)
			if ok, err := regexp.MatchString("(?m)^"+one.has+"$", got); err != nil || !ok {
				t.Errorf("%s %s %q: nothing is %q in\n%s", env, at, one.args, one.has, got)
			}
		}
	}
	for _, args := range [][]string{{"run", "gorou"}, {"run", "goroutines", ""}, {"show", "gorou"}, {"run", "goroutines",
		"state="}, {"exec", ""}, {"run", "--view", ""}} {
		here := complete("", args...)
		there := complete("RI_AT="+a.at, args...)
		if there = strings.Replace(there, "of-the-agent\tits own\n", "", 1); there != here {
			t.Errorf("%s: here\n%s\nat the agent\n%s", args, here, there)
		}
	}
	if got := complete("", "--at", ""); got != "db7\ndb8\n:4\n" {
		t.Errorf("--at: %q", got)
	}
	if got := complete("", "--at", "db8", "run", ""); got != ":4\n" {
		t.Errorf("of an agent that isn't there: %q", got)
	}
}
