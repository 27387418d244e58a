package instruments

import (
	"context"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/symbols"
)

// Completion is what could stand at the end of a line.
type Completion struct {
	Start int      // of the word that is completed, in bytes
	Words []string // sorted
}

// completionTime is the most that a Tab may take.
const completionTime = 400 * time.Millisecond

const maxCompletions = 500

var luaWords = []string{"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}

var (
	lastWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*$`)
	// openName is the name of a variable or type that is being typed as a string.
	openName = regexp.MustCompile(`ri\.(var|ref|eval|vars|find1?|type|types|at|cast)\b[^'"]*(?:'[^']*'[^'"]*|"[^"]*"[^'"]*)*['"]([^'"]*)$`)
)

// Complete says what the end of a line of Lua could become: globals, packages and their variables, functions of ri, fields by the type
// of the value before the dot, keys of maps. What stands before the dot is looked at in live memory, or in what is held: nothing is stopped, and nothing that the line
// would change is changed.
func (c *Console) Complete(line string) Completion {
	if m := openName.FindStringSubmatchIndex(line); m != nil {
		typed := line[m[4]:m[5]]
		names := c.session.File.Vars()
		if strings.HasPrefix(line[m[2]:m[3]], "find") || slices.Contains([]string{"type", "types", "at", "cast"}, line[m[2]:m[3]]) {
			names = c.session.File.TypeNames()
		}
		return Completion{m[4], c.shortNames(names, typed)}
	}
	word := lastWord.FindString(line)
	start := len(line) - len(word)
	if start == 0 || line[start-1] != '.' && line[start-1] != ':' {
		return Completion{start, matching(c.globalNames(), word)}
	}
	base := lastChain(line[:start-1])
	if base == "" {
		return Completion{start, nil}
	}
	return Completion{start, matching(c.members(base, line[start-1] == ':'), word)}
}

// shortNames are names as they are typed, with their package's name for its path.
func (c *Console) shortNames(names []string, typed string) []string {
	seen := map[string]bool{}
	for _, name := range names {
		if short := c.session.File.ShortName(name); strings.HasPrefix(short, typed) && !strings.HasPrefix(short, "go.shape.") {
			seen[short] = true
		} else if strings.HasPrefix(name, typed) {
			seen[name] = true
		}
	}
	words := sortedKeys(seen)
	return words[:min(len(words), maxCompletions)]
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
	names := slices.Clone(luaWords)
	for _, t := range []*lua.LTable{c.host.lua.G.Global} {
		for _, k := range keysOf(t) {
			names = append(names, k.String())
		}
	}
	for k := range c.left {
		names = append(names, k.String())
	}
	names = append(names, sortedKeys(c.host.packageNames())...)
	return slices.DeleteFunc(names, func(n string) bool { return lastWord.FindString(n) != n })
}

// members are what can follow base and a dot.
func (c *Console) members(base string, method bool) []string {
	if lastWord.FindString(base) == base && c.host.lua.G.Global.RawGetString(base) == lua.LNil && c.left[lua.LString(base)] == nil && c.host.packageNames()[base] {
		return c.variablesOf(base)
	}
	var names []string
	if script, _, err := compileLine(base); err == nil {
		c.peek(script, func(v lua.LValue) { names = c.membersOf(v, method) })
	}
	if len(names) > 0 {
		return names
	}
	if t := c.staticType(base); t != nil {
		return fieldNames(t)
	}
	return nil
}

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
	return slices.DeleteFunc(names, func(n string) bool { return lastWord.FindString(n) != n })
}

// peek evaluates on memory as it is now, and gives what came out; nothing of it stays.
func (c *Console) peek(script *Script, f func(lua.LValue)) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	kept := c.held.Load()
	if kept == nil {
		view, err := c.session.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
		if err != nil {
			return
		}
		defer view.Close()
		l := &look{target: c.session.Target, options: attach.ViewOptions{Kind: attach.Live}}
		l.cache, l.space = c.session.memory()
		l.see(view)
	}
	finished := make(chan error, 1)
	var value lua.LValue = lua.LNil
	go func() {
		finished <- safely(func() error {
			return c.runLine(ctx, script, nil, discard{}, func(results []lua.LValue) {
				if len(results) > 0 {
					value = results[0]
				}
			})
		})
	}()
	if !waitFor(finished, completionTime+grace) {
		c.Release()
		c.restart()
		return
	}
	_ = safely(func() error { f(value); return nil })
}

// membersOf are the names that a value's dot reads.
func (c *Console) membersOf(v lua.LValue, method bool) (names []string) {
	if r, ok := refOf(v); ok {
		if t := r.binding.structure(); t != nil {
			return fieldNames(t)
		}
		target := r.value()
		if target.Type.Kind == reflect.Map {
			for e, err := range target.Entries() {
				if err != nil || len(names) > maxCompletions {
					break
				}
				if key, _, err := e.Key.Text(64); err == nil && lastWord.FindString(key) == key {
					names = append(names, key)
				}
			}
		}
		return names
	}
	if p, ok := placeOf(v); ok {
		return fieldNames(p.value.Type)
	}
	switch v := v.(type) {
	case *lua.LTable:
		for _, k := range keysOf(v) {
			names = append(names, k.String())
		}
	case lua.LString:
		if method {
			library, _ := c.host.lua.Env.RawGetString("string").(*lua.LTable)
			if library != nil {
				return c.membersOf(library, false)
			}
		}
	case *lua.LUserData:
		switch v.Value.(type) {
		case *goroutine:
			names = []string{"id", "addr", "status", "wait_reason", "wait", "parent", "created_by", "start", "thread", "system"}
			if method {
				names = []string{"stack", "locals", "labels"}
			}
		case *heap:
			names = slices.Clone(heapMethods)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return lastWord.FindString(n) != n })
}

// fieldNames are a struct's fields, promoted ones too.
func fieldNames(t *symbols.Type) (names []string) {
	for range 4 {
		if t.Kind == reflect.Pointer && t.Elem() != nil {
			t = t.Elem()
		}
	}
	seen := map[*symbols.Type]bool{}
	var add func(t *symbols.Type, depth int)
	add = func(t *symbols.Type, depth int) {
		if t.Kind == reflect.Pointer && t.Elem() != nil {
			t = t.Elem()
		}
		if t.Kind != reflect.Struct || seen[t] || depth > 8 {
			return
		}
		seen[t] = true
		for _, f := range t.Fields() {
			if f.Name != "_" {
				names = append(names, f.Name)
			}
			if f.Embedded {
				add(f.Type, depth+1)
			}
		}
	}
	add(t, 0)
	return names
}

// staticType is what the declarations say of a chain that leads through nil just now: a variable and then fields and indexes.
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

// RecipeNames are the recipes that fit the program.
func (c *Console) RecipeNames() (names []string) {
	for _, r := range c.catalogue.Recipes() {
		if script, err := r.Script(c.catalogue); err == nil && r.Mode == Read && len(scriptLacks(c.session.File, script)) == 0 {
			names = append(names, r.Name)
		}
	}
	return names
}

// ParameterWords are what can follow a recipe's name: NAME=, and NAME=VALUE where the values are few.
func ParameterWords(c *Catalogue, recipe string) (words []string) {
	r, err := findRecipe(c, recipe)
	if err != nil {
		return nil
	}
	script, err := r.Script(c)
	if err != nil || script.Header == nil {
		return nil
	}
	for _, p := range script.Header.Params {
		values := p.Values
		if p.Type == ParamBool {
			values = []string{"true", "false"}
		}
		if len(values) == 0 {
			words = append(words, p.Name+"=")
		}
		for _, v := range values {
			words = append(words, p.Name+"="+v)
		}
	}
	return words
}

// WriteRecipes writes the recipes, those that fit the program first.
func (c *Console) WriteRecipes(w io.Writer, style TableStyle) error {
	columns := []Column{{Name: "name"}, {Name: "category"}, {Name: "title"}}
	var rows []Row
	for _, name := range c.RecipeNames() {
		r, err := c.catalogue.Recipe(name)
		if err != nil {
			continue
		}
		script, err := r.Script(c.catalogue)
		if err != nil {
			continue
		}
		rows = append(rows, Row{{"name", name}, {"category", headerOf(script).Category}, {"title", r.TitleOr(script.Header)}})
	}
	_, err := WriteRows(w, columns, rows, style)
	return err
}

// RecipeWords are the names of all recipes, each with its title behind a tab, as completion of a command shell has it.
func (c *Catalogue) RecipeWords() (words []string) {
	for _, r := range c.Recipes() {
		title := r.Title
		if script, err := r.Script(c); err == nil {
			title = r.TitleOr(script.Header)
		}
		words = append(words, r.Name+"\t"+title)
	}
	return words
}
