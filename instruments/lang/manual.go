package lang

import (
	_ "embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// manualStart is the part of the manual that isn't made from code.
//
//go:embed manual.md
var manualStart string

// Manual is the reference for script writers (docs/lua.md): how a Go value is seen, every function of API, and
// the modules of lib in a folder of scripts, from their comments.
func Manual(scripts fs.FS) (string, error) {
	var b strings.Builder
	b.WriteString(manualStart)
	group := ""
	for _, f := range API() {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		fmt.Fprintf(&b, "\n### %s\n\n`%s%s`\n\n%s\n\n```lua\n%s\n```\n", f.Name, f.Name, f.Signature, f.Doc, f.Example)
		if f.Output != "" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", f.Output)
		}
	}
	b.WriteString("\n# Modules\n\nWhat `require` finds in `scripts/lua/lib`. Walkers are used by `ri.pairs` too, " +
		"without being required.\n")
	files, err := fs.Glob(scripts, "lib/*.lua")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		source, err := fs.ReadFile(scripts, file)
		if err != nil {
			return "", err
		}
		writeModule(&b, strings.TrimSuffix(path.Base(file), ".lua"), string(source))
	}
	return b.String(), nil
}

// writeModule makes a chapter of a module that has one: its first comment begins with ---. So do those of the
// functions that it documents.
func writeModule(b *strings.Builder, name, source string) {
	var comment []string
	started := false
	for _, line := range strings.Split(source, "\n") {
		text, isComment := strings.CutPrefix(line, "--")
		switch {
		case isComment && strings.HasPrefix(text, "- "):
			comment = []string{strings.TrimPrefix(text, "- ")}
		case isComment && comment != nil:
			comment = append(comment, strings.TrimPrefix(text, " "))
		case comment == nil:
			if !started && line != "" {
				return // no chapter
			}
		case !started:
			started = true
			fmt.Fprintf(b, "\n## %s\n\n%s\n", name, strings.TrimSpace(strings.Join(comment, "\n")))
			comment = nil
		default:
			if signature, ok := strings.CutPrefix(line, "function "); ok {
				writeFunction(b, signature, comment)
			}
			comment = nil
		}
	}
}

func writeFunction(b *strings.Builder, signature string, comment []string) {
	name, _, _ := strings.Cut(signature, "(")
	fmt.Fprintf(b, "\n### %s\n\n`%s`\n", name, signature)
	inList := false
	for i, line := range comment {
		if tag, ok := strings.CutPrefix(line, "@"); ok {
			word, rest, _ := strings.Cut(tag, " ")
			if !inList {
				b.WriteString("\n")
			}
			inList = true
			if word == "param" {
				argument, what, _ := strings.Cut(rest, " ")
				fmt.Fprintf(b, "- `%s`: %s\n", argument, what)
			} else {
				fmt.Fprintf(b, "- gives %s\n", rest)
			}
			continue
		}
		if i == 0 {
			b.WriteString("\n")
		}
		b.WriteString(line + "\n")
	}
}

// Annotations is what lua-language-server needs to complete and check scripts: every function of API, with its types
// and its first sentence. It comes from the same table as docs/lua.md.
func Annotations() string {
	var b strings.Builder
	b.WriteString(`---@meta
-- What ri's scripts have, for lua-language-server: put this file into a folder that workspace.library names.
-- Made by ri lua-api.

---A value of the program. The dot reads fields, v[i] elements from 0 and keys of maps, #v is the length.
---@class value
---@field [any] any
---@operator len: integer

---Where a value lives, unread.
---@class place

---@class goroutine
---@field id integer
---@field addr integer
---@field status string
---@field wait_reason string
---@field wait number?
---@field parent integer
---@field created_by {func: string, file: string, line: integer}?
---@field start {func: string, file: string, line: integer}
---@field thread integer?
---@field system boolean
local g = {}

---@class heap
local h = {}

---A transaction: what the function given to ri.change gets.
---@class transaction
local tx = {}

---@class mark

---{'field', '==', value}, or a list of those that must all hold.
---@alias condition table

---@alias iterator fun(...): any, any

ri = {}
ri.bit = {}
`)
	functions := API()
	for _, f := range API() { // ri.stack(g, max) is g:stack(max) too
		if short, ok := strings.CutPrefix(f.Name, "ri."); ok && strings.HasPrefix(f.Signature, "(g: goroutine") {
			f.Name, f.Signature = "g:"+short, "("+strings.TrimLeft(strings.TrimPrefix(f.Signature, "(g: goroutine"), ", ")
			functions = append(functions, f)
		}
	}
	for _, f := range functions {
		b.WriteString("\n")
		fmt.Fprintf(&b, "---%s\n", f.Doc)
		if f.Signature == "" {
			fmt.Fprintf(&b, "---@type any\n%s = nil\n", f.Name)
			continue
		}
		first, overload, overloaded := cutTop(f.Signature, ';')
		params, result := splitSignature(first)
		var names []string
		for i, p := range params {
			name, typ := paramOf(p, i)
			names = append(names, strings.TrimSuffix(name, "?"))
			fmt.Fprintf(&b, "---@param %s %s\n", name, typ)
		}
		if result != "" {
			for _, r := range splitTop(result, ',') {
				fmt.Fprintf(&b, "---@return %s\n", annotationType(r))
			}
		}
		if overloaded {
			params, result := splitSignature(overload)
			var list []string
			for i, p := range params {
				name, typ := paramOf(p, i)
				list = append(list, name+": "+typ)
			}
			if result == "" {
				result = "any"
			}
			fmt.Fprintf(&b, "---@overload fun(%s): %s\n", strings.Join(list, ", "), annotationType(result))
		}
		fmt.Fprintf(&b, "function %s(%s) end\n", f.Name, strings.Join(names, ", "))
	}
	return b.String()
}

// splitSignature takes "(a: string, b?: int): value, string" apart.
func splitSignature(s string) (params []string, result string) {
	s = strings.TrimSpace(s)
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth--
		}
		if depth == 0 {
			return splitTop(s[1:i], ','), strings.TrimPrefix(strings.TrimSpace(s[i+1:]), ": ")
		}
	}
	return nil, ""
}

// splitTop splits at a separator that is in no brackets and no quotes.
func splitTop(s string, sep byte) (parts []string) {
	for s != "" {
		part, rest, more := cutTop(s, sep)
		parts = append(parts, strings.TrimSpace(part))
		if !more {
			break
		}
		s = rest
	}
	return parts
}

func cutTop(s string, sep byte) (before, after string, found bool) {
	depth, quoted := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '{' || c == '[':
			depth++
		case c == ')' || c == '}' || c == ']':
			depth--
		case c == sep && depth == 0:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// paramOf gives a parameter's name, with a question mark where it may be missing, and its type.
func paramOf(p string, i int) (name, typ string) {
	if strings.HasPrefix(p, "...") {
		return "...", "any"
	}
	if strings.HasPrefix(p, "{") {
		return "options?", annotationType(strings.TrimSuffix(p, "?"))
	}
	name, typ, typed := cutTop(p, ':')
	if name, alternative, either := cutTop(name, '|'); either && alternative != "" { // field: string|index: int|key: any
		return name, "any"
	}
	if strings.Contains(typ, ":") && !strings.ContainsAny(typ, "{(") {
		typ = " any"
	}
	if name == "" {
		name = fmt.Sprintf("argument%d", i+1)
	}
	if !typed {
		return name, "any"
	}
	if name == "function" || name == "end" {
		name += "_"
	}
	return name, annotationType(typ)
}

// annotationType writes a type as lua-language-server has it.
func annotationType(s string) string {
	s = strings.TrimSpace(s)
	if alternatives := splitTop(s, '|'); len(alternatives) > 1 {
		for i, a := range alternatives {
			alternatives[i] = annotationType(a)
		}
		return strings.Join(alternatives, "|")
	}
	switch {
	case s == "":
		return "any"
	case strings.HasPrefix(s, "iterator of "):
		return "fun(): " + annotationType(strings.TrimPrefix(s, "iterator of "))
	case strings.HasPrefix(s, "iterator"):
		return "iterator"
	case s == "function(tx)":
		return "fun(tx: transaction)"
	case strings.HasSuffix(s, "[]"):
		return annotationType(s[:len(s)-2]) + "[]"
	case strings.HasSuffix(s, "?"):
		return annotationType(s[:len(s)-1]) + "?"
	case s == "int":
		return "integer"
	case s == "bool":
		return "boolean"
	case strings.HasPrefix(s, "function("):
		return "function"
	case strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}"):
		fields := splitTop(s[1:len(s)-1], ',')
		for i, f := range fields {
			name, typ, _ := cutTop(f, ':')
			fields[i] = strings.TrimSpace(name) + ": " + annotationType(typ)
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return s
}
