package lang

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"ri/inert"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

const (
	MaxSource = 1 << 20 // bytes of a script
	maxNested = 2000    // levels of its syntax tree; the compiler recurses
)

// ConcatName is the global that a..b calls. No Lua source can write this name.
const ConcatName = "(concat)"

// The globals that are called where texts may be tokens: see CompileForTokens.
const (
	EqualName   = "(equal)"   // a == b
	GetName     = "(get)"     // t[k]
	KeyName     = "(key)"     // the key of t[k] = v, given t and k
	KeysName    = "(keys)"    // {[k] = v}, given that table
	OrderedName = "(ordered)" // either side of a < b
	LengthName  = "(length)"  // what # is asked of
)

// CompileLua parses and compiles source.
//
// Three things are changed on the way. A literal integer that a float64 can't hold is an error: it would silently be
// another number. a..b becomes a call: the machine's own operator allocates without a bound, and can't be
// interrupted. What a loop goes through, and what is assigned to several, gets locals where the machine's compiler
// would get it wrong (see hoist and apart).
func CompileLua(path, source string) (*lua.FunctionProto, []ast.Stmt, error) {
	return compile(path, source, false)
}

// CompileForTokens is CompileLua for a run in which texts may be tokens. What would silently be wrong of one is a call,
// or has one of its parts be one, which can refuse it: comparisons, lookups in tables, lengths.
func CompileForTokens(path, source string) (*lua.FunctionProto, error) {
	proto, _, err := compile(path, source, true)
	return proto, err
}

func compile(path, source string, tokens bool) (*lua.FunctionProto, []ast.Stmt, error) {
	if len(source) > MaxSource {
		return nil, nil, &ScriptError{File: path, Message: fmt.Sprintf("%s: the script has %d bytes, more than %d", path,
			len(source), MaxSource)}
	}
	if strings.HasPrefix(source, "\x1b") {
		return nil, nil, &ScriptError{File: path, Message: path + ": compiled Lua is not loaded, only source"}
	}
	if strings.HasPrefix(source, "#!") {
		source = "--" + source
	}
	if err := tooDeep(path, source); err != nil {
		return nil, nil, err
	}
	chunk, err := parse.Parse(strings.NewReader(source), path)
	if err != nil {
		return nil, nil, syntaxError(path, err)
	}
	r := rewriter{path: path, tokens: tokens, noted: map[*ast.TableExpr]bool{}}
	r.walk(reflect.ValueOf(&chunk).Elem(), 0, 0)
	if r.err != nil {
		return nil, nil, r.err
	}
	proto, err := lua.Compile(chunk, path)
	if err != nil {
		return nil, nil, compileError(path, err)
	}
	return proto, chunk, nil
}

// gotoLine is where the machine's compiler says on which line the goto stands: its own line is the function's last.
var gotoLine = regexp.MustCompile(` at line (\d+)`)

// compileError says what is wrong as syntaxError does.
func compileError(path string, err error) error {
	e, ok := err.(*lua.CompileError)
	if !ok {
		return &ScriptError{File: path, Message: path + ": " + strings.TrimSpace(err.Error()), Cause: err}
	}
	line, what := e.Line, e.Message
	if m := gotoLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = strings.Replace(what, m[0], "", 1)
	}
	return &ScriptError{File: path, Line: line, Message: fmt.Sprintf("%s:%d: %s", path, line, what), Cause: err}
}

func syntaxError(path string, err error) error {
	if e, ok := err.(*parse.Error); ok {
		what := strings.TrimSpace(e.Message)
		if e.Pos.Line == parse.EOF {
			return &ScriptError{File: path, Message: fmt.Sprintf("%s: %s at the end of the file", path, what), Cause: err}
		}
		return &ScriptError{File: path, Line: e.Pos.Line,
			Message: fmt.Sprintf("%s:%d: %s near %q", path, e.Pos.Line, what, e.Token), Cause: err}
	}
	return &ScriptError{File: path, Message: fmt.Sprintf("%s: %s", path, strings.TrimSpace(err.Error())), Cause: err}
}

// rewriter goes through a syntax tree.
type rewriter struct {
	path   string
	tokens bool                    // see CompileForTokens
	noted  map[*ast.TableExpr]bool // tables that are given to KeysName already
	err    error
}

var (
	exprType = reflect.TypeFor[ast.Expr]()
	stmtType = reflect.TypeFor[ast.Stmt]()
)

func (r *rewriter) walk(v reflect.Value, depth, line int) {
	if r.err != nil {
		return
	}
	if depth > 4*maxNested {
		r.fail(line, "the script is nested too deeply")
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			r.walk(v.Index(i), depth+1, line)
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		r.replace(v)
		r.walk(v.Elem(), depth+1, line)
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if p, ok := v.Interface().(ast.PositionHolder); ok && p.Line() > 0 {
			line = p.Line()
		}
		if s, ok := v.Interface().(*ast.AssignStmt); ok && r.tokens {
			r.assignment(s, depth, line)
			return
		}
		if n, ok := v.Interface().(*ast.NumberExpr); ok {
			r.number(n, line)
			return
		}
		r.walk(v.Elem(), depth+1, line)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				r.walk(f, depth+1, line)
			}
		}
	}
}

// replace puts what runs in place of what was written, where these differ.
func (r *rewriter) replace(v reflect.Value) {
	if v.Type() == exprType {
		if flat := r.concat(v.Interface().(ast.Expr)); flat != nil {
			v.Set(reflect.ValueOf(flat))
		}
		if r.tokens {
			if call := r.refusable(v.Interface().(ast.Expr)); call != nil {
				v.Set(reflect.ValueOf(call))
			}
		}
	}
	if v.Type() == stmtType {
		if block := inSteps(v.Interface()); block != nil {
			v.Set(reflect.ValueOf(block))
		}
	}
}

// concat turns a chain a..b..c into one call.
func (r *rewriter) concat(e ast.Expr) ast.Expr {
	c, ok := e.(*ast.StringConcatOpExpr)
	if !ok {
		return nil
	}
	call := at(c, &ast.FuncCallExpr{Func: at(c, &ast.IdentExpr{Value: ConcatName}), AdjustRet: true})
	call.SetLastLine(c.LastLine())
	for {
		call.Args = append(call.Args, c.Lhs)
		next, ok := c.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			call.Args = append(call.Args, c.Rhs)
			break
		}
		c = next
	}
	if len(call.Args) > 200 { // registers of a function
		r.fail(call.Line(), "more than 200 operands of ..: use table.concat")
	}
	for i, a := range call.Args { // f() as the last operand would give all its results
		if f, ok := a.(*ast.FuncCallExpr); ok {
			f.AdjustRet = true
		}
		if v, ok := a.(*ast.Comma3Expr); ok {
			v.AdjustRet = true
		}
		call.Args[i] = a
	}
	return call
}

// inSteps writes a statement out in several where the machine's compiler would get it wrong; else nil.
func inSteps(statement any) *ast.DoBlockStmt {
	switch s := statement.(type) {
	case *ast.GenericForStmt:
		return hoist(s)
	case *ast.AssignStmt:
		return apart(s)
	}
	return nil
}

// hoist puts what a loop goes through into locals of its own before the loop, unless it is plain: nil.
//
// gopher-lua 1.1.2 sets the three registers of `for ... in` aside before it compiles the expressions into
// them. A call there then seems to need no register (compileFuncCallExpr compares with RegTop, which is beyond
// already), and what follows is written over its result: `for x in f().g()` indexes "g" by "g".
func hoist(loop *ast.GenericForStmt) *ast.DoBlockStmt {
	if len(loop.Exprs) == 0 || plainHead(loop.Exprs[0]) {
		return nil
	}
	locals := &ast.LocalAssignStmt{Names: []string{"(for f)", "(for s)", "(for i)"}, Exprs: loop.Exprs}
	inner := *loop
	inner.Exprs = nil
	for _, name := range locals.Names {
		inner.Exprs = append(inner.Exprs, at(loop, &ast.IdentExpr{Value: name}))
	}
	block := at(loop, &ast.DoBlockStmt{Stmts: []ast.Stmt{at(loop, locals), &inner}})
	block.SetLastLine(loop.LastLine())
	return block
}

// at gives a node that the source doesn't have the line of one that it has.
func at[T ast.PositionHolder](where ast.PositionHolder, node T) T {
	node.SetLine(where.Line())
	node.SetLastLine(where.Line())
	return node
}

// apart has all right sides of `a, b = b, a` evaluated before anything is assigned, unless it makes no difference: nil.
//
// gopher-lua 1.1.2 evaluates each of them straight into the local that it is for, so the next one sees that: a and b
// become the same.
func apart(s *ast.AssignStmt) *ast.DoBlockStmt {
	if !entangled(s) {
		return nil
	}
	locals := at(s, &ast.LocalAssignStmt{})
	save := func(e ast.Expr) ast.Expr {
		name := "(= " + strconv.Itoa(len(locals.Names)) + ")"
		locals.Names, locals.Exprs = append(locals.Names, name), append(locals.Exprs, e)
		return at(s, &ast.IdentExpr{Value: name})
	}
	left := slices.Clone(s.Lhs)
	for i, e := range left {
		if get, ok := e.(*ast.AttrGetExpr); ok {
			left[i] = at(s, &ast.AttrGetExpr{Object: save(get.Object), Key: save(get.Key)})
		}
	}
	first := len(locals.Names)
	for range left {
		save(nil)
	}
	locals.Exprs = append(locals.Exprs[:first], s.Rhs...)
	block := at(s, &ast.DoBlockStmt{Stmts: []ast.Stmt{locals}})
	for i := len(left) - 1; i >= 0; i-- { // from the right, as Lua does
		value := at(s, &ast.IdentExpr{Value: locals.Names[first+i]})
		block.Stmts = append(block.Stmts, at(s, &ast.AssignStmt{Lhs: left[i : i+1], Rhs: []ast.Expr{value}}))
	}
	block.SetLastLine(s.LastLine())
	return block
}

// entangled says whether a variable that is assigned may be read by a right side behind it, or by the way to a field
// that is assigned.
func entangled(s *ast.AssignStmt) bool {
	assigned := map[string]bool{}
	reads := func(e ast.Expr) (found bool) {
		EachNode(reflect.ValueOf(&e).Elem(), func(n any) bool {
			id, isName := n.(*ast.IdentExpr)
			_, isCall := n.(*ast.FuncCallExpr) // of a function that reads the variable, for all that is known
			found = found || isName && assigned[id.Value] || isCall
			return !found
		})
		return found
	}
	for i, e := range s.Lhs {
		if i > 0 && i < len(s.Rhs) && len(assigned) > 0 && reads(s.Rhs[i]) {
			return true
		}
		if id, ok := e.(*ast.IdentExpr); ok {
			assigned[id.Value] = true
		}
	}
	return len(assigned) > 0 && len(s.Lhs) > 1 && slices.ContainsFunc(s.Lhs, func(e ast.Expr) bool {
		_, isField := e.(*ast.AttrGetExpr)
		return isField && reads(e)
	})
}

// plainHead says whether an expression is a name, or a call of one.
func plainHead(e ast.Expr) bool {
	if call, ok := e.(*ast.FuncCallExpr); ok {
		if e = call.Func; e == nil {
			e = call.Receiver
		}
	}
	for {
		get, ok := e.(*ast.AttrGetExpr)
		if !ok {
			break
		}
		if _, ok := get.Key.(*ast.StringExpr); !ok {
			return false
		}
		e = get.Object
	}
	_, ok := e.(*ast.IdentExpr)
	return ok
}

func (r *rewriter) number(n *ast.NumberExpr, line int) {
	whole, err := strconv.ParseUint(n.Value, 0, 64)
	if err == nil && whole > MaxPlain && uint64(float64(whole)) != whole || err != nil &&
		strings.Trim(n.Value, "0123456789") == "" {
		r.fail(line, fmt.Sprintf("the number %s is beyond 2^53, Lua would round it: write ri.int'%s'", n.Value, n.Value))
	}
}

func (r *rewriter) fail(line int, what string) {
	if r.err == nil {
		r.err = &ScriptError{File: r.path, Line: line, Message: fmt.Sprintf("%s:%d: %s", r.path, line, what)}
	}
}

var LuaWords = []string{"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in",
	"local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}

var (
	LastWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*$`)
)

// LuaQuote writes text as it stands between double quotes in Lua: what isn't plain text, by its bytes in decimal, which
// is the way that Lua 5.1 has.
func LuaQuote(s string) string {
	var b strings.Builder
	for i, size := 0, 0; i < len(s); i += size {
		_, size = utf8.DecodeRuneInString(s[i:])
		switch c := s[i : i+size]; {
		case c == `"` || c == `\`:
			b.WriteString(`\` + c)
		case c == "\n":
			b.WriteString(`\n`)
		case inert.Is(c):
			b.WriteString(c)
		default:
			for _, octet := range []byte(c) {
				fmt.Fprintf(&b, `\%03d`, octet)
			}
		}
	}
	return b.String()
}
