package instruments

import (
	"errors"
	"fmt"
	"go/parser"
	"os"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// A line of the console is Lua; two things that people type all the same are understood too: an address as values are printed,
// (*main.Object)(0xc000112000), and a Go expression.

var (
	// printedAddress is how Dump writes a pointer that it doesn't follow.
	printedAddress = regexp.MustCompile(`\((\*+[^()\s"']+)\)\((0x[0-9a-fA-F]+)\)`)
	// topLocal is a local at the start of a line: it would be gone with the line, so it is a global.
	topLocal = regexp.MustCompile(`^\s*local\s+(function\s+)?`)
)

// compileLine compiles what was typed; expression tells whether it has a value.
func compileLine(line string) (s *Script, expression bool, err error) {
	const name = "shell"
	if m := topLocal.FindStringSubmatch(line); m != nil {
		line = m[1] + line[len(m[0]):]
	}
	s, err = CompileExpression(name, line)
	if err != nil {
		if typed := addressCalls(line); typed != line {
			if again, err := CompileExpression(name, typed); err == nil {
				return again, isExpression(typed), nil
			}
		}
		if _, goErr := parser.ParseExpr(line); goErr == nil {
			if again, err := CompileExpression(name, goExpression(line)); err == nil {
				return again, true, nil
			}
		}
		return nil, false, err
	}
	return s, isExpression(line), nil
}

// addressCalls writes printed addresses as Lua.
func addressCalls(line string) string {
	return printedAddress.ReplaceAllStringFunc(line, func(text string) string {
		m := printedAddress.FindStringSubmatch(text)
		return fmt.Sprintf("ri.at(%q, %q)", m[2], strings.TrimPrefix(m[1], "*"))
	})
}

func goExpression(line string) string { return "ri.eval(" + luaText(lua.LString(line)) + ")" }

func isExpression(line string) bool {
	_, _, err := compileLua("shell", "return "+line)
	return err == nil
}

// Incomplete says whether what was typed is the beginning of something: more lines have to follow.
func Incomplete(source string) bool {
	if isExpression(source) {
		return false
	}
	_, _, err := compileLua("shell", source)
	var e *parse.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Pos.Line == parse.EOF || strings.Contains(e.Message, "unterminated multiline")
}

// Lines are what was typed and did what it should, oldest first.
func (c *Console) Lines() []string {
	lines := make([]string, len(c.lines))
	for i, l := range c.lines {
		lines[i] = l.source
	}
	return lines
}

// SaveInstrument writes the lines as an instrument, to a file that isn't there yet.
func (c *Console) SaveInstrument(path string) error {
	if len(c.lines) == 0 {
		return errors.New("nothing to save: no line has worked yet")
	}
	if !strings.HasSuffix(path, ".lua") {
		return fmt.Errorf("%s: an instrument is a .lua file: %s.lua", path, path)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: give another name", path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, unwrapPath(err))
	}
	_, err = f.WriteString(c.instrument())
	return errors.Join(err, f.Close())
}

// instrument is a file that does what the lines did.
func (c *Console) instrument() string {
	var body strings.Builder
	for _, l := range c.lines {
		source := l.source
		if compiled, _, err := compileLua("shell", source); compiled == nil || err != nil {
			if !isExpression(source) { // what only the console understands
				if source = addressCalls(source); !isExpression(source) {
					if _, _, err := compileLua("shell", source); err != nil {
						source = goExpression(l.source)
					}
				}
			}
		}
		if isExpression(source) {
			source = "print(ri.dump(" + source + "))"
		}
		for line := range strings.SplitSeq(source, "\n") {
			fmt.Fprintf(&body, "    %s\n", line)
		}
	}
	text := body.String()
	var packages strings.Builder
	for _, name := range sortedKeys(c.host.packageNames()) {
		if c.host.lua.G.Global.RawGetString(name) != lua.LNil { // Lua's own
			continue
		}
		if regexp.MustCompile(`(^|[^\w.:'"])` + regexp.QuoteMeta(name) + `\.`).MatchString(text) {
			fmt.Fprintf(&packages, "local %s = package %q\n", name, name)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- From a session of ri shell on %s.\n\n", c.session.Target.Describe())
	if packages.Len() > 0 {
		b.WriteString("-- package reads variables of a package of the program: main.store is ri.var \"main.store\".\nlocal function package(name)\n" +
			"  return setmetatable({}, { __index = function(_, key) return ri.var(name .. \".\" .. key) end })\nend\n\n" + packages.String() + "\n")
	}
	b.WriteString("return {\n  title = \"from a session of ri shell\",\n  category = \"target\",\n  run = function(p)\n" + text + "  end,\n}\n")
	return b.String()
}
