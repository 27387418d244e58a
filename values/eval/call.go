package eval

import (
	"fmt"
	"go/ast"
	"go/token"
	"reflect"
	"strings"

	"ri/symbols"
	"ri/values"
)

// What is written with parentheses or braces: conversions, type assertions, len, cap, find, composite literals, and
// constants as values.

func (e *evaluator) assert(n *ast.TypeAssertExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	if n.Type == nil || x.Type.Kind != reflect.Interface {
		return operand{}, e.at(n, fmt.Errorf("%s is no interface: %w", x.Type.Name, values.ErrKind))
	}
	want, err := e.s.Type(e.text(n.Type))
	if err != nil {
		return operand{}, err
	}
	v, err := x.Elem()
	if err != nil {
		return operand{}, e.at(n, err)
	}
	if v.Type != want && v.Type.Name != want.Name {
		return operand{}, e.at(n, fmt.Errorf("holds a %s: %w", v.Type.Name, values.ErrKind))
	}
	return operand{Value: v}, nil
}

// composite is a struct or array to compare a map's keys with.
func (e *evaluator) composite(n *ast.CompositeLit, t *symbols.Type) (*values.Literal, error) {
	if t.Kind != reflect.Struct && t.Kind != reflect.Array {
		return nil, e.at(n, fmt.Errorf("%s is no struct and no array: %w", t.Name, values.ErrKind))
	}
	l := values.NewLiteral(t)
	keyed := false
	at := 0
	for _, elt := range n.Elts {
		value := elt
		var part *symbols.Type
		var err error
		if kv, ok := elt.(*ast.KeyValueExpr); ok {
			value, keyed = kv.Value, true
			if t.Kind == reflect.Struct {
				at, part, err = l.Field(e.text(kv.Key))
			} else {
				at, err = e.integer(kv.Key)
			}
		}
		if part == nil && err == nil {
			part, err = l.Part(at)
		}
		if err != nil {
			return nil, e.at(n, err)
		}
		var x operand
		if inner, ok := value.(*ast.CompositeLit); ok && inner.Type == nil {
			x.composite, err = e.composite(inner, part)
		} else {
			x, err = e.eval(value)
		}
		if err != nil {
			return nil, err
		}
		native, err := e.native(x)
		if err != nil {
			return nil, err
		}
		l.Set(at, native)
		at++
	}
	if fields := len(t.Fields()); t.Kind == reflect.Struct && !keyed && len(n.Elts) > 0 && len(n.Elts) != fields {
		return nil, e.at(n, fmt.Errorf("%s has %d fields, %d are given: %w", t.Name, fields, len(n.Elts), values.ErrExpr))
	}
	return l, nil
}

// find is find(T): the value of a type that Find finds, if there is one only; or find(T, "where"): the one that it
// finds there (Found.Where).
func (e *evaluator) find(n *ast.CallExpr) (operand, error) {
	t, err := e.s.Type(strings.TrimPrefix(e.text(n.Args[0]), "*"))
	if err != nil {
		return operand{}, e.at(n, err)
	}
	if len(n.Args) == 2 {
		where, err := e.eval(n.Args[1])
		if err != nil || where.constant == nil || where.constant.kind != token.STRING {
			return operand{}, e.at(n,
				fmt.Errorf("the second argument of find is a text, as ri find shows it in WHERE: %w", values.ErrExpr))
		}
		var f values.Found
		e.s.Untraced(func() { f, err = e.s.FindAt(t, where.constant.text) })
		if err != nil {
			return operand{}, e.at(n, err)
		}
		e.s.NoteFound(f)
		return operand{Value: f.Value}, nil
	}
	var found []values.Found
	e.s.Untraced(func() { found, _, err = e.s.Find(t, values.FindOptions{Remember: true}) })
	switch {
	case len(found) == 1:
		e.s.NoteFound(found[0])
		return operand{Value: found[0].Value}, nil
	case len(found) > 1:
		var where []string
		for _, f := range found[:min(len(found), 8)] {
			where = append(where, fmt.Sprintf("(*%s)(%#x) (%s)", t.ShortName(), f.Value.Addr, f.Where))
		}
		if len(found) > len(where) {
			where = append(where, fmt.Sprintf("and %d more", len(found)-len(where)))
		}
		return operand{}, e.at(n, fmt.Errorf("there are %d: %s; write the one that is meant: %w",
			len(found), strings.Join(where, ", "), values.ErrNotOne))
	case err != nil:
		return operand{}, e.at(n, err)
	}
	return operand{}, e.at(n, fmt.Errorf("no value of %s in package variables, goroutines' frames or what they point "+
		"to: %w", t.Name, values.ErrNotOne))
}

func (e *evaluator) call(n *ast.CallExpr) (operand, error) {
	if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "find" && (len(n.Args) == 1 || len(n.Args) == 2) {
		return e.find(n)
	}
	if len(n.Args) != 1 {
		return operand{}, fmt.Errorf("%s: functions can't be called: %w", e.text(n), values.ErrExpr)
	}
	if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "len" || id.Name == "cap") {
		x, err := e.value(n.Args[0])
		if err != nil {
			return operand{}, err
		}
		size := x.Len
		if id.Name == "cap" {
			size = x.Cap
		}
		i, err := size()
		if err != nil {
			return operand{}, e.at(n, err)
		}
		return operand{constant: &literal{kind: token.INT, u: uint64(i)}}, nil
	}
	fun := n.Fun
	if p, ok := fun.(*ast.ParenExpr); ok {
		fun = p.X
	}
	t, err := e.s.Type(e.text(fun))
	if err != nil {
		return operand{}, fmt.Errorf("%s: functions can't be called, and it is no conversion: %w: %w", e.text(n), err,
			values.ErrExpr)
	}
	x, err := e.eval(n.Args[0])
	if err != nil {
		return operand{}, err
	}
	if x.composite != nil {
		return operand{}, fmt.Errorf("%s is no value of the program: %w", e.text(n.Args[0]), values.ErrExpr)
	}
	v, err := convert(e.s, x, t)
	return operand{Value: v}, e.at(n, err)
}

// value gives a constant a type: int, float64, string or bool.
func (l *literal) value(s *values.Space) (values.Value, error) {
	name, word := "int", l.u
	switch l.kind {
	case token.INT:
		if l.neg {
			word = -word
		}
	case token.IDENT:
		if l.text == "nil" {
			return values.Value{}, fmt.Errorf("nil has no type: %w", values.ErrExpr)
		}
		name, word = "bool", l.truth()
	default:
		return values.Value{}, fmt.Errorf("%s is a constant, nothing of the program: %w", l.text, values.ErrExpr)
	}
	t, err := s.Type(name)
	if err != nil {
		return values.Value{}, err
	}
	return s.Word(word, t), nil
}

// slice is x[low:high].
func (e *evaluator) slice(n *ast.SliceExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	length, err := x.Len()
	if err != nil {
		return operand{}, e.at(n, err)
	}
	low, high := 0, length
	if e.toCapacity && x.Type.Kind == reflect.Slice {
		if length, err = x.Cap(); err != nil {
			return operand{}, e.at(n, err)
		}
	}
	if n.Low != nil {
		if low, err = e.integer(n.Low); err != nil {
			return operand{}, err
		}
	}
	if n.High != nil {
		if high, err = e.integer(n.High); err != nil {
			return operand{}, err
		}
	}
	if low < 0 || high < low || high > length {
		return operand{}, e.at(n, fmt.Errorf("bounds %d:%d with length %d: %w", low, high, length, values.ErrRange))
	}
	e.s.Note(x.Addr, 8)
	v, err := x.SliceWithin(low, high, length)
	return operand{Value: v}, e.at(n, err)
}
