package recipes

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"ri/files"
	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/rows"

	"github.com/yuin/gopher-lua/ast"
)

// errLint: something is wrong, and was said.
var errLint = errors.New("something is wrong")

// Lint checks files without a target: instruments and bare scripts (.lua), and catalogues (.yaml). What is wrong is a
// row, and an error without a text. What a file declares is checked as before a run. Beyond that, names that are
// nowhere are found: globals, functions of ri, parameters and columns that the header doesn't have.
func Lint(out *rows.Output, c *Catalogue, files []string) error {
	columns := []rows.Column{{Name: "file"}, {Name: "line", Type: rows.ColumnInt}, {Name: "problem"}}
	var list []rows.Row
	for _, file := range files {
		var problems []problem
		switch filepath.Ext(file) {
		case ".lua":
			problems = c.lintScript(file)
		case ".yaml", ".yml":
			problems = c.lintCatalogue(file)
		default:
			return rows.Usagef("%s: ri lint checks instruments (.lua) and catalogues (.yaml)", file)
		}
		for _, p := range problems {
			var line any
			if p.line > 0 {
				line = int64(p.line)
			}
			list = append(list, rows.Of("file", file, "line", line, "problem", p.text))
		}
	}
	if len(list) > 0 || out.Format != rows.Table {
		if err := out.WriteAdvice(columns, list); err != nil {
			return err
		}
	}
	if err := out.Commit(); err != nil {
		return err
	}
	if len(list) > 0 {
		return rows.Said(errLint)
	}
	out.Log(rows.Plural(int64(len(files)), "file") + " checked, nothing found")
	return nil
}

// problem is something wrong in a file.
type problem struct {
	line int
	text string
}

// problemsOf takes errors apart; a script's error has its file and line in front, which have columns of their own.
func problemsOf(err error) (list []problem) {
	var joined interface{ Unwrap() []error }
	var script *lang.ScriptError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &script):
		if script.Line == 0 && script.Cause != nil && errors.As(script.Cause, &joined) {
			for _, e := range joined.Unwrap() {
				list = append(list, problemsOf(e)...)
			}
			return list
		}
		text := strings.TrimPrefix(script.Message, script.File+":")
		return []problem{{script.Line, strings.TrimSpace(strings.TrimPrefix(text, fmt.Sprintf("%d:", script.Line)))}}
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			list = append(list, problemsOf(e)...)
		}
		return list
	}
	e := lang.NewScriptError(err.Error(), "", nil)
	if e.Line > 0 {
		return []problem{{e.Line, strings.TrimSpace(strings.TrimPrefix(e.Message, fmt.Sprintf("%s:%d:", e.File, e.Line)))}}
	}
	return []problem{{0, err.Error()}}
}

func (c *Catalogue) lintCatalogue(file string) (list []problem) {
	data, err := files.Read(file, files.MaxText)
	if err != nil {
		return []problem{{0, rows.UnwrapPath(err).Error()}}
	}
	recipes, problems := decodeCatalogue(catalogueFile{Name: file, Data: data,
		Scripts: files.Dir(filepath.Dir(file), false),
		Asked:   true})
	for _, err := range problems {
		list = append(list, problemsOf(err)...)
	}
	for _, r := range recipes {
		if r.broken == nil {
			if r.broken = r.checkScript(); r.broken == nil {
				_, r.broken = r.Script(c)
			}
			list = append(list, problemsOf(r.broken)...)
		}
	}
	return list
}

func (c *Catalogue) lintScript(file string) []problem {
	r, err := c.Bare(file)
	if err != nil {
		return problemsOf(err)
	}
	s, err := r.Script(c)
	if err != nil {
		return problemsOf(err)
	}
	_, chunk, err := lang.CompileLua(s.Path, s.Source)
	if err != nil {
		return problemsOf(err)
	}
	h := host.New(host.Options{Folders: r.Folders(c)})
	defer h.Close()
	l := &linter{script: s, header: s.Header, globals: map[string]bool{lang.ConcatName: true, "_G": true, "arg": true},
		functions: map[string]bool{}}
	globals, functions := h.Names()
	for _, name := range globals {
		l.globals[name] = true
	}
	for _, name := range functions {
		l.functions[name] = true
	}
	l.assigned(reflect.ValueOf(chunk))
	l.walk(reflect.ValueOf(chunk))
	return l.problems
}

// linter looks for names that are nowhere.
type linter struct {
	script    *host.Script
	header    *lang.Header
	globals   map[string]bool // there, or assigned somewhere in the file
	functions map[string]bool // of ri
	problems  []problem
}

func (l *linter) fail(line int, format string, args ...any) {
	p := problem{line, fmt.Sprintf(format, args...)}
	for _, q := range l.problems {
		if p == q {
			return
		}
	}
	l.problems = append(l.problems, p)
}

// assigned notes every name that the file assigns or declares, wherever: what is a local somewhere is taken for known.
func (l *linter) assigned(v reflect.Value) {
	lang.EachNode(v, func(n any) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.IdentExpr); ok {
					l.globals[id.Value] = true
				}
			}
		case *ast.LocalAssignStmt:
			l.know(n.Names)
		case *ast.GenericForStmt:
			l.know(n.Names)
		case *ast.NumberForStmt:
			l.globals[n.Name] = true
		case *ast.FunctionExpr:
			if n.ParList != nil {
				l.know(n.ParList.Names)
			}
		case *ast.FuncDefStmt:
			if id, ok := n.Name.Func.(*ast.IdentExpr); ok {
				l.globals[id.Value] = true
			}
			l.globals["self"] = true
		}
		return true
	})
}

func (l *linter) know(names []string) {
	for _, n := range names {
		l.globals[n] = true
	}
}

// walk looks at uses.
func (l *linter) walk(v reflect.Value) {
	runs := map[*ast.FunctionExpr]string{}
	lang.EachNode(v, func(n any) bool {
		switch n := n.(type) {
		case *ast.TableExpr:
			if l.header == nil {
				return true
			}
			for _, f := range n.Fields {
				key, ok := f.Key.(*ast.StringExpr)
				run, isFunction := f.Value.(*ast.FunctionExpr)
				if ok && isFunction && key.Value == "run" && run.ParList != nil && len(run.ParList.Names) > 0 {
					runs[run] = run.ParList.Names[0]
				}
			}
		case *ast.FunctionExpr:
			if name := runs[n]; name != "" {
				l.params(n, name)
			}
		case *ast.IdentExpr:
			if !l.globals[n.Value] {
				l.fail(n.Line(), "no variable %s%s", n.Value, rows.DidYouMean(n.Value, rows.SortedKeys(l.globals)))
			}
		case *ast.AttrGetExpr:
			object, ok := n.Object.(*ast.IdentExpr)
			name, literal := n.Key.(*ast.StringExpr)
			if ok && literal && object.Value == "ri" && !l.functions[name.Value] {
				l.fail(n.Line(), "no function ri.%s%s", name.Value,
					rows.DidYouMean("ri."+name.Value, prefixed("ri.", rows.SortedKeys(l.functions))))
			}
		case *ast.FuncCallExpr:
			l.emitted(n)
			l.required(n)
		}
		return true
	})
}

func prefixed(prefix string, names []string) []string {
	for i, n := range names {
		names[i] = prefix + n
	}
	return names
}

// params looks for parameters that the header doesn't declare.
func (l *linter) params(run *ast.FunctionExpr, name string) {
	declared := map[string]bool{}
	for _, p := range l.header.Params {
		declared[p.Name] = true
	}
	lang.EachNode(reflect.ValueOf(run.Stmts), func(n any) bool {
		if e, ok := n.(*ast.AttrGetExpr); ok {
			object, isName := e.Object.(*ast.IdentExpr)
			key, literal := e.Key.(*ast.StringExpr)
			if isName && literal && object.Value == name && !declared[key.Value] {
				l.fail(e.Line(), "the header declares no parameter %s%s", key.Value,
					rows.DidYouMean(key.Value, rows.SortedKeys(declared)))
			}
		}
		return true
	})
}

// emitted looks for rows written out that have nothing of their key, and for names that are nearly, but not quite,
// those of columns. Others are columns of their own.
func (l *linter) emitted(call *ast.FuncCallExpr) {
	f, ok := call.Func.(*ast.AttrGetExpr)
	if !ok || l.header == nil || len(call.Args) != 1 {
		return
	}
	object, isName := f.Object.(*ast.IdentExpr)
	name, literal := f.Key.(*ast.StringExpr)
	row, isTable := call.Args[0].(*ast.TableExpr)
	if !isName || !literal || !isTable || object.Value != "ri" || name.Value != "emit" {
		return
	}
	declared := map[string]bool{}
	for _, c := range l.header.Columns {
		declared[c.Name] = true
	}
	named, computed := map[string]bool{}, false
	for _, field := range row.Fields {
		key, ok := field.Key.(*ast.StringExpr)
		if !ok {
			computed = true
			continue
		}
		named[key.Value] = true
		if len(declared) > 0 && !declared[key.Value] {
			if near := rows.DidYouMean(key.Value, rows.SortedKeys(declared)); near != "" {
				l.fail(f.Line(), "the header declares no column %s%s", key.Value, near)
			}
		}
	}
	if ways := rows.Keys(l.header.Columns); len(ways) > 0 && !computed &&
		!slices.ContainsFunc(slices.Concat(ways...), func(name string) bool { return named[name] }) {
		l.fail(f.Line(), "a row without its key: no %s", strings.Join(slices.Concat(ways...), ", "))
	}
}

// required looks for modules that aren't there.
func (l *linter) required(call *ast.FuncCallExpr) {
	f, ok := call.Func.(*ast.IdentExpr)
	if !ok || f.Value != "require" || len(call.Args) != 1 {
		return
	}
	if name, literal := call.Args[0].(*ast.StringExpr); literal {
		if err := l.script.CheckModule(name.Value); err != nil {
			l.fail(call.Line(), "%v", err)
		}
	}
}
