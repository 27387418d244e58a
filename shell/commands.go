package shell

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/inert"
	"ri/instruments/commands"
	"ri/instruments/console"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

// defaultStop is how long :stop holds the target where no time is given.
const defaultStop = 30 * time.Second

// colonCommand is a command that begins with a colon.
type colonCommand struct {
	name, arguments, help string
	run                   func(s *Shell, ctx context.Context, args []string) (quit bool)
}

var colonCommands []colonCommand

func init() { // they speak of each other
	colonCommands = []colonCommand{
		{"help", "", "what can be typed", (*Shell).help},
		{"more", "", "the rest of the last result", (*Shell).more},
		{"refresh", "", "look again: the last line once more, on a new look", (*Shell).refresh},
		{"live", "", "look at the process as it runs, without a stop", (*Shell).live},
		{"snapshot", "[all]", "each line sees a copy of one instant (the default); all: copy all memory once, and " +
			"keep it", (*Shell).snapshot},
		{"stop", "[DURATION]", "stop the process, for 30s or so long at most; :snapshot or :live lets it run",
			(*Shell).stop},
		{"recipes", "", "which recipes fit this program", (*Shell).recipes},
		{"run", "RECIPE [NAME=VALUE ...]", "run a recipe, or a file: :run ./my.lua", (*Shell).runRecipe},
		{"history", "", "what was typed in this session", (*Shell).history},
		{"save", "FILE.lua", "write the lines that worked as an instrument", (*Shell).save},
		{"attach", "PID", "go on with another process", (*Shell).attach},
		{"quit", "", "leave; the process runs on", func(*Shell, context.Context, []string) bool { return true }},
	}
}

func (s *Shell) command(ctx context.Context, text string) (quit bool) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return s.help(ctx, nil)
	}
	var names []string
	for _, c := range colonCommands {
		if c.name == words[0] {
			most := strings.Count(c.arguments, " ") + 1
			if c.arguments == "" {
				most = 0
			}
			if len(words)-1 > most && c.name != "run" {
				s.wrong(strings.TrimSpace("usage: :" + c.name + " " + c.arguments))
				return false
			}
			return c.run(s, ctx, words[1:])
		}
		names = append(names, ":"+c.name)
	}
	s.wrong(fmt.Sprintf("no command :%s%s (:help lists them)", words[0], rows.DidYouMean(":"+words[0], names)))
	return false
}

const howTo = `An expression prints its value in Go syntax; what is assigned stays:
  main.store.devices[0]         d = main.store.devices[0]; d.name
  ri.find1 'server.Server'      a value of a type, wherever it lives
  (*main.Device)(0xc000112000)  an address as it is printed, and any Go expression
  for k, v in ri.pairs(m) do ri.emit{key = k, size = v.size} end
`

func (s *Shell) help(context.Context, []string) bool {
	var lines []string
	lines = append(lines, strings.Split(strings.TrimSuffix(howTo, "\n"), "\n")...)
	for _, c := range colonCommands {
		text := fmt.Sprintf("  :%-18s %s", strings.TrimSpace(c.name+" "+c.arguments), c.help)
		lines = append(lines, wrap(text, s.width(), 22)...)
	}
	s.rest = lines
	s.page()
	return false
}

// wrap breaks a line at spaces to a width; what follows is indented.
func wrap(text string, width, indent int) (lines []string) {
	for len(text) > width && width > indent+10 {
		at := strings.LastIndexByte(text[:width], ' ')
		if at <= indent {
			break
		}
		lines = append(lines, text[:at])
		text = strings.Repeat(" ", indent) + strings.TrimLeft(text[at:], " ")
	}
	return append(lines, text)
}

func (s *Shell) more(context.Context, []string) bool {
	if len(s.rest) == 0 {
		s.remark("there is no more")
		return false
	}
	s.page()
	return false
}

func (s *Shell) refresh(ctx context.Context, _ []string) bool {
	switch view := s.console.View(); view {
	case "core":
		s.remark("a core holds still: there is nothing new to see")
		return false
	case "stopped":
		_, limit := s.console.Held()
		s.hold(ctx, limit)
	case "copy":
		s.hold(ctx, 0)
	}
	if s.last == "" {
		return false
	}
	if arguments, ok := strings.CutPrefix(s.last, ":run "); ok {
		return s.runRecipe(ctx, strings.Fields(arguments))
	}
	s.run(ctx, s.last)
	return false
}

func (s *Shell) live(context.Context, []string) bool { return s.view(console.LiveView) }

func (s *Shell) view(kind string) bool {
	if err := s.console.SetView(kind); err != nil {
		s.wrong(err.Error())
	}
	return false
}

func (s *Shell) snapshot(ctx context.Context, args []string) bool {
	if len(args) == 0 {
		return s.view(console.SnapshotView)
	}
	if args[0] != "all" {
		s.wrong("usage: :snapshot [all]")
		return false
	}
	s.hold(ctx, 0)
	return false
}

func (s *Shell) stop(ctx context.Context, args []string) bool {
	limit := defaultStop
	if len(args) > 0 {
		d, err := time.ParseDuration(args[0])
		if err != nil || d <= 0 {
			s.wrong(fmt.Sprintf(":stop %s: a time such as 10s or 2m", args[0]))
			return false
		}
		limit = d
	}
	s.hold(ctx, limit)
	return false
}

// hold keeps a look from now on. The look is the session's, not the command's: Ctrl-C doesn't end it.
func (s *Shell) hold(ctx context.Context, limit time.Duration) {
	if err := s.console.Hold(context.WithoutCancel(ctx), limit); err != nil {
		s.wrong(err.Error())
	}
}

func (s *Shell) recipes(context.Context, []string) bool {
	var b strings.Builder
	if err := s.console.WriteRecipes(&b, s.style()); err != nil {
		s.wrong(err.Error())
	}
	s.show(console.Reply{Text: b.String()})
	return false
}

func (s *Shell) runRecipe(ctx context.Context, args []string) bool {
	if len(args) == 0 {
		s.wrong(":run needs a recipe (:recipes lists them) or a file: :run ./my.lua")
		return false
	}
	s.last = ":run " + strings.Join(args, " ")
	name := args[0]
	if s.away.Load != nil && (strings.HasSuffix(name, ".lua") || strings.Contains(name, "/")) {
		here, err := s.away.Load(name)
		if err != nil {
			s.wrong(fmt.Sprintf("%s: %v", name, err))
			return false
		}
		if !filepath.IsLocal(name) {
			name = here
		}
	}
	s.show(s.console.RunRecipe(ctx, name, args[1:], s.style()))
	return false
}

func (s *Shell) history(context.Context, []string) bool {
	var lines []string
	for i, l := range s.typed {
		lines = append(lines, fmt.Sprintf("%4d  %s", i+1, strings.ReplaceAll(l, "\n", "\n      ")))
	}
	s.rest = strings.Split(strings.Join(lines, "\n"), "\n")
	s.page()
	return false
}

func (s *Shell) save(_ context.Context, args []string) bool {
	if len(args) == 0 {
		s.wrong(":save needs a file: :save my.lua")
		return false
	}
	if err := s.console.SaveInstrument(args[0], s.away.save); err != nil {
		s.wrong(err.Error())
		return false
	}
	path := args[0]
	if !strings.Contains(path, "/") {
		path = "./" + path
	}
	s.remark(fmt.Sprintf("wrote %s: ri run %s -p PID", args[0], path))
	return false
}

func (s *Shell) attach(_ context.Context, args []string) bool {
	if len(args) == 0 {
		s.wrong(":attach needs a pid (ri ps lists the Go processes here)")
		return false
	}
	next, choice, err := s.open(args[0])
	if err != nil {
		s.wrong(err.Error())
		return false
	}
	s.console.Close()
	s.current.Store(next)
	s.console, s.choice, s.dead, s.last = next, choice, false, ""
	return false
}

// open opens another process, which somebody else may have to allow.
func (s *Shell) open(name string) (next *console.Console, choice looks.TargetChoice, err error) {
	if s.away.Turn != nil {
		s.console.Release() // whose stop it is has to be told before
		if name, err = s.away.Turn(name); err != nil {
			return nil, choice, err
		}
		defer func() {
			if err != nil { // back to the one that is still looked at
				_, _ = s.away.Turn(s.choice.PID)
			}
		}()
	}
	choice.PID = name
	if err := choice.Check(); err != nil {
		return nil, choice, err
	}
	next, err = console.OpenConsole(s.catalogue, choice, s.how)
	return next, choice, err
}

// complete is Tab: the line to the cursor's left is completed. pos counts characters. The editor writes words as they
// are, and what a terminal would obey nobody types.
func (s *Shell) complete(line string, pos int) (head string, words []string, tail string) {
	head, words, tail = s.completions(line, pos)
	return head, slices.DeleteFunc(words, func(w string) bool { return !inert.Is(w) }), tail
}

func (s *Shell) completions(line string, pos int) (head string, words []string, tail string) {
	typed := []rune(line)
	pos = min(pos, len(typed))
	left, right := string(typed[:pos]), string(typed[pos:])
	if s.begun == "" && strings.HasPrefix(strings.TrimLeft(left, " "), ":") {
		start := strings.LastIndexAny(left, " :") + 1
		if i := strings.LastIndexByte(left, ' '); i >= 0 {
			start = i + 1 // a value may have a colon
		}
		for _, w := range s.colonWords(left) {
			if strings.HasPrefix(w, left[start:]) {
				words = append(words, w)
			}
		}
		slices.Sort(words)
		return left[:start], words, right
	}
	c := s.console.Complete(s.begun, left)
	return left[:c.Start], c.Words, right
}

// colonWords are what the last word of a command can be.
func (s *Shell) colonWords(left string) (words []string) {
	fields := strings.Fields(left)
	if strings.HasSuffix(left, " ") {
		fields = append(fields, "")
	}
	switch {
	case len(fields) <= 1:
		for _, c := range colonCommands {
			words = append(words, c.name)
			if c.arguments != "" {
				words[len(words)-1] += " "
			}
		}
	case fields[0] == ":run" && len(fields) == 2:
		for _, name := range s.console.RecipeNames() {
			words = append(words, name+" ")
		}
		files, _ := os.ReadDir(".")
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".lua") {
				words = append(words, "./"+f.Name())
			}
		}
	case fields[0] == ":run":
		words = console.ParameterWords(s.catalogue, fields[1])
	case fields[0] == ":attach":
		for _, p := range commands.ProcessIDs() {
			words = append(words, strconv.Itoa(p.PID))
		}
	case fields[0] == ":snapshot":
		words = []string{"all"}
	case fields[0] == ":stop":
		words = []string{"10s", "30s", "1m", "5m"}
	}
	return words
}
