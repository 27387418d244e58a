package compile

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"time"

	"ri/probe"
	"ri/values"
)

// after is a condition that is decided over what a hit took along. What the kernel can't decide can be asked so: it
// costs a whole hit each time.
type after struct {
	*compiler
	source string
}

// decideAfter has what a condition names be taken along.
func (p *Program) decideAfter(s *Scope, expr string, at, back *capture) error {
	c, err := s.compilerOf(expr, false)
	if err != nil {
		return err
	}
	p.after = append(p.after, &after{c, expr})
	var bad error
	ast.Inspect(c.src.Tree, func(n ast.Node) bool {
		x, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		switch x.(type) {
		case *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr, *ast.StarExpr, *ast.TypeAssertExpr:
		default:
			return true
		}
		c.back = false
		spot, err := c.place(x)
		side, to := at, &p.at.hidden
		if errors.Is(err, ErrReturns) {
			if !s.Returns {
				bad = err
				return false
			}
			c.back, side, to = true, back, &p.back.hidden
			spot, err = c.place(x)
		}
		if err != nil { // no value, or one that is found by its parts
			return true
		}
		*to = append(*to, side.root(c.src.Text(x), spot))
		return false
	})
	return bad
}

// Decide decides the conditions that the kernel was not given. undecided is why it can't be told, and is nil otherwise.
func (p *Program) Decide(ev *probe.Event) (holds bool, undecided error) {
	if len(p.after) == 0 {
		return true, nil
	}
	names := map[string]any{}
	errs := map[string]error{}
	note := func(all []Value) {
		for _, v := range all {
			if names[v.Name], errs[v.Name] = v.Value, v.Err; v.Err != nil {
				delete(names, v.Name)
			}
		}
	}
	p.at.set(ev.Pieces)
	note(p.values(&p.at, p.at.hidden, ev.Pieces, ev.Registers))
	d := decider{names: names, errs: errs, space: p.at.space, took: -1}
	if ev.Return != nil {
		d.took = ev.Return.Time - ev.Time
		p.back.set(ev.Return.Pieces)
		note(p.values(&p.back, p.back.hidden, ev.Return.Pieces, ev.Return.Registers))
	}
	return d.all(p.after)
}

// all decides several conditions, of which all must hold.
func (d *decider) all(list []*after) (holds bool, undecided error) {
	for _, a := range list {
		d.after = a
		ok, err := d.decide(a.src.Tree)
		switch {
		case err == nil && !ok:
			return false, nil
		case err != nil:
			undecided = errors.Join(undecided, fmt.Errorf("%s: %w", a.source, err))
		}
	}
	return undecided == nil, undecided
}

// decider decides over one hit.
type decider struct {
	*after
	names map[string]any
	errs  map[string]error
	space *values.Space
	took  time.Duration // -1: not known
}

// decide is Kleene's logic: an error is "not decided".
func (d *decider) decide(n ast.Expr) (bool, error) {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return d.decide(n.X)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			ok, err := d.decide(n.X)
			return !ok, err
		}
	case *ast.BinaryExpr:
		if n.Op != token.LAND && n.Op != token.LOR {
			return d.compare(n)
		}
		left, err := d.decide(n.X)
		if ends := n.Op == token.LOR; err == nil && left == ends {
			return left, nil
		}
		right, rightErr := d.decide(n.Y)
		if ends := n.Op == token.LOR; rightErr == nil && right == ends {
			return right, nil
		}
		return right, errors.Join(err, rightErr)
	case *ast.CallExpr:
		if op, ok := textCalls[d.src.Text(n.Fun)]; ok && len(n.Args) == 2 {
			return d.text(op, n)
		}
	}
	x, err := d.scalar(n)
	if err == nil && x.Kind != values.BoolScalar {
		err = fmt.Errorf("%s is no condition: %w", d.src.Text(n), values.ErrExpr)
	}
	return x.Bits != 0, err
}

// leaf is what a part without operators stands for.
func (d *decider) leaf(n ast.Expr) (native any, v values.Value, err error) {
	text := d.src.Text(n)
	if err := d.errs[text]; err != nil {
		return nil, values.Value{}, err
	}
	if v, ok := d.names[text].(values.Value); ok {
		return nil, v, nil
	}
	if text == "duration" {
		if d.took < 0 {
			return nil, values.Value{}, ErrReturns
		}
		return int64(d.took), values.Value{}, nil
	}
	// Constants such as 50*time.Millisecond are computed as they are for the kernel.
	if x, err := d.expr(n); err == nil && x.constant != nil {
		return nativeOf(x.constant), values.Value{}, nil
	}
	return d.evaluate(n)
}

// evaluate evaluates a part whose own parts may be what was shown: of a hit that took along r.URL, r.URL.Path.
func (d *decider) evaluate(n ast.Expr) (native any, v values.Value, err error) {
	n, err = d.bind(n)
	if err != nil {
		return nil, values.Value{}, err
	}
	return d.src.Evaluate(d.space, n, d.names)
}

// bind puts names in the place of parts that a hit took along.
func (d *decider) bind(n ast.Expr) (ast.Expr, error) {
	text := d.src.Text(n)
	if err := d.errs[text]; err != nil {
		return nil, err
	}
	if _, ok := d.names[text]; ok {
		return ast.NewIdent(text), nil
	}
	var err error
	switch x := n.(type) {
	case *ast.ParenExpr:
		return d.bind(x.X)
	case *ast.SelectorExpr:
		y := *x
		y.X, err = d.bind(x.X)
		return &y, err
	case *ast.IndexExpr:
		y := *x
		y.X, err = d.bind(x.X)
		return &y, err
	case *ast.SliceExpr:
		y := *x
		y.X, err = d.bind(x.X)
		return &y, err
	case *ast.StarExpr:
		y := *x
		y.X, err = d.bind(x.X)
		return &y, err
	case *ast.TypeAssertExpr:
		y := *x
		y.X, err = d.bind(x.X)
		return &y, err
	case *ast.CallExpr:
		y := *x
		y.Args = slices.Clone(x.Args)
		for i := range y.Args {
			if y.Args[i], err = d.bind(x.Args[i]); err != nil {
				return nil, err
			}
		}
		return &y, nil
	}
	return n, nil
}

func (d *decider) scalar(n ast.Expr) (values.Scalar, error) {
	native, v, err := d.leaf(n)
	if err != nil {
		return values.Scalar{}, err
	}
	if !v.IsValid() {
		s, _ := values.ScalarOf(native)
		return s, nil
	}
	s, err := v.Scalar()
	if err == nil && s.Kind == values.TextScalar {
		var text string
		var full int
		if text, full, err = v.Text(probe.MaxEvent); err == nil && full > len(text) && !values.IsToken(text) {
			err = ErrNotCaptured
		}
		s.Text = []byte(text)
	}
	return s, err
}

func (d *decider) compare(n *ast.BinaryExpr) (bool, error) {
	if a, ok := n.X.(*ast.TypeAssertExpr); ok && a.Type == nil {
		return d.typeIs(n, a)
	}
	if id, ok := n.Y.(*ast.Ident); ok && id.Name == "nil" {
		_, v, err := d.leaf(n.X)
		if err != nil {
			return false, err
		}
		null, err := v.IsNil()
		return null == (n.Op == token.EQL), err
	}
	x, err := d.scalar(n.X)
	if err != nil {
		return false, err
	}
	y, err := d.scalar(n.Y)
	if err != nil {
		return false, err
	}
	if x.Kind == values.TextScalar && y.Kind == values.TextScalar &&
		values.IsToken(string(x.Text)) != values.IsToken(string(y.Text)) && len(x.Text) > 0 && len(y.Text) > 0 {
		return false, values.NewTokenError(d.src.Text(n))
	}
	order, ok := x.Compare(&y)
	if x.Kind == values.NoScalar || y.Kind == values.NoScalar {
		return false, fmt.Errorf("%s: these can't be compared: %w", d.src.Text(n), values.ErrKind)
	}
	if !ok {
		return n.Op == token.NEQ, nil
	}
	switch n.Op {
	case token.EQL:
		return order == 0, nil
	case token.NEQ:
		return order != 0, nil
	case token.LSS:
		return order < 0, nil
	case token.LEQ:
		return order <= 0, nil
	case token.GTR:
		return order > 0, nil
	case token.GEQ:
		return order >= 0, nil
	}
	return false, fmt.Errorf("%s: operator %s: %w", d.src.Text(n), n.Op, values.ErrExpr)
}

func (d *decider) typeIs(n *ast.BinaryExpr, a *ast.TypeAssertExpr) (bool, error) {
	_, v, err := d.leaf(a.X)
	if err != nil {
		return false, err
	}
	if !v.IsValid() {
		return false, fmt.Errorf("%s is no interface: %w", d.src.Text(a.X), values.ErrKind)
	}
	inner, err := v.Elem()
	if errors.Is(err, values.ErrNil) {
		return d.src.Text(n.Y) == "nil" == (n.Op == token.EQL), nil
	}
	if err != nil {
		return false, err
	}
	want, err := d.typeNamed(d.src.Text(n.Y))
	return (inner.Type == want) == (n.Op == token.EQL), err
}

func (d *decider) text(op probe.TextOp, n *ast.CallExpr) (bool, error) {
	x, err := d.scalar(n.Args[0])
	if err != nil {
		return false, err
	}
	y, err := d.scalar(n.Args[1])
	if err != nil {
		return false, err
	}
	if x.Kind != values.TextScalar || y.Kind != values.TextScalar {
		return false, fmt.Errorf("%s: no texts: %w", d.src.Text(n), values.ErrKind)
	}
	if len(y.Text) == 0 {
		return true, nil // whatever the text is
	}
	if values.IsToken(string(x.Text)) || values.IsToken(string(y.Text)) {
		return false, values.NewTokenError(d.src.Text(n))
	}
	switch op {
	case probe.HasPrefix:
		return bytes.HasPrefix(x.Text, y.Text), nil
	case probe.HasSuffix:
		return bytes.HasSuffix(x.Text, y.Text), nil
	}
	return strings.Contains(string(x.Text), string(y.Text)), nil
}
