package eval

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"strings"

	"ri/attach"
	"ri/values"
)

// How an expression is read and how its errors are written: import paths, and the part of the expression that failed.

// Source is an expression that was read, for whoever takes its operators elsewhere than here.
type Source struct {
	Tree ast.Expr
	e    *evaluator
}

// Read reads an expression. In its tree a placeholder stands for each import path: see Text.
func Read(s *values.Space, expr string) (*Source, error) {
	e := &evaluator{s: s, paths: map[string]string{}}
	tree, err := parser.ParseExpr(e.replacePaths(expr))
	if err != nil {
		return nil, fmt.Errorf("expression %q: %v: %w", expr, trimPosition(err), values.ErrExpr)
	}
	return &Source{Tree: tree, e: e}, nil
}

// Text writes a part of the expression as it was written.
func (s *Source) Text(n ast.Node) string { return s.e.text(n) }

// Evaluate evaluates a part that has no operators, as With does, in any space of the same program. A constant is a
// bool, int64, uint64, float64, string or Nil; all else a Value.
func (s *Source) Evaluate(in *values.Space, n ast.Expr, names map[string]any) (native any, v values.Value, err error) {
	e := &evaluator{s: in, paths: s.e.paths, names: names}
	x, err := e.eval(n)
	if err != nil {
		return nil, values.Value{}, err
	}
	if x.constant != nil || x.composite != nil {
		native, err = e.native(x)
		return native, values.Value{}, err
	}
	return nil, x.Value, nil
}

// replacePaths puts a placeholder identifier in the place of each import path, since a slash is no part of a Go
// selector.
func (e *evaluator) replacePaths(expr string) string {
	var out strings.Builder
	for rest := expr; rest != ""; {
		n := 1
		switch c := rest[0]; {
		case c == '"' || c == '`' || c == '\'':
			n = quoted(rest)
			// A quoted import path, before a dot; not a key in brackets.
			key := strings.HasSuffix(strings.TrimSpace(expr[:len(expr)-len(rest)]), "[")
			if c == '"' && n > 2 && !key && strings.HasPrefix(rest[n:], ".") {
				out.WriteString(e.placeholder(rest[1 : n-1]))
				rest = rest[n:]
				continue
			}
		case inPath(c):
			for n < len(rest) && inPath(rest[n]) {
				n++
			}
			if end := e.pathEnd(rest[:n]); end > 0 {
				out.WriteString(e.placeholder(rest[:end]))
				rest, n = rest[end:], n-end
			}
		}
		out.WriteString(rest[:n])
		rest = rest[n:]
	}
	return out.String()
}

// inPath tells whether a character may stand in an import path or a selector.
func inPath(c byte) bool {
	return c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		strings.IndexByte("/.-_~", c) >= 0
}

// quoted is how long the literal is that a text begins with.
func quoted(text string) int {
	end := 1
	for end < len(text) && text[end] != text[0] {
		if text[end] == '\\' && text[0] != '`' {
			end++
		}
		end++
	}
	return min(end+1, len(text))
}

// placeholder is the identifier that stands for an import path.
func (e *evaluator) placeholder(path string) string {
	for name, p := range e.paths {
		if p == path {
			return name
		}
	}
	name := fmt.Sprintf("_pkg%d", len(e.paths))
	e.paths[name] = path
	return name
}

// pathEnd is how long the import path is that a word begins with, 0 for none. It ends at a dot behind the last slash:
// the first before which there is such a package, else the first.
func (e *evaluator) pathEnd(word string) (first int) {
	slash := strings.LastIndexByte(word, '/')
	if slash < 0 {
		return 0
	}
	for at := slash; at < len(word); at++ {
		if word[at] != '.' {
			continue
		}
		if _, ok := e.s.File().PackageName(word[:at]); ok {
			return at
		}
		if first == 0 {
			first = at
		}
	}
	return first
}

// text writes a node back as the user wrote it.
func (e *evaluator) text(n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return ""
	case *ast.Ident:
		if p, ok := e.paths[n.Name]; ok {
			return p
		}
		return n.Name
	case *ast.BasicLit:
		return n.Value
	case *ast.SelectorExpr:
		return e.text(n.X) + "." + n.Sel.Name
	case *ast.StarExpr:
		return "*" + e.text(n.X)
	case *ast.ParenExpr:
		return "(" + e.text(n.X) + ")"
	case *ast.IndexExpr:
		return e.text(n.X) + "[" + e.text(n.Index) + "]"
	case *ast.SliceExpr:
		return e.text(n.X) + "[" + e.text(n.Low) + ":" + e.text(n.High) + "]"
	case *ast.TypeAssertExpr:
		return e.text(n.X) + ".(" + e.text(n.Type) + ")"
	case *ast.CallExpr:
		return e.text(n.Fun) + "(" + e.list(n.Args, ", ") + ")"
	case *ast.UnaryExpr:
		return n.Op.String() + e.text(n.X)
	case *ast.BinaryExpr:
		return e.text(n.X) + " " + n.Op.String() + " " + e.text(n.Y)
	case *ast.CompositeLit:
		return e.text(n.Type) + "{" + e.list(n.Elts, ", ") + "}"
	case *ast.KeyValueExpr:
		return e.text(n.Key) + ": " + e.text(n.Value)
	}
	return e.typeText(n)
}

// list writes nodes with something between them.
func (e *evaluator) list(nodes []ast.Expr, between string) string {
	var texts []string
	for _, n := range nodes {
		texts = append(texts, e.text(n))
	}
	return strings.Join(texts, between)
}

// typeText writes what is only part of a type, as types are named in the program.
func (e *evaluator) typeText(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IndexListExpr:
		return e.text(n.X) + "[" + e.list(n.Indices, ",") + "]"
	case *ast.ArrayType:
		return "[" + e.text(n.Len) + "]" + e.text(n.Elt)
	case *ast.MapType:
		return "map[" + e.text(n.Key) + "]" + e.text(n.Value)
	case *ast.ChanType:
		way := map[ast.ChanDir]string{ast.SEND: "chan<- ", ast.RECV: "<-chan ", ast.SEND | ast.RECV: "chan "}
		return way[n.Dir] + e.text(n.Value)
	case *ast.InterfaceType:
		return "interface {}"
	case *ast.StructType:
		return "struct {}"
	case *ast.FuncType:
		return "func(...)"
	}
	// What is no expression of ours anyhow, as Go formats it.
	var out strings.Builder
	if err := printer.Fprint(&out, token.NewFileSet(), n); err != nil {
		return "the expression"
	}
	text := out.String()
	for name, path := range e.paths {
		text = strings.ReplaceAll(text, name, path)
	}
	return text
}

// at puts the failed part of the expression before an error, once.
func (e *evaluator) at(n ast.Node, err error) error {
	if err == nil {
		return nil
	}
	var located *PathError
	if errors.As(err, &located) {
		return err
	}
	return &PathError{Path: e.text(n), Err: err}
}

// through is at for what failed on the way from x, the value of part: where x itself can't be read, that is what
// failed.
func (e *evaluator) through(part, whole ast.Node, x values.Value, err error) error {
	var unmapped *attach.AddressError
	if errors.As(err, &unmapped) && unmapped.Addr-x.Addr < uint64(max(x.Type.Size, 0)) {
		return e.at(part, err)
	}
	return e.at(whole, err)
}

// PathError says which Go path failed.
type PathError struct {
	Path string
	Err  error
}

func (p *PathError) Error() string { return p.Path + ": " + p.Err.Error() }
func (p *PathError) Unwrap() error { return p.Err }
