package host

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
	for _, f := range api {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		fmt.Fprintf(&b, "\n### %s\n\n`%s%s`\n\n%s\n\n```lua\n%s\n```\n", f.Name, f.Name, f.Signature, f.Doc, f.Example)
		if f.Output != "" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", f.Output)
		}
	}
	b.WriteString("\n# Modules\n\nWhat `require` finds in `scripts/lua/lib`. Walkers are used by `ri.pairs` too, without being required.\n")
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
