package eval

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"reflect"
	"strconv"
	"strings"

	"ri/symbols"
	"ri/values"
)

// Expression evaluates a Go selector expression: package variables, fields, indexes, slices, dereferences, address-of,
// conversions (float64(x), string(b)), also of addresses ((*main.T)(0xc000012340)), type assertions, len and cap,
// composite literals as keys of maps (m[main.Key{"a", 1}]), and find(main.T), the value that Find finds; no calls.
// Import paths may be written as they are ("github.com/x/y.Var.field") or quoted. An error names the part of the
// expression that failed.
func Expression(s *values.Space, expr string) (values.Value, error) { return With(s, expr, nil) }

// With is Expression where names stand for something, before the program's variables: a Value, or a constant: an int64,
// uint64, float64, string or bool.
func With(s *values.Space, expr string, names map[string]any) (values.Value, error) {
	e := &evaluator{s: s, paths: map[string]string{}, names: names}
	source := e.replacePaths(expr)
	tree, err := parser.ParseExpr(source)
	if err != nil {
		return values.Value{}, fmt.Errorf("expression %q: %v: %w", expr, trimPosition(err), values.ErrExpr)
	}
	v, err := e.eval(tree)
	if err != nil {
		return values.Value{}, err
	}
	switch {
	case v.constant != nil:
		return v.constant.value(s)
	case v.composite != nil:
		return values.Value{}, fmt.Errorf("%s is no value of the program: %w", e.text(tree), values.ErrExpr)
	}
	return v.Value, nil
}

// Place is the place that an expression stands for, to be changed, with the way that led there. ErrExpr for what has no
// place in memory.
func Place(s *values.Space, expr string) (v values.Value, _ *values.Trace, err error) {
	t, err := s.Traced(func() error {
		v, err = Expression(s, expr)
		return err
	})
	if err != nil {
		return values.Value{}, nil, err
	}
	if values.IsLocal(v.Addr) {
		return values.Value{}, nil,
			fmt.Errorf("%s has a value and no place in memory that could be changed: name a variable, field or element: %w",
				expr, values.ErrExpr)
	}
	return v, t, nil
}

// Operand evaluates an expression that may be a constant: a bool, int64, uint64, float64, string or Nil is given as
// such, all else as a Value with the way to it. Slices may go up to the capacity, as in Go.
func Operand(s *values.Space, expr string) (native any, v values.Value, _ *values.Trace, err error) {
	e := &evaluator{s: s, paths: map[string]string{}, toCapacity: true}
	tree, err := parser.ParseExpr(e.replacePaths(expr))
	if err != nil {
		return nil, values.Value{}, nil, fmt.Errorf("expression %q: %v: %w", expr, trimPosition(err), values.ErrExpr)
	}
	if u, ok := tree.(*ast.UnaryExpr); ok && u.Op == token.ADD {
		tree = u.X
	}
	var x operand
	t, err := s.Traced(func() error {
		x, err = e.eval(tree)
		return err
	})
	if err != nil {
		return nil, values.Value{}, nil, err
	}
	if x.constant != nil || x.composite != nil {
		native, err := e.native(x)
		return native, values.Value{}, t, err
	}
	return nil, x.Value, t, nil
}

func trimPosition(err error) string {
	_, text, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return err.Error()
	}
	return text
}

// maxPointers bounds how many pointers an index follows.
const maxPointers = 16

type evaluator struct {
	s     *values.Space
	paths map[string]string // placeholder identifier -> import path
	names map[string]any    // see With
	// toCapacity lets slices of slices go up to the capacity, as Go does.
	toCapacity bool
}

// operand is a value, a constant that has no type yet, or a composite literal.
type operand struct {
	values.Value
	constant  *literal
	composite *values.Literal
}

// literal is an untyped constant of the expression.
type literal struct {
	kind token.Token // INT, FLOAT, STRING, or IDENT for true, false and nil
	text string
	u    uint64
	neg  bool
}

func (e *evaluator) eval(n ast.Expr) (operand, error) {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return e.eval(n.X)
	case *ast.Ident:
		return e.ident(n)
	case *ast.BasicLit:
		return e.basic(n)
	case *ast.SelectorExpr:
		return e.selector(n)
	case *ast.StarExpr:
		return e.dereference(n)
	case *ast.UnaryExpr:
		return e.unary(n)
	case *ast.IndexExpr:
		return e.index(n)
	case *ast.SliceExpr:
		return e.slice(n)
	case *ast.TypeAssertExpr:
		return e.assert(n)
	case *ast.CallExpr:
		return e.call(n)
	case *ast.CompositeLit:
		if n.Type != nil {
			t, err := e.s.Type(e.text(n.Type))
			if err != nil {
				return operand{}, err
			}
			c, err := e.composite(n, t)
			return operand{composite: c}, err
		}
	case *ast.BinaryExpr:
		return operand{}, fmt.Errorf("%s: operators need Lua (ri exec -e 'return ...'), an expression is variables, fields, "+
			"indexes, dereferences and conversions: %w", e.text(n), values.ErrExpr)
	}
	return operand{}, fmt.Errorf("%s: only variables, fields, indexes, dereferences and conversions can be evaluated: %w",
		e.text(n), values.ErrExpr)
}

func (e *evaluator) ident(n *ast.Ident) (operand, error) {
	switch n.Name {
	case "nil", "true", "false":
		return operand{constant: &literal{kind: token.IDENT, text: n.Name}}, nil
	}
	if given, ok := e.names[n.Name]; ok {
		return givenOperand(given), nil
	}
	name := e.text(n)
	v, err := e.s.Var(name)
	if errors.Is(err, symbols.ErrNotFound) && e.isPackage(n.Name) {
		err = fmt.Errorf("%s is a package; name one of its variables: %s.NAME: %w", name, name, values.ErrExpr)
	}
	return operand{Value: v}, err
}

func (e *evaluator) dereference(n *ast.StarExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	if x.Type.Kind != reflect.Pointer {
		return operand{}, e.at(n, fmt.Errorf("%s is no pointer: %w", x.Type.Name, values.ErrKind))
	}
	v, err := x.Elem()
	return operand{Value: v}, e.through(n.X, n, x, err)
}

// givenOperand is what a name of With stands for.
func givenOperand(given any) operand {
	l := &literal{}
	switch v := given.(type) {
	case values.Value:
		return operand{Value: v}
	case int64:
		l.kind, l.text, l.u = token.INT, strconv.FormatInt(v, 10), uint64(v)
		if v < 0 {
			l.neg, l.text, l.u = true, l.text[1:], -uint64(v)
		}
	case uint64:
		l.kind, l.text, l.u = token.INT, strconv.FormatUint(v, 10), v
	case float64:
		l.kind, l.text, l.neg = token.FLOAT, strconv.FormatFloat(math.Abs(v), 'g', -1, 64), v < 0
	case string:
		l.kind, l.text = token.STRING, v
	case bool:
		l.kind, l.text = token.IDENT, strconv.FormatBool(v)
	default:
		l.kind, l.text = token.IDENT, "nil"
	}
	return operand{constant: l}
}

// value evaluates what must not be a bare constant.
func (e *evaluator) value(n ast.Expr) (values.Value, error) {
	x, err := e.eval(n)
	if err != nil {
		return values.Value{}, err
	}
	if x.constant != nil {
		return values.Value{}, fmt.Errorf("%s is a constant: %w", e.text(n), values.ErrExpr)
	}
	if x.composite != nil {
		return values.Value{}, fmt.Errorf("%s is no value of the program: %w", e.text(n), values.ErrExpr)
	}
	return x.Value, nil
}

func (e *evaluator) isPackage(name string) bool {
	if p, ok := e.paths[name]; ok {
		name = p
	}
	if _, ok := e.s.File().PackageName(name); ok {
		return true
	}
	for _, path := range e.s.File().Packages() {
		if pkg, _ := e.s.File().PackageName(path); pkg == name {
			return true
		}
	}
	return false
}

func (e *evaluator) selector(n *ast.SelectorExpr) (operand, error) {
	if id, ok := n.X.(*ast.Ident); ok && e.names[id.Name] == nil {
		name := e.text(id) + "." + n.Sel.Name
		v, err := e.s.Var(name)
		if err == nil {
			return operand{Value: v}, nil
		}
		// Not a package's variable: a field of a variable of package main, unless only a package has that name.
		_, mainErr := e.s.Var(e.text(id))
		if mainErr != nil && e.isPackage(id.Name) || errors.Is(err, symbols.ErrNoDWARF) ||
			errors.Is(err, symbols.ErrAmbiguous) {
			return operand{}, err
		}
	}
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	v, err := x.Field(n.Sel.Name)
	return operand{Value: v}, e.through(n.X, n, x, err)
}

func (e *evaluator) basic(n *ast.BasicLit) (operand, error) {
	l := &literal{kind: n.Kind, text: n.Value}
	var err error
	switch n.Kind {
	case token.INT:
		l.u, err = strconv.ParseUint(n.Value, 0, 64)
	case token.STRING:
		l.text, err = strconv.Unquote(n.Value)
	case token.CHAR:
		var text string
		if text, err = strconv.Unquote(n.Value); err == nil {
			l.kind, l.u = token.INT, uint64([]rune(text)[0])
		}
	case token.FLOAT:
		_, err = strconv.ParseFloat(n.Value, 64)
	default:
		err = values.ErrExpr
	}
	if err != nil {
		return operand{}, fmt.Errorf("%s: %v: %w", n.Value, err, values.ErrExpr)
	}
	return operand{constant: l}, nil
}

func (e *evaluator) unary(n *ast.UnaryExpr) (operand, error) {
	x, err := e.eval(n.X)
	if err != nil {
		return operand{}, err
	}
	switch {
	case n.Op == token.SUB && x.constant != nil && (x.constant.kind == token.INT || x.constant.kind == token.FLOAT):
		negated := *x.constant
		negated.neg = !negated.neg
		return operand{constant: &negated}, nil
	case n.Op == token.AND && x.constant == nil && x.composite == nil:
		if values.IsLocal(x.Addr) {
			return operand{}, e.at(n, fmt.Errorf("%s lives in no memory and has no address: %w", x.Type.Name, values.ErrExpr))
		}
		return operand{Value: e.s.Word(x.Addr, e.s.File().PointerTo(x.Type))}, nil
	}
	return operand{}, fmt.Errorf("%s: operator %s can't be evaluated: %w", e.text(n), n.Op, values.ErrExpr)
}

// native gives a constant or a scalar value as Lookup and Equals take it.
func (e *evaluator) native(x operand) (any, error) {
	if x.composite != nil {
		return x.composite, nil
	}
	if x.constant == nil {
		switch values.ScalarKindOf(x.Type.Kind) {
		case values.TextScalar:
			text, _, err := x.Text(maxConverted)
			return text, err
		case values.IntScalar:
			return x.Int()
		case values.UintScalar:
			return x.Uint()
		}
		if x.Type.Kind == reflect.Interface {
			inner, err := x.Elem()
			if err != nil {
				return nil, err
			}
			return e.native(operand{Value: inner})
		}
		return x.Value, nil
	}
	switch c := x.constant; c.kind {
	case token.STRING:
		return c.text, nil
	case token.FLOAT:
		f, err := strconv.ParseFloat(c.text, 64)
		if c.neg {
			f = -f
		}
		return f, err
	case token.INT:
		switch {
		case c.neg && c.u > 1<<63: // no integer of 64 bits
			return -float64(c.u), nil
		case c.neg:
			return -int64(c.u), nil
		}
		return c.u, nil
	default:
		if c.text == "nil" {
			return values.Nil{}, nil
		}
		return c.text == "true", nil
	}
}

func (e *evaluator) integer(n ast.Expr) (int, error) {
	x, err := e.eval(n)
	if err != nil {
		return 0, err
	}
	native, err := e.native(x)
	if err != nil {
		return 0, err
	}
	switch i := native.(type) {
	case int64:
		return int(i), nil
	case uint64:
		if i <= 1<<62 {
			return int(i), nil
		}
	}
	return 0, fmt.Errorf("%s is no index: %w", e.text(n), values.ErrExpr)
}

func (e *evaluator) index(n *ast.IndexExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	for range maxPointers {
		isArrayPointer := x.Type.Kind == reflect.Pointer && x.Type.Elem() != nil && x.Type.Elem().Kind != reflect.Array
		if x.Type.Kind != reflect.Interface && !isArrayPointer {
			break
		}
		if x, err = x.Elem(); err != nil {
			return operand{}, e.at(n.X, err)
		}
	}
	if x.Type.Kind == reflect.Map {
		if n, ok := e.constantKey(x, n.Index); ok {
			v, err := x.Lookup(n)
			return operand{Value: v}, err
		}
		k, err := e.eval(n.Index)
		if err != nil {
			return operand{}, err
		}
		key, err := e.native(k)
		if err != nil {
			return operand{}, e.at(n, err)
		}
		v, err := x.Lookup(key)
		return operand{Value: v}, e.through(n.X, n, x, err)
	}
	i, err := e.integer(n.Index)
	if err != nil {
		return operand{}, err
	}
	v, err := x.Index(i)
	return operand{Value: v}, e.through(n.X, n, x, err)
}

// constantKey takes the name of a constant of a map's key type: m[Red] or m[colors.Red].
func (e *evaluator) constantKey(m values.Value, n ast.Expr) (int64, bool) {
	key := m.Type.Key()
	if key == nil || !isInteger(key) {
		return 0, false
	}
	switch n.(type) {
	case *ast.Ident, *ast.SelectorExpr:
		return key.ConstantValue(e.text(n))
	}
	return 0, false
}
