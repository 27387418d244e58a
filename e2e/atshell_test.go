package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestShellFromAfar has a shell at an agent make a file where its lines come from, and go on with another process. What
// it prints, says and makes is what a shell of this machine does, and the agent writes down each process for itself.
func TestShellFromAfar(t *testing.T) {
	needAttach(t)
	var pids []string
	for _, name := range []string{"local", "local"} {
		p := startTarget(t, name, "-objects", "100", "-seed", "7")
		p.cmd.Process.Signal(syscall.SIGSTOP)
		if err := awaitState(p.pid, "T"); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, fmt.Sprint(p.pid))
	}
	a := startAgent(t)
	lines := "main.store.handler.limit\n:save my.lua\n:save my.lua\n:save ABS/sub/it.lua\n:save none/x.lua\n" +
		":save x.txt\n:attach " + pids[1] + "\n:attach\nmain.store.units\n:attach 999999999\nmain.store.units\n" +
		":save last.lua\n:run ./mine.lua x=5\n:run ABS/mine.lua\n:run ./none.lua\n:run ./bad.lua"
	seen := map[string]told{}
	for where, at := range map[string][]string{"here": nil, "there": {"--at", a.at}} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"mine.lua": `local helper = require "helper"
				return { title = "mine", category = "test", params = { { name = "x", type = "int", default = 1 } },
					run = function(p) print(helper.twice(p.x)) end }`,
			"helper.lua": `return { twice = function(x) return 2 * x end }`,
			"bad.lua":    `return {`,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := tell(dir, strings.ReplaceAll(lines, "ABS", dir), append(at, "shell", "-p", pids[0])...)
		for _, name := range []string{"my.lua", "sub/it.lua", "last.lua"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Errorf("%s: %v", where, err)
			}
			r.out += string(text)
		}
		r.err = strings.ReplaceAll(strings.ReplaceAll(r.err, dir, "DIR"), "-- -p 999999999: ", "-- ")
		seen[where] = r.steady()
	}
	if seen["here"] != seen["there"] {
		t.Errorf("here\n%+v\nat the agent\n%+v", seen["here"], seen["there"])
	}
	if !strings.Contains(seen["there"].err, "my.lua: is there already") {
		t.Errorf("a file was made twice: %s", seen["there"].err)
	}
	type entry struct {
		Request, Why string
		Stopped      float64 `json:"stopped_s"`
	}
	var entries []entry
	f, err := os.Open(filepath.Join(a.folder, "requests.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	for i, want := range []entry{
		{"shell --pid=" + pids[0], "it went on with process " + pids[1], 1},
		{"shell --pid=" + pids[1], "it went on with process 999999999", 1},
		{"shell --pid=999999999", "it went on with process " + pids[1], 0}, // which was looked at still
		{"shell --pid=" + pids[1], "", 1},
	} {
		if i >= len(entries) || entries[i].Request != want.Request || entries[i].Why != want.Why ||
			(entries[i].Stopped > 0) != (want.Stopped > 0) {
			t.Errorf("the agent wrote down %+v, want %+v", entries, want)
		}
	}

	// an agent of one process stays so, and what its shell is refused is no end of it
	one := startAgent(t, "-p", pids[0])
	r := tell(t.TempDir(), ":attach "+pids[1]+"\nmain.store.handler.limit\n", "--at", one.at, "shell", "-p", pids[0])
	if !strings.Contains(r.err, "answers for process "+pids[0]+" alone") || r.out != "100000\n" {
		t.Errorf("an agent of one process: %+v", r)
	}
}

// TestSaveIsConfirmed has :save at a terminal make a file only if who types says so: an agent knows what the keys make,
// and this machine doesn't.
func TestSaveIsConfirmed(t *testing.T) {
	needAttach(t)
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script (of util-linux) isn't there: make needs installs it")
	}
	p := startTarget(t, "local", "-objects", "100", "-seed", "7")
	state := t.TempDir()
	a := startAgentIn(t, []string{"XDG_STATE_HOME=" + state})
	dir := t.TempDir()
	question := "/my.lua here, "
	onTerminal(t, "a shell from afar", "sh -c "+quoteShell(fmt.Sprintf("cd %s; ri --at %s shell -p %d", dir, a.at, p.pid)),
		t.TempDir(), []string{"> ", "main.store.handler.limit\r", "100000", ":save my.lua\r", question, "n\r",
			"not confirmed", ":save my.lua\r", question, "\x03", "not confirmed", ":save my.lua\r", question, "y\r",
			"wrote my.lua", ":run ./my.lua\r", "/my.lua of this machine", "n\r", "not confirmed", ":run ./my.lua\r",
			"/my.lua of this machine", "y\r", "100000", ":save my.lua\r", question, "y\r", "is there already",
			":save yours.lua\r", "/yours.lua here, ", "yy\r", "not confirmed", ":quit\r"})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "my.lua" {
		t.Errorf("it made %v, %v", entries, err)
	}
	// what is typed from elsewhere is not the agent's user's history
	if _, err := os.Stat(filepath.Join(state, "ri", "history")); err == nil {
		t.Error("the lines are in the history of the agent's user")
	}
}
