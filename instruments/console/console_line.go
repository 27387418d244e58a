package console

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"regexp"
	"slices"
	"strings"

	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/rows"

	"github.com/yuin/gopher-lua/parse"
)

// A line of the console is Lua. What people type all the same is understood too, by writing it as Lua: an address as
// values are printed, (*main.Object)(0xc000112000); find(main.Store), len(x) and cap(x); and any other Go expression.

var (
	// printedAddress is how Dump writes a pointer that it doesn't follow.
	printedAddress = regexp.MustCompile(`\((\*+[^()\s"']+)\)\((0x[0-9a-fA-F]+)\)`)
	// topLocal is a local at the start of a line: it would be gone with the line, so it is a global.
	topLocal = regexp.MustCompile(`^\s*local\s+(function\s+)?`)
	// goCall is a call that Go has and Lua hasn't.
	goCall = regexp.MustCompile(`(^|[^\w.:'"\]])(find|len|cap)\(`)
	// foundType is what stands in find( ).
	foundType = regexp.MustCompile(`^\s*\*?([\w./\-~]+(?:\[[\w./\-~,*\[\] ]+\])?)\s*\)`)
	// goConversion begins an expression that only Go has: string is a table in Lua, the others are nothing.
	goConversion = regexp.MustCompile(
		`(^|[^\w.:])(string|bool|byte|rune|uintptr|u?int(8|16|32|64)?|float(32|64)|complex(64|128))\(`)
	// importPath is a package with slashes, and a name in it.
	importPath = regexp.MustCompile(`[\w.~-]+(/[\w.~-]+)+\.\w+`)
)

// typedLine is a line as it was typed and as Lua.
type typedLine struct {
	source     string
	lua        string
	script     *host.Script
	expression bool // it has a value
}

// compileLine compiles what was typed. known tells the names that earlier lines gave to something; those mean what they
// were given, also in Go expressions. isType tells types of the program, isPackage import paths, isVariable package
// variables by their names alone.
func compileLine(line string, known, isType, isPackage, isVariable func(string) bool) (t typedLine, err error) {
	const name = "shell"
	t = typedLine{source: line, lua: line}
	if m := topLocal.FindStringSubmatch(line); m != nil {
		t.lua = m[1] + line[len(m[0]):]
	}
	t.lua = goCalls(t.lua, known, isType)
	if namesGo(t.lua, known, isPackage) || beginsGo(line, known, isPackage, isVariable) {
		if _, err := parser.ParseExpr(line); err == nil {
			t.lua = goExpression(line, known)
		}
	}
	if t.script, err = host.CompileExpression(name, t.lua); err != nil {
		if typed := addressCalls(t.lua); typed != t.lua {
			if again, err := host.CompileExpression(name, typed); err == nil {
				t.lua, t.script, t.expression = typed, again, isExpression(typed)
				return t, nil
			}
		}
		if _, goErr := parser.ParseExpr(line); goErr == nil {
			typed := goExpression(line, known)
			if again, err := host.CompileExpression(name, typed); err == nil {
				t.lua, t.script, t.expression = typed, again, true
				return t, nil
			}
		}
		return t, betterError(t.lua, err)
	}
	t.expression = isExpression(t.lua)
	return t, nil
}

// betterError is the error of an expression where that got further: of "1 +" a statement says only that it doesn't
// begin with 1.
func betterError(source string, err error) error {
	_, _, other := lang.CompileLua("shell", "return "+source)
	var of, ofExpression *parse.Error
	if errors.As(err, &of) && errors.As(other, &ofExpression) && of.Pos.Line != parse.EOF {
		if ofExpression.Pos.Line == parse.EOF || ofExpression.Pos.Line == of.Pos.Line &&
			ofExpression.Pos.Column-len("return ") > of.Pos.Column {
			return other
		}
	}
	return err
}

// addressCalls writes printed addresses as Lua.
func addressCalls(line string) string {
	return printedAddress.ReplaceAllStringFunc(line, func(text string) string {
		m := printedAddress.FindStringSubmatch(text)
		return fmt.Sprintf("ri.at(%q, %q)", m[2], strings.TrimPrefix(m[1], "*"))
	})
}

// goCalls writes find(T), len( and cap( as Lua.
func goCalls(line string, known, isType func(string) bool) string {
	masked := maskStrings(line)
	var out strings.Builder
	from := 0
	for _, m := range goCall.FindAllStringSubmatchIndex(masked, -1) {
		name := masked[m[4]:m[5]]
		if m[0] < from || known(name) {
			continue
		}
		if name != "find" {
			out.WriteString(line[from:m[4]] + "ri." + name + "(")
			from = m[1]
			continue
		}
		arg := foundType.FindStringSubmatch(masked[m[1]:])
		if arg == nil || !isType(arg[1]) {
			continue
		}
		out.WriteString(line[from:m[4]] + "(ri.find1" + fmt.Sprintf("%q", arg[1]) + ")")
		from = m[1] + len(arg[0])
	}
	return out.String() + line[from:]
}

// namesGo tells an expression that Lua would take for something else: a conversion, or a package with slashes in its
// path.
func namesGo(line string, known, isPackage func(string) bool) bool {
	masked := maskStrings(line)
	for _, m := range goConversion.FindAllStringSubmatch(masked, -1) {
		if !known(m[2]) {
			return true
		}
	}
	for _, path := range importPath.FindAllString(masked, -1) {
		slash := strings.LastIndexByte(path, '/')
		for at := slash; at < len(path); at++ { // the path may have dots, before the name too
			if path[at] == '.' && isPackage(path[:at]) {
				return true
			}
		}
	}
	return false
}

// beginsWith is the name that a line begins with.
var beginsWith = regexp.MustCompile(`^\s*[&*]*([A-Za-z_]\w*)`)

// inLua are names that mean something in Lua, whatever the program calls so.
var inLua = []string{"ri", "string", "table", "math", "coroutine", "bit", "print", "type", "pairs", "ipairs", "next",
	"tostring", "tonumber", "error", "pcall", "xpcall", "select", "unpack", "assert", "require", "rawget", "rawset",
	"rawequal", "setmetatable", "getmetatable", "true", "false", "nil", "not", "function", "return", "local", "if", "for",
	"while", "repeat", "do", "break", "goto"}

// beginsGo tells an expression that begins with a package variable without its package, as ri print takes it.
func beginsGo(line string, known, isPackage, isVariable func(string) bool) bool {
	m := beginsWith.FindStringSubmatch(line)
	return m != nil && !slices.Contains(inLua, m[1]) && !known(m[1]) && !isPackage(m[1]) && isVariable(m[1])
}

// maskStrings puts spaces in the place of what strings and comments of Lua have in them, so that what is looked for is
// code. Lengths stay.
func maskStrings(source string) string {
	out := []byte(source)
	blank := func(from, to int) {
		for i := from; i < min(to, len(out)); i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	for i := 0; i < len(source); {
		switch c := source[i]; {
		case c == '"' || c == '\'':
			end := i + 1
			for end < len(source) && source[end] != c && source[end] != '\n' {
				if source[end] == '\\' {
					end++
				}
				end++
			}
			blank(i+1, end)
			i = end + 1
		case c == '[' && longBracket(source[i:]) != "":
			closing := longBracket(source[i:])
			end := strings.Index(source[i:], closing)
			if end < 0 {
				end = len(source) - i
			}
			blank(i+len(closing), i+end)
			i += end + len(closing)
		case c == '-' && strings.HasPrefix(source[i:], "--"):
			end := strings.IndexByte(source[i:], '\n')
			if closing := longBracket(source[i+2:]); closing != "" {
				if end = strings.Index(source[i:], closing); end >= 0 {
					end += len(closing)
				}
			}
			if end < 0 {
				end = len(source) - i
			}
			blank(i, i+end)
			i += end
		default:
			i++
		}
	}
	return string(out)
}

// longBracket is what closes the long string that a text begins with, [[ or [=[; "" if it doesn't.
func longBracket(text string) string {
	if !strings.HasPrefix(text, "[") {
		return ""
	}
	level := len(text[1:]) - len(strings.TrimLeft(text[1:], "="))
	if len(text) > level+1 && text[level+1] == '[' {
		return "]" + strings.Repeat("=", level) + "]"
	}
	return ""
}

// goExpression is Lua that evaluates a Go expression, in which what earlier lines left can be named.
func goExpression(line string, known func(string) bool) string {
	names := map[string]bool{}
	if tree, err := parser.ParseExpr(line); err == nil {
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				ast.Inspect(n.X, func(x ast.Node) bool {
					if id, ok := x.(*ast.Ident); ok && known(id.Name) {
						names[id.Name] = true
					}
					return true
				})
				return false
			case *ast.Ident:
				if known(n.Name) {
					names[n.Name] = true
				}
			}
			return true
		})
	}
	var given []string
	for _, name := range rows.SortedKeys(names) {
		given = append(given, name+" = "+name)
	}
	text := `ri.eval("` + lang.LuaQuote(line) + `"`
	if len(given) > 0 {
		text += ", {" + strings.Join(given, ", ") + "}"
	}
	return text + ")"
}

func isExpression(line string) bool {
	_, _, err := lang.CompileLua("shell", "return "+line)
	return err == nil
}

// Incomplete says whether what was typed is the beginning of something: more lines have to follow.
func Incomplete(source string) bool {
	return !isExpression(source) && (endsEarly(source) || endsEarly("return "+source))
}

// endsEarly tells a source that is right as far as it goes.
func endsEarly(source string) bool {
	_, _, err := lang.CompileLua("shell", source)
	var e *parse.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Pos.Line == parse.EOF || strings.Contains(e.Message, "unterminated multiline")
}

// SaveInstrument writes the lines as an instrument, by a function that makes a file which isn't there yet.
func (c *Console) SaveInstrument(path string, write func(path string, text []byte) error) error {
	if len(c.lines) == 0 {
		return errors.New("nothing to save: no line has worked yet")
	}
	if !strings.HasSuffix(path, ".lua") {
		return fmt.Errorf("%s: an instrument is a .lua file: %s.lua", path, path)
	}
	if err := write(path, []byte(c.instrument())); err != nil {
		return fmt.Errorf("%s: %w", path, rows.UnwrapPath(err))
	}
	return nil
}

// instrument is a file that does what the lines did.
func (c *Console) instrument() string {
	var body strings.Builder
	for _, l := range c.lines {
		source := l.lua
		if topLocal.MatchString(l.source) {
			source = "local " + l.lua
		}
		if l.expression {
			source = "print(ri.dump(" + source + "))"
		}
		for line := range strings.SplitSeq(source, "\n") {
			fmt.Fprintf(&body, "    %s\n", line)
		}
	}
	text := body.String()
	code := maskStrings(text)
	var packages strings.Builder
	for _, name := range rows.SortedKeys(c.host.PackageNames()) {
		if c.host.IsLibrary(name) { // Lua's own
			continue
		}
		if regexp.MustCompile(`(^|[^\w.:'"])` + regexp.QuoteMeta(name) + `\.`).MatchString(code) {
			fmt.Fprintf(&packages, "local %s = package %q\n", name, name)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- From a session of ri shell on %s.\n\n", c.session.Target.Describe())
	if packages.Len() > 0 {
		b.WriteString("-- package reads variables of a package of the program: main.store is ri.var " +
			"\"main.store\".\nlocal function package(name)\n" +
			"  return setmetatable({}, { __index = function(_, key) return ri.var(name .. \".\" .. key) end })\nend\n\n" +
			packages.String() + "\n")
	}
	b.WriteString("return {\n  title = \"from a session of ri shell\",\n  category = \"target\",\n" +
		"  run = function(p)\n" + text + "  end,\n}\n")
	return b.String()
}
