package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What breaks between who asks and an agent, or is one of them: nothing of the target stays stopped, traced or armed, a
// change is whole or the journal says what of it isn't, and the agent keeps nothing of who is gone. RI_TRIALS=1000 goes
// on for longer.

// fallible is an agent that is killed and started anew, asked through a wire that breaks, of a program whose words are
// changed.
type fallible struct {
	*tortured
	wire  *between
	dir   string
	agent *exec.Cmd
	code  [][32]byte // of the program, by pages
}

func newFallible(t *testing.T) *fallible {
	t.Helper()
	if !mayAttach() {
		t.Skip("ptrace is not allowed here")
	}
	dir, err := os.MkdirTemp("", "ri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fallible{tortured: newTortured(t, buildTortured(t)), dir: dir}
	f.journal = filepath.Join(dir, "ri", "journal.db")
	f.code = f.text()
	f.wire = startBetween(t, "unix:"+filepath.Join(dir, "s"))
	t.Cleanup(func() {
		if f.agent != nil {
			f.kill()
		}
	})
	return f
}

// text is the program's own code, as it is in memory.
func (f *fallible) text() (pages [][32]byte) {
	for _, r := range memoryOf(f.t, f.cmd.Process.Pid, func(perms, path string) bool { return perms == "r-xp" }) {
		pages = append(pages, r.pages...)
	}
	return pages
}

// serve starts the agent.
func (f *fallible) serve(env ...string) {
	f.t.Helper()
	f.agent = exec.Command(f.ri, "serve", "--folder", filepath.Join(f.dir, "agent"), "--remote",
		"punix:"+filepath.Join(f.dir, "s"), "--stop-budget", "0")
	f.agent.Env = append(append(os.Environ(), "XDG_STATE_HOME="+f.dir), env...)
	said := &text{}
	f.agent.Stderr = said
	if err := f.agent.Start(); err != nil {
		f.t.Fatal(err)
	}
	if err := eventually("the agent listens", func() (bool, error) {
		return strings.Contains(said.String(), "listening at"), nil
	}); err != nil {
		f.t.Fatalf("%v: %s", err, said)
	}
}

// kill kills the agent as kill -9 does.
func (f *fallible) kill() {
	f.agent.Process.Kill()
	f.agent.Wait()
	f.agent = nil
}

// idle waits until nothing is under way: at an agent that lives its requests have ended, and one that is dead has no
// process left.
func (f *fallible) idle() error {
	if f.agent != nil {
		return eventually("the agent has ended what it was asked", func() (bool, error) {
			left, err := os.ReadDir(filepath.Join(f.dir, "agent", "requests"))
			return len(left) == 0, err
		})
	}
	return eventually("the dead agent's workers have ended", func() (bool, error) {
		all, err := filepath.Glob("/proc/[0-9]*/environ")
		for _, name := range all {
			if env, err := os.ReadFile(name); err == nil && bytes.Contains(env, []byte("XDG_STATE_HOME="+f.dir+"\x00")) {
				return false, nil
			}
		}
		return true, err
	})
}

// changing is a change of all words from afar, and what they are to be.
func (f *fallible) changing() (cmd *exec.Cmd, to string) {
	f.next++
	to = strconv.Itoa(f.next)
	script := fmt.Sprintf("ri.change('words to %s', function(tx) "+
		"for i = 0, 63 do tx:update('main.words[' .. i .. ']', %s) end end)", to, to)
	return f.asks("exec", "-e", script, "--write", "--yes", "-q", "--max-stop", "5s"), to
}

// asks is a command from afar, of the program.
func (f *fallible) asks(args ...string) *exec.Cmd {
	return exec.Command(f.ri, append([]string{"--at", f.wire.at, args[0], "-p", strconv.Itoa(f.cmd.Process.Pid)},
		args[1:]...)...)
}

// good gives what doesn't hold, once all has ended. to is what a change was to make of the words, "" if there was none.
func (f *fallible) good(before, to string) error {
	if err := f.idle(); err != nil {
		return err
	}
	words := f.ask("words")
	if err := f.check(); err != nil { // puts back what was made in part
		return err
	}
	if err := eventually("the program's code is as it was", func() (bool, error) {
		now := f.text()
		for i, page := range now {
			if page != f.code[i] {
				return false, nil
			}
		}
		return len(now) == len(f.code), nil
	}); err != nil {
		return err
	}
	if to == "" || !strings.HasPrefix(words, "whole ") {
		return nil
	}
	if f.agent == nil {
		f.serve()
	}
	out, err := exec.Command(f.ri, "--at", f.wire.at, "log", "--json").Output()
	var entries []struct{ Comment, State, Today string }
	if err == nil {
		err = json.Unmarshal(out, &struct{ Rows any }{&entries})
	}
	if err != nil {
		return fmt.Errorf("ri log --at: %v: %s", err, out)
	}
	made := words == "whole "+to
	if !made && words != before {
		return fmt.Errorf("the words were %q, were to be %q, and are %q", before, to, words)
	}
	said := "the journal has nothing of it"
	for _, e := range entries {
		if e.Comment == "words to "+to {
			said = e.State + ": " + e.Today
		}
	}
	ok := strings.HasPrefix(said, "committed") || strings.Contains(said, "all was made")
	if !made {
		ok = strings.HasPrefix(said, "the journal") || strings.HasPrefix(said, "rolled back") ||
			strings.Contains(said, "nothing was made")
	}
	if !ok {
		return fmt.Errorf("the words were %q, were to be %q, and are %q; ri log --at says %s", before, to, words, said)
	}
	return nil
}

// breaks are the ways in which it breaks.
var breaks = []struct {
	name string
	do   func(f *fallible, client *exec.Cmd)
}{
	{"the agent is killed", func(f *fallible, _ *exec.Cmd) { f.kill() }},
	{"who asks is killed", func(_ *fallible, client *exec.Cmd) { client.Process.Kill() }},
	{"the connection is cut", func(f *fallible, _ *exec.Cmd) { f.wire.cut() }},
}

// TestBrokenOff has it break at random moments of looks, traces and changes.
func TestBrokenOff(t *testing.T) {
	f := newFallible(t)
	const seed = 17
	random := rand.New(rand.NewPCG(seed, seed))
	ways := [][]string{
		{"run", "goroutines", "--max-stop", "10s"},
		{"exec", "-e", attaching, "--view", "stopped", "--max-time", "5m", "--max-stop", "10s"},
		{"trace", "main.answer", "--for", "5m", "--budget", "50%"},
		{"record", "-o", filepath.Join(f.dir, "rec"), "goroutines", "--max-stop", "10s"},
		nil, // a change
		nil,
	}
	ended := map[string]int{}
	for trial := range trials(9) {
		if f.agent == nil {
			f.serve()
		}
		before, to := f.ask("words"), ""
		way, how := ways[trial%len(ways)], breaks[(trial+trial/len(ways))%len(breaks)]
		var cmd *exec.Cmd
		if way == nil {
			cmd, to = f.changing()
		} else {
			cmd = f.asks(way...)
		}
		said := &text{}
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		delay := time.Duration(random.IntN(150_000)) * time.Microsecond
		if trial%len(ways) == 2 && random.IntN(2) == 0 { // of a trace, once it has armed as well
			_ = eventually("it is armed", func() (bool, error) {
				return strings.Contains(said.String(), "armed") || strings.Contains(said.String(), "doesn't let"), nil
			})
		}
		time.Sleep(delay) // which moment it is, no test says; that any may be, all of them do
		how.do(f, cmd)
		_ = cmd.Wait() // it is lost, or was done
		f.wire.mend()
		ended[fmt.Sprintf("%s, %s: %d", cmd.Args[3], how.name, cmd.ProcessState.ExitCode())]++
		if err := f.good(before, to); err != nil {
			t.Fatalf("trial %d, seed %d: %v, %s after %v: %v\nit said %s", trial, seed, cmd.Args[3:], how.name, delay, err,
				said)
		}
	}
	t.Log(ended)
}

// TestBrokenOffAtEachStep has it break at each step of a change.
func TestBrokenOffAtEachStep(t *testing.T) {
	f := newFallible(t)
	for number, step := range commitSteps {
		for i, how := range breaks {
			if number%len(breaks) != i && !allVersions() { // each step, and each break three times
				continue
			}
			file := filepath.Join(t.TempDir(), "wait")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			f.serve("RI_WAIT_AT=" + step + ":" + file)
			before := f.ask("words")
			cmd, to := f.changing()
			said := &text{}
			cmd.Stdout, cmd.Stderr = said, said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if err := eventually("the change is at the step", func() (bool, error) {
				select {
				case err := <-ended: // it didn't get there, for the collector
					ended <- err
					return true, nil
				default:
				}
				_, err := os.Stat(file + ".reached")
				return err == nil, nil
			}); err != nil {
				t.Fatal(err)
			}
			how.do(f, cmd)
			os.Remove(file)
			err := <-ended
			f.wire.mend()
			if err == nil && f.agent == nil {
				t.Errorf("at %q, %s: it says that it was made", step, how.name)
			}
			if err := f.good(before, to); err != nil {
				t.Errorf("at %q, %s: %v\nit said %s", step, how.name, err, said)
			}
			if f.agent != nil {
				f.kill()
			}
		}
	}
}

// buildTortured builds ri with the steps in it.
var tortureBuilt = sync.OnceValue(func() error {
	build := exec.Command("go", "build", "-tags", "torture", "-o", filepath.Join(bin, "ri-torture"), "./cmd/ri")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v\n%s", err, out)
	}
	return nil
})

func buildTortured(t *testing.T) string {
	t.Helper()
	if err := tortureBuilt(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(bin, "ri-torture")
}
