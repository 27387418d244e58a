package inert

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneWayOut: the rooms that print reach the terminal only by way of a Writer, or of instruments.Output, which makes
// one.
func TestOneWayOut(t *testing.T) {
	allowed := func(parent ast.Node) bool {
		switch p := parent.(type) {
		case *ast.SelectorExpr: // os.Stdout.Fd: is it a terminal, how wide is it
			return p.Sel.Name == "Fd"
		case *ast.CallExpr:
			called, ok := p.Fun.(*ast.SelectorExpr)
			return ok && (called.Sel.Name == "NewWriter" || called.Sel.Name == "OpenOutput")
		case *ast.KeyValueExpr: // Output{Stdout: os.Stdout}
			key, ok := p.Key.(*ast.Ident)
			// What comes from another ri has gone through its Writer; what a debugger writes on a terminal of its own is not
			// ri's.
			return ok && (key.Name == "Stdout" || key.Name == "Out" || key.Name == "Err")
		}
		return false
	}
	files := 0
	for _, room := range []string{"../cmd/ri", "../instruments", "../report", "../shell"} {
		err := filepath.WalkDir(room, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.Contains(path, "testdata") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			files++
			var parents []ast.Node
			ast.Inspect(file, func(n ast.Node) bool {
				if n == nil {
					parents = parents[:len(parents)-1]
					return true
				}
				parents = append(parents, n)
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				switch x, _ := s.X.(*ast.Ident); {
				case x == nil:
				case x.Name == "os" && (s.Sel.Name == "Stdout" || s.Sel.Name == "Stderr") && !allowed(parents[len(parents)-2]):
					t.Errorf("%s: os.%s is reached past inert.Writer", set.Position(s.Pos()), s.Sel.Name)
				case x.Name == "fmt" && strings.HasPrefix(s.Sel.Name, "Print"):
					t.Errorf("%s: fmt.%s writes past inert.Writer", set.Position(s.Pos()), s.Sel.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 50 {
		t.Errorf("only %d files were looked at", files)
	}
}
