package flow

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// parse reads one Go expression.
func parse(text string) (ast.Expr, error) {
	if len(text) > mostText {
		return nil, fmt.Errorf("it has %d bytes, %d at most", len(text), mostText)
	}
	if strings.ContainsAny(text, "\x00\n\r") {
		return nil, errors.New("it has more than one line")
	}
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no Go expression: %w", text, err)
	}
	return e, nil
}

// canonicalPath is a path as it is compared with others.
func canonicalPath(text string) (string, error) {
	e, err := parse(text)
	if err != nil {
		return "", err
	}
	for {
		p, ok := e.(*ast.ParenExpr)
		if !ok {
			break
		}
		e = p.X
	}
	switch e := e.(type) {
	case *ast.Ident:
		if slices.Contains(constants, e.Name) {
			return "", fmt.Errorf("%s is no path", e.Name)
		}
	case *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr, *ast.TypeAssertExpr, *ast.CallExpr:
	default:
		return "", fmt.Errorf("%q is no path: a name, a field, an element, a dereference, a type assertion or a call of "+
			"len, cap or string", text)
	}
	return types.ExprString(e), nil
}

var (
	constants = []string{"nil", "true", "false"}
	measures  = []string{"len", "cap", "string"}
	texts     = []string{"hasPrefix", "hasSuffix", "contains", "strings.HasPrefix", "strings.HasSuffix",
		"strings.Contains"}
)

// notAllowed is an expression that a device doesn't allow.
func notAllowed(e ast.Expr, paths []string) error {
	return fmt.Errorf("%s is none of what may be shown, tested and used as a key: %s", types.ExprString(e),
		strings.Join(paths, ", "))
}

// allowedPath tells whether an expression is a path, or how long one is.
func allowedPath(e ast.Expr, paths []string) bool {
	switch x := e.(type) {
	case *ast.ParenExpr:
		return allowedPath(x.X, paths)
	case *ast.CallExpr:
		if f, ok := x.Fun.(*ast.Ident); ok && slices.Contains(measures, f.Name) && len(x.Args) == 1 &&
			!x.Ellipsis.IsValid() && allowedPath(x.Args[0], paths) {
			return true
		}
	}
	return slices.Contains(paths, types.ExprString(e))
}

// checkCondition reads a condition of which every part is a path that is allowed, a constant, or what the two are
// compared by. It gives the text that is armed, which is made of what was read.
func checkCondition(text string, paths []string) (string, error) {
	e, err := parse(text)
	if err != nil {
		return "", err
	}
	if err := checkPart(e, paths); err != nil {
		return "", err
	}
	return types.ExprString(e), nil
}

func checkPart(e ast.Expr, paths []string) error {
	if allowedPath(e, paths) {
		return nil
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return checkPart(e.X, paths)
	case *ast.BasicLit:
		return nil
	case *ast.Ident:
		if slices.Contains(constants, e.Name) {
			return nil
		}
	case *ast.UnaryExpr:
		if e.Op == token.NOT || e.Op == token.SUB || e.Op == token.ADD {
			return checkPart(e.X, paths)
		}
		return fmt.Errorf("%s: %s has no place in a condition", types.ExprString(e), e.Op)
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ, token.ADD, token.SUB,
			token.MUL, token.SHL, token.OR:
			return errors.Join(checkPart(e.X, paths), checkPart(e.Y, paths))
		}
		return fmt.Errorf("%s: %s has no place in a condition", types.ExprString(e), e.Op)
	case *ast.CallExpr:
		if slices.Contains(texts, types.ExprString(e.Fun)) && len(e.Args) == 2 && !e.Ellipsis.IsValid() {
			return errors.Join(checkPart(e.Args[0], paths), checkPart(e.Args[1], paths))
		}
	}
	return notAllowed(e, paths)
}

// checkShown reads what may be shown: a path, or how long one is.
func checkShown(text string, paths []string) (string, error) {
	e, err := parse(text)
	if err != nil {
		return "", err
	}
	if !allowedPath(e, paths) {
		return "", notAllowed(e, paths)
	}
	return types.ExprString(e), nil
}

// keyParts reads a key: paths with + between them.
func keyParts(text string, paths []string) ([]string, error) {
	e, err := parse(text)
	if err != nil {
		return nil, err
	}
	var parts []string
	var visit func(ast.Expr) error
	visit = func(e ast.Expr) error {
		if allowedPath(e, paths) {
			parts = append(parts, types.ExprString(e))
			return nil
		}
		if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.ADD {
			return errors.Join(visit(b.X), visit(b.Y))
		}
		return notAllowed(e, paths)
	}
	if err := visit(e); err != nil {
		return nil, err
	}
	if len(parts) > 8 {
		return nil, fmt.Errorf("it has %d parts, 8 at most", len(parts))
	}
	return parts, nil
}
