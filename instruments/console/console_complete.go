package console

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/symbols"
)

// Completion is what could stand at the end of a line.
type Completion struct {
	Start int      // of the word that is completed, in bytes
	Words []string // sorted
}

// completionTime is the most that a Tab may take.
const completionTime = 400 * time.Millisecond

var (
	// lastPath is the beginning of a package with slashes in its path.
	lastPath = regexp.MustCompile(`[\w.~-]+/[\w./~-]*$`)
	// nameCall is a function of ri whose string, before the cursor, is a name or a Go expression.
	nameCall = regexp.MustCompile(`ri\.(var|ref|eval|vars|find1?|type|types|at|cast|has|constant)\s*(\(?)([^'"]*)$`)
	// goType is where Go has a type: find(T), (*T)(0x...).
	goType = regexp.MustCompile(`(?:^|[^\w.:])(?:find\(\s*\*?|\(\*+)([\w./~-]*)$`)
	// keyOf is where a key is begun: chain[ or chain["k
	keyOf = regexp.MustCompile(`\[\s*$`)
)

// maxCompletions bounds what a Tab gives: no one reads more, and the keys of a map may be millions.
const maxCompletions = 2000

// Complete says what the end of a line of Lua could become. That may be a global, a package or its variable, or a
// function of ri. After a dot it is a field of the value, in brackets a key of a map, and the name of a type where one
// is asked for. before are the lines that the command began with.
//
// What stands before the dot is looked at in live memory, or in what is held. Nothing is stopped, and nothing that the
// line would change is changed.
func (c *Console) Complete(before, line string) Completion {
	if open := openString(before + line); open >= 0 {
		at := open - len(before)
		if at < 0 {
			return Completion{Start: len(line)} // a string of several lines
		}
		return c.completeString(before, line, at)
	}
	if m := goType.FindStringSubmatchIndex(line); m != nil {
		return Completion{m[2], c.shortNames(c.session.File.TypeNames(), line[m[2]:])}
	}
	if m := lastPath.FindStringIndex(line); m != nil {
		if words := c.shortNames(c.session.File.Vars(), line[m[0]:]); len(words) > 0 {
			return Completion{m[0], words}
		}
	}
	if keyOf.MatchString(line) {
		base := lastChain(line[:strings.LastIndexByte(line, '[')])
		return Completion{len(line), c.keys(before, line, base, `"`, `"]`)}
	}
	word := lang.LastWord.FindString(line)
	start := len(line) - len(word)
	if word == "" && start > 0 && strings.IndexByte(`)]}'"`, line[start-1]) >= 0 {
		return Completion{Start: start}
	}
	if start == 0 || line[start-1] != '.' && line[start-1] != ':' {
		return Completion{start, matching(c.globalNames(), word)}
	}
	base := lastChain(line[:start-1])
	if base == "" {
		return Completion{Start: start}
	}
	return Completion{start, matching(c.members(before, line, base, line[start-1] == ':'), word)}
}

// openString is where the string begins that a text ends in, -1 if it ends in none.
func openString(text string) int {
	const probe = "\x01"
	masked := maskStrings(text + probe)
	if strings.HasSuffix(masked, probe) {
		return -1
	}
	// The string's quote is the last one that isn't in a string itself.
	return strings.LastIndexAny(masked, `'"`)
}

// completeString completes what a string that begins at a byte of the line is to name.
func (c *Console) completeString(before, line string, quote int) Completion {
	typed, code := line[quote+1:], line[:quote]
	none := Completion{Start: len(line)}
	if strings.HasSuffix(strings.TrimRight(code, " "), "[") {
		base := lastChain(code[:strings.LastIndexByte(code, '[')])
		return Completion{quote + 1, matching(c.keys(before, line, base, "", line[quote:quote+1]+"]"), typed)}
	}
	m := nameCall.FindStringSubmatch(maskStrings(code))
	if m == nil {
		return none
	}
	function, argument := m[1], code[len(code)-len(m[3]):]
	switch comma := strings.LastIndexByte(argument, ','); {
	case slices.Contains([]string{"find", "find1", "types", "at", "cast"}, function), function == "type" && comma < 0:
		return Completion{quote + 1, c.shortNames(c.session.File.TypeNames(), typed)}
	case comma >= 0 && (function == "ref" || function == "has"): // ri.ref(v, 'field.field
		base := strings.TrimSpace(argument[:comma])
		dot := strings.LastIndexByte(typed, '.')
		if dot >= 0 {
			base = fmt.Sprintf("ri.ref(%s, '%s')", base, strings.ReplaceAll(typed[:dot], "'", `"`))
		}
		return Completion{quote + 1 + dot + 1, matching(c.members(before, line, base, false), typed[dot+1:])}
	case function == "eval" || function == "ref" || function == "var":
		return c.completeGo(line, quote+1)
	case function == "vars":
		return Completion{quote + 1, c.shortNames(c.session.File.Vars(), typed)}
	}
	return none
}

// completeGo completes a Go expression that begins at a byte of the line.
func (c *Console) completeGo(line string, from int) Completion {
	typed := line[from:]
	if m := goType.FindStringSubmatchIndex(typed); m != nil {
		return Completion{from + m[2], c.shortNames(c.session.File.TypeNames(), typed[m[2]:])}
	}
	if word := lang.LastWord.FindString(typed); len(typed) > len(word) && typed[len(typed)-len(word)-1] == '.' {
		if base := lastChain(typed[:len(typed)-len(word)-1]); base != "" && !c.host.PackageNames()[base] {
			names := c.members("", "", `ri.ref("`+lang.LuaQuote(base)+`")`, false)
			return Completion{len(line) - len(word), matching(names, word)}
		}
	}
	start := strings.LastIndexAny(typed, "([*& ") + 1
	return Completion{from + start, c.shortNames(c.session.File.Vars(), typed[start:])}
}

// shortNames are names as they are typed, with their package's name for its path. Where many begin like what was typed,
// they are given up to the next dot or slash, as files are up to the next folder.
func (c *Console) shortNames(names []string, typed string) []string {
	seen, steps := map[string]bool{}, map[string]bool{}
	unnamed := typed != "" && strings.IndexByte("*[", typed[0]) >= 0
	add := func(name string) {
		seen[name] = true
		if at := strings.IndexAny(name[len(typed):], "./["); at >= 0 {
			steps[name[:len(typed)+at+1]] = true
		} else {
			steps[name] = true
		}
	}
	for _, name := range names {
		if !unnamed && symbols.IsUnnamed(name) {
			continue
		}
		if short := c.session.File.ShortName(name); strings.HasPrefix(short, typed) {
			add(short)
		} else if strings.HasPrefix(name, typed) {
			add(name)
		}
	}
	if len(seen) <= 20 || len(steps) == 1 && len(seen) == 1 {
		return rows.SortedKeys(seen)
	}
	return rows.SortedKeys(steps)
}

func matching(names []string, word string) []string {
	var out []string
	for _, n := range names {
		if strings.HasPrefix(n, word) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxCompletions)]
}

func (c *Console) globalNames() []string {
	names := append(c.host.Names(), "find")
	return slices.DeleteFunc(names, func(n string) bool { return lang.LastWord.FindString(n) != n })
}

// members are what can follow base, which the line ends with, and a dot.
func (c *Console) members(before, line, base string, method bool) []string {
	if lang.LastWord.FindString(base) == base && c.withBindings(before+line, base) == "" && !c.host.IsLibrary(base) &&
		!c.host.Left(base) && c.host.PackageNames()[base] {
		return c.variablesOf(base)
	}
	var names []string
	read := false
	c.peekAt(before, line, base, func(v lua.LValue) { names, read = c.host.Members(v, method), v != lua.LNil })
	if len(names) > 0 || read {
		return names
	}
	if t := c.staticType(base); t != nil {
		return host.FieldNames(t)
	}
	if collection := loopOver(before+line, base); collection != "" { // one that is empty just now
		c.peekAt(before, line, collection, func(v lua.LValue) {
			names = c.host.ElementFields(v)
		})
	}
	return names
}

// keys are the keys of the map that base is, as they stand between what opens and what closes them.
func (c *Console) keys(before, line, base, opens, closes string) (names []string) {
	c.peekAt(before, line, base, func(v lua.LValue) {
		for _, key := range c.host.Keys(v, maxCompletions) {
			switch {
			case key.IsString:
				names = append(names, opens+key.Text+closes)
			case opens != "" && luaKey.MatchString(key.Text):
				names = append(names, key.Text+"]")
			}
		}
	})
	slices.Sort(names)
	return names
}

// luaKey is a key that Lua reads as Go writes it.
var luaKey = regexp.MustCompile(`^(-?[0-9]+|true|false)$`)

// variablesOf are the variables of a package.
func (c *Console) variablesOf(name string) (names []string) {
	f := c.session.File
	for _, full := range f.Vars() {
		dot := strings.LastIndexByte(full, '/') + 1
		at := strings.IndexByte(full[dot:], '.')
		if at < 0 {
			continue
		}
		path, variable := full[:dot+at], full[dot+at+1:]
		own, ok := f.PackageName(path)
		if path[strings.LastIndexByte(path, '/')+1:] == name || ok && own == name {
			names = append(names, variable)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return lang.LastWord.FindString(n) != n })
}

// staticType is what the declarations say of a chain that leads through nil just now: a variable and then fields and
// indexes.
func (c *Console) staticType(chain string) *symbols.Type {
	f := c.session.File
	parts := chainParts(chain)
	var t *symbols.Type
	i := 0
	for n := min(2, len(parts)); n > 0 && t == nil; n-- {
		if name := strings.Join(parts[:n], ""); !strings.ContainsAny(name, "[(") {
			if v, err := f.Var(name); err == nil {
				t, i = v.Type, n
			}
		}
	}
	for ; t != nil && i < len(parts); i++ {
		for t.Kind == reflect.Pointer && t.Elem() != nil {
			t = t.Elem()
		}
		switch {
		case strings.HasPrefix(parts[i], "."):
			path, err := t.FieldByName(parts[i][1:])
			if err != nil {
				return nil
			}
			t = path.Field.Type
		case strings.HasPrefix(parts[i], "["):
			t = t.Elem()
		default:
			return nil
		}
	}
	return t
}

// lastChain is the expression that a line ends with: names, dots, indexes, calls.
func lastChain(line string) string {
	i := len(line)
	for i > 0 {
		switch b := line[i-1]; {
		case b == ']' || b == ')':
			open := opening(line[:i])
			if open < 0 {
				return ""
			}
			i = open
			continue
		case b == '\'' || b == '"': // f'text'
			at := strings.LastIndexByte(line[:i-1], b)
			if at < 0 {
				return ""
			}
			i = at
			continue
		case b == '.' || b == ':' || isWordByte(b):
			i--
			continue
		}
		break
	}
	return strings.TrimLeft(line[i:], ".:")
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// opening is where the bracket that ends a text begins, -1 if it doesn't.
func opening(text string) int {
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case ']', ')', '}':
			depth++
		case '[', '(', '{':
			if depth--; depth == 0 {
				return i
			}
		case '"', '\'':
			if at := strings.LastIndexByte(text[:i], text[i]); at >= 0 {
				i = at
			}
		}
	}
	return -1
}

// chainParts takes a.b[c].d apart: a .b [c] .d
func chainParts(chain string) (parts []string) {
	from := 0
	for i := 1; i <= len(chain); i++ {
		if i == len(chain) || chain[i] == '.' || chain[i] == '[' || chain[i] == '(' {
			parts = append(parts, chain[from:i])
			from = i
			if i < len(chain) && chain[i] != '.' {
				if end := closing(chain[i:]); end > 0 {
					i += end
				}
			}
		}
	}
	return parts
}

func closing(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '[', '(':
			depth++
		case ']', ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
