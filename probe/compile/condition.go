package compile

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"math"
	"reflect"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// truth makes a condition of an operand: a comparison is one, and so is a bool.
func (c *compiler) truth(n ast.Expr, x operand) (probe.Condition, error) {
	switch {
	case x.why != nil:
		return nil, x.why
	case x.when != nil:
		return x.when, nil
	case x.constant != nil && x.constant.Kind() == constant.Bool:
		if constant.BoolVal(x.constant) {
			return probe.And{}, nil
		}
		return probe.Not{Of: probe.And{}}, nil
	case x.t != nil && x.t.Kind == reflect.Bool:
		w, err := x.word(0, 1, false)
		if err != nil {
			return nil, c.fail(n, err)
		}
		return x.where(probe.Compare{Left: w, Op: probe.NotEqual}), nil
	}
	if _, ok := n.(*ast.TypeAssertExpr); ok { // x.(*T) by itself: whether it holds one
		return x.where(), nil
	}
	return nil, c.fail(n, fmt.Errorf("it is no condition: %w", values.ErrExpr))
}

// where is a condition on what is there only under the spot's guards: without them it is false.
func (s spot) where(when ...probe.Condition) probe.Condition {
	if len(s.guards) == 0 && len(when) == 1 {
		return when[0]
	}
	all := probe.And{}
	for _, g := range s.guards {
		all = append(all, g)
	}
	return append(all, when...)
}

var comparisons = map[token.Token]probe.Op{token.EQL: probe.Equal, token.NEQ: probe.NotEqual, token.LSS: probe.Less,
	token.LEQ: probe.LessEqual, token.GTR: probe.Greater, token.GEQ: probe.GreaterEqual}

// turned is the operator with its sides exchanged.
var turned = map[token.Token]token.Token{token.EQL: token.EQL, token.NEQ: token.NEQ, token.LSS: token.GTR,
	token.LEQ: token.GEQ, token.GTR: token.LSS, token.GEQ: token.LEQ}

func (c *compiler) binary(n *ast.BinaryExpr) (operand, error) {
	if a, ok := n.X.(*ast.TypeAssertExpr); ok && a.Type == nil && (n.Op == token.EQL || n.Op == token.NEQ) {
		when, err := c.typeIs(n, a.X, n.Y)
		if err == nil && n.Op == token.NEQ {
			when = probe.Not{Of: when}
		}
		return operand{when: when}, err
	}
	x, err := c.expr(n.X)
	if err != nil {
		return operand{}, err
	}
	y, err := c.expr(n.Y)
	if err != nil {
		return operand{}, err
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		when, err := c.both(n, x, y)
		return operand{when: when}, err
	}
	if x.constant != nil && y.constant != nil {
		return c.fold(n, x.constant, y.constant)
	}
	if _, ok := comparisons[n.Op]; !ok {
		return operand{}, c.cannot(n, "operator %s: only constants are computed with", n.Op)
	}
	x, y = c.knownAs(x, y), c.knownAs(y, x)
	for _, o := range []operand{x, y} {
		if o.why != nil {
			return operand{}, o.why
		}
	}
	op := n.Op
	if x.t == nil && !x.since {
		x, y, op = y, x, turned[op]
	}
	when, err := c.compare(n, x, op, y)
	return operand{when: when}, err
}

// typeIs is x.(type) == T, or nil.
func (c *compiler) typeIs(n *ast.BinaryExpr, of, typ ast.Expr) (probe.Condition, error) {
	if id, ok := typ.(*ast.Ident); ok && id.Name == "nil" {
		x, err := c.place(of)
		if err != nil {
			return nil, err
		}
		return c.compare(n, operand{spot: x}, token.EQL, operand{isNil: true})
	}
	x, err := c.holds(n, of, typ)
	return x.where(), err
}

func (c *compiler) both(n *ast.BinaryExpr, x, y operand) (probe.Condition, error) {
	left, err := c.truth(n.X, x)
	if err != nil {
		return nil, err
	}
	right, err := c.truth(n.Y, y)
	if err != nil {
		return nil, err
	}
	if n.Op == token.LAND {
		return probe.And{left, right}, nil
	}
	return probe.Or{left, right}, nil
}

// fold computes with constants, as in 50*time.Millisecond.
func (c *compiler) fold(n *ast.BinaryExpr, x, y constant.Value) (operand, error) {
	if _, ok := comparisons[n.Op]; ok && x.Kind() == y.Kind() && x.Kind() != constant.Bool {
		return operand{constant: constant.MakeBool(constant.Compare(x, n.Op, y))}, nil
	}
	if x, y = numeric(x), numeric(y); x.Kind() == constant.Unknown || y.Kind() == constant.Unknown {
		return operand{}, c.fail(n, fmt.Errorf("no numbers: %w", values.ErrExpr))
	}
	whole := x.Kind() == constant.Int && y.Kind() == constant.Int
	op := n.Op
	switch op {
	case token.ADD, token.SUB, token.MUL:
	case token.QUO, token.REM:
		if constant.Sign(y) == 0 {
			return operand{}, c.fail(n, fmt.Errorf("division by zero: %w", values.ErrExpr))
		}
		if whole && op == token.QUO {
			op = token.QUO_ASSIGN
		} else if !whole && op == token.REM {
			return operand{}, c.fail(n, fmt.Errorf("no whole numbers: %w", values.ErrExpr))
		}
	case token.AND, token.OR, token.XOR, token.AND_NOT:
		if !whole {
			return operand{}, c.fail(n, fmt.Errorf("no whole numbers: %w", values.ErrExpr))
		}
	case token.SHL, token.SHR:
		by, exact := constant.Uint64Val(y)
		if !whole || !exact || by > 64 {
			return operand{}, c.fail(n, fmt.Errorf("no shift by 0 to 64 bits: %w", values.ErrExpr))
		}
		return operand{constant: constant.Shift(x, op, uint(by))}, nil
	default:
		return operand{}, c.cannot(n, "operator %s", n.Op)
	}
	return operand{constant: constant.BinaryOp(x, op, y)}, nil
}

// knownAs takes a name that stands for nothing as a constant of the other side's type.
func (c *compiler) knownAs(x, other operand) operand {
	if x.named == "" || other.t == nil {
		return x
	}
	if v, ok := other.t.ConstantValue(x.named); ok {
		return operand{constant: constant.MakeInt64(v)}
	}
	return x
}

// compare compares what lies somewhere, or the duration, with something.
func (c *compiler) compare(n *ast.BinaryExpr, x operand, op token.Token, y operand) (probe.Condition, error) {
	switch {
	case x.when != nil || y.when != nil:
		return nil, c.cannot(n, "conditions are combined with &&, || and !")
	case x.since:
		return c.sinceEntry(n, op, y)
	case x.t == nil:
		return nil, c.cannot(n, "nothing of the program is compared")
	case y.isNil:
		return c.isNil(n, x.spot, op)
	case y.constant != nil && y.constant.Kind() == constant.String:
		when, err := c.equalText(n, x.spot, constant.StringVal(y.constant))
		if err == nil && op == token.NEQ {
			when = probe.Not{Of: when}
		} else if op != token.EQL {
			return nil, c.cannot(n, "texts have no order there")
		}
		return when, err
	case y.constant != nil:
		return c.withConstant(n, x.spot, op, y.constant)
	case y.t != nil:
		return c.withOther(n, x.spot, op, y.spot)
	}
	return nil, c.cannot(n, "these can't be compared")
}

func (c *compiler) sinceEntry(n *ast.BinaryExpr, op token.Token, y operand) (probe.Condition, error) {
	if y.constant == nil {
		return nil, c.cannot(n, "the duration is compared with a constant, such as 50ms")
	}
	ns, exact := constant.Int64Val(constant.ToInt(numeric(y.constant)))
	if !exact || ns < 0 {
		return nil, c.fail(n.Y, fmt.Errorf("no duration, such as 50ms: %w", values.ErrExpr))
	}
	return probe.Since{Op: comparisons[op], Right: uint64(ns)}, nil
}

func (c *compiler) isNil(n *ast.BinaryExpr, x spot, op token.Token) (probe.Condition, error) {
	if !pointerKind(x.t.Kind) && x.t.Kind != reflect.Slice && x.t.Kind != reflect.Interface {
		return nil, c.fail(n.X, fmt.Errorf("%s is never nil: %w", a(x.t), values.ErrKind))
	}
	if op != token.EQL && op != token.NEQ {
		return nil, c.cannot(n, "nil has no order")
	}
	w, err := x.word(0, 8, false)
	if err != nil {
		return nil, c.fail(n, err)
	}
	return x.where(probe.Compare{Left: w, Op: comparisons[op]}), nil
}

// withConstant compares a number, a bool or an address with a constant.
func (c *compiler) withConstant(n *ast.BinaryExpr, x spot, op token.Token, v constant.Value) (probe.Condition, error) {
	cmp, err := numberOf(x)
	if err != nil {
		return nil, c.fail(n, err)
	}
	if cmp.Op = comparisons[op]; cmp.Left.Size == 0 {
		return nil, c.fail(n, fmt.Errorf("%s can't be compared with %s: %w", a(x.t), v, ErrCannot))
	}
	if cmp.Right, err = bitsOf(x.t, v); err != nil {
		return nil, c.fail(n, err)
	}
	if x.t.Kind == reflect.Bool && op != token.EQL && op != token.NEQ {
		return nil, c.cannot(n, "a bool has no order")
	}
	var when probe.Condition = cmp
	if null := x.orZero; null != nil {
		if constant.Compare(constant.MakeInt64(0), op, constant.ToInt(v)) {
			when = probe.Or{probe.Compare{Left: *null, Op: probe.Equal}, cmp}
		} else {
			when = probe.And{probe.Compare{Left: *null, Op: probe.NotEqual}, cmp}
		}
	}
	return x.where(when), nil
}

// numberOf is the word of a number, bool or address; Size 0 of what is none.
func numberOf(x spot) (cmp probe.Compare, err error) {
	k := values.ScalarKindOf(x.t.Kind)
	switch {
	case x.t.Kind == reflect.Bool || k.Number() || pointerKind(x.t.Kind):
	default:
		return cmp, nil
	}
	cmp.Float = k == values.FloatScalar
	cmp.Left, err = x.word(0, x.t.Size, k == values.IntScalar)
	if err == nil && cmp.Float && cmp.Left.InPlace {
		err = fmt.Errorf("floating-point numbers in registers can't be read: %w", ErrCannot)
	}
	return cmp, err
}

// bitsOf is a constant as a value of the type.
func bitsOf(t *symbols.Type, v constant.Value) (uint64, error) {
	bad := fmt.Errorf("%s is no %s: %w", v, t.ShortName(), values.ErrExpr)
	switch k := values.ScalarKindOf(t.Kind); {
	case t.Kind == reflect.Bool:
		if v.Kind() != constant.Bool {
			return 0, bad
		}
		if constant.BoolVal(v) {
			return 1, nil
		}
		return 0, nil
	case k == values.FloatScalar:
		f, _ := constant.Float64Val(constant.ToFloat(numeric(v)))
		if numeric(v).Kind() == constant.Unknown {
			return 0, bad
		}
		if t.Size == 4 {
			return uint64(math.Float32bits(float32(f))), nil
		}
		return math.Float64bits(f), nil
	case k == values.IntScalar:
		i, exact := constant.Int64Val(constant.ToInt(numeric(v)))
		if shift := 64 - 8*t.Size; !exact || i<<shift>>shift != i {
			return 0, bad
		}
		return uint64(i), nil
	}
	u, exact := constant.Uint64Val(constant.ToInt(numeric(v)))
	if !exact || t.Size < 8 && u>>(8*t.Size) != 0 {
		return 0, bad
	}
	return u, nil
}

// withOther compares two things of the program.
func (c *compiler) withOther(n *ast.BinaryExpr, x spot, op token.Token, y spot) (probe.Condition, error) {
	if x.t != y.t && (x.t.Kind != y.t.Kind || x.t.Size != y.t.Size) {
		return nil, c.fail(n, fmt.Errorf("%s and %s: %w", a(x.t), a(y.t), values.ErrKind))
	}
	if x.t.Kind == reflect.Interface && (op == token.EQL || op == token.NEQ) {
		return c.sameInterface(n, x, op, y)
	}
	if x.orZero != nil || y.orZero != nil {
		return nil, c.cannot(n, "the length of a map or channel is compared with a constant")
	}
	left, err := numberOf(x)
	if err != nil {
		return nil, c.fail(n, err)
	}
	right, err := numberOf(y)
	if err != nil {
		return nil, c.fail(n, err)
	}
	if left.Left.Size == 0 {
		return nil, c.cannot(n, "two values of type %s can't be compared", x.t.ShortName())
	}
	left.Op, left.With = comparisons[op], &right.Left
	return y.where(x.where(left)), nil
}

// sameInterface compares an interface with that in a package variable, such as err == io.EOF. Where that holds a
// pointer, its words tell; what lies behind a pointer, they don't.
func (c *compiler) sameInterface(n *ast.BinaryExpr, x spot, op token.Token, y spot) (probe.Condition, error) {
	if x.isVariable() {
		x, y = y, x
	}
	if !y.isVariable() {
		return nil, c.cannot(n, "an interface is compared with a package variable, such as io.EOF, or its type with "+
			"x.(type) == *T")
	}
	v, err := c.Space.At(y.path.Base.Word+uint64(y.path.Last), y.t).Elem()
	if err != nil || !pointerKind(v.Type.Kind) {
		return nil, c.cannot(n, "the variable holds no pointer now, so its words don't tell")
	}
	both := probe.And{}
	for _, off := range []int64{0, 8} {
		left, err := x.word(off, 8, false)
		if err != nil {
			return nil, c.fail(n, err)
		}
		right, err := y.word(off, 8, false)
		if err != nil {
			return nil, c.fail(n, err)
		}
		both = append(both, probe.Compare{Left: left, Op: probe.Equal, With: &right})
	}
	if op == token.NEQ {
		return x.where(probe.Not{Of: both}), nil
	}
	return x.where(both), nil
}

// nativeOf is a constant as values.ScalarOf takes it.
func nativeOf(v constant.Value) any {
	switch v.Kind() {
	case constant.Bool:
		return constant.BoolVal(v)
	case constant.String:
		return constant.StringVal(v)
	case constant.Int:
		if i, exact := constant.Int64Val(v); exact {
			return i
		}
		if u, exact := constant.Uint64Val(v); exact {
			return u
		}
	}
	f, _ := constant.Float64Val(constant.ToFloat(v))
	return f
}
