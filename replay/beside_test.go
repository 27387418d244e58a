package replay

import (
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

// TestBeside: a library may have a min of its own, and names of packages that a test imports.
func TestBeside(t *testing.T) {
	const library = "package lib\n\nfunc min(a, b uint64) uint64 { return a }\n" +
		"func max(a, b uint64) uint64 { return b }\n" +
		"var bytes, os, reflect, slices, time = 1, 2, 3, 4, 5\n\ntype any struct{}\n"
	fset := token.NewFileSet()
	own, err := parser.ParseFile(fset, "lib.go", library, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken := func(name string) bool {
		return slices.Contains([]string{"min", "max", "bytes", "os", "reflect", "slices", "time", "any"}, name)
	}
	kit, err := kitSource("lib", taken)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(fset, "kit.go", kit, 0)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	if _, err := conf.Check("lib", fset, []*ast.File{own, f}, nil); err != nil {
		t.Error(err)
	}
	if _, err := kitSource("lib", func(name string) bool { return name == "len" }); !errors.Is(err, ErrLibrary) {
		t.Errorf("of a library with a len of its own it says: %v", err)
	}
}
