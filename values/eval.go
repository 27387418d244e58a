package values

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"reflect"
	"strconv"
	"strings"

	"ri/attach"
	"ri/symbols"
)

// Eval evaluates a Go selector expression: package variables, fields, indexes, slices, dereferences, address-of,
// conversions of addresses and pointers ((*main.T)(0xc000012340)), type assertions, len and cap, composite literals as keys of
// maps (m[main.Key{"a", 1}]), and find(main.T), the value that Find finds; no calls. Import paths may be written as they are
// ("github.com/x/y.Var.field") or quoted. An error names the part of the expression that failed.
func (s *Space) Eval(expr string) (Value, error) {
	e := &evaluator{s: s, paths: map[string]string{}}
	source := e.replacePaths(expr)
	tree, err := parser.ParseExpr(source)
	if err != nil {
		return Value{}, fmt.Errorf("expression %q: %v: %w", expr, trimPosition(err), ErrExpr)
	}
	v, err := e.eval(tree)
	if err != nil {
		return Value{}, err
	}
	switch {
	case v.constant != nil:
		return v.constant.value(s)
	case v.composite != nil:
		return Value{}, fmt.Errorf("%s is no value of the program: %w", e.text(tree), ErrExpr)
	}
	return v.Value, nil
}

func trimPosition(err error) string {
	_, text, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return err.Error()
	}
	return text
}

type evaluator struct {
	s     *Space
	paths map[string]string // placeholder identifier -> import path
	// toCapacity lets slices of slices go up to the capacity, as Go does.
	toCapacity bool
}

// operand is a value, a constant that has no type yet, or a composite literal.
type operand struct {
	Value
	constant  *literal
	composite *Literal
}

// literal is an untyped constant of the expression.
type literal struct {
	kind token.Token // INT, FLOAT, STRING, or IDENT for true, false and nil
	text string
	u    uint64
	neg  bool
}

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
				if _, ok := e.s.file.PackageName(word[:at]); ok {
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
func (e *evaluator) through(part, whole ast.Node, x Value, err error) error {
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

func (e *evaluator) eval(n ast.Expr) (operand, error) {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return e.eval(n.X)
	case *ast.Ident:
		switch n.Name {
		case "nil", "true", "false":
			return operand{constant: &literal{kind: token.IDENT, text: n.Name}}, nil
		}
		v, err := e.s.Var(e.text(n))
		if err != nil && errors.Is(err, symbols.ErrNotFound) && e.isPackage(n.Name) {
			return operand{}, fmt.Errorf("%s is a package; name one of its variables: %s.NAME: %w", e.text(n), e.text(n), ErrExpr)
		}
		return operand{Value: v}, err
	case *ast.BasicLit:
		return e.basic(n)
	case *ast.SelectorExpr:
		return e.selector(n)
	case *ast.StarExpr:
		x, err := e.value(n.X)
		if err != nil {
			return operand{}, err
		}
		if x.Type.Kind != reflect.Pointer {
			return operand{}, e.at(n, fmt.Errorf("%s is no pointer: %w", x.Type.Name, ErrKind))
		}
		v, err := x.Elem()
		return operand{Value: v}, e.through(n.X, n, x, err)
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
		if n.Type == nil {
			break
		}
		t, err := e.s.Type(e.text(n.Type))
		if err != nil {
			return operand{}, err
		}
		c, err := e.composite(n, t)
		return operand{composite: c}, err
	}
	return operand{}, fmt.Errorf("%s: only variables, fields, indexes, dereferences and conversions can be evaluated: %w", e.text(n), ErrExpr)
}

// value evaluates what must not be a bare constant.
func (e *evaluator) value(n ast.Expr) (Value, error) {
	x, err := e.eval(n)
	if err != nil {
		return Value{}, err
	}
	if x.constant != nil {
		return Value{}, fmt.Errorf("%s is a constant: %w", e.text(n), ErrExpr)
	}
	if x.composite != nil {
		return Value{}, fmt.Errorf("%s is no value of the program: %w", e.text(n), ErrExpr)
	}
	return x.Value, nil
}

func (e *evaluator) isPackage(name string) bool {
	if p, ok := e.paths[name]; ok {
		name = p
	}
	if _, ok := e.s.file.PackageName(name); ok {
		return true
	}
	for _, path := range e.s.file.Packages() {
		if pkg, _ := e.s.file.PackageName(path); pkg == name {
			return true
		}
	}
	return false
}

func (e *evaluator) selector(n *ast.SelectorExpr) (operand, error) {
	if id, ok := n.X.(*ast.Ident); ok {
		name := e.text(id) + "." + n.Sel.Name
		v, err := e.s.Var(name)
		if err == nil {
			return operand{Value: v}, nil
		}
		// Not a package's variable: a field of a variable of package main, unless only a package has that name.
		if _, mainErr := e.s.Var(e.text(id)); mainErr != nil && e.isPackage(id.Name) || errors.Is(err, symbols.ErrNoDWARF) || errors.Is(err, symbols.ErrAmbiguous) {
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
		err = ErrExpr
	}
	if err != nil {
		return operand{}, fmt.Errorf("%s: %v: %w", n.Value, err, ErrExpr)
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
		if IsLocal(x.Addr) {
			return operand{}, e.at(n, fmt.Errorf("%s lives in no memory and has no address: %w", x.Type.Name, ErrExpr))
		}
		return operand{Value: e.s.keepWord(x.Addr, e.s.file.PointerTo(x.Type))}, nil
	}
	return operand{}, fmt.Errorf("%s: operator %s can't be evaluated: %w", e.text(n), n.Op, ErrExpr)
}

// native gives a constant or a scalar value as Lookup and Equals take it.
func (e *evaluator) native(x operand) (any, error) {
	if x.composite != nil {
		return x.composite, nil
	}
	if x.constant == nil {
		switch k := x.Type.Kind; {
		case k == reflect.Interface:
			inner, err := x.Elem()
			if err != nil {
				return nil, err
			}
			return e.native(operand{Value: inner})
		case k == reflect.String:
			text, _, err := x.Text(1 << 20)
			return text, err
		case k >= reflect.Int && k <= reflect.Int64:
			return x.Int()
		case k >= reflect.Uint && k <= reflect.Uintptr:
			return x.Uint()
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
		if c.neg {
			return -int64(c.u), nil
		}
		return c.u, nil
	default:
		if c.text == "nil" {
			return Nil{}, nil
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
	return 0, fmt.Errorf("%s is no index: %w", e.text(n), ErrExpr)
}

func (e *evaluator) index(n *ast.IndexExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	for range maxIndirections {
		isArrayPointer := x.Type.Kind == reflect.Pointer && x.Type.Elem() != nil && x.Type.Elem().Kind != reflect.Array
		if x.Type.Kind != reflect.Interface && !isArrayPointer {
			break
		}
		if x, err = x.Elem(); err != nil {
			return operand{}, e.at(n.X, err)
		}
	}
	if x.Type.Kind == reflect.Map {
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
		return operand{}, e.at(n, fmt.Errorf("bounds %d:%d with length %d: %w", low, high, length, ErrRange))
	}
	e.s.note(x.Addr, 8)
	v, err := x.slice(low, high, length)
	return operand{Value: v}, e.at(n, err)
}

// Slice gives v[low:high] of a string, slice or array; bounds are those of the length.
func (v Value) Slice(low, high int) (Value, error) {
	length, err := v.Len()
	if err != nil {
		return Value{}, err
	}
	return v.slice(low, high, length)
}

func (v Value) slice(low, high, length int) (Value, error) {
	data, t, size := v.Addr, v.Type, int64(1)
	switch v.Type.Kind {
	case reflect.Array:
		t = v.s.file.SliceOf(v.Type.Elem())
		size = v.Type.Elem().Size
	case reflect.Slice, reflect.String:
		var err error
		if data, _, _, err = v.sliceHeader(); err != nil {
			return Value{}, err
		}
		if v.Type.Kind == reflect.Slice && v.Type.Elem() != nil {
			size = v.Type.Elem().Size
		}
	default:
		return Value{}, v.wrong("slices")
	}
	if low < 0 || high < low || high > length {
		return Value{}, fmt.Errorf("bounds %d:%d with length %d: %w", low, high, length, ErrRange)
	}
	header := binary.LittleEndian.AppendUint64(nil, data+uint64(int64(low)*size))
	header = binary.LittleEndian.AppendUint64(header, uint64(high-low))
	if t.Kind == reflect.Slice {
		header = binary.LittleEndian.AppendUint64(header, uint64(high-low))
	}
	return v.s.At(v.s.keep(header), t), nil
}

func (e *evaluator) assert(n *ast.TypeAssertExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	if n.Type == nil || x.Type.Kind != reflect.Interface {
		return operand{}, e.at(n, fmt.Errorf("%s is no interface: %w", x.Type.Name, ErrKind))
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
		return operand{}, e.at(n, fmt.Errorf("holds a %s: %w", v.Type.Name, ErrKind))
	}
	return operand{Value: v}, nil
}

// composite is a struct or array to compare a map's keys with.
func (e *evaluator) composite(n *ast.CompositeLit, t *symbols.Type) (*Literal, error) {
	if t.Kind != reflect.Struct && t.Kind != reflect.Array {
		return nil, e.at(n, fmt.Errorf("%s is no struct and no array: %w", t.Name, ErrKind))
	}
	l := NewLiteral(t)
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
		return nil, e.at(n, fmt.Errorf("%s has %d fields, %d are given: %w", t.Name, fields, len(n.Elts), ErrExpr))
	}
	return l, nil
}

// find is find(T): the value of a type that Find finds, if there is one only.
func (e *evaluator) find(n *ast.CallExpr, arg ast.Expr) (operand, error) {
	t, err := e.s.Type(strings.TrimPrefix(e.text(arg), "*"))
	if err != nil {
		return operand{}, e.at(n, err)
	}
	var found []Found
	e.s.untraced(func() { found, _, err = e.s.Find(t, FindOptions{Remember: true}) })
	switch {
	case len(found) == 1:
		e.s.noteFound(found[0])
		return operand{Value: found[0].Value}, nil
	case len(found) > 1:
		var where []string
		for _, f := range found[:min(len(found), 8)] {
			where = append(where, fmt.Sprintf("(*%s)(%#x) (%s)", t.ShortName(), f.Value.Addr, f.Where))
		}
		if len(found) > len(where) {
			where = append(where, fmt.Sprintf("and %d more", len(found)-len(where)))
		}
		return operand{}, e.at(n, fmt.Errorf("there are %d: %s; write the one that is meant: %w", len(found), strings.Join(where, ", "), ErrExpr))
	case err != nil:
		return operand{}, e.at(n, err)
	}
	return operand{}, e.at(n, fmt.Errorf("no value of %s in package variables, goroutines' frames or what they point to: %w", t.Name, ErrExpr))
}

func (e *evaluator) call(n *ast.CallExpr) (operand, error) {
	if len(n.Args) != 1 {
		return operand{}, fmt.Errorf("%s: functions can't be called: %w", e.text(n), ErrExpr)
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
	if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "find" {
		return e.find(n, n.Args[0])
	}
	fun := n.Fun
	if p, ok := fun.(*ast.ParenExpr); ok {
		fun = p.X
	}
	t, err := e.s.Type(e.text(fun))
	if err != nil {
		return operand{}, fmt.Errorf("%s: functions can't be called, and it is no conversion: %w: %w", e.text(n), err, ErrExpr)
	}
	x, err := e.eval(n.Args[0])
	if err != nil {
		return operand{}, err
	}
	if x.composite != nil {
		return operand{}, fmt.Errorf("%s is no value of the program: %w", e.text(n.Args[0]), ErrExpr)
	}
	v, err := e.convert(x, t)
	return operand{Value: v}, e.at(n, err)
}

// convert makes a value of type t: from an integer or pointer an address, from a value the same bytes under another name.
func (e *evaluator) convert(x operand, t *symbols.Type) (Value, error) {
	pointerLike := t.Kind == reflect.Pointer || t.Kind == reflect.UnsafePointer || t.Kind == reflect.Map || t.Kind == reflect.Chan || t.Kind == reflect.Func
	if x.constant != nil {
		if x.constant.kind == token.INT && t.Size < 8 && t.Kind >= reflect.Int && t.Kind <= reflect.Uintptr {
			return e.s.smallConstant(x.constant, t)
		}
		if x.constant.kind == token.INT && x.constant.neg && (t.Kind == reflect.Int || t.Kind == reflect.Int64) && x.constant.u <= 1<<63 {
			return e.s.keepWord(-x.constant.u, t), nil
		}
		if x.constant.kind == token.INT && !x.constant.neg {
			if pointerLike || (t.Size == 8 && t.Kind <= reflect.Uintptr) {
				if e.s.trace != nil {
					e.s.trace.ByAddress, e.s.trace.Literal = true, true
				}
				return e.s.keepWord(x.constant.u, t), nil
			}
		}
		return Value{}, fmt.Errorf("a constant becomes no %s: %w", t.Name, ErrExpr)
	}
	if pointerLike {
		word, err := x.Word()
		if err != nil {
			if word, err = x.Uint(); err != nil {
				return Value{}, err
			}
		}
		return e.s.keepWord(word, t), nil
	}
	if x.Type.Kind == t.Kind && x.Type.Size == t.Size {
		return e.s.At(x.Addr, t), nil
	}
	return Value{}, fmt.Errorf("a %s does not become a %s: %w", x.Type.Name, t.Name, ErrKind)
}

// smallConstant is an integer constant of a type of less than 64 bits, int8(-3), if it fits.
func (s *Space) smallConstant(l *literal, t *symbols.Type) (Value, error) {
	bits := uint(8 * t.Size)
	most, least := uint64(1)<<bits-1, uint64(0)
	if t.Kind <= reflect.Int64 {
		most, least = uint64(1)<<(bits-1)-1, uint64(1)<<(bits-1)
	}
	if !l.neg && l.u > most || l.neg && l.u > least {
		return Value{}, fmt.Errorf("%s does not fit into a %s: %w", l.text, t.Name, ErrExpr)
	}
	word := l.u
	if l.neg {
		word = -word
	}
	return s.keepWord(word, t), nil
}

// value gives a constant a type: int, float64, string or bool.
func (l *literal) value(s *Space) (Value, error) {
	name, word := "int", l.u
	switch l.kind {
	case token.INT:
		if l.neg {
			word = -word
		}
	case token.IDENT:
		if l.text == "nil" {
			return Value{}, fmt.Errorf("nil has no type: %w", ErrExpr)
		}
		name, word = "bool", 0
		if l.text == "true" {
			word = 1
		}
	default:
		return Value{}, fmt.Errorf("%s is a constant, nothing of the program: %w", l.text, ErrExpr)
	}
	t, err := s.Type(name)
	if err != nil {
		return Value{}, err
	}
	return s.keepWord(word, t), nil
}
