package eval

import (
	"errors"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"strings"

	"ri/attach"
	"ri/values"
)

// How an expression is read and how its errors are written: import paths, and the part of the expression that failed.

// replacePaths puts a placeholder identifier in the place of each import path, since a slash is no part of a Go selector.
func (e *evaluator) replacePaths(expr string) string {
	var out strings.Builder
	isWord := func(c byte) bool {
		return c == '/' || c == '.' || c == '-' || c == '_' || c == '~' || c >= 0x80 ||
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
	}
	place := func(path string) string {
		for name, p := range e.paths {
			if p == path {
				return name
			}
		}
		name := fmt.Sprintf("_pkg%d", len(e.paths))
		e.paths[name] = path
		return name
	}
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '"' || c == '`' || c == '\'':
			end := i + 1
			for end < len(expr) && expr[end] != c {
				if expr[end] == '\\' && c != '`' {
					end++
				}
				end++
			}
			end = min(end+1, len(expr))
			// A quoted import path, before a dot; not a key in brackets.
			if c == '"' && end < len(expr) && expr[end] == '.' && end-1 > i+1 && !strings.HasSuffix(strings.TrimSpace(expr[:i]), "[") {
				out.WriteString(place(expr[i+1 : end-1]))
			} else {
				out.WriteString(expr[i:end])
			}
			i = end
		case isWord(c):
			end := i
			for end < len(expr) && isWord(expr[end]) {
				end++
			}
			word := expr[i:end]
			slash := strings.LastIndexByte(word, '/')
			if slash < 0 {
				out.WriteString(word)
				i = end
				continue
			}
			// The path ends at a dot behind the last slash: the first for which there is such a package.
			cut := -1
			for at := slash; ; {
				dot := strings.IndexByte(word[at:], '.')
				if dot < 0 {
					break
				}
				at += dot
				if cut < 0 {
					cut = at
				}
				if _, ok := e.s.File().PackageName(word[:at]); ok {
					cut = at
					break
				}
				at++
			}
			if cut < 0 {
				out.WriteString(word)
			} else {
				out.WriteString(place(word[:cut]) + word[cut:])
			}
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String()
}

// text writes a node back as the user wrote it.
func (e *evaluator) text(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Ident:
		if p, ok := e.paths[n.Name]; ok {
			return p
		}
		return n.Name
	case *ast.SelectorExpr:
		return e.text(n.X) + "." + n.Sel.Name
	case *ast.StarExpr:
		return "*" + e.text(n.X)
	case *ast.ParenExpr:
		return "(" + e.text(n.X) + ")"
	case *ast.IndexExpr:
		return e.text(n.X) + "[" + e.text(n.Index) + "]"
	case *ast.IndexListExpr:
		var args []string
		for _, a := range n.Indices {
			args = append(args, e.text(a))
		}
		return e.text(n.X) + "[" + strings.Join(args, ",") + "]"
	case *ast.BasicLit:
		return n.Value
	case *ast.ArrayType:
		if n.Len != nil {
			return "[" + e.text(n.Len) + "]" + e.text(n.Elt)
		}
		return "[]" + e.text(n.Elt)
	case *ast.MapType:
		return "map[" + e.text(n.Key) + "]" + e.text(n.Value)
	case *ast.ChanType:
		return map[ast.ChanDir]string{ast.SEND: "chan<- ", ast.RECV: "<-chan ", ast.SEND | ast.RECV: "chan "}[n.Dir] + e.text(n.Value)
	case *ast.InterfaceType:
		return "interface {}"
	case *ast.StructType:
		return "struct {}"
	case *ast.FuncType:
		return "func(...)"
	case *ast.CallExpr:
		var args []string
		for _, a := range n.Args {
			args = append(args, e.text(a))
		}
		return e.text(n.Fun) + "(" + strings.Join(args, ", ") + ")"
	case *ast.UnaryExpr:
		return n.Op.String() + e.text(n.X)
	case *ast.SliceExpr:
		low, high := "", ""
		if n.Low != nil {
			low = e.text(n.Low)
		}
		if n.High != nil {
			high = e.text(n.High)
		}
		return e.text(n.X) + "[" + low + ":" + high + "]"
	case *ast.TypeAssertExpr:
		return e.text(n.X) + ".(" + e.text(n.Type) + ")"
	case *ast.BinaryExpr:
		return e.text(n.X) + " " + n.Op.String() + " " + e.text(n.Y)
	case *ast.CompositeLit:
		var elts []string
		for _, x := range n.Elts {
			elts = append(elts, e.text(x))
		}
		typ := ""
		if n.Type != nil {
			typ = e.text(n.Type)
		}
		return typ + "{" + strings.Join(elts, ", ") + "}"
	case *ast.KeyValueExpr:
		return e.text(n.Key) + ": " + e.text(n.Value)
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

// through is at for what failed on the way from x, the value of part: where x itself can't be read, that is what failed.
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
