package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/peterh/liner"
	"golang.org/x/term"

	"ri/files"
	"ri/inert"
	"ri/instruments/console"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

// Shell is one session at the prompt.
type Shell struct {
	console   *console.Console // the loop's own; others read current
	current   atomic.Pointer[console.Console]
	catalogue *recipes.Catalogue
	how       looks.Options
	choice    looks.TargetChoice
	away      Away

	out     *inert.Writer
	remarks *inert.Writer // what isn't a result
	size    func() (width, height int)
	line    *liner.State
	failed  bool          // a line did
	piped   *bufio.Reader // in its place, where the input is no terminal
	asked   atomic.Value  // the prompt on the screen, a string; "" where a command runs
	rest    []string      // of the last result, for :more
	last    string        // line that ran, for :refresh
	typed   []string      // all lines, for :history
	begun   string        // the lines that the command under the cursor began with
	dead    bool          // the process has ended, and that was said
	prompts bool          // somebody is there
}

// Away is what a shell has done by others, where who types at it is at another machine. Its fields are nil where the
// shell is at this one.
type Away struct {
	Save func(path string, text []byte) error      // makes a file at who types
	Load func(path string) (here string, _ error)  // brings a script of theirs
	Turn func(target string) (pid string, _ error) // lets the shell go on with another process
}

func (a Away) save(path string, text []byte) error {
	if a.Save != nil {
		return a.Save(path, text)
	}
	return files.New(path, text, 0o644)
}

const welcome = "Lua with the program's packages as globals; :help says more, Tab completes, Ctrl-C stops a " +
	"command, :quit or Ctrl-D leaves."

// Run talks to a target until :quit, the end of the input, or ctx. Ctrl-C is the shell's own: it ends a command, never
// the shell. Where ctx ends, exit is called with its cause, and must not return: the prompt waits for a key.
func Run(ctx context.Context, c *recipes.Catalogue, choice looks.TargetChoice, how looks.Options, away Away,
	exit func(error)) error {
	console, err := console.OpenConsole(c, choice, how)
	if err != nil {
		return err
	}
	s := &Shell{console: console, catalogue: c, how: how, choice: choice, away: away,
		out: inert.NewWriter(os.Stdout)}
	s.current.Store(console)
	defer func() { s.console.Close() }()
	signal.Reset(syscall.SIGINT)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT)
	defer signal.Stop(interrupts)

	s.prompts = term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	s.out.As = files.AsNamed
	s.remarks, s.size = s.out, terminalSize
	if !s.prompts {
		s.remarks = inert.NewWriter(os.Stderr)
		s.remarks.As = files.AsNamed
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		s.piped = bufio.NewReader(os.Stdin)
	}
	s.line = liner.NewLiner()
	defer s.line.Close()
	s.line.SetCtrlCAborts(true)
	s.line.SetBeep(false)
	s.line.SetTabCompletionStyle(liner.TabPrints)
	s.line.SetWordCompleter(s.complete)
	s.loadHistory()

	// A signal that ends ri gives the terminal and the target back; the prompt itself waits for a key.
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ctx.Done():
			s.current.Load().LetGo()
			s.line.Close()
			exit(context.Cause(ctx))
		case <-done:
		}
	}()
	if s.prompts {
		p := s.console.Program()
		who := s.console.Target() + ": " + strings.TrimSpace(p.GoVersion+" "+p.Module+" "+p.Version)
		for _, line := range append(wrap(inert.Text(who), s.width(), 0), wrap(welcome, s.width(), 0)...) {
			fmt.Fprintln(s.out, line)
		}
	}
	go s.watch(done)
	for {
		source, err := s.read()
		switch {
		case errors.Is(err, io.EOF):
			if s.prompts {
				fmt.Fprintln(s.out)
			}
			return s.ended()
		case errors.Is(err, liner.ErrPromptAborted):
			continue
		case err != nil:
			return err
		}
		if strings.TrimSpace(source) == "" {
			continue
		}
		s.typed = append(s.typed, source)
		s.remember(source)
		if quit := s.obey(ctx, interrupts, source); quit {
			return s.ended()
		}
	}
}

// ended is how a session ended: where lines were piped in, as a script's are, one that failed is told by the exit code.
func (s *Shell) ended() error {
	if s.piped != nil && s.failed {
		return rows.Said(errors.New("a line failed"))
	}
	return nil
}

// read reads a line, and what has to follow it.
func (s *Shell) read() (string, error) {
	s.notice()
	text, err := s.ask(s.prompt())
	if err != nil || strings.HasPrefix(strings.TrimSpace(text), ":") {
		return text, err
	}
	defer func() { s.begun = "" }()
	for console.Incomplete(text) {
		s.begun = text + "\n"
		more, err := s.ask("... ")
		if err != nil {
			if errors.Is(err, io.EOF) { // what was begun is run, and says what is missing
				return text, nil
			}
			return "", err
		}
		text += "\n" + more
	}
	return text, nil
}

func (s *Shell) ask(prompt string) (string, error) {
	if !s.prompts {
		prompt = ""
	}
	if s.piped != nil { // lines of any length; the editor's have 4096 bytes
		text, err := s.piped.ReadString('\n')
		if text != "" && errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimRight(text, "\r\n"), err
	}
	s.asked.Store(prompt)
	defer s.asked.Store("")
	return s.line.Prompt(prompt)
}

// prompt shows what is looked at and how; on a narrow terminal only how.
func (s *Shell) prompt() string {
	view := s.console.View()
	if since, limit := s.console.Held(); limit > 0 {
		view = stoppedText(since, limit)
	}
	if s.dead {
		view = "ended"
	}
	who := s.console.Target()
	if name := strings.TrimPrefix(who, "core "); name != who {
		who = filepath.Base(name)
	}
	if s.width() < 60 {
		return view + "> "
	}
	return inert.Cell(who) + " " + view + "> "
}

// stoppedText says for how long the target has been stopped. It is equally long as long as the stop lasts, since the
// editor of the line doesn't know that it changes.
func stoppedText(since, limit time.Duration) string {
	width := max(len(limit.String()), len((limit - time.Second).Truncate(time.Second).String()))
	return fmt.Sprintf("stopped %*s of %s", width, min(since, limit).Truncate(time.Second), limit)
}

// showTime writes the prompt's time anew in its place, on the line that is being typed. The editor of the line draws
// only when a key comes.
func (s *Shell) showTime() {
	asked, _ := s.asked.Load().(string)
	at := strings.Index(asked, "stopped ")
	since, limit := s.current.Load().Held()
	if at < 0 || limit == 0 || os.Getenv("TERM") == "dumb" {
		return
	}
	text := asked[:at] + stoppedText(since, limit)
	if len(text) < s.width() && text+"> " != asked {
		_ = s.out.Control("\x1b7\r" + text + "\x1b8") // the prompt is inert
	}
}

// notice says, before a prompt, what has happened meanwhile.
func (s *Shell) notice() {
	if ended := s.console.Ended(); ended != nil {
		select {
		case <-ended:
			_, limit := s.console.Held()
			s.console.Release()
			if s.console.Alive() == nil {
				s.remark(fmt.Sprintf("the process runs again: it was stopped for %s, its limit; :stop DURATION "+
					"stops it anew", limit))
			}
		default:
		}
	}
	if err := s.console.Alive(); err != nil && !s.dead {
		s.dead = true
		s.remark(fmt.Sprintf("%v; types and completion still work, and :attach PID goes on with another process", err))
	}
}

// watch shows how long a stop has lasted, and tells of its end, or of the process's, while somebody thinks at the
// prompt. What is typed stays.
func (s *Shell) watch(done <-chan struct{}) {
	if !s.prompts {
		return
	}
	var told <-chan struct{}
	for {
		select {
		case <-done:
			return
		case <-time.After(200 * time.Millisecond):
		}
		ended := s.current.Load().Ended()
		if ended == nil || ended == told {
			continue
		}
		select {
		default:
			s.showTime()
		case <-ended:
			told = ended
			if asked, _ := s.asked.Load().(string); asked != "" { // a command that runs says it itself
				_ = s.out.Control("\r\x1b[K(the stop is over: the process runs again, or has ended; Enter for a new " +
					"prompt)\r\n")
			}
		}
	}
}

// obey does what a line says; quit ends the shell.
func (s *Shell) obey(ctx context.Context, interrupts <-chan os.Signal, source string) (quit bool) {
	select {
	case <-interrupts: // one that came late
	default:
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-interrupts:
			cancel(errInterrupted)
		case <-finished:
		}
	}()
	s.notice() // a stop that ended while the line was typed
	if command, ok := strings.CutPrefix(strings.TrimSpace(source), ":"); ok {
		return s.command(runCtx, command)
	}
	s.run(runCtx, source)
	return false
}

var errInterrupted = errors.New("interrupted; the process runs as before")

func (s *Shell) run(ctx context.Context, source string) {
	s.last = source
	s.show(s.console.Run(ctx, source, s.style()))
}

// show prints the first screen of a reply, and keeps the rest for :more.
func (s *Shell) show(r console.Reply) {
	s.rest = nil
	s.failed = s.failed || r.Failed
	if text := strings.TrimRight(r.Text, "\n"); text != "" {
		s.rest = strings.Split(text, "\n")
		s.page()
	}
	for _, remark := range r.Remarks {
		s.remark(remark)
	}
}

// page prints a screen of what is left.
func (s *Shell) page() {
	room := len(s.rest)
	if height := s.height(); height > 0 && room > height-3 {
		room = max(height-4, 1)
	}
	for _, line := range s.rest[:room] {
		fmt.Fprintln(s.out, line)
	}
	s.rest = s.rest[room:]
	if len(s.rest) > 0 {
		s.remark(fmt.Sprintf("%d more lines; :more shows them", len(s.rest)))
	}
}

// remark prints what isn't a result: on a terminal among the results, elsewhere to standard error.
func (s *Shell) remark(text string) {
	fmt.Fprintf(s.remarks, "-- %s\n", strings.ReplaceAll(text, "\n", "\n   "))
}

// wrong is remark of what failed.
func (s *Shell) wrong(text string) {
	s.failed = true
	s.remark(text)
}

// terminalSize is that of standard output, 80 by 24 where it can't be told.
func terminalSize() (width, height int) {
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width <= 0 {
		return 80, 24
	}
	return width, height
}

func (s *Shell) width() int {
	width, _ := s.size()
	return width
}

// height is how many lines are on the screen, 0 where nobody is there to page.
func (s *Shell) height() int {
	if !s.prompts {
		return 0
	}
	_, height := s.size()
	return height
}

func (s *Shell) style() rows.TableStyle {
	if !s.prompts {
		return rows.TableStyle{}
	}
	return rows.TableStyle{Width: s.width(), Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}
