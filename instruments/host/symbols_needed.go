package host

import (
	"reflect"
	"slices"

	"github.com/yuin/gopher-lua/ast"
)

// withoutSymbols are the functions of ri that work on a program without debug information; all others name
// variables or types, or read by them.
var withoutSymbols = []string{
	"again", "atlimit", "bit", "buildinfo", "cmp", "cpu", "descriptors", "duration", "emit", "finding", "float", "hex", "int", "json",
	"log", "match", "memo", "memory", "now", "params", "progress", "sample", "target",
}

// NeedsSymbols says whether the script can do anything without the program's debug information: whether it, or a module that it requires,
// calls what names variables or types, and whether it takes expressions or types as parameters.
func (s *Script) NeedsSymbols() bool {
	if s.Header != nil && slices.ContainsFunc(s.Header.Params, func(p Param) bool { return p.Type == ParamExpr || p.Type == ParamGoType }) {
		return true
	}
	h := &Host{Opt: Options{Folders: s.folders}}
	return h.usesSymbols(s.Path, s.Source, map[string]bool{})
}

func (h *Host) usesSymbols(file, source string, seen map[string]bool) bool {
	if seen[file] {
		return false
	}
	seen[file] = true
	_, chunk, err := CompileLua(file, source)
	if err != nil {
		return true
	}
	var u uses
	u.walk(reflect.ValueOf(chunk))
	return u.symbols || slices.ContainsFunc(u.modules, func(name string) bool {
		source, file, err := h.FindModule(name)
		return err != nil || h.usesSymbols(file, source, seen)
	})
}

// uses is what a chunk of Lua refers to.
type uses struct {
	symbols bool
	modules []string
}

func (u *uses) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			u.walk(v.Index(i))
		}
	case reflect.Interface:
		if !v.IsNil() {
			u.walk(v.Elem())
		}
	case reflect.Pointer:
		if v.IsNil() || u.expression(v.Interface()) {
			return
		}
		u.walk(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() {
				u.walk(f)
			}
		}
	}
}

// expression notes ri.NAME and require(NAME), and says whether that was all there is in it.
func (u *uses) expression(e any) bool {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		if object, ok := e.Object.(*ast.IdentExpr); ok && object.Value == "ri" {
			name, literal := e.Key.(*ast.StringExpr)
			u.symbols = u.symbols || !literal || !slices.Contains(withoutSymbols, name.Value)
			return literal
		}
	case *ast.IdentExpr:
		u.symbols = u.symbols || e.Value == "ri" // handed on as a whole
	case *ast.FuncCallExpr:
		if f, ok := e.Func.(*ast.IdentExpr); ok && f.Value == "require" {
			if len(e.Args) == 1 {
				if name, literal := e.Args[0].(*ast.StringExpr); literal {
					u.modules = append(u.modules, name.Value)
					return true
				}
			}
			u.symbols = true
		}
	}
	return false
}
