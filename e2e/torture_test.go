package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/symbols/testprogram"
)

// Changes under faults. Each trial makes a transaction of 64 words on a program that collects garbage all the time,
// with one fault, and then asks: does the program answer, is nothing of it stopped or traced, are all words old or all
// new, or does the journal say which are not and does ri undo put them back; and does the journal read. A brief round
// is part of the tests; RI_TORTURE=10m goes on for that long and prints the figures of docs/reliability.md.

// commitSteps are the steps of a commit at which ri is killed; see change/step_torture.go.
var commitSteps = []string{"planned", "journaled", "stopped", "compared", "between words", "written", "read back",
	"resumed", "recorded"}

// tortured is change/testdata/changed, running.
type tortured struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	ri      string // built with the tag torture
	journal string
	next    int // the value that the words get next
}

func newTortured(t *testing.T, ri string) *tortured {
	t.Helper()
	exe := testprogram.Build(t, "../change/testdata/changed", testprogram.Variant{Name: "default"})
	p := &tortured{t: t, ri: ri, journal: filepath.Join(t.TempDir(), "journal.db"), next: 1}
	p.cmd = exec.Command(exe, "-churn", "-race")
	p.cmd.Env = append(os.Environ(), "GODEBUG=gccheckmark=1", "GOMAXPROCS=2")
	p.in, p.out = testprogram.Run(t, p.cmd)
	t.Cleanup(p.end)
	p.read()
	return p
}

func (p *tortured) end() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func (p *tortured) read() string {
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("the program doesn't answer any more: %v", err)
	}
	return strings.TrimSpace(line)
}

func (p *tortured) ask(what string) string {
	if _, err := io.WriteString(p.in, what+"\n"); err != nil {
		p.t.Fatal(err)
	}
	return p.read()
}

// change is a transaction of all words, and of a string and a pointer.
func (p *tortured) change(env ...string) *exec.Cmd {
	value := p.next
	p.next++
	script := fmt.Sprintf(
		`ri.change('words to %d', function(tx) for i = 0, 63 do tx:update('main.words[' .. i .. ']', %d) end end)`, value,
		value)
	return p.run(env, "exec", "-e", script, "-p", strconv.Itoa(p.cmd.Process.Pid), "--write", "--yes", "-q",
		"--max-stop", "5s")
}

func (p *tortured) run(env []string, args ...string) *exec.Cmd {
	args = append(args, "--journal", p.journal)
	cmd := exec.Command(p.ri, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// check gives what doesn't hold; torn says that the words may be in part as meant, if the journal says so.
func (p *tortured) check() error {
	if err := untraced(p.cmd.Process.Pid); err != nil {
		return err
	}
	if got := p.ask("gc"); got != "collected" {
		return fmt.Errorf("the program says %q", got)
	}
	entries, err := p.log()
	if err != nil {
		return err
	}
	words := p.ask("words")
	if strings.HasPrefix(words, "whole ") {
		return nil
	}
	if len(entries) == 0 {
		return fmt.Errorf("the words are %s, and the journal is empty", words)
	}
	last := entries[len(entries)-1]
	if today, _ := last["today"].(string); !strings.Contains(today, "made in part") {
		return fmt.Errorf("the words are %.60s, and the journal says of %v: %v, %v", words, last["number"],
			last["state"], last["today"])
	}
	if out, err := p.run(nil, "undo", fmt.Sprint(last["number"]), "--write", "--yes", "-q", "--max-stop",
		"5s").CombinedOutput(); err != nil {
		return fmt.Errorf("ri undo: %v: %s", err, out)
	}
	if words := p.ask("words"); !strings.HasPrefix(words, "whole ") {
		return fmt.Errorf("after ri undo the words are %s", words)
	}
	return nil
}

// log reads the journal, with ri and with Open vSwitch where that is here.
func (p *tortured) log() (entries []map[string]any, err error) {
	out, err := p.run(nil, "log", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("ri log: %v", err)
	}
	if err := json.Unmarshal(out, &struct{ Rows any }{&entries}); err != nil {
		return nil, fmt.Errorf("ri log --json: %v", err)
	}
	if _, err := os.Stat(p.journal); err == nil {
		if tool, err := exec.LookPath("ovsdb-tool"); err == nil {
			if out, err := exec.Command(tool, "db-name", p.journal).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("ovsdb-tool db-name: %v: %s", err, out)
			}
		}
	}
	return entries, nil
}

// untraced waits until nobody traces the process, and none of its threads is stopped.
func untraced(pid int) error {
	var last string
	for range 400 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return err
		}
		last = ""
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "TracerPid:\t") && strings.TrimSpace(line) != "TracerPid:\t0" ||
				strings.HasPrefix(line, "State:\tT") || strings.HasPrefix(line, "State:\tt") {
				last += line
			}
		}
		if last == "" {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("it stays so: %s", last)
}

// exitCode runs a command and gives its exit code, -1 for a signal.
func exitCode(cmd *exec.Cmd) (int, string, error) {
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, "", err
	}
	return cmd.ProcessState.ExitCode(), all.String(), nil
}

// fault is one kind of trial.
type fault struct {
	name string
	try  func(t *testing.T, p *tortured) error
}

func (p *tortured) pointerAndString() error {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	to := []string{"server", "other"}[p.next%2]
	name := fmt.Sprintf("a name nobody has, the %dth", p.next)
	p.next++
	script := fmt.Sprintf(
		`ri.change('pointer', function(tx) tx:update('main.server.Next', ri.ref'main.%s');
			tx:update('main.greeting', %q) end)`, to, name)
	code, out, err := exitCode(p.run(nil, "exec", "-e", script, "-p", pid, "--write", "--yes", "-q", "--max-stop",
		"5s"))
	if err != nil || code != 0 && code != 4 && code != 6 {
		return fmt.Errorf("%v: ri exits with %d: %s", err, code, out)
	}
	if code == 0 {
		if got, want := p.ask("next"), fmt.Sprint(to == "server", to == "other"); got != want {
			return fmt.Errorf("the pointers are %s, want %s", got, want)
		}
		p.ask("gc")
		if got := p.ask("greeting"); got != name {
			return fmt.Errorf("the string is %q, want %q", got, name)
		}
	}
	return p.check()
}

func (p *tortured) twoAtOnce() error {
	var wait sync.WaitGroup
	problems := make([]error, 2)
	for i := range problems {
		cmd := p.change()
		cmd.Args = append(cmd.Args, "--wait", "5s")
		wait.Add(1)
		go func() {
			defer wait.Done()
			code, out, err := exitCode(cmd)
			if err != nil || code != 0 && code != 6 && code != 4 {
				problems[i] = fmt.Errorf("%v: ri exits with %d: %s", err, code, out)
			}
		}()
	}
	wait.Wait()
	return errors.Join(errors.Join(problems...), p.check())
}

func faults() []fault {
	var all []fault
	for _, step := range commitSteps {
		all = append(all, fault{"ri killed: " + step, func(_ *testing.T, p *tortured) error {
			code, out, err := exitCode(p.change("RI_KILL_AT=" + step))
			if err != nil {
				return err
			}
			if code != -1 && code != 4 && code != 6 { // 4, 6: it didn't get there, for the collector or the race
				return fmt.Errorf("ri exits with %d: %s", code, out)
			}
			return p.check()
		}})
	}
	return append(all,
		fault{"ri killed: at random", func(_ *testing.T, p *tortured) error {
			cmd := p.change()
			if err := cmd.Start(); err != nil {
				return err
			}
			time.Sleep(time.Duration(rand.IntN(120_000)) * time.Microsecond)
			cmd.Process.Kill()
			cmd.Wait()
			return p.check()
		}},
		fault{"no fault", func(_ *testing.T, p *tortured) error {
			if code, out, err := exitCode(p.change()); err != nil || code != 0 && code != 4 {
				return fmt.Errorf("%v: ri exits with %d: %s", err, code, out)
			}
			return p.check()
		}},
		fault{"a pointer and a new string", func(_ *testing.T, p *tortured) error { return p.pointerAndString() }},
		fault{"two transactions at once", func(_ *testing.T, p *tortured) error { return p.twoAtOnce() }},
		fault{"a value in a race", func(_ *testing.T, p *tortured) error {
			code, out, err := exitCode(p.run(nil, "set", "main.raced", "5", "-p", strconv.Itoa(p.cmd.Process.Pid),
				"--write", "--yes", "-q", "--max-stop", "5s"))
			if err != nil || code != 6 && code != 0 {
				return fmt.Errorf("%v: ri exits with %d: %s", err, code, out)
			}
			return p.check()
		}},
		fault{"the target killed in mid-transaction",
			func(t *testing.T, _ *tortured) error { return lost(t, commitSteps[1:6], (*tortured).end) }},
		fault{"the target execs in mid-transaction", func(t *testing.T, _ *tortured) error {
			return lost(t, commitSteps[1:2], func(p *tortured) {
				io.WriteString(p.in, "exec\n")
				p.read()
			})
		}},
		fault{"the journal's disk full: intent",
			func(t *testing.T, p *tortured) error { return diskFull(t, p, "planned", 4, 4) }},
		fault{"the journal's disk full: outcome",
			func(t *testing.T, p *tortured) error { return diskFull(t, p, "written", 1, 0) }},
	)
}

// lost has the target end, or become another program, while ri stands at one of some steps.
func lost(t *testing.T, steps []string, how func(*tortured)) error {
	p := newTortured(t, torturedRi)
	step := steps[rand.IntN(len(steps))]
	code, out, err := atStep(p, step, func() { how(p) })
	if err != nil {
		return err
	}
	if code == 0 && step != "written" && step != "read back" {
		return fmt.Errorf("at %s: ri says that it was made: %s", step, out)
	}
	entries, err := p.log()
	if err == nil && len(entries) == 0 {
		err = errors.New("the journal is empty")
	}
	if err == nil && code != 0 && entries[len(entries)-1]["state"] == "committed" {
		err = fmt.Errorf("at %s: ri exits with %d and the journal says committed", step, code)
	}
	return err
}

// atStep runs a change, does something while it stands at a step, and lets it go on.
func atStep(p *tortured, step string, do func()) (code int, out string, err error) {
	file := filepath.Join(p.t.TempDir(), "wait")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return 0, "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(file + ".reached"); err == nil {
				do()
				os.Remove(file)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return exitCode(p.change("RI_WAIT_AT=" + step + ":" + file))
}

// diskFull fills the file system of the journal while ri stands at a step. The outcome is short, and may find room in
// the file's last page.
func diskFull(t *testing.T, p *tortured, step string, want, or int) error {
	if os.Getuid() != 0 {
		t.Skip("only root mounts a file system that can be filled")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no file system that can be filled: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	journal := p.journal
	p.journal = filepath.Join(dir, "journal.db")
	defer func() { p.journal = journal }()
	if code, out, err := exitCode(p.change()); err != nil || code != 0 {
		return fmt.Errorf("%v: %d: %s", err, code, out)
	}
	before := p.ask("words")
	filler := filepath.Join(dir, "filler")
	code, out, err := atStep(p, step, func() { exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=1k").Run() })
	if err != nil {
		return err
	}
	if code != want && code != or {
		return fmt.Errorf("ri exits with %d, want %d: %s", code, want, out)
	}
	if after := p.ask("words"); want == 4 && after != before {
		return fmt.Errorf("the words were %s and are %s", before, after)
	}
	os.Remove(filler)
	return p.check()
}

// torturedRi is ri with the steps in it.
var torturedRi string

func TestTorture(t *testing.T) {
	if !mayAttach() {
		t.Skip("ptrace is not allowed here")
	}
	torturedRi = buildTortured(t)
	long, _ := time.ParseDuration(os.Getenv("RI_TORTURE"))
	all := faults()
	trials, violations := map[string]int{}, map[string][]string{}
	p := newTortured(t, torturedRi)
	for began, n := time.Now(), 0; n < len(all) || time.Since(began) < long; n++ {
		f := all[n%len(all)]
		if n >= len(all) && rand.IntN(3) > 0 { // most at random moments
			f = all[slices.IndexFunc(all, func(f fault) bool { return f.name == "ri killed: at random" })]
		}
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			if err := f.try(t, p); err != nil {
				violations[f.name] = append(violations[f.name], err.Error())
				t.Error(err)
			}
			trials[f.name]++
		})
		if n%200 == 199 { // or the journal becomes what takes the time
			p.run(nil, "log", "truncate").Run()
		}
	}
	total := 0
	table := "| fault | trials | violations |\n| --- | --- | --- |\n"
	for _, f := range all {
		table += fmt.Sprintf("| %s | %d | %d |\n", f.name, trials[f.name], len(violations[f.name]))
		total += trials[f.name]
	}
	if long > 0 {
		fmt.Fprintf(os.Stderr, "%s%d trials\n", table, total)
	}
}
