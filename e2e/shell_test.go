package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// screen is a terminal that a test types at and reads.
type screen struct {
	t    *testing.T
	name string
}

// openScreen starts a command in a terminal of that size.
func openScreen(t *testing.T, width, height int, command ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux isn't there: make needs installs it")
	}
	s := &screen{t, fmt.Sprintf("ri-%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), os.Getpid())}
	line := "env PATH=" + quoteShell(bin+":"+os.Getenv("PATH")) + " XDG_STATE_HOME=" +
		quoteShell(filepath.Join(t.TempDir(), "state")) + " NO_COLOR=1"
	for _, word := range command {
		line += " " + quoteShell(word)
	}
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "-s", s.name,
		line+"; echo left with $?; sleep 600")
	t.Cleanup(func() { exec.Command("tmux", "-L", s.name, "kill-server").Run() })
	return s
}

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// tmux runs a command on a server of the screen's own.
func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", s.name}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %s: %v: %s", args[0], err, out)
	}
	return string(out)
}

func (s *screen) typed(text string) { s.tmux("send-keys", "-t", s.name, "-l", "--", text) }
func (s *screen) keys(names ...string) {
	s.tmux(append([]string{"send-keys", "-t", s.name}, names...)...)
}
func (s *screen) enter(text, shows string) { s.typed(text); s.keys("Enter"); s.shows(shows) }

// shows waits until there is a text on the screen.
func (s *screen) shows(text string) {
	s.t.Helper()
	s.untilShows(text, func() {})
}

// untilShows does something again and again until there is a text on the screen.
func (s *screen) untilShows(text string, again func()) {
	s.t.Helper()
	last := ""
	err := eventually("the screen shows "+text, func() (bool, error) {
		again()
		last = s.tmux("capture-pane", "-p", "-J", "-t", s.name)
		return strings.Contains(last, text), nil
	})
	if err != nil {
		s.t.Fatalf("%v:\n%s", err, last)
	}
}

// clear empties the screen, so that what is read next is new.
func (s *screen) clear() { s.keys("C-l"); s.tmux("clear-history", "-t", s.name) }

func startService(t *testing.T) *program {
	t.Helper()
	if !mayAttach() {
		t.Skip("a process that isn't a child may not be stopped here")
	}
	exe, err := buildTarget("local")
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(exec.Command(exe, "-objects", "50", "-seed", "7"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return p
}

// Completion by values' types, a loop that Ctrl-C ends, a stop that ends by itself, and a shell that outlives the
// process.
func TestShellOnATerminal(t *testing.T) {
	p := startService(t)
	s := openScreen(t, 100, 30, "ri", "shell", "-p", fmt.Sprint(p.pid))
	s.shows("snapshot>")
	s.typed("main.sto")
	s.keys("Tab")
	s.shows("> main.store")
	s.typed(".dev")
	s.keys("Tab")
	s.typed("[0].serv")
	s.keys("Tab")
	s.shows("main.store.devices[0].service")
	s.enter(".name", `"ios-0"`)
	s.typed("ri.find1'main.SessionTa")
	s.keys("Tab")
	s.shows("ri.find1'main.SessionTable")
	s.keys("C-c")
	s.typed("for _, d in ri.pairs(main.store.devices) do print(d.serv") // what the line itself names
	s.keys("Tab")
	s.shows("print(d.service")
	s.keys("C-c")
	s.typed("find(main.SessionTa")
	s.keys("Tab")
	s.shows("find(main.SessionTable")
	s.typed(").hand")
	s.keys("Tab")
	s.shows("find(main.SessionTable).handler")
	s.keys("C-c")
	s.enter("sizes = {small = 1, large = 2}", "snapshot>")
	s.typed("sizes['sm")
	s.keys("Tab")
	s.shows("sizes['small']")
	s.keys("C-c")
	s.typed("ri.ref(main.store, 'devices[0].serv")
	s.keys("Tab")
	s.shows("'devices[0].service")
	s.keys("C-c")
	s.typed(":run gorou")
	s.keys("Tab")
	s.shows(":run goroutines")
	s.keys("C-c")

	s.clear()
	s.typed("print('before') while true do end")
	s.keys("Enter")
	// the first may come before the line runs
	s.untilShows("interrupted; the process runs as before", func() { s.keys("C-c") })
	s.enter("for i = 1, 100 do", "... ")
	s.enter("print('line ' .. i) end", "more lines; :more shows them")
	s.enter(":more", "line 51")

	s.enter(":stop 1s", "s of 1s>")
	s.shows("the stop is over")
	s.enter("", "snapshot>")
	if err := isFree(p.pid); err != nil {
		t.Error(err)
	}
	s.clear()
	s.enter(":stop 1h", "s of 1h0m0s>")
	s.typed("main.store.devices[1].name")
	s.shows("of 1h0m0s> main.store.devices[1].name")
	before := s.tmux("capture-pane", "-p", "-J", "-t", s.name)
	if err := eventually("the prompt's time goes on while somebody types", func() (bool, error) {
		return s.tmux("capture-pane", "-p", "-J", "-t", s.name) != before, nil
	}); err != nil {
		t.Error(err)
	}
	s.keys("Enter")
	s.shows(`"disk-2"`)
	s.enter(":live", "live>")
	if err := isFree(p.pid); err != nil {
		t.Error(err)
	}

	s.clear()
	p.end()
	s.enter("main.store", "has ended")
	s.shows("ended>")
	s.enter("1 + 1", "> ")
	s.enter(":quit", "left with 0")
}

// In 40 columns the prompt and the help still fit.
func TestShellOnANarrowTerminal(t *testing.T) {
	p := startService(t)
	s := openScreen(t, 40, 12, "ri", "attach", fmt.Sprint(p.pid))
	s.shows("snapshot>")
	s.enter(":help", "more lines; :more")
	s.enter("main.store.devices[0].name", `"disk-0"`)
	s.keys("Up")
	s.shows("snapshot> main.store.devices")
	s.keys("C-c")
	s.keys("C-d")
	s.shows("left with 0")
}
