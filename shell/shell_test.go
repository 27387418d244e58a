package shell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/peterh/liner"

	"ri/inert"
	"ri/instruments/console"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/symbols/testprogram"
)

// session is a shell without a terminal, on a program that waits.
type session struct {
	*Shell
	t             *testing.T
	program       *exec.Cmd
	results, said bytes.Buffer
}

// open starts the program and a shell on it, as if somebody sat at a screen of 60 columns and 12 lines. Lines are read
// from input.
func open(t *testing.T, input string) *session {
	t.Helper()
	for _, name := range []string{"XDG_STATE_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	t.Setenv("NO_COLOR", "1")
	cmd := exec.Command(testprogram.Build(t, "testdata/garden", testprogram.Variant{Name: "default"}))
	testprogram.Ready(t, cmd)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := recipes.OpenCatalogue(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, program: cmd}
	s.Shell = &Shell{catalogue: c, prompts: true, size: func() (int, int) { return 60, 12 },
		choice: looks.TargetChoice{PID: fmt.Sprint(cmd.Process.Pid)}, out: inert.NewWriter(&s.results),
		remarks: inert.NewWriter(&s.said), line: liner.NewLiner(), piped: bufio.NewReader(strings.NewReader(input))}
	t.Cleanup(func() { s.line.Close() })
	if s.console, err = console.OpenConsole(c, s.choice, s.how); err != nil {
		t.Fatal(err)
	}
	s.current.Store(s.console)
	t.Cleanup(func() { s.console.Close() })
	return s
}

// types has a line obeyed, and gives what came on the screen: results, then remarks.
func (s *session) types(line string) (results, remarks string, quit bool) {
	s.results.Reset()
	s.said.Reset()
	quit = s.obey(context.Background(), make(chan os.Signal), line)
	for line := range strings.SplitAfterSeq(s.said.String(), "\n") {
		if !strings.HasPrefix(line, "-- stopped ") { // what the look cost
			remarks += line
		}
	}
	return s.results.String(), remarks, quit
}

func TestCommands(t *testing.T) {
	s := open(t, "")
	for _, c := range []struct{ line, result, remark string }{
		{":", "An expression prints its value in Go syntax", "more lines; :more shows them"},
		{":help", "An expression prints", "more lines"},
		{":help me", "", "-- usage: :help\n"},
		{":more", ":live", "more lines"},
		{":halp", "", "no command :halp; did you mean :help? (:help lists them)"},
		{":refresh", "", ""}, // nothing was typed yet
		{"main.south.name", `"south"`, ""},
		{":refresh", `"south"`, ""},
		{"plants = main.north.plants", "", ""},
		{"plants[1]", `"kale"`, ""},
		{":live", "", ""},
		{"main.north.name", `"north"`, ""},
		{":snapshot", "", ""},
		{":snapshot some", "", "usage: :snapshot [all]"},
		{":snapshot all", "", ""},
		{"main.south.next.name", `"north"`, ""},
		{":snapshot", "", ""},
		{":stop soon", "", ":stop soon: a time such as 10s or 2m"},
		{":stop -1s", "", "a time such as 10s"},
		{":stop 1s 2s", "", "usage: :stop [DURATION]"},
		{":run", "", ":run needs a recipe"},
		{":run nothing", "", "nothing"},
		{":run goroutines state=waiting nonsense=1", "", "nonsense"},
		{":run list expr=main.south next=next print=name", "north", ""},
		{":recipes", "goroutines", "more lines"},
		{":save", "", ":save needs a file"},
		{":attach", "", ":attach needs a pid"},
		{":attach nobody", "", "no Go process here is it: nobody"},
		{":attach 999999999", "", "999999999"},
		{":history", "", ""}, // the loop of Run notes what was typed
		{"main.west", "", "west"},
	} {
		result, remark, quit := s.types(c.line)
		if !strings.Contains(result, c.result) || !strings.Contains(remark, c.remark) || quit ||
			c.remark == "" && remark != "" {
			t.Errorf("%s\nresults %q\nremarks %q\nwant    %q and %q", c.line, result, remark, c.result, c.remark)
		}
	}
	if _, _, quit := s.types(":quit"); !quit {
		t.Error(":quit doesn't leave")
	}
}

// A stop is held between lines and let go by :live; the prompt shows it, equally long as long as it lasts.
func TestStop(t *testing.T) {
	s := open(t, "")
	if prompt := s.prompt(); !strings.HasSuffix(prompt, " snapshot> ") {
		t.Errorf("the prompt is %q", prompt)
	}
	if _, remark, _ := s.types(":stop 1h"); remark != "" {
		t.Fatal(remark)
	}
	if prompt := s.prompt(); !strings.Contains(prompt, " stopped ") || !strings.HasSuffix(prompt, "s of 1h0m0s> ") {
		t.Errorf("the prompt is %q", prompt)
	}
	if result, _, _ := s.types("main.south.name"); result != "\"south\"\n" {
		t.Errorf("held, the result is %q", result)
	}
	if _, limit := s.console.Held(); limit != time.Hour {
		t.Errorf("held for %v", limit)
	}
	s.types(":live")
	if prompt := s.prompt(); !strings.HasSuffix(prompt, " live> ") {
		t.Errorf("the prompt is %q", prompt)
	}
	for _, limit := range []time.Duration{time.Second, 30 * time.Second, time.Minute, time.Hour} {
		first := stoppedText(0, limit)
		for _, since := range []time.Duration{limit / 3, limit - 1, limit, 2 * limit} {
			if text := stoppedText(since, limit); len(text) != len(first) {
				t.Errorf("%q is not as long as %q", text, first)
			}
		}
	}
	s.size = func() (int, int) { return 59, 12 }
	if prompt := s.prompt(); prompt != "live> " {
		t.Errorf("on a narrow screen the prompt is %q", prompt)
	}
}

// The process's end is said once; names still complete, and another process can be looked at.
func TestEnded(t *testing.T) {
	s := open(t, "")
	s.program.Process.Kill()
	s.program.Wait()
	for range 2 {
		s.notice()
	}
	if said := s.said.String(); strings.Count(said, "types and completion still work") != 1 || !s.dead {
		t.Errorf("remarks %q", said)
	}
	if prompt := s.prompt(); !strings.HasSuffix(prompt, " ended> ") {
		t.Errorf("the prompt is %q", prompt)
	}
	if _, words, _ := s.complete("main.sou", 8); !slices.Contains(words, "south") &&
		!slices.Contains(words, "main.south") {
		t.Errorf("completions %q", words)
	}
	next := open(t, "")
	s.types(":attach " + next.choice.PID)
	if s.dead || s.choice.PID != next.choice.PID {
		t.Errorf("dead %v, on %s", s.dead, s.choice.PID)
	}
	if result, _, _ := s.types("main.south.name"); result != "\"south\"\n" {
		t.Errorf("the result is %q", result)
	}
}

// Ctrl-C ends a command, and the shell goes on.
func TestInterrupt(t *testing.T) {
	s := open(t, "")
	interrupts, done := make(chan os.Signal), make(chan struct{})
	go func() { // one that comes before the line runs is not for it
		for {
			select {
			case interrupts <- syscall.SIGINT:
			case <-done:
				return
			}
		}
	}()
	s.obey(context.Background(), interrupts, "while true do end")
	close(done)
	if said := s.said.String(); !strings.Contains(said, "interrupted; the process runs as before") {
		t.Errorf("remarks %q", said)
	}
	if result, _, _ := s.types("main.south.name"); result != "\"south\"\n" {
		t.Errorf("then the result is %q", result)
	}
}

// A screen takes so many lines; the rest waits for :more, and is forgotten with the next result.
func TestPager(t *testing.T) {
	s := open(t, "")
	result, remark, _ := s.types("for i = 1, 20 do print('line ' .. i) end")
	if result != lines(1, 8) || remark != "-- 12 more lines; :more shows them\n" {
		t.Errorf("the first screen is %q, %q", result, remark)
	}
	result, remark, _ = s.types(":more")
	if result != lines(9, 16) || remark != "-- 4 more lines; :more shows them\n" {
		t.Errorf("the second screen is %q, %q", result, remark)
	}
	if result, remark, _ = s.types(":more"); result != lines(17, 20) || remark != "" {
		t.Errorf("the third screen is %q, %q", result, remark)
	}
	if _, remark, _ = s.types(":more"); remark != "-- there is no more\n" {
		t.Errorf("then there is %q", remark)
	}
	s.types("for i = 1, 20 do print('line ' .. i) end")
	s.types("1")
	if _, remark, _ = s.types(":more"); remark != "-- there is no more\n" {
		t.Errorf("after another result there is %q", remark)
	}
	s.prompts = false // piped: nobody is there to ask for more
	if result, remark, _ = s.types("for i = 1, 20 do print('line ' .. i) end"); result != lines(1, 20) || remark != "" {
		t.Errorf("without a screen there is %q, %q", result, remark)
	}
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text          string
		width, indent int
		want          string
	}{
		{"short", 40, 2, "short"},
		{"one two three four five six", 18, 2, "one two three|  four five six"},
		{"aVeryLongWordWithoutAnySpace and more", 20, 2, "aVeryLongWordWithoutAnySpace and more"},
		{"one two three", 8, 4, "one two three"}, // too narrow to be broken well
		{"", 40, 2, ""},
	} {
		if got := strings.Join(wrap(c.text, c.width, c.indent), "|"); got != c.want {
			t.Errorf("%q to %d columns: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	s := open(t, "")
	folder := t.TempDir()
	t.Chdir(folder)
	if err := os.WriteFile(filepath.Join(folder, "mine.lua"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line string // the cursor is at its end
		head string
		has  []string
	}{
		{":", "", []string{":help", ":run ", ":stop "}},
		{":re", ":", []string{"recipes", "refresh"}},
		{":run gorou", ":run ", []string{"goroutines "}},
		{":run ./m", ":run ", []string{"./mine.lua"}},
		{":run goroutines sta", ":run goroutines ", []string{"state="}},
		{":stop ", ":stop ", []string{"10s", "5m"}},
		{":snapshot a", ":snapshot ", []string{"all"}},
		{":attach ", ":attach ", []string{s.choice.PID}},
		{":nonsense ", ":nonsense ", nil},
		{"main.south.pl", "main.south.", []string{"plants"}},
		{"x = main.rows['n", "x = main.rows['", nil},
		{"", "", []string{"main"}},
	} {
		head, words, tail := s.complete(c.line, len(c.line))
		if c.line == ":" {
			head, c.head = "", "" // whatever is replaced, commands are offered
			for i := range words {
				words[i] = ":" + strings.TrimPrefix(words[i], ":")
			}
		}
		if tail != "" || c.has != nil && c.line != "" && head != c.head {
			t.Errorf("%q is left as %q and %q", c.line, head, tail)
		}
		for _, word := range c.has {
			if !slices.Contains(words, word) {
				t.Errorf("%q is not completed to %q but to %q", c.line, word, words)
			}
		}
		if c.has == nil && strings.HasPrefix(c.line, ":") && len(words) > 0 {
			t.Errorf("%q is completed to %q", c.line, words)
		}
	}
	if _, _, tail := s.complete("main.sou + 1", 8); tail != " + 1" {
		t.Errorf("what stands behind the cursor becomes %q", tail)
	}
	// What a line needs that began on an earlier one.
	s.begun = "for _, b in ri.pairs(main.rows) do\n"
	if _, words, _ := s.complete("print(b.pla", 11); !slices.ContainsFunc(words,
		func(w string) bool { return strings.Contains(w, "plants") }) {
		t.Errorf("a name of the loop's has %q", words)
	}
	if _, words, _ := s.complete(":he", 3); slices.Contains(words, "help") {
		t.Error("within a line of several a colon is completed as a command")
	}
}

// A line that isn't complete goes on with the next.
func TestRead(t *testing.T) {
	s := open(t, "1 + 1\r\nfor i = 1, 2 do\n  print(i)\nend\n:save x.lua\n\nfor i = 1, 2 do")
	for _, want := range []string{"1 + 1", "for i = 1, 2 do\n  print(i)\nend", ":save x.lua", "", "for i = 1, 2 do"} {
		got, err := s.read()
		if err != nil || got != want || s.begun != "" {
			t.Errorf("read %q, %v, begun %q; want %q", got, err, s.begun, want)
		}
	}
	if _, err := s.read(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// The history is kept at once, a line for each command, for this user only, and read again by the next session.
func TestHistory(t *testing.T) {
	s := open(t, "")
	for _, typed := range []string{"main.south", "for i = 1, 2 do\n  print(i)\nend", "x = 1 -- a remark\ny = 2"} {
		s.remember(typed)
	}
	info, err := os.Stat(historyFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	want := "main.south\nfor i = 1, 2 do   print(i) end\nx = 1 -- a remark\ny = 2\n"
	if data, err := os.ReadFile(historyFile()); err != nil || string(data) != want {
		t.Errorf("kept %q, %v; want %q", data, err, want)
	}
	if got := s.remembered(); got != want {
		t.Errorf("the editor has %q", got)
	}
	later := &session{Shell: &Shell{line: liner.NewLiner()}}
	defer later.line.Close()
	later.loadHistory()
	if got := later.remembered(); got != want {
		t.Errorf("the next session has %q", got)
	}
	s.prompts = false // what is piped in is nobody's history
	s.remember("piped")
	if data, _ := os.ReadFile(historyFile()); string(data) != want {
		t.Errorf("kept %q", data)
	}
	// Of a long file the end is read, from a whole line on.
	long := strings.Repeat("x", maxHistory) + "\n" + want
	if err := os.WriteFile(historyFile(), []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	later = &session{Shell: &Shell{line: liner.NewLiner()}}
	defer later.line.Close()
	later.loadHistory()
	if got := later.remembered(); got != want {
		t.Errorf("of a long file there is %.100q", got)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/somewhere")
	if file := historyFile(); file != "/somewhere/.local/state/ri/history" {
		t.Errorf("the history is in %s", file)
	}
	s.prompts = true
	s.remember("kept nowhere") // a session without a history is better than none
}

// remembered is the editor's history.
func (s *session) remembered() string {
	var b bytes.Buffer
	s.line.WriteHistory(&b)
	return b.String()
}

// What worked is saved as an instrument, and no file is overwritten.
func TestSave(t *testing.T) {
	s := open(t, "")
	t.Chdir(t.TempDir())
	s.types("main.south.name")
	s.types("main.west")
	if _, remark, _ := s.types(":save mine.lua"); !strings.Contains(remark, "wrote mine.lua: ri run ./mine.lua") {
		t.Error(remark)
	}
	text, err := os.ReadFile("mine.lua")
	if err != nil || !strings.Contains(string(text), "main.south.name") || strings.Contains(string(text), "main.west") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, remark, _ := s.types(":save mine.lua"); !strings.Contains(remark, "is there already") {
		t.Error(remark)
	}
}
