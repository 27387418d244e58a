package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// anonymous is how much anonymous memory a process has, in bytes.
func anonymous(t *testing.T, pid int) int64 {
	t.Helper()
	values, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(values)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

// TestSlowReader has one who asks for much and takes none of it: the agent sends a few pieces, and its memory doesn't
// grow; what was asked goes on when it is taken.
func TestSlowReader(t *testing.T) {
	f := newFallible(t)
	f.serve()
	const much = 24 << 20
	r := speak(t, f.wire.at)
	pieces, size := 0, 0
	r.heard = func(method string, params []json.RawMessage) {
		if method == "ri_output" && string(params[1]) == "1" {
			pieces++
			size += len(piece(params[2]))
		}
	}
	script := fmt.Sprintf("local s = ('x'):rep(1023) for i = 1, %d do print(s) end", much>>10)
	r.last++
	pid := fmt.Sprint("--pid=", f.cmd.Process.Pid)
	first := r.begin("ri_run", r.last, rawRequest("exec", pid, "--view=live", "--eval="+script))
	before := anonymous(t, f.agent.Process.Pid)
	var waiting []rawMessage
	r.answers = false
	for len(waiting) < 8 { // request.Ahead
		if m := r.next(); m.Method == "ri_output" {
			waiting = append(waiting, m)
		}
	}
	for range 20 { // what comes next is the answer to an echo each time: nothing more is sent
		if _, failed := r.call("echo"); failed != "" || pieces > 8 {
			t.Fatalf("%d pieces came that nobody has taken; %s", pieces, failed)
		}
	}
	r.answers = true
	for _, m := range waiting {
		r.say(map[string]any{"id": m.ID, "result": map[string]any{}, "error": nil})
	}
	most := int64(0)
	for {
		m := r.next()
		if pieces%16 == 0 {
			most = max(most, anonymous(t, f.agent.Process.Pid))
		}
		if string(m.ID) == fmt.Sprint(first) && m.Method == "" {
			break
		}
	}
	if size != much {
		t.Errorf("%d bytes came of %d", size, much)
	}
	if most > before+(12<<20) {
		t.Errorf("the agent had %d MiB, and has up to %d while %d MiB went through it", before>>20, most>>20, much>>20)
	}
}

// TestUnanswered has the connection end while a change waits for a yes: it isn't made, and not in the journal.
func TestUnanswered(t *testing.T) {
	f := newFallible(t)
	f.serve()
	before := f.ask("words")
	r := speak(t, f.wire.at)
	said := ""
	r.heard = func(_ string, params []json.RawMessage) { said += piece(params[2]) }
	asked := rawRequest("set", fmt.Sprint("--pid=", f.cmd.Process.Pid), "--write=true", "--max-stop=5s", ":main.words[3]",
		":77")
	asked["input"], asked["terminal"] = true, map[string]any{"in": true, "out": true, "err": true, "raw": true}
	r.last++
	r.begin("ri_run", r.last, asked)
	for !strings.Contains(said, "[y/N]") {
		r.next()
	}
	f.wire.cut()
	f.wire.mend()
	if err := f.good(before, ""); err != nil {
		t.Error(err)
	}
	if words := f.ask("words"); words != before {
		t.Errorf("the words were %s and are %s", before, words)
	}
	if entries, err := f.log(); err != nil || len(entries) != 0 {
		t.Errorf("the journal has %v, %v", entries, err)
	}
}

// TestStalled has nothing cross any more while there are a look and a trace under way: both ends notice, and
// end it.
func TestStalled(t *testing.T) {
	t.Parallel() // it waits for what a connection may be silent
	f := newFallible(t)
	f.serve()
	before := f.ask("words")
	var said []*text
	var cmds []*exec.Cmd
	for _, args := range [][]string{
		{"exec", "-e", attaching, "--view", "stopped", "--max-time", "5m", "--max-stop", "10s"},
		{"trace", "main.answer", "--for", "5m", "--budget", "50%"},
	} {
		cmd, to := f.asks(args...), &text{}
		cmd.Stdout, cmd.Stderr = to, to
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said, cmds = append(said, to), append(cmds, cmd)
	}
	if err := eventually("they are at work", func() (bool, error) {
		return strings.Contains(said[1].String(), "armed") || strings.Contains(said[1].String(), "doesn't let"), nil
	}); err != nil {
		t.Fatal(err)
	}
	f.wire.stall(true)
	for i, cmd := range cmds {
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(said[i].String(), "no longer answers") {
			t.Errorf("%s exits with %d and says %s", cmd.Args[3], code, said[i])
		}
	}
	if err := f.good(before, ""); err != nil {
		t.Error(err)
	}
}
