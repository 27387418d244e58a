package compile

import (
	"fmt"
	"go/ast"
	"go/constant"
	"reflect"
	"strings"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// textCalls are the questions about texts, by the names that Go has for them.
var textCalls = map[string]probe.TextOp{
	"hasPrefix": probe.HasPrefix, "HasPrefix": probe.HasPrefix, "strings.HasPrefix": probe.HasPrefix,
	"bytes.HasPrefix": probe.HasPrefix,
	"hasSuffix":       probe.HasSuffix, "HasSuffix": probe.HasSuffix, "strings.HasSuffix": probe.HasSuffix,
	"bytes.HasSuffix": probe.HasSuffix,
	"contains":        probe.Contains, "Contains": probe.Contains, "strings.Contains": probe.Contains,
	"bytes.Contains": probe.Contains,
}

// text is hasPrefix(x, "literal") and the like.
func (c *compiler) text(n *ast.CallExpr, of ast.Expr, op probe.TextOp, literal ast.Expr) (probe.Condition, error) {
	x, err := c.place(of)
	if err != nil {
		return nil, err
	}
	y, err := c.expr(literal)
	if call, ok := literal.(*ast.CallExpr); ok && len(call.Args) == 1 && c.src.Text(call.Fun) == "[]byte" {
		y, err = c.expr(call.Args[0])
	}
	if err != nil {
		return nil, err
	}
	if y.constant == nil || y.constant.Kind() != constant.String {
		return nil, c.cannot(n, "the second argument has to be a text in quotes")
	}
	when, err := textOf(x, op, constant.StringVal(y.constant))
	return when, c.fail(n, err)
}

// equalText compares a string with a literal; that it is empty, its length tells.
func (c *compiler) equalText(n ast.Node, x spot, literal string) (probe.Condition, error) {
	if x.t.Kind != reflect.String {
		hint := ""
		if isText(x.t) {
			hint = ", string() of it can"
		}
		return nil, c.fail(n, fmt.Errorf("%s can't be compared with a text%s: %w", a(x.t), hint, values.ErrKind))
	}
	if literal == "" {
		w, err := x.word(8, 8, true)
		return x.where(probe.Compare{Left: w, Op: probe.Equal}), c.fail(n, err)
	}
	when, err := textOf(x, probe.Is, literal)
	return when, c.fail(n, err)
}

// isText tells whether a type is a string, or bytes.
func isText(t *symbols.Type) bool {
	return t.Kind == reflect.String || t.Kind == reflect.Slice && t.Elem() != nil && t.Elem().Kind == reflect.Uint8
}

func textOf(x spot, op probe.TextOp, literal string) (probe.Condition, error) {
	if !isText(x.t) {
		return nil, fmt.Errorf("%s is no text: %w", a(x.t), values.ErrKind)
	}
	if len(literal) > probe.MaxLiteral {
		return nil, fmt.Errorf("the text has %d bytes, at most %d can be compared: %w", len(literal), probe.MaxLiteral,
			ErrCannot)
	}
	if literal == "" { // every text has it
		return x.where(probe.And{}), nil
	}
	data, err := x.word(0, 8, false)
	if err != nil {
		return nil, err
	}
	length, err := x.word(8, 8, true)
	if err != nil {
		return nil, err
	}
	t := probe.Text{Data: data, Len: length, Op: op, Literal: []byte(literal)}
	if op == probe.Contains {
		t.Within = probe.MaxWithin
	}
	return x.where(t), nil
}

// a is a type with its article.
func a(t *symbols.Type) string {
	name := t.ShortName()
	if name != "" && strings.ContainsRune("aeio", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}
