package lang

import (
	"reflect"

	"github.com/yuin/gopher-lua/ast"
)

// This file is what CompileForTokens does besides.

// refusable writes what would silently be wrong of a token with calls; nil: it can't be of one.
func (r *rewriter) refusable(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.RelationalOpExpr:
		return comparison(e)
	case *ast.AttrGetExpr:
		if _, fixed := e.Key.(*ast.StringExpr); fixed || noText(e.Key) {
			return nil
		}
		return callOf(e, GetName, e.Object, e.Key)
	case *ast.UnaryLenOpExpr:
		switch e.Expr.(type) {
		case *ast.StringExpr, *ast.TableExpr:
			return nil
		}
		return at(e, &ast.UnaryLenOpExpr{Expr: callOf(e, LengthName, e.Expr)})
	case *ast.TableExpr:
		if r.noted[e] { // it is the argument of such a call
			return nil
		}
		for _, f := range e.Fields {
			if _, fixed := f.Key.(*ast.StringExpr); f.Key != nil && !fixed && !noText(f.Key) {
				r.noted[e] = true
				return callOf(e, KeysName, e)
			}
		}
	}
	return nil
}

// comparison writes a comparison.
func comparison(e *ast.RelationalOpExpr) ast.Expr {
	if noText(e.Lhs) || noText(e.Rhs) {
		return nil
	}
	switch e.Operator {
	case "==":
		return callOf(e, EqualName, e.Lhs, e.Rhs)
	case "~=":
		return at(e, &ast.UnaryNotOpExpr{Expr: callOf(e, EqualName, e.Lhs, e.Rhs)})
	}
	return at(e, &ast.RelationalOpExpr{Operator: e.Operator, Lhs: callOf(e, OrderedName, e.Lhs),
		Rhs: callOf(e, OrderedName, e.Rhs)})
}

// callOf is a call of a global, with one result of each argument.
func callOf(where ast.PositionHolder, name string, args ...ast.Expr) ast.Expr {
	for _, a := range args {
		if f, ok := a.(*ast.FuncCallExpr); ok {
			f.AdjustRet = true
		}
		if v, ok := a.(*ast.Comma3Expr); ok {
			v.AdjustRet = true
		}
	}
	return at(where, &ast.FuncCallExpr{Func: at(where, &ast.IdentExpr{Value: name}), Args: args, AdjustRet: true})
}

// noText tells constants that are no texts.
func noText(e ast.Expr) bool {
	switch e.(type) {
	case *ast.NilExpr, *ast.NumberExpr, *ast.TrueExpr, *ast.FalseExpr:
		return true
	}
	return false
}

// assignment goes through an assignment whose left sides stay what they are, but for keys: a table notes that it has
// tokens for keys.
func (r *rewriter) assignment(s *ast.AssignStmt, depth, line int) {
	for _, e := range s.Lhs {
		get, ok := e.(*ast.AttrGetExpr)
		if !ok {
			continue
		}
		_, fixed := get.Key.(*ast.StringExpr)
		noted := !fixed && !noText(get.Key) && plainPath(get.Object)
		r.walk(reflect.ValueOf(&get.Object).Elem(), depth+1, line)
		r.walk(reflect.ValueOf(&get.Key).Elem(), depth+1, line)
		if noted {
			get.Key = callOf(get, KeyName, get.Object, get.Key)
		}
	}
	r.walk(reflect.ValueOf(&s.Rhs).Elem(), depth+1, line)
}

// plainPath tells what may be evaluated twice: a name, or a field of one.
func plainPath(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.IdentExpr:
			return true
		case *ast.AttrGetExpr:
			if _, fixed := x.Key.(*ast.StringExpr); !fixed {
				return false
			}
			e = x.Object
		default:
			return false
		}
	}
}
