package lang

import (
	"reflect"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// HeaderTable finds the table that an instrument file returns: `return {... run = function ...}` or a
// local of that kind. nil: the file is a bare script.
func HeaderTable(chunk []ast.Stmt) *ast.TableExpr {
	if len(chunk) == 0 {
		return nil
	}
	ret, ok := chunk[len(chunk)-1].(*ast.ReturnStmt)
	if !ok || len(ret.Exprs) != 1 {
		return nil
	}
	table, ok := ret.Exprs[0].(*ast.TableExpr)
	if name, isName := ret.Exprs[0].(*ast.IdentExpr); isName {
		for _, s := range chunk {
			if local, isLocal := s.(*ast.LocalAssignStmt); isLocal && len(local.Names) == 1 && local.Names[0] == name.Value &&
				len(local.Exprs) == 1 {
				table, ok = local.Exprs[0].(*ast.TableExpr)
			}
		}
	}
	if !ok || table == nil {
		return nil
	}
	for _, f := range table.Fields {
		if key, ok := f.Key.(*ast.StringExpr); ok &&
			(key.Value == "run" || key.Value == "title" || key.Value == "columns" || key.Value == "params") {
			return table
		}
	}
	return nil
}

// TableLines maps key paths ("params[1].type") to lines.
func TableLines(t *ast.TableExpr, key string, lines map[string]int) map[string]int {
	if lines == nil {
		lines = map[string]int{}
	}
	if lines[key] == 0 {
		lines[key] = t.Line()
	}
	n := 0
	for _, f := range t.Fields {
		var path string
		line := f.Value.Line()
		switch k := f.Key.(type) {
		case nil:
			n++
			path = key + "[" + strconv.Itoa(n) + "]"
		case *ast.StringExpr:
			path = keyPath(key, k.Value)
			if k.Line() > 0 {
				line = k.Line()
			}
		default:
			continue
		}
		lines[path] = line
		if sub, ok := f.Value.(*ast.TableExpr); ok && strings.Count(path, ".")+strings.Count(path, "[") < 8 {
			TableLines(sub, path, lines)
		}
	}
	return lines
}

func KeysOf(t *lua.LTable) (keys []lua.LValue) {
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		keys = append(keys, k)
	}
	return keys
}

// EachNode goes through a syntax tree, outermost first, and where f allows it into what is below.
func EachNode(v reflect.Value, f func(node any) bool) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			EachNode(v.Index(i), f)
		}
	case reflect.Interface:
		if !v.IsNil() {
			EachNode(v.Elem(), f)
		}
	case reflect.Pointer:
		if !v.IsNil() && f(v.Interface()) {
			EachNode(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				EachNode(v.Field(i), f)
			}
		}
	}
}
