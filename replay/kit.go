package replay

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

//go:embed kit/*.go
var kitFiles embed.FS

// kitSource is the text of package kit as one file of another package.
func kitSource(pkg string, taken func(name string) bool) ([]byte, error) {
	names, err := fs.Glob(kitFiles, "kit/*.go")
	if err != nil {
		return nil, err
	}
	imports := map[string]bool{}
	var body bytes.Buffer
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "/doc.go") {
			continue
		}
		text, err := kitFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, text, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		end := f.Name.End()
		for _, decl := range f.Decls {
			end = max(end, decl.End())
		}
		for _, i := range f.Imports {
			imports[i.Path.Value] = true
		}
		body.Write(text[fset.Position(end).Offset:])
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%spackage %s\n\nimport (\n", generatedText, pkg)
	for _, path := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintf(&out, "\t%s\n", path)
	}
	out.WriteString(")\n")
	out.Write(body.Bytes())
	return beside(out.Bytes(), taken)
}

// beside is the text of a file beside a library's own, formatted: what that declares for its whole package hides Go's
// own min, and a file can't import another package by such a name.
func beside(text []byte, taken func(name string) bool) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", text, 0)
	if err != nil {
		return nil, err
	}
	var changes []change
	set := func(at token.Pos, n int, text string) {
		changes = append(changes, change{fset.Position(at).Offset, n, text})
	}
	names := map[string]string{}
	for _, i := range f.Imports {
		name := strings.Trim(i.Path.Value[strings.LastIndexByte(i.Path.Value, '/')+1:], `"`)
		if i.Name == nil && taken(name) {
			names[name] = "ri" + strings.ToUpper(name[:1]) + name[1:] + "Package"
			set(i.Path.Pos(), 0, names[name]+" ")
		}
	}
	helpers := ""
	for _, id := range f.Unresolved {
		switch name := id.Name; {
		case names[name] != "":
			set(id.Pos(), len(name), names[name])
		case !taken(name) || types.Universe.Lookup(name) == nil:
		case name == "any":
			set(id.Pos(), len(name), "interface{}")
		case least[name] != "":
			set(id.Pos(), len(name), "ri"+name)
			if !strings.Contains(helpers, least[name]) {
				helpers += least[name]
			}
		default:
			return nil, fmt.Errorf("the library's package declares %s, and a test in it can't do without Go's own: %w",
				name, ErrLibrary)
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return a.at - b.at })
	var out bytes.Buffer
	done := 0
	for _, c := range changes {
		out.Write(text[done:c.at])
		out.WriteString(c.text)
		done = c.at + c.n
	}
	out.Write(text[done:])
	out.WriteString(helpers)
	return format.Source(out.Bytes())
}

// change puts a text in the place of n bytes.
type change struct {
	at, n int
	text  string
}

// least is what does what Go's own does, by that's name.
var least = map[string]string{"min": leastText("min", "<"), "max": leastText("max", ">")}

func leastText(name, than string) string {
	return fmt.Sprintf(`
func ri%s[T ~int | ~int64 | ~uint64](out T, more ...T) T {
	for _, v := range more {
		if v %s out {
			out = v
		}
	}
	return out
}
`, name, than)
}
