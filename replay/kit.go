package replay

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

//go:embed kit/*.go
var kitFiles embed.FS

// kitSource is the text of package kit as one file of another package.
func kitSource(pkg string) ([]byte, error) {
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
	return format.Source(out.Bytes())
}
