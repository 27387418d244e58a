package compile

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"reflect"
	"regexp"
	"strings"

	"ri/probe"
	"ri/symbols"
	"ri/values"
	"ri/values/eval"
)

// operand is what a part of an expression is: one of a place, a constant, the time since the entry, and a condition.
type operand struct {
	spot
	constant constant.Value
	isNil    bool
	since    bool
	when     probe.Condition
	named    string // a name that stands for nothing here, perhaps a constant of the other side's type
	why      error  // why not
}

// compiler takes one expression at one site.
type compiler struct {
	*Scope
	src  *eval.Source
	back bool // decided or captured at the return
}

// compilerOf reads an expression.
func (c *Scope) compilerOf(expr string, back bool) (*compiler, error) {
	src, err := eval.Read(c.Space, durations(expr))
	if err != nil {
		return nil, err
	}
	return &compiler{Scope: c, src: src, back: back}, nil
}

var unit = map[string]int64{"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}

var durationLiteral = regexp.MustCompile("\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`|'(?:\\\\.|[^'\\\\])*'|" +
	`[\pL_.][\pL\d_.]*|\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h)\b|\d[\pL\d_.]*`)

// durations writes literals such as 50ms as Go does.
func durations(expr string) string {
	return durationLiteral.ReplaceAllStringFunc(expr, func(word string) string {
		at := strings.IndexFunc(word, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if at <= 0 || word[0] < '0' || word[0] > '9' {
			return word
		}
		n, ok := unit[word[at:]]
		if !ok {
			return word
		}
		f := constant.BinaryOp(constant.MakeFromLiteral(word[:at], token.FLOAT, 0), token.MUL, constant.MakeInt64(n))
		if i := constant.ToInt(f); i.Kind() == constant.Int {
			return i.ExactString()
		}
		return word
	})
}

// fail is an error with the part of the expression that it is about.
func (c *compiler) fail(n ast.Node, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*eval.PathError); ok {
		return err
	}
	return &eval.PathError{Path: c.src.Text(n), Err: err}
}

func (c *compiler) cannot(n ast.Node, format string, args ...any) error {
	return c.fail(n, fmt.Errorf(format+": %w", append(args, ErrCannot)...))
}

func (c *compiler) expr(n ast.Expr) (operand, error) {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return c.expr(n.X)
	case *ast.Ident:
		return c.ident(n)
	case *ast.BasicLit:
		v := constant.MakeFromLiteral(n.Value, n.Kind, 0)
		if v.Kind() == constant.Unknown {
			return operand{}, c.fail(n, fmt.Errorf("no constant: %w", values.ErrExpr))
		}
		return operand{constant: v}, nil
	case *ast.SelectorExpr:
		return c.selector(n)
	case *ast.StarExpr:
		return c.star(n)
	case *ast.UnaryExpr:
		return c.unary(n)
	case *ast.BinaryExpr:
		return c.binary(n)
	case *ast.IndexExpr:
		return c.index(n)
	case *ast.TypeAssertExpr:
		return c.assert(n)
	case *ast.CallExpr:
		return c.call(n)
	}
	return operand{}, c.cannot(n, "only names, fields, elements, dereferences, type assertions, len, cap, comparisons, "+
		"and texts' parts")
}

// place is an operand that lies somewhere.
func (c *compiler) place(n ast.Expr) (spot, error) {
	x, err := c.expr(n)
	switch {
	case err != nil:
		return spot{}, err
	case x.why != nil:
		return spot{}, x.why
	case x.t == nil:
		return spot{}, c.fail(n, fmt.Errorf("it is no value of the program: %w", values.ErrExpr))
	}
	return x.spot, nil
}

func (c *compiler) ident(n *ast.Ident) (operand, error) {
	if a, ok := c.find(n.Name); ok {
		return c.argument(n, a)
	}
	switch n.Name {
	case "nil":
		return operand{isNil: true}, nil
	case "true", "false":
		return operand{constant: constant.MakeBool(n.Name == "true")}, nil
	case "duration":
		if !c.Returns || !c.back {
			return operand{}, c.fail(n, ErrReturns)
		}
		return operand{since: true}, nil
	}
	name := c.src.Text(n)
	if v, err := c.variable(name); err == nil {
		return operand{spot: spotOfVariable(v)}, nil
	}
	results := ""
	if !c.Returns { // they aren't in the scope then
		results = "; results with --returns"
	}
	why := fmt.Errorf("no argument, result or package variable has that name here (there are %s%s): %w",
		strings.Join(append(c.names(), "duration"), ", "), results, values.ErrExpr)
	if len(c.Arguments)+len(c.Results) == 0 {
		why = fmt.Errorf("no package variable has that name, and no arguments are known here: %w", values.ErrExpr)
	}
	return operand{named: name, why: c.fail(n, why)}, nil
}

func (c *compiler) argument(n ast.Node, a *Argument) (operand, error) {
	if a.Result && !c.back {
		return operand{}, c.fail(n, ErrReturns)
	}
	s, err := spotOf(a, c.back && !a.Result)
	return operand{spot: s}, c.fail(n, err)
}

func spotOfVariable(v values.Value) spot {
	return spot{t: v.Type, path: probe.Path{Base: probe.Base{Kind: probe.Constant, Word: v.Addr}}}
}

// timeUnits are the constants of package time that people multiply with.
var timeUnits = map[string]int64{"Nanosecond": 1, "Microsecond": 1e3, "Millisecond": 1e6, "Second": 1e9, "Minute": 60e9,
	"Hour": 3600e9}

func (c *compiler) selector(n *ast.SelectorExpr) (operand, error) {
	if id, ok := n.X.(*ast.Ident); ok {
		if _, ok := c.find(id.Name); !ok {
			if n, ok := timeUnits[n.Sel.Name]; ok && id.Name == "time" {
				return operand{constant: constant.MakeInt64(n)}, nil
			}
			if v, err := c.Space.Var(c.src.Text(n)); err == nil {
				return operand{spot: spotOfVariable(v)}, nil
			}
		}
	}
	x, err := c.expr(n.X)
	if err != nil {
		return operand{}, err
	}
	if x.why != nil {
		return operand{named: c.src.Text(n), why: x.why}, nil
	}
	if x.t == nil {
		return operand{}, c.fail(n.X, fmt.Errorf("it has no fields: %w", values.ErrExpr))
	}
	if x.t.Kind == reflect.Interface {
		return operand{}, c.cannot(n, "%s is an interface: say which type it holds, as in %s.(*T).%s",
			x.t.ShortName(), c.src.Text(n.X), n.Sel.Name)
	}
	s, err := x.field(n.Sel.Name)
	return operand{spot: s}, c.fail(n, err)
}

func (c *compiler) star(n *ast.StarExpr) (operand, error) {
	x, err := c.place(n.X)
	if err != nil {
		return operand{}, err
	}
	if x.t.Kind != reflect.Pointer || x.t.Elem() == nil {
		return operand{}, c.fail(n, fmt.Errorf("%s is no pointer: %w", x.t.ShortName(), values.ErrKind))
	}
	s, err := x.behind(0, x.t.Elem())
	return operand{spot: s}, c.fail(n, err)
}

func (c *compiler) unary(n *ast.UnaryExpr) (operand, error) {
	x, err := c.expr(n.X)
	if err != nil {
		return operand{}, err
	}
	if x.why != nil {
		return operand{}, x.why
	}
	switch {
	case n.Op == token.NOT:
		when, err := c.truth(n.X, x)
		return operand{when: probe.Not{Of: when}}, err
	case x.constant != nil && (n.Op == token.SUB || n.Op == token.ADD):
		if v := constant.UnaryOp(n.Op, numeric(x.constant), 0); v.Kind() != constant.Unknown {
			return operand{constant: v}, nil
		}
	}
	return operand{}, c.cannot(n, "operator %s", n.Op)
}

// numeric keeps an operation on constants from panicking: what is no number becomes none.
func numeric(v constant.Value) constant.Value {
	if k := v.Kind(); k == constant.Int || k == constant.Float {
		return v
	}
	return constant.MakeUnknown()
}

func (c *compiler) index(n *ast.IndexExpr) (operand, error) {
	x, err := c.place(n.X)
	if err != nil {
		return operand{}, err
	}
	if x.t.Kind == reflect.Pointer && x.t.Elem() != nil && x.t.Elem().Kind == reflect.Array {
		if x, err = x.behind(0, x.t.Elem()); err != nil {
			return operand{}, c.fail(n, err)
		}
	}
	if x.t.Kind == reflect.Map {
		return c.element(n, x)
	}
	at, err := c.expr(n.Index)
	if err != nil {
		return operand{}, err
	}
	if at.constant == nil || at.constant.Kind() != constant.Int {
		return operand{}, c.cannot(n, "the index has to be a constant")
	}
	i, exact := constant.Int64Val(at.constant)
	if !exact || i < 0 || i > 1<<31 {
		return operand{}, c.fail(n.Index, fmt.Errorf("no index: %w", values.ErrRange))
	}
	elem := x.t.Elem()
	switch x.t.Kind {
	case reflect.Array:
		if i >= x.t.Len() || elem == nil {
			return operand{}, c.fail(n, fmt.Errorf("index %d with length %d: %w", i, x.t.Len(), values.ErrRange))
		}
		return operand{spot: x.part(i*elem.Size, elem)}, nil
	case reflect.String:
		if elem, err = c.Space.Type("uint8"); err != nil {
			return operand{}, err
		}
	case reflect.Slice:
	default:
		return operand{}, c.fail(n, fmt.Errorf("%s has no elements: %w", x.t.ShortName(), values.ErrKind))
	}
	length, err := x.word(8, 8, true)
	if err != nil {
		return operand{}, c.fail(n, err)
	}
	s, err := x.behind(0, elem)
	if err != nil {
		return operand{}, c.fail(n, err)
	}
	s = s.part(i*elem.Size, elem).guarded(probe.Compare{Left: length, Op: probe.Greater, Right: uint64(i)})
	return operand{spot: s}, nil
}

// assert is x.(T): the value in an interface, if its dynamic type is T. Layouts: runtime.iface and runtime.eface, and
// internal/abi.ITab, whose second word is the type, in all of Go 1.20 to 1.27.
func (c *compiler) assert(n *ast.TypeAssertExpr) (operand, error) {
	if n.Type == nil {
		return operand{}, c.cannot(n, "compare it with a type: %s.(type) == *T", c.src.Text(n.X))
	}
	return c.holds(n, n.X, n.Type)
}

func (c *compiler) holds(whole ast.Node, of, typ ast.Expr) (operand, error) {
	x, err := c.place(of)
	if err != nil {
		return operand{}, err
	}
	if x.t.Kind != reflect.Interface {
		return operand{}, c.fail(of, fmt.Errorf("%s is no interface: %w", x.t.ShortName(), values.ErrKind))
	}
	t, err := c.typeNamed(strings.Trim(c.src.Text(typ), "()"))
	if err != nil {
		return operand{}, err
	}
	s, err := c.dynamic(x, t)
	return operand{spot: s}, c.fail(whole, err)
}

// dynamic is what an interface holds if its dynamic type is t.
func (c *Scope) dynamic(x spot, t *symbols.Type) (spot, error) {
	desc, err := c.descriptor(t)
	if err != nil {
		return spot{}, err
	}
	tab, err := x.word(0, 8, false)
	if err != nil {
		return spot{}, err
	}
	is := probe.Compare{Left: tab, Op: probe.Equal, Right: desc}
	guards := []probe.Compare{is}
	if isTab(x.t) {
		is.Left = probe.Word{Path: follow(tab), Size: 8}
		is.Left.Path.Last = 8
		guards = []probe.Compare{{Left: tab, Op: probe.NotEqual}, is}
	}
	direct, err := c.Space.StoredDirectly(desc, t)
	if err != nil {
		return spot{}, err
	}
	if direct {
		return x.part(8, t).guarded(guards...), nil
	}
	s, err := x.behind(8, t)
	return s.guarded(guards...), err
}

// isTab tells whether an interface's first word is an itab: it has methods.
func isTab(iface *symbols.Type) bool {
	repr := iface.Repr()
	return repr == nil || repr.Name != "runtime.eface"
}

// descriptor is the runtime address of a type's descriptor.
func (c *Scope) descriptor(t *symbols.Type) (uint64, error) {
	f := c.Space.File()
	if off := t.RuntimeOffset(); off != 0 && f.TypesBase() != 0 {
		return f.TypesBase() + off + c.Space.Bias(), nil
	}
	return 0, fmt.Errorf("the program has no descriptor of %s, so nothing in an interface can be known as one: %w",
		t.Name, ErrCannot)
}

// call is len, cap, a conversion, or a question about a text.
func (c *compiler) call(n *ast.CallExpr) (operand, error) {
	name := c.src.Text(n.Fun)
	if op, ok := textCalls[name]; ok && len(n.Args) == 2 {
		when, err := c.text(n, n.Args[0], op, n.Args[1])
		return operand{when: when}, err
	}
	if name == "after" && len(n.Args) == 1 { // what an argument leads to when the call returns
		if !c.back {
			return operand{}, c.fail(n, ErrReturns)
		}
		return c.expr(n.Args[0])
	}
	if len(n.Args) != 1 {
		return operand{}, c.cannot(n, "functions can't be called; there are len, cap, hasPrefix, hasSuffix and contains")
	}
	if name == "len" || name == "cap" {
		return c.length(n, name)
	}
	x, err := c.expr(n.Args[0])
	if err != nil {
		return operand{}, err
	}
	if x.why != nil {
		return operand{}, x.why
	}
	t, err := c.typeNamed(strings.Trim(name, "()"))
	if err != nil {
		return operand{}, c.cannot(n, "functions can't be called, and it is no conversion (%v)", err)
	}
	if x.constant != nil || x.since || x.isNil {
		return x, nil
	}
	if x.t == nil || !sameBytes(x.t, t) {
		return operand{}, c.cannot(n, "this conversion computes something")
	}
	if x.pieces != nil && t.Size < x.t.Size { // string(b) needs no capacity
		x.pieces = cutPieces(x.pieces, 0, t.Size)
	}
	x.t = t
	return x, nil
}

// sameBytes tells whether a conversion leaves the bytes as they are, as far as they are looked at.
func sameBytes(from, to *symbols.Type) bool {
	if isText(from) && to.Kind == reflect.String {
		return true
	}
	whole := func(t *symbols.Type) bool { return values.ScalarKindOf(t.Kind).Integer() || pointerKind(t.Kind) }
	return from.Size == to.Size && (from.Kind == to.Kind || whole(from) && whole(to))
}

// length is len(x) or cap(x), an int.
func (c *compiler) length(n *ast.CallExpr, name string) (operand, error) {
	x, err := c.expr(n.Args[0])
	if err != nil {
		return operand{}, err
	}
	if x.constant != nil && x.constant.Kind() == constant.String && name == "len" {
		return operand{constant: constant.MakeInt64(int64(len(constant.StringVal(x.constant))))}, nil
	}
	if x.why != nil {
		return operand{}, x.why
	}
	if x.t == nil {
		return operand{}, c.fail(n, fmt.Errorf("it has no length: %w", values.ErrKind))
	}
	s, err := c.lengthOf(x.spot, name == "cap")
	return operand{spot: s}, c.fail(n, err)
}

func (c *compiler) lengthOf(x spot, capacity bool) (spot, error) {
	number, err := c.Space.Type("int")
	if err != nil {
		return spot{}, err
	}
	head := func(at int64, err error) (spot, error) {
		if err != nil {
			return spot{}, err
		}
		s, err := x.behind(0, x.t)
		if err != nil {
			return spot{}, err
		}
		null, err := x.word(0, 8, false)
		s = s.part(at, number)
		s.orZero = &null
		return s, err
	}
	switch k := x.t.Kind; {
	case k == reflect.String && !capacity, k == reflect.Slice && !capacity:
		return x.part(8, number), nil
	case k == reflect.Slice:
		return x.part(16, number), nil
	case k == reflect.Map && !capacity:
		l, err := c.Space.MapLayout(x.t)
		if err != nil {
			return spot{}, err
		}
		return head(l.Count.Offset, nil)
	case k == reflect.Chan:
		l := &c.Space.Layouts().Channel
		if capacity {
			return head(l.Capacity.Offset, l.Err())
		}
		return head(l.Count.Offset, l.Err())
	}
	return spot{}, fmt.Errorf("%s has none that could be read: %w", x.t.ShortName(), ErrCannot)
}
