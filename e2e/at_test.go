package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// agent is a running ri serve.
type agent struct {
	cmd    *exec.Cmd
	at     string // of which it is asked
	folder string
	said   *text
}

// startAgent starts an agent that listens on a socket of its own, or where it is told.
func startAgent(t *testing.T, args ...string) *agent {
	t.Helper()
	return startAgentIn(t, nil, args...)
}

// startAgentIn has variables in the agent's environment, too.
func startAgentIn(t *testing.T, env []string, args ...string) *agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "ri") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &agent{at: "unix:" + filepath.Join(dir, "s"), folder: filepath.Join(dir, "agent"), said: &text{}}
	a.cmd = riCommand(append([]string{"serve", "--folder", a.folder, "--remote", "p" + a.at}, args...)...)
	a.cmd.Env = append(a.cmd.Env, env...)
	a.cmd.Stderr = a.said
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.cmd.Process.Signal(syscall.SIGTERM)
		a.cmd.Wait()
	})
	if err := eventually("the agent listens", func() (bool, error) {
		return strings.Contains(a.said.String(), "listening at"), nil
	}); err != nil {
		t.Fatalf("%v: %s", err, a.said)
	}
	return a
}

// told is what a command gave.
type told struct {
	out, err string
	code     int
}

// tell runs ri in a folder.
func tell(folder, in string, args ...string) told { return tellAs(folder, in, nil, args...) }

// tellAs has variables in ri's environment, too.
func tellAs(folder, in string, env []string, args ...string) told {
	cmd := riCommand(args...)
	cmd.Dir, cmd.Stdin = folder, strings.NewReader(in)
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+folder, "XDG_CONFIG_HOME="+folder), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code says it
	return told{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// varies is what differs between two runs of one command on a process that stands still: times and costs.
var varies = regexp.MustCompile(`"stopped_ns": [0-9]+|"uptime": [0-9]+|` +
	`stopped [^(]*\(|read [0-9.,]+ [A-Za-z]+|[0-9.,]+ (ns|us|ms|s|CPUs)\b|` +
	`[0-9.]+(ns|us|ms|s|h|m)\b|[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})? | in [0-9.]+ (s|ms)|[0-9]+ MB/s|[0-9.]+ (KiB|MiB) `)

func (r told) steady() told {
	r.out, r.err = varies.ReplaceAllString(r.out, "#"), varies.ReplaceAllString(r.err, "#")
	return r
}

// doneHere are the commands that aren't compared, and why.
var doneHere = map[string]string{
	"completion": "looks at no process", "fleet": "looks at no process", "help": "looks at no process",
	"lint": "looks at no process", "lua-api": "looks at no process", "man": "looks at no process",
	"pki": "looks at no process", "replay": "looks at no process", "serve": "looks at no process",
	"test": "looks at no process", "watch": "see TestAtWatch, TestAtOnATerminal",
}

// TestAtIsAsHere has commands done at an agent and here, on a process that stands still: what they print, say, make and
// exit with is the same.
func TestAtIsAsHere(t *testing.T) {
	p := startTarget(t, "local", "-objects", "200", "-seed", "7")
	p.cmd.Process.Signal(syscall.SIGSTOP)
	if err := awaitState(p.pid, "T"); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	a := startAgentIn(t, []string{"XDG_STATE_HOME=" + state})
	pid := fmt.Sprint(p.pid)
	files := map[string]string{
		"count.lua": "print('devices', #ri.var'main.store'.devices)",
		"my.lua": "return {title = 'mine', params = {{name = 'n', type = 'int', default = 1}},\n" +
			"run = function(p) ri.emit{n = p.n} end}",
		"more.yaml":   "mine: {instrument: my.lua}\n",
		"broken.lua":  "return {",
		"policy.yaml": "- keep: {package: 'main'}\n",
		"taken":       "there",
	}
	tests := []struct {
		args  string
		in    string
		makes string // the file that it makes, if it does
	}{
		{args: "version"},
		{args: "types ^main -p PID"},
		{args: "vars ^main -p PID"},
		{args: "funcs ^main -p PID"},
		{args: "whatis main.store -p PID"},
		{args: "print main.store --depth 4 -p PID"},
		{args: "print main.store --depth 4 -p PID --json"},
		{args: "print main.nothing -p PID"},
		{args: "find main.Store -p PID"},
		{args: "path main.store.devices -p PID"},
		{args: "recipes -p PID"},
		{args: "recipes --recipes more.yaml -v"},
		{args: "show goroutines"},
		{args: "show ./my.lua"},
		{args: "run goroutines -p PID --json -o rows.json"},
		{args: "run goroutines -p PID --folded -"},
		{args: "run goroutines -p PID --folded stacks.txt --quiet", makes: "stacks.txt"},
		{args: "run nothing -p PID"},
		{args: "run ./my.lua n=5 -p PID"},
		{args: "run ./none.lua -p PID"},
		{args: "run ./broken.lua -p PID"},
		{args: "run mine n=7 --recipes more.yaml -p PID"},
		{args: "run mine --recipes none.yaml -p PID"},
		{args: "exec count.lua -p PID"},
		{args: "exec ABS/count.lua -p PID"},
		{args: "exec -e return_1 -p PID"},
		{args: "exec -e error('no') -p PID"},
		{args: "run goroutines -p 999999999"},
		{args: "run goroutines"},
		{args: "core -p PID -o taken"},
		{args: "core -p PID -o ABS/whole.core"},
		{args: "core -p PID -o ABS/none/core"},
		{args: "report -p PID -o ABS/visit --only goroutines"},
		{args: "run goroutines -p PID -o ABS/none/rows"},
		{args: "run ABS/none.lua -p PID"},
		{args: "check -p PID --recipes ABS/none"},
		{args: "record -p PID -o taken"},
		{args: "record -p PID -o none/rec"},
		{args: "record -p PID -o one.rec --policy policy.yaml goroutines"},
		{args: "record -p PID -o two.rec --policy none.yaml goroutines"},
		{args: "set main.store.handler.limit 5 -p PID --dry-run"},
		{args: "set main.store.handler.limit 5 --was 3 -p PID --write --yes"},
		{args: "shell -p PID", in: "main.store.handler.limit\nmain.nothing\n:quit\n"},
		{args: "ps --where pid=PID"},
		{args: "ps --where pid=PID --json"},
		{args: "ps --where nothing=1"},
		{args: "doctor"},
		{args: "doctor -p PID"},
		{args: "check -p PID"},
		{args: "check -p PID --json --only deadlock"},
		{args: "check -p PID --skip nothing"},
		{args: "tables -p PID"},
		{args: "tables vars -p PID"},
		{args: "tables none -p PID"},
		{args: "report -p PID -o visit.html --only goroutines,locks"},
		{args: "report -p PID -o visit --only goroutines"},
		{args: "diff main.store.handler -p PID --interval 10ms"},
		{args: "top main.store.handler.limit -p PID -n 2 --interval 10ms"},
		{args: "trace main.(*Store).get -p PID --for 50ms"},
		{args: "trace main.nothing -p PID --for 50ms"},
		{args: "trace main.(*Store).get --places -p PID"},
		{args: "record calls main.Store -p PID -o calls --for 50ms"},
		{args: "record streams -p PID -o streams --for 50ms"},
		{args: "crash -p PID"},
		{args: "crash -p PID --json"},
		{args: "dlv -p PID", in: "goroutines\nprint main.store.units\nquit\n"},
		{args: "undo 99 --write --yes"},
		{args: "undo nothing"},
		{args: "log"},
		{args: "log --json"},
		{args: "log compact"},
		{args: "log truncate 1 --yes"},
		{args: "attach PID --nonsense"},
		{args: "find main.Device --max 2 -p PID --json"},
		{args: "run goroutines -p PID --where status=waiting --sort -count --limit 2"},
		{args: "run goroutines -p PID --group nothing"},
		{args: "run goroutines -p PID --pprof prof"},
		{args: "run goroutines -p PID --ndjson"},
		{args: "nonsense"},
		{args: "run --nonsense"},
		{args: "check --help"},
		{args: "new mine"},
		{args: "recording info none.rec"},
	}
	compared := map[string]bool{}
	for _, test := range tests {
		compared[strings.Fields(test.args)[0]] = true
	}
	words, _, _ := askRi(t, "__complete", "")
	for line := range strings.Lines(words) {
		if name, _, ok := strings.Cut(line, "\t"); ok && !compared[name] && doneHere[name] == "" {
			t.Errorf("ri %s isn't compared with ri --at %s", name, name)
		}
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			ran := func(at ...string) (told, string) {
				dir := t.TempDir()
				for name, text := range files {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				args := at
				for word := range strings.FieldsSeq(test.args) {
					word = strings.ReplaceAll(strings.ReplaceAll(word, "PID", pid), "ABS", dir)
					args = append(args, word)
				}
				r := tell(dir, test.in, args...)
				places := strings.NewReplacer(dir, "DIR", state, "DIR") // the journal lies at the agent's
				r.out, r.err = places.Replace(r.out), places.Replace(r.err)
				made := ""
				entries, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if info, err := e.Info(); err == nil && e.Name() != "ri" && e.Name() != "dlv" { // of this machine's user
						made += fmt.Sprintf("%s %v\n", e.Name(), info.Mode())
					}
				}
				if test.makes != "" {
					text, err := os.ReadFile(filepath.Join(dir, test.makes))
					made += fmt.Sprintf("%s %v", text, err)
				}
				return r, made
			}
			here, madeHere := ran()
			there, madeThere := ran("--at", a.at)
			if here, there := here.steady(), there.steady(); here != there {
				t.Errorf("here:\n%+v\nat the agent:\n%+v", here, there)
			}
			if madeHere != madeThere {
				t.Errorf("here it made\n%s\nat the agent\n%s", madeHere, madeThere)
			}
		})
	}
	left, err := os.ReadDir(filepath.Join(a.folder, "requests"))
	if err != nil || len(left) > 0 {
		t.Errorf("the agent kept %v of its requests: %v", left, err)
	}
}
